//! Lists the pids of all processes, in one pass over `/proc` that ends however fast new ones are made.
//!
//! The directory is in rising order, and so are new pids. A pass that reaches the newest ones while they are
//! made faster than it reads would follow them through the whole range of pids (one second with 300 processes
//! that go on as their own children). So the pids given since it began are not read there: they are probed
//! one by one, at a tenth of the cost, and the pass goes on behind them.

use super::process::{self, LastPid};
use nix::fcntl::{OFlag, open};
use nix::sys::stat::Mode;
use std::io;
use std::ops::Range;
use std::os::fd::{AsRawFd, OwnedFd};

/// Holds a few hundred entries.
const BUFFER_BYTES: usize = 8 * 1024;
/// `struct linux_dirent64`: inode, offset of the next entry, length of this one, kind, and the name with its
/// NUL.
const OFFSET_AT: usize = 8;
const LENGTH_AT: usize = 16;
const NAME_AT: usize = 19;

/// Returns every process by its pid, read lazily.
///
/// # Errors
/// When the table, or its next part, can't be read. This must not be taken for a process that is not there.
pub(crate) fn pids() -> io::Result<impl Iterator<Item = io::Result<i32>>> {
    listing(BUFFER_BYTES)
}

fn listing(buffer_bytes: usize) -> io::Result<Listing> {
    let flags = OFlag::O_RDONLY | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC;
    let last = LastPid::open().ok();
    let newest = last.as_ref().and_then(|last| last.get().ok());
    Ok(Listing {
        dir: open("/proc", flags, Mode::empty())?,
        buffer: vec![0; buffer_bytes],
        at: 0,
        len: 0,
        is_fresh: false,
        offset: None,
        shift: None,
        probed: 0..0,
        newest: last.zip(newest),
    })
}

struct Listing {
    dir: OwnedFd,
    buffer: Vec<u8>,
    /// The entries from here to `len` were not taken yet.
    at: usize,
    len: usize,
    /// Nothing was taken from the buffer since it was filled.
    is_fresh: bool,
    /// The directory offset behind the last entry.
    offset: Option<i64>,
    /// The difference between a process's offset and its pid.
    shift: Option<i64>,
    /// Pids that were given meanwhile.
    probed: Range<i32>,
    /// The last pid that was given before the pass, or before the last probing.
    newest: Option<(LastPid, i32)>,
}

impl Listing {
    /// Returns the next pid in the directory.
    fn read(&mut self) -> io::Result<Option<i32>> {
        loop {
            if self.at >= self.len {
                // SAFETY: the kernel writes to valid memory of this length.
                let filled = unsafe {
                    let (fd, to) = (self.dir.as_raw_fd(), self.buffer.as_mut_ptr());
                    libc::syscall(libc::SYS_getdents64, fd, to, self.buffer.len())
                };
                self.len = usize::try_from(filled).map_err(|_| io::Error::last_os_error())?;
                (self.at, self.is_fresh) = (0, true);
                if self.len == 0 {
                    return Ok(None);
                }
            }
            let entry = self.buffer.get(self.at..self.len).unwrap_or_default();
            let (offset, name) = split(entry).ok_or(io::ErrorKind::InvalidData)?;
            let pid = name.and_then(|name| name.parse::<i32>().ok());
            self.at += length(entry).ok_or(io::ErrorKind::InvalidData)?;
            let here = self.offset.replace(offset);
            if let Some(pid) = pid {
                self.shift = self.shift.or_else(|| Some(here? - i64::from(pid)));
                return Ok(Some(pid));
            }
        }
    }

    /// Returns whether the next pids were given since the pass began: they are probed then, and the pass goes
    /// on behind them.
    fn meets_the_newest(&mut self, pid: i32) -> bool {
        // Checked once per buffer: its entries are read anyway.
        let (true, Some((last, before)), Some(shift)) =
            (std::mem::take(&mut self.is_fresh), self.newest.as_mut(), self.shift)
        else {
            return false;
        };
        // Where pids began anew meanwhile, the newest are behind.
        let Some(now) = last.get().ok().filter(|now| pid > *before && *now > *before) else { return false };
        // SAFETY: integers only.
        let moved =
            unsafe { libc::lseek64(self.dir.as_raw_fd(), shift + i64::from(now) + 1, libc::SEEK_SET) };
        if moved < 0 {
            return false;
        }
        self.probed = *before + 1..now.saturating_add(1);
        *before = now;
        (self.at, self.len, self.offset) = (0, 0, None);
        true
    }
}

impl Iterator for Listing {
    type Item = io::Result<i32>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            if let Some(pid) = self.probed.find(|pid| process::is_leader(*pid)) {
                return Some(Ok(pid));
            }
            match self.read() {
                Ok(Some(pid)) if self.meets_the_newest(pid) => {}
                Ok(pid) => return pid.map(Ok),
                Err(e) => return Some(Err(e)),
            }
        }
    }
}

fn length(entry: &[u8]) -> Option<usize> {
    let length = entry.get(LENGTH_AT..LENGTH_AT + 2)?.try_into().ok()?;
    Some(usize::from(u16::from_ne_bytes(length))).filter(|length| *length > NAME_AT)
}

/// Returns the offset of the next entry, and the name of this one.
fn split(entry: &[u8]) -> Option<(i64, Option<&str>)> {
    let offset = entry.get(OFFSET_AT..OFFSET_AT + 8)?.try_into().ok()?;
    let name = entry.get(NAME_AT..length(entry)?)?.split(|byte| *byte == 0).next()?;
    Some((i64::from_ne_bytes(offset), std::str::from_utf8(name).ok()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    fn listed() -> BTreeSet<i32> {
        pids().unwrap().map(Result::unwrap).collect()
    }

    #[test]
    fn a_listing_has_all_that_were_there_and_none_twice() {
        let mut children: Vec<_> =
            (0..20).map(|_| std::process::Command::new("sleep").arg("60").spawn().unwrap()).collect();
        let all: Vec<i32> = pids().unwrap().map(Result::unwrap).collect();
        let set: BTreeSet<i32> = all.iter().copied().collect();
        let there = |child: &std::process::Child| set.contains(&i32::try_from(child.id()).unwrap());
        assert!(set.contains(&1) && children.iter().all(there), "{set:?}");
        assert_eq!(set.len(), all.len());
        for child in &mut children {
            child.kill().unwrap();
            child.wait().unwrap();
        }
    }

    #[test]
    fn processes_made_during_the_pass_are_found_and_the_pass_ends() {
        // Old processes with high pids stay found, whatever is skipped before them.
        let before = listed();
        let last = || LastPid::open().and_then(|last| last.get()).ok();
        let newest = last();
        let mut listing = listing(512).unwrap();
        let first = listing.next().unwrap().unwrap();
        let mut children: Vec<_> =
            (0..300).map(|_| std::process::Command::new("sleep").arg("60").spawn().unwrap()).collect();
        let rest: BTreeSet<i32> = std::iter::once(first).chain(listing.map(Result::unwrap)).collect();
        let news = children.iter().filter(|child| rest.contains(&i32::try_from(child.id()).unwrap())).count();
        let still: Vec<i32> = before.into_iter().filter(|pid| process::is_leader(*pid)).collect();
        for child in &mut children {
            child.kill().unwrap();
            child.wait().unwrap();
        }
        let lost: Vec<&i32> =
            still.iter().filter(|pid| process::is_leader(**pid) && !rest.contains(*pid)).collect();
        assert!(lost.is_empty(), "{lost:?}");
        let began_anew = newest.is_none() || last() < newest;
        assert!(began_anew || news == children.len(), "{news} of {} are found", children.len());
    }
}
