//! Supervisors that were heard of, and the claims of those that were not.
//!
//! A supervisor renews one row, and all that it holds is held by that. When the row was not renewed for its lease, by the database's
//! clock, any other supervisor marks the life as dead, and its claims go back. The supervisor itself gives up earlier, by its own clock,
//! and its commands are ended before anybody else can begin them.

use super::failure::Failure;
use super::news::Notice;
use super::session::{Beside, Session};
use crate::jobs::sql::cells;
use crate::jobs::{Ask, Stop, any_held, fail_held, list};
use crate::rows::unsigned;
use gob_protocol::{Name, Timestamp};
use nix::time::{ClockId, clock_gettime};
use serde::{Deserialize, Serialize};
use std::fs;
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;
use std::time::Duration;

/// The database's time.
pub(super) const NOW: &str = "(extract(epoch FROM clock_timestamp()) * 1000)::BIGINT";
/// Whether a life holds a job, or has a part in a lock.
const HELD: &str = "EXISTS (SELECT 1 FROM job WHERE job.instance = life.instance)
    OR EXISTS (SELECT 1 FROM lock_party p WHERE p.instance = life.instance)";
/// Jobs that are taken back in one transaction, and jobs that leave the queue in one.
const STEP: i64 = 200;
/// Time after which a dead life is forgotten.
const FORGOTTEN_MS: i64 = 24 * 3_600_000;

/// The life of a supervisor, as the database knows it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Life {
    pub(super) instance: String,
    pub(super) machine: String,
    pub(super) host: String,
    pub(super) lease: Duration,
    /// The time when the last renewal was sent that was answered; it goes on during a suspend.
    pub(super) renewed: Duration,
}

/// Returns the time since boot, with suspends.
pub(super) fn since_boot() -> Duration {
    clock_gettime(ClockId::CLOCK_BOOTTIME).map_or(Duration::MAX, Duration::from)
}

fn ms(time: Duration) -> i64 {
    i64::try_from(time.as_millis()).unwrap_or(i64::MAX)
}

impl Life {
    /// Makes itself known.
    pub(super) fn begin(&mut self, session: &Session<'_>) -> Result<(), Failure> {
        let sent = since_boot();
        let sql = format!(
            "INSERT INTO life(instance, machine, host, seen_at, lease_ms) VALUES (?1, ?2, ?3, {NOW}, ?4)"
        );
        let values = cells![&self.instance, &self.machine, &self.host, ms(self.lease)];
        session.change(&sql, values)?;
        self.renewed = sent;
        Ok(())
    }

    /// Renews the claims of this life, and of earlier ones of this machine; false where it was given up.
    pub(super) fn renew(&mut self, session: &Session<'_>) -> Result<bool, Failure> {
        let sent = since_boot();
        // An earlier life without a claim is not needed any more.
        let sql = format!(
            "UPDATE life SET seen_at = {NOW}, lease_ms = ?3 WHERE machine = ?1 AND dead = 0
             AND (instance = ?2 OR {HELD}) RETURNING instance"
        );
        let renewed = session.rows(&sql, cells![&self.machine, &self.instance, ms(self.lease)])?;
        let is_ours = renewed.iter().any(|row| row.get::<String>(0).as_ref() == Some(&self.instance));
        if is_ours {
            self.renewed = sent;
        }
        Ok(is_ours)
    }

    /// Returns whether the claims may not be held any longer: others may have them at the end of the lease.
    pub(super) fn is_over(&self) -> bool {
        since_boot().saturating_sub(self.renewed) >= self.lease / 4 * 3
    }

    /// Ends in order: nothing is held any more.
    pub(super) fn end(&self, session: &Session<'_>) -> Result<(), Failure> {
        super::locks::leave(session, &self.instance)?;
        let sql = format!("DELETE FROM life WHERE instance = ?1 AND NOT ({HELD})");
        session.change(&sql, cells![&self.instance]).map(drop)
    }
}

/// Returns the machine's name in the database, which is that of the first supervisor that asked.
pub(super) fn machine(path: &Path, instance: &str) -> Result<String, Failure> {
    let away = |e: std::io::Error| Failure::Away(format!("cannot use {}: {e}", path.display()));
    for _ in 0..2 {
        match fs::read_to_string(path) {
            Ok(text) if !text.trim().is_empty() => return Ok(text.trim().to_owned()),
            Ok(_) => fs::remove_file(path).map_err(away)?,
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => {}
            Err(e) => return Err(away(e)),
        }
        // Whole before it has its name.
        let made = path.with_extension("new");
        let mut file = fs::OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(true)
            .mode(0o600)
            .open(&made)
            .map_err(away)?;
        file.write_all(format!("{instance}\n").as_bytes()).and_then(|()| file.sync_all()).map_err(away)?;
        fs::rename(&made, path).map_err(away)?;
    }
    Err(Failure::Away(format!("{} can't be kept", path.display())))
}

/// Returns the supervisor's instance of the number of one of its lives.
pub(super) fn numbered(instance: &str, number: u32) -> String {
    if number == 0 { instance.to_owned() } else { format!("{instance}.{number}") }
}

/// Returns the supervisor's instance of a life.
pub(super) fn supervisor_of(life: &str) -> &str {
    let is_number = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    life.rsplit_once('.').filter(|(_, number)| is_number(number)).map_or(life, |(instance, _)| instance)
}

/// Takes back what lives held that were not heard of for their lease. Returns whether there may be more.
pub(super) fn sweep(session: &Session<'_>, instance: &str) -> Result<bool, Failure> {
    let is_over = format!("dead = 0 AND seen_at + lease_ms < {NOW}");
    let held = "SELECT 1 FROM job WHERE job.instance = life.instance";
    let sql = format!("SELECT 1 FROM life WHERE ({is_over}) OR (dead = 1 AND EXISTS ({held})) LIMIT 1");
    if session.rows(&sql, &[])?.is_empty() {
        return Ok(false);
    }
    let now = session.begin(Beside::Nothing)?;
    let swept = take_back(session, instance, &is_over, now).and_then(|(notice, more)| {
        session.simple(&format!("{}COMMIT", notice.statement()))?;
        Ok(more)
    });
    if swept.is_err() {
        session.roll_back();
    }
    swept
}

fn take_back(
    session: &Session<'_>,
    instance: &str,
    is_over: &str,
    now: Timestamp,
) -> Result<(Notice, bool), Failure> {
    session.change(&format!("UPDATE life SET dead = 1 WHERE {is_over}"), &[])?;
    let sql = "SELECT number, host, lease_ms FROM job JOIN life USING (instance) WHERE dead = 1 ORDER BY number LIMIT ?1";
    let rows = session.rows(sql, cells![STEP])?;
    let more = i64::try_from(rows.len()).is_ok_and(|count| count == STEP);
    let to = Ask { db: session, instance, now };
    let mut notice = Notice::to_all();
    for row in rows {
        let (number, host): (i64, String) = (row.sure(0)?, row.sure(1)?);
        let lease: i64 = row.sure(2)?;
        let error = format!("the supervisor on {host} was not heard of for {} s", lease / 1_000);
        let held = any_held(&to, number).map_err(stopped)?;
        let followed = fail_held(&to, &held, &error, Timestamp(now.0.saturating_add(1_000)))?;
        followed.failed().iter().for_each(|job| notice.swept(job));
        if let Some(job) = list::job(session, &Name::numbered(unsigned(number)))? {
            notice.swept(&job);
        }
    }
    super::locks::bury(session, &mut notice)?;
    let sql = format!("DELETE FROM life WHERE dead = 1 AND seen_at < ?1 AND NOT ({HELD})");
    session.change(&sql, cells![now.0.saturating_sub(FORGOTTEN_MS)])?;
    Ok((notice, more))
}

/// Deletes jobs that ended long ago, and returns them.
pub(super) fn trim(session: &Session<'_>, instance: &str, keep: Duration) -> Result<Vec<Name>, Failure> {
    let mut gone = Vec::new();
    for status in 2..=4_i64 {
        let sql = format!(
            "DELETE FROM job WHERE number IN (
                 SELECT number FROM job WHERE status = ?1 AND status >= 2 AND finished_at < {NOW} - ?2
                 AND instance IS NULL ORDER BY finished_at LIMIT ?3 FOR UPDATE SKIP LOCKED)
             RETURNING number"
        );
        let rows = session.rows(&sql, cells![status, ms(keep), STEP])?;
        gone.extend(rows.iter().filter_map(|row| row.get::<i64>(0)).map(unsigned));
    }
    if !gone.is_empty() {
        let mut notice = Notice::of(instance);
        notice.left(gone.iter().copied());
        session.simple(&notice.statement())?;
    }
    Ok(gone.into_iter().map(Name::numbered).collect())
}

fn stopped(stop: Stop) -> Failure {
    match stop {
        Stop::Sql(error) => error.into(),
        Stop::Refused(refusal) => Failure::Busy(refusal.to_string()),
    }
}
