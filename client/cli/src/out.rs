//! The one place that writes to standard output and standard error.
//!
//! A reader that went away (`gobctl events | head -1`) is no error: it ends the program quietly.

use crate::failure::Failure;
use crate::terminal::{fold, stderr_width};
use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use std::io::{self, IsTerminal, Write};
use std::os::fd::AsFd;

/// Ends the program as soon as standard output has no reader, and not only at the next write: for verbs that
/// go on until they are interrupted. A thread waits for that, beside the verb's own waits.
pub(crate) fn end_with_reader() {
    // The end of a terminal is a signal.
    if !io::stdout().is_terminal() {
        let waits = || {
            if reader_is_gone() {
                leave();
            }
        };
        // Without a thread, the program ends at the next write.
        std::thread::Builder::new().spawn(waits).ok();
    }
}

/// Waits until the reader is gone. A file has no such end.
fn reader_is_gone() -> bool {
    let stdout = io::stdout();
    loop {
        let mut fds = [PollFd::new(stdout.as_fd(), PollFlags::empty())];
        match poll(&mut fds, PollTimeout::NONE) {
            Ok(_) if fds.iter().any(|fd| fd.any() == Some(true)) => return true,
            Ok(_) | Err(Errno::EINTR) => {}
            Err(_) => return false,
        }
    }
}

#[expect(
    clippy::exit,
    reason = "what the main thread waits for may never come; as if it had met the closed pipe itself"
)]
fn leave() {
    std::process::exit(i32::from(Failure::Closed.exit_code()));
}

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

/// Writes one line to standard error. A closed standard error is ignored.
pub(crate) fn note(text: &str) {
    error_text(&format!("{}\n", fitting(&crate::text::escape(text))));
}

/// Folds the text to the width of standard error, where that is a terminal.
pub(crate) fn fitting(text: &str) -> String {
    if io::stderr().is_terminal() { fold(text, stderr_width()) } else { text.to_owned() }
}

/// Writes rendered text to standard error as it is.
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
