//! New jobs, and the jobs that they come after.

use super::answer::{Ask, Decided};
use super::rows::status_of;
use super::sql::{Sql, SqlError, Tables, cells};
use super::{lanes, list};
use crate::rows::signed;
use gob_protocol::queue::{MAX_AFTER, MAX_PRIORITY, NewJob, QueueRefusal, QueueTold};
use gob_protocol::{Env, Name, QueueJob, QueueStatus, ScheduleName};
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet};

/// Jobs of a lane that may wait.
const MAX_WAITING: u64 = 1_000_000;

pub(super) fn json<T: Serialize>(value: &T) -> Sql<String> {
    serde_json::to_string(value).map_err(|e| SqlError::Unwritable(e.into()))
}

/// Returns the text in which an environment is kept.
pub(super) fn env_text(env: Option<&Env>) -> Sql<Option<String>> {
    env.map(|env| json(&env.iter().collect::<BTreeMap<_, _>>())).transpose()
}

/// Adds a job, unless one with the same key waits or runs.
pub(super) fn add(to: &Ask<'_>, new: &NewJob) -> Decided<QueueTold> {
    if let Some(same) = with_key(to.db, new.dedupe.as_deref())? {
        return Ok(QueueTold::Added { job: Box::new(same), is_new: false });
    }
    let job = insert(to, new, None)?;
    Ok(QueueTold::Added { job: Box::new(job), is_new: true })
}

/// Returns the job with a key that waits or runs.
pub(super) fn with_key(db: &dyn Tables, key: Option<&str>) -> Sql<Option<QueueJob>> {
    let Some(key) = key else { return Ok(None) };
    let found = db.row("SELECT number FROM job WHERE dedupe = ?1 AND status < 2", cells![key])?;
    found.map_or(Ok(None), |row| list::numbered(db, row.sure(0)?))
}

/// Puts a job into its lane.
pub(super) fn insert(to: &Ask<'_>, new: &NewJob, schedule: Option<&ScheduleName>) -> Decided<QueueJob> {
    let number = to.db.number(new.id.number())?.ok_or_else(|| QueueRefusal::NoJob(new.id.clone()))?;
    let key = signed(number);
    if to.db.row("SELECT 1 FROM job WHERE number = ?1", cells![key])?.is_some() {
        return Err(QueueRefusal::IdTaken(new.id.clone()).into());
    }
    let lane = lanes::ensure(to, &new.lane)?;
    if lane.lane.counts.pending >= MAX_WAITING {
        let most = usize::try_from(MAX_WAITING).unwrap_or(usize::MAX);
        return Err(QueueRefusal::TooMany { what: "jobs waiting in this lane", most }.into());
    }
    let before = numbers_before(new)?;
    let (mut blocked, mut unknown) = (0_i64, Vec::new());
    let mut found = Vec::new();
    for number in &before {
        match status_of_job(to.db, signed(*number))? {
            None => unknown.push(Name::numbered(*number)),
            Some(QueueStatus::Completed) => found.push((*number, true)),
            Some(QueueStatus::Pending | QueueStatus::Running) => {
                blocked += 1;
                found.push((*number, false));
            }
            Some(status @ (QueueStatus::Failed | QueueStatus::Cancelled)) => {
                return Err(QueueRefusal::AfterEnded { id: Name::numbered(*number), status }.into());
            }
        }
    }
    if !unknown.is_empty() {
        return Err(QueueRefusal::UnknownJobs(unknown).into());
    }
    let priority = new.priority.clamp(-MAX_PRIORITY, MAX_PRIORITY);
    to.db.change(
        "INSERT INTO job(number, lane, status, priority, run_at, blocked, attempt, attempts, max_attempts, command, cwd,
             owner, needs, outside, worker, created_at, dedupe, schedule, description)
         VALUES (?1, ?2, 0, ?3, ?4, ?5, 0, 0, ?6, ?7, ?8, ?9, ?10, 0, 0, ?11, ?12, ?13, ?14)",
        cells![
            key,
            new.lane.as_str(),
            priority,
            new.run_at.0,
            blocked,
            new.max_attempts.max(1),
            json(&new.command)?,
            &new.cwd,
            new.owner.as_str(),
            json(&before)?,
            to.now.0,
            new.dedupe.as_deref(),
            schedule.map(ScheduleName::as_str),
            new.description.as_deref(),
        ],
    )?;
    for (before, is_done) in found {
        put_before(to.db, key, signed(before), is_done)?;
    }
    put_env(to.db, key, new.env.as_ref(), new.umask)?;
    list::numbered(to.db, key)?.ok_or_else(|| QueueRefusal::NoJob(new.id.clone()).into())
}

/// Returns the numbers of the jobs that come before, each once.
fn numbers_before(new: &NewJob) -> Decided<BTreeSet<u64>> {
    let named: Vec<_> = new.after.iter().filter(|id| id.number().is_none()).cloned().collect();
    if !named.is_empty() {
        return Err(QueueRefusal::UnknownJobs(named).into());
    }
    let before: BTreeSet<_> = new.after.iter().filter_map(Name::number).collect();
    if before.len() > MAX_AFTER {
        return Err(QueueRefusal::TooMany { what: "jobs to come after", most: MAX_AFTER }.into());
    }
    Ok(before)
}

/// Returns the status of a job.
pub(super) fn status_of_job(db: &dyn Tables, number: i64) -> Sql<Option<QueueStatus>> {
    let found = db.row("SELECT status FROM job WHERE number = ?1", cells![number])?;
    Ok(found.map(|row| row.sure(0)).transpose()?.and_then(status_of))
}

/// Notes that one job comes after another.
pub(crate) fn put_before(db: &dyn Tables, number: i64, before: i64, is_done: bool) -> Sql<()> {
    let sql = "INSERT INTO job_after(number, before, done) VALUES (?1, ?2, ?3)
         ON CONFLICT (number, before) DO UPDATE SET done = excluded.done";
    db.change(sql, cells![number, before, is_done]).map(drop)
}

/// Keeps the environment of a job until it ends.
pub(super) fn put_env(db: &dyn Tables, number: i64, env: Option<&Env>, umask: Option<u32>) -> Sql<()> {
    let sql = "INSERT INTO job_env(number, env, umask) VALUES (?1, ?2, ?3)
         ON CONFLICT (number) DO UPDATE SET env = excluded.env, umask = excluded.umask";
    db.change(sql, cells![number, env_text(env)?, umask]).map(drop)
}
