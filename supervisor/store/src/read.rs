//! The read-only door: history without a supervisor.
//!
//! Makes no file. A store that was closed in order has no log, and is read as it is. A log that was not
//! merged is read through its index: SQLite shares that with a writer, or keeps its own in memory where
//! there is none (`readonly_shm`).

use crate::error::StoreError;
use crate::files::{COMPANIONS, JOURNAL, Marks, beside, examine, path_in, uri};
use crate::model::{Definitions, Page};
use crate::queries;
use crate::schema::{self, STEPS, Standing};
use gob_protocol::answer::{BlameData, HistoryData};
use gob_protocol::{Cursor, Name, RunOutcome, RunRecord, Stats};
use rusqlite::{Connection, OpenFlags};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Wait for a lock that another process has.
pub(crate) const BUSY: Duration = Duration::from_secs(1);

/// Whether a supervisor lives, whose runs may be under way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Supervisor {
    /// It lives, or may live.
    Lives,
    /// It has ended: a run without an end was cut off.
    Gone,
}

/// A store that is open for reading.
#[derive(Debug)]
pub struct Reader {
    db: Connection,
    path: PathBuf,
    supervisor: Supervisor,
}

impl Reader {
    /// Opens the store of a state directory.
    ///
    /// # Errors
    /// The reason why it can't be read: there is none yet, it is of another version, or it is damaged.
    pub fn open(directory: &Path, supervisor: Supervisor) -> Result<Self, StoreError> {
        let path = path_in(directory)?;
        let db = open(&path)?;
        Ok(Self { db, path, supervisor })
    }

    /// Returns runs of a worker, newest first, of a lower number than `before`; at most 1000.
    ///
    /// # Errors
    /// The reason why they can't be read.
    pub fn runs(&self, name: &Name, before: Option<u64>, limit: u32) -> Result<Page<RunRecord>, StoreError> {
        let mut page = queries::runs(&self.db, name, before, limit).map_err(|e| self.failed(e))?;
        page.items.iter_mut().for_each(|run| self.cut(run));
        Ok(page)
    }

    /// Returns the statistics of a worker's runs.
    ///
    /// # Errors
    /// The reason why they can't be read.
    pub fn stats(&self, name: &Name) -> Result<Stats, StoreError> {
        queries::stats(&self.db, name).map_err(|e| self.failed(e))
    }

    /// Returns the changes of a worker, newest first, of those before `before`; at most 1000.
    ///
    /// # Errors
    /// The reason why they can't be read.
    pub fn blame(&self, name: &Name, before: Option<&Cursor>, limit: u32) -> Result<BlameData, StoreError> {
        queries::blame(&self.db, name, before, limit).map_err(|e| self.failed(e))
    }

    /// Returns the changes after a place, oldest first; at most 1000.
    ///
    /// # Errors
    /// The reason why they can't be read.
    pub fn since(&self, after: &Cursor, limit: u32) -> Result<HistoryData, StoreError> {
        queries::since(&self.db, after, limit).map_err(|e| self.failed(e))
    }

    /// Returns definitions in the order of their names, of those after `after`; at most 1000.
    ///
    /// # Errors
    /// The reason why they can't be read.
    pub fn definitions(&self, after: Option<&Name>, limit: u32) -> Result<Definitions, StoreError> {
        let mut found = queries::definitions(&self.db, after, limit).map_err(|e| self.failed(e))?;
        found.known.iter_mut().filter_map(|known| known.last.as_mut()).for_each(|run| self.cut(run));
        Ok(found)
    }

    /// Counts jobs of the queue that wait or run.
    ///
    /// # Errors
    /// The reason why they can't be counted.
    pub fn unfinished(&self) -> Result<u64, StoreError> {
        queries::unfinished(&self.db).map_err(|e| self.failed(e))
    }

    /// Marks a run that a dead supervisor left.
    fn cut(&self, run: &mut RunRecord) {
        if self.supervisor == Supervisor::Gone && run.outcome.is_none() {
            run.outcome = Some(RunOutcome::Killed);
            run.cut = true;
        }
    }

    pub(crate) fn failed(&self, error: rusqlite::Error) -> StoreError {
        StoreError::of(&self.path, error)
    }

    /// Returns the connection, for the thread's questions.
    #[cfg(feature = "write")]
    pub(crate) fn connection(&self) -> &Connection {
        &self.db
    }
}

fn open(path: &Path) -> Result<Connection, StoreError> {
    let companion = |suffix| examine(&beside(path, suffix));
    let [log, index] = COMPANIONS;
    let has_log = companion(log)?.is_some_and(|log| log.len() > 0);
    let has_index = companion(index)?.is_some();
    let held = examine(path)?.ok_or_else(|| StoreError::Missing(path.to_owned()))?;
    let marks = held.marks().map_err(StoreError::io("read", path))?;
    let damaged = |why: &str| StoreError::Damaged { path: path.to_owned(), why: why.to_owned() };
    let marks = marks.ok_or_else(|| damaged("it does not begin as a database does"))?;
    // The log may have later marks than the file, and never earlier ones.
    if !matches!(schema::standing(marks, STEPS.len()), Standing::Version(_)) {
        judge(path, marks, STEPS.len())?;
    }
    if companion(JOURNAL)?.is_some_and(|journal| journal.len() > 0) {
        return Err(StoreError::Unmerged(beside(path, JOURNAL)));
    }
    let query = match (has_log, has_index) {
        (false, _) => "?mode=ro&immutable=1",
        (true, true) => "?mode=ro&readonly_shm=1",
        (true, false) => return Err(StoreError::Unmerged(beside(path, log))),
    };
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY
        | OpenFlags::SQLITE_OPEN_URI
        | OpenFlags::SQLITE_OPEN_NOFOLLOW
        | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let of = |e| StoreError::of(path, e);
    let db = Connection::open_with_flags(uri(path, query), flags).map_err(of)?;
    db.busy_timeout(BUSY).map_err(of)?;
    db.execute_batch("PRAGMA query_only=ON; PRAGMA trusted_schema=OFF; PRAGMA cache_size=-512")
        .map_err(of)?;
    judge(path, schema::marks(&db).map_err(of)?, STEPS.len())?;
    if !held.is_at(path) {
        return Err(damaged("another file took its place while it was opened"));
    }
    Ok(db)
}

/// Refuses marks that are not those of the version `known`.
pub(crate) fn judge(path: &Path, marks: Marks, known: usize) -> Result<(), StoreError> {
    let version = i64::try_from(known).unwrap_or(i64::MAX);
    let path = path.to_owned();
    match schema::standing(marks, known) {
        Standing::Version(found) if found == known => Ok(()),
        Standing::Version(_) => Err(StoreError::Older { path, found: marks.version, known: version }),
        Standing::Newer(found) => Err(StoreError::Newer { path, found, known: version }),
        Standing::Other => {
            Err(StoreError::Damaged { path, why: "it is a database of another program".to_owned() })
        }
    }
}
