//! Claims of earlier lives of the supervisor.

use super::answer::{Ask, Decided};
use super::list;
use super::settle::{self, Followed, MAX_NAMED};
use super::sql::cells;
use crate::rows::unsigned;
use gob_protocol::queue::QueueTold;
use gob_protocol::{Name, QueueJob, QueueStatus, Timestamp};
use std::collections::BTreeSet;

/// Takes back what earlier lives ran, and takes over what workers outside hold.
pub(super) fn recover(to: &Ask<'_>, except: &[Name], error: &str, retry_at: Timestamp) -> Decided<QueueTold> {
    let sql = format!(
        "SELECT number, outside, locked_by, instance, attempt FROM job INDEXED BY job_held
         WHERE instance IS NOT NULL AND {} ORDER BY number",
        to.db.earlier()
    );
    let found = to.db.rows(&sql, cells![to.instance])?;
    let except: BTreeSet<_> = except.iter().filter_map(Name::number).collect();
    let (mut jobs, mut outside, mut count) = (Vec::new(), Vec::new(), 0_u64);
    let mut followed = Followed::default();
    for row in found {
        let (number, is_outside, locked_by): (i64, bool, Option<String>) =
            (row.sure(0)?, row.sure(1)?, row.sure(2)?);
        if !is_outside && except.contains(&unsigned(number)) {
            continue;
        }
        let earlier: String = row.sure(3)?;
        let id = Name::numbered(unsigned(number));
        if !is_outside && to.db.was_not_begun(&earlier, to.instance) {
            settle::give_back(to, &id, row.sure(4)?)?;
            if jobs.len() < MAX_NAMED {
                jobs.extend(list::numbered(to.db, number)?);
            }
            count += 1;
            continue;
        }
        let sql = "UPDATE job SET instance = ?2,
             heartbeat_at = CASE WHEN heartbeat_at > ?3 THEN heartbeat_at ELSE ?3 END WHERE number = ?1";
        to.db.change(sql, cells![number, to.instance, to.now.0])?;
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
