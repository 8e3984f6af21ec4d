//! The one place that writes to standard output and standard error.
//!
//! A reader that went away (`gobctl events | head -1`) is no error: it ends the program quietly.

use crate::failure::Failure;
use std::io::{self, Write};

/// Writes text to standard output and flushes it.
pub(crate) fn print(text: &str) -> Result<(), Failure> {
    print_bytes(text.as_bytes())
}

/// Writes bytes to standard output as they are and flushes them.
pub(crate) fn print_bytes(bytes: &[u8]) -> Result<(), Failure> {
    write(&mut io::stdout().lock(), bytes, "standard output")
}

/// Writes bytes to standard error as they are.
pub(crate) fn print_error_bytes(bytes: &[u8]) -> Result<(), Failure> {
    write(&mut io::stderr().lock(), bytes, "standard error")
}

/// Says one line on standard error. Where that is closed, there is nobody to tell.
pub(crate) fn note(text: &str) {
    error_text(&format!("{}\n", crate::text::escape(text)));
}

/// Writes text to standard error as it is; for what was rendered already.
pub(crate) fn error_text(text: &str) {
    io::stderr().lock().write_all(text.as_bytes()).ok();
}

fn write(to: &mut impl Write, bytes: &[u8], what: &'static str) -> Result<(), Failure> {
    match to.write_all(bytes).and_then(|()| to.flush()) {
        Ok(()) => Ok(()),
        Err(e) if e.kind() == io::ErrorKind::BrokenPipe => Err(Failure::Closed),
        Err(e) => {
            Err(Failure::own("output-failed", 1, format!("cannot write to {what}")).cause(e.to_string()))
        }
    }
}
