//! A mark that every descendant of a run carries and that survives `env -i`, `setsid`, double forks and closed
//! descriptors: the soft limit RLIMIT_LOCKS.
//!
//! Linux inherits resource limits through fork and exec and has ignored this one since 2.4.25 (getrlimit(2)), so its
//! value is free to tell whose a process is. `prlimit` reads it from any process of the same user in one system call;
//! looking for a variable in `/proc/PID/environ` costs three and is undone by `env -i`.

use std::mem::MaybeUninit;

/// The mark of one run. Unique among all runs of all supervisors of this boot: 40 random bits and a counter.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Tag(pub(crate) u64);

const COUNTER_BITS: u32 = 22;

/// Hands out tags.
#[derive(Debug)]
pub(crate) struct Tags {
    next: u64,
}

impl Tags {
    /// Tags of a supervisor's life, which `random` sets apart from all others.
    pub(crate) fn new(random: u64) -> Self {
        // The top two bits stay clear: RLIM_INFINITY and its neighbours mean something else.
        let base = (random >> (64 - 40)) | 1;
        Self { next: base << COUNTER_BITS }
    }

    pub(crate) fn next(&mut self) -> Tag {
        self.next += 1;
        Tag(self.next)
    }
}

/// The tag of a process; `None` when it is gone or another user's.
pub(crate) fn of(pid: i32) -> Option<u64> {
    let mut limit = MaybeUninit::<libc::rlimit>::uninit();
    // SAFETY: reads no new limit and writes one `rlimit` to valid memory.
    let got = unsafe { libc::prlimit(pid, libc::RLIMIT_LOCKS, std::ptr::null(), limit.as_mut_ptr()) };
    if got != 0 {
        return None;
    }
    // SAFETY: the call succeeded and has filled it.
    Some(unsafe { limit.assume_init() }.rlim_cur)
}
