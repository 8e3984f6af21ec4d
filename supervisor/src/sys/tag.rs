//! A mark that every descendant of a run carries and that survives `env -i`, `setsid`, double forks and closed
//! descriptors: the soft limit RLIMIT_LOCKS.
//!
//! Linux inherits resource limits through fork and exec and has ignored this one since 2.4.25 (getrlimit(2)),
//! so its value is free to identify a process. `prlimit` reads it from any process of the same user in one
//! system call; a variable in `/proc/PID/environ` costs three and is removed by `env -i`.

use super::fds;
use gob_protocol::tag::{self as layout, SERIAL_BITS};
use serde::{Deserialize, Serialize};
use std::fs::Metadata;
use std::io;
use std::mem::MaybeUninit;
use std::os::unix::fs::MetadataExt;

/// The mark of one run: 32 bits of the state directory ([`home`]), 12 random bits of the supervisor's life, and a counter
/// of 18 bits that goes on into the random ones. The holder of the state directory's lock knows by the first part
/// which processes are those of its dead predecessors, also when nothing else is left of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub(crate) struct Tag(pub(crate) u64);

const COUNTER_BITS: u32 = 18;
const SERIALS: u64 = (1 << SERIAL_BITS) - 1;

impl Tag {
    /// Returns the state directory of the supervisor that gave it; `None` for a limit that is no tag, such as
    /// no limit at all.
    pub(crate) fn home(self) -> Option<u32> {
        layout::home_of(self.0)
    }

    /// Returns whether both were given in one life of one supervisor, as far as its first runs go.
    pub(crate) fn is_kin(self, other: Self) -> bool {
        self.home().is_some() && self.0 >> COUNTER_BITS == other.0 >> COUNTER_BITS
    }
}

/// Returns the hash by which tags name a state directory.
pub(crate) fn home(state_dir: &Metadata) -> u32 {
    let born = state_dir.created().ok().and_then(|at| at.duration_since(std::time::UNIX_EPOCH).ok());
    layout::home(state_dir.dev(), state_dir.ino(), born.map_or(0, |at| at.as_nanos()))
}

/// The part that all tags of one life share. Only one supervisor of a state directory lives at a time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Life(u64);

impl Life {
    /// Returns whether a tag is of this life.
    pub(crate) const fn has(self, tag: u64) -> bool {
        tag >> SERIAL_BITS == self.0
    }

    #[cfg(test)]
    pub(crate) const fn of(tag: u64) -> Self {
        Self(tag >> SERIAL_BITS)
    }

    #[cfg(test)]
    pub(crate) const fn none() -> Self {
        Self(0)
    }
}

/// The tags that were given in one life.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Given {
    /// Returns the tag before the first one.
    base: u64,
    last: u64,
}

impl Given {
    /// Returns whether this is one of them.
    pub(crate) fn has(self, tag: Tag) -> bool {
        let is_home = tag.0 >> SERIAL_BITS == self.base >> SERIAL_BITS;
        let count = |to: u64| to.wrapping_sub(self.base) & SERIALS;
        is_home && 0 < count(tag.0) && count(tag.0) <= count(self.last)
    }
}

/// Hands out tags.
#[derive(Debug)]
pub(crate) struct Tags(Given);

impl Tags {
    /// Creates the tags of a supervisor's life, which `random` distinguishes from others in the same state
    /// directory.
    pub(crate) fn new(home: u32, random: u64) -> Self {
        let life = random >> (64 - (SERIAL_BITS - COUNTER_BITS));
        // The top two bits stay clear: RLIM_INFINITY and its neighbours mean something else.
        let base = u64::from(home.max(1)) << SERIAL_BITS | life << COUNTER_BITS;
        Self(Given { base, last: base })
    }

    /// Goes on with the tags of a life that goes on.
    pub(crate) const fn resume(given: Given) -> Self {
        Self(given)
    }

    /// Returns the tag before the first one.
    pub(crate) const fn base(&self) -> u64 {
        self.0.base
    }

    pub(crate) const fn life(&self) -> Life {
        Life(self.0.base >> SERIAL_BITS)
    }

    /// Returns all tags that were given so far.
    pub(crate) const fn given(&self) -> Given {
        self.0
    }

    pub(crate) fn next(&mut self) -> Tag {
        let last = &mut self.0.last;
        *last = *last & !SERIALS | (*last + 1) & SERIALS;
        Tag(*last)
    }
}

/// Returns the tag of a process; `None` when it is gone or, unless we are root, another user's: reading it costs three more system calls, so of all processes of the machine only root reads it, as it may signal them, and
/// in a container without CAP_SYS_RESOURCE `prlimit` denies it the limits of workers that became another
/// user's.
pub(crate) fn of(pid: i32) -> Option<u64> {
    match asked(pid) {
        Asked::Limit(limit) => Some(limit),
        Asked::Denied if fds::uid() == 0 => shown(pid),
        Asked::Denied | Asked::Gone => None,
    }
}

/// Returns the tag of a process of any user; `None` when it is gone, or hidden.
pub(crate) fn of_anybody(pid: i32) -> Option<u64> {
    match asked(pid) {
        Asked::Limit(limit) => Some(limit),
        Asked::Denied => shown(pid),
        Asked::Gone => None,
    }
}

/// The answer of `prlimit` for a process.
enum Asked {
    Limit(u64),
    /// It is of another user.
    Denied,
    Gone,
}

/// Reads the limit by `prlimit`.
fn asked(pid: i32) -> Asked {
    let mut limit = MaybeUninit::<libc::rlimit>::uninit();
    // SAFETY: reads no new limit and writes one `rlimit` to valid memory.
    let got = unsafe { libc::prlimit(pid, libc::RLIMIT_LOCKS, std::ptr::null(), limit.as_mut_ptr()) };
    if got != 0 {
        let denied = io::Error::last_os_error().raw_os_error() == Some(libc::EPERM);
        return if denied { Asked::Denied } else { Asked::Gone };
    }
    // SAFETY: the call succeeded and has filled it.
    Asked::Limit(unsafe { limit.assume_init() }.rlim_cur)
}

/// Returns the limit as every user may read it.
fn shown(pid: i32) -> Option<u64> {
    let limits = std::fs::read_to_string(format!("/proc/{pid}/limits")).ok()?;
    soft_locks(&limits)
}

/// Parses the soft limit of "Max file locks" in `/proc/PID/limits` (proc(5)); `None` when there is no limit,
/// hence no tag.
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

    #[test]
    fn tags_tell_their_home_and_their_life() {
        let (mut one, mut other) = (Tags::new(7, 1 << 60), Tags::new(7, 2 << 60));
        let (base, first, second) = (Tag(one.base()), one.next(), one.next());
        assert!(first != second && base.is_kin(first) && first.is_kin(second));
        assert!(!first.is_kin(other.next()));
        let given = one.given();
        assert!(given.has(first) && given.has(second));
        assert!(!given.has(base) && !given.has(one.next()) && !given.has(other.next()) && !given.has(Tag(0)));
        assert_eq!((first.home(), other.next().home()), (Some(7), Some(7)));
        for none in [0, 1024, u64::MAX, u64::MAX - 1, i64::MAX as u64] {
            assert_eq!(Tag(none).home(), None, "{none}");
        }
        // The last of all is followed by the first, in the same home.
        let highest = 7 << SERIAL_BITS | SERIALS;
        let mut last = Tags(Given { base: highest, last: highest });
        assert_eq!(last.next(), Tag(7 << SERIAL_BITS));
        assert!(last.given().has(Tag(7 << SERIAL_BITS)) && !last.given().has(Tag(highest)));
        assert!(Tags::new(u32::MAX, u64::MAX).next().0 < 1 << 62);
    }

    #[test]
    fn directories_differ_also_when_an_inode_is_used_again() {
        let dir = std::env::temp_dir().join(format!("gob-home-{}", std::process::id()));
        let made = || {
            std::fs::create_dir(&dir).unwrap();
            let found = std::fs::metadata(&dir).unwrap();
            std::fs::remove_dir(&dir).unwrap();
            (home(&found), found.created().ok())
        };
        let (first, second) = (made(), made());
        assert!(first.0 != second.0 || first.1 == second.1, "{first:?} {second:?}");
    }
}
