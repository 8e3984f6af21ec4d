//! The proof that a lock never has two holders, while its holders and the supervisor are killed at random.
//!
//! ```text
//! gob-locks file  [--clients 16] [--rounds 10000] [--seed N]     lock files, half of the clients in Python without gob's code
//! gob-locks named [--clients 32] [--rounds 32000] [--seed N]     the supervisor's locks
//! ```
//!
//! Each client is a process. A holder makes a stamp exclusively, with its pid, and removes it before it gives the lock back; a
//! stamp that is there already, of a process that lives, is a second holder. `docs/LOCKS.md` tells what is proven and how.

mod client;
mod drive;
mod stamp;

use std::process::ExitCode;

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = args.iter().map(String::as_str).collect();
    match words.as_slice() {
        ["hold-file", lock, dir, seed] => client::hold_file(lock.as_ref(), dir.as_ref(), number(seed)),
        ["hold-named", dir, seed] => client::hold_named(dir.as_ref(), number(seed)),
        [mode @ ("file" | "named"), options @ ..] => match drive::Options::parse(mode, options) {
            Some(options) => drive::run(&options),
            None => usage(),
        },
        _ => usage(),
    }
}

fn usage() -> ExitCode {
    eprintln!("gob-locks file|named [--clients N] [--rounds N] [--seed N]");
    ExitCode::from(2)
}

fn number(text: &str) -> u64 {
    text.parse().unwrap_or_default()
}
