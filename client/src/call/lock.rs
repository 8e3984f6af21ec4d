//! Requests about named locks.

use super::{Call, bounded};
use crate::pulse::Deadline;
use gob_protocol::Request;
use gob_protocol::answer::{EmptyData, LockAcquireData, LockBreakData, LockStatusData};
use gob_protocol::limits::{REQUEST_MS, REQUEST_SLACK_MS};
pub use gob_protocol::request::{LockAcquire, LockBreak, LockRelease, LockStatus};
use std::time::Duration;

call!(LockAcquire, "lock_acquire", LockAcquireData, |this| Request::LockAcquire(Box::new(this)), {
    // A claim is answered when the time of the claims is over; without a limit the lock is waited for.
    fn deadline(&self) -> Deadline {
        match self.token {
            Some(_) => Deadline::In(Duration::from_millis(REQUEST_MS)),
            None => bounded(self.timeout_ms.map(|ms| ms.max(REQUEST_MS)), REQUEST_SLACK_MS),
        }
    }
});
call!(LockRelease, "lock_release", EmptyData, |this| Request::LockRelease(this));
call!(LockStatus, "lock_status", LockStatusData, |this| Request::LockStatus(this), {
    const READS: bool = true;
});
call!(LockBreak, "lock_break", LockBreakData, |this| Request::LockBreak(this));
