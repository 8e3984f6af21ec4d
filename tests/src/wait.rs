//! Waits with a deadline; for a length of time only in [`while_time_passes`].

use std::io;
use std::os::fd::{AsRawFd, BorrowedFd};
use std::time::{Duration, Instant};

/// Time limit of anything on a busy machine before a test gives up.
pub const DEADLINE: Duration = Duration::from_secs(30);

/// Waits until a descriptor is readable; false at the deadline.
#[must_use]
pub fn readable(fd: BorrowedFd<'_>, timeout: Duration) -> bool {
    let deadline = Instant::now() + timeout;
    loop {
        let left = deadline.saturating_duration_since(Instant::now());
        let mut poll = libc::pollfd { fd: fd.as_raw_fd(), events: libc::POLLIN, revents: 0 };
        let millis = i32::try_from(left.as_micros().div_ceil(1000)).unwrap_or(i32::MAX);
        // SAFETY: one element, which lives until the call returns.
        match unsafe { libc::poll(&raw mut poll, 1, millis) } {
            0 => return false,
            1.. => return true,
            _ => {
                let error = io::Error::last_os_error();
                assert_eq!(error.kind(), io::ErrorKind::Interrupted, "poll: {error}");
            }
        }
    }
}

/// Lets time pass, for effects that only time brings about and nothing announces, such as a stopped process
/// being late. Must not be used where there is something to wait for.
pub fn while_time_passes(time: Duration) {
    let deadline = Instant::now() + time;
    while let Some(left) = deadline.checked_duration_since(Instant::now()) {
        std::thread::park_timeout(left);
    }
}

/// Waits for a condition that no descriptor announces, such as the state of a process that is not a child;
/// false at the deadline.
#[must_use]
pub fn until(timeout: Duration, mut condition: impl FnMut() -> bool) -> bool {
    let deadline = Instant::now() + timeout;
    loop {
        if condition() {
            return true;
        }
        if Instant::now() >= deadline {
            return false;
        }
        std::thread::park_timeout(Duration::from_millis(1));
    }
}
