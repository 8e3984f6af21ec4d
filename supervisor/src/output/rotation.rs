//! Log files by name: opening, moving up, deleting. Holds no state.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, ErrorKind};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

/// Suffix of a new file until it takes the place of the old one.
const NEW: &str = "new";

/// Opens a log file for appending; makes it, and the directories above it, where they are missing.
pub(super) fn open(path: &Path) -> io::Result<File> {
    match options().append(true).create(true).open(path) {
        Err(error) if error.kind() == ErrorKind::NotFound => {
            make_parent(path)?;
            options().append(true).create(true).open(path)
        }
        opened => opened,
    }
}

/// Makes a log file; `None` when it exists already.
pub(super) fn create(path: &Path) -> io::Result<Option<File>> {
    let create = || match options().append(true).create_new(true).open(path) {
        Ok(file) => Ok(Some(file)),
        Err(error) if error.kind() == ErrorKind::AlreadyExists => Ok(None),
        Err(error) => Err(error),
    };
    match create() {
        Err(error) if error.kind() == ErrorKind::NotFound => {
            make_parent(path)?;
            create()
        }
        created => created,
    }
}

fn options() -> OpenOptions {
    let mut options = OpenOptions::new();
    options.mode(0o600).custom_flags(libc::O_NOFOLLOW | libc::O_NOCTTY);
    options
}

fn make_parent(path: &Path) -> io::Result<()> {
    path.parent().map_or(Ok(()), |dir| DirBuilder::new().recursive(true).mode(0o700).create(dir))
}

/// Replaces a file at once by a new one with the output of `write`, and returns it for appending.
pub(super) fn replace(path: &Path, write: impl FnOnce(&File) -> io::Result<()>) -> io::Result<File> {
    let new = with_suffix(path, NEW);
    let written = remove(&new).and_then(|_| open(&new)).and_then(|file| {
        write(&file)?;
        fs::rename(&new, path)?;
        Ok(file)
    });
    if written.is_err() {
        remove(&new)?;
    }
    written
}

/// Returns whether a path leads to `file`, or to any file where that is closed, and it is not shorter than
/// `size` bytes.
pub(super) fn leads_to(path: &Path, file: Option<&File>, size: u64) -> bool {
    let inode = |stat: &fs::Metadata| (stat.dev(), stat.ino());
    let Ok(there) = fs::symlink_metadata(path) else { return false };
    let is_cut = there.is_file() && there.len() < size;
    !is_cut && file.is_none_or(|file| file.metadata().is_ok_and(|ours| inode(&ours) == inode(&there)))
}

/// Returns the path of the n-th rotated file of a log, 1 being the youngest.
pub(super) fn rotated(path: &Path, n: usize) -> PathBuf {
    with_suffix(path, &n.to_string())
}

fn with_suffix(path: &Path, suffix: &str) -> PathBuf {
    let mut path = path.as_os_str().to_owned();
    path.push(".");
    path.push(suffix);
    path.into()
}

/// Moves a log's `there` rotated files up by one and the log to their head; deletes the oldest beyond `keep`.
/// Missing files are no error.
pub(super) fn move_up(path: &Path, there: usize, keep: usize) -> io::Result<()> {
    if keep == 0 {
        return remove(path).map(drop);
    }
    for n in (keep..=there).rev() {
        remove(&rotated(path, n))?;
    }
    for n in (1..keep.min(there + 1)).rev() {
        rename(&rotated(path, n), &rotated(path, n + 1))?;
    }
    rename(path, &rotated(path, 1))
}

fn rename(from: &Path, to: &Path) -> io::Result<()> {
    match fs::rename(from, to) {
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
        renamed => renamed,
    }
}

/// Deletes a file; false when it is missing.
pub(super) fn remove(path: &Path) -> io::Result<bool> {
    match fs::remove_file(path) {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(false),
        Err(error) => Err(error),
    }
}

/// Deletes all files of a run, and its worker's directory if it was the last one.
pub(super) fn remove_run(dir: &Path, run: u64) -> io::Result<()> {
    let index = dir.join(format!("{run}.idx"));
    remove(&index)?;
    remove(&with_suffix(&index, NEW))?;
    for stream in ["stdout", "stderr"] {
        let path = dir.join(format!("{run}.{stream}.log"));
        remove(&path)?;
        let mut n = 1;
        while remove(&rotated(&path, n))? {
            n += 1;
        }
    }
    match fs::remove_dir(dir) {
        Err(error) if !matches!(error.kind(), ErrorKind::DirectoryNotEmpty | ErrorKind::NotFound) => {
            Err(error)
        }
        Ok(()) | Err(_) => Ok(()),
    }
}

/// Deletes all files of a worker.
pub(super) fn remove_worker(dir: &Path) -> io::Result<()> {
    match fs::remove_dir_all(dir) {
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
        removed => removed,
    }
}
