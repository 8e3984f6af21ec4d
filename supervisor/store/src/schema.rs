//! Tables, and the steps between their versions.
//!
//! `user_version` is the version of the format, `application_id` marks the file as gob's store.

use crate::files::Marks;
use rusqlite::{Connection, Transaction};

/// `gobs` in ASCII.
pub(crate) const APPLICATION_ID: i64 = 0x676F_6273;

/// A version that no later gob has: such a number is damage.
const UNREACHED: usize = 10_000;

/// A step from one version to the next.
pub(crate) type Step = fn(&Transaction<'_>) -> rusqlite::Result<()>;

/// One step per version; the position in the list is the version that it starts from. Steps are never
/// changed.
pub(crate) const STEPS: &[Step] = &[|step| step.execute_batch(VERSION_1)];

/// Times are milliseconds since the epoch. `outcome` is 0 for success, 1 for failure, 2 for killed, and null
/// while a run lives. `exit`, `actor` and `setup` are JSON, `command` is an array of it.
const VERSION_1: &str = "
CREATE TABLE counter (
    name TEXT PRIMARY KEY,
    next INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE TABLE life (
    id INTEGER PRIMARY KEY,
    instance TEXT NOT NULL UNIQUE,
    began_at INTEGER NOT NULL,
    lost_seq INTEGER NOT NULL DEFAULT 0
) STRICT;
CREATE TABLE worker (
    name TEXT PRIMARY KEY,
    last_run INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE TABLE definition (
    name TEXT PRIMARY KEY,
    number INTEGER UNIQUE,
    command TEXT NOT NULL,
    cwd TEXT NOT NULL,
    description TEXT,
    owner TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    setup TEXT NOT NULL
) STRICT;
CREATE TABLE run (
    name TEXT NOT NULL,
    run INTEGER NOT NULL,
    life INTEGER NOT NULL,
    pid INTEGER,
    started_at INTEGER NOT NULL,
    ready_at INTEGER,
    stopped_at INTEGER,
    duration_ms INTEGER,
    exit TEXT,
    outcome INTEGER,
    cut INTEGER NOT NULL,
    owner TEXT NOT NULL,
    actor TEXT NOT NULL,
    PRIMARY KEY (name, run)
) STRICT, WITHOUT ROWID;
CREATE INDEX run_outcome ON run(name, outcome, run, duration_ms);
CREATE INDEX run_live ON run(life) WHERE outcome IS NULL;
CREATE INDEX run_age ON run(started_at);
CREATE TABLE entry (
    life INTEGER NOT NULL,
    seq INTEGER NOT NULL,
    time INTEGER NOT NULL,
    event TEXT NOT NULL,
    name TEXT,
    run INTEGER,
    actor TEXT NOT NULL,
    reason TEXT,
    PRIMARY KEY (life, seq)
) STRICT, WITHOUT ROWID;
CREATE INDEX entry_name ON entry(name);
";

/// The standing of a file by its marks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Standing {
    /// A store of a known version.
    Version(usize),
    /// A store of a later version.
    Newer(i64),
    /// No store of gob.
    Other,
}

/// Judges marks.
pub(crate) fn standing(marks: Marks, known: usize) -> Standing {
    if marks.application != APPLICATION_ID {
        return Standing::Other;
    }
    match usize::try_from(marks.version) {
        Ok(0) => Standing::Other,
        Ok(version) if version <= known => Standing::Version(version),
        Ok(version) if version < UNREACHED => Standing::Newer(marks.version),
        Ok(_) | Err(_) => Standing::Other,
    }
}

/// Reads the marks through SQLite, which knows those in the log.
pub(crate) fn marks(db: &Connection) -> rusqlite::Result<Marks> {
    let number = |sql: &str| db.query_row(sql, [], |row| row.get::<_, i64>(0));
    Ok(Marks { version: number("PRAGMA user_version")?, application: number("PRAGMA application_id")? })
}
