//! Graphs that somebody holds without gob (FEATURES A8, A9): before a run gets a process, and after one that never was
//! ready, the shell looks who that is. gob never starts beside a holder, and never signals one.

use crate::io::{Effect, RunKey};
use crate::parts::{ExaminePlan, Examined, Holder, Orphan};
use crate::requests::not_ours;
use crate::worker::{Phase, Polite, Then, Waiter, Waiting, Worker};
use crate::{Core, Timer};
use alloc::boxed::Box;
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use gob_protocol::kind::{Check, Orphans, RestartOn};
use gob_protocol::{
    Actor, ErrorCode, EventKind, Exit, Name, Outcome, ProcessId, Receipt, Signalled, WireError,
};
use serde_json::json;

/// When a lock is tried again that is busy without a process that has it, each time after so long; two seconds in all.
const BUSY_LOCK_MS: [u64; 14] = [5, 10, 20, 40, 80, 120, 160, 200, 200, 200, 200, 250, 250, 250];

/// What waits for the answer to `Effect::Examine`.
#[derive(Debug, Clone)]
pub(crate) enum Looking {
    /// A run that is to get a process.
    Before,
    /// What follows a run that never was ready: how it ended, its receipt, and what its starters are told.
    After(Box<(Exit, Receipt, WireError)>),
}

impl Looking {
    /// What was signalled of the run so far.
    fn receipt(&self) -> Receipt {
        match self {
            Self::Before => Receipt::default(),
            Self::After(ended) => ended.1.clone(),
        }
    }
}

impl Core {
    /// Has the shell look who holds the graph.
    pub(super) fn examine(&mut self, name: &Name, looking: Looking) {
        let Some(worker) = self.workers.get(name) else { return };
        let (key, plan) = (worker.key(), Box::new(self.examine_plan(worker)));
        if let Some(worker) = self.workers.get_mut(name) {
            worker.looking = Some(looking);
            self.out.push(Effect::Examine { key, plan });
        }
    }

    fn examine_plan(&self, worker: &Worker) -> ExaminePlan {
        let health = match &worker.kind.readiness.check {
            Check::Http { path, .. } => Some(self.filled(worker, path)),
            Check::None | Check::Handshake | Check::Notify | Check::Connect { .. } => None,
            Check::Log { .. } | Check::Delay { .. } => None,
        };
        ExaminePlan {
            lock_file: worker.kind.foreign.lock_file.as_ref().map(|path| self.filled(worker, path)),
            command: self.plan(worker).command,
            graph: worker.graph.to_string(),
            root_dir: worker.root_dir.as_ref().into(),
            health,
        }
    }

    pub(crate) fn examined(&mut self, key: &RunKey, found: Examined) {
        let Some(worker) = self.current(key) else { return };
        let Some(looking) = worker.looking.take() else { return };
        // It was stopped, or took too long, before it had a process.
        if matches!((&looking, &worker.phase), (Looking::Before, Phase::Ending(_))) {
            return self.called_off(key);
        }
        match found {
            Examined::Held(holder) => self.cede_to_holder(key, looking, holder),
            Examined::Orphans(orphans) if worker.kind.foreign.orphans == Some(Orphans::End) => {
                worker.looking = Some(looking);
                let Some(worker) = self.workers.get(&key.name) else { return };
                let plan = Box::new(self.examine_plan(worker));
                self.out.push(Effect::EndOrphans { key: key.clone(), orphans, plan });
            }
            Examined::Orphans(orphans) => {
                let error = beside_orphans(&key.name, &orphans);
                self.gives_up(key, &looking.receipt(), error);
            }
            Examined::Survived(orphans) => {
                let error = survived(&key.name, orphans.iter().map(|orphan| orphan.id.pid).collect());
                self.gives_up(key, &looking.receipt(), error);
            }
            Examined::Unclear(why) => match looking {
                Looking::Before => self.spawn_failed(key, "EBUSY".into(), &why),
                Looking::After(ended) => self.go_on(key, *ended),
            },
            Examined::Nobody => match looking {
                Looking::Before => self.push_spawn(&key.name, 0),
                Looking::After(ended) => self.go_on(key, *ended),
            },
        }
    }

    /// What was to follow the end of the run follows.
    fn go_on(&mut self, key: &RunKey, (exit, receipt, error): (Exit, Receipt, WireError)) {
        let Some(worker) = self.current(key) else { return };
        let Phase::Ending(ending) = &worker.phase else { return };
        let (then, actor) = (ending.then.clone(), ending.actor.clone());
        self.follow(&key.name, then, &exit, actor, &receipt, &error);
    }

    /// The run that was to get a process gets none, for its worker was asked to end, or it took too long.
    pub(crate) fn called_off(&mut self, key: &RunKey) {
        let Some(worker) = self.current(key).filter(|worker| worker.awaits_spawn()) else { return };
        worker.shown.fill_port(None);
        let exit = Exit::SpawnFailed { spawn_error: "ECANCELED".into() };
        let error = self.start_error(&key.name, &exit, ErrorCode::ServerStartTimeout);
        self.go_on(key, (exit, Receipt::default(), error));
    }

    /// A living process holds the graph by its lock file: it serves it, and gob only says so.
    fn cede_to_holder(&mut self, key: &RunKey, looking: Looking, holder: Holder) {
        let name = &key.name;
        self.at_rest(name);
        let pid = holder.pid;
        self.settle(name, Phase::External(holder));
        self.publish(EventKind::WorkerUpdated, Actor::Supervisor, Some(name));
        self.out.push(Effect::Follow { name: name.clone(), pid });
        self.answer_stops(name, &looking.receipt());
        let Some(worker) = self.workers.get_mut(name) else { return };
        let error = not_ours(worker);
        for mut waiter in core::mem::take(&mut worker.waiters) {
            // Whoever was to be served by the run that is over asked for a run of their own, and it had to give way.
            let served = matches!(looking, Looking::Before) || waiter.run > key.run;
            match &mut waiter.what {
                Waiting::Start { outcome, .. } if served => {
                    *outcome = Outcome::External;
                    self.answer_with_view(name, waiter);
                }
                Waiting::Start { .. } | Waiting::Restart { .. } | Waiting::Stop => {
                    self.fail(name, waiter, &error);
                }
            }
        }
    }

    /// No run beside what is there; the worker is `failed` and says why. The receipt is that of the run that has ended.
    pub(super) fn gives_up(&mut self, key: &RunKey, receipt: &Receipt, error: WireError) {
        let Some(worker) = self.current(key) else { return };
        worker.shown.reason = Some(error.message.clone());
        let (then, actor) = match &worker.phase {
            Phase::Ending(ending) if !matches!(ending.then, Then::Policy { .. }) => {
                (ending.then.clone(), ending.actor.clone())
            }
            Phase::Ending(_) | Phase::Starting { .. } | Phase::Backoff => (Then::Fail, Actor::Supervisor),
            Phase::Idle | Phase::Failed | Phase::Ceded | Phase::External(_) => return,
            Phase::Ready { .. } | Phase::Unhealthy { .. } => return,
        };
        let exit = Exit::SpawnFailed { spawn_error: "EBUSY".into() };
        self.follow(&key.name, then, &exit, actor, receipt, &error);
    }

    /// Somebody else has the lock of the graph: another supervisor's worker, or one that outlived its supervisor.
    pub(crate) fn held(&mut self, key: &RunKey, holder: &Holder) {
        let Some(worker) = self.current(key).filter(|worker| worker.awaits_spawn()) else { return };
        let is_starting = matches!(worker.phase, Phase::Starting { .. });
        if holder.pid == 0 && is_starting {
            return self.held_by_nobody(key, holder);
        }
        worker.shown.fill_port(None);
        let error = held_by(&key.name, holder);
        self.gives_up(key, &Receipt::default(), error);
    }

    /// The lock is busy and no process has it that can be seen. Most often there is none any more, so it is tried again; and
    /// where it stays so, it is nobody's failure.
    fn held_by_nobody(&mut self, key: &RunKey, holder: &Holder) {
        let name = &key.name;
        let Some(worker) = self.current(key) else { return };
        if let Some(after_ms) = BUSY_LOCK_MS.get(worker.busy_locks) {
            worker.busy_locks += 1;
            return self.push_spawn(name, *after_ms);
        }
        worker.shown.fill_port(None);
        let error = held_by(name, holder);
        let (policy, run) = (worker.kind.restart.clone(), worker.run);
        self.look_no_longer(name);
        self.settle(name, Phase::Idle);
        if let Some(worker) = self.workers.get_mut(name) {
            worker.shown.reason = Some(error.message.clone());
        }
        let event = if policy.on == RestartOn::Never {
            EventKind::WorkerStopped
        } else {
            self.back_off(name, policy.backoff_ms.1)
        };
        self.publish(event, Actor::Supervisor, Some(name));
        self.fail_starters(name, run, &error);
    }

    /// What an earlier supervisor left of this worker.
    pub(crate) fn left_over(&mut self, name: Name, pids: Vec<i32>) {
        if pids.is_empty() {
            self.config.leftovers.remove(&name);
        } else {
            self.config.leftovers.insert(name, pids);
        }
    }

    /// Why the worker may not get a process yet: one of an earlier supervisor is still there.
    pub(crate) fn leftover_error(&self, name: &Name) -> Option<WireError> {
        Some(survived(name, self.config.leftovers.get(name)?.clone()))
    }

    /// `stop` and `restart` of what is not ours: it is asked by its kind's own way, and by no other.
    pub(super) fn ask_holder(&mut self, name: &Name, grace_ms: Option<u64>, waiter: Waiter, polite: Polite) {
        let Some(worker) = self.workers.get(name) else { return };
        let Phase::External(holder) = &worker.phase else { return };
        if self.ending.is_some() {
            return self.fail(name, waiter, &on_its_way_out());
        }
        let endpoint = holder.endpoint.clone().filter(|endpoint| endpoint.starts_with("http://"));
        let Some((request, endpoint)) = worker.kind.stop.http.as_ref().zip(endpoint) else {
            let error = not_ours(worker);
            return self.fail(name, waiter, &error);
        };
        let (request, key) = (self.filled(worker, request), worker.key());
        let grace_ms = grace_ms.unwrap_or(worker.kind.stop.grace_ms);
        let Some(worker) = self.workers.get_mut(name) else { return };
        worker.waiters.push(waiter);
        let before = worker.polite.replace(polite);
        let first = before.is_none();
        if let (Some(before), Some(polite)) = (before, &mut worker.polite) {
            polite.began_ms = before.began_ms;
        }
        let at = self.now.mono_ms.saturating_add(grace_ms);
        let timer = Timer::Polite(name.clone());
        if self.timers.at(&timer).is_none_or(|due| at < due) {
            self.timers.arm(timer, at);
        }
        if first {
            self.out.push(Effect::StopHttp { key, endpoint, request, look: false });
        }
    }

    /// No run of ours is to follow the holder any more.
    pub(super) fn want_holder_alone(&mut self, name: &Name, actor: &Actor) {
        let Some(worker) = self.workers.get_mut(name) else { return };
        if let Some(polite) = &mut worker.polite {
            polite.next = None;
        }
        let run = worker.run + 1;
        let error = WireError::new(ErrorCode::ServerStartFailed, format!("{name} was stopped by {actor}"));
        self.fail_starters(name, run, &error);
    }

    /// The supervisor ends, and waits for nobody who is not its own.
    pub(crate) fn let_holders_be(&mut self) {
        let error = on_its_way_out();
        let asked = self.workers.values().filter(|worker| worker.polite.is_some());
        for name in asked.map(|worker| worker.name.clone()).collect::<Vec<_>>() {
            self.timers.cancel(&Timer::Polite(name.clone()));
            let Some(worker) = self.workers.get_mut(&name) else { continue };
            worker.polite = None;
            for waiter in core::mem::take(&mut worker.waiters) {
                self.fail(&name, waiter, &error);
            }
        }
    }

    /// The holder refused, or is still there when its time is over.
    pub(super) fn holder_stays(&mut self, name: &Name, why: &str) {
        self.timers.cancel(&Timer::Polite(name.clone()));
        let Some(worker) = self.workers.get_mut(name) else { return };
        let Phase::External(holder) = &worker.phase else { return };
        let survivor = ProcessId { pid: holder.pid, start_time: holder.start_time };
        if worker.polite.take().is_none() {
            return;
        }
        let receipt = Receipt { survivors: alloc::vec![survivor.into()], ..Receipt::default() };
        let message =
            format!("pid {} holds {name} without gob and {why}; it was not signalled", survivor.pid);
        let error = WireError::new(ErrorCode::ServerStopTimeout, message)
            .hint(see_who(name))
            .details(json!({"receipt": receipt}));
        for waiter in core::mem::take(&mut worker.waiters) {
            self.fail(name, waiter, &error);
        }
    }

    pub(crate) fn holder_took_too_long(&mut self, name: &Name) {
        self.holder_stays(name, "did not end in time");
    }

    /// The holder is gone: whoever asked it to end is answered, and a restart goes on.
    pub(super) fn holder_gone(&mut self, name: &Name) {
        self.timers.cancel(&Timer::Polite(name.clone()));
        let now = self.now.mono_ms;
        let Some(worker) = self.workers.get_mut(name) else { return };
        let Phase::External(holder) = &worker.phase else { return };
        let (pid, start_time) = (holder.pid, holder.start_time);
        let polite = worker.polite.take();
        self.settle(name, Phase::Idle);
        let actor = polite.as_ref().map_or(Actor::Supervisor, |polite| polite.actor.clone());
        self.publish(EventKind::WorkerStopped, actor, Some(name));
        let Some(polite) = polite else { return };
        let ended_ms = Some(now.saturating_sub(polite.began_ms));
        let asked = Signalled { pid, start_time, signals: Vec::new(), ended_ms, error: None };
        self.answer_stops(name, &Receipt { signalled: alloc::vec![asked], survivors: Vec::new() });
        if let Some(next) = polite.next {
            self.begin(name, *next);
        }
    }

    /// Nothing of the latest run is due any more.
    fn at_rest(&mut self, name: &Name) {
        self.look_no_longer(name);
        self.grace_is_over(name);
    }
}

fn see_who(name: &Name) -> String {
    format!("see who it is: gobctl who {}", name.as_argument())
}

fn on_its_way_out() -> WireError {
    WireError::new(
        ErrorCode::ShuttingDown,
        "the supervisor is on its way out, and signals nobody else's process",
    )
}

fn beside_orphans(name: &Name, orphans: &[Orphan]) -> WireError {
    let first = orphans.first();
    let pid = first.map_or(0, |orphan| orphan.id.pid);
    let command = first.map(|orphan| orphan.command.clone()).unwrap_or_default();
    let message = format!(
        "{name} is served by pid {pid} ({command}), which gob did not start and which holds no lock file"
    );
    let pids: Vec<i32> = orphans.iter().map(|orphan| orphan.id.pid).collect();
    WireError::new(ErrorCode::ServerLockedByExternal, message)
        .hint("end it, or set orphans = \"end\" in its kind if gob may end such processes")
        .details(json!({"pid": pid, "owner": "unknown", "path": null, "pids": pids}))
}

fn survived(name: &Name, pids: Vec<i32>) -> WireError {
    let message = format!("{} old process(es) of {name} could not be ended in time", pids.len());
    WireError::new(ErrorCode::ServerStartTimeoutOrphan, message)
        .hint("they may hang in the kernel, such as on a dead network mount; gob starts nothing beside them")
        .details(json!({"pids": pids}))
}

pub(crate) fn held_by(name: &Name, holder: &Holder) -> WireError {
    let path = &holder.path;
    let (message, hint) = match holder.pid {
        0 => (
            format!("the graph of {name} is held ({path}), by no process that can be seen from here"),
            "another user, a container or another machine may have it; gob tries again".into(),
        ),
        pid => (
            format!("the graph of {name} is held by pid {pid} ({path}), which is not this supervisor's"),
            see_who(name),
        ),
    };
    WireError::new(ErrorCode::ServerLockedByExternal, message)
        .hint(hint)
        .details(json!({"pid": holder.pid, "owner": holder.owner.as_str(), "path": holder.path}))
}
