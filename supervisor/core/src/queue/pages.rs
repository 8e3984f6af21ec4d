//! Lists of all lanes: the jobs of this machine, and behind them those of the database that several machines share.

use super::asks;
use super::routes::{PAGE, is_for};
use crate::lanes::{Asking, Then};
use crate::state::Core;
use alloc::boxed::Box;
use alloc::format;
use alloc::string::ToString;
use alloc::vec::Vec;
use gob_protocol::answer::QueueListData;
use gob_protocol::queue::QueueAsk;

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
        let mut all = match &asking.then {
            Then::After(before) => QueueListData::clone(before),
            Then::AsAsked | Then::Give(_) | Then::Check(_) | Then::Clear(_) => {
                QueueListData { jobs: Vec::new(), lanes: Vec::new(), next: None }
            }
        };
        all.jobs.extend(page.jobs);
        all.lanes.extend(page.lanes);
        all.next = page.next.map(|next| format!("{PAGE}{next}"));
        return Some(all);
    }
    if page.next.is_some() || !core.lanes.shared.is_up() {
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
