//! The store's types as values of their columns, in the order of the column lists in `rows`.

use crate::model::Definition;
use crate::rows::{KeptSetup, SETUP_VERSION, signed};
use gob_protocol::{Change, Name, RunOutcome, RunRecord};
use rusqlite::ToSql;
use serde::Serialize;

/// Returns the number of an outcome.
const fn outcome_number(outcome: RunOutcome) -> i64 {
    match outcome {
        RunOutcome::Success => 0,
        RunOutcome::Failure => 1,
        RunOutcome::Killed => 2,
    }
}

fn json<T: Serialize>(value: &T) -> rusqlite::Result<String> {
    serde_json::to_string(value).map_err(|e| rusqlite::Error::ToSqlConversionFailure(e.into()))
}

/// Calls `put` with the values of [`RUN`](crate::rows::RUN), after `first`.
///
/// # Errors
/// The error of `put`.
pub(super) fn with_run<T>(
    run: &RunRecord,
    first: &[&dyn ToSql],
    put: impl FnOnce(&[&dyn ToSql]) -> rusqlite::Result<T>,
) -> rusqlite::Result<T> {
    let exit = run.exit.as_ref().map(json).transpose()?;
    let (number, duration) = (signed(run.run), run.duration_ms.map(signed));
    let outcome = run.outcome.map(outcome_number);
    let (ready, stopped) = (run.ready_at.map(|time| time.0), run.stopped_at.map(|time| time.0));
    let actor = json(&run.actor)?;
    let (started, owner) = (run.started_at.0, run.owner.as_str());
    let columns: [&dyn ToSql; 11] =
        [&number, &run.pid, &started, &ready, &stopped, &duration, &exit, &outcome, &run.cut, &owner, &actor];
    put(&[first, &columns].concat())
}

/// Calls `put` with the values of [`DEFINITION`](crate::rows::DEFINITION).
///
/// # Errors
/// The error of `put`.
pub(super) fn with_definition<T>(
    definition: &Definition,
    put: impl FnOnce(&[&dyn ToSql]) -> rusqlite::Result<T>,
) -> rusqlite::Result<T> {
    let setup = json(&KeptSetup { version: SETUP_VERSION, setup: &definition.setup })?;
    let (number, command) = (definition.number.map(signed), json(&definition.command)?);
    put(&[
        &definition.name.as_str(),
        &number,
        &command,
        &definition.cwd,
        &definition.description,
        &definition.owner.as_str(),
        &definition.created_at.0,
        &setup,
    ])
}

/// Calls `put` with the values of [`ENTRY`](crate::rows::ENTRY), after `first`.
///
/// # Errors
/// The error of `put`.
pub(super) fn with_entry<T>(
    entry: &Change,
    first: &[&dyn ToSql],
    put: impl FnOnce(&[&dyn ToSql]) -> rusqlite::Result<T>,
) -> rusqlite::Result<T> {
    let (seq, run, actor) = (signed(entry.seq), entry.run.map(signed), json(&entry.actor)?);
    let (time, event) = (entry.time.0, entry.event.as_str());
    let name = entry.name.as_ref().map(Name::as_str);
    let columns: [&dyn ToSql; 7] = [&seq, &time, &event, &name, &run, &actor, &entry.reason];
    put(&[first, &columns].concat())
}
