//! Questions to the store, answers to clients, and lanes that go on.

use super::routes;
use crate::chronicle::Question;
use crate::conns::Caller;
use crate::lanes::{Asking, By, Client, Lane, Taker, Then, claimant};
use crate::refusals;
use crate::state::Core;
use crate::timers::{Alarm, Timer};
use crate::underway::Asker;
use alloc::boxed::Box;
use gob_protocol::queue::{LaneName, QueueAsk};
use gob_protocol::{Actor, Data, Timestamp, WireError};

/// A time of day is looked at again after so long: the clock may have been set, or the machine may have slept.
const LOOK_AGAIN_MS: u64 = 60_000;

/// Time after which a lane is looked at again that had no descriptors for a run, or whose claim the store could not answer.
pub(super) const LATER_MS: u64 = 2_000;

/// Asks the store.
pub(super) fn ask(core: &mut Core, ask: QueueAsk, asking: Asking) {
    if routes::is_for(core, &ask) {
        return ask_shared(core, ask, asking);
    }
    let effect = core.underway.asks(Asker::Queue(Box::new(asking)), Question::Queue(Box::new(ask)));
    core.cx.push(effect);
}

/// Asks the database that several machines share.
pub(super) fn ask_shared(core: &mut Core, ask: QueueAsk, asking: Asking) {
    let effect = core.underway.asks(Asker::Queue(Box::new(asking)), Question::Shared(Box::new(ask)));
    core.cx.push(effect);
}

/// Asks the store for a caller.
pub(super) fn ask_for(core: &mut Core, caller: &Caller, question: QueueAsk, then: Then) {
    let asking = Asking { then, ..Asking::of((caller.conn, caller.id.clone()), caller.actor()) };
    ask(core, question, asking);
}

/// Answers a request, if there is one that waits and its client is there.
pub(super) fn answer(core: &mut Core, client: Option<Client>, result: Result<Data, Box<WireError>>) {
    if let Some((conn, id)) = client
        && let Some(caller) = core.conns.caller(conn, id)
    {
        core.cx.answer(&caller, result);
    }
}

/// The lane of this name.
///
/// # Errors
/// `busy` when there are too many.
pub(super) fn lane<'a>(core: &'a mut Core, name: &LaneName) -> Result<&'a mut Lane, Box<WireError>> {
    let said = core.cx.setup.settings.lanes.get(name.as_str()).and_then(|lane| lane.width);
    core.lanes.named(name, said).ok_or_else(|| refusals::no_place("lanes"))
}

/// How long it is until this time of day, as far as that is known.
pub(super) fn until_ms(core: &Core, at: Timestamp) -> u64 {
    let left = u64::try_from(at.0.saturating_sub(core.cx.now.wall.0)).unwrap_or_default();
    left.min(LOOK_AGAIN_MS)
}

/// There may be something to claim in the lane.
pub(super) fn wakes(core: &mut Core, name: &LaneName) {
    if let Ok(lane) = lane(core, name) {
        lane.stirs();
    }
    goes_on(core, name);
}

/// There is something to claim in the lane from this time on.
pub(super) fn wakes_at(core: &mut Core, name: &LaneName, due: Option<Timestamp>) {
    let alarm = Timer::Queue(Alarm::Lane(name.clone()));
    if let Ok(lane) = lane(core, name) {
        lane.due = due;
    }
    // Where a claim was refused, its next try is on its way, and sooner than a time of day.
    if core.lanes.get(name).is_some_and(Lane::may_have) && core.cx.timers.at(&alarm).is_some() {
        return;
    }
    match due {
        None => core.cx.timers.cancel(&alarm),
        Some(at) => match until_ms(core, at) {
            0 => {
                core.cx.timers.cancel(&alarm);
                wakes(core, name);
            }
            ms => core.cx.arm(alarm, ms),
        },
    }
}

/// The time has come to look at the lane.
pub(super) fn is_due(core: &mut Core, name: &LaneName) {
    let due = core.lanes.get(name).and_then(|lane| lane.due);
    match due {
        Some(_) => wakes_at(core, name, due),
        None => goes_on(core, name),
    }
}

/// Claims a job for the next party of the lane, if there is one and may be a job.
pub(super) fn goes_on(core: &mut Core, name: &LaneName) {
    let has_room = !core.cx.no_room && !core.cx.leaving.is_on();
    let is_shared = routes::is_lane(core, name);
    if let Some(taker) = core.lanes.next_taker(name, is_shared, has_room) {
        let (by, actor) = match &taker {
            Taker::Here | Taker::Nobody => (By::Here, Actor::Supervisor),
            Taker::Outside(waiting) => {
                let (conn, worker_id) = (Some(waiting.client.0), waiting.worker_id.clone());
                (By::Outside { worker_id, conn }, waiting.actor.clone())
            }
        };
        let host = Some(&*core.cx.setup.host).filter(|_| is_shared);
        let by = claimant(&by, core.cx.setup.server.pid, host);
        let asking = Asking { client: None, actor, then: Then::Give(taker) };
        ask(core, QueueAsk::Claim { lane: name.clone(), by }, asking);
    } else if core.cx.no_room && core.lanes.get(name).is_some_and(Lane::may_have) {
        core.cx.arm(Timer::Queue(Alarm::Lane(name.clone())), LATER_MS);
    }
}
