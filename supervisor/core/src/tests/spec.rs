//! Owners, leases and wishes, told a second time: from PROTOCOL 5 alone, and without the core's help.
//!
//! Before each input [`Spec::expect`] says what it must lead to; `checks` compares. The core's phases are taken as
//! given here, `table` and the drives of `settle` test those. Requests are in `requests`, all other inputs here.

mod requests;

use super::harness::Client;
use super::shared::Shared;
use super::wish::{Queued, Wish, lease, may_manage, take_over};
use crate::run::Run;
use crate::stage::{At, Awaited, Stage};
use crate::step::Sequel;
use crate::timers::Timer;
use crate::worker::{Phase, Worker};
use crate::{ConnId, Core, Examined, Input, Remembered, RunKey, Stored};
use gob_config::foreign::is_safe_dir;
use gob_config::kind::Orphans;
use gob_protocol::request::{Restart, Start, Stop};
use gob_protocol::{Name, Outcome, Owner, Request};
use std::collections::BTreeMap;
use std::vec::Vec;

/// The owners whose `force` counts.
const FORCE_OWNERS: [&str; 3] = ["cli", "desktop", "electron"];

/// Later than this after the earliest deadline, the supervisor must have slept.
const JUMP_MS: u64 = 2_000;

#[derive(Debug, Clone, Default)]
pub(super) struct Spec {
    pub(super) wishes: BTreeMap<Name, Wish>,
    /// The supervisor is on its way out.
    pub(super) ending: bool,
    last_input: u64,
}

/// The required consequences of an input.
#[derive(Debug, Default)]
pub(super) struct Expect {
    /// Workers of which an event says that they have another owner.
    pub(super) announced: Vec<Name>,
    /// Workers of which a run begins.
    pub(super) spawns: Vec<Name>,
    /// Workers that are forgotten.
    pub(super) removed: Vec<Name>,
    /// The request is none of the requester's business, and changes nothing.
    pub(super) refused: bool,
    /// The required `outcome` of a start, once it is through.
    pub(super) outcome: Option<Outcome>,
    /// The run that a start or restart must be served by.
    pub(super) run: u64,
    /// Time jumped, and with it every deadline.
    pub(super) jumped: u64,
    /// A process that is not ours turns out to hold the graph.
    pub(super) external: bool,
}

impl Expect {
    /// A run begins, unless something of an earlier supervisor is left of it.
    fn begins(&mut self, core: &Core, name: &Name) {
        if core.cx.past.left_of(name).is_empty() {
            self.spawns.push(name.clone());
        }
    }
}

/// Where a worker stands, as far as owners care.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stand {
    Rest,
    Backoff,
    External,
    Starting,
    Up,
    Ending,
}

pub(super) fn stand(worker: &Worker) -> Stand {
    match worker.phase() {
        Phase::Idle | Phase::Failed | Phase::Ceded => Stand::Rest,
        Phase::Backoff(_) => Stand::Backoff,
        Phase::External(..) => Stand::External,
        Phase::Live(run) => match run.stage() {
            Stage::Looking | Stage::Preparing | Stage::Starting => Stand::Starting,
            Stage::Ready | Stage::Unhealthy => Stand::Up,
            Stage::Ending(_) => Stand::Ending,
        },
    }
}

/// The use of an examination's answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Looking {
    /// A run that is to get a process.
    Before,
    /// A run that was to get one, and is to end.
    InVain,
    /// The sequel of a run that never was ready.
    After,
}

pub(super) fn looking(worker: &Worker) -> Option<Looking> {
    match worker.live()?.stage() {
        Stage::Looking => Some(Looking::Before),
        Stage::Ending(end) => match &end.at {
            At::CallingOff { awaited: Awaited::Examined, .. } => Some(Looking::InVain),
            At::Examining(_) => Some(Looking::After),
            _other => None,
        },
        _other => None,
    }
}

pub(super) fn looks_before(worker: &Worker) -> bool {
    looking(worker) == Some(Looking::Before)
}

impl Spec {
    /// Takes over the wishes of the supervisor before this one.
    pub(super) fn remembering(remembered: &Remembered) -> Self {
        let mut spec = Self::default();
        for worker in remembered.workers.iter().filter(|worker| worker.view.graph.is_some()) {
            let mut wish = Wish::new(&worker.view.owner);
            // A worker with an owner has no last one.
            wish.last = worker.last_owner.clone().filter(|_| wish.owner.is_unknown());
            spec.wishes.insert(worker.view.name.clone(), wish);
        }
        spec
    }

    /// The supervisor begins at this time.
    pub(super) fn since(self, now: u64) -> Self {
        Self { last_input: now, ..self }
    }

    /// An attempt of a job of the queue begins.
    pub(super) fn attempt(&mut self, job: &Name, owner: &Owner, now: u64) {
        let wish = self.wishes.entry(job.clone()).or_insert_with(|| Wish::new(owner));
        wish.down = false;
        wish.begin(Some(owner.clone()), Some(false), now);
    }

    /// A job of the queue that runs is cancelled.
    pub(super) fn is_cancelled(&mut self, job: &Name) {
        if let Some(wish) = self.wishes.get_mut(job) {
            wish.down = true;
            wish.queued = None;
        }
    }

    pub(super) fn is_down(&self, name: &Name) -> bool {
        self.ending || self.wishes.get(name).is_some_and(|wish| wish.down)
    }

    /// Changes what is wanted as the input says, and tells what must follow.
    pub(super) fn expect(
        &mut self,
        core: &Core,
        clients: &BTreeMap<ConnId, Client>,
        shared: &Shared,
        now: u64,
        input: &Input,
    ) -> Expect {
        let mut expect = Expect { jumped: self.jump(core, now), ..Expect::default() };
        let standing = |name: &Name| core.workers.get(name).map(stand);
        match input {
            Input::Request { conn, request, .. } => {
                if let Some(client) = clients.get(conn) {
                    self.request(core, *conn, &client.owner, request, now, &mut expect);
                }
            }
            Input::Disconnected { conn } => {
                self.wishes.values_mut().for_each(|wish| wish.drop_lease(*conn, now));
            }
            Input::Examined { key, found } => self.examined(core, key, found, now, &mut expect),
            Input::OrphanEnded { key, .. } => self.orphan_ended(core, key, now, &mut expect),
            Input::HolderGone { name, .. } => self.holder_gone(core, name, now, &mut expect),
            Input::StopAnswered { key, taken: false } => {
                // Nothing follows a holder that stays.
                let latest = core.workers.get(&key.name).is_some_and(|worker| worker.run == key.run);
                if let Some(wish) = self.wishes.get_mut(&key.name).filter(|_| latest) {
                    wish.after_holder = None;
                }
            }
            Input::SpawnFailed { key, .. }
            | Input::CalledOff { key }
            | Input::Held { key, .. }
            | Input::Unfit { key, .. }
            | Input::ReadOut { key, .. }
            | Input::Freed { key } => {
                let is_end = matches!(input, Input::ReadOut { .. } | Input::Freed { .. });
                let port_taken = finishes(core, input);
                if is_end && port_taken.is_none() {
                    return expect;
                }
                let Some(wish) = self.wishes.get_mut(&key.name) else { return expect };
                if port_taken == Some(true) && core.workers.get(&key.name).is_some_and(unlucky) {
                    expect.begins(core, &key.name);
                }
                let ours = core.workers.get(&key.name).is_some_and(|worker| worker.run == key.run);
                if let Some(queued) = ours.then(|| wish.queued.take()).flatten() {
                    wish.begin(queued.owner, queued.lease, now);
                    expect.begins(core, &key.name);
                }
            }
            Input::Due => {
                for (name, wish) in &mut self.wishes {
                    let due = |timer: fn(Name) -> Timer| {
                        core.cx.timers.at(&timer(name.clone())).is_some_and(|at| at + expect.jumped <= now)
                    };
                    if due(Timer::Polite) {
                        wish.after_holder = None;
                    }
                    // It was of no use for too long.
                    wish.down |= due(Timer::Idle);
                    let is_lost =
                        wish.losing.is_some_and(|at| at <= now) && wish.hand_over(&Owner::unknown());
                    // The view of one that is held shows its holder's owner.
                    let is_held =
                        core.workers.get(name).is_some_and(|worker| stand(worker) == Stand::External);
                    expect.announced.extend((is_lost && !is_held).then(|| name.clone()));
                    let evicted = due(Timer::Evict) && core.workers.get(name).is_some_and(gives_up_eviction);
                    if let Some(queued) = evicted.then(|| wish.queued.take()).flatten() {
                        wish.begin(queued.owner, queued.lease, now);
                        expect.begins(core, name);
                    }
                    let retry = core.cx.timers.at(&Timer::Backoff(name.clone()));
                    let due = retry.is_some_and(|at| at + expect.jumped <= now);
                    if due && standing(name) == Some(Stand::Backoff) {
                        expect.begins(core, name);
                    }
                }
            }
            Input::Terminate => self.all_down(),
            Input::Stored { answer: Ok(Stored::Queue(told)), .. } => {
                if let Some(name) = self.told(core, shared, told, now) {
                    expect.begins(core, &name);
                }
            }
            _other => {}
        }
        expect
    }

    fn examined(&mut self, core: &Core, key: &RunKey, found: &Examined, now: u64, expect: &mut Expect) {
        let Some(worker) = core.workers.get(&key.name).filter(|worker| worker.run == key.run) else { return };
        let (Some(looking), Some(wish)) = (looking(worker), self.wishes.get_mut(&key.name)) else { return };
        let is_first = worker.live().is_some_and(|run| run.eviction.is_none());
        let ends = is_first && worker.spec.policy.foreign.orphans == Some(Orphans::End);
        let goes_on = match (looking, found) {
            (Looking::InVain, _) => true,
            (Looking::After, Examined::Nobody | Examined::Unclear(_)) => true,
            (_, Examined::Orphans(_)) if ends => false,
            (Looking::Before, Examined::Nobody | Examined::Unclear(_)) => false,
            (Looking::Before, Examined::Orphans(_)) => false,
            (Looking::After, Examined::Orphans(_)) => true,
            (_, Examined::Held(_)) => {
                expect.external = true;
                // Nothing is started beside a holder.
                wish.queued = None;
                false
            }
        };
        if let Some(queued) = goes_on.then(|| wish.queued.take()).flatten() {
            wish.begin(queued.owner, queued.lease, now);
            expect.begins(core, &key.name);
        }
    }

    /// A run that is to end waits for no more than the last of them.
    fn orphan_ended(&mut self, core: &Core, key: &RunKey, now: u64, expect: &mut Expect) {
        let Some(worker) = core.workers.get(&key.name).filter(|worker| worker.run == key.run) else { return };
        let eviction = worker.live().and_then(|run| run.eviction.as_ref());
        let is_last = eviction.is_some_and(|eviction| eviction.left.len() == 1);
        let Some(wish) = self.wishes.get_mut(&key.name) else { return };
        if is_last
            && looking(worker) == Some(Looking::InVain)
            && let Some(queued) = wish.queued.take()
        {
            wish.begin(queued.owner, queued.lease, now);
            expect.begins(core, &key.name);
        }
    }

    fn holder_gone(&mut self, core: &Core, name: &Name, now: u64, expect: &mut Expect) {
        let external = core.workers.get(name).is_some_and(|worker| stand(worker) == Stand::External);
        let Some(wish) = self.wishes.get_mut(name).filter(|_| external) else { return };
        if let Some(owner) = wish.after_holder.take() {
            wish.begin(Some(owner), None, now);
            expect.begins(core, name);
        }
    }

    /// Moves the deadlines on when the supervisor slept, by as long as nothing was heard of it.
    fn jump(&mut self, core: &Core, now: u64) -> u64 {
        let expected = core.cx.timers.earliest().map(|at| at.max(self.last_input));
        let slept = expected.is_some_and(|at| now.saturating_sub(at) > JUMP_MS);
        let by = if slept { now - self.last_input } else { 0 };
        for losing in self.wishes.values_mut().filter_map(|wish| wish.losing.as_mut()) {
            *losing += by;
        }
        self.last_input = now;
        by
    }

    fn all_down(&mut self) {
        self.ending = true;
        for wish in self.wishes.values_mut() {
            wish.down = true;
            wish.queued = None;
            wish.after_holder = None;
        }
    }
}

/// Tells whether the wait for the end of processes without gob is over, so that the run's sequel begins.
fn gives_up_eviction(worker: &Worker) -> bool {
    let was_killed = worker.live().is_some_and(|run| run.eviction.as_ref().is_some_and(|e| e.is_killing));
    was_killed && matches!(looking(worker), Some(Looking::InVain | Looking::After))
}

/// Tells whether another run follows at once after one that lost its port: it ended by itself and never was ready.
fn unlucky(worker: &Worker) -> bool {
    let Some(end) = worker.live().and_then(Run::end) else { return false };
    let unasked = worker.sequel() == Sequel::Policy { unwell: false } && end.was_ready_ms.is_none();
    unasked && matches!(end.at, At::Finishing(_)) && worker.lost_ports() < 3
}

/// Tells of an input with which a run is over whether another process has its port.
pub(super) fn finishes(core: &Core, input: &Input) -> Option<bool> {
    let (Input::ReadOut { key, .. } | Input::Freed { key }) = input else { return None };
    let worker = core.workers.get(&key.name).filter(|worker| worker.run == key.run)?;
    let At::Finishing(rest) = &worker.live().and_then(Run::end)?.at else { return None };
    match input {
        Input::ReadOut { port_taken, .. } => rest.is_free.then_some(*port_taken),
        _freed => rest.port_taken,
    }
}
