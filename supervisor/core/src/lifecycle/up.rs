//! A run comes up: spawned, ready or never, well or not.

use crate::io::{Effect, RunKey};
use crate::worker::{Ending, Phase, Then};
use crate::{Core, Timer};
use alloc::boxed::Box;
use alloc::format;
use alloc::string::String;
use gob_protocol::handshake::{Handshake, HandshakeError};
use gob_protocol::kind::Check;
use gob_protocol::logindex::Stream;
use gob_protocol::{Actor, ErrorCode, EventKind, Exit, Name, Receipt, WireError};

impl Core {
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
    pub(super) fn never_ready(&mut self, key: &RunKey, pid: i32, error: &HandshakeError) {
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
}
