//! The queue of a store that is left: of a damaged one, what can be read; of a deleted one, all.

use super::open::now_ms;
use super::salvage::Table;
use crate::jobs::rows::{JOB, SCHEDULE, job, schedule};
use crate::jobs::sql;
use rusqlite::types::Value;
use rusqlite::{Connection, Row, TransactionBehavior, params_from_iter};
use std::time::{Duration, Instant};

/// Time limit of carrying a queue over.
const CARRYING: Duration = Duration::from_secs(10);
/// Rounds in which jobs fail with those that they come after.
const ROUNDS: usize = 1_000;

/// Columns of a job beside those that are shown.
const OF_JOB: &str = "blocked, instance, outside";
/// Columns of a schedule beside those that are shown.
const OF_SCHEDULE: &str = "max_attempts";

/// Rows that were kept.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Rescued {
    pub(super) jobs: u64,
    pub(super) schedules: u64,
    pub(super) is_whole: bool,
}

/// Copies the queue of a deleted store, in one transaction.
pub(super) fn carry(from: &Connection, to: &mut Connection) -> rusqlite::Result<Rescued> {
    let transaction = to.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let rescued = rescue(from, &transaction, Instant::now() + CARRYING)?;
    transaction.commit()?;
    Ok(rescued)
}

/// Copies rows that can be read and understood. Those of two jobs that can't both be are damage, and one stays.
pub(super) fn rescue(from: &Connection, to: &Connection, until: Instant) -> rusqlite::Result<Rescued> {
    let mut rescued = Rescued::default();
    if !from.table_exists(None, "job").unwrap_or(true) {
        // It is from before the queue.
        return Ok(Rescued { is_whole: true, ..rescued });
    }
    let all = |_: &Row<'_>| true;
    let lanes = copy(from, to, until, ("lane", &["name"], "name, width, paused"), all)?;
    let columns = format!("{JOB}, {OF_JOB}");
    let jobs =
        copy(from, to, until, ("job", &["number"], &columns), |row| is_fit(row, |row| job(row).is_some()))?;
    let columns = format!("{SCHEDULE}, {OF_SCHEDULE}");
    let schedules = copy(from, to, until, ("schedule", &["name"], &columns), |row| {
        is_fit(row, |row| schedule(row).is_some())
    })?;
    let envs = copy(from, to, until, ("job_env", &["number"], "number, env, umask"), all)?;
    let others = copy(from, to, until, ("schedule_env", &["name"], "name, env, umask"), all)?;
    let edges = copy(from, to, until, ("job_after", &["number", "before"], "number, before, done"), all)?;
    rescued.jobs = jobs.0;
    rescued.schedules = schedules.0;
    rescued.is_whole = [lanes, jobs, schedules, envs, others, edges].iter().all(|(_, is_whole)| *is_whole);
    mend(to)?;
    Ok(rescued)
}

/// Tells whether a row can be understood.
fn is_fit(row: &Row<'_>, reads: impl Fn(&sql::Row) -> bool) -> bool {
    sql::Row::of_file(row).is_ok_and(|row| reads(&row))
}

type Named<'a> = (&'static str, &'static [&'static str], &'a str);

/// Copies rows of a table; returns how many, and whether all could be read.
fn copy(
    from: &Connection,
    to: &Connection,
    until: Instant,
    (table, key, columns): Named<'_>,
    is_fit: impl Fn(&Row<'_>) -> bool,
) -> rusqlite::Result<(u64, bool)> {
    let count = columns.split(',').count();
    let marks = vec!["?"; count].join(", ");
    let mut insert = to.prepare(&format!("INSERT OR IGNORE INTO {table}({columns}) VALUES ({marks})"))?;
    let mut copied = 0_u64;
    let walk = Table { columns: columns.to_owned(), table, key };
    let is_whole = walk.walk(from, until, |row| {
        let values = (0..count).map(|at| row.get::<_, Value>(at)).collect::<rusqlite::Result<Vec<_>>>();
        if let (Ok(values), true) = (values, is_fit(row)) {
            // One of the wrong type is damage, too.
            let is_new = insert.execute(params_from_iter(values)).is_ok_and(|rows| rows > 0);
            copied += u64::from(is_new);
        }
        Ok(())
    })?;
    Ok((copied, is_whole))
}

/// Makes what belongs together fit together: jobs wait for those that are there, fail with those that are not, and environments are those of
/// jobs that have not ended.
fn mend(to: &Connection) -> rusqlite::Result<()> {
    to.execute_batch(
        "INSERT OR IGNORE INTO job_after(number, before, done)
             SELECT number, value, 0 FROM job, json_each(needs);
         DELETE FROM job_after WHERE number NOT IN (SELECT number FROM job);
         UPDATE job_after SET done = 1 WHERE done = 0 AND before IN (SELECT number FROM job WHERE status = 2);
         DELETE FROM job_env WHERE number NOT IN (SELECT number FROM job WHERE status < 2);
         DELETE FROM schedule_env WHERE name NOT IN (SELECT name FROM schedule);",
    )?;
    for _ in 0..ROUNDS {
        let failed = to.execute(
            "UPDATE job SET status = 3, finished_at = ?1, error = 'a job that it comes after failed, or was lost with a damaged file'
             WHERE status = 0 AND EXISTS (SELECT 1 FROM job_after WHERE job_after.number = job.number AND done = 0
                 AND before NOT IN (SELECT number FROM job WHERE status < 2))",
            [now_ms()],
        )?;
        if failed == 0 {
            break;
        }
    }
    to.execute_batch(
        "UPDATE job SET blocked = (SELECT count(*) FROM job_after WHERE job_after.number = job.number AND done = 0)
         WHERE status = 0;
         INSERT INTO counter(name, next) SELECT 'job', max(number) + 1 FROM job WHERE true HAVING max(number) IS NOT NULL
             ON CONFLICT(name) DO UPDATE SET next = excluded.next WHERE excluded.next > next;",
    )
}
