//! The two locks that alone decide which supervisor lives: the state directory's `gobd.lock` first, then the
//! runtime directory.
//!
//! Owns both descriptors. The supervisor inherits and shares them, and so the lock: no program ever calls
//! LOCK_UN or unlinks the file.

use crate::error::Error;
use crate::living;
use crate::paths::Paths;
use gob_host::dirs::{own_runtime, own_state};
use gob_host::lock_file;
use std::fs::{File, Metadata, TryLockError};
use std::io::Read;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

/// Replacements of a lock between open and flock before they are taken for malice.
const TRIES: usize = 100;

/// Both locks, held.
#[derive(Debug)]
pub(crate) struct Locks {
    /// `gobd.lock`.
    pub(crate) state: File,
    /// The runtime directory.
    pub(crate) runtime: File,
}

impl Locks {
    /// Takes both locks, or neither.
    pub(crate) fn acquire(paths: &Paths) -> Result<Self, Error> {
        let state = lock_state(&paths.dirs.state)?;
        let runtime = lock_runtime(&paths.dirs.runtime)?;
        Ok(Self { state, runtime })
    }

    /// Takes a lock anew whose path was deleted or replaced meanwhile. A living supervisor heals such a loss,
    /// but its locked file died with it.
    pub(crate) fn renew(&mut self, paths: &Paths) -> Result<(), Error> {
        let path = paths.dirs.state.join("gobd.lock");
        if !is_at(&self.state, &path) {
            own_state(&paths.dirs.state)?;
            self.state = lock_state(&paths.dirs.state)?;
        }
        if !is_at(&self.runtime, &paths.dirs.runtime) {
            self.runtime = lock_runtime(&paths.dirs.runtime)?;
        }
        Ok(())
    }
}

fn lock_state(dir: &Path) -> Result<File, Error> {
    let path = dir.join("gobd.lock");
    let failed = |operation| {
        let path = path.clone();
        move |source| Error::Path { operation, path, source }
    };
    let file = lock(&path, || lock_file::open(&path).map_err(failed("open the lock")), pid_in)?;
    // Unless an orderly end left the file, a supervisor may have lost it and live on.
    let is_as_left = lock_file::is_as_left(&file).map_err(failed("look at"))?;
    match if is_as_left { None } else { living::supervisor_of(dir) } {
        Some(pid) => {
            // The next keeper must scan as well, and a caller is told the pid.
            lock_file::rewrite(&file, &format!("{{\"pid\":{pid}}}\n")).map_err(failed("write"))?;
            Err(Error::AlreadyRunning { pid: Some(pid), path })
        }
        None => Ok(file),
    }
}

fn lock_runtime(path: &Path) -> Result<File, Error> {
    let pid = |_: &File| File::open(path.join("daemon.pid")).ok().and_then(|file| pid_in(&file));
    lock(path, || Ok(own_runtime(path)?), pid)
}

/// Locks the file that `open` opens and checks that the path still names it: two processes that hold locks on
/// two generations of one path would both believe to be the one.
fn lock(
    path: &Path,
    open: impl Fn() -> Result<File, Error>,
    holder: impl Fn(&File) -> Option<u32>,
) -> Result<File, Error> {
    for _ in 0..TRIES {
        let file = open()?;
        match file.try_lock() {
            Ok(()) if is_at(&file, path) => return Ok(file),
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                return Err(Error::AlreadyRunning { pid: holder(&file), path: path.to_owned() });
            }
            Err(TryLockError::Error(source)) => {
                return Err(Error::Path { operation: "lock", path: path.to_owned(), source });
            }
        }
    }
    Err(Error::LockReplaced { path: path.to_owned() })
}

fn is_at(file: &File, path: &Path) -> bool {
    let inode = |stat: Metadata| (stat.dev(), stat.ino());
    match (file.metadata(), std::fs::symlink_metadata(path)) {
        (Ok(ours), Ok(there)) => inode(ours) == inode(there),
        (Ok(_) | Err(_), Ok(_) | Err(_)) => false,
    }
}

/// Returns the supervisor's pid from the head of a file that it wrote; for a message, so anything unexpected
/// is just no pid.
fn pid_in(file: &File) -> Option<u32> {
    let mut head = Vec::new();
    file.take(4096).read_to_end(&mut head).ok()?;
    parse_pid(&String::from_utf8_lossy(&head))
}

fn parse_pid(text: &str) -> Option<u32> {
    let from = text.find("\"pid\"").map_or(0, |at| at + "\"pid\"".len());
    let rest = text.get(from..)?.trim_start_matches([':', ' ']);
    let digits = rest.split(|c: char| !c.is_ascii_digit()).next()?;
    digits.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pid_is_read_from_an_object_or_a_number() {
        assert_eq!(parse_pid("{\"instance\":\"1-2\",\"pid\": 42,\"time\":7}\n"), Some(42));
        assert_eq!(parse_pid("4242\n"), Some(4242));
        assert_eq!(parse_pid("pid=3"), None);
        assert_eq!(parse_pid(""), None);
    }
}
