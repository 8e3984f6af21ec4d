//! Every question that only reads, for the thread and for the read-only door.
//!
//! Each is answered from an index, in a time that depends on the answer and on the bound of a worker's
//! history, and not on the number of workers or runs.

use crate::model::{Definitions, Known, Page};
use crate::rows;
use gob_protocol::answer::{BlameData, HistoryData};
use gob_protocol::history::{EXPECTED_FROM, expected_ms, median};
use gob_protocol::{
    BlameEntry, ByOutcome, Change, Cursor, Durations, EventKind, Exit, HistoryEntry, Name, Rate, RunOutcome,
    RunRecord, Stats,
};
use rusqlite::{Connection, OptionalExtension as _, params};

/// Rows of one answer.
pub(crate) const MAX_ROWS: u32 = 1000;
/// Bytes of commands in one answer, of which each may have a mebibyte.
const MAX_ANSWER_BYTES: usize = 8 << 20;

/// Counts jobs of the queue that wait or run.
pub(crate) fn unfinished(db: &Connection) -> rusqlite::Result<u64> {
    let sql = "SELECT total(pending) + total(running) + (SELECT count(*) FROM schedule) FROM lane";
    let count = db.query_row(&format!("SELECT CAST(({sql}) AS INTEGER)"), [], |row| row.get(0))?;
    Ok(rows::unsigned(count))
}

/// Returns runs of a worker, newest first, of a lower number than `before`.
pub(crate) fn runs(
    db: &Connection,
    name: &Name,
    before: Option<u64>,
    limit: u32,
) -> rusqlite::Result<Page<RunRecord>> {
    let limit = limit.clamp(1, MAX_ROWS);
    let sql =
        format!("SELECT {} FROM run WHERE name = ?1 AND run < ?2 ORDER BY run DESC LIMIT ?3", rows::RUN);
    let mut select = db.prepare_cached(&sql)?;
    let before = before.map_or(i64::MAX, rows::signed);
    let rows = select.query_map(params![name.as_str(), before, limit + 1], |row| Ok(rows::run(row, 0)))?;
    page(rows, limit)
}

/// Cuts an answer of one row too many; rows that can't be understood are passed over.
fn page<T>(rows: impl Iterator<Item = rusqlite::Result<Option<T>>>, limit: u32) -> rusqlite::Result<Page<T>> {
    let rows = rows.collect::<rusqlite::Result<Vec<_>>>()?;
    let limit = usize::try_from(limit).unwrap_or(usize::MAX);
    let more = rows.len() > limit;
    Ok(Page { items: rows.into_iter().take(limit).flatten().collect(), more })
}

/// Returns the statistics of a worker's runs.
pub(crate) fn stats(db: &Connection, name: &Name) -> rusqlite::Result<Stats> {
    let mut select = db.prepare_cached("SELECT outcome, duration_ms FROM run WHERE name = ?1")?;
    let mut rows = select.query([name.as_str()])?;
    let (mut runs, mut killed) = (0, 0);
    let (mut success, mut failure) = (Tally::default(), Tally::default());
    while let Some(row) = rows.next()? {
        runs += 1;
        let duration = row.get::<_, Option<i64>>(1)?.map(rows::unsigned);
        match row.get::<_, Option<i64>>(0)?.and_then(rows::outcome_of) {
            Some(RunOutcome::Success) => success.add(duration),
            Some(RunOutcome::Failure) => failure.add(duration),
            Some(RunOutcome::Killed) => killed += 1,
            None => {}
        }
    }
    let by_outcome = ByOutcome {
        success: success.durations(),
        failure: failure.durations(),
        killed: Durations { count: killed, ..Durations::default() },
    };
    let ended = by_outcome.success.count + by_outcome.failure.count + killed;
    let success_rate = Rate::of(by_outcome.success.count, ended);
    Ok(Stats { runs, success_rate, expected_ms: expected(db, name)?, by_outcome })
}

/// Runs of one outcome, as they are counted.
#[derive(Default)]
struct Tally {
    count: u64,
    durations: Vec<u64>,
}

impl Tally {
    fn add(&mut self, duration: Option<u64>) {
        self.count += 1;
        self.durations.extend(duration);
    }

    fn durations(mut self) -> Durations {
        let sum = self.durations.iter().fold(0_u64, |sum, duration| sum.saturating_add(*duration));
        let number = u64::try_from(self.durations.len()).unwrap_or(u64::MAX);
        let mean_ms = sum.checked_div(number);
        Durations { count: self.count, mean_ms, median_ms: median(&mut self.durations) }
    }
}

/// Returns the duration to expect of a worker's next run.
fn expected(db: &Connection, name: &Name) -> rusqlite::Result<Option<u64>> {
    Ok(expected_ms(durations(db, name)?.into_iter().map(|(_, duration)| duration)))
}

/// Returns the latest successful runs of a worker with their durations in milliseconds, newest first.
pub(crate) fn durations(db: &Connection, name: &Name) -> rusqlite::Result<Vec<(u64, u64)>> {
    let mut select = db.prepare_cached(
        "SELECT run, duration_ms FROM run WHERE name = ?1 AND outcome = 0 ORDER BY run DESC LIMIT ?2",
    )?;
    let limit = i64::try_from(EXPECTED_FROM).unwrap_or(i64::MAX);
    let rows = select.query_map(params![name.as_str(), limit], |row| {
        let duration: Option<i64> = row.get(1)?;
        Ok(duration.map(rows::unsigned).map(|duration| (row.get(0).map(rows::unsigned), duration)))
    })?;
    let mut latest = Vec::new();
    for row in rows {
        if let Some((run, duration)) = row? {
            latest.push((run?, duration));
        }
    }
    Ok(latest)
}

/// Returns the changes of a worker, newest first, of those before `before`.
pub(crate) fn blame(
    db: &Connection,
    name: &Name,
    before: Option<&Cursor>,
    limit: u32,
) -> rusqlite::Result<BlameData> {
    let limit = limit.clamp(1, MAX_ROWS);
    let before = match before {
        None => (i64::MAX, i64::MAX),
        Some(cursor) => match life_of(db, &cursor.instance)? {
            Some(life) => (life, rows::signed(cursor.seq)),
            // With a life, all before it have gone.
            None => return Ok(BlameData::default()),
        },
    };
    let sql = format!(
        "SELECT life, {} FROM entry WHERE name = ?1 AND (life, seq) < (?2, ?3)
         ORDER BY life DESC, seq DESC LIMIT ?4",
        rows::ENTRY
    );
    let mut select = db.prepare_cached(&sql)?;
    let mut rows = select.query(params![name.as_str(), before.0, before.1, limit + 1])?;
    let (mut entries, mut read, mut last, mut more) = (Vec::new(), 0, None, false);
    while let Some(row) = rows.next()? {
        more = read == limit;
        if more {
            break;
        }
        read += 1;
        last = Some((row.get::<_, i64>(0)?, row.get::<_, i64>(1)?));
        let blame =
            |Change { time, event, actor, run, reason, .. }| BlameEntry { time, event, actor, run, reason };
        entries.extend(rows::entry(row, 1).map(blame));
    }
    let next = match last.filter(|_| more) {
        Some((life, seq)) => cursor_of(db, life, seq)?,
        None => None,
    };
    Ok(BlameData { entries, next })
}

/// Finds the life of an instance.
fn life_of(db: &Connection, instance: &str) -> rusqlite::Result<Option<i64>> {
    let mut find = db.prepare_cached("SELECT id FROM life WHERE instance = ?1")?;
    find.query_row([instance], |row| row.get(0)).optional()
}

/// Returns the place of a row as those outside of the store know it.
fn cursor_of(db: &Connection, life: i64, seq: i64) -> rusqlite::Result<Option<Cursor>> {
    let mut find = db.prepare_cached("SELECT instance FROM life WHERE id = ?1")?;
    let instance = find.query_row([life], |row| row.get(0)).optional()?;
    Ok(instance.map(|instance| Cursor { instance, seq: rows::unsigned(seq) }))
}

/// Returns the changes after a place, oldest first, over the lives of all supervisors.
pub(crate) fn since(db: &Connection, after: &Cursor, limit: u32) -> rusqlite::Result<HistoryData> {
    let limit = limit.clamp(1, MAX_ROWS);
    let Some(life) = life_of(db, &after.instance)? else {
        return Ok(HistoryData { unknown: true, ..HistoryData::default() });
    };
    let seq = rows::signed(after.seq);
    let mut lost = db.prepare_cached(
        "SELECT EXISTS (SELECT 1 FROM life WHERE id = ?1 AND lost_seq > ?2 OR id > ?1 AND lost_seq > 0)",
    )?;
    let gap: bool = lost.query_row([life, seq], |row| row.get(0))?;
    let sql = format!(
        "SELECT instance, (SELECT exit FROM run WHERE run.name = entry.name AND run.run = entry.run), {}
         FROM entry JOIN life ON id = life WHERE (life, seq) > (?1, ?2) ORDER BY life, seq LIMIT ?3",
        rows::ENTRY
    );
    let mut select = db.prepare_cached(&sql)?;
    let mut rows = select.query(params![life, seq, limit + 1])?;
    let (mut entries, mut read, mut last, mut more) = (Vec::new(), 0, None, false);
    while let Some(row) = rows.next()? {
        more = read == limit;
        if more {
            break;
        }
        read += 1;
        let instance: String = row.get(0)?;
        last = Some(Cursor { instance: instance.clone(), seq: rows::unsigned(row.get(2)?) });
        entries.extend(rows::entry(row, 2).map(|change| told(instance, change, rows::exit(row, 1))));
    }
    Ok(HistoryData { entries, next: last.filter(|_| more), gap, unknown: false })
}

/// Returns a change as `history` shows it; `exit` is that of its run.
fn told(instance: String, change: Change, exit: Option<Exit>) -> HistoryEntry {
    let Change { seq, time, event, name, run, actor, reason } = change;
    let is_end = matches!(event, EventKind::WorkerStopped | EventKind::WorkerCeded);
    let exit = exit.filter(|_| is_end);
    HistoryEntry { instance, seq, time, event, name, run, actor, reason, exit }
}

/// Returns definitions in the order of their names, of those after `after`.
pub(crate) fn definitions(
    db: &Connection,
    after: Option<&Name>,
    limit: u32,
) -> rusqlite::Result<Definitions> {
    let limit = limit.clamp(1, MAX_ROWS);
    let sql = format!("SELECT {} FROM definition WHERE name > ?1 ORDER BY name LIMIT ?2", rows::DEFINITION);
    let mut select = db.prepare_cached(&sql)?;
    let mut rows = select.query(params![after.map_or("", Name::as_str), limit])?;
    let (mut answer, mut count, mut bytes, mut last) = (Definitions::default(), 0, 0_usize, None);
    let mut is_whole = true;
    while let Some(row) = rows.next()? {
        count += 1;
        let name: String = row.get(0)?;
        match rows::definition(row) {
            Some(definition) => {
                bytes = bytes.saturating_add(size_of_texts(&definition));
                answer.known.push(known(db, definition)?);
            }
            None => answer.unreadable.push(name.clone()),
        }
        last = Some(name);
        if bytes > MAX_ANSWER_BYTES {
            is_whole = false;
            break;
        }
    }
    if count >= limit || !is_whole {
        answer.next = last.and_then(|name| Name::any(&name).ok());
    }
    Ok(answer)
}

fn size_of_texts(definition: &crate::Definition) -> usize {
    let arguments: usize = definition.command.iter().map(String::len).sum();
    arguments + definition.cwd.len() + definition.description.as_ref().map_or(0, String::len)
}

fn known(db: &Connection, definition: crate::Definition) -> rusqlite::Result<Known> {
    let last_run = last_run(db, &definition.name)?;
    let sql = format!("SELECT {} FROM run WHERE name = ?1 AND run = ?2", rows::RUN);
    let mut select = db.prepare_cached(&sql)?;
    let last = select
        .query_row(params![definition.name.as_str(), rows::signed(last_run)], |row| Ok(rows::run(row, 0)))
        .optional()?
        .flatten();
    let expected_ms = expected(db, &definition.name)?;
    Ok(Known { definition, last_run, last, expected_ms })
}

/// Returns the highest number that a run of a worker ever had; 0 without any.
pub(crate) fn last_run(db: &Connection, name: &Name) -> rusqlite::Result<u64> {
    let mut select = db.prepare_cached("SELECT last_run FROM worker WHERE name = ?1")?;
    let found = select.query_row([name.as_str()], |row| row.get::<_, i64>(0)).optional()?;
    Ok(found.map(rows::unsigned).unwrap_or_default())
}
