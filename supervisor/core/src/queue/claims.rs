//! Claims of workers outside, their signs of life and their results; and what the store has claimed for the supervisor itself.

use super::{asks, attempts, routes};
use crate::conns::Caller;
use crate::ids::ConnId;
use crate::lanes::{Asking, By, Client, Held, Lane, Taker, Then, Waiting, claimant};
use crate::refusals;
use crate::state::Core;
use crate::timers::{Alarm, Timer};
use alloc::boxed::Box;
use alloc::format;
use alloc::string::String;
use alloc::vec;
use alloc::vec::Vec;
use gob_protocol::answer::{EmptyData, QueueClaimData};
use gob_protocol::queue::{Beat, Claim, Claimant, Ending, LaneName, QueueAsk, QueueEnd, QueueJob, is_shared};
use gob_protocol::request::{QueueClaim, QueueFinish, QueueHeartbeat};
use gob_protocol::{Actor, Data, EventKind, Name, Timestamp, WireError};

/// Time for which each claim waits while what earlier lives left is not known yet.
const SETTLE_MS: u64 = 3_000;

/// `queue_claim`.
pub(super) fn claim(core: &mut Core, caller: &Caller, claim: QueueClaim) {
    let QueueClaim { lane: name, worker_id, wait_ms } = claim;
    let is_shared = routes::is_lane(core, &name);
    if let Some(error) = routes::is_away(core).filter(|_| is_shared) {
        return core.cx.answer(caller, Err(error));
    }
    let is_settled = core.lanes.may_claim(is_shared);
    let may_have = match asks::lane(core, &name) {
        Ok(lane) => lane.may_have(),
        Err(error) => return core.cx.answer(caller, Err(error)),
    };
    let client = (caller.conn, caller.id.clone());
    let wait_ms = wait_ms.unwrap_or_default().max(if is_settled { 0 } else { SETTLE_MS });
    if wait_ms == 0 && !may_have {
        return none(core, client);
    }
    let until_ms = (wait_ms > 0).then(|| core.cx.now.mono_ms.saturating_add(wait_ms));
    let number = core.lanes.next_number();
    let waiting = Waiting { number, client, actor: caller.actor(), worker_id, until_ms };
    if !core.lanes.waits(&name, waiting) {
        return core.cx.answer(caller, Err(refusals::too_many_wait()));
    }
    if wait_ms > 0 {
        core.cx.arm(Timer::Queue(Alarm::Claimant(name.clone(), number)), wait_ms);
    }
    asks::goes_on(core, &name);
}

/// There is no job for a claim.
fn none(core: &mut Core, client: Client) {
    asks::answer(core, Some(client), Ok(Data::QueueClaim(Box::new(QueueClaimData { job: None }))));
}

/// Claims for the lane, if there may be a job; while it is paused, claims without time to wait are told that there is none.
pub(super) fn goes_on_or_tells_none(core: &mut Core, name: &LaneName) {
    let paused = core.lanes.get_mut(name).filter(|lane| lane.is_paused);
    for waiting in paused.map(Lane::take_hasty).unwrap_or_default() {
        none(core, waiting.client);
    }
    asks::goes_on(core, name);
}

/// A claim waits no longer.
pub(super) fn waits_no_longer(core: &mut Core, lane: &LaneName, number: u64) {
    if let Some(waiting) = core.lanes.get_mut(lane).and_then(|lane| lane.take_one(number)) {
        none(core, waiting.client);
    }
}

/// The store has claimed a job, or found none.
pub(super) fn claimed(
    core: &mut Core,
    ask: &QueueAsk,
    asking: Asking,
    claim: Option<Box<Claim>>,
    due: Option<Timestamp>,
) {
    let QueueAsk::Claim { lane: name, .. } = ask else { return };
    let has_job = claim.is_some();
    if let Some(lane) = core.lanes.get_mut(name) {
        lane.told(has_job, due);
    }
    core.cx.tally.queue_claims += u64::from(has_job);
    match (asking.then, claim) {
        (Then::Give(Taker::Outside(waiting)), Some(claim)) => give(core, waiting, claim.job),
        (Then::Give(Taker::Outside(waiting)), None) => waits_on(core, name, waiting),
        // The lane may have become narrower meanwhile.
        (Then::Give(Taker::Here), Some(claim)) if !core.cx.leaving.is_on() && core.lanes.has_slot(name) => {
            attempts::begin(core, *claim);
        }
        (_, Some(claim)) => attempts::give_back(core, &claim.job, By::Here),
        (_, None) => {}
    }
    if has_job {
        return asks::goes_on(core, name);
    }
    let hasty = core.lanes.get_mut(name).map(|lane| lane.take_hasty()).unwrap_or_default();
    for waiting in hasty {
        none(core, waiting.client);
    }
    asks::wakes_at(core, name, due);
}

/// A claimant outside gets its job, if it is still there.
fn give(core: &mut Core, waiting: Waiting, job: QueueJob) {
    let Waiting { number, client, actor, worker_id, .. } = waiting;
    let (conn, id) = client;
    core.cx.timers.cancel(&Timer::Queue(Alarm::Claimant(job.lane.clone(), number)));
    match core.conns.caller(conn, id) {
        None => attempts::give_back(core, &job, By::Outside { worker_id, conn: None }),
        Some(caller) => {
            let held = Held::new(&job, By::Outside { worker_id, conn: Some(conn) });
            core.lanes.holds.add(job.id.clone(), held);
            attempts::is_heard(core, &job.id);
            core.cx.publish_job(EventKind::QueueJobStarted, actor, job.clone());
            core.cx.answer(&caller, Ok(Data::QueueClaim(Box::new(QueueClaimData { job: Some(job) }))));
        }
    }
}

/// There was no job for a claim, which may have time left.
fn waits_on(core: &mut Core, name: &LaneName, waiting: Waiting) {
    let is_there = core.conns.caller(waiting.client.0, None).is_some();
    let has_time = waiting.until_ms.is_some_and(|until| until > core.cx.now.mono_ms);
    match core.lanes.get_mut(name).filter(|_| is_there && has_time) {
        Some(lane) => lane.waits_on(waiting),
        None => none(core, waiting.client),
    }
}

/// The store refuses to claim, or can't.
pub(super) fn is_refused(core: &mut Core, name: &LaneName, asking: Asking, error: Box<WireError>) {
    if let Some(lane) = core.lanes.get_mut(name) {
        lane.refused();
    }
    if let Then::Give(Taker::Outside(waiting)) = asking.then {
        core.cx.timers.cancel(&Timer::Queue(Alarm::Claimant(name.clone(), waiting.number)));
        asks::answer(core, Some(waiting.client), Err(error));
    }
    if !core.cx.leaving.is_on() {
        core.cx.arm(Timer::Queue(Alarm::Lane(name.clone())), asks::LATER_MS);
    }
}

/// `queue_heartbeat`. Before it is known which claims of an earlier life go on, each is taken to.
pub(super) fn heartbeat(core: &mut Core, caller: &Caller, beat: QueueHeartbeat) {
    let QueueHeartbeat { job_id: id, worker_id, attempt } = beat;
    let held = core.lanes.holds.get(&id).filter(|held| held.is_of(&worker_id, attempt));
    let lives = held.is_some_and(|held| !held.is_cancelled);
    let is_cancelled = held.is_some_and(|held| held.is_cancelled);
    let is_known = if is_shared(&id) { core.lanes.shared.knows_claims() } else { core.lanes.is_settled() };
    if !lives && (is_known || is_cancelled) {
        core.cx.tally.heartbeat_failures += 1;
        return core.cx.answer(caller, Err(refusals::not_claimed(&id, &worker_id, is_cancelled)));
    }
    if lives {
        core.lanes.holds.heard_on(&id, caller.conn);
        attempts::is_heard(core, &id);
        let beat = Beat { id, attempt, by: Claimant::Outside(worker_id), at: core.cx.now.wall };
        asks::ask(core, QueueAsk::Heartbeat(vec![beat]), Asking::own(caller.actor()));
    }
    core.cx.answer(caller, Ok(Data::Empty(EmptyData {})));
}

/// `queue_finish`. The store knows whether the attempt is this worker's, and is told before that is answered.
pub(super) fn finish(core: &mut Core, caller: &Caller, finish: QueueFinish) {
    let QueueFinish { job_id: id, worker_id, success, error, attempt } = finish;
    let held = core.lanes.holds.get(&id).filter(|held| held.is_of(&worker_id, attempt));
    let (is_its, is_ending) = (held.is_some(), held.is_some_and(|held| held.end.is_some()));
    if is_ending {
        return core.cx.answer(caller, Err(refusals::not_claimed(&id, &worker_id, false)));
    }
    let end = if success {
        QueueEnd::Completed
    } else {
        let error = error.filter(|error| !error.is_empty());
        let error = error.unwrap_or_else(|| format!("{worker_id} says that it failed"));
        attempts::failed(core, &id, error)
    };
    let attempt = held_attempt(core, &id).filter(|_| is_its).or(attempt);
    let by = claimant(&By::Outside { worker_id, conn: None }, 0, None);
    let ask = QueueAsk::Finish(Box::new(Ending { id: id.clone(), attempt, by, end, exit: None }));
    let asking = Asking::of((caller.conn, caller.id.clone()), caller.actor());
    if is_its {
        core.lanes.holds.heard_on(&id, caller.conn);
        attempts::settle(core, &id, ask, asking);
    } else {
        asks::ask(core, ask, asking);
    }
}

fn held_attempt(core: &Core, id: &Name) -> Option<u32> {
    core.lanes.holds.get(id).map(|held| held.attempt)
}

/// The claimant of a job was not heard for too long.
pub(super) fn is_stale(core: &mut Core, id: &Name) {
    if let Some((worker, attempt, attempts)) = outside(core, id) {
        let seconds = core.cx.setup.settings.queue.stale_after_ms / 1_000;
        let error = format!("its worker {worker} was not heard of for {seconds} s");
        let retry_at = attempts::retry_at(core, attempts);
        core.cx.tally.stale_recoveries += 1;
        let ask = QueueAsk::Stale { id: id.clone(), attempt, error, retry_at };
        attempts::settle(core, id, ask, Asking::own(Actor::Supervisor));
    }
}

/// A worker outside that holds a job, the attempt, and how many count.
fn outside(core: &Core, id: &Name) -> Option<(String, u32, u32)> {
    let held = core.lanes.holds.get(id).filter(|held| held.end.is_none())?;
    match &held.by {
        By::Here => None,
        By::Outside { worker_id, .. } => Some((worker_id.clone(), held.attempt, held.attempts)),
    }
}

/// The connection of claimants is gone: their jobs are given back.
pub(super) fn is_gone(core: &mut Core, conn: ConnId) {
    let ids: Vec<Name> = core.lanes.holds.of(conn).cloned().collect();
    for id in ids {
        if let Some((_, attempt, _)) = outside(core, &id) {
            let ask = QueueAsk::GiveBack { id: id.clone(), attempt };
            attempts::settle(core, &id, ask, Asking::own(Actor::Supervisor));
        }
    }
}
