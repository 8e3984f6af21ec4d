//! The queue for people: its jobs, lanes and schedules as tables and sentences. Pure.

use crate::style::{self, paint};
use crate::table::{Align, Narrower, fitted};
use crate::terminal::Look;
use crate::text::{escape, name, since, up};
use anstyle::Style;
use gob_client::protocol::Timestamp;
use gob_client::protocol::queue::{Lane, QueueJob, QueueStatus, Schedule, is_shared};
use gob_client::screen::command;
use std::time::Duration;

/// The header of the table of jobs.
const JOBS: [&str; 7] = ["ID", "LANE", "STATUS", "ATTEMPTS", "PRIORITY", "WHEN", "COMMAND"];
const JOBS_ALIGN: [Align; 7] = {
    use Align::{Left, Right};
    [Left, Left, Left, Right, Right, Left, Left]
};
/// The steps that make the table of jobs narrower.
const JOBS_NARROWER: [Narrower; 6] = {
    use Narrower::{Cut, Without};
    [Cut(6, 24), Without(4), Without(3), Cut(1, 12), Without(5), Cut(6, 8)]
};

/// The header of the table of schedules.
const SCHEDULES: [&str; 6] = ["NAME", "LANE", "TIMES", "NEXT", "LAST JOB", "COMMAND"];
const SCHEDULES_NARROWER: [Narrower; 4] = {
    use Narrower::{Cut, Without};
    [Cut(5, 24), Without(4), Cut(1, 12), Cut(5, 8)]
};

/// Returns a line for each lane, and the table of the jobs, if there are any.
pub(crate) fn list(lanes: &[Lane], jobs: &[QueueJob], now: Timestamp, look: Look) -> String {
    let mut out: String = lanes.iter().map(|state| lane(state) + "\n").collect();
    if jobs.is_empty() {
        return out;
    }
    if !out.is_empty() {
        out.push('\n');
    }
    let rows: Vec<[String; 7]> =
        std::iter::once(JOBS.map(str::to_owned)).chain(jobs.iter().map(|job| row(job, now))).collect();
    for (at, line) in fitted(JOBS_ALIGN, &rows, look.width, &JOBS_NARROWER).into_iter().enumerate() {
        let job = at.checked_sub(1).and_then(|at| jobs.get(at));
        out.push_str(&paint(&line, job.map_or(style::HEAD, |job| style_of(job.status)), look.color));
        out.push('\n');
    }
    out
}

/// Returns the style of a line.
const fn style_of(status: QueueStatus) -> Style {
    match status {
        QueueStatus::Pending => style::PLAIN,
        QueueStatus::Running => style::GOOD,
        QueueStatus::Failed => style::BAD,
        QueueStatus::Completed | QueueStatus::Cancelled => style::FAINT,
    }
}

fn row(job: &QueueJob, now: Timestamp) -> [String; 7] {
    let mut last = escape(&command(&job.command));
    if let Some(error) = job.error.as_deref().filter(|_| job.status != QueueStatus::Running) {
        last.push_str("   ");
        last.push_str(&escape(error));
    }
    [
        name(job.id.as_str()),
        job.lane.to_string(),
        job.status.to_string(),
        format!("{}/{}", job.attempts, job.max_attempts),
        job.priority.to_string(),
        when(job, now),
        last,
    ]
}

/// Returns the time that matters of a job: until it may run, for how long it waits or runs, since when it has ended.
fn when(job: &QueueJob, now: Timestamp) -> String {
    let ago = |at: Option<Timestamp>| at.map_or(Duration::ZERO, |at| since(at, now));
    match job.status {
        QueueStatus::Pending if job.run_at > now => format!("in {}", up(round_up(since(now, job.run_at)))),
        QueueStatus::Pending if !job.after.is_empty() => {
            let ids: Vec<String> = job.after.iter().map(|id| escape(id.as_str())).collect();
            format!("after {}", ids.join(","))
        }
        QueueStatus::Pending => format!("waits {}", up(ago(Some(job.created_at)))),
        QueueStatus::Running => {
            let on = host(job).map(|host| format!(" on {}", escape(host))).unwrap_or_default();
            format!("for {}{on}", up(ago(job.started_at)))
        }
        QueueStatus::Completed | QueueStatus::Failed | QueueStatus::Cancelled => {
            format!("{} ago", up(ago(job.finished_at)))
        }
    }
}

/// Returns the machine whose supervisor runs a job of a lane that several machines share.
pub(crate) fn host(job: &QueueJob) -> Option<&str> {
    let (host, supervisor) = job.locked_by.as_deref().filter(|_| is_shared(&job.id))?.rsplit_once('/')?;
    supervisor.starts_with("gobd-").then_some(host)
}

/// Rounds up to a second: a job with time left is not due in 0s.
fn round_up(left: Duration) -> Duration {
    if left.subsec_nanos() == 0 { left } else { Duration::from_secs(left.as_secs().saturating_add(1)) }
}

/// Returns a lane in a line: `ci: width 2, paused; 3 pending, 1 running, 40 completed`.
pub(crate) fn lane(state: &Lane) -> String {
    let width = match state.width {
        0 => "workers outside only".to_owned(),
        width => format!("width {width}"),
    };
    let paused = if state.paused { ", paused" } else { "" };
    let shared = if state.shared { ", shared" } else { "" };
    let (away, counts) = match (&state.away, state.counts.running) {
        (None, _) => ("", counts(state)),
        (Some(_), 0) => (", away", "none run here".to_owned()),
        (Some(_), running) => (", away", format!("{running} running here")),
    };
    format!("{}: {width}{shared}{away}{paused}; {counts}", state.lane)
}

/// Returns the sentence about lanes whose database does not answer; `None` where all is known.
pub(crate) fn away(lanes: &[Lane]) -> Option<String> {
    let reason = lanes.iter().find_map(|lane| lane.away.as_deref())?;
    let names: Vec<&str> =
        lanes.iter().filter(|lane| lane.away.is_some()).map(|lane| lane.lane.as_str()).collect();
    let names = names.join(", ");
    Some(format!(
        "the database of {names} is away: {}; jobs there that do not run on this machine are not shown",
        escape(reason)
    ))
}

/// Returns the jobs of a lane by status: `3 pending, 1 running`.
fn counts(state: &Lane) -> String {
    let counts = &state.counts;
    let all = [counts.pending, counts.running, counts.completed, counts.failed, counts.cancelled];
    let some: Vec<String> = all
        .iter()
        .zip(QueueStatus::ALL)
        .filter(|(count, _)| **count > 0)
        .map(|(count, status)| format!("{count} {status}"))
        .collect();
    if some.is_empty() { "empty".to_owned() } else { some.join(", ") }
}

/// Returns the table of schedules. `clock` turns a time into local time of day.
pub(crate) fn schedules(all: &[Schedule], look: Look, clock: impl Fn(Timestamp) -> String) -> String {
    let row = |schedule: &Schedule| {
        let at = |time: Option<Timestamp>| time.map_or_else(|| "-".to_owned(), &clock);
        let last = schedule.last_job.as_ref().map_or_else(|| "-".to_owned(), |job| name(job.as_str()));
        [
            schedule.name.to_string(),
            schedule.lane.to_string(),
            times(schedule),
            at(schedule.next_at),
            last,
            escape(&command(&schedule.command)),
        ]
    };
    let rows: Vec<[String; 6]> =
        std::iter::once(SCHEDULES.map(str::to_owned)).chain(all.iter().map(row)).collect();
    let mut out = String::new();
    for (at, line) in fitted([Align::Left; 6], &rows, look.width, &SCHEDULES_NARROWER).into_iter().enumerate()
    {
        let style = if at == 0 { style::HEAD } else { style::PLAIN };
        out.push_str(&paint(&line, style, look.color));
        out.push('\n');
    }
    out
}

/// Returns the times of a schedule in words: `0 3 * * * Europe/Berlin`, `every 10m`.
pub(crate) fn times(schedule: &Schedule) -> String {
    match (&schedule.cron, schedule.interval_ms) {
        (Some(cron), _) => {
            let zone = schedule.timezone.iter().map(|zone| format!(" {}", escape(zone)));
            escape(cron) + &zone.collect::<String>()
        }
        (None, Some(ms)) => format!("every {}", interval(ms)),
        (None, None) => "never".to_owned(),
    }
}

/// Returns an interval in its largest whole unit: `90s`, `10m`, `1d`.
fn interval(ms: u64) -> String {
    let units = [(86_400_000, "d"), (3_600_000, "h"), (60_000, "m"), (1_000, "s")];
    let whole = units.iter().find(|(unit, _)| ms >= *unit && ms.is_multiple_of(*unit));
    whole.map_or_else(|| format!("{ms}ms"), |(unit, word)| format!("{}{word}", ms / unit))
}

/// Returns the commands for a job that has no process of the supervisor's.
pub(crate) fn hint(job: &QueueJob) -> String {
    let id = job.id.as_argument();
    match job.status {
        QueueStatus::Pending | QueueStatus::Running => {
            format!("wait for it: gobctl queue wait {id}; or cancel it: gobctl queue cancel {id}")
        }
        QueueStatus::Completed => format!("see its output: gobctl queue logs {id}"),
        QueueStatus::Failed | QueueStatus::Cancelled => {
            let logs = format!("see its output: gobctl queue logs {id}; or ");
            let logs = if job.attempt > 0 { logs.as_str() } else { "" };
            format!("{logs}let it run once more: gobctl queue retry {id}")
        }
    }
}

/// Returns how a job has ended: `j7 completed after 1.2s`.
pub(crate) fn summary(job: &QueueJob) -> String {
    use gob_client::screen::times::short_duration;
    let id = escape(job.id.as_str());
    let times = job.started_at.zip(job.finished_at);
    let after = times.map(|(begun, ended)| format!(" after {}", short_duration(since(begun, ended))));
    match job.status {
        QueueStatus::Completed => format!("{id} completed{}", after.unwrap_or_default()),
        QueueStatus::Pending | QueueStatus::Running => format!("{id} is {}", job.status),
        QueueStatus::Failed | QueueStatus::Cancelled => {
            let error = job.error.iter().map(|error| format!(": {}", escape(error))).collect::<String>();
            let tried = match job.attempts {
                0 | 1 => String::new(),
                more => format!(" with attempt {more} of {}", job.max_attempts),
            };
            let tried = if job.status == QueueStatus::Failed { tried } else { String::new() };
            format!("{id} {}{tried}{error}", job.status)
        }
    }
}

#[cfg(test)]
#[path = "queue_tests.rs"]
mod tests;
