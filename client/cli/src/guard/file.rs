//! A lock file while its command runs.

use super::Hold;
use crate::command::GOB_FAILED;
use crate::context::Context;
use crate::failure::Failure;
use crate::verbs::lock::wording;
use gob_client::file_lock::{FileLock, FileLockError, Settings, Status};
use serde::{Deserialize, Serialize};
use std::os::fd::BorrowedFd;
use std::path::PathBuf;
use std::time::{Duration, Instant};

/// Exit code when the wait has ended without the lock.
const TIMED_OUT: u8 = 124;

/// Time between two looks whether the lock file is still ours: a look takes some moments beside the guard.
const LOOK: Duration = Duration::from_millis(500);

/// The lock file to take, and the patience.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct FileOrder {
    pub(crate) path: PathBuf,
    pub(crate) process: String,
    pub(crate) stale_after: Duration,
    pub(crate) retries: u32,
    pub(crate) retry_delay: Duration,
    pub(crate) timeout: Option<Duration>,
}

impl FileOrder {
    pub(crate) fn lock(self) -> FileLock {
        let Self { path, process, stale_after, retries, retry_delay, timeout } = self;
        FileLock::with_settings(path, Settings { process, stale_after, retries, retry_delay, timeout })
    }
}

pub(super) struct FileHold {
    lock: FileLock,
    next: Instant,
}

impl FileHold {
    /// Takes the lock; the exit code where that has failed and was told.
    pub(super) fn take(context: &Context, order: FileOrder) -> Result<Result<Self, u8>, Failure> {
        let mut lock = order.lock();
        let mut told: Option<Option<u32>> = None;
        let taken = lock.acquire_telling(&mut |status: &Status| {
            let holder = status.standing.info().and_then(|info| u32::try_from(info.pid).ok());
            if told != Some(holder) {
                told = Some(holder);
                context.note(&wording::waiting_for_file(status));
            }
        });
        match taken {
            Ok(()) => Ok(Ok(Self { lock, next: Instant::now() + LOOK })),
            Err(error) => {
                let code = if matches!(error, FileLockError::Held { .. }) { TIMED_OUT } else { GOB_FAILED };
                wording::file_failure(&error, code).report(context.telling());
                Ok(Err(code))
            }
        }
    }
}

impl Hold for FileHold {
    fn readable(&self) -> Option<BorrowedFd<'_>> {
        self.lock.readable()
    }

    fn next_look(&self) -> Option<Instant> {
        Some(self.next)
    }

    fn look(&mut self) -> Result<(), String> {
        self.next = Instant::now() + LOOK;
        self.lock.look_after();
        if self.lock.is_lost() {
            let path = self.lock.path().display();
            return Err(format!("{path} is lost: another program has taken it, or it can't be renewed"));
        }
        Ok(())
    }

    fn release(mut self: Box<Self>) {
        // An error leaves a file whose holder is dead in a moment.
        self.lock.release().ok();
    }
}
