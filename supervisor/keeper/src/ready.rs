//! The pipe on which the client that starts a supervisor waits.
//!
//! Its end without a byte means that another process has the locks and the client should go on connecting; a
//! line that begins with `E` carries the reason of a failure. The supervisor writes all other messages. The
//! keeper must not hold the pipe open once the supervisor has it, or its end would mean nothing.

use std::fs::File;
use std::io::Write;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

/// The write end.
#[derive(Debug)]
pub(crate) struct Ready(OwnedFd);

impl Ready {
    /// Takes the write end.
    pub(crate) fn new(fd: OwnedFd) -> Self {
        Self(fd)
    }

    /// Writes the reason why there will be no supervisor, in one line, and ends the pipe.
    pub(crate) fn fail(self, message: &str) {
        // A client that is gone can't be told; the log has the message as well.
        File::from(self.0).write_all(format!("E{message}\n").as_bytes()).unwrap_or_default();
    }
}

impl AsFd for Ready {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}
