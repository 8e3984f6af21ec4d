//! What earlier lives of the supervisor left, and the end of this one.

use super::{asks, attempts, manage, schedules, shared};
use crate::lanes::{Asking, Unfinished};
use crate::state::Core;
use alloc::vec::Vec;
use gob_protocol::queue::{LaneState, QueueAsk, QueueJob};
use gob_protocol::{Actor, EventKind, Name, Timestamp};

/// Asks the store what earlier lives left: all that they ran goes back, but for jobs of which processes are left.
pub(crate) fn begins(core: &mut Core) {
    if core.lanes.asks_past() {
        let left = core.cx.past.leftovers().iter().filter_map(|left| left.worker.clone());
        let except: Vec<Name> = left.filter(|name| name.number().is_some()).collect();
        let retry_at = attempts::retry_at(core, 1);
        let ask = QueueAsk::Recover { except, error: attempts::ENDED.into(), retry_at };
        asks::ask(core, ask, Asking::own(Actor::Supervisor));
    }
}

/// Processes of an earlier life that were left may be gone.
pub(crate) fn leftovers_changed(core: &mut Core) {
    shared::leftovers_changed(core);
    if core.lanes.past_has_changed() {
        begins(core);
    }
}

/// The store has taken back what earlier lives ran. Claims of workers outside go on: each counts as just heard.
pub(super) fn recovered(
    core: &mut Core,
    jobs: Vec<QueueJob>,
    count: u64,
    outside: Vec<QueueJob>,
    lanes: &[LaneState],
    next_at: Option<Timestamp>,
) {
    core.lanes.past_is_settled();
    core.cx.tally.stale_recoveries += count;
    for job in jobs {
        core.cx.publish_job(EventKind::QueueJobRecovered, Actor::Supervisor, job);
    }
    for job in outside {
        attempts::goes_on_outside(core, &job);
    }
    for state in lanes {
        manage::learn(core, state, false);
    }
    schedules::next_at(core, next_at);
    for name in core.lanes.names() {
        asks::goes_on(core, &name);
    }
}

/// Asks how many jobs are not finished, before the supervisor ends for good: those are kept.
pub(crate) fn counts_unfinished(core: &mut Core) {
    if core.lanes.is_used() {
        core.lanes.unfinished = Unfinished::Asked;
        asks::ask(core, QueueAsk::Unfinished, Asking::own(Actor::Supervisor));
    }
}
