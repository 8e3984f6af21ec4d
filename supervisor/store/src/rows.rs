//! The store's types from their text and number forms; `write::columns` has the other way. A row that can't be understood is damage in
//! its content, and is passed over by every reader.

use crate::model::{Definition, Setup};
use gob_protocol::{Change, EventKind, Exit, Name, Owner, RunOutcome, RunRecord, Timestamp};
use rusqlite::Row;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

/// Version of the form in which a [`Setup`] is kept.
pub(crate) const SETUP_VERSION: u32 = 1;

/// A [`Setup`] with the version of its form.
#[derive(Serialize, Deserialize)]
pub(crate) struct KeptSetup<T> {
    pub(crate) version: u32,
    pub(crate) setup: T,
}

/// Columns of a run, in the order of [`run`].
pub(crate) const RUN: &str =
    "run, pid, started_at, ready_at, stopped_at, duration_ms, exit, outcome, cut, owner, actor";
/// Columns of a definition, in the order of [`definition`].
pub(crate) const DEFINITION: &str = "name, number, command, cwd, description, owner, created_at, setup";
/// Columns of an entry, in the order of [`entry`].
pub(crate) const ENTRY: &str = "seq, time, event, name, run, actor, reason";

/// Converts a number for SQLite, which has no unsigned ones.
pub(crate) fn signed(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

/// Converts a number of SQLite; a negative one is never written.
pub(crate) fn unsigned(number: i64) -> u64 {
    u64::try_from(number).unwrap_or_default()
}

/// Returns the outcome of a number.
pub(crate) const fn outcome_of(number: i64) -> Option<RunOutcome> {
    match number {
        0 => Some(RunOutcome::Success),
        1 => Some(RunOutcome::Failure),
        2 => Some(RunOutcome::Killed),
        _ => None,
    }
}

pub(crate) fn parse<T: DeserializeOwned>(text: &str) -> Option<T> {
    serde_json::from_str(text).ok()
}

/// Reads a column of some type; `None` where it has another one.
pub(crate) fn get<T: rusqlite::types::FromSql>(row: &Row<'_>, at: usize) -> Option<T> {
    row.get(at).ok()
}

/// Reads a run from the columns of [`RUN`], the first of which is at `at`.
pub(crate) fn run(row: &Row<'_>, at: usize) -> Option<RunRecord> {
    let time = |offset| get::<Option<i64>>(row, at + offset).map(|time| time.map(Timestamp));
    let exit = match get::<Option<String>>(row, at + 6)? {
        Some(text) => Some(parse(&text)?),
        None => None,
    };
    let outcome = match get::<Option<i64>>(row, at + 7)? {
        Some(number) => Some(outcome_of(number)?),
        None => None,
    };
    Some(RunRecord {
        run: unsigned(get(row, at)?),
        pid: get(row, at + 1)?,
        started_at: Timestamp(get(row, at + 2)?),
        ready_at: time(3)?,
        stopped_at: time(4)?,
        duration_ms: get::<Option<i64>>(row, at + 5)?.map(unsigned),
        exit,
        outcome,
        cut: get(row, at + 8)?,
        owner: Owner::new(&get::<String>(row, at + 9)?).ok()?,
        actor: parse(&get::<String>(row, at + 10)?)?,
    })
}

/// Reads the end of a run; `None` also where it can't be understood.
pub(crate) fn exit(row: &Row<'_>, at: usize) -> Option<Exit> {
    get::<Option<String>>(row, at)?.as_deref().and_then(parse)
}

/// Reads a definition from the columns of [`DEFINITION`], which are the first.
pub(crate) fn definition(row: &Row<'_>) -> Option<Definition> {
    let setup: KeptSetup<Setup> = parse(&get::<String>(row, 7)?)?;
    if setup.version != SETUP_VERSION {
        return None;
    }
    Some(Definition {
        name: Name::any(&get::<String>(row, 0)?).ok()?,
        number: get::<Option<i64>>(row, 1)?.map(unsigned),
        command: parse(&get::<String>(row, 2)?)?,
        cwd: get(row, 3)?,
        description: get(row, 4)?,
        owner: Owner::new(&get::<String>(row, 5)?).ok()?,
        created_at: Timestamp(get(row, 6)?),
        setup: setup.setup,
    })
}

/// Reads an entry from the columns of [`ENTRY`], the first of which is at `at`.
pub(crate) fn entry(row: &Row<'_>, at: usize) -> Option<Change> {
    let word: String = get(row, at + 2)?;
    let event = EventKind::ALL.iter().copied().find(|event| event.as_str() == word)?;
    let name = match get::<Option<String>>(row, at + 3)? {
        Some(name) => Some(Name::any(&name).ok()?),
        None => None,
    };
    Some(Change {
        seq: unsigned(get(row, at)?),
        time: Timestamp(get(row, at + 1)?),
        event,
        name,
        run: get::<Option<i64>>(row, at + 4)?.map(unsigned),
        actor: parse(&get::<String>(row, at + 5)?)?,
        reason: get(row, at + 6)?,
    })
}
