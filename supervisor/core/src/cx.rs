//! The context of a decision: all that it may touch beside its own state.

use crate::chronicle::Recorded;
use crate::conns::Caller;
use crate::ids::{ConnId, Now};
use crate::io::{Effect, Out};
use crate::leaving::Leaving;
use crate::news::News;
use crate::past::Past;
use crate::pools::Pools;
use crate::restart::Dice;
use crate::setup::Setup;
use crate::timers::{Timer, Timers};
use alloc::boxed::Box;
use alloc::string::String;
use alloc::vec::Vec;
use gob_protocol::queue::QueueJob;
use gob_protocol::{
    Actor, Change, Data, Event, EventKind, Exit, Id, LockEnd, LockName, LockParty, Name, Owner, View,
    WireError,
};
use serde::{Deserialize, Serialize};

/// The context of all decisions.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Cx {
    pub(crate) now: Now,
    /// When the supervisor started.
    pub(crate) started_mono_ms: u64,
    /// Effects of the input that is being applied.
    #[serde(skip)]
    pub(crate) out: Out,
    pub(crate) timers: Timers,
    pub(crate) news: News,
    pub(crate) tally: Tally,
    pub(crate) dice: Dice,
    #[serde(skip)]
    pub(crate) pools: Pools,
    pub(crate) past: Past,
    pub(crate) setup: Setup,
    pub(crate) leaving: Leaving,
    /// Attempts of jobs of the queue that have ended during the input that is being applied.
    #[serde(skip)]
    pub(crate) attempts: Vec<Attempt>,
    /// There are no descriptors for another run.
    pub(crate) no_room: bool,
}

/// An attempt of a job of the queue that has ended.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Attempt {
    pub(crate) id: Name,
    pub(crate) attempt: u32,
    pub(crate) exit: Option<Exit>,
    /// It was asked to end.
    pub(crate) was_asked: bool,
    pub(crate) actor: Actor,
    pub(crate) reason: Option<String>,
}

/// Counters, most of which `status` shows.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Tally {
    pub(crate) requests: u64,
    pub(crate) spawn_failures: u64,
    pub(crate) restarts: u64,
    pub(crate) healed: u64,
    /// Counts the facts that the supervisor after this one has to know.
    pub(crate) roster: u64,
    #[serde(default)]
    pub(crate) queue_claims: u64,
    #[serde(default)]
    pub(crate) stale_recoveries: u64,
    #[serde(default)]
    pub(crate) heartbeat_failures: u64,
    /// Numbers the waiters.
    waiters: u64,
}

/// What an event says about a lock.
#[derive(Debug)]
pub(crate) struct LockNews {
    pub(crate) lock: LockName,
    pub(crate) holder: Option<Box<LockParty>>,
    pub(crate) waiter: Option<Box<LockParty>>,
    pub(crate) token: Option<u64>,
    pub(crate) reason: Option<LockEnd>,
}

impl LockNews {
    /// Says nothing but the lock's name.
    pub(crate) const fn of(lock: LockName) -> Self {
        Self { lock, holder: None, waiter: None, token: None, reason: None }
    }
}

impl Tally {
    /// The number of the next waiter.
    pub(crate) const fn next_waiter(&mut self) -> u64 {
        self.waiters += 1;
        self.waiters - 1
    }
}

impl Cx {
    pub(crate) fn new(setup: Setup, past: Past, dice: Dice, now: Now) -> Self {
        Self {
            now,
            started_mono_ms: now.mono_ms,
            out: Out::default(),
            timers: Timers::default(),
            news: News::default(),
            tally: Tally::default(),
            dice,
            pools: Pools::default(),
            past,
            setup,
            leaving: Leaving::default(),
            attempts: Vec::new(),
            no_room: false,
        }
    }

    /// How long the supervisor has been running.
    pub(crate) const fn uptime_ms(&self) -> u64 {
        self.now.mono_ms.saturating_sub(self.started_mono_ms)
    }

    /// Has the shell do something.
    pub(crate) fn push(&mut self, effect: Effect) {
        self.out.push(effect);
    }

    /// Answers a request.
    pub(crate) fn reply(&mut self, conn: ConnId, id: Option<Id>, result: Result<Data, Box<WireError>>) {
        self.out.push(Effect::Reply { conn, id, result });
    }

    /// Answers a caller.
    pub(crate) fn answer(&mut self, caller: &Caller, result: Result<Data, Box<WireError>>) {
        self.reply(caller.conn, caller.id.clone(), result);
    }

    /// Arms a deadline so far from now.
    pub(crate) fn arm(&mut self, timer: Timer, in_ms: u64) {
        self.timers.arm(timer, self.now.mono_ms.saturating_add(in_ms));
    }

    /// Publishes an event. `worker` is the view and the last owner before `unknown`; `None` for an event of the supervisor
    /// itself.
    pub(crate) fn publish(&mut self, event: EventKind, actor: Actor, worker: Option<(View, Option<Owner>)>) {
        self.tally.roster += u64::from(matches!(
            event,
            EventKind::WorkerAdded
                | EventKind::WorkerStarted
                | EventKind::WorkerReady
                | EventKind::WorkerOwnerChanged
                | EventKind::WorkerRemoved
        ));
        let (worker, last_owner) = worker.map_or((None, None), |(view, last)| (Some(view), last));
        // A worker's words about itself are no change that anybody made.
        let is_recorded = event != EventKind::WorkerUpdated || actor != Actor::Supervisor;
        let change = is_recorded.then(|| {
            let (name, run, reason) = worker.as_ref().map_or((None, None, None), |view| {
                (Some(view.name.clone()), (view.run > 0).then_some(view.run), view.reason.clone())
            });
            let (time, actor) = (self.now.wall, actor.clone());
            Box::new(Change { seq: 0, time, event, name, run, actor, reason })
        });
        let event = Event { worker, ..Event::new(event, self.now.wall, actor) };
        self.news.publish(event, last_owner, &mut self.out);
        if let Some(change) = change {
            let change = Box::new(Change { seq: self.news.seq(), ..*change });
            self.push(Effect::Record(Recorded::Change(change)));
        }
    }

    /// Publishes an event of the queue.
    pub(crate) fn publish_job(&mut self, event: EventKind, actor: Actor, job: QueueJob) {
        let (time, name, reason) = (self.now.wall, Some(job.id.clone()), job.error.clone());
        let change = Change { seq: 0, time, event, name, run: None, actor: actor.clone(), reason };
        let event = Event { job: Some(Box::new(job)), ..Event::new(event, time, actor) };
        self.news.publish(event, None, &mut self.out);
        let change = Box::new(Change { seq: self.news.seq(), ..change });
        self.push(Effect::Record(Recorded::Change(change)));
    }

    /// Publishes an event about a lock. The history has none of these: they come too often.
    pub(crate) fn publish_lock(&mut self, event: EventKind, actor: Actor, news: LockNews) {
        let LockNews { lock, holder, waiter, token, reason } = news;
        let event = Event::new(event, self.now.wall, actor);
        let event = Event { lock: Some(lock), holder, waiter, token, reason, ..event };
        self.news.publish(event, None, &mut self.out);
    }

    /// Counts and tells that files of the supervisor's own were made again.
    pub(crate) fn heal(&mut self) {
        self.tally.healed += 1;
        self.publish(EventKind::SupervisorHealed, Actor::Supervisor, None);
    }
}
