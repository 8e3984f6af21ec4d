//! The bounds of history: runs and changes go by number and by age, in small steps between other work.

use super::open::now_ms;
use gob_protocol::Name;
use rusqlite::{Connection, OptionalExtension as _, params};
use std::collections::BTreeSet;
use std::time::{Duration, Instant};

/// Rows of one step.
const STEP_ROWS: u32 = 200;
/// Changes that are kept of all workers together.
const MAX_ENTRIES: i64 = 100_000;
/// Changes that are kept of a worker, for each run that is kept of it.
const ENTRIES_PER_RUN: u32 = 4;
/// Jobs of the queue that have ended, of which so many are kept.
const MAX_ENDED: i64 = 100_000;
/// Time between two walks over the whole history.
const EVERY: Duration = Duration::from_secs(60 * 60);

/// The bounds, from `[history]`.
#[derive(Debug, Clone, Copy)]
pub(super) struct Bounds {
    pub(super) keep_runs: u32,
    pub(super) keep: Duration,
    pub(super) keep_finished: Duration,
}

/// The place of a walk over the whole history.
#[derive(Debug, Default)]
enum Stage {
    #[default]
    OldRuns,
    OldEntries,
    ManyEntries,
    Crowded(Vec<String>),
    OldLives,
    OldJobs,
}

/// Trims what became too much.
#[derive(Debug, Default)]
pub(super) struct Trimmer {
    /// Workers with a new run.
    due: BTreeSet<Name>,
    stage: Stage,
    /// The last walk ended then.
    walked: Option<Instant>,
    life: i64,
}

/// Runs that went, by worker.
type Runs = Vec<(Name, u64)>;

/// All that went in a step.
#[derive(Debug, Default)]
pub(super) struct Gone {
    pub(super) runs: Runs,
    /// Jobs of the queue.
    pub(super) jobs: Vec<Name>,
}

impl Trimmer {
    /// Begins for a life of a supervisor, of which live runs are never trimmed; `walked` is the end of the
    /// last walk.
    pub(super) fn of(life: i64, walked: Option<Instant>) -> Self {
        Self { life, walked, ..Self::default() }
    }

    /// Returns the end of the last walk.
    pub(super) fn walked(&self) -> Option<Instant> {
        self.walked
    }

    /// Notes that a worker has a new run.
    pub(super) fn note(&mut self, name: &Name) {
        if !self.due.contains(name) {
            self.due.insert(name.clone());
        }
    }

    /// Returns whether there is something to do.
    pub(super) fn is_due(&self) -> bool {
        !self.due.is_empty() || self.walked.is_none_or(|at| at.elapsed() >= EVERY)
    }

    /// Begins the next walk at once, from its start: the bounds are others.
    pub(super) fn begin_anew(&mut self) {
        self.walked = None;
        self.stage = Stage::default();
    }

    /// Gives up until the next walk is due.
    pub(super) fn give_up(&mut self) {
        self.due.clear();
        self.walked = Some(Instant::now());
        self.stage = Stage::default();
    }

    /// Takes one step in a transaction of its own, and returns what went.
    ///
    /// # Errors
    /// SQLite's error; nothing went then.
    pub(super) fn step(&mut self, db: &mut Connection, bounds: Bounds) -> rusqlite::Result<Gone> {
        let transaction = db.transaction_with_behavior(rusqlite::TransactionBehavior::Immediate)?;
        let gone = match self.due.first().cloned() {
            Some(name) => {
                let runs = excess_runs(&transaction, self.life, &name, bounds.keep_runs)?;
                if is_less(runs.len()) {
                    self.due.remove(&name);
                }
                Gone { runs, ..Gone::default() }
            }
            None => self.walk(&transaction, bounds)?,
        };
        transaction.commit()?;
        Ok(gone)
    }

    fn walk(&mut self, db: &Connection, bounds: Bounds) -> rusqlite::Result<Gone> {
        let keep = i64::try_from(bounds.keep.as_millis()).unwrap_or(i64::MAX);
        let before = now_ms().saturating_sub(keep);
        let mut gone = Gone::default();
        match &mut self.stage {
            Stage::OldRuns => {
                gone.runs = old_runs(db, before)?;
                if is_less(gone.runs.len()) {
                    self.stage = Stage::OldEntries;
                }
            }
            Stage::OldEntries => {
                if is_less(old_entries(db, before)?) {
                    self.stage = Stage::ManyEntries;
                }
            }
            Stage::ManyEntries => {
                if is_less(many_entries(db, MAX_ENTRIES)?) {
                    self.stage = Stage::Crowded(crowded(db, bounds.keep_runs)?);
                }
            }
            Stage::Crowded(names) => match names.last() {
                Some(name) => {
                    if is_less(excess_entries(db, name, bounds.keep_runs)?) {
                        names.pop();
                    }
                }
                None => self.stage = Stage::OldLives,
            },
            Stage::OldLives => {
                old_lives(db, self.life, before)?;
                self.stage = Stage::OldJobs;
            }
            Stage::OldJobs => {
                let keep = i64::try_from(bounds.keep_finished.as_millis()).unwrap_or(i64::MAX);
                let mut is_last = is_less(old_jobs(db, now_ms().saturating_sub(keep), &mut gone.jobs)?);
                is_last = is_last && is_less(many_jobs(db, MAX_ENDED, &mut gone.jobs)?);
                if is_last {
                    self.stage = Stage::default();
                    self.walked = Some(Instant::now());
                }
            }
        }
        Ok(gone)
    }
}

/// Returns whether a step found less than it could take, so that it was the last one of its kind.
fn is_less(count: usize) -> bool {
    u32::try_from(count).is_ok_and(|count| count < STEP_ROWS)
}

/// Deletes the oldest runs of a worker beyond `keep`.
fn excess_runs(db: &Connection, life: i64, name: &Name, keep: u32) -> rusqlite::Result<Runs> {
    let mut select =
        db.prepare_cached("SELECT run FROM run WHERE name = ?1 ORDER BY run DESC LIMIT 1 OFFSET ?2")?;
    let newest = select.query_row(params![name.as_str(), keep], |row| row.get::<_, i64>(0)).optional()?;
    let Some(newest) = newest else { return Ok(Runs::new()) };
    let mut delete = db.prepare_cached(
        "DELETE FROM run WHERE name = ?1 AND run IN (
             SELECT run FROM run WHERE name = ?1 AND run <= ?2 AND (outcome IS NOT NULL OR life <> ?3)
             ORDER BY run LIMIT ?4)
         RETURNING name, run",
    )?;
    gone(delete.query(params![name.as_str(), newest, life, STEP_ROWS])?)
}

/// Deletes ended runs that began before a time.
fn old_runs(db: &Connection, before: i64) -> rusqlite::Result<Runs> {
    let mut delete = db.prepare_cached(
        "DELETE FROM run WHERE (name, run) IN (
             SELECT name, run FROM run WHERE started_at < ?1 AND outcome IS NOT NULL
             ORDER BY started_at LIMIT ?2)
         RETURNING name, run",
    )?;
    gone(delete.query(params![before, STEP_ROWS])?)
}

fn gone(mut rows: rusqlite::Rows<'_>) -> rusqlite::Result<Runs> {
    let mut gone = Runs::new();
    while let Some(row) = rows.next()? {
        let number = crate::rows::unsigned(row.get(1)?);
        // A name that is no name has no logs.
        gone.extend(Name::any(&row.get::<_, String>(0)?).ok().map(|name| (name, number)));
    }
    Ok(gone)
}

/// Deletes the oldest changes from before a time: the table is in the order of time.
fn old_entries(db: &Connection, before: i64) -> rusqlite::Result<usize> {
    let oldest = "SELECT life, seq, time FROM entry ORDER BY life, seq LIMIT ?2";
    delete_entries(
        db,
        &format!("SELECT life, seq FROM ({oldest}) WHERE time < ?1"),
        params![before, STEP_ROWS],
    )
}

/// Deletes the oldest changes beyond a number.
fn many_entries(db: &Connection, keep: i64) -> rusqlite::Result<usize> {
    let count: i64 = db.query_row("SELECT count(*) FROM entry", [], |row| row.get(0))?;
    let excess = count.saturating_sub(keep).clamp(0, i64::from(STEP_ROWS));
    delete_entries(db, "SELECT life, seq FROM entry ORDER BY life, seq LIMIT ?1", params![excess])
}

fn most(keep_runs: u32) -> i64 {
    i64::from(keep_runs.saturating_mul(ENTRIES_PER_RUN))
}

/// Returns the workers with more changes than are kept of one.
fn crowded(db: &Connection, keep_runs: u32) -> rusqlite::Result<Vec<String>> {
    let mut select =
        db.prepare("SELECT name FROM entry WHERE name IS NOT NULL GROUP BY name HAVING count(*) > ?1")?;
    let names = select.query_map([most(keep_runs)], |row| row.get(0))?;
    names.collect()
}

/// Deletes the oldest changes of a worker beyond those that are kept.
fn excess_entries(db: &Connection, name: &str, keep_runs: u32) -> rusqlite::Result<usize> {
    let count: i64 = db.query_row("SELECT count(*) FROM entry WHERE name = ?1", [name], |row| row.get(0))?;
    let excess = count.saturating_sub(most(keep_runs)).clamp(0, i64::from(STEP_ROWS));
    let oldest = "SELECT life, seq FROM entry WHERE name = ?2 ORDER BY life, seq LIMIT ?1";
    delete_entries(db, oldest, params![excess, name])
}

/// Deletes the changes that `which` selects, and marks their lives: a cursor before them has a gap.
fn delete_entries(db: &Connection, which: &str, values: impl rusqlite::Params) -> rusqlite::Result<usize> {
    let sql = format!("DELETE FROM entry WHERE (life, seq) IN ({which}) RETURNING life, seq");
    let mut delete = db.prepare_cached(&sql)?;
    let gone = delete.query_map(values, |row| Ok((row.get::<_, i64>(0)?, row.get::<_, i64>(1)?)))?;
    let gone = gone.collect::<rusqlite::Result<Vec<_>>>()?;
    for (life, seq) in &gone {
        let mut mark = db.prepare_cached("UPDATE life SET lost_seq = ?2 WHERE id = ?1 AND lost_seq < ?2")?;
        mark.execute([life, seq])?;
    }
    Ok(gone.len())
}

/// Deletes lives that began before a time and of which nothing is left.
fn old_lives(db: &Connection, life: i64, before: i64) -> rusqlite::Result<usize> {
    db.execute(
        "DELETE FROM life WHERE id < ?1 AND began_at < ?2
         AND NOT EXISTS (SELECT 1 FROM entry WHERE entry.life = life.id)",
        [life, before],
    )
}

/// Deletes jobs of the queue that ended before a time.
fn old_jobs(db: &Connection, before: i64, gone: &mut Vec<Name>) -> rusqlite::Result<usize> {
    let mut deleted = 0;
    for status in 2..=4 {
        let mut delete = db.prepare_cached(
            "DELETE FROM job WHERE number IN (
                 SELECT number FROM job INDEXED BY job_ended WHERE status = ?1 AND status >= 2 AND finished_at < ?2
                 AND instance IS NULL ORDER BY finished_at LIMIT ?3)
             RETURNING number",
        )?;
        deleted = gone_jobs(delete.query(params![status, before, STEP_ROWS])?, gone)?.max(deleted);
    }
    Ok(deleted)
}

/// Adds the deleted jobs to `gone`, and counts them.
fn gone_jobs(mut rows: rusqlite::Rows<'_>, gone: &mut Vec<Name>) -> rusqlite::Result<usize> {
    let before = gone.len();
    while let Some(row) = rows.next()? {
        gone.push(Name::numbered(crate::rows::unsigned(row.get(0)?)));
    }
    Ok(gone.len() - before)
}

/// Deletes the oldest jobs of the queue that have ended beyond a number, of the status that has most of them.
fn many_jobs(db: &Connection, keep: i64, gone: &mut Vec<Name>) -> rusqlite::Result<usize> {
    let mut counts = [(0_i64, 0_i64); 3];
    for (count, (column, status)) in
        counts.iter_mut().zip([("completed", 2), ("failed", 3), ("cancelled", 4)])
    {
        let sql = format!("SELECT CAST(total({column}) AS INTEGER) FROM lane");
        *count = (db.query_row(&sql, [], |row| row.get(0))?, status);
    }
    let all: i64 = counts.iter().map(|(count, _)| count).sum();
    let excess = all.saturating_sub(keep).clamp(0, i64::from(STEP_ROWS));
    let most = counts.iter().max().map_or(2, |(_, status)| *status);
    let mut delete = db.prepare_cached(
        "DELETE FROM job WHERE number IN (
             SELECT number FROM job INDEXED BY job_ended WHERE status = ?1 AND status >= 2
             AND instance IS NULL ORDER BY finished_at LIMIT ?2)
         RETURNING number",
    )?;
    gone_jobs(delete.query(params![most, excess])?, gone)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_walk_is_due_once_and_then_after_an_hour() {
        let mut trimmer = Trimmer::of(1, None);
        assert!(trimmer.is_due());
        trimmer.give_up();
        assert!(!trimmer.is_due());
        trimmer.begin_anew();
        assert!(trimmer.is_due());
        trimmer.give_up();
        trimmer.note(&Name::numbered(1));
        assert!(trimmer.is_due());
    }
}
