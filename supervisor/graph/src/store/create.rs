//! Makes the file of a new graph.
//!
//! The file gets its name only once it is a whole graph, so that an empty file at the path is never one that
//! a killed worker had just begun: it was a graph once, and is refused. No file is made where a log without
//! its graph lies, since the log may have all that the graph had.

use super::StoreError;
use super::place::{self, beside};
use super::schema::{self, of_sqlite};
use nix::errno::Errno;
use nix::fcntl::{AT_FDCWD, RenameFlags, renameat2};
use rusqlite::{Connection, OpenFlags};
use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

/// Makes an empty graph where no file is.
pub(super) fn create(path: &Path) -> Result<(), StoreError> {
    for suffix in ["-wal", "-journal"] {
        let left = beside(path, suffix);
        if place::examine(&left)?.is_some_and(|found| found.len() > 0) {
            return Err(StoreError::Lost { path: path.to_owned(), left });
        }
    }
    let new = beside(path, "-new");
    let failed = |source| StoreError::Io { path: new.clone(), source };
    for left_over in [new.clone(), beside(&new, "-journal")] {
        match fs::remove_file(left_over) {
            Ok(()) => {}
            Err(e) if e.kind() == io::ErrorKind::NotFound => {}
            Err(e) => return Err(failed(e)),
        }
    }
    // Follows no link, and fails where a file has appeared.
    let file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&new).map_err(failed)?;
    drop(file);
    fill(&new).map_err(|e| of_sqlite(&new, e))?;
    File::open(&new).and_then(|file| file.sync_all()).map_err(failed)?;
    rename(&new, path).map_err(|source| StoreError::Io { path: path.to_owned(), source })
}

fn fill(new: &Path) -> rusqlite::Result<()> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let mut db = Connection::open_with_flags(new, flags)?;
    // The whole file is made durable at once, before it gets its name.
    db.execute_batch("PRAGMA synchronous=OFF")?;
    schema::migrate(&mut db, 0)?;
    db.close().map_err(|(_, e)| e)
}

/// Renames without replacing a file that appeared meanwhile. Some file systems can't promise that.
fn rename(new: &Path, path: &Path) -> io::Result<()> {
    match renameat2(AT_FDCWD, new, AT_FDCWD, path, RenameFlags::RENAME_NOREPLACE) {
        Ok(()) => Ok(()),
        Err(Errno::EINVAL | Errno::ENOSYS) => fs::rename(new, path),
        Err(e) => Err(e.into()),
    }
}
