//! The writer on loan, and the checks around each write.
//!
//! Only the holder of the writer changes the graph's files, so it compares them before it writes and before
//! the write is acknowledged. SQLite's own merging at a commit is off: the holder merges the log between two
//! checks, so that no foreign change of the graph's file goes unseen.

use super::{Gone, Store, busy, refusal};
use crate::limits::{IMPORT_WRITER_WAIT, MERGE_PAGES, POOL_WAIT, STOP_CHECKPOINT};
use crate::log;
use crate::pool::Taken;
use crate::requests::Refusal;
use gob_protocol::{ErrorCode, WireError};
use rusqlite::Connection;
use std::ops::{Deref, DerefMut};
use std::time::Duration;

/// The writer, until it is given back.
#[derive(Debug)]
pub(crate) struct Writing<'s> {
    store: &'s Store,
    connection: Taken<'s, Connection>,
    is_settled: bool,
}

impl Store {
    /// Takes the writer.
    pub(crate) fn writer(&self) -> Result<Writing<'_>, Refusal> {
        self.take_writer(POOL_WAIT)
    }

    /// Takes the writer for an import, which may wait longer.
    pub(crate) fn import_writer(&self) -> Result<Writing<'_>, Refusal> {
        self.take_writer(IMPORT_WRITER_WAIT)
    }

    fn take_writer(&self, wait: Duration) -> Result<Writing<'_>, Refusal> {
        let connection = self.lend(wait)?.ok_or_else(|| busy("writers", 1))?;
        let writing = Writing { store: self, connection, is_settled: false };
        match self.place.check_before_write() {
            Ok(()) => Ok(writing),
            Err(gone) => Err(writing.give_up(gone)),
        }
    }

    fn lend(&self, wait: Duration) -> Result<Option<Taken<'_, Connection>>, Refusal> {
        // The writer always exists: it is put back even after a failed request.
        self.writer
            .take(wait, || Err(Refusal::from(WireError::new(ErrorCode::Internal, "the writer is lost"))))
    }

    /// Returns whether the files' content changed while no request wrote; false in doubt.
    pub(crate) fn is_overwritten(&self) -> bool {
        let Ok(Some(_writer)) = self.lend(Duration::ZERO) else { return false };
        self.place.check_before_write().is_err_and(|gone| {
            self.gone.get_or_init(|| gone);
            true
        })
    }

    /// Moves the whole log into the file, as far as readers allow and as long as both files are unchanged.
    /// Returns the changed file otherwise.
    pub(crate) fn finish(&self) -> Option<Gone> {
        let Ok(Some(writer)) = self.lend(STOP_CHECKPOINT) else {
            log::line(format_args!("the writer did not end in time; the log is merged at the next start"));
            return self.gone();
        };
        if let Err(gone) = self.place.check_before_write() {
            self.gone.get_or_init(|| gone);
        }
        let gone = self.gone();
        if gone.is_none() || self.place.is_mergeable() || self.place.is_moved_alone() {
            self.merge_all(&writer);
            return gone;
        }
        match self.place.put_log_aside() {
            Ok(None) => {}
            Ok(Some(aside)) => log::line(format_args!(
                "the log of what was there before is now {}; it may have what was written last, for that file alone",
                aside.display()
            )),
            Err(e) => log::line(format_args!("cannot put the log of what was there before aside: {e}")),
        }
        gone
    }

    fn merge_all(&self, writer: &Connection) {
        let merged = writer
            .busy_timeout(STOP_CHECKPOINT)
            .and_then(|()| writer.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(())));
        if let Err(e) = merged {
            log::line(format_args!("cannot merge the log of {}: {e}", self.path.display()));
        }
    }
}

impl Writing<'_> {
    /// Gives the writer back. Returns the result of the write, unless a later reader of the graph's path
    /// would not find it.
    ///
    /// # Errors
    /// `graph-gone`, whatever the result of the write; its own error otherwise.
    pub(crate) fn confirm<T>(mut self, done: Result<T, Refusal>) -> Result<T, Refusal> {
        match self.settle() {
            Ok(()) => done,
            Err(gone) => Err(self.give_up(gone)),
        }
    }

    /// Compares the files after a write, and merges a log that has grown long.
    fn settle(&mut self) -> Result<(), Gone> {
        self.is_settled = true;
        let place = &self.store.place;
        if !place.check_after_write(MERGE_PAGES)?.0 {
            return Ok(());
        }
        // A merge that fails now, because of a reader or a full disk, is left to the next write: the log has
        // everything.
        if self.connection.query_row("PRAGMA wal_checkpoint(PASSIVE)", [], |_| Ok(())).is_err() {
            log::line(format_args!("the log of {} was not merged", self.store.path.display()));
        }
        place.note_merge()
    }

    fn give_up(mut self, gone: Gone) -> Refusal {
        self.is_settled = true;
        // The first difference stays.
        refusal(self.store.gone.get_or_init(|| gone))
    }
}

impl Drop for Writing<'_> {
    fn drop(&mut self) {
        if !self.is_settled
            && let Err(gone) = self.settle()
        {
            self.store.gone.get_or_init(|| gone);
        }
    }
}

impl Deref for Writing<'_> {
    type Target = Connection;

    fn deref(&self) -> &Connection {
        &self.connection
    }
}

impl DerefMut for Writing<'_> {
    fn deref_mut(&mut self) -> &mut Connection {
        &mut self.connection
    }
}
