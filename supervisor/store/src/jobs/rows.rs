//! Jobs, lanes and schedules from their columns. A row that can't be understood is passed over by every reader.

use super::sql::{FromCell, Row};
use crate::rows::{parse, unsigned};
use gob_protocol::queue::{LaneState, QueueCounts};
use gob_protocol::{Lane, LaneName, Name, Owner, QueueJob, QueueStatus, Schedule, ScheduleName, Timestamp};

/// Columns of a job, in the order of [`job`].
pub(crate) const JOB: &str = "number, lane, command, cwd, status, attempt, attempts, max_attempts, priority, run_at, needs, \
     locked_by, locked_at, heartbeat_at, error, created_at, started_at, finished_at, owner, worker, exit, dedupe, \
     schedule, description";
/// Columns of a lane, in the order of [`lane`].
pub(crate) const LANE: &str = "name, width, paused, lane.pending, lane.running, lane.completed, lane.failed, lane.cancelled, \
     (SELECT run_at FROM job WHERE job.lane = lane.name AND status = 0 AND blocked = 0 ORDER BY run_at LIMIT 1)";
/// Columns of a schedule, in the order of [`schedule`].
pub(crate) const SCHEDULE: &str =
    "name, lane, owner, command, cwd, cron, interval_ms, timezone, next_at, last_at, last_job";

/// Returns the number of a status.
pub(crate) const fn number_of(status: QueueStatus) -> i64 {
    match status {
        QueueStatus::Pending => 0,
        QueueStatus::Running => 1,
        QueueStatus::Completed => 2,
        QueueStatus::Failed => 3,
        QueueStatus::Cancelled => 4,
    }
}

/// Returns the status of a number.
pub(crate) fn status_of(number: i64) -> Option<QueueStatus> {
    QueueStatus::ALL.into_iter().find(|status| number_of(*status) == number)
}

fn get<T: FromCell>(row: &Row, at: usize) -> Option<T> {
    row.get(at)
}

fn time(row: &Row, at: usize) -> Option<Option<Timestamp>> {
    get::<Option<i64>>(row, at).map(|time| time.map(Timestamp))
}

fn job_name(row: &Row, at: usize) -> Option<Option<Name>> {
    get::<Option<i64>>(row, at).map(|number| number.map(|number| Name::numbered(unsigned(number))))
}

/// Reads an optional text, and understands it.
fn optional<T>(row: &Row, at: usize, read: impl FnOnce(&str) -> Option<T>) -> Option<Option<T>> {
    match get::<Option<String>>(row, at)? {
        Some(text) => read(&text).map(Some),
        None => Some(None),
    }
}

/// Reads a job from the columns of [`JOB`], which are the first.
pub(crate) fn job(row: &Row) -> Option<QueueJob> {
    let id = Name::numbered(unsigned(get(row, 0)?));
    let status = status_of(get(row, 4)?)?;
    let needs: Vec<u64> = parse(&get::<String>(row, 10)?)?;
    let (locked_by, locked_at, heartbeat_at) = (get(row, 11)?, time(row, 12)?, time(row, 13)?);
    let is_held = status == QueueStatus::Running;
    Some(QueueJob {
        lane: LaneName::new(&get::<String>(row, 1)?).ok()?,
        command: parse(&get::<String>(row, 2)?)?,
        cwd: get(row, 3)?,
        status,
        attempt: get(row, 5)?,
        attempts: get(row, 6)?,
        max_attempts: get(row, 7)?,
        priority: get(row, 8)?,
        run_at: Timestamp(get(row, 9)?),
        after: needs.into_iter().map(Name::numbered).collect(),
        locked_by: if is_held { locked_by } else { None },
        locked_at: locked_at.filter(|_| is_held),
        heartbeat_at: heartbeat_at.filter(|_| is_held),
        error: get(row, 14)?,
        created_at: Timestamp(get(row, 15)?),
        started_at: time(row, 16)?,
        finished_at: time(row, 17)?,
        owner: Owner::new(&get::<String>(row, 18)?).ok()?,
        worker: get::<bool>(row, 19)?.then(|| id.clone()),
        exit: optional(row, 20, parse)?,
        dedupe: get(row, 21)?,
        schedule: optional(row, 22, |text| ScheduleName::new(text).ok())?,
        description: get(row, 23)?,
        id,
    })
}

/// Reads a lane from the columns of [`LANE`], which are the first.
pub(crate) fn lane(row: &Row) -> Option<LaneState> {
    let count = |at| get::<i64>(row, at).map(unsigned);
    let lane = Lane {
        lane: LaneName::new(&get::<String>(row, 0)?).ok()?,
        width: get(row, 1)?,
        paused: get(row, 2)?,
        counts: QueueCounts {
            pending: count(3)?,
            running: count(4)?,
            completed: count(5)?,
            failed: count(6)?,
            cancelled: count(7)?,
        },
        shared: false,
        away: None,
    };
    Some(LaneState { lane, due: time(row, 8)? })
}

/// Reads a schedule from the columns of [`SCHEDULE`], which are the first.
pub(crate) fn schedule(row: &Row) -> Option<Schedule> {
    Some(Schedule {
        name: ScheduleName::new(&get::<String>(row, 0)?).ok()?,
        lane: LaneName::new(&get::<String>(row, 1)?).ok()?,
        owner: Owner::new(&get::<String>(row, 2)?).ok()?,
        command: parse(&get::<String>(row, 3)?)?,
        cwd: get(row, 4)?,
        cron: get(row, 5)?,
        interval_ms: get::<Option<i64>>(row, 6)?.map(unsigned),
        timezone: get(row, 7)?,
        next_at: time(row, 8)?,
        last_at: time(row, 9)?,
        last_job: job_name(row, 10)?,
    })
}
