//! A flooding pipe is lent to the writer, which then copies it straight into its file: read and written by
//! one thread, the bytes never leave that processor's cache, and no thread waits for another one.
//!
//! Only one of the threads reads a pipe at a time, with one exception: when the disk hangs, the writer is
//! stuck with its bytes, and the drain thread reads the following ones, to drop them.

use super::batch::RunId;
use super::index::Stream;
use super::pipe::{Read, read};
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// A lent pipe.
#[derive(Debug)]
pub(super) struct Loan {
    pub(super) run: RunId,
    pub(super) stream: Stream,
    /// The drain thread's token; without meaning for the writer.
    pub(super) token: u64,
    pub(super) terms: Terms,
}

/// The state that lender and borrower share.
#[derive(Debug, Clone)]
pub(super) struct Terms {
    fd: Arc<OwnedFd>,
    revoked: Arc<AtomicBool>,
}

impl Terms {
    pub(super) fn new(fd: &Arc<OwnedFd>) -> Self {
        Self { fd: Arc::clone(fd), revoked: Arc::default() }
    }

    /// Recalls the pipe. The read in progress is the last.
    pub(super) fn revoke(&self) {
        self.revoked.store(true, Ordering::Release);
    }

    /// Returns whether it was recalled.
    pub(super) fn is_revoked(&self) -> bool {
        self.revoked.load(Ordering::Acquire)
    }

    /// Returns whether these are the terms of the same loan.
    pub(super) fn is(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.revoked, &other.revoked)
    }

    pub(super) fn fd(&self) -> &OwnedFd {
        &self.fd
    }

    /// Reads into `room`, once.
    pub(super) fn read(&self, room: &mut [u8]) -> Read {
        read(&self.fd, room)
    }
}
