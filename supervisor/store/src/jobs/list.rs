//! Questions about the queue that only read.

use super::lanes;
use super::rows::{self, JOB, LANE, SCHEDULE};
use super::sql::{Cell, Sql, Tables, cells};
use crate::rows::{signed, unsigned};
use gob_protocol::queue::{LaneState, Listed, MAX_QUEUE_PAGE, QueueAsk, QueueRefusal, QueueTold};
use gob_protocol::{LaneName, Name, QueueJob, QueueStatus, Schedule, Timestamp};

/// Bytes of texts of jobs on one page.
const MAX_PAGE_BYTES: usize = 4 << 20;

/// Answers a question that only reads; `None` for the others.
pub(crate) fn read(db: &dyn Tables, ask: &QueueAsk) -> Sql<Option<QueueTold>> {
    Ok(Some(match ask {
        QueueAsk::Get { id } => match job(db, id)? {
            Some(job) => QueueTold::Job(Box::new(job)),
            None => QueueTold::Refused(QueueRefusal::NoJob(id.clone())),
        },
        QueueAsk::List { lane, status, after, limit } => {
            let Some(from) = after.as_deref().map_or(Some(Place::default()), Place::parse) else {
                return Ok(Some(QueueTold::Refused(QueueRefusal::BadCursor)));
            };
            let mut listed = page(db, &Filter { lane: lane.as_ref(), status: *status }, from, *limit)?;
            if after.is_none() {
                listed.lanes = match lane {
                    Some(name) => lane_state(db, name)?.into_iter().map(|state| state.lane).collect(),
                    None => lane_states(db)?.into_iter().map(|state| state.lane).collect(),
                };
            }
            QueueTold::Listed(Box::new(listed))
        }
        QueueAsk::Lanes => QueueTold::Lanes(lane_states(db)?),
        QueueAsk::ScheduleList { lane } => QueueTold::Schedules(schedules(db, lane.as_ref())?),
        QueueAsk::Unfinished => QueueTold::Unfinished(unfinished(db)?),
        QueueAsk::Add(_)
        | QueueAsk::Claim { .. }
        | QueueAsk::Heartbeat(_)
        | QueueAsk::Finish(_)
        | QueueAsk::GiveBack { .. }
        | QueueAsk::Stale { .. }
        | QueueAsk::Cancel { .. }
        | QueueAsk::Retry { .. }
        | QueueAsk::Lane { .. }
        | QueueAsk::Pause { .. }
        | QueueAsk::Resume { .. }
        | QueueAsk::Width { .. }
        | QueueAsk::Clear { .. }
        | QueueAsk::Recover { .. }
        | QueueAsk::ScheduleAdd(_)
        | QueueAsk::ScheduleRemove { .. }
        | QueueAsk::ScheduleDue { .. }
        | QueueAsk::DeleteAll => return Ok(None),
    }))
}

/// Counts jobs that wait or run, and schedules.
fn unfinished(db: &dyn Tables) -> Sql<u64> {
    let sql = "SELECT CAST(coalesce(sum(lane.pending + lane.running), 0) AS BIGINT) FROM lane";
    let schedules = lanes::number(db, "SELECT count(*) FROM schedule")?;
    Ok(unsigned(lanes::number(db, sql)?.saturating_add(schedules)))
}

/// Reads a job by its id.
pub(crate) fn job(db: &dyn Tables, id: &Name) -> Sql<Option<QueueJob>> {
    id.number().map_or(Ok(None), |number| numbered(db, signed(number)))
}

/// Reads a job by its number.
pub(crate) fn numbered(db: &dyn Tables, number: i64) -> Sql<Option<QueueJob>> {
    let found = db.row(&format!("SELECT {JOB} FROM job WHERE number = ?1"), cells![number])?;
    Ok(found.as_ref().and_then(rows::job))
}

/// Reads a lane.
pub(crate) fn lane_state(db: &dyn Tables, name: &LaneName) -> Sql<Option<LaneState>> {
    let found = db.row(&format!("SELECT {LANE} FROM lane WHERE name = ?1"), cells![name.as_str()])?;
    Ok(found.as_ref().and_then(rows::lane))
}

/// Reads all lanes.
pub(crate) fn lane_states(db: &dyn Tables) -> Sql<Vec<LaneState>> {
    let found = db.rows(&format!("SELECT {LANE} FROM lane ORDER BY name"), &[])?;
    Ok(found.iter().filter_map(rows::lane).collect())
}

/// Reads schedules.
fn schedules(db: &dyn Tables, lane: Option<&LaneName>) -> Sql<Vec<Schedule>> {
    let sql = format!("SELECT {SCHEDULE} FROM schedule WHERE lane = ?1 OR ?1 IS NULL ORDER BY name");
    let found = db.rows(&sql, cells![lane.map(LaneName::as_str)])?;
    Ok(found.iter().filter_map(rows::schedule).collect())
}

/// The jobs of a list.
struct Filter<'a> {
    lane: Option<&'a LaneName>,
    status: Option<QueueStatus>,
}

impl Filter<'_> {
    fn has(&self, status: QueueStatus) -> bool {
        self.status.is_none_or(|only| only == status)
    }
}

/// The place of a job in the order of a list: a later page begins after it.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Place {
    /// A job that runs.
    Running(i64),
    /// A job that waits: lane, priority, time, number.
    Pending(String, i64, i64, i64),
    /// A job that ended: time, number.
    Ended(i64, i64),
}

impl Default for Place {
    fn default() -> Self {
        Self::Running(-1)
    }
}

impl Place {
    /// Reads the text of a cursor.
    fn parse(text: &str) -> Option<Self> {
        let mut parts = text.split(':');
        let kind = parts.next()?;
        let number = |text: Option<&str>| text?.parse::<i64>().ok();
        let place = match kind {
            "r" => Self::Running(number(parts.next())?),
            "p" => Self::Pending(
                LaneName::new(parts.next()?).ok()?.as_str().to_owned(),
                number(parts.next())?,
                number(parts.next())?,
                number(parts.next())?,
            ),
            "e" => Self::Ended(number(parts.next())?, number(parts.next())?),
            _ => return None,
        };
        parts.next().is_none().then_some(place)
    }

    fn text(&self) -> String {
        match self {
            Self::Running(number) => format!("r:{number}"),
            Self::Pending(lane, priority, at, number) => format!("p:{lane}:{priority}:{at}:{number}"),
            Self::Ended(at, number) => format!("e:{at}:{number}"),
        }
    }

    fn of(job: &QueueJob) -> Self {
        let number = signed(job.id.number().unwrap_or_default());
        match job.status {
            QueueStatus::Running => Self::Running(number),
            QueueStatus::Pending => {
                Self::Pending(job.lane.as_str().to_owned(), job.priority.into(), job.run_at.0, number)
            }
            QueueStatus::Completed | QueueStatus::Failed | QueueStatus::Cancelled => {
                Self::Ended(job.finished_at.unwrap_or_default().0, number)
            }
        }
    }
}

/// Reads a page of jobs.
fn page(db: &dyn Tables, filter: &Filter<'_>, from: Place, limit: u32) -> Sql<Listed> {
    let limit = limit.clamp(1, MAX_QUEUE_PAGE);
    let most = usize::try_from(limit).unwrap_or(usize::MAX);
    let mut jobs = Vec::new();
    // One more than asked for tells whether there is a next page.
    let left = |jobs: &Vec<QueueJob>| {
        limit.saturating_add(1).saturating_sub(u32::try_from(jobs.len()).unwrap_or(u32::MAX))
    };
    if let (Place::Running(number), true) = (&from, filter.has(QueueStatus::Running)) {
        running(db, filter, *number, left(&jobs), &mut jobs)?;
    }
    if filter.has(QueueStatus::Pending) && jobs.len() <= most {
        let from = match &from {
            Place::Running(_) => Some((String::new(), i64::MAX, 0, 0)),
            Place::Pending(lane, priority, at, number) => Some((lane.clone(), *priority, *at, *number)),
            Place::Ended(..) => None,
        };
        if let Some(from) = from {
            pending(db, filter, from, limit, &mut jobs)?;
        }
    }
    if jobs.len() <= most {
        let from = if let Place::Ended(at, number) = from { (at, number) } else { (i64::MAX, i64::MAX) };
        let mut found = Vec::new();
        for status in [QueueStatus::Completed, QueueStatus::Failed, QueueStatus::Cancelled] {
            if filter.has(status) {
                ended(db, filter, status, from, left(&jobs), &mut found)?;
            }
        }
        let key = |job: &QueueJob| (job.finished_at.unwrap_or_default().0, job.id.number());
        found.sort_by_key(|job| std::cmp::Reverse(key(job)));
        jobs.extend(found);
    }
    Ok(cut(jobs, most))
}

/// Cuts a page at its bounds.
fn cut(mut jobs: Vec<QueueJob>, most: usize) -> Listed {
    let mut bytes = 0_usize;
    let size = |job: &QueueJob| {
        let texts: usize = job.command.iter().map(|text| text.len() + 8).sum();
        texts + job.cwd.len() + job.error.as_ref().map_or(0, String::len) + job.after.len() * 16 + 512
    };
    let fits = jobs
        .iter()
        .take(most)
        .take_while(|job| {
            let is_first = bytes == 0;
            bytes = bytes.saturating_add(size(job));
            is_first || bytes <= MAX_PAGE_BYTES
        })
        .count();
    let is_cut = jobs.len() > fits;
    jobs.truncate(fits);
    let next = jobs.last().filter(|_| is_cut).map(|job| Place::of(job).text());
    Listed { jobs, lanes: Vec::new(), next }
}

fn select(db: &dyn Tables, sql: &str, values: &[Cell<'_>], jobs: &mut Vec<QueueJob>) -> Sql<()> {
    jobs.extend(db.rows(sql, values)?.iter().filter_map(rows::job));
    Ok(())
}

fn running(
    db: &dyn Tables,
    filter: &Filter<'_>,
    after: i64,
    limit: u32,
    jobs: &mut Vec<QueueJob>,
) -> Sql<()> {
    let sql = format!(
        "SELECT {JOB} FROM job INDEXED BY job_running
         WHERE status = 1 AND number > ?1 AND (lane = ?2 OR ?2 IS NULL) ORDER BY number LIMIT ?3"
    );
    select(db, &sql, cells![after, filter.lane.map(LaneName::as_str), limit], jobs)
}

/// Reads jobs that wait after a place: the rest of its lane, then lane by lane.
fn pending(
    db: &dyn Tables,
    filter: &Filter<'_>,
    (lane, priority, at, number): (String, i64, i64, i64),
    limit: u32,
    jobs: &mut Vec<QueueJob>,
) -> Sql<()> {
    let names: Vec<String> = match filter.lane {
        Some(only) => vec![only.as_str().to_owned()],
        None => {
            let sql = "SELECT name FROM lane WHERE lane.pending > 0 AND name >= ?1 ORDER BY name";
            let names = db.rows(sql, cells![&lane])?;
            names.iter().map(|row| row.sure(0)).collect::<Sql<_>>()?
        }
    };
    // The place is between two jobs of the same priority, or of two.
    let sql = format!(
        "SELECT {JOB} FROM job INDEXED BY job_pending WHERE lane = ?1 AND status = 0 AND priority = ?2 AND (run_at, number) > (?3, ?4)
         ORDER BY run_at, number LIMIT ?5"
    );
    let below = format!(
        "SELECT {JOB} FROM job INDEXED BY job_pending WHERE lane = ?1 AND status = 0 AND priority < ?2
         ORDER BY priority DESC, run_at, number LIMIT ?3"
    );
    for name in names {
        let left = |jobs: &Vec<QueueJob>| {
            i64::from(limit).saturating_add(1).saturating_sub(i64::try_from(jobs.len()).unwrap_or(i64::MAX))
        };
        let mut top = i64::MAX;
        if name == lane {
            select(db, &sql, cells![&name, priority, at, number, left(jobs)], jobs)?;
            top = priority;
        }
        if left(jobs) <= 0 {
            break;
        }
        select(db, &below, cells![&name, top, left(jobs)], jobs)?;
        if left(jobs) <= 0 {
            break;
        }
    }
    Ok(())
}

fn ended(
    db: &dyn Tables,
    filter: &Filter<'_>,
    status: QueueStatus,
    (at, number): (i64, i64),
    limit: u32,
    jobs: &mut Vec<QueueJob>,
) -> Sql<()> {
    let order = "status = ?1 AND status >= 2 AND (finished_at, number) < (?2, ?3)";
    let status = rows::number_of(status);
    match filter.lane {
        Some(lane) => {
            let sql = format!(
                "SELECT {JOB} FROM job INDEXED BY job_lane_ended WHERE lane = ?5 AND {order}
                 ORDER BY finished_at DESC, number DESC LIMIT ?4"
            );
            select(db, &sql, cells![status, at, number, limit, lane.as_str()], jobs)
        }
        None => {
            let sql = format!(
                "SELECT {JOB} FROM job INDEXED BY job_ended WHERE {order}
                 ORDER BY finished_at DESC, number DESC LIMIT ?4"
            );
            select(db, &sql, cells![status, at, number, limit], jobs)
        }
    }
}

/// Returns the next time of any schedule.
pub(crate) fn next_schedule(db: &dyn Tables) -> Sql<Option<Timestamp>> {
    let sql = "SELECT next_at FROM schedule WHERE next_at IS NOT NULL ORDER BY next_at LIMIT 1";
    Ok(db.row(sql, &[])?.map(|row| row.sure(0)).transpose()?.map(Timestamp))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_is_read_as_it_was_written_and_nothing_else_is() {
        let places =
            [Place::Running(-1), Place::Pending("a.b-c".to_owned(), -5, 17, 3), Place::Ended(i64::MAX, 0)];
        for place in places {
            assert_eq!(Place::parse(&place.text()), Some(place));
        }
        for bad in ["", "r", "r:", "r:1:2", "p:a b:1:1:1", "p:a:1:1", "e:1", "e:x:1", "j12"] {
            assert_eq!(Place::parse(bad), None, "{bad}");
        }
    }
}
