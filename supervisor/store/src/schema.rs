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
pub(crate) const STEPS: &[Step] =
    &[|step| step.execute_batch(VERSION_1), |step| step.execute_batch(VERSION_2)];

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

/// The queue. A job's `status` is 0 while it is pending, then 1 running, 2 completed, 3 failed, 4 cancelled. `blocked` counts the
/// jobs before it that are not completed. `instance` is that of the supervisor's life in which it was claimed, and null once its
/// claimant has let go. `needs`, `command`, `exit` and environments are JSON. Environments are in tables of their own, and are
/// overwritten when they go.
const VERSION_2: &str = "
CREATE TABLE lane (
    name TEXT PRIMARY KEY,
    width INTEGER NOT NULL DEFAULT 1,
    paused INTEGER NOT NULL DEFAULT 0,
    pending INTEGER NOT NULL DEFAULT 0,
    running INTEGER NOT NULL DEFAULT 0,
    completed INTEGER NOT NULL DEFAULT 0,
    failed INTEGER NOT NULL DEFAULT 0,
    cancelled INTEGER NOT NULL DEFAULT 0
) STRICT, WITHOUT ROWID;
CREATE TABLE job (
    number INTEGER PRIMARY KEY,
    lane TEXT NOT NULL,
    status INTEGER NOT NULL,
    priority INTEGER NOT NULL,
    run_at INTEGER NOT NULL,
    blocked INTEGER NOT NULL,
    attempt INTEGER NOT NULL,
    attempts INTEGER NOT NULL,
    max_attempts INTEGER NOT NULL,
    command TEXT NOT NULL,
    cwd TEXT NOT NULL,
    owner TEXT NOT NULL,
    needs TEXT NOT NULL,
    instance TEXT,
    outside INTEGER NOT NULL,
    locked_by TEXT,
    locked_at INTEGER,
    heartbeat_at INTEGER,
    worker INTEGER NOT NULL,
    error TEXT,
    exit TEXT,
    created_at INTEGER NOT NULL,
    started_at INTEGER,
    finished_at INTEGER,
    dedupe TEXT,
    schedule TEXT,
    description TEXT
) STRICT;
CREATE INDEX job_next ON job(lane, priority DESC, run_at, number) WHERE status = 0 AND blocked = 0;
CREATE INDEX job_due ON job(lane, run_at) WHERE status = 0 AND blocked = 0;
CREATE INDEX job_pending ON job(lane, priority DESC, run_at, number) WHERE status = 0;
CREATE INDEX job_running ON job(number) WHERE status = 1;
CREATE INDEX job_held ON job(instance) WHERE instance IS NOT NULL;
CREATE INDEX job_ended ON job(status, finished_at DESC, number DESC) WHERE status >= 2;
CREATE INDEX job_lane_ended ON job(lane, status, finished_at DESC, number DESC) WHERE status >= 2;
CREATE UNIQUE INDEX job_dedupe ON job(dedupe) WHERE dedupe IS NOT NULL AND status < 2;
CREATE TABLE job_env (
    number INTEGER PRIMARY KEY,
    env TEXT,
    umask INTEGER
) STRICT;
CREATE TABLE job_after (
    number INTEGER NOT NULL,
    before INTEGER NOT NULL,
    done INTEGER NOT NULL,
    PRIMARY KEY (number, before)
) STRICT, WITHOUT ROWID;
CREATE INDEX job_before ON job_after(before, number);
CREATE TABLE schedule (
    name TEXT PRIMARY KEY,
    lane TEXT NOT NULL,
    owner TEXT NOT NULL,
    command TEXT NOT NULL,
    cwd TEXT NOT NULL,
    cron TEXT,
    interval_ms INTEGER,
    timezone TEXT,
    max_attempts INTEGER NOT NULL,
    next_at INTEGER,
    last_at INTEGER,
    last_job INTEGER
) STRICT, WITHOUT ROWID;
CREATE INDEX schedule_next ON schedule(next_at) WHERE next_at IS NOT NULL;
CREATE TABLE schedule_env (
    name TEXT PRIMARY KEY,
    env TEXT,
    umask INTEGER
) STRICT, WITHOUT ROWID;
CREATE TRIGGER job_added AFTER INSERT ON job BEGIN
    INSERT OR IGNORE INTO lane(name) VALUES (new.lane);
    UPDATE lane SET pending = pending + (new.status = 0), running = running + (new.status = 1),
        completed = completed + (new.status = 2), failed = failed + (new.status = 3),
        cancelled = cancelled + (new.status = 4) WHERE name = new.lane;
END;
CREATE TRIGGER job_changed AFTER UPDATE OF status ON job WHEN new.status <> old.status BEGIN
    UPDATE lane SET pending = pending + (new.status = 0) - (old.status = 0),
        running = running + (new.status = 1) - (old.status = 1),
        completed = completed + (new.status = 2) - (old.status = 2),
        failed = failed + (new.status = 3) - (old.status = 3),
        cancelled = cancelled + (new.status = 4) - (old.status = 4) WHERE name = new.lane;
    DELETE FROM job_env WHERE number = new.number AND new.status >= 2;
END;
CREATE TRIGGER job_gone AFTER DELETE ON job BEGIN
    UPDATE lane SET pending = pending - (old.status = 0), running = running - (old.status = 1),
        completed = completed - (old.status = 2), failed = failed - (old.status = 3),
        cancelled = cancelled - (old.status = 4) WHERE name = old.lane;
    DELETE FROM job_env WHERE number = old.number;
    DELETE FROM job_after WHERE number = old.number;
END;
CREATE TRIGGER schedule_gone AFTER DELETE ON schedule BEGIN
    DELETE FROM schedule_env WHERE name = old.name;
END;
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
