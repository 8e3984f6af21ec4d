//! How a worker moves from phase to phase: the table in ARCHITECTURE.md, a function per column.

use crate::io::{ConnId, Effect, Holder, RunKey};
use crate::requests::not_ours;
use crate::restart::{Verdict, next_random};
use crate::start::Patience;
use crate::worker::{Ending, Next, Phase, Then, Waiter, Waiting, Worker};
use crate::{Core, Timer};
use alloc::boxed::Box;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use gob_protocol::handshake::{Handshake, HandshakeError};
use gob_protocol::kind::{Check, RestartOn};
use gob_protocol::logindex::Stream;
use gob_protocol::request::{Restart, Stop, StopData};
use gob_protocol::{Actor, Data, ErrorCode, EventKind, Exit, Id, Name, Receipt, WireError};

/// A sweep that takes longer than this is reported to those who wait for it; it goes on.
const SWEEP_MS: u64 = 5_000;

impl Core {
    // ── stop and restart ────────────────────────────────────────────────────────────────────────────────────────

    pub(crate) fn stop(&mut self, conn: ConnId, id: Option<Id>, stop: &Stop) {
        let worker = match self.managed(conn, &stop.name) {
            Ok(worker) => worker,
            Err(error) => return self.reply(conn, id, Err(error)),
        };
        if matches!(worker.phase, Phase::External(_)) {
            let error = not_ours(worker);
            return self.reply(conn, id, Err(error));
        }
        let actor = self.actor(conn);
        let grace_ms = if stop.force { Some(0) } else { stop.grace_ms };
        self.bring_down(&stop.name, grace_ms, &actor);
        let (number, requester) = (self.waiters, self.requester(conn));
        self.waiters += 1;
        self.involve(conn, &stop.name);
        let run = self.workers.get(&stop.name).map_or(0, |worker| worker.run);
        let waiter = Waiter { conn, id, requester, what: Waiting::Stop, number, run };
        match self.workers.get_mut(&stop.name) {
            Some(worker) if worker.is_running() => worker.waiters.push(waiter),
            Some(_) | None => self.answer_with_view(&stop.name, waiter),
        }
    }

    pub(crate) fn restart(&mut self, conn: ConnId, id: Option<Id>, restart: Restart) {
        let worker = match self.managed(conn, &restart.name) {
            Ok(worker) => worker,
            Err(error) => return self.reply(conn, id, Err(error)),
        };
        let (actor, requester) = (self.actor(conn), self.requester(conn));
        let name = &restart.name;
        match &worker.phase {
            Phase::External(_) => {
                let error = not_ours(worker);
                return self.reply(conn, id, Err(error));
            }
            Phase::Idle | Phase::Failed | Phase::Ceded | Phase::Backoff | Phase::Starting { .. } => {}
            Phase::Ready { .. } | Phase::Unhealthy { .. } | Phase::Ending(_) => {
                self.begin_stop(name, restart.grace_ms, &actor);
            }
        }
        self.reuse(name, &requester, &actor);
        self.ensure(name, &requester, Next { owner: None, lease: None, actor, env: restart.env });
        let patience = Patience { wait: restart.wait.unwrap_or_default(), timeout_ms: restart.timeout_ms };
        let what = Waiting::Restart { receipt: Receipt::default(), wait: patience.wait };
        self.wait_for_run(conn, id, name, what, &patience);
    }

    /// Wants the worker down and sees to it; those who wait for it to come up are told.
    pub(crate) fn bring_down(&mut self, name: &Name, grace_ms: Option<u64>, actor: &Actor) {
        let Some(worker) = self.workers.get_mut(name) else { return };
        if worker.is_running() {
            self.begin_stop(name, grace_ms, actor);
            self.want_down(name, actor);
        } else {
            self.rest(name, actor);
        }
        let error = WireError::new(ErrorCode::ServerStartFailed, format!("{name} was stopped by {actor}"));
        self.fail_starters(name, u64::MAX, &error);
    }

    /// Whatever was to follow the ending run does not.
    fn want_down(&mut self, name: &Name, actor: &Actor) {
        let Some(worker) = self.workers.get_mut(name) else { return };
        if let Phase::Ending(ending) = &mut worker.phase
            && !matches!(ending.then, Then::Rest)
        {
            ending.then = Then::Rest;
            ending.actor = actor.clone();
        }
    }

    /// Asks a run to end, or hurries one that is ending.
    fn begin_stop(&mut self, name: &Name, grace_ms: Option<u64>, actor: &Actor) {
        let now = self.now.mono_ms;
        let Some(worker) = self.workers.get_mut(name) else { return };
        let grace_ms = grace_ms.unwrap_or(worker.kind.stop.grace_ms);
        let kill_at = now.saturating_add(grace_ms);
        let timer = Timer::Kill(name.clone());
        if let Phase::Ending(ending) = &mut worker.phase {
            if !ending.killing && self.timers.at(&timer).is_none_or(|at| kill_at < at) {
                self.timers.arm(timer, kill_at);
            }
            return self.kill_if_due(name);
        }
        let ending = Ending::asked(worker.pid(), Then::Rest, actor.clone());
        self.end_run(name, ending);
        self.timers.arm(timer, kill_at);
        self.ask_to_end(name);
        self.kill_if_due(name);
    }

    fn end_run(&mut self, name: &Name, ending: Ending) {
        let Some(worker) = self.workers.get_mut(name) else { return };
        let actor = ending.actor.clone();
        worker.phase = Phase::Ending(Box::new(ending));
        self.timers.cancel(&Timer::Start(name.clone()));
        self.publish(EventKind::WorkerStopping, actor, Some(name));
    }

    fn ask_to_end(&mut self, name: &Name) {
        let Some(worker) = self.workers.get(name) else { return };
        // A spawn that is still under way is asked once it is there.
        if worker.pid().is_some() {
            self.out.push(Effect::Terminate { key: worker.key(), signal: worker.kind.stop.signal.clone() });
        }
    }

    /// A grace of nothing has ended already.
    fn kill_if_due(&mut self, name: &Name) {
        if self.timers.at(&Timer::Kill(name.clone())).is_some_and(|at| at <= self.now.mono_ms) {
            self.grace_ended(name);
        }
    }

    pub(crate) fn grace_ended(&mut self, name: &Name) {
        self.timers.cancel(&Timer::Kill(name.clone()));
        let Some(worker) = self.workers.get_mut(name) else { return };
        let key = worker.key();
        let Phase::Ending(ending) = &mut worker.phase else { return };
        if !ending.killing && ending.pid.is_some() {
            ending.killing = true;
            self.sweep(key);
        } else {
            ending.killing = true;
        }
    }

    fn sweep(&mut self, key: RunKey) {
        self.timers.arm(Timer::Sweep(key.name.clone()), self.now.mono_ms.saturating_add(SWEEP_MS));
        self.out.push(Effect::Sweep { key });
    }

    pub(crate) fn sweep_is_late(&mut self, name: &Name) {
        let Some(worker) = self.workers.get(name) else { return };
        if matches!(worker.phase, Phase::Ending(_)) {
            let key = worker.key();
            self.out.push(Effect::Census { key: key.clone() });
            self.sweep(key);
        }
    }

    /// Something survived for too long: those who wait are told what.
    pub(crate) fn surviving(&mut self, key: &RunKey, receipt: &Receipt) {
        if receipt.survivors.is_empty() {
            return;
        }
        let Some(worker) = self.current(key) else { return };
        let count = receipt.survivors.len();
        let message = format!("{count} process(es) of {} could not be ended yet", key.name);
        let error = |code, details| {
            WireError::new(code, message.clone())
                .hint("they may hang in the kernel, such as on a dead network mount; gob goes on trying")
                .details(details)
        };
        let pids: Vec<i32> = receipt.survivors.iter().map(|survivor| survivor.pid).collect();
        let stops = error(ErrorCode::ServerStopTimeout, serde_json::json!({"receipt": receipt}));
        let starts = error(ErrorCode::ServerStartTimeoutOrphan, serde_json::json!({"pids": pids}));
        for waiter in core::mem::take(&mut worker.waiters) {
            let error = if matches!(waiter.what, Waiting::Stop) { &stops } else { &starts };
            self.fail(&key.name, waiter, error);
        }
    }

    // ── a run comes up ──────────────────────────────────────────────────────────────────────────────────────────

    /// Begins the next run.
    pub(crate) fn spawn(&mut self, name: &Name) {
        let now = self.now.mono_ms;
        self.timers.cancel(&Timer::Backoff(name.clone()));
        let Some(worker) = self.workers.get_mut(name) else { return };
        worker.run += 1;
        worker.phase = Phase::Starting { pid: None };
        worker.ready_mono_ms = None;
        let timeout_ms = worker.kind.readiness.timeout_ms;
        let Some(worker) = self.workers.get(name) else { return };
        let plan = self.plan(worker);
        let logs = [Stream::Stdout, Stream::Stderr].map(|stream| self.log_path(worker, stream));
        let (command, cwd) = (plan.command.clone(), plan.cwd.clone());
        let Some(worker) = self.workers.get_mut(name) else { return };
        let [stdout, stderr] = logs;
        worker.shown = crate::worker::Shown {
            command,
            cwd: Some(cwd),
            created_at: worker.shown.created_at,
            exit: worker.shown.exit.take(),
            stopped_at: worker.shown.stopped_at,
            stdout_path: Some(stdout),
            stderr_path: Some(stderr),
            ..Default::default()
        };
        self.timers.arm(Timer::Start(name.clone()), now.saturating_add(timeout_ms));
        self.out.push(Effect::Spawn(Box::new(plan)));
    }

    pub(crate) fn spawned(&mut self, key: &RunKey, leader: i32) {
        let wall = self.now.wall;
        let Some(worker) = self.current(key).filter(|worker| worker.awaits_spawn()) else { return };
        worker.shown.started_at = Some(wall);
        worker.shown.stopped_at = None;
        worker.shown.exit = None;
        let actor = worker.actor.clone();
        match &mut worker.phase {
            Phase::Starting { pid } => {
                *pid = Some(leader);
                let ready_now = worker.kind.readiness.check == Check::None;
                self.publish(EventKind::WorkerStarted, actor, Some(&key.name));
                if ready_now {
                    self.ready(key, Ok(Handshake::default()));
                } else {
                    self.answer_waiters_of_run(&key.name);
                }
            }
            // It was stopped before it was there.
            Phase::Ending(ending) => {
                ending.pid = Some(leader);
                let killing = ending.killing;
                self.publish(EventKind::WorkerStarted, actor, Some(&key.name));
                if killing {
                    self.sweep(key.clone());
                } else {
                    self.ask_to_end(&key.name);
                }
            }
            Phase::Idle | Phase::Failed | Phase::Ceded | Phase::External(_) => {}
            Phase::Ready { .. } | Phase::Unhealthy { .. } | Phase::Backoff => {}
        }
    }

    pub(crate) fn spawn_failed(&mut self, key: &RunKey, errno: String, message: &str) {
        let wall = self.now.wall;
        let Some(worker) = self.current(key) else { return };
        if !worker.awaits_spawn() {
            return;
        }
        let exit = Exit::SpawnFailed { spawn_error: errno.clone() };
        worker.shown.exit = Some(exit.clone());
        worker.shown.stopped_at = Some(wall);
        worker.shown.reason = Some(message.into());
        let (then, actor) = match &worker.phase {
            Phase::Ending(ending) => (ending.then.clone(), ending.actor.clone()),
            Phase::Starting { .. } | Phase::Idle | Phase::Failed | Phase::Ceded | Phase::External(_) => {
                (Then::Policy { was_ready_ms: None, asked: false }, Actor::Supervisor)
            }
            Phase::Ready { .. } | Phase::Unhealthy { .. } | Phase::Backoff => return,
        };
        self.counters.spawn_failures += 1;
        let error = WireError::new(
            ErrorCode::ServerStartFailed,
            format!("{} could not be started: {message}", key.name),
        )
        .details(serde_json::json!({"exit": exit, "errno": errno, "last_lines": []}));
        self.follow(&key.name, then, &exit, actor, &Receipt::default(), &error);
    }

    pub(crate) fn ready(&mut self, key: &RunKey, result: Result<Handshake, HandshakeError>) {
        let (now, wall) = (self.now.mono_ms, self.now.wall);
        let Some(worker) = self.current(key) else { return };
        let Phase::Starting { pid: Some(pid) } = worker.phase else { return };
        match result {
            Ok(Handshake { version, endpoint, meta }) => {
                worker.phase = Phase::Ready { pid };
                worker.ready_mono_ms = Some(now);
                let shown = &mut worker.shown;
                (shown.version, shown.endpoint, shown.meta) = (version, endpoint, meta);
                shown.ready_at = Some(wall);
                shown.reason = None;
                let actor = worker.actor.clone();
                self.timers.cancel(&Timer::Start(key.name.clone()));
                self.publish(EventKind::WorkerReady, actor, Some(&key.name));
                self.answer_waiters_of_run(&key.name);
            }
            Err(error) => self.never_ready(key, pid, &error),
        }
    }

    /// The worker said that it won't be ready: who waits is told at once, then its tree is ended.
    fn never_ready(&mut self, key: &RunKey, pid: i32, error: &HandshakeError) {
        let name = &key.name;
        let (code, reason) = match error {
            HandshakeError::Refused(reason) => (ErrorCode::ServerStartFailed, reason),
            HandshakeError::Invalid(reason) => (ErrorCode::HandshakeInvalid, reason),
        };
        let Some(worker) = self.workers.get_mut(name) else { return };
        worker.shown.reason = Some(reason.clone());
        let grace_ms = worker.kind.stop.grace_ms;
        let message = format!("{name} did not become ready: {reason}");
        let details = serde_json::json!({"exit": null, "errno": null, "last_lines": []});
        let error = WireError::new(code, message).hint(format!("see gobctl logs {name}")).details(details);
        self.fail_starters(name, key.run, &error);
        let then = Then::Policy { was_ready_ms: None, asked: true };
        self.end_run(name, Ending::asked(Some(pid), then, Actor::Supervisor));
        self.timers.arm(Timer::Kill(name.clone()), self.now.mono_ms.saturating_add(grace_ms));
        self.ask_to_end(name);
    }

    pub(crate) fn start_timed_out(&mut self, name: &Name) {
        let Some(worker) = self.workers.get_mut(name) else { return };
        let Phase::Starting { pid } = worker.phase else { return };
        let seconds = worker.kind.readiness.timeout_ms as f64 / 1000.0;
        worker.shown.reason = Some(format!("was not ready after {seconds} s"));
        let grace_ms = worker.kind.stop.grace_ms;
        let ending = Ending::asked(pid, Then::Fail, Actor::Supervisor);
        self.end_run(name, Ending { timed_out: true, ..ending });
        self.timers.arm(Timer::Kill(name.clone()), self.now.mono_ms.saturating_add(grace_ms));
        self.ask_to_end(name);
    }

    pub(crate) fn probed(&mut self, key: &RunKey, failure: Option<String>) {
        let Some(worker) = self.current(key) else { return };
        let event = match (&worker.phase, &failure) {
            (Phase::Ready { pid }, Some(_)) => {
                worker.phase = Phase::Unhealthy { pid: *pid };
                EventKind::WorkerUnhealthy
            }
            (Phase::Unhealthy { pid }, None) => {
                worker.phase = Phase::Ready { pid: *pid };
                EventKind::WorkerReady
            }
            (_, _) => return,
        };
        worker.shown.reason = failure;
        self.publish(event, Actor::Supervisor, Some(&key.name));
    }

    // ── a run ends ──────────────────────────────────────────────────────────────────────────────────────────────

    pub(crate) fn exited(&mut self, key: &RunKey, exit: Exit) {
        let (now, wall) = (self.now.mono_ms, self.now.wall);
        let Some(worker) = self.current(key) else { return };
        let was_ready_ms = worker.ready_mono_ms.map(|at| now.saturating_sub(at));
        match &worker.phase {
            Phase::Starting { .. } | Phase::Ready { .. } | Phase::Unhealthy { .. } => {
                let then = Then::Policy { was_ready_ms, asked: false };
                worker.phase = Phase::Ending(Box::new(Ending::asked(None, then, Actor::Supervisor)));
            }
            Phase::Ending(_) => {}
            Phase::Idle | Phase::Failed | Phase::Ceded | Phase::External(_) | Phase::Backoff => return,
        }
        if let Phase::Ending(ending) = &mut worker.phase {
            ending.pid = None;
            ending.exit = Some(exit.clone());
            ending.killing = true;
        }
        worker.shown.exit = Some(exit);
        worker.shown.stopped_at = Some(wall);
        for timer in [Timer::Start(key.name.clone()), Timer::Kill(key.name.clone())] {
            self.timers.cancel(&timer);
        }
        self.sweep(key.clone());
    }

    pub(crate) fn swept(&mut self, key: &RunKey, receipt: Receipt, last_lines: Vec<String>) {
        let Some(worker) = self.current(key) else { return };
        let Phase::Ending(ending) = &worker.phase else { return };
        let Some(exit) = ending.exit.clone() else { return };
        let (then, actor) = (ending.then.clone(), ending.actor.clone());
        let code =
            if ending.timed_out { ErrorCode::ServerStartTimeout } else { ErrorCode::ServerStartFailed };
        worker.shown.last_lines = last_lines;
        self.timers.cancel(&Timer::Sweep(key.name.clone()));
        let error = self.start_error(&key.name, &exit, code);
        self.follow(&key.name, then, &exit, actor, &receipt, &error);
    }

    /// Nothing is left of the run: what follows. The error is for those whom this run should have served.
    fn follow(
        &mut self,
        name: &Name,
        then: Then,
        exit: &Exit,
        actor: Actor,
        receipt: &Receipt,
        error: &WireError,
    ) {
        for timer in [Timer::Start(name.clone()), Timer::Kill(name.clone())] {
            self.timers.cancel(&timer);
        }
        let mut next = None;
        match then {
            Then::Rest => {
                self.settle(name, Phase::Idle);
                self.publish(EventKind::WorkerStopped, actor, Some(name));
            }
            Then::Start(wanted) => {
                self.settle(name, Phase::Idle);
                self.publish(EventKind::WorkerStopped, actor, Some(name));
                next = Some(wanted);
            }
            Then::Fail => {
                self.settle(name, Phase::Failed);
                self.publish(EventKind::WorkerFailed, actor, Some(name));
            }
            Then::Policy { was_ready_ms, asked } => {
                let may_cede = !asked && *exit == Exit::Code { code: 0 };
                self.follow_policy(name, exit, was_ready_ms, may_cede);
            }
        }
        let run = self.workers.get(name).map_or(0, |worker| worker.run);
        self.fail_starters(name, run, error);
        self.answer_stops(name, receipt);
        if let Some(next) = next {
            self.begin(name, *next);
        }
    }

    fn follow_policy(&mut self, name: &Name, exit: &Exit, was_ready_ms: Option<u64>, may_cede: bool) {
        let jitter = next_random(&mut self.config.seed);
        let now = self.now.mono_ms;
        let Some(worker) = self.workers.get_mut(name) else { return };
        let zero = *exit == Exit::Code { code: 0 };
        let event = if may_cede && worker.kind.exit_zero_ceded {
            worker.shown.reason = Some("exited 0: a peer took the graph over".into());
            self.settle(name, Phase::Ceded);
            EventKind::WorkerCeded
        } else {
            let policy = worker.kind.restart.clone();
            match worker.failures.judge(&policy, exit, was_ready_ms, now, jitter) {
                Verdict::Rest if was_ready_ms.is_none() || (policy.on == RestartOn::Never && !zero) => {
                    worker.shown.reason.get_or_insert_with(|| format!("{exit}: see gobctl logs {name}"));
                    self.settle(name, Phase::Failed);
                    EventKind::WorkerFailed
                }
                Verdict::Rest => {
                    self.settle(name, Phase::Idle);
                    EventKind::WorkerStopped
                }
                Verdict::GiveUp(times) => {
                    let seconds = policy.give_up_within_ms / 1000;
                    let why =
                        worker.shown.reason.take().map_or_else(String::new, |reason| format!(" ({reason})"));
                    worker.shown.reason =
                        Some(format!("{exit}{why}, {times} times in {seconds}s: see gobctl logs {name}"));
                    self.settle(name, Phase::Failed);
                    EventKind::WorkerFailed
                }
                Verdict::Retry(delay_ms) => {
                    worker.phase = Phase::Backoff;
                    let at = self.wall_in(delay_ms);
                    if let Some(worker) = self.workers.get_mut(name) {
                        worker.shown.next_restart_at = Some(at);
                        worker.shown.reason.get_or_insert_with(|| format!("{exit}"));
                    }
                    self.timers.arm(Timer::Backoff(name.clone()), now.saturating_add(delay_ms));
                    EventKind::WorkerBackoff
                }
            }
        };
        self.publish(event, Actor::Supervisor, Some(name));
    }

    /// Comes to rest in this phase.
    fn settle(&mut self, name: &Name, phase: Phase) {
        if let Some(worker) = self.workers.get_mut(name) {
            if matches!(phase, Phase::Idle | Phase::External(_)) {
                worker.shown.reason = None;
            }
            worker.phase = phase;
            worker.shown.next_restart_at = None;
        }
    }

    /// Takes back a restart that is not due yet; what else is down stays as it is.
    pub(crate) fn rest(&mut self, name: &Name, actor: &Actor) {
        self.timers.cancel(&Timer::Backoff(name.clone()));
        if self.workers.get(name).is_some_and(|worker| matches!(worker.phase, Phase::Backoff)) {
            self.settle(name, Phase::Idle);
            self.publish(EventKind::WorkerStopped, actor.clone(), Some(name));
        }
    }

    /// The restart policy's next try is due.
    pub(crate) fn retry(&mut self, name: &Name) {
        let Some(worker) = self.workers.get_mut(name) else { return };
        if matches!(worker.phase, Phase::Backoff) {
            worker.restarts += 1;
            worker.actor = Actor::Supervisor;
            self.counters.restarts += 1;
            self.spawn(name);
        }
    }

    pub(crate) fn external(&mut self, name: &Name, holder: Option<Holder>) {
        let Some(worker) = self.workers.get_mut(name) else { return };
        match (&worker.phase, holder) {
            (Phase::Idle | Phase::Failed | Phase::Ceded | Phase::Backoff, Some(holder)) => {
                self.timers.cancel(&Timer::Backoff(name.clone()));
                self.settle(name, Phase::External(holder));
                self.publish(EventKind::WorkerUpdated, Actor::Supervisor, Some(name));
            }
            (Phase::External(_), None) => {
                self.settle(name, Phase::Idle);
                self.publish(EventKind::WorkerStopped, Actor::Supervisor, Some(name));
            }
            (_, _) => {}
        }
    }

    // ── answers ─────────────────────────────────────────────────────────────────────────────────────────────────

    /// Answers those who wait for the stop; those who wait for the restart keep its receipt.
    fn answer_stops(&mut self, name: &Name, swept: &Receipt) {
        let Some(worker) = self.workers.get_mut(name) else { return };
        let mut rest = Vec::new();
        let mut done = Vec::new();
        for mut waiter in core::mem::take(&mut worker.waiters) {
            match &mut waiter.what {
                Waiting::Stop => done.push(waiter),
                Waiting::Restart { receipt, .. } => {
                    receipt.clone_from(swept);
                    rest.push(waiter);
                }
                Waiting::Start { .. } => rest.push(waiter),
            }
        }
        worker.waiters = rest;
        for waiter in done {
            let Some(worker) = self.workers.get(name) else { return };
            let worker = worker.view(self.owns(&waiter.requester, worker));
            let data = Data::Stop(StopData { worker, receipt: swept.clone() });
            self.reply(waiter.conn, waiter.id, Ok(data));
        }
    }

    /// Tells those who wait for a run up to this one to come up that it won't.
    fn fail_starters(&mut self, name: &Name, run: u64, error: &WireError) {
        let Some(worker) = self.workers.get_mut(name) else { return };
        for waiter in worker.take_starters(run) {
            self.fail(name, waiter, error);
        }
    }

    fn fail(&mut self, name: &Name, waiter: Waiter, error: &WireError) {
        self.timers.cancel(&Timer::Waiter(name.clone(), waiter.conn, waiter.number));
        self.reply(waiter.conn, waiter.id, Err(Box::new(error.clone())));
    }

    /// What those are told whose worker ended before it was ready.
    fn start_error(&self, name: &Name, exit: &Exit, code: ErrorCode) -> WireError {
        let shown = self.workers.get(name).map(|worker| &worker.shown);
        let why = shown.and_then(|shown| shown.reason.clone());
        let message = match (code, why) {
            (ErrorCode::ServerStartTimeout, Some(why)) => format!("{name} {why}; its processes were ended"),
            (_, Some(why)) => format!("{name} {exit} before it was ready: {why}"),
            (_, None) => format!("{name} {exit} before it was ready"),
        };
        let last_lines = shown.map(|shown| shown.last_lines.clone()).unwrap_or_default();
        WireError::new(code, message)
            .hint(format!("see gobctl logs {name}"))
            .details(serde_json::json!({"exit": exit, "errno": null, "last_lines": last_lines}))
    }

    /// The worker, if this is its latest run: what is said of an older one is too late to matter.
    fn current(&mut self, key: &RunKey) -> Option<&mut Worker> {
        self.workers.get_mut(&key.name).filter(|worker| worker.run == key.run)
    }
}
