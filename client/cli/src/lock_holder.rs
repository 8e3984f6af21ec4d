//! Who holds a flock, without touching it: the kernel lists all of them in `/proc/locks` (proc(5)).

use crate::process;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

/// A process that holds a lock.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Holder {
    pub(crate) pid: i32,
    /// Its program's name, as the kernel has it.
    pub(crate) program: String,
}

/// The holder of a file's flock; `None` when the file is not there or not locked.
pub(crate) fn holder(path: &Path) -> Option<Holder> {
    let file = std::fs::metadata(path).ok()?;
    let (major, minor) = (nix::sys::stat::major(file.dev()), nix::sys::stat::minor(file.dev()));
    let pid = find(&std::fs::read_to_string("/proc/locks").ok()?, major, minor, file.ino())?;
    let program = process::living(pid).map(|process| process.name).unwrap_or_default();
    Some(Holder { pid, program })
}

/// A line is `1: FLOCK  ADVISORY  WRITE 4242 fd:01:131 0 EOF`; who waits has `->` behind the number.
fn find(locks: &str, major: u64, minor: u64, inode: u64) -> Option<i32> {
    let wanted = format!("{major:02x}:{minor:02x}:{inode}");
    locks.lines().find_map(|line| {
        let fields: Vec<&str> = line.split_whitespace().collect();
        match fields.as_slice() {
            [_, "FLOCK", _, _, pid, file, ..] if *file == wanted => pid.parse().ok().filter(|pid| *pid > 0),
            _ => None,
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_who_holds_it_and_not_who_waits() {
        let locks = "1: FLOCK  ADVISORY  WRITE 7 fd:01:131 0 EOF\n1: -> FLOCK  ADVISORY  WRITE 8 fd:01:131 0 EOF\n\
                     2: POSIX  ADVISORY  WRITE 9 00:1a:5 0 EOF\n3: FLOCK  ADVISORY  READ 10 00:1a:5 0 EOF\n";
        assert_eq!(find(locks, 0xfd, 1, 131), Some(7));
        assert_eq!(find(locks, 0, 0x1a, 5), Some(10));
        assert_eq!(find(locks, 0, 0x1a, 6), None);
    }

    #[test]
    fn this_process() {
        let path = std::env::temp_dir().join(format!("gob-holder-{}", std::process::id()));
        let file = std::fs::File::create(&path).unwrap();
        assert_eq!(holder(&path), None);
        file.lock().unwrap();
        // Some sandboxes show an empty list of locks; there is nothing to find then.
        if std::fs::read_to_string("/proc/locks").is_ok_and(|locks| !locks.is_empty()) {
            assert_eq!(holder(&path).map(|holder| holder.pid), i32::try_from(std::process::id()).ok());
        }
        std::fs::remove_file(&path).unwrap();
    }
}
