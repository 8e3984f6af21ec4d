//! A mark that every descendant of a run carries and that survives `env -i`, `setsid`, double forks and closed
//! descriptors: the soft limit RLIMIT_LOCKS.
//!
//! Linux inherits resource limits through fork and exec and has ignored this one since 2.4.25 (getrlimit(2)), so its
//! value is free to tell whose a process is. `prlimit` reads it from any process of the same user in one system call;
//! looking for a variable in `/proc/PID/environ` costs three and is undone by `env -i`.

use super::fds;
use std::io;
use std::mem::MaybeUninit;

/// The mark of one run. Unique among all runs of all supervisors of this boot: 40 random bits and a counter.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Tag(pub(crate) u64);

const COUNTER_BITS: u32 = 22;

/// What all tags of one supervisor's life have in common.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Life(u64);

impl Life {
    /// Whether a tag is of this life.
    pub(crate) const fn has(self, tag: u64) -> bool {
        tag >> COUNTER_BITS == self.0
    }

    #[cfg(test)]
    pub(crate) const fn of(tag: u64) -> Self {
        Self(tag >> COUNTER_BITS)
    }

    #[cfg(test)]
    pub(crate) const fn none() -> Self {
        Self(0)
    }
}

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

    pub(crate) const fn life(&self) -> Life {
        Life(self.next >> COUNTER_BITS)
    }

    pub(crate) fn next(&mut self) -> Tag {
        self.next += 1;
        Tag(self.next)
    }
}

/// The tag of a process; `None` when it is gone or, unless we are root, another user's.
pub(crate) fn of(pid: i32) -> Option<u64> {
    let mut limit = MaybeUninit::<libc::rlimit>::uninit();
    // SAFETY: reads no new limit and writes one `rlimit` to valid memory.
    let got = unsafe { libc::prlimit(pid, libc::RLIMIT_LOCKS, std::ptr::null(), limit.as_mut_ptr()) };
    if got != 0 {
        return if io::Error::last_os_error().raw_os_error() == Some(libc::EPERM) {
            shown(pid)
        } else {
            None
        };
    }
    // SAFETY: the call succeeded and has filled it.
    Some(unsafe { limit.assume_init() }.rlim_cur)
}

/// The tag of a process of another user, which everybody may read here. That costs three system calls, so only root asks:
/// it may signal what it finds, and in a container without CAP_SYS_RESOURCE `prlimit` denies it what its own workers became.
fn shown(pid: i32) -> Option<u64> {
    if fds::uid() != 0 {
        return None;
    }
    let limits = std::fs::read_to_string(format!("/proc/{pid}/limits")).ok()?;
    soft_locks(&limits)
}

/// The soft limit of "Max file locks" in `/proc/PID/limits` (proc(5)); `None` when there is no limit, hence no tag.
fn soft_locks(limits: &str) -> Option<u64> {
    let values = limits.lines().find_map(|line| line.strip_prefix("Max file locks "))?;
    values.split_ascii_whitespace().next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_ways_to_read_it_agree() {
        let me = i32::try_from(std::process::id()).unwrap();
        let limits = std::fs::read_to_string(format!("/proc/{me}/limits")).unwrap();
        assert!(limits.contains("\nMax file locks "), "{limits}");
        assert_eq!(soft_locks(&limits), of(me).filter(|tag| *tag != libc::RLIM_INFINITY));
        let line = "Max cpu time  unlimited  unlimited  seconds\nMax file locks  4611686018427387  unlimited  locks\n";
        assert_eq!(soft_locks(line), Some(4_611_686_018_427_387));
        assert_eq!(
            soft_locks("Max file locks            unlimited            unlimited            locks"),
            None
        );
    }
}
