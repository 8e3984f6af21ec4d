//! Lanes, and all of their jobs at once.

use super::answer::{Ask, Decided};
use super::list;
use super::settle::{self, Followed};
use super::sql::{Cell, Sql, SqlError, Tables, cells};
use crate::rows::unsigned;
use gob_protocol::queue::{LaneState, MAX_LANES, QueueRefusal, QueueTold};
use gob_protocol::{LaneName, Owner, QueueStatus};

/// Jobs that are cancelled in one answer.
const CLEARED: usize = 500;

/// A change of a lane.
pub(super) enum Change {
    Paused(bool),
    Width(u32),
}

/// Returns a lane, which is made if there is none. Where there are too many, those go that are as new ones would be.
pub(super) fn ensure(to: &Ask<'_>, name: &LaneName) -> Decided<LaneState> {
    if let Some(found) = list::lane_state(to.db, name)? {
        return Ok(found);
    }
    let full = i64::try_from(MAX_LANES).unwrap_or(i64::MAX);
    if count(to.db)? >= full {
        delete_unused(to.db)?;
        if count(to.db)? >= full {
            return Err(QueueRefusal::TooMany { what: "lanes", most: MAX_LANES }.into());
        }
    }
    to.db
        .change("INSERT INTO lane(name) VALUES (?1) ON CONFLICT (name) DO NOTHING", cells![name.as_str()])?;
    let made = list::lane_state(to.db, name)?;
    Ok(made.ok_or(SqlError::Unexpected)?)
}

fn count(db: &dyn Tables) -> Sql<i64> {
    number(db, "SELECT count(*) FROM lane")
}

/// Returns the one number of a statement.
pub(super) fn number(db: &dyn Tables, sql: &str) -> Sql<i64> {
    db.row(sql, &[])?.ok_or(SqlError::Unexpected)?.sure(0)
}

/// Deletes lanes without a job, a schedule or a setting.
pub(crate) fn delete_unused(db: &dyn Tables) -> Sql<usize> {
    db.change(
        "DELETE FROM lane WHERE width = 1 AND paused = 0
         AND lane.pending + lane.running + lane.completed + lane.failed + lane.cancelled = 0
         AND NOT EXISTS (SELECT 1 FROM schedule WHERE schedule.lane = lane.name)",
        &[],
    )
}

/// Changes a lane, or reads it.
pub(super) fn change(to: &Ask<'_>, name: &LaneName, change: Option<Change>) -> Decided<QueueTold> {
    let found = ensure(to, name)?;
    let Some(change) = change else { return Ok(QueueTold::Lane(found)) };
    match change {
        Change::Paused(is_paused) => {
            let sql = "UPDATE lane SET paused = ?2 WHERE name = ?1";
            to.db.change(sql, cells![name.as_str(), is_paused])?;
        }
        Change::Width(width) => {
            let sql = "UPDATE lane SET width = ?2 WHERE name = ?1";
            to.db.change(sql, cells![name.as_str(), width])?;
        }
    }
    Ok(QueueTold::Lane(ensure(to, name)?))
}

/// Cancels jobs that wait, of some owners.
pub(super) fn clear(to: &Ask<'_>, name: &LaneName, owners: &[Owner], reason: &str) -> Decided<QueueTold> {
    ensure(to, name)?;
    let limit = CLEARED.saturating_add(1);
    let marks: Vec<_> = (3..).take(owners.len()).map(|at| format!("?{at}")).collect();
    // Jobs come after older ones: the newest first, none fails with another one that is cancelled as well.
    let sql = format!(
        "SELECT number FROM job NOT INDEXED
         WHERE lane = ?1 AND status = 0 AND owner IN ({}) ORDER BY number DESC LIMIT ?2",
        marks.join(", ")
    );
    let mut values = vec![Cell::from(name.as_str()), Cell::Number(i64::try_from(limit).unwrap_or(i64::MAX))];
    values.extend(owners.iter().map(|owner| Cell::from(owner.as_str())));
    let found = if owners.is_empty() { Vec::new() } else { to.db.rows(&sql, &values)? };
    let found = found.iter().map(|row| row.sure(0)).collect::<Sql<Vec<i64>>>()?;
    let more = found.len() > CLEARED;
    let (mut cancelled, mut followed) = (Vec::new(), Followed::default());
    for number in found.into_iter().take(CLEARED) {
        // It may have failed with another one.
        if super::add::status_of_job(to.db, number)? != Some(QueueStatus::Pending) {
            continue;
        }
        settle::end(to, number, QueueStatus::Cancelled, Some(reason), None)?;
        cancelled.extend(list::numbered(to.db, number)?);
        followed.add(settle::follow(to, number, QueueStatus::Cancelled)?);
    }
    let count = u64::try_from(cancelled.len()).unwrap_or_default();
    let jobs = cancelled.into_iter().chain(followed.failed).take(settle::MAX_NAMED).collect();
    Ok(QueueTold::Cleared { lane: ensure(to, name)?, cancelled: count, jobs, more })
}

/// Deletes every job, lane and schedule.
pub(super) fn delete_all(to: &Ask<'_>) -> Sql<QueueTold> {
    let count = number(to.db, "SELECT count(*) FROM job")?;
    for table in ["job_after", "job_env", "job", "schedule_env", "schedule", "lane"] {
        to.db.change(&format!("DELETE FROM {table}"), &[])?;
    }
    Ok(QueueTold::Deleted(unsigned(count)))
}
