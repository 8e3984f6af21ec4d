//! Records: changes of the history that have no answer.
//!
//! Each is whole in itself and may be written twice. A run is one row that is put anew at each of its steps,
//! so that a lost step is made up for by the next one.

use super::columns;
use crate::forget::forget;
use crate::model::Definition;
use crate::rows;
use gob_protocol::{Change, Name, RunRecord};
use rusqlite::{Connection, OptionalExtension as _, params, params_from_iter};

/// One change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Record {
    /// A job was added, or has other settings: the definition takes the place of an earlier one.
    Definition(Box<Definition>),
    /// A worker was removed: its definition goes, and `history` also takes its runs and changes.
    Forgotten {
        /// The worker.
        name: Name,
        /// Its history goes too.
        history: bool,
    },
    /// A run began, was ready, or ended: the whole run as it is now.
    Run {
        /// The worker.
        name: Name,
        /// Its run.
        run: Box<RunRecord>,
    },
    /// A change of a worker or of the supervisor.
    Entry(Box<Change>),
    /// Numbers of the last reservation that no job has got, given back at the supervisor's end. Without it,
    /// they are not used.
    Unused {
        /// The first of them.
        first: u64,
        /// How many, up to the end of the reservation.
        count: u32,
    },
}

/// The counter of jobs.
pub(super) const JOBS: &str = "job";

/// The counter of the tokens of locks.
pub(super) const TOKENS: &str = "token";

/// A number that no counter reaches.
const GREAT: u64 = 1 << 53;
/// Bytes of a record beside its texts.
const FIXED_BYTES: usize = 256;

impl Record {
    /// Returns about how many bytes it takes.
    pub(super) fn size(&self) -> usize {
        FIXED_BYTES
            + match self {
                Self::Definition(definition) => {
                    let arguments: usize = definition.command.iter().map(|text| text.len() + 24).sum();
                    let setup = &definition.setup;
                    let values = setup.readiness.iter().chain(setup.rlimits.values());
                    let values: usize = values.map(|value| value.to_string().len()).sum();
                    let description = definition.description.as_ref().map_or(0, String::len);
                    arguments + values + description + definition.cwd.len()
                }
                Self::Entry(entry) => entry.reason.as_ref().map_or(0, String::len),
                Self::Forgotten { .. } | Self::Run { .. } | Self::Unused { .. } => 0,
            }
    }
}

/// Writes a record in the open transaction; `life` is that of this supervisor.
///
/// # Errors
/// SQLite's error.
pub(super) fn write(db: &Connection, life: i64, record: &Record) -> rusqlite::Result<()> {
    match record {
        Record::Definition(definition) => put_definition(db, definition),
        Record::Forgotten { name, history } => forget(db, name, *history),
        Record::Run { name, run } => put_run(db, life, name, run),
        Record::Entry(entry) => put_entry(db, life, entry),
        Record::Unused { first, count } => give_back(db, *first, *count),
    }
}

/// Writes a definition in the place of one of the same name.
pub(super) fn put_definition(db: &Connection, definition: &Definition) -> rusqlite::Result<()> {
    let sql = format!(
        "INSERT INTO definition({}) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8) ON CONFLICT(name) DO UPDATE SET
         number = excluded.number, command = excluded.command, cwd = excluded.cwd,
         description = excluded.description, owner = excluded.owner, created_at = excluded.created_at,
         setup = excluded.setup",
        rows::DEFINITION
    );
    let mut insert = db.prepare_cached(&sql)?;
    columns::with_definition(definition, |values| insert.execute(params_from_iter(values)))?;
    definition.number.map_or(Ok(()), |number| raise_job(db, number))
}

/// Makes the counter of jobs go on above `number`.
pub(super) fn raise_job(db: &Connection, number: u64) -> rusqlite::Result<()> {
    raise(db, JOBS, number)
}

/// Makes a counter go on above `number`.
pub(super) fn raise(db: &Connection, of: &str, number: u64) -> rusqlite::Result<()> {
    let mut insert = db.prepare_cached(
        "INSERT INTO counter(name, next) VALUES (?1, ?2)
         ON CONFLICT(name) DO UPDATE SET next = excluded.next WHERE excluded.next > next",
    )?;
    insert.execute(params![of, rows::signed(number.saturating_add(1))]).map(drop)
}

/// Makes the counter of jobs go on at `first`, if it stands after the `count` numbers from there.
fn give_back(db: &Connection, first: u64, count: u32) -> rusqlite::Result<()> {
    let next = first.saturating_add(u64::from(count));
    let mut update = db.prepare_cached("UPDATE counter SET next = ?1 WHERE name = 'job' AND next = ?2")?;
    update.execute([rows::signed(first.max(1)), rows::signed(next)]).map(drop)
}

/// Writes a run in the place of an earlier step of it.
pub(super) fn put_run(db: &Connection, life: i64, name: &Name, run: &RunRecord) -> rusqlite::Result<()> {
    let sql = format!(
        "INSERT OR REPLACE INTO run(life, name, {})
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13)",
        rows::RUN
    );
    let mut insert = db.prepare_cached(&sql)?;
    columns::with_run(run, &[&life, &name.as_str()], |values| insert.execute(params_from_iter(values)))?;
    raise_run(db, name, run.run)
}

/// Notes that a worker has had a run of this number.
pub(super) fn raise_run(db: &Connection, name: &Name, run: u64) -> rusqlite::Result<()> {
    let mut insert = db.prepare_cached(
        "INSERT INTO worker(name, last_run) VALUES (?1, ?2)
         ON CONFLICT(name) DO UPDATE SET last_run = excluded.last_run WHERE excluded.last_run > last_run",
    )?;
    insert.execute(params![name.as_str(), rows::signed(run)]).map(drop)
}

/// Writes an entry.
pub(super) fn put_entry(db: &Connection, life: i64, entry: &Change) -> rusqlite::Result<()> {
    let sql = format!(
        "INSERT OR REPLACE INTO entry(life, {}) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
        rows::ENTRY
    );
    let mut insert = db.prepare_cached(&sql)?;
    columns::with_entry(entry, &[&life], |values| insert.execute(params_from_iter(values))).map(drop)
}

/// Returns the number in the name of a job such as `j12`. A name with so great a number was given by a
/// person, and the counter would have no room above it.
pub(super) fn number_of(name: &Name) -> Option<u64> {
    name.as_str().strip_prefix('j')?.parse().ok().filter(|number| *number < GREAT)
}

/// Reserves numbers of a counter above `above`; the caller makes the transaction durable before it tells.
///
/// # Errors
/// SQLite's error.
pub(super) fn reserve(db: &Connection, of: &str, count: u32, above: u64) -> rusqlite::Result<u64> {
    let next = last(db, of)?.max(above).saturating_add(1);
    raise(db, of, next.saturating_add(u64::from(count)).saturating_sub(1))?;
    Ok(next)
}

/// Returns the highest number of a job that was ever handed out; 0 without any.
pub(super) fn last_job(db: &Connection) -> rusqlite::Result<u64> {
    last(db, JOBS)
}

/// Returns the highest number of a counter that was ever handed out; 0 without any.
pub(super) fn last(db: &Connection, of: &str) -> rusqlite::Result<u64> {
    let mut select = db.prepare_cached("SELECT next FROM counter WHERE name = ?1")?;
    let next = select.query_row([of], |row| row.get::<_, i64>(0)).optional()?;
    Ok(next.map(rows::unsigned).unwrap_or_default().saturating_sub(1))
}
