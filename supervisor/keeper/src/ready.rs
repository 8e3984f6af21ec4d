//! The pipe on which the client that wanted a supervisor waits.
//!
//! Its end without a byte means "somebody else has it, go on connecting"; a line that begins with `E` says why there
//! will be none. Everything else on it is the supervisor's to write. The keeper must not hold it open once the
//! supervisor has it, or its end would mean nothing.

use std::fs::File;
use std::io::Write;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

/// The write end.
#[derive(Debug)]
pub(crate) struct Ready(OwnedFd);

impl Ready {
    /// Takes the write end over.
    pub(crate) fn new(fd: OwnedFd) -> Self {
        Self(fd)
    }

    /// Says in one line why there will be no supervisor, and ends the pipe.
    pub(crate) fn fail(self, message: &str) {
        // Nobody is left to tell when the client is gone; the message is in the log as well.
        File::from(self.0).write_all(format!("E{message}\n").as_bytes()).unwrap_or_default();
    }
}

impl AsFd for Ready {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}
