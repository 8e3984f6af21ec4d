//! The history of a worker that is forgotten: what goes with it, from the supervisor's own thread and, where no supervisor lives,
//! by the command line.

use crate::error::StoreError;
use crate::files::{path_in, uri};
use crate::read::{BUSY, Reader, Supervisor};
use gob_protocol::{EventKind, Name};
use rusqlite::{Connection, OpenFlags, TransactionBehavior};
use std::path::Path;

/// Deletes what is known of a worker, in the open transaction; without `history` its definition alone.
///
/// # Errors
/// SQLite's error.
pub(crate) fn forget(db: &Connection, name: &Name, history: bool) -> rusqlite::Result<()> {
    let tables: &[&str] = if history { &["definition", "run", "worker"] } else { &["definition"] };
    for table in tables {
        let mut delete = db.prepare_cached(&format!("DELETE FROM {table} WHERE name = ?1"))?;
        delete.execute([name.as_str()])?;
    }
    if history {
        // Those who ask what has changed are told that it is gone.
        let sql = "DELETE FROM entry WHERE name = ?1 AND event <> ?2";
        db.prepare_cached(sql)?.execute([name.as_str(), EventKind::WorkerRemoved.as_str()])?;
    }
    Ok(())
}

/// Deletes the history of these workers, all or nothing, from the store of a state directory that no supervisor uses: the caller
/// keeps one from starting meanwhile. The queue in it stays.
///
/// # Errors
/// The reason why the store can't be read or written; nothing was deleted then.
pub fn forget_all(directory: &Path, names: &[Name]) -> Result<(), StoreError> {
    // A file that no reader may use is not written either.
    drop(Reader::open(directory, Supervisor::Gone)?);
    let path = path_in(directory)?;
    let of = |e| StoreError::of(&path, e);
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE
        | OpenFlags::SQLITE_OPEN_URI
        | OpenFlags::SQLITE_OPEN_NOFOLLOW
        | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let mut db = Connection::open_with_flags(uri(&path, "?mode=rw"), flags).map_err(of)?;
    db.busy_timeout(BUSY).map_err(of)?;
    db.execute_batch("PRAGMA trusted_schema=OFF; PRAGMA secure_delete=ON; PRAGMA temp_store=MEMORY")
        .map_err(of)?;
    let transaction = db.transaction_with_behavior(TransactionBehavior::Immediate).map_err(of)?;
    for name in names {
        forget(&transaction, name, true).map_err(of)?;
    }
    transaction.commit().map_err(of)?;
    // The log has the deleted rows until it is merged, which the last connection does when it closes.
    db.close().map_err(|(_, e)| of(e))
}
