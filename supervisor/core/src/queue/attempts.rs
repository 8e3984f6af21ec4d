//! Attempts: their begin in this supervisor, and their end everywhere.
//!
//! A job of the queue is a worker while it runs, and each attempt is a run of it. The store is told of an end until it knows: so
//! long the claim counts, and the next attempt can't begin.

use super::asks;
use crate::adds;
use crate::cx::Attempt;
use crate::lanes::{Asking, By, End, Held, claimant};
use crate::restart::delay;
use crate::spec::{Job, Origin, Queued, Spec};
use crate::state::Core;
use crate::timers::{Alarm, Timer};
use crate::worker::Next;
use alloc::boxed::Box;
use alloc::format;
use alloc::string::{String, ToString};
use gob_config::kind::{JOB, RestartOn};
use gob_protocol::answer::QueueJobData;
use gob_protocol::queue::{Claim, Ending, LaneName, QueueAsk, QueueEnd, QueueJob, QueueStatus, Settled};
use gob_protocol::{Actor, Data, EventKind, Exit, Name, Timestamp, WireError};

/// The reason why an attempt of an earlier life has failed.
pub(super) const ENDED: &str = "the supervisor ended while it ran";

/// Begins an attempt in this supervisor.
pub(super) fn begin(core: &mut Core, claim: Claim) {
    let Claim { job, env, umask } = claim;
    let (id, owner) = (job.id.clone(), job.owner.clone());
    if core.workers.get(&id).is_some_and(|worker| worker.spec.queued().is_none()) {
        return is_another(core, &job);
    }
    let queued = Queued { id: id.clone(), lane: job.lane.clone(), attempt: job.attempt, is_on: true };
    core.lanes.holds.add(id.clone(), Held::new(&job, By::Here));
    core.lanes.rises(&id);
    let cx = &mut core.cx;
    let origin = Origin::Job(Job {
        command: job.command.as_slice().into(),
        cwd: job.cwd.as_str().into(),
        description: job.description.clone(),
        blocked: None,
        queued: Some(Box::new(queued)),
    });
    let spec = Spec {
        origin,
        kind_name: cx.pools.kind_names.of(JOB),
        policy: cx.pools.kinds.of(adds::kind(RestartOn::Never, &cx.setup.settings.restart)),
        env: None,
        umask: None,
    };
    cx.publish_job(EventKind::QueueJobStarted, Actor::Supervisor, job.clone());
    if core.workers.get(&id).is_some() {
        core.workers.alter(&id, |worker| worker.becomes(spec));
    } else {
        let actor = Actor::Supervisor;
        adds::insert(id.clone(), spec, &owner, &actor, &mut core.workers, &mut core.cx);
    }
    if let Some(worker) = core.workers.get_mut(&id) {
        // A run has the number of its attempt.
        worker.run = worker.run.max(u64::from(job.attempt.saturating_sub(1)));
        let (actor, attached) = (Actor::Supervisor, None);
        let next = Next { owner: Some(owner.clone()), lease: Some(false), actor, env, umask, attached };
        worker.ensure(&owner, next, &mut core.cx);
    }
}

/// A job has the number of another one, which got it while the store could not be read: the attempt fails, and nothing else is done.
fn is_another(core: &mut Core, job: &QueueJob) {
    let error = "another job was given its number while the history could not be read; gobctl remove that one, then retry";
    core.lanes.holds.add(job.id.clone(), Held::new(job, By::Here));
    let end = failed(core, &job.id, error.into());
    let by = claimant(&By::Here, core.cx.setup.server.pid, None);
    let ending = Ending { id: job.id.clone(), attempt: Some(job.attempt), by, end, exit: None };
    settle(core, &job.id, QueueAsk::Finish(Box::new(ending)), Asking::own(Actor::Supervisor));
}

/// Takes the attempts of this supervisor that have ended during this input.
pub(crate) fn ended(core: &mut Core) {
    // An attempt that ends makes room for one that may end at once, too.
    while let Some(attempt) = core.cx.attempts.pop() {
        let is_known = core.lanes.holds.get(&attempt.id).is_some_and(|held| held.attempt == attempt.attempt);
        if let Some(old) = core.lanes.rests(&attempt.id) {
            is_not_listed(core, &old, Actor::Supervisor);
        }
        if is_known {
            let ask = end_of(core, &attempt);
            settle(core, &attempt.id, ask, Asking::own(attempt.actor));
        }
    }
}

/// The end of an attempt of this supervisor, as the store is told.
fn end_of(core: &mut Core, attempt: &Attempt) -> QueueAsk {
    let Attempt { id, attempt, exit, was_asked, actor, reason } = attempt;
    let is_cancelled = core.lanes.holds.get(id).is_some_and(|held| held.is_cancelled);
    if *was_asked && core.cx.leaving.is_on() && !is_cancelled {
        return QueueAsk::GiveBack { id: id.clone(), attempt: *attempt };
    }
    let is_asked_by_client = *was_asked && matches!(actor, Actor::Client { .. });
    let end = if is_cancelled || is_asked_by_client {
        QueueEnd::Cancelled { reason: format!("stopped by {actor}") }
    } else if *exit == Some(Exit::Code { code: 0 }) {
        QueueEnd::Completed
    } else {
        let error = reason.clone().or_else(|| exit.as_ref().map(ToString::to_string));
        failed(core, id, error.unwrap_or_else(|| "it ended, and nothing tells how".into()))
    };
    let by = claimant(&By::Here, core.cx.setup.server.pid, None);
    QueueAsk::Finish(Box::new(Ending {
        id: id.clone(),
        attempt: Some(*attempt),
        by,
        end,
        exit: exit.clone(),
    }))
}

/// The failure of an attempt, and the time of the next one.
pub(super) fn failed(core: &mut Core, id: &Name, error: String) -> QueueEnd {
    let attempts = core.lanes.holds.get(id).map_or(1, |held| held.attempts);
    let retry_at = retry_at(core, attempts);
    QueueEnd::Failed { error, retry_at }
}

/// The time of the next attempt after so many.
pub(super) fn retry_at(core: &mut Core, attempts: u32) -> Timestamp {
    let jitter = core.cx.dice.throw();
    let ms = delay(core.cx.setup.settings.queue.backoff_ms, attempts.max(1), jitter);
    Timestamp(core.cx.now.wall.0.saturating_add_unsigned(ms))
}

/// Tells the store of the end of an attempt.
pub(super) fn settle(core: &mut Core, id: &Name, ask: QueueAsk, asking: Asking) {
    if let Some(held) = core.lanes.holds.get_mut(id) {
        held.end = Some(End { ask: ask.clone(), is_overdue: false });
    }
    core.cx.timers.cancel(&Timer::Queue(Alarm::Stale(id.clone())));
    asks::ask(core, ask, asking);
}

/// Gives a job back that nobody has any use for.
pub(super) fn give_back(core: &mut Core, job: &QueueJob, by: By) {
    core.lanes.holds.add(job.id.clone(), Held::new(job, by));
    let ask = QueueAsk::GiveBack { id: job.id.clone(), attempt: job.attempt };
    settle(core, &job.id, ask, Asking::own(Actor::Supervisor));
}

/// The job of which a question tells the end of an attempt.
pub(super) const fn ends(ask: &QueueAsk) -> Option<&Name> {
    match ask {
        QueueAsk::Finish(ending) => Some(&ending.id),
        QueueAsk::GiveBack { id, .. } | QueueAsk::Stale { id, .. } => Some(id),
        QueueAsk::Add(_)
        | QueueAsk::Claim { .. }
        | QueueAsk::Heartbeat(_)
        | QueueAsk::Cancel { .. }
        | QueueAsk::Retry { .. }
        | QueueAsk::Get { .. }
        | QueueAsk::List { .. }
        | QueueAsk::Lane { .. }
        | QueueAsk::Pause { .. }
        | QueueAsk::Resume { .. }
        | QueueAsk::Width { .. }
        | QueueAsk::Clear { .. }
        | QueueAsk::Lanes
        | QueueAsk::Recover { .. }
        | QueueAsk::ScheduleAdd(_)
        | QueueAsk::ScheduleList { .. }
        | QueueAsk::ScheduleRemove { .. }
        | QueueAsk::ScheduleDue { .. }
        | QueueAsk::Unfinished
        | QueueAsk::DeleteAll => None,
    }
}

/// Tells whether a question is the end of the claim that there is, and no other party's word about it.
pub(super) fn is_its_end(core: &Core, id: &Name, ask: &QueueAsk) -> bool {
    let end = core.lanes.holds.get(id).and_then(|held| held.end.as_ref());
    end.is_some_and(|end| end.ask == *ask)
}

/// The store knows of the end of an attempt.
pub(super) fn settled(core: &mut Core, ask: &QueueAsk, asking: Asking, settled: Settled) {
    let Settled { job, lanes, failed, .. } = settled;
    let was_cancelled = lets_go(core, &job.id);
    let is_finish = matches!(ask, QueueAsk::Finish(_));
    let event = if is_finish { EventKind::QueueJobFinished } else { EventKind::QueueJobRecovered };
    if !was_cancelled {
        // A cancelled job was told of when it was cancelled.
        core.cx.publish_job(event, asking.actor, job.clone());
    }
    for dependant in failed {
        core.cx.publish_job(EventKind::QueueJobFinished, Actor::Supervisor, dependant);
    }
    let (lane, due) = (job.lane.clone(), job.run_at);
    let waits = !job.status.is_end();
    asks::answer(core, asking.client, Ok(Data::QueueJob(Box::new(QueueJobData { job }))));
    for lane in lanes {
        asks::wakes(core, &lane);
    }
    if waits {
        is_due_at(core, &lane, due);
    }
    asks::goes_on(core, &lane);
}

/// A job of the lane may run from this time on.
pub(super) fn is_due_at(core: &mut Core, lane: &LaneName, at: Timestamp) {
    let known = core.lanes.get(lane).and_then(|lane| lane.due);
    asks::wakes_at(core, lane, Some(known.map_or(at, |known| known.min(at))));
}

/// Forgets a claim that is over; true for one of a job that was cancelled.
pub(super) fn lets_go(core: &mut Core, id: &Name) -> bool {
    core.cx.timers.cancel(&Timer::Queue(Alarm::Stale(id.clone())));
    core.cx.timers.cancel(&Timer::Queue(Alarm::Settle(id.clone())));
    let held = core.lanes.holds.remove(id);
    if let Some(held) = &held {
        asks::goes_on(core, &held.lane.clone());
    }
    held.is_some_and(|held| held.is_cancelled)
}

/// The store can't be told of the end of an attempt now. Its client may say so again; what the supervisor has to say is kept.
pub(super) fn is_untold(core: &mut Core, ask: QueueAsk, asking: Asking, error: Box<WireError>) {
    if let Some(id) = ends(&ask).filter(|id| is_its_end(core, id, &ask)) {
        let is_leaving = core.cx.leaving.is_on();
        if let Some(held) = core.lanes.holds.get_mut(id) {
            held.end = match &asking.client {
                Some(_) => None,
                None => Some(End { ask: ask.clone(), is_overdue: is_leaving }),
            };
            core.cx.arm(Timer::Queue(Alarm::Settle(id.clone())), asks::LATER_MS);
        }
    }
    asks::answer(core, asking.client, Err(error));
}

/// Tells the store again of the end of an attempt.
pub(super) fn tells_again(core: &mut Core, id: &Name) {
    let end = core.lanes.holds.get(id).and_then(|held| held.end.as_ref());
    if let Some(ask) = end.map(|end| end.ask.clone()) {
        asks::ask(core, ask, Asking::own(Actor::Supervisor));
    } else if core.lanes.holds.get(id).is_some_and(|held| !held.is_here()) {
        is_heard(core, id);
    }
}

/// Takes over a job that a worker outside had in an earlier life; it has to be heard of again.
pub(super) fn goes_on_outside(core: &mut Core, job: &QueueJob) {
    let worker_id = job.locked_by.clone().unwrap_or_default();
    let mut held = Held::new(job, By::Outside { worker_id, conn: None });
    held.is_cancelled = job.status == QueueStatus::Cancelled;
    core.lanes.holds.add(job.id.clone(), held);
    is_heard(core, &job.id);
}

/// The claimant of a job was heard.
pub(super) fn is_heard(core: &mut Core, id: &Name) {
    let stale_after_ms = core.cx.setup.settings.queue.stale_after_ms;
    if core.lanes.holds.get(id).is_some_and(|held| held.end.is_none()) {
        core.cx.arm(Timer::Queue(Alarm::Stale(id.clone())), stale_after_ms);
    }
}

/// Lists the worker of a job of the queue at rest no longer. Its logs stay.
pub(crate) fn is_not_listed(core: &mut Core, name: &Name, actor: Actor) {
    if let Some(worker) = core.workers.get_mut(name).filter(|worker| worker.is_at_rest()) {
        worker.forgotten(actor, &mut core.cx);
        if let Some(gone) = core.workers.remove(name) {
            core.cx.past.gone(gone.name, gone.run);
            core.conns.forget(name);
        }
    }
}
