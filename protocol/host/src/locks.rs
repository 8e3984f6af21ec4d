//! Finds the process that holds a flock without touching the file: the kernel lists all locks in
//! `/proc/locks` (proc(5)).

use nix::sys::stat::{major, minor};
use std::fs::File;
use std::io::{self, Read};
use std::os::unix::fs::MetadataExt;
use std::path::Path;

/// Lists that are read before a lock counts as not held: one that is longer than a page may leave it out.
const TRIES: usize = 3;
/// The size of one read.
const PIECE: usize = 64 << 10;

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
    (0..TRIES).find_map(|_| {
        let locks = read().ok()?;
        find(&locks, Some((major(device), minor(device))), inode)
            // On some file systems stat(2) gives another device number than the kernel's own.
            .or_else(|| find(&locks, None, inode))
    })
}

/// Returns whether a process, which may be dead, took a flock that is still held.
#[must_use]
pub fn is_taker(pid: i32) -> bool {
    read().is_ok_and(|locks| flocks(&locks).any(|(taker, _)| taker == pid))
}

/// Reads the list in pieces as large as the kernel gives. Each read goes on by a lock's place in the list, so when locks
/// are given back meanwhile others are skipped; the standard library's first read is of 32 bytes, one lock's line.
fn read() -> io::Result<String> {
    let mut file = File::open("/proc/locks")?;
    let (mut text, mut piece) = (Vec::new(), vec![0; PIECE]);
    loop {
        let count = file.read(&mut piece)?;
        if count == 0 {
            return Ok(String::from_utf8_lossy(&text).into_owned());
        }
        text.extend(piece.iter().take(count));
    }
}

/// Finds a file in lines such as `1: FLOCK  ADVISORY  WRITE 4242 fd:01:131 0 EOF`; the line of a waiting
/// process has `->` behind the number.
fn find(locks: &str, device: Option<(u64, u64)>, inode: u64) -> Option<i32> {
    let is_meant = |file: &str| match device {
        Some((major, minor)) => file == format!("{major:02x}:{minor:02x}:{inode}"),
        None => file.rsplit_once(':').is_some_and(|(_, number)| number == inode.to_string()),
    };
    flocks(locks).find(|(_, file)| is_meant(file)).map(|(pid, _)| pid)
}

/// Returns the process that took each flock, and the file.
fn flocks(locks: &str) -> impl Iterator<Item = (i32, &str)> {
    locks.lines().filter_map(|line| {
        let fields: Vec<&str> = line.split_whitespace().collect();
        match fields.as_slice() {
            [_, "FLOCK", _, _, pid, file, ..] => Some((pid.parse().ok().filter(|pid| *pid > 0)?, *file)),
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

    /// Others took and gave back locks while the list was read, and one that was held all the time was not in it.
    #[test]
    fn a_lock_is_found_while_others_come_and_go() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("held");
        let held = File::create(&path).unwrap();
        held.lock().unwrap();
        if holder(&path).is_none() {
            return;
        }
        let is_over = std::sync::atomic::AtomicBool::new(false);
        std::thread::scope(|scope| {
            for n in 0..4 {
                let (others, is_over) = (dir.path().join(n.to_string()), &is_over);
                std::fs::create_dir(&others).unwrap();
                scope.spawn(move || {
                    let files = || (0..8).map(|n| File::create(others.join(n.to_string())).unwrap());
                    while !is_over.load(std::sync::atomic::Ordering::Relaxed) {
                        let files: Vec<File> = files().inspect(|file| file.lock().unwrap()).collect();
                        drop(files);
                    }
                });
            }
            let missed = (0..2_000).filter(|_| holder(&path).is_none()).count();
            is_over.store(true, std::sync::atomic::Ordering::Relaxed);
            assert_eq!(missed, 0);
        });
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
