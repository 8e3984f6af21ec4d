//! A run comes up: it gets a process, or none.

use super::Looking;
use crate::io::{Effect, RunKey};
use crate::plan::INTERPRETER;
use crate::record::New;
use crate::worker::{Phase, Then};
use crate::{Core, Timer};
use alloc::boxed::Box;
use alloc::format;
use alloc::string::String;
use gob_protocol::logindex::Stream;
use gob_protocol::{Actor, ErrorCode, EventKind, Exit, Name, Receipt, WireError};

impl Core {
    /// Begins the next run.
    pub(crate) fn spawn(&mut self, name: &Name) {
        self.timers.cancel(&Timer::Backoff(name.clone()));
        let Some(worker) = self.workers.get_mut(name) else { return };
        worker.run += 1;
        self.begin_run(name);
    }

    /// Begins the latest run, which has no process.
    pub(super) fn begin_run(&mut self, name: &Name) {
        let now = self.now.mono_ms;
        let Some(worker) = self.workers.get_mut(name) else { return };
        worker.phase = Phase::Starting { pid: None };
        worker.ready_mono_ms = None;
        worker.told_mono_ms = None;
        worker.live = crate::worker::Live::default();
        worker.port = None;
        worker.busy_locks = 0;
        worker.endpoint_is_its_own = false;
        let timeout_ms = worker.kind.readiness.timeout_ms;
        let Some(worker) = self.workers.get(name) else { return };
        let plan = self.plan(worker);
        let logs = [Stream::Stdout, Stream::Stderr].map(|stream| self.log_path(worker, stream));
        let command = plan.command.as_slice().into();
        let cwd = plan.cwd.as_str().into();
        let Some(worker) = self.workers.get_mut(name) else { return };
        let [stdout, stderr] = logs;
        worker.shown = crate::worker::Shown {
            command,
            cwd: Some(cwd),
            created_at: worker.shown.created_at,
            exit: worker.shown.exit.take(),
            stopped_at: worker.shown.stopped_at,
            stdout_path: Some(stdout.into()),
            stderr_path: Some(stderr.into()),
            ..Default::default()
        };
        self.timers.arm(Timer::Start(name.clone()), now.saturating_add(timeout_ms));
        let foreign = self.workers.get(name).is_some_and(|worker| worker.kind.foreign.is_looked_for());
        if let Some(error) = self.leftover_error(name) {
            let exit = Exit::SpawnFailed { spawn_error: "EBUSY".into() };
            self.no_process(name, exit, &error);
        } else if foreign {
            self.examine(name, Looking::Before);
        } else {
            self.out.push(Effect::Spawn(Box::new(plan)));
        }
    }

    /// Has the shell start the latest run, after so long.
    pub(super) fn push_spawn(&mut self, name: &Name, after_ms: u64) {
        if let Some(worker) = self.workers.get(name) {
            let plan = crate::SpawnPlan { after_ms, ..self.plan(worker) };
            self.out.push(Effect::Spawn(Box::new(plan)));
        }
    }

    pub(crate) fn spawned(&mut self, key: &RunKey, leader: i32, port: Option<u16>, new: New) {
        let wall = self.now.wall;
        let Some(worker) = self.current(key).filter(|worker| worker.awaits_spawn()) else { return };
        worker.port = port;
        worker.shown.new = new.0;
        worker.shown.fill_port(port);
        worker.shown.started_at = Some(wall);
        worker.shown.stopped_at = None;
        worker.shown.exit = None;
        let actor = worker.actor.clone();
        match &mut worker.phase {
            Phase::Starting { pid } => {
                *pid = Some(leader);
                self.publish(EventKind::WorkerStarted, actor, Some(&key.name));
                self.look_for_readiness(key);
                self.answer_waiters_of_run(&key.name);
            }
            // It was stopped before it was there, and too late to be called off.
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
        worker.shown.fill_port(None);
        worker.shown.stopped_at = Some(wall);
        worker.shown.reason = Some(message.into());
        let exit = Exit::SpawnFailed { spawn_error: errno.clone() };
        worker.shown.exit = Some(exit.clone());
        let error = WireError::new(
            ErrorCode::ServerStartFailed,
            format!("{} could not be started: {message}", key.name),
        )
        .details(serde_json::json!({"exit": exit, "errno": errno, "last_lines": []}));
        // The same errors come from directories.
        let program = worker.kind.command.first().filter(|program| message.contains(program.as_str()));
        let error = match (errno.as_str(), program) {
            (_, Some(program)) if message.contains(INTERPRETER) => {
                error.hint(format!("correct the first line of {program}, or install what it names"))
            }
            // gob's own: no file speaks of it.
            ("ENOENT" | "EACCES", Some(program)) if program.starts_with("gob-") => error.hint(format!(
                "install {program} beside gobd, or name its directory in GOB_LIBEXEC; gobctl doctor says where it is looked for"
            )),
            ("ENOENT" | "EACCES", Some(program)) => error.hint(format!(
                "install {program}, or correct the command of its kind: gobctl config check says which programs are missing"
            )),
            ("EADDRINUSE", _) => match worker.kind.port {
                Some(port) => error.hint(format!("see who listens there: ss -ltnp 'sport = :{port}'")),
                None => error,
            },
            ("EAGAIN", _) => error.hint(
                "end some processes of this user, or raise the limit on them: ulimit -u, or pids.max of the control group",
            ),
            _ => error,
        };
        self.counters.spawn_failures += 1;
        self.no_process(&key.name, exit, &error);
    }

    /// The latest run gets no process; the error is for those who wait for it.
    fn no_process(&mut self, name: &Name, exit: Exit, error: &WireError) {
        let Some(worker) = self.workers.get_mut(name) else { return };
        worker.shown.reason.get_or_insert_with(|| error.message.clone());
        let (then, actor) = match &worker.phase {
            Phase::Ending(ending) => (ending.then.clone(), ending.actor.clone()),
            Phase::Starting { .. } | Phase::Idle | Phase::Failed | Phase::Ceded | Phase::External(_) => {
                (Then::Policy { was_ready_ms: None, asked: false }, Actor::Supervisor)
            }
            Phase::Ready { .. } | Phase::Unhealthy { .. } | Phase::Backoff => return,
        };
        self.follow(name, then, &exit, actor, &Receipt::default(), error);
    }
}
