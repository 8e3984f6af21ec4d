//! Invariants of the core's state, checked after every input.

use super::harness::{Owed, World};
use super::runs::Stage;
use super::shared::is_shared;
use super::spec::Expect;
use super::spec::looking;
use super::wish::may_manage;
use crate::run::Run;
use crate::stage::{At, Awaited, Stage as Step};
use crate::timers::Timer;
use crate::worker::Worker;
use crate::{Core, PORT_MARK};
use gob_config::kind::Check;
use gob_protocol::limits::LEASE_HOLDERS_SHOWN;
use gob_protocol::{EventKind, Id, Name, Owner, State, View};
use std::collections::BTreeMap;
use std::format;
use std::string::String;
use std::vec::Vec;

/// Facts from before an input that the checks after it need.
#[derive(Debug)]
pub(super) struct Before {
    /// When each ending run is to be killed.
    kills: BTreeMap<Name, (u64, u64)>,
}

impl Before {
    pub(super) fn of(core: &Core) -> Self {
        let kill = |worker: &Worker| core.cx.timers.at(&Timer::Kill(worker.name.clone()));
        let kills = core.workers.values();
        let kills = kills.filter_map(|worker| Some((worker.name.clone(), (worker.run, kill(worker)?))));
        Self { kills: kills.collect() }
    }
}

impl World {
    pub(super) fn check(&self, before: &Before, expect: &Expect, first: usize) -> Result<(), String> {
        for worker in self.core.workers.values() {
            self.check_worker(worker).map_err(|why| format!("{why}: {worker:?}"))?;
            self.check_deadlines(worker, before, expect).map_err(|why| format!("{why}: {worker:?}"))?;
        }
        self.check_events(expect, first)?;
        self.check_owed()?;
        self.check_watches()?;
        self.check_models()?;
        let core = &self.core;
        ensure!(core.cx.leaving.is_on() == self.spec.ending, "ending: {:?}", core.cx.leaving);
        let wake = core.cx.timers.earliest();
        ensure!(self.wake == wake, "the shell wakes at {:?}, the core needs {wake:?}", self.wake);
        let known: Vec<_> = core.workers.keys().collect();
        let expected: Vec<_> = self.spec.wishes.keys().collect();
        ensure!(known == expected, "workers are {known:?}, not {expected:?}");
        Ok(())
    }

    fn check_worker(&self, worker: &Worker) -> Result<(), String> {
        let run = self.runs.get(&worker.name).map(|run| (run.run, run.stage));
        let evicting = self.runs.evicting(&worker.name).filter(|(key, _)| key.run == worker.run);
        let is_evicting = worker.live().is_some_and(Run::is_evicting);
        ensure!(!is_evicting || evicting.is_some(), "it waits for the end of nothing");
        let is_looked = self.runs.looking(&worker.name).is_some() || is_evicting;
        ensure!(is_looked == looking(worker).is_some(), "its graph is looked at: {is_looked}");
        let sweeping = self.runs.get(&worker.name).is_some_and(|run| run.sweeping);
        let lingering = self.runs.get(&worker.name).is_some_and(|run| run.lingering);
        let is_alive = worker.pid().is_some_and(|pid| run == Some((worker.run, Stage::Alive { pid })));
        let is_spawning = run == Some((worker.run, Stage::Spawning));
        let is_gone = run == Some((worker.run, Stage::Exited));
        let fits = match worker.live().map(Run::stage) {
            None => run.is_none(),
            Some(Step::Looking) => run.is_none() && is_looked,
            Some(Step::Preparing) => is_spawning,
            Some(Step::Starting | Step::Ready | Step::Unhealthy) => is_alive,
            Some(Step::Ending(end)) => match end.at {
                At::CallingOff { awaited: Awaited::Examined, .. } => run.is_none() && is_looked,
                At::CallingOff { awaited: Awaited::Spawned, .. } => is_spawning,
                At::Asked => is_alive && !sweeping,
                At::Killing => is_alive && sweeping,
                At::Lingering(_) => is_gone && lingering && !sweeping,
                At::Sweeping(_) => is_gone && sweeping && !lingering,
                At::Finishing(ref rest) => {
                    let (read, free) = (rest.port_taken, rest.is_free);
                    run == Some((worker.run, Stage::Finishing { ordered: true, read, free }))
                }
                At::Examining(_) => run.is_none() && is_looked,
            },
        };
        ensure!(fits, "the shell has {run:?}, sweeping {sweeping}");
        let at_rest = !worker.is_running();
        let asked = worker.is_asked_to_go();
        ensure!(!at_rest || asked || worker.waiters().next().is_none(), "at rest with waiters");
        let wish = self.spec.wishes.get(&worker.name).ok_or("a worker that nobody added")?;
        ensure!(worker.last_owner() == wish.last.as_ref(), "its last owner should be {:?}", wish.last);
        ensure!(*worker.owner() == wish.owner, "its owner should be {}", wish.owner);
        let leases = worker.leases().iter().map(|(conn, holder)| (conn, &holder.owner));
        ensure!(leases.eq(&wish.leases), "its leases should be {:?}", wish.leases);
        let queued = worker.is_running() && worker.next().is_some();
        ensure!(queued == wish.queued.is_some(), "queued should be {:?}", wish.queued);
        let comes_up =
            matches!(worker.state(), State::Starting | State::Ready | State::Unhealthy | State::Backoff);
        ensure!(!(self.spec.is_down(&worker.name) && comes_up), "it was stopped");
        Ok(())
    }

    /// A worker has the deadlines of its phase and no others, and a second stop moves its own only to an earlier time.
    fn check_deadlines(&self, worker: &Worker, before: &Before, expect: &Expect) -> Result<(), String> {
        let at = |timer: fn(Name) -> Timer| self.core.cx.timers.at(&timer(worker.name.clone()));
        let (starting, backoff) = (worker.state() == State::Starting, worker.state() == State::Backoff);
        let end = worker.live().and_then(Run::end).map(|end| &end.at);
        let ending = end.is_some();
        let killing = end.is_some_and(|at| match at {
            At::CallingOff { overdue, .. } => *overdue,
            At::Asked | At::Lingering(_) => false,
            At::Killing | At::Sweeping(_) | At::Finishing(_) | At::Examining(_) => true,
        });
        let is_evicting = worker.live().is_some_and(Run::is_evicting);
        ensure!(at(Timer::Evict).is_some() == is_evicting, "eviction {:?}", at(Timer::Evict));
        let holds_back = worker.live().is_some_and(Run::holds_back);
        ensure!(at(Timer::Tell).is_some() == holds_back, "to be told {:?}", at(Timer::Tell));
        ensure!(at(Timer::Start).is_some() == starting, "start deadline {:?}", at(Timer::Start));
        ensure!(at(Timer::Backoff).is_some() == backoff, "backoff deadline {:?}", at(Timer::Backoff));
        let way = &worker.spec.policy.stop;
        let may_then = ending && !killing && (way.then.is_some() || way.http.is_some());
        ensure!(at(Timer::Then).is_none() || may_then, "deadline of the second signal {:?}", at(Timer::Then));
        let delay = starting
            && worker.pid().is_some()
            && matches!(worker.spec.policy.readiness.check, Check::Delay { .. });
        ensure!(at(Timer::Delay).is_some() == delay, "delay {:?}", at(Timer::Delay));
        ensure!(at(Timer::Kill).is_some() == (ending && !killing), "kill deadline {:?}", at(Timer::Kill));
        let sweeping = self.runs.get(&worker.name).is_some_and(|run| run.sweeping);
        ensure!(at(Timer::Sweep).is_some() == sweeping, "sweep deadline {:?}", at(Timer::Sweep));
        let up = worker.is_up();
        let looked_at = self.runs.get(&worker.name).is_some_and(|run| run.looked_at);
        let watched = worker
            .spec
            .policy
            .liveness
            .as_ref()
            .is_some_and(|liveness| !matches!(liveness.check, Check::None | Check::Delay { .. }));
        let probed = matches!(worker.spec.policy.readiness.check, Check::Http { .. } | Check::Connect { .. });
        let should = (up && watched) || (starting && worker.pid().is_some() && probed);
        ensure!(!looked_at || should, "it is probed");
        ensure!(at(Timer::Probe).is_some() == (should && !looked_at), "next probe {:?}", at(Timer::Probe));
        ensure!(worker.live().is_some_and(|run| run.probing) == looked_at, "a probe is under way");
        let should = up && worker.spec.policy.idle_stop_ms.is_some() && worker.leases().is_empty();
        ensure!(at(Timer::Idle).is_some() == should, "idle {:?}", at(Timer::Idle));
        ensure!(at(Timer::Polite).is_some() == worker.is_asked_to_go(), "polite {:?}", at(Timer::Polite));
        let losing = self.spec.wishes.get(&worker.name).and_then(|wish| wish.losing);
        ensure!(at(Timer::Lease) == losing, "lease deadline {:?}, not {losing:?}", at(Timer::Lease));
        if let (Some((run, was)), Some(kill)) = (before.kills.get(&worker.name), at(Timer::Kill)) {
            let later = *run == worker.run && kill > was + expect.jumped;
            ensure!(!later, "the kill at {was} was put off until {kill}");
        }
        Ok(())
    }

    fn check_events(&self, expect: &Expect, first: usize) -> Result<(), String> {
        let new = self.history.get(first..).unwrap_or_default();
        let mut announced = Vec::new();
        for (event, seq) in new.iter().zip(first as u64 + 1..) {
            ensure!(event.seq == seq, "event {} comes where {seq} should", event.seq);
            if let Some(view) = &event.worker {
                self.check_view(view, None).map_err(|why| format!("{why}: {event:?}"))?;
                if event.event == EventKind::WorkerOwnerChanged {
                    announced.push(view.name.clone());
                }
            }
        }
        ensure!(self.core.cx.news.seq() == self.history.len() as u64, "an event went missing");
        announced.sort();
        ensure!(announced == expect.announced, "new owners of {announced:?}, not {:?}", expect.announced);
        Ok(())
    }

    /// The requests that wait in the core are exactly those that are owed an answer.
    fn check_owed(&self) -> Result<(), String> {
        let waiters = self.core.workers.values().flat_map(Worker::waiters);
        let waiters = waiters.map(|waiter| (waiter.conn, waiter.id.clone()));
        let ending = self.core.cx.leaving.asked_by().cloned();
        let signalling = self.signalling.iter().cloned();
        let reloads = self.core.reloads.askers().cloned().chain(self.core.upgrade.asked_by());
        let mut count = 0;
        for (conn, id) in waiters.chain(ending).chain(reloads).chain(signalling) {
            let Some(Id::Number(id)) = id else { return Err(format!("{conn:?} waits without an id")) };
            ensure!(self.owed.contains_key(&(conn, id)), "{conn:?} waits for {id}, which was answered");
            count += 1;
        }
        // The models of locks and lanes count their own.
        let of_shared = |owed: &&Owed| owed.request.as_ref().is_some_and(is_shared);
        let owed = self.owed.values().filter(|owed| !of_shared(owed)).count();
        ensure!(count == owed, "{:?} are owed, {count} wait", self.owed);
        Ok(())
    }

    /// A view agrees with itself, with the shell's processes, and with its reader's rights.
    pub(super) fn check_view(&self, view: &View, requester: Option<&Owner>) -> Result<(), String> {
        let external = view.state == State::External;
        let run = self.runs.get(&view.name);
        let alive = run.filter(|run| run.run == view.run).and_then(|run| run.pid());
        // The end of a leader that was asked to end may be held back for a moment.
        let is_held = view.state == State::Stopping && alive.is_none();
        ensure!(external || is_held || view.pid == alive, "pid {:?}, not {alive:?}: {view:?}", view.pid);
        ensure!(view.pgid == view.pid.filter(|_| !external), "pgid {:?}: {view:?}", view.pgid);
        let needs_pid = matches!(view.state, State::Ready | State::Unhealthy | State::External);
        let has_none = matches!(view.state, State::Idle | State::Backoff | State::Failed | State::Ceded);
        ensure!(!(needs_pid && view.pid.is_none() || has_none && view.pid.is_some()), "{view:?}");
        let marked = view.command.iter().map(|arg| &**arg).chain(view.cwd.as_deref());
        ensure!(marked.into_iter().all(|text| !text.contains(PORT_MARK)), "a mark is shown: {view:?}");
        let planned = view.next_restart_at.is_some();
        ensure!(planned == (view.state == State::Backoff), "next restart: {view:?}");
        ensure!(view.state != State::Failed || view.reason.is_some(), "failed without a reason: {view:?}");
        let wish = self.spec.wishes.get(&view.name);
        let last = self.last_owner(view);
        let owned =
            requester.is_some_and(|requester| !external && may_manage(&view.owner, last.as_ref(), requester));
        ensure!(view.owned == owned, "owned is {} for {requester:?}: {view:?}", view.owned);
        // It is added before it is leased.
        let new = view.leases == 0
            && (view.command.is_empty() || view.stdout_path.is_none())
            && requester.is_none();
        let counted = wish.is_none_or(|wish| view.leases as usize == wish.leases.len());
        ensure!(counted || new, "leases: {view:?}");
        let holders = view.lease_holders.iter().map(|holder| &holder.owner);
        let expected = wish.into_iter().flat_map(|wish| wish.leases.values().take(LEASE_HOLDERS_SHOWN));
        ensure!(new || wish.is_none() || holders.eq(expected), "holders of leases: {view:?}");
        Ok(())
    }
}
