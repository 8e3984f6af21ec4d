//! A pipe that floods is lent to the writer, which then copies it straight into its file: read and written by one
//! thread, the bytes never leave that processor's cache, and no thread waits for another one.
//!
//! Only one of the threads reads a pipe at a time, with one exception: when the disk hangs, the writer sits on what it
//! has read, and the drain thread reads what comes after it, to drop it.

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
    /// Where the drain thread has it; means nothing to the writer.
    pub(super) token: u64,
    pub(super) terms: Terms,
}

/// What lender and borrower share.
#[derive(Debug, Clone)]
pub(super) struct Terms {
    fd: Arc<OwnedFd>,
    revoked: Arc<AtomicBool>,
}

impl Terms {
    pub(super) fn new(fd: &Arc<OwnedFd>) -> Self {
        Self { fd: Arc::clone(fd), revoked: Arc::default() }
    }

    /// Asks for the pipe back. What is being read now is the last.
    pub(super) fn revoke(&self) {
        self.revoked.store(true, Ordering::Release);
    }

    /// Whether it was asked for.
    pub(super) fn is_revoked(&self) -> bool {
        self.revoked.load(Ordering::Acquire)
    }

    /// Whether these are the terms of the same loan.
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
