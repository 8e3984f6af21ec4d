//! Claims of earlier lives of the supervisor.

use super::answer::{Ask, Decided};
use super::list;
use super::settle::{self, Followed, MAX_NAMED};
use crate::rows::unsigned;
use gob_protocol::queue::QueueTold;
use gob_protocol::{Name, QueueJob, QueueStatus, Timestamp};
use rusqlite::params;
use std::collections::BTreeSet;

/// Takes back what earlier lives ran, and takes over what workers outside hold.
pub(super) fn recover(to: &Ask<'_>, except: &[Name], error: &str, retry_at: Timestamp) -> Decided<QueueTold> {
    let mut select = to.db.prepare_cached(
        "SELECT number, outside, locked_by FROM job INDEXED BY job_held
         WHERE instance IS NOT NULL AND instance <> ?1 ORDER BY number",
    )?;
    let found = select.query_map([to.instance], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))?;
    let found = found.collect::<rusqlite::Result<Vec<(i64, bool, Option<String>)>>>()?;
    let except: BTreeSet<_> = except.iter().filter_map(Name::number).collect();
    let (mut jobs, mut outside, mut count) = (Vec::new(), Vec::new(), 0_u64);
    let mut followed = Followed::default();
    for (number, is_outside, locked_by) in found {
        if !is_outside && except.contains(&unsigned(number)) {
            continue;
        }
        let sql = "UPDATE job SET instance = ?2, heartbeat_at = max(heartbeat_at, ?3) WHERE number = ?1";
        to.db.prepare_cached(sql)?.execute(params![number, to.instance, to.now.0])?;
        let id = Name::numbered(unsigned(number));
        if is_outside {
            // One that was cancelled shows no claimant, but has one.
            let named = list::numbered(to.db, number)?.map(|job| QueueJob { locked_by, ..job });
            outside.extend(named);
            continue;
        }
        let held = settle::held(to, &id, None, None)?;
        followed.add(settle::fail_held(to, &held, error, retry_at)?);
        count += 1;
        // One that was cancelled was told of then, and stays so.
        if held.status == QueueStatus::Running && jobs.len() < MAX_NAMED {
            jobs.extend(list::numbered(to.db, number)?);
        }
    }
    jobs.extend(followed.failed);
    jobs.truncate(MAX_NAMED);
    let (lanes, next_at) = (list::lane_states(to.db)?, list::next_schedule(to.db)?);
    Ok(QueueTold::Recovered { jobs, count, outside, lanes, next_at })
}
