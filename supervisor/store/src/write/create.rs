//! Makes a new store.
//!
//! A file gets its name only once it is whole and on the disk, so that an empty or half file at the path is
//! never one that a killed supervisor had just begun. It is built as `-making` and is whole as `-new`; one
//! that was left as `-new` is used, since its counters may be all that is left of a damaged store.

use super::open::{Notices, Place};
use super::told::Notice;
use crate::error::StoreError;
use crate::files::{COMPANIONS, JOURNAL, MAKING, NEW, beside, examine};
use crate::schema::{self, Standing};
use nix::errno::Errno;
use nix::fcntl::{AT_FDCWD, RenameFlags, renameat2};
use rusqlite::{Connection, OpenFlags};
use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

/// Puts a new store where none is.
pub(super) fn create(place: &Place, notices: &mut Notices) -> Result<(), StoreError> {
    let [log, index] = COMPANIONS;
    if examine(&beside(&place.path, log))?.is_some_and(|log| log.len() > 0) {
        let aside = super::salvage::move_aside(&place.path)?;
        notices.push(Notice::LogAside { aside: beside(&aside, log) });
    }
    for left_over in [log, index, JOURNAL] {
        remove(&beside(&place.path, left_over))?;
    }
    if !is_whole(place)? {
        make(place, |_| Ok(()))?;
    }
    put_in_place(&place.path)
}

/// Returns whether a whole store waits for its name.
fn is_whole(place: &Place) -> Result<bool, StoreError> {
    let new = beside(&place.path, NEW);
    let Some(held) = examine(&new)? else { return Ok(false) };
    let marks = held.marks().map_err(StoreError::io("read", &new))?;
    let known = place.steps.len();
    Ok(marks.is_some_and(|marks| schema::standing(marks, known) == Standing::Version(known)))
}

/// Builds a store that waits for its name, with the rows that `fill` puts into it.
pub(super) fn make<T>(
    place: &Place,
    fill: impl FnOnce(&Connection) -> Result<T, StoreError>,
) -> Result<T, StoreError> {
    let making = beside(&place.path, MAKING);
    make_empty(&making)?;
    let of = |e| StoreError::of(&making, e);
    let flags =
        OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NOFOLLOW | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let mut db = Connection::open_with_flags(&making, flags).map_err(of)?;
    // The whole file is made durable at once, before it gets its name.
    db.execute_batch("PRAGMA synchronous=OFF; PRAGMA journal_mode=MEMORY").map_err(of)?;
    for (from, step) in place.steps.iter().enumerate() {
        super::open::advance(&mut db, from, *step).map_err(of)?;
    }
    let transaction = db.transaction().map_err(of)?;
    let filled = fill(&transaction)?;
    transaction.commit().map_err(of)?;
    db.close().map_err(|(_, e)| of(e))?;
    let new = beside(&place.path, NEW);
    let synced = File::open(&making).and_then(|file| file.sync_all());
    synced.and_then(|()| fs::rename(&making, &new)).map_err(StoreError::io("make", &making))?;
    Ok(filled)
}

/// Makes an empty private file in the place of one that was left there.
pub(super) fn make_empty(path: &Path) -> Result<(), StoreError> {
    remove(path)?;
    remove(&beside(path, JOURNAL))?;
    // Follows no link, and fails where a file has appeared.
    let made = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path);
    made.map(drop).map_err(StoreError::io("make", path))
}

/// Gives the new store its name, and makes the name durable.
pub(super) fn put_in_place(path: &Path) -> Result<(), StoreError> {
    let new = beside(path, NEW);
    rename_free(&new, path).and_then(|()| sync_directory(path)).map_err(StoreError::io("make", path))
}

/// Makes the names of a file's directory durable.
pub(super) fn sync_directory(path: &Path) -> io::Result<()> {
    File::open(path.parent().map_or_else(|| PathBuf::from("/"), Path::to_owned))?.sync_all()
}

/// Renames without replacing a file that appeared meanwhile. Some file systems can't promise that.
fn rename_free(from: &Path, to: &Path) -> io::Result<()> {
    match renameat2(AT_FDCWD, from, AT_FDCWD, to, RenameFlags::RENAME_NOREPLACE) {
        Ok(()) => Ok(()),
        Err(Errno::EINVAL | Errno::ENOSYS) => fs::rename(from, to),
        Err(e) => Err(e.into()),
    }
}

/// Removes a file that may not be there.
pub(super) fn remove(path: &Path) -> Result<(), StoreError> {
    match fs::remove_file(path) {
        Ok(()) => Ok(()),
        Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(e) => Err(StoreError::io("remove", path)(e)),
    }
}
