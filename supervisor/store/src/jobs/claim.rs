//! The next job of a lane.
//!
//! It is the one of the highest priority of those that may run, then the one that may run longest, then the one that was added first.
//! One statement finds and takes it. Jobs that wait for their time stand last among those of their priority, so that one look at each
//! priority in use is enough, however many wait; jobs that wait for others are not in that index at all.

use super::answer::{Ask, Decided, Stop};
use super::rows::{self, JOB};
use super::settle::{self, Held};
use super::sql::{Sql, Tables, cells};
use gob_protocol::queue::{Beat, Claim, Claimant, QueueRefusal, QueueTold};
use gob_protocol::{LaneName, Name, QueueStatus, Timestamp};

/// Rows that can't be understood, and fail, in one claim.
const MAX_UNREADABLE: usize = 16;

/// The number of the next job of the lane `?1` at the time `?2`.
pub(super) const NEXT: &str = "
WITH RECURSIVE first(number, priority, run_at) AS (
    SELECT number, priority, run_at FROM job WHERE number = (
        SELECT number FROM job INDEXED BY job_next WHERE lane = ?1 AND status = 0 AND blocked = 0
        ORDER BY priority DESC, run_at, number LIMIT 1)
    UNION ALL
    SELECT job.number, job.priority, job.run_at FROM first JOIN job ON job.number = (
        SELECT number FROM job INDEXED BY job_next
        WHERE lane = ?1 AND status = 0 AND blocked = 0 AND priority < first.priority
        ORDER BY priority DESC, run_at, number LIMIT 1)
    WHERE first.run_at > ?2)
SELECT number FROM first WHERE run_at <= ?2 LIMIT 1";

/// Returns the statement of a claim.
fn statement(db: &dyn Tables) -> String {
    let next = db.next();
    format!(
        "UPDATE job SET status = 1, attempt = attempt + 1, attempts = attempts + 1, instance = ?3, outside = ?4,
             worker = ?6, locked_by = ?5, locked_at = ?2, heartbeat_at = ?2, started_at = ?2, exit = NULL
         WHERE status = 0 AND number = ({next})
             AND EXISTS (SELECT 1 FROM lane WHERE name = ?1 AND paused = 0)
         RETURNING {JOB}"
    )
}

/// Claims the next job.
pub(super) fn claim(to: &Ask<'_>, lane: &LaneName, by: &Claimant) -> Sql<QueueTold> {
    let is_outside = matches!(by, Claimant::Outside(_));
    let mut claim = None;
    for _ in 0..MAX_UNREADABLE {
        let values = cells![lane.as_str(), to.now.0, to.instance, is_outside, by.as_str(), !is_outside];
        let found = to.db.row(&statement(to.db), values)?;
        let Some(row) = found else { break };
        let number = row.sure(0)?;
        match rows::job(&row) {
            None => {
                let why = "it can't be read any more: the queue's file was damaged";
                settle::end(to, number, QueueStatus::Failed, Some(why), None)?;
                settle::follow(to, number, QueueStatus::Failed)?;
            }
            Some(job) => {
                let (env, umask) = if is_outside { (None, None) } else { environment(to, number)? };
                claim = Some(Box::new(Claim { job, env, umask }));
                break;
            }
        }
    }
    Ok(QueueTold::Claimed { claim, due: due(to, lane)? })
}

/// Returns the earliest time of a job that waits for nothing but its time.
fn due(to: &Ask<'_>, lane: &LaneName) -> Sql<Option<Timestamp>> {
    let found = to.db.row(
        "SELECT run_at FROM job INDEXED BY job_due WHERE lane = ?1 AND status = 0 AND blocked = 0
         ORDER BY run_at LIMIT 1",
        cells![lane.as_str()],
    )?;
    Ok(found.map(|row| row.sure(0)).transpose()?.map(Timestamp))
}

type Environment = (Option<gob_protocol::Env>, Option<u32>);

fn environment(to: &Ask<'_>, number: i64) -> Sql<Environment> {
    let found = to.db.row("SELECT env, umask FROM job_env WHERE number = ?1", cells![number])?;
    let Some(row) = found else { return Ok((None, None)) };
    Ok((row.sure::<Option<String>>(0)?.and_then(|text| crate::rows::parse(&text)), row.sure(1)?))
}

/// Notes signs of life. A job that was cancelled stays held: its claimant has not heard of that yet, and works on.
pub(super) fn hear(to: &Ask<'_>, beats: &[Beat]) -> Decided<QueueTold> {
    let mut gone = Vec::new();
    for beat in beats {
        match settle::held(to, &beat.id, beat.attempt, Some(&beat.by)) {
            Ok(Held { number, status: QueueStatus::Running, .. }) => {
                let sql = "UPDATE job SET heartbeat_at = ?2 WHERE number = ?1 AND heartbeat_at < ?2";
                to.db.change(sql, cells![number, beat.at.0])?;
            }
            Ok(Held { .. }) => gone.push(beat.id.clone()),
            Err(Stop::Refused(QueueRefusal::NoJob(id) | QueueRefusal::NotClaimed(id))) => gone.push(id),
            Err(stop) => return Err(stop),
        }
    }
    Ok(QueueTold::Heard { gone })
}

/// Returns the question that gives back a claim that nobody got.
pub(crate) fn give_back(claim: &Claim) -> gob_protocol::queue::QueueAsk {
    let (id, attempt): (Name, u32) = (claim.job.id.clone(), claim.job.attempt);
    gob_protocol::queue::QueueAsk::GiveBack { id, attempt }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::schema::STEPS;

    /// Returns the plan of a statement.
    fn plan(sql: &str) -> Vec<String> {
        let mut db = rusqlite::Connection::open_in_memory().unwrap();
        let step = db.transaction().unwrap();
        STEPS.iter().for_each(|next| next(&step).unwrap());
        let mut select = step.prepare(&format!("EXPLAIN QUERY PLAN {sql}")).unwrap();
        let lines = select.query_map([], |row| row.get::<_, String>(3)).unwrap();
        lines.map(Result::unwrap).collect()
    }

    #[test]
    fn a_claim_searches_and_neither_scans_nor_sorts() {
        let plan = plan(
            &statement(&rusqlite::Connection::open_in_memory().unwrap())
                .replace("?1", "'ci'")
                .replace("?2", "7")
                .replace("?3", "'i'")
                .replace("?4", "0")
                .replace("?5", "'w'")
                .replace("?6", "1"),
        );
        let is_bad = |line: &&String| {
            line.contains("TEMP B-TREE") || line.starts_with("SCAN") && !line.contains("first")
        };
        assert_eq!(plan.iter().find(is_bad), None, "{plan:#?}");
        assert!(plan.iter().filter(|line| line.contains("job_next")).count() >= 2, "{plan:#?}");
    }
}
