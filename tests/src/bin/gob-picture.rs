//! Writes the README's pictures of the terminal's screen: `cargo build --bins && cargo run -p gob-tests --bin gob-picture`.

use gob_tests::picture;
use std::path::Path;
use std::process::ExitCode;

fn main() -> ExitCode {
    let top = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    match picture::write(&top) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{}: {error}", top.display());
            ExitCode::FAILURE
        }
    }
}
