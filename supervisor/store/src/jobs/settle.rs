//! Ends of attempts, and what follows from them for the jobs that come after.

use super::add::{json, put_env, status_of_job, with_key};
use super::answer::{Ask, Decided};
use super::list;
use super::rows::{number_of, status_of};
use super::sql::{Sql, cells};
use crate::rows::{signed, unsigned};
use gob_protocol::queue::{Claimant, Ending, QueueEnd, QueueRefusal, QueueTold, Settled};
use gob_protocol::{Env, Exit, LaneName, Name, QueueJob, QueueStatus, Timestamp};
use std::collections::BTreeSet;

/// Changed jobs that an answer names.
pub(super) const MAX_NAMED: usize = 1_000;

/// A job with a claimant, who may not know yet that it was cancelled.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Held {
    pub(super) number: i64,
    pub(super) status: QueueStatus,
    attempt: i64,
    attempts: i64,
    max_attempts: i64,
}

/// Consequences for other jobs.
#[derive(Debug, Default)]
pub(crate) struct Followed {
    /// Lanes in which something may be claimed.
    pub(super) lanes: BTreeSet<LaneName>,
    /// Jobs that failed.
    pub(super) failed: Vec<QueueJob>,
    pub(super) unnamed: u64,
}

impl Followed {
    /// Returns the jobs that failed.
    #[cfg(feature = "shared")]
    pub(crate) fn failed(&self) -> &[QueueJob] {
        &self.failed
    }

    pub(super) fn add(&mut self, other: Self) {
        self.lanes.extend(other.lanes);
        self.unnamed += other.unnamed;
        other.failed.into_iter().for_each(|job| self.name(job));
    }

    fn name(&mut self, job: QueueJob) {
        if self.failed.len() < MAX_NAMED { self.failed.push(job) } else { self.unnamed += 1 }
    }
}

fn number(id: &Name) -> Decided<i64> {
    Ok(id.number().map(signed).ok_or_else(|| QueueRefusal::NoJob(id.clone()))?)
}

/// Finds a claim of this life.
pub(super) fn held(to: &Ask<'_>, id: &Name, attempt: Option<u32>, by: Option<&Claimant>) -> Decided<Held> {
    let number = number(id)?;
    let is_outside = by.map(|by| matches!(by, Claimant::Outside(_)));
    let worker = match by {
        Some(Claimant::Outside(worker)) => Some(worker),
        Some(Claimant::Supervisor(_)) | None => None,
    };
    let sql = format!(
        "SELECT status, attempt, attempts, max_attempts,
             CASE WHEN {} AND (attempt = ?3 OR ?3 IS NULL) AND (outside = ?4 OR ?4 IS NULL)
                 AND (locked_by = ?5 OR ?5 IS NULL) THEN 1 ELSE 0 END
         FROM job WHERE number = ?1",
        to.db.ours()
    );
    let found =
        to.db.row(&sql, cells![number, to.instance, attempt, is_outside, worker.map(String::as_str)])?;
    let row = found.ok_or_else(|| QueueRefusal::NoJob(id.clone()))?;
    let (status, is_held): (i64, bool) = (row.sure(0)?, row.sure(4)?);
    let (attempt, attempts, max_attempts) = (row.sure(1)?, row.sure(2)?, row.sure(3)?);
    let status = status_of(status).filter(|_| is_held).ok_or_else(|| QueueRefusal::NotClaimed(id.clone()))?;
    Ok(Held { number, status, attempt, attempts, max_attempts })
}

/// Finds a claim, whoever has it.
#[cfg(feature = "shared")]
pub(crate) fn any_held(to: &Ask<'_>, number: i64) -> Decided<Held> {
    let sql =
        "SELECT status, attempt, attempts, max_attempts FROM job WHERE number = ?1 AND instance IS NOT NULL";
    let gone = || QueueRefusal::NotClaimed(Name::numbered(unsigned(number)));
    let row = to.db.row(sql, cells![number])?.ok_or_else(gone)?;
    let status = status_of(row.sure(0)?).ok_or_else(gone)?;
    Ok(Held { number, status, attempt: row.sure(1)?, attempts: row.sure(2)?, max_attempts: row.sure(3)? })
}

/// Ends a job, whatever it was.
pub(super) fn end(
    to: &Ask<'_>,
    number: i64,
    status: QueueStatus,
    error: Option<&str>,
    exit: Option<&Exit>,
) -> Sql<()> {
    let sql =
        "UPDATE job SET status = ?2, error = ?3, exit = coalesce(?4, exit), finished_at = ?5, instance = NULL
         WHERE number = ?1";
    let exit = exit.map(json).transpose()?;
    to.db.change(sql, cells![number, number_of(status), error, exit, to.now.0]).map(drop)
}

/// Ends the claim of a job that was cancelled.
fn let_go(to: &Ask<'_>, held: &Held) -> Sql<()> {
    to.db.change("UPDATE job SET instance = NULL WHERE number = ?1", cells![held.number]).map(drop)
}

/// Lets a job wait again after an attempt that failed, or ends it after the last one.
fn fail(
    to: &Ask<'_>,
    held: &Held,
    (error, exit): (&str, Option<&Exit>),
    retry_at: Timestamp,
) -> Sql<Followed> {
    if held.attempts >= held.max_attempts {
        end(to, held.number, QueueStatus::Failed, Some(error), exit)?;
        return follow(to, held.number, QueueStatus::Failed);
    }
    let sql = "UPDATE job SET status = 0, run_at = ?2, error = ?3, exit = coalesce(?4, exit), instance = NULL
         WHERE number = ?1 AND attempt = ?5";
    let exit = exit.map(json).transpose()?;
    to.db.change(sql, cells![held.number, retry_at.0, error, exit, held.attempt])?;
    Ok(Followed::default())
}

/// As [`fail`], of any job that is held; one that was cancelled is let go.
pub(crate) fn fail_held(to: &Ask<'_>, held: &Held, error: &str, retry_at: Timestamp) -> Sql<Followed> {
    if held.status == QueueStatus::Running {
        return fail(to, held, (error, None), retry_at);
    }
    let_go(to, held).map(|()| Followed::default())
}

/// Frees the jobs that come after one that was completed; those after another end fail with it.
pub(super) fn follow(to: &Ask<'_>, number: i64, status: QueueStatus) -> Sql<Followed> {
    let mut followed = Followed::default();
    if status == QueueStatus::Completed {
        let free = "UPDATE job SET blocked = blocked - 1 WHERE status = 0 AND blocked > 0
             AND number IN (SELECT number FROM job_after WHERE before = ?1 AND done = 0) RETURNING lane, blocked";
        for row in to.db.rows(free, cells![number])? {
            if row.sure::<i64>(1)? == 0 {
                followed.lanes.extend(LaneName::new(&row.sure::<String>(0)?).ok());
            }
        }
        let sql = "UPDATE job_after SET done = 1 WHERE before = ?1 AND done = 0";
        to.db.change(sql, cells![number])?;
        return Ok(followed);
    }
    let mut ended = vec![(number, status)];
    while let Some((before, status)) = ended.pop() {
        let sql = "SELECT number FROM job_after JOIN job USING (number)
             WHERE before = ?1 AND done = 0 AND status = 0 ORDER BY number DESC";
        let after = to.db.rows(sql, cells![before])?;
        let after = after.iter().map(|row| row.sure(0)).collect::<Sql<Vec<i64>>>()?;
        let was = if status == QueueStatus::Cancelled { "was cancelled" } else { "failed" };
        let error = format!("it comes after j{before}, which {was}");
        for number in after {
            end(to, number, QueueStatus::Failed, Some(&error), None)?;
            ended.push((number, QueueStatus::Failed));
            if followed.failed.len() < MAX_NAMED {
                followed.failed.extend(list::numbered(to.db, number)?);
            } else {
                followed.unnamed += 1;
            }
        }
    }
    Ok(followed)
}

/// Answers with a job as it is now.
fn settled(to: &Ask<'_>, id: &Name, followed: Followed) -> Decided<QueueTold> {
    let job = list::job(to.db, id)?.ok_or_else(|| QueueRefusal::NoJob(id.clone()))?;
    let Followed { mut lanes, failed, unnamed } = followed;
    lanes.insert(job.lane.clone());
    let lanes = lanes.into_iter().collect();
    Ok(QueueTold::Settled(Box::new(Settled { job, lanes, failed, unnamed })))
}

/// Ends an attempt.
pub(super) fn finish(to: &Ask<'_>, ending: &Ending) -> Decided<QueueTold> {
    let held = held(to, &ending.id, ending.attempt, Some(&ending.by))?;
    let exit = ending.exit.as_ref();
    if held.status != QueueStatus::Running {
        // It was cancelled before.
        let_go(to, &held)?;
        if let Some(exit) = exit {
            let sql = "UPDATE job SET exit = ?2 WHERE number = ?1";
            to.db.change(sql, cells![held.number, json(exit)?])?;
        }
        return settled(to, &ending.id, Followed::default());
    }
    let followed = match &ending.end {
        QueueEnd::Completed => {
            end(to, held.number, QueueStatus::Completed, None, exit)?;
            follow(to, held.number, QueueStatus::Completed)?
        }
        QueueEnd::Failed { error, retry_at } => fail(to, &held, (error, exit), *retry_at)?,
        QueueEnd::Cancelled { reason } => {
            end(to, held.number, QueueStatus::Cancelled, Some(reason), exit)?;
            follow(to, held.number, QueueStatus::Cancelled)?
        }
    };
    settled(to, &ending.id, followed)
}

/// Gives a claim back: it does not count.
pub(super) fn give_back(to: &Ask<'_>, id: &Name, attempt: u32) -> Decided<QueueTold> {
    let held = held(to, id, Some(attempt), None)?;
    if held.status == QueueStatus::Running {
        let sql = "UPDATE job SET status = 0, attempts = CASE WHEN attempts > 0 THEN attempts - 1 ELSE 0 END,
             instance = NULL, worker = 0 WHERE number = ?1 AND attempt = ?2";
        to.db.change(sql, cells![held.number, held.attempt])?;
    } else {
        let_go(to, &held)?;
    }
    settled(to, id, Followed::default())
}

/// Ends an attempt of which the claimant was not heard.
pub(super) fn stale(
    to: &Ask<'_>,
    id: &Name,
    attempt: u32,
    error: &str,
    retry_at: Timestamp,
) -> Decided<QueueTold> {
    let held = held(to, id, Some(attempt), None)?;
    let followed = fail_held(to, &held, error, retry_at)?;
    settled(to, id, followed)
}

/// Cancels a job. The claim of one that runs stays until its claimant lets go.
pub(super) fn cancel(to: &Ask<'_>, id: &Name, reason: &str) -> Decided<QueueTold> {
    let number = number(id)?;
    let status = status_of_job(to.db, number)?.ok_or_else(|| QueueRefusal::NoJob(id.clone()))?;
    match status {
        QueueStatus::Pending => end(to, number, QueueStatus::Cancelled, Some(reason), None)?,
        QueueStatus::Running => {
            let sql = "UPDATE job SET status = 4, error = ?2, finished_at = ?3 WHERE number = ?1";
            to.db.change(sql, cells![number, reason, to.now.0])?;
        }
        QueueStatus::Completed | QueueStatus::Failed | QueueStatus::Cancelled => {
            return Err(QueueRefusal::Ended { id: id.clone(), status }.into());
        }
    }
    let followed = follow(to, number, QueueStatus::Cancelled)?;
    settled(to, id, followed)
}

/// Lets a job that failed, or was cancelled, wait again.
pub(super) fn retry(to: &Ask<'_>, id: &Name, env: Option<&Env>, umask: Option<u32>) -> Decided<QueueTold> {
    let number = number(id)?;
    let found = to.db.row("SELECT status, instance, dedupe FROM job WHERE number = ?1", cells![number])?;
    let row = found.ok_or_else(|| QueueRefusal::NoJob(id.clone()))?;
    let is_held = row.sure::<Option<String>>(1)?.is_some();
    let key: Option<String> = row.sure(2)?;
    let status = status_of(row.sure(0)?).ok_or_else(|| QueueRefusal::NoJob(id.clone()))?;
    match status {
        QueueStatus::Failed | QueueStatus::Cancelled if !is_held => {}
        QueueStatus::Completed => return Err(QueueRefusal::Ended { id: id.clone(), status }.into()),
        QueueStatus::Pending | QueueStatus::Running | QueueStatus::Failed | QueueStatus::Cancelled => {
            return Err(QueueRefusal::NotEnded { id: id.clone(), status }.into());
        }
    }
    if let Some(other) = with_key(to.db, key.as_deref())? {
        return Err(QueueRefusal::SameKey { id: other.id, status: other.status }.into());
    }
    let blocked = still_before(to, number)?;
    let sql = "UPDATE job SET status = 0, attempts = 0, run_at = ?2, blocked = ?3, error = NULL, exit = NULL, worker = 0,
             started_at = NULL, finished_at = NULL
         WHERE number = ?1";
    to.db.change(sql, cells![number, to.now.0, blocked])?;
    put_env(to.db, number, env, umask)?;
    settled(to, id, Followed::default())
}

/// Counts the jobs before one that are not completed.
fn still_before(to: &Ask<'_>, number: i64) -> Decided<i64> {
    let before = to.db.rows("SELECT before FROM job_after WHERE number = ?1 AND done = 0", cells![number])?;
    let before = before.iter().map(|row| row.sure(0)).collect::<Sql<Vec<i64>>>()?;
    let mut count = 0;
    for before in before {
        let id = Name::numbered(unsigned(before));
        match status_of_job(to.db, before)? {
            Some(QueueStatus::Pending | QueueStatus::Running) => count += 1,
            // It was tried again, and completed, after it had failed.
            Some(QueueStatus::Completed) => super::add::put_before(to.db, number, before, true)?,
            Some(status @ (QueueStatus::Failed | QueueStatus::Cancelled)) => {
                return Err(QueueRefusal::AfterEnded { id, status }.into());
            }
            None => return Err(QueueRefusal::UnknownJobs(vec![id]).into()),
        }
    }
    Ok(count)
}
