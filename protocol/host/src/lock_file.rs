//! The file `gobd.lock`, whose flock decides which supervisor lives: opened by the keeper at a start, and by
//! the supervisor when the file was removed.
//!
//! An empty file means that the last supervisor ended in order, so that its successor need not scan for a
//! living one. No other file may ever look like that, not for a moment and not on a full disk: a new file has
//! a length before it has its name, and a line is overwritten before it is cut.

use nix::errno::Errno;
use nix::libc;
use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::Path;

/// Opens the lock file for reading and writing, making it where it is missing.
///
/// # Errors
/// Something else than a regular file is in its place and stays as it is; or the file could not be opened or
/// made.
pub fn open(path: &Path) -> io::Result<File> {
    // O_NONBLOCK for the same reason as O_NOFOLLOW: the path may be any kind of file.
    let flags = libc::O_NOFOLLOW | libc::O_NOCTTY | libc::O_NONBLOCK;
    let mut options = OpenOptions::new();
    options.read(true).write(true).mode(0o600).custom_flags(flags);
    let file = match options.open(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => make(path, &options)?,
        opened => opened?,
    };
    if file.metadata()?.is_file() { Ok(file) } else { Err(io::Error::other("it is not a regular file")) }
}

/// Makes the file under another name and gives it its own by a link, which replaces nothing: where another
/// process was faster, its file is opened.
fn make(path: &Path, options: &OpenOptions) -> io::Result<File> {
    let temporary = path.with_extension(format!("lock.{}", std::process::id()));
    // A process with this number may have died here.
    remove(&temporary)?;
    let new = options.clone().create_new(true).open(&temporary)?;
    // A hole needs no room on a full disk.
    let linked = new.set_len(1).and_then(|()| fs::hard_link(&temporary, path));
    remove(&temporary)?;
    match linked.map_err(|error| Errno::from_raw(error.raw_os_error().unwrap_or_default())) {
        Ok(()) | Err(Errno::EEXIST) => options.open(path),
        // A file system without links: there the file is empty for a moment.
        Err(Errno::EPERM | Errno::EOPNOTSUPP | Errno::ENOSYS) => {
            let file = options.clone().create(true).open(path)?;
            file.set_len(1).map(|()| file)
        }
        Err(errno) => Err(errno.into()),
    }
}

fn remove(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        Ok(()) | Err(_) => Ok(()),
    }
}

/// Replaces the content. The file itself stays: it is the lock.
///
/// # Errors
/// The file could not be written or cut.
pub fn rewrite(lock: &File, text: &str) -> io::Result<()> {
    // Overwriting needs no room on a full disk.
    lock.write_all_at(text.as_bytes(), 0)?;
    lock.set_len(u64::try_from(text.len()).unwrap_or(u64::MAX))
}

/// Returns whether an orderly end left the file.
///
/// # Errors
/// The file could not be looked at.
pub fn is_as_left(lock: &File) -> io::Result<bool> {
    lock.metadata().map(|found| found.len() == 0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::{MetadataExt, PermissionsExt};

    #[test]
    fn a_new_file_never_looks_as_an_orderly_end_leaves_it() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("gobd.lock");
        let is_over = std::sync::atomic::AtomicBool::new(false);
        let is_over = &is_over;
        std::thread::scope(|scope| {
            let looks = scope.spawn(|| {
                let mut seen = 0;
                while seen == 0 || !is_over.load(std::sync::atomic::Ordering::Relaxed) {
                    if let Ok(found) = fs::metadata(&path) {
                        assert_ne!(found.len(), 0, "after {seen} looks");
                        seen += 1;
                    }
                }
                seen
            });
            for _ in 0..2_000 {
                drop(open(&path).unwrap());
                fs::remove_file(&path).unwrap();
            }
            while !looks.is_finished() && !path.exists() {
                drop(open(&path).unwrap());
            }
            is_over.store(true, std::sync::atomic::Ordering::Relaxed);
            assert!(looks.join().unwrap() > 0);
        });
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1, "no other name is left");
    }

    #[test]
    fn the_fastest_opener_makes_the_file_and_all_get_the_same() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("gobd.lock");
        let first = open(&path).unwrap();
        let mode = first.metadata().unwrap().permissions().mode();
        assert_eq!((mode & 0o777, is_as_left(&first).unwrap()), (0o600, false));
        // As if the file had come between the look and the link.
        let mut options = OpenOptions::new();
        let second = make(&path, options.read(true).write(true).mode(0o600)).unwrap();
        assert_eq!(first.metadata().unwrap().ino(), second.metadata().unwrap().ino());
        rewrite(&first, "{\"pid\":7}\n").unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), "{\"pid\":7}\n");
        rewrite(&second, "").unwrap();
        assert!(is_as_left(&open(&path).unwrap()).unwrap());
    }
}
