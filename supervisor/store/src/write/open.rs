//! Opens the store for the thread: makes it, migrates it, and begins a supervisor's life in it.

use super::create;
use super::records;
use super::salvage;
use super::told::Notice;
use crate::error::StoreError;
use crate::files::{COMPANIONS, COPY, Held, JOURNAL, beside, examine, path_in, uri};
use crate::schema::{self, APPLICATION_ID, Standing, Step};
use rusqlite::config::DbConfig;
use rusqlite::{Connection, OpenFlags, OptionalExtension as _, TransactionBehavior};
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// Wait of one step for a lock that another process has; the thread tries again later.
const BUSY: Duration = Duration::from_millis(100);

/// Size up to which a store is checked: some tenths of a second.
const CHECKED_BYTES: u64 = 64 << 20;
/// The answer of a check without a finding.
const SOUND: &str = "ok";

/// Notices of one opening, in their order.
pub(super) type Notices = Vec<Notice>;

/// The store's place, and the facts that an opening needs.
#[derive(Debug)]
pub(super) struct Place {
    /// The store's path, without a link in it.
    pub(super) path: PathBuf,
    /// The supervisor's instance.
    pub(super) instance: String,
    /// The highest number of a job that is known to be in use.
    pub(super) floor: u64,
    /// Steps of the format.
    pub(super) steps: &'static [Step],
}

impl Place {
    /// Finds the store's place in a directory.
    pub(super) fn find(
        directory: &Path,
        instance: &str,
        floor: u64,
        steps: &'static [Step],
    ) -> Result<Self, StoreError> {
        Ok(Self { path: path_in(directory)?, instance: instance.to_owned(), floor, steps })
    }
}

/// An open store.
#[derive(Debug)]
pub(super) struct Db {
    pub(super) connection: Connection,
    pub(super) path: PathBuf,
    /// The row of this supervisor's life.
    pub(super) life: i64,
    held: Held,
    companions: Vec<(PathBuf, Held)>,
}

/// Where the files of an open store are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Standpoint {
    /// Where they were.
    InPlace,
    /// The log or its index is not, and the store is.
    LogGone,
    /// There is no file at the store's path.
    Gone,
    /// Another file is at the store's path.
    Replaced,
}

/// Opens the store. A damaged one is moved aside, and what can be read of it is kept.
pub(super) fn open(place: &Place, notices: &mut Notices) -> Result<Db, StoreError> {
    match try_open(place, notices) {
        Err(StoreError::Damaged { why, .. }) => {
            notices.push(salvage::replace(place, why)?);
            try_open(place, notices)
        }
        opened => opened,
    }
}

fn try_open(place: &Place, notices: &mut Notices) -> Result<Db, StoreError> {
    let path = &place.path;
    for suffix in COMPANIONS.iter().chain(&[JOURNAL]) {
        examine(&beside(path, suffix))?;
    }
    if examine(path)?.is_none() {
        create::create(place, notices)?;
    }
    let held = examine(path)?.ok_or_else(|| StoreError::Missing(path.clone()))?;
    let damaged = |why: &str| StoreError::Damaged { path: path.clone(), why: why.to_owned() };
    let marks = held.marks().map_err(StoreError::io("read", path))?;
    let marks = marks.ok_or_else(|| damaged("it does not begin as a database does"))?;
    judge(place, marks)?;
    let of = |e| StoreError::of(path, e);
    let flags =
        OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NOFOLLOW | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let mut connection = Connection::open_with_flags(path, flags).map_err(of)?;
    connection.busy_timeout(BUSY).map_err(of)?;
    // A close that removes the log by its name might remove another store's.
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true).map_err(of)?;
    let version = judge(place, schema::marks(&connection).map_err(of)?)?;
    if connection.is_readonly("main").map_err(of)? {
        let source = std::io::Error::from(std::io::ErrorKind::PermissionDenied);
        return Err(StoreError::ReadOnly { path: path.clone(), source });
    }
    held.make_private().map_err(StoreError::io("change the rights of", path))?;
    set_up(&connection).map_err(of)?;
    migrate(place, &mut connection, version, notices)?;
    let life = begin_life(place, &mut connection).map_err(of)?;
    let mut companions = Vec::new();
    for suffix in COMPANIONS {
        let path = beside(path, suffix);
        if let Some(companion) = examine(&path)? {
            companion.make_private().map_err(StoreError::io("change the rights of", &path))?;
            companions.push((path, companion));
        }
    }
    let db = Db { connection, path: path.clone(), life, held, companions };
    // SQLite opened the path a moment after it was examined.
    if db.standpoint() == Standpoint::InPlace { Ok(db) } else { Err(StoreError::Locked(path.clone())) }
}

/// Returns the version of a store; refuses a newer one, and calls any other file damaged.
fn judge(place: &Place, marks: crate::files::Marks) -> Result<usize, StoreError> {
    let path = place.path.clone();
    match schema::standing(marks, place.steps.len()) {
        Standing::Version(version) => Ok(version),
        Standing::Newer(found) => {
            let known = i64::try_from(place.steps.len()).unwrap_or(i64::MAX);
            Err(StoreError::Newer { path, found, known })
        }
        Standing::Other => {
            Err(StoreError::Damaged { path, why: "it is a database of another program".to_owned() })
        }
    }
}

fn set_up(db: &Connection) -> rusqlite::Result<()> {
    db.query_row("PRAGMA journal_mode=WAL", [], |_| Ok(()))?;
    // A sudden end of the supervisor loses nothing that was written; a reservation also waits for the disk.
    db.execute_batch(
        "PRAGMA synchronous=NORMAL; PRAGMA cache_size=-256; PRAGMA trusted_schema=OFF;
         PRAGMA journal_size_limit=4194304; PRAGMA secure_delete=ON; PRAGMA temp_store=MEMORY",
    )?;
    db.set_prepared_statement_cache_capacity(96);
    // Finds damage of the first pages before anything is written.
    db.query_row("SELECT count(*) FROM (SELECT 1 FROM run LIMIT 1)", [], |_| Ok(()))
}

/// Takes the missing steps, with a copy before each.
fn migrate(
    place: &Place,
    db: &mut Connection,
    found: usize,
    notices: &mut Notices,
) -> Result<(), StoreError> {
    for (from, step) in place.steps.iter().enumerate().skip(found) {
        let copy = copy(db, &place.path, from)?;
        advance(db, from, *step).map_err(|source| {
            let path = &place.path;
            // A step that does not fit is a defect of the step, and no damage of the store.
            if matches!(source, rusqlite::Error::SqlInputError { .. }) {
                StoreError::Sqlite { path: path.clone(), source }
            } else {
                StoreError::of(path, source)
            }
        })?;
        notices.push(Notice::Migrated { from, to: from + 1, copy });
    }
    Ok(())
}

/// Takes one step, all or nothing.
pub(super) fn advance(db: &mut Connection, from: usize, step: Step) -> rusqlite::Result<()> {
    let transaction = db.transaction_with_behavior(TransactionBehavior::Immediate)?;
    step(&transaction)?;
    transaction.execute_batch(&format!(
        "PRAGMA application_id={APPLICATION_ID}; PRAGMA user_version={};",
        from + 1
    ))?;
    transaction.commit()
}

/// Copies the store beside itself; the copy has its name only once it is whole.
fn copy(db: &Connection, path: &Path, version: usize) -> Result<PathBuf, StoreError> {
    let kept = beside(path, &format!("{COPY}{version}"));
    let making = beside(&kept, crate::files::MAKING);
    create::make_empty(&making)?;
    db.execute("VACUUM INTO ?1", [uri(&making, "")]).map_err(|e| StoreError::of(&making, e))?;
    let synced = File::open(&making).and_then(|file| file.sync_all());
    synced
        .and_then(|()| fs::rename(&making, &kept))
        .and_then(|()| create::sync_directory(path))
        .map_err(StoreError::io("copy the store to", &kept))?;
    Ok(kept)
}

fn find_life(place: &Place, db: &Connection) -> rusqlite::Result<Option<i64>> {
    db.query_row("SELECT id FROM life WHERE instance = ?1", [&place.instance], |row| row.get(0)).optional()
}

/// Begins this supervisor's life, unless it has begun: runs that an earlier life left without an end were
/// cut off. Lifts the counter of jobs above all numbers that are known elsewhere.
fn begin_life(place: &Place, db: &mut Connection) -> rusqlite::Result<i64> {
    if let Some(life) = find_life(place, db)?
        && records::last_job(db)? >= place.floor
    {
        return Ok(life);
    }
    let transaction = db.transaction_with_behavior(TransactionBehavior::Immediate)?;
    transaction.execute(
        "INSERT OR IGNORE INTO life(instance, began_at) VALUES (?1, ?2)",
        (&place.instance, now_ms()),
    )?;
    let life = find_life(place, &transaction)?.unwrap_or_default();
    transaction
        .execute("UPDATE run SET outcome = 2, cut = 1 WHERE outcome IS NULL AND life <> ?1", [life])?;
    records::raise_job(&transaction, place.floor)?;
    transaction.commit()?;
    Ok(life)
}

/// Reads the wall clock, in milliseconds since the epoch.
pub(super) fn now_ms() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
}

impl Db {
    /// Compares the open files with those at their paths: one system call for each.
    pub(super) fn standpoint(&self) -> Standpoint {
        if !self.held.is_at(&self.path) {
            let is_there = fs::symlink_metadata(&self.path).is_ok();
            return if is_there { Standpoint::Replaced } else { Standpoint::Gone };
        }
        let is_whole = self.companions.iter().all(|(path, held)| held.is_at(path));
        if is_whole { Standpoint::InPlace } else { Standpoint::LogGone }
    }

    /// Checks every page: one with wrong keys is no error to a statement, which just does not find a row.
    ///
    /// # Errors
    /// The first finding.
    pub(super) fn check(&self) -> Result<(), StoreError> {
        if fs::metadata(&self.path).is_ok_and(|found| found.len() > CHECKED_BYTES) {
            return Ok(());
        }
        let found = self.connection.query_row("PRAGMA quick_check(1)", [], |row| row.get::<_, String>(0));
        match found.map_err(|e| StoreError::of(&self.path, e))? {
            sound if sound == SOUND => Ok(()),
            why => Err(StoreError::Damaged { path: self.path.clone(), why }),
        }
    }

    /// Merges as much of the log into the store as readers allow, without a wait.
    pub(super) fn merge(&self) -> rusqlite::Result<()> {
        self.connection.query_row("PRAGMA wal_checkpoint(PASSIVE)", [], |_| Ok(()))
    }

    /// Merges the whole log into the store; false when another process prevents that.
    pub(super) fn merge_all(&self) -> rusqlite::Result<bool> {
        let busy = |row: &rusqlite::Row<'_>| row.get::<_, bool>(0);
        self.connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], busy).map(|busy| !busy)
    }

    /// Closes the store; in its place, its log is merged and removed.
    pub(super) fn close(self) {
        if self.standpoint() == Standpoint::InPlace {
            // Without it, the log stays and is merged by the next opening.
            drop(self.connection.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, false));
        }
        drop(self.connection.close());
    }

    /// Closes the store without a wait for the disk; its log stays, and is merged by the next opening.
    pub(super) fn leave(self) {
        drop(self.connection.close());
    }

    /// Removes the log that a deleted store has left at its path.
    pub(super) fn remove_own_log(&self) {
        for (path, held) in &self.companions {
            if held.is_at(path) {
                // One that stays is moved aside when the new store is made.
                drop(fs::remove_file(path));
            }
        }
    }
}
