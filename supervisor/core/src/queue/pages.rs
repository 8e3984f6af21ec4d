//! Lists of all lanes: the jobs of this machine, and behind them those of the database that several machines share.
//!
//! A database that does not answer leaves its lanes in the list, as far as they are known here: a list without them would say that
//! nothing is left to do.

use super::asks;
use super::routes::{PAGE, is_for, is_lane, names};
use crate::chronicle::NoAnswer;
use crate::lanes::{Asking, Then};
use crate::state::Core;
use alloc::borrow::ToOwned;
use alloc::boxed::Box;
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use gob_protocol::answer::QueueListData;
use gob_protocol::queue::{Lane, LaneName, QueueAsk, QueueCounts, QueueStatus};

/// Puts the pages of a list of all lanes one after the other: this machine's, then those of the database. `None` where the database is
/// asked first.
pub(super) fn joined(
    core: &mut Core,
    ask: &QueueAsk,
    asking: &Asking,
    page: QueueListData,
) -> Option<QueueListData> {
    let QueueAsk::List { lane: None, status, limit, .. } = ask else { return Some(page) };
    if is_for(core, ask) {
        let mut all = before(&asking.then);
        all.jobs.extend(page.jobs);
        all.lanes.extend(page.lanes);
        all.next = page.next.map(|next| format!("{PAGE}{next}"));
        return Some(all);
    }
    let has_database = core.cx.setup.settings.shared.is_some() || !names(core).is_empty();
    if page.next.is_some() || !has_database {
        return Some(page);
    }
    let left = limit.saturating_sub(u32::try_from(page.jobs.len()).unwrap_or(u32::MAX));
    if left == 0 {
        return Some(QueueListData { next: Some(PAGE.to_string()), ..page });
    }
    let next = QueueAsk::List { lane: None, status: *status, after: Some(PAGE.to_string()), limit: left };
    let then = Then::After(Box::new(page));
    asks::ask(core, next, Asking { client: asking.client.clone(), actor: asking.actor.clone(), then });
    None
}

/// A lane with the width that it has here: the configuration may say another one than the store.
pub(super) fn shown(core: &Core, lane: Lane) -> Lane {
    let said = said_width(core, &lane.lane);
    let width = core.lanes.get(&lane.lane).map(|known| known.width).or(said).unwrap_or(lane.width);
    let shared = is_lane(core, &lane.lane);
    Lane { width, shared, ..lane }
}

/// The width that the configuration says.
pub(super) fn said_width(core: &Core, name: &LaneName) -> Option<u32> {
    core.cx.setup.settings.lanes.get(name.as_str()).and_then(|lane| lane.width)
}

/// Returns the page that comes before an answer of the database.
fn before(then: &Then) -> QueueListData {
    match then {
        Then::After(before) => QueueListData::clone(before),
        Then::AsAsked | Then::Give(_) | Then::Check(_) | Then::Clear(_) => {
            QueueListData { jobs: Vec::new(), lanes: Vec::new(), next: None }
        }
    }
}

/// Returns a list of all lanes where the database does not answer: its lanes as the configuration has them, with the jobs that run here.
/// `None` for other questions, and for a place within its jobs.
pub(super) fn without_database(
    core: &Core,
    ask: &QueueAsk,
    then: &Then,
    why: &NoAnswer,
) -> Option<QueueListData> {
    let QueueAsk::List { lane: None, status, after, limit } = ask else { return None };
    if after.as_deref() != Some(PAGE) {
        return None;
    }
    let reason = match why {
        NoAnswer::Away(why) | NoAnswer::Failed(why) => why.clone(),
        NoAnswer::Silent => "the database does not answer".to_owned(),
        NoAnswer::Full => "too many questions wait for the database".to_owned(),
    };
    let mut all = before(then);
    if status.is_none_or(|status| status == QueueStatus::Running) {
        let most = usize::try_from(*limit).unwrap_or(usize::MAX);
        all.jobs.extend(core.lanes.holds.shared_jobs().take(most).cloned());
    }
    all.lanes.extend(names(core).into_iter().map(|name| lane_away(core, name, reason.clone())));
    Some(all)
}

/// Returns a shared lane as far as it is known here.
fn lane_away(core: &Core, name: LaneName, reason: String) -> Lane {
    let running = core.lanes.holds.shared_jobs().filter(|job| job.lane == name).count();
    let running = u64::try_from(running).unwrap_or(u64::MAX);
    let counts = QueueCounts { running, ..QueueCounts::default() };
    let paused = core.lanes.get(&name).is_some_and(|lane| lane.is_paused);
    shown(core, Lane { lane: name, width: 1, paused, counts, shared: true, away: Some(reason) })
}
