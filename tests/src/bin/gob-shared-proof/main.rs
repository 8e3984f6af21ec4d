//! The proof that no job of a shared lane is lost or run twice at once, and that no shared lock has two holders, while supervisors of several
//! machines and their one database are killed at random.
//!
//! ```text
//! gob-shared-proof [--jobs 10000] [--machines 3] [--width 8] [--kills 40] [--seed N]
//! ```
//!
//! Each supervisor has directories of its own: it is a machine. The jobs and the holders of the lock are processes that write down what
//! they do, each record on the disk before the next step, and these records alone judge. `docs/SHARED.md` tells what is proven and how.

mod drive;
mod judge;
mod record;

use std::process::ExitCode;

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = args.iter().map(String::as_str).collect();
    match words.as_slice() {
        ["job", dir, key] => record::job(dir.as_ref(), key),
        ["hold", dir] => record::hold(dir.as_ref()),
        options => match drive::Options::parse(options) {
            Some(options) => drive::run(&options),
            None => {
                eprintln!("gob-shared-proof [--jobs N] [--machines N] [--width N] [--kills N] [--seed N]");
                ExitCode::from(2)
            }
        },
    }
}
