//! Jobs that are added again and again.
//!
//! A time that was missed, because the machine slept or no supervisor ran, is made up for once. While the last job of a schedule still
//! waits, its time passes without another one.

use super::add::{env_text, insert, json, status_of_job};
use super::answer::{Ask, Decided, Stop};
use super::cron::{Cron, zone};
use super::rows::{self, SCHEDULE};
use super::sql::{Sql, SqlError, cells};
use super::{lanes, list};
use crate::rows::signed;
use gob_protocol::queue::{Due, Fired, MAX_SCHEDULES, NewJob, NewSchedule, QueueRefusal, QueueTold};
use gob_protocol::{Name, QueueStatus, Schedule, ScheduleName, Timestamp};

/// Shortest interval.
const MIN_INTERVAL_MS: u64 = 1_000;
/// Longest interval: ten years.
const MAX_INTERVAL_MS: u64 = 10 * 366 * 24 * 60 * 60 * 1_000;
/// Schedules that are looked at in one answer, those included that add no job.
const LOOKED_AT: usize = 200;

/// Returns the first time after `now`, of an interval that was last due at `last`.
fn next(
    cron: Option<&str>,
    interval_ms: Option<u64>,
    timezone: Option<&str>,
    (last, now): (Timestamp, Timestamp),
) -> Result<Option<Timestamp>, QueueRefusal> {
    let wrong = |field: &'static str| move |why: String| QueueRefusal::BadTimes { field, why };
    match (cron, interval_ms) {
        (Some(cron), None) => {
            let zone = zone(timezone).map_err(wrong("timezone"));
            Ok(Cron::parse(cron).map_err(wrong("cron"))?.after(now, &zone?))
        }
        (None, Some(interval)) if (MIN_INTERVAL_MS..=MAX_INTERVAL_MS).contains(&interval) => {
            let interval = signed(interval);
            // It keeps its beat: as many intervals as have passed, and one.
            let passed = now.0.saturating_sub(last.0).max(0) / interval;
            Ok(Some(Timestamp(last.0.saturating_add(interval.saturating_mul(passed.saturating_add(1))))))
        }
        (None, Some(_)) => {
            let (least, most) = (MIN_INTERVAL_MS / 1_000, MAX_INTERVAL_MS / 86_400_000);
            Err(wrong("interval_ms")(format!("an interval is from {least} second to {most} days")))
        }
        (None, None) => Err(wrong("cron")("a schedule has a cron expression or an interval".to_owned())),
        (Some(_), Some(_)) => {
            Err(wrong("cron")("a schedule has a cron expression or an interval, not both".to_owned()))
        }
    }
}

fn read(to: &Ask<'_>, name: &ScheduleName) -> Sql<Option<Schedule>> {
    let sql = format!("SELECT {SCHEDULE} FROM schedule WHERE name = ?1");
    Ok(to.db.row(&sql, cells![name.as_str()])?.as_ref().and_then(rows::schedule))
}

fn exists(to: &Ask<'_>, name: &ScheduleName) -> Sql<bool> {
    Ok(to.db.row("SELECT 1 FROM schedule WHERE name = ?1", cells![name.as_str()])?.is_some())
}

/// Adds a schedule.
pub(super) fn add(to: &Ask<'_>, new: &NewSchedule) -> Decided<QueueTold> {
    let timezone = new.timezone.as_deref();
    let times = next(new.cron.as_deref(), new.interval_ms, timezone, (to.now, to.now));
    let first = times?.ok_or_else(|| QueueRefusal::BadTimes {
        field: "cron",
        why: format!("`{}` never comes", new.cron.as_deref().unwrap_or_default()),
    })?;
    let count = lanes::number(to.db, "SELECT count(*) FROM schedule")?;
    if usize::try_from(count).is_ok_and(|count| count >= MAX_SCHEDULES) {
        return Err(QueueRefusal::TooMany { what: "schedules", most: MAX_SCHEDULES }.into());
    }
    let name = match &new.name {
        Some(name) if exists(to, name)? => return Err(QueueRefusal::ScheduleTaken(name.clone()).into()),
        Some(name) => name.clone(),
        None => {
            let mut number = 1;
            while exists(to, &new.lane.schedule(number))? {
                number += 1;
            }
            new.lane.schedule(number)
        }
    };
    lanes::ensure(to, &new.lane)?;
    to.db.change(
        "INSERT INTO schedule(name, lane, owner, command, cwd, cron, interval_ms, timezone, max_attempts, next_at)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)",
        cells![
            name.as_str(),
            new.lane.as_str(),
            new.owner.as_str(),
            json(&new.command)?,
            &new.cwd,
            new.cron.as_deref(),
            new.interval_ms.map(signed),
            new.timezone.as_deref(),
            new.max_attempts.max(1),
            first.0,
        ],
    )?;
    let sql = "INSERT INTO schedule_env(name, env, umask) VALUES (?1, ?2, ?3)
         ON CONFLICT (name) DO UPDATE SET env = excluded.env, umask = excluded.umask";
    to.db.change(sql, cells![name.as_str(), env_text(new.env.as_ref())?, new.umask])?;
    told(to, &name)
}

fn told(to: &Ask<'_>, name: &ScheduleName) -> Decided<QueueTold> {
    let schedule = read(to, name)?.ok_or_else(|| QueueRefusal::NoSchedule(name.clone()))?;
    Ok(QueueTold::Schedule(Box::new(schedule)))
}

/// Removes a schedule, and its environment with it.
pub(super) fn remove(to: &Ask<'_>, name: &ScheduleName) -> Decided<QueueTold> {
    let was = told(to, name)?;
    to.db.change("DELETE FROM schedule WHERE name = ?1", cells![name.as_str()])?;
    Ok(was)
}

/// Adds the jobs of schedules that are due, and moves these on past now.
pub(super) fn fire(to: &Ask<'_>, ids: &[Name]) -> Decided<QueueTold> {
    let mut due = Due { unused: ids.to_vec(), ..Due::default() };
    for _ in 0..LOOKED_AT {
        if due.unused.is_empty() {
            break;
        }
        let sql = format!(
            "SELECT {SCHEDULE} FROM schedule WHERE next_at IS NOT NULL AND next_at <= ?1 ORDER BY next_at, name LIMIT 1"
        );
        let Some(row) = to.db.row(&sql, cells![to.now.0])? else { break };
        let (name, schedule): (String, _) = (row.sure(0)?, rows::schedule(&row));
        let moved = schedule.map(|schedule| {
            let last = (schedule.next_at.unwrap_or(to.now), to.now);
            let (cron, timezone) = (schedule.cron.as_deref(), schedule.timezone.as_deref());
            // A zone that is not there any more leaves the schedule without a time.
            let next = next(cron, schedule.interval_ms, timezone, last).ok().flatten();
            (schedule, next)
        });
        let next = moved.as_ref().and_then(|(_, next)| *next).map(|next| next.0);
        to.db.change("UPDATE schedule SET next_at = ?2 WHERE name = ?1", cells![&name, next])?;
        let Some((schedule, _)) = moved else { continue };
        let last = schedule.last_job.as_ref().and_then(Name::number).map(signed);
        let is_waiting =
            last.map_or(Ok(None), |last| status_of_job(to.db, last))? == Some(QueueStatus::Pending);
        if !is_waiting {
            let id = due.unused.remove(0);
            match fire_one(to, schedule, id) {
                Ok(fired) => due.fired.push(fired),
                // Its lane is full: the time passes, and the others are not kept waiting.
                Err(Stop::Refused(_)) => {}
                Err(stop) => return Err(stop),
            }
        }
    }
    due.next_at = list::next_schedule(to.db)?;
    Ok(QueueTold::Due(Box::new(due)))
}

fn fire_one(to: &Ask<'_>, schedule: Schedule, id: Name) -> Decided<Fired> {
    let name = schedule.name;
    let sql =
        "SELECT env, umask, max_attempts FROM schedule LEFT JOIN schedule_env USING (name) WHERE name = ?1";
    let row = to.db.row(sql, cells![name.as_str()])?.ok_or(SqlError::Unexpected)?;
    let (env, umask, max_attempts): (Option<String>, _, _) = (row.sure(0)?, row.sure(1)?, row.sure(2)?);
    let new = NewJob {
        id,
        lane: schedule.lane,
        command: schedule.command,
        cwd: schedule.cwd,
        env: env.and_then(|text| crate::rows::parse(&text)),
        umask,
        owner: schedule.owner,
        priority: 0,
        run_at: to.now,
        max_attempts,
        after: Vec::new(),
        dedupe: None,
        description: None,
    };
    let job = insert(to, &new, Some(&name))?;
    let number = job.id.number().map(signed);
    let sql = "UPDATE schedule SET last_at = ?2, last_job = ?3 WHERE name = ?1";
    to.db.change(sql, cells![name.as_str(), to.now.0, number])?;
    let schedule = read(to, &name)?.ok_or(QueueRefusal::NoSchedule(name))?;
    Ok(Fired { schedule, job })
}
