//! Lanes, and all of their jobs at once.

use super::answer::{Ask, Decided};
use super::list;
use super::settle::{self, Followed};
use crate::rows::unsigned;
use gob_protocol::queue::{LaneState, MAX_LANES, QueueRefusal, QueueTold};
use gob_protocol::{LaneName, Owner, QueueStatus};
use rusqlite::{Connection, params};

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
    to.db.prepare_cached("INSERT INTO lane(name) VALUES (?1)")?.execute([name.as_str()])?;
    let made = list::lane_state(to.db, name)?;
    Ok(made.ok_or(rusqlite::Error::QueryReturnedNoRows)?)
}

fn count(db: &Connection) -> rusqlite::Result<i64> {
    db.query_row("SELECT count(*) FROM lane", [], |row| row.get(0))
}

/// Deletes lanes without a job, a schedule or a setting.
pub(crate) fn delete_unused(db: &Connection) -> rusqlite::Result<usize> {
    db.execute(
        "DELETE FROM lane WHERE width = 1 AND paused = 0 AND pending + running + completed + failed + cancelled = 0
         AND NOT EXISTS (SELECT 1 FROM schedule WHERE schedule.lane = lane.name)",
        [],
    )
}

/// Changes a lane, or reads it.
pub(super) fn change(to: &Ask<'_>, name: &LaneName, change: Option<Change>) -> Decided<QueueTold> {
    let found = ensure(to, name)?;
    let Some(change) = change else { return Ok(QueueTold::Lane(found)) };
    match change {
        Change::Paused(is_paused) => {
            let sql = "UPDATE lane SET paused = ?2 WHERE name = ?1";
            to.db.prepare_cached(sql)?.execute(params![name.as_str(), is_paused])?;
        }
        Change::Width(width) => {
            let sql = "UPDATE lane SET width = ?2 WHERE name = ?1";
            to.db.prepare_cached(sql)?.execute(params![name.as_str(), width])?;
        }
    }
    Ok(QueueTold::Lane(ensure(to, name)?))
}

/// Cancels jobs that wait, of some owners.
pub(super) fn clear(to: &Ask<'_>, name: &LaneName, owners: &[Owner], reason: &str) -> Decided<QueueTold> {
    ensure(to, name)?;
    let owners: Vec<_> = owners.iter().map(Owner::as_str).collect();
    let limit = CLEARED.saturating_add(1);
    let mut select = to.db.prepare_cached(
        // Jobs come after older ones: the newest first, none fails with another one that is cancelled as well.
        "SELECT number FROM job NOT INDEXED
         WHERE lane = ?1 AND status = 0 AND owner IN (SELECT value FROM json_each(?2)) ORDER BY number DESC LIMIT ?3",
    )?;
    let values = params![name.as_str(), super::add::json(&owners)?, i64::try_from(limit).unwrap_or(i64::MAX)];
    let found = select.query_map(values, |row| row.get(0))?.collect::<rusqlite::Result<Vec<i64>>>()?;
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
pub(super) fn delete_all(to: &Ask<'_>) -> rusqlite::Result<QueueTold> {
    let count: i64 = to.db.query_row("SELECT count(*) FROM job", [], |row| row.get(0))?;
    to.db.execute_batch(
        "DELETE FROM job_after; DELETE FROM job_env; DELETE FROM job; DELETE FROM schedule_env; DELETE FROM schedule;
         DELETE FROM lane;",
    )?;
    Ok(QueueTold::Deleted(unsigned(count)))
}
