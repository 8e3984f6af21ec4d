//! The lock file of a program that does not ask gob: read as far as it may be trusted, and removed when its
//! process is dead and it still is the file that was read.

use crate::program;
use gob_config::foreign::MAX_LOCK_BYTES;
use gob_core::LockFlaw;
use std::fs::{self, File, OpenOptions};
use std::io::{self, ErrorKind, Read as _};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

/// A lock file as it was read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct LockFile {
    pub(super) bytes: Vec<u8>,
    /// Device and inode.
    id: (u64, u64),
}

/// Reads the lock file; `None` when it is missing.
///
/// # Errors
/// When the file can't be read, is not a regular file, or is too long to be a lock file.
pub(super) fn read(path: &Path) -> Result<Option<LockFile>, LockFlaw> {
    // A FIFO must not block us, and such a program makes no symbolic link.
    let opened = OpenOptions::new().read(true).custom_flags(libc::O_NONBLOCK | libc::O_NOFOLLOW).open(path);
    let file = match opened {
        Ok(file) => file,
        Err(e) if matches!(e.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => return Ok(None),
        Err(e) => return Err(machine(e)),
    };
    read_open(file).map(Some)
}

fn machine(error: io::Error) -> LockFlaw {
    LockFlaw::Machine(program::errno(&error))
}

fn read_open(file: File) -> Result<LockFile, LockFlaw> {
    let meta = file.metadata().map_err(machine)?;
    if !meta.is_file() {
        return Err(LockFlaw::NotAFile);
    }
    let mut bytes = Vec::new();
    file.take(MAX_LOCK_BYTES + 1).read_to_end(&mut bytes).map_err(machine)?;
    if bytes.len() as u64 > MAX_LOCK_BYTES {
        return Err(LockFlaw::TooLong { most: MAX_LOCK_BYTES });
    }
    Ok(LockFile { bytes, id: (meta.dev(), meta.ino()) })
}

/// Removes a dead process's lock file; false when another file is there by now, which stays.
///
/// The file is moved aside first and compared again there, so that a lock that was made since the last read
/// is put back instead of being deleted.
///
/// # Errors
/// When the file system refuses.
pub(super) fn remove_stale(path: &Path, stale: &LockFile) -> Result<bool, LockFlaw> {
    if read(path)?.as_ref() != Some(stale) {
        return Ok(false);
    }
    let aside = aside(path);
    match fs::rename(path, &aside) {
        Ok(()) => {}
        Err(e) if e.kind() == ErrorKind::NotFound => return Ok(false),
        Err(e) => return Err(machine(e)),
    }
    let moved = read(&aside);
    if moved.as_ref().is_ok_and(|moved| moved.as_ref() == Some(stale)) {
        fs::remove_file(&aside).map_err(machine)?;
        return Ok(true);
    }
    put_back(&aside, path).map_err(machine)?;
    Ok(false)
}

/// Puts back a lock that was moved by mistake, unless there is a newer one: then it stays aside, for people
/// to see.
fn put_back(aside: &Path, path: &Path) -> io::Result<()> {
    fs::hard_link(aside, path)?;
    fs::remove_file(aside)
}

fn aside(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(format!(".stale-{}", std::process::id()));
    name.into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::symlink;

    /// A directory of its own, removed at the end.
    struct Dir(PathBuf);

    impl Dir {
        fn new(name: &str) -> Self {
            let dir = std::env::temp_dir().join(format!("gob-lockfile-{name}-{}", std::process::id()));
            fs::create_dir_all(&dir).unwrap();
            Self(dir)
        }
    }

    impl Drop for Dir {
        fn drop(&mut self) {
            fs::remove_dir_all(&self.0).unwrap();
        }
    }

    #[test]
    fn only_a_regular_file_of_bounded_length_is_read() {
        let dir = Dir::new("read");
        let path = dir.0.join("lock");
        assert_eq!(read(&path).unwrap(), None);
        assert_eq!(read(&path.join("below")).unwrap(), None);
        fs::write(&path, "{}").unwrap();
        assert_eq!(read(&path).unwrap().unwrap().bytes, b"{}");
        assert_eq!(read(&path.join("below a file")).unwrap(), None);
        fs::write(&path, vec![b' '; 65_537]).unwrap();
        assert!(read(&path).is_err());
        fs::write(&path, "{}").unwrap();
        symlink(&path, dir.0.join("link")).unwrap();
        assert!(read(&dir.0.join("link")).is_err());
        assert!(read(&dir.0).is_err());
        nix::unistd::mkfifo(&dir.0.join("fifo"), nix::sys::stat::Mode::S_IRUSR).unwrap();
        assert!(read(&dir.0.join("fifo")).is_err());
    }

    #[test]
    fn a_lock_file_that_changed_stays() {
        let dir = Dir::new("stale");
        let path = dir.0.join("lock");
        let write = |text: &str| {
            fs::write(&path, text).unwrap();
            read(&path).unwrap().unwrap()
        };
        let old = write("{\"pid\":1,\"lock-id\":\"a\"}");
        write("{\"pid\":1,\"lock-id\":\"b\"}");
        assert!(!remove_stale(&path, &old).unwrap(), "another id");
        assert!(path.exists());
        // The same bytes in another file are another life's.
        let before = write("same");
        fs::rename(&path, dir.0.join("kept")).unwrap();
        write("same");
        assert!(!remove_stale(&path, &before).unwrap(), "another file");
        assert!(path.exists());
        let now = read(&path).unwrap().unwrap();
        assert!(remove_stale(&path, &now).unwrap());
        assert!(!path.exists());
        assert!(!remove_stale(&path, &now).unwrap(), "it is gone already");
        assert_eq!(fs::read_dir(&dir.0).unwrap().count(), 1, "nothing is left aside");
    }

    #[test]
    fn a_lock_that_was_moved_by_mistake_goes_back_and_never_over_a_newer_one() {
        let dir = Dir::new("back");
        let (path, aside) = (dir.0.join("lock"), dir.0.join("aside"));
        fs::write(&aside, "live").unwrap();
        put_back(&aside, &path).unwrap();
        assert_eq!((fs::read(&path).unwrap().as_slice(), aside.exists()), (b"live".as_slice(), false));
        fs::write(&aside, "older").unwrap();
        assert!(put_back(&aside, &path).is_err());
        assert_eq!(fs::read(&path).unwrap(), b"live");
        assert!(aside.exists(), "nothing of it is lost");
    }
}
