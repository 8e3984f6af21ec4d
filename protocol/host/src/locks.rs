//! Finds the process that holds a flock without touching the file: the kernel lists all locks in
//! `/proc/locks` (proc(5)).

use nix::sys::stat::{major, minor};
use std::os::unix::fs::MetadataExt;
use std::path::Path;

/// Returns the pid that holds the flock of a file; `None` when the file is missing or not locked, or its
/// holder is outside this pid namespace.
#[must_use]
pub fn holder(path: &Path) -> Option<i32> {
    let file = std::fs::metadata(path).ok()?;
    holder_of(file.dev(), file.ino())
}

/// As [`holder`], of a file by its device and inode. A process that only inherited the lock is never named:
/// the kernel notes who took it, also when that process has died since.
#[must_use]
pub fn holder_of(device: u64, inode: u64) -> Option<i32> {
    let locks = std::fs::read_to_string("/proc/locks").ok()?;
    find(&locks, Some((major(device), minor(device))), inode)
        // On some file systems stat(2) gives another device number than the kernel's own.
        .or_else(|| find(&locks, None, inode))
}

/// Finds a file in lines such as `1: FLOCK  ADVISORY  WRITE 4242 fd:01:131 0 EOF`; the line of a waiting
/// process has `->` behind the number.
fn find(locks: &str, device: Option<(u64, u64)>, inode: u64) -> Option<i32> {
    let is_meant = |file: &str| match device {
        Some((major, minor)) => file == format!("{major:02x}:{minor:02x}:{inode}"),
        None => file.rsplit_once(':').is_some_and(|(_, number)| number == inode.to_string()),
    };
    locks.lines().find_map(|line| {
        let fields: Vec<&str> = line.split_whitespace().collect();
        match fields.as_slice() {
            [_, "FLOCK", _, _, pid, file, ..] if is_meant(file) => pid.parse().ok().filter(|pid| *pid > 0),
            _ => None,
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_holder_is_found_and_waiters_are_not() {
        let locks = "1: FLOCK  ADVISORY  WRITE 7 fd:01:131 0 EOF\n1: -> FLOCK  ADVISORY  WRITE 8 fd:01:131 0 EOF\n\
                     2: POSIX  ADVISORY  WRITE 9 00:1a:5 0 EOF\n3: FLOCK  ADVISORY  READ 10 00:1a:5 0 EOF\n";
        assert_eq!(find(locks, Some((0xfd, 1)), 131), Some(7));
        assert_eq!(find(locks, Some((0, 0x1a)), 5), Some(10));
        assert_eq!(find(locks, Some((0, 0x1a)), 6), None);
        assert_eq!((find(locks, None, 131), find(locks, None, 13)), (Some(7), None));
    }

    #[test]
    fn a_lock_of_this_process() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("lock");
        let file = std::fs::File::create(&path).unwrap();
        assert_eq!(holder(&path), None);
        file.lock().unwrap();
        // Some sandboxes show an empty list of locks.
        if std::fs::read_to_string("/proc/locks").is_ok_and(|locks| !locks.is_empty()) {
            assert_eq!(holder(&path), i32::try_from(std::process::id()).ok());
        }
    }
}
