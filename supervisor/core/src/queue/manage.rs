//! Jobs and lanes are shown, cancelled, retried, paused. A job is managed by its owner, as a worker is.

use super::{asks, claims, pages, routes};
use crate::conns::Caller;
use crate::lanes::{Asking, Then};
use crate::owner::Title;
use crate::refusals;
use crate::state::Core;
use alloc::boxed::Box;
use alloc::format;
use alloc::vec;
use alloc::vec::Vec;
use gob_protocol::answer::{QueueJobData, QueueLaneData, QueueListData};
use gob_protocol::queue::{LaneState, Listed, QueueAsk, QueueJob, Settled};
use gob_protocol::request::{QueueList, QueueWidth};
use gob_protocol::{Actor, Data, EventKind, Name, Owner, Request};

/// Jobs in an answer to a request that does not say how many.
const PAGE: u32 = 100;

/// Takes a request that shows or manages.
#[expect(clippy::wildcard_enum_match_arm, reason = "the other requests show and manage nothing of the queue")]
pub(super) fn request(core: &mut Core, caller: &Caller, request: Request) {
    let reason = |word: &str| format!("{word} by {}", caller.actor());
    let (ask, then) = match request {
        Request::QueueGet(which) => (QueueAsk::Get { id: which.job_id }, Then::AsAsked),
        Request::QueueList(QueueList { lane, status, after, limit }) => {
            (QueueAsk::List { lane, status, after, limit: limit.unwrap_or(PAGE) }, Then::AsAsked)
        }
        Request::QueueCancel(which) => {
            let cancel = QueueAsk::Cancel { id: which.job_id.clone(), reason: reason("cancelled") };
            (QueueAsk::Get { id: which.job_id }, Then::Check(Box::new(cancel)))
        }
        Request::QueueRetry(retry) => {
            let id = retry.job_id.clone();
            let again = QueueAsk::Retry { id, env: retry.env, umask: caller.umask };
            (QueueAsk::Get { id: retry.job_id }, Then::Check(Box::new(again)))
        }
        Request::QueuePause(which) => (QueueAsk::Pause { lane: which.lane }, Then::AsAsked),
        Request::QueueResume(which) => (QueueAsk::Resume { lane: which.lane }, Then::AsAsked),
        Request::QueueWidth(QueueWidth { lane, width }) => (QueueAsk::Width { lane, width }, Then::AsAsked),
        Request::QueueClear(which) => {
            let (owners, reason) = (owners_of(caller.owner()), reason("cleared"));
            (QueueAsk::Clear { lane: which.lane, owners, reason }, Then::Clear(0))
        }
        _other => return,
    };
    asks::ask_for(core, caller, ask, then);
}

/// The owners whose jobs a requester may cancel: a job has had no other owner, so that one of `unknown` is the command line's.
fn owners_of(requester: &Owner) -> Vec<Owner> {
    match requester {
        owner if owner.is_unknown() => Vec::new(),
        owner if owner.is_cli() => vec![owner.clone(), Owner::unknown()],
        owner => vec![owner.clone()],
    }
}

/// A job was found that is to be changed, if its asker may.
pub(super) fn check(core: &mut Core, job: QueueJob, next: QueueAsk, asking: Asking) {
    let Asking { client, actor, .. } = asking;
    let requester = match &actor {
        Actor::Client { owner, .. } => owner.clone(),
        Actor::Supervisor => Owner::unknown(),
    };
    let title = Title { owner: &job.owner, last: None };
    if !title.may_manage(&requester) {
        let error = refusals::job_of_other(&job.id, &job.owner, &requester);
        return asks::answer(core, client, Err(error));
    }
    asks::ask(core, next, Asking { client, actor, then: Then::AsAsked });
}

/// A job was cancelled. One that runs here is stopped; the claimant of one that runs elsewhere hears of it.
pub(super) fn cancelled(core: &mut Core, asking: Asking, settled: Settled) {
    let Settled { job, lanes, failed, .. } = settled;
    core.cx.publish_job(EventKind::QueueJobFinished, asking.actor.clone(), job.clone());
    for dependant in failed {
        core.cx.publish_job(EventKind::QueueJobFinished, Actor::Supervisor, dependant);
    }
    stops(core, &job.id, &asking.actor);
    asks::answer(core, asking.client, Ok(Data::QueueJob(Box::new(QueueJobData { job }))));
    for lane in lanes {
        asks::wakes(core, &lane);
    }
}

/// A job that is held was cancelled: one that runs here is stopped.
pub(super) fn stops(core: &mut Core, id: &Name, actor: &Actor) {
    if let Some(held) = core.lanes.holds.get_mut(id) {
        held.is_cancelled = true;
        if held.is_here()
            && let Some(worker) = core.workers.get_mut(id)
        {
            worker.bring_down(None, actor, &mut core.cx);
        }
    }
}

/// A job waits again.
pub(super) fn retried(core: &mut Core, asking: Asking, settled: Settled) {
    let Settled { job, lanes, .. } = settled;
    core.cx.publish_job(EventKind::QueueJobAdded, asking.actor, job.clone());
    asks::answer(core, asking.client, Ok(Data::QueueJob(Box::new(QueueJobData { job }))));
    for lane in lanes {
        asks::wakes(core, &lane);
    }
}

/// A page of jobs. Those of lanes that several machines share come after this machine's own.
pub(super) fn listed(core: &mut Core, ask: &QueueAsk, asking: Asking, page: Listed) {
    let Listed { jobs, lanes, next } = page;
    let lanes = lanes.into_iter().map(|lane| pages::shown(core, lane)).collect();
    let page = QueueListData { jobs, lanes, next };
    if let Some(data) = pages::joined(core, ask, &asking, page) {
        asks::answer(core, asking.client, Ok(Data::QueueList(Box::new(data))));
    }
}

/// Takes a lane as the store has it. The configuration has the first word on its width, `queue_width` the last. A client may have
/// named the lane before the store was asked what there is; that says nothing about its width.
pub(super) fn learn(core: &mut Core, state: &LaneState, is_width: bool) {
    let name = &state.lane.lane;
    // Other machines may say which width a lane has that several share.
    let is_width = is_width || (routes::is_lane(core, name) && pages::said_width(core, name).is_none());
    if let Ok(lane) = asks::lane(core, name) {
        lane.is_paused = state.lane.paused;
        if is_width || lane.has_default_width {
            (lane.width, lane.has_default_width) = (state.lane.width, false);
        }
    }
    asks::wakes_at(core, name, state.due);
    // A claim that was refused before may be tried again; where the lane is paused, none will be.
    claims::goes_on_or_tells_none(core, name);
}

/// A lane was paused, resumed, or has another width.
pub(super) fn lane_told(core: &mut Core, ask: &QueueAsk, asking: Asking, state: LaneState) {
    learn(core, &state, matches!(ask, QueueAsk::Width { .. }));
    let lane = pages::shown(core, state.lane);
    let data = Data::QueueLane(Box::new(QueueLaneData { lane, cancelled: None }));
    asks::answer(core, asking.client, Ok(data));
}

/// Jobs of a lane were cancelled; there may be more.
pub(super) fn cleared(
    core: &mut Core,
    asking: Asking,
    state: LaneState,
    cancelled: u64,
    jobs: Vec<QueueJob>,
    more: bool,
) {
    for job in jobs {
        core.cx.publish_job(EventKind::QueueJobFinished, asking.actor.clone(), job);
    }
    let before = match asking.then {
        Then::Clear(before) => before,
        Then::AsAsked | Then::Give(_) | Then::Check(_) | Then::After(_) => 0,
    };
    let count = before.saturating_add(cancelled);
    learn(core, &state, false);
    if let (true, Actor::Client { owner, .. }) = (more, &asking.actor) {
        let (lane, owners) = (state.lane.lane, owners_of(owner));
        let reason = format!("cleared by {}", asking.actor);
        let next = Asking { then: Then::Clear(count), ..asking };
        return asks::ask(core, QueueAsk::Clear { lane, owners, reason }, next);
    }
    let lane = pages::shown(core, state.lane);
    let data = Data::QueueLane(Box::new(QueueLaneData { lane, cancelled: Some(count) }));
    asks::answer(core, asking.client, Ok(data));
}
