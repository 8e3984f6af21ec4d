//! A run is asked to end: `stop`, `restart`, and the signals on the way to the sweep.

use crate::io::{ConnId, Effect};
use crate::requests::not_ours;
use crate::start::Patience;
use crate::worker::{Ending, Next, Phase, Then, Waiter, Waiting};
use crate::{Core, Timer};
use alloc::boxed::Box;
use alloc::format;
use gob_protocol::request::{Restart, Stop};
use gob_protocol::{Actor, ErrorCode, EventKind, Id, Name, Receipt, WireError};

impl Core {
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
    pub(super) fn want_down(&mut self, name: &Name, actor: &Actor) {
        let Some(worker) = self.workers.get_mut(name) else { return };
        if let Phase::Ending(ending) = &mut worker.phase
            && !matches!(ending.then, Then::Rest)
        {
            ending.then = Then::Rest;
            ending.actor = actor.clone();
        }
    }

    /// Asks a run to end, or hurries one that is ending.
    pub(super) fn begin_stop(&mut self, name: &Name, grace_ms: Option<u64>, actor: &Actor) {
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

    pub(super) fn end_run(&mut self, name: &Name, ending: Ending) {
        let Some(worker) = self.workers.get_mut(name) else { return };
        let actor = ending.actor.clone();
        worker.phase = Phase::Ending(Box::new(ending));
        self.timers.cancel(&Timer::Start(name.clone()));
        self.publish(EventKind::WorkerStopping, actor, Some(name));
    }

    pub(super) fn ask_to_end(&mut self, name: &Name) {
        let Some(worker) = self.workers.get(name) else { return };
        // A spawn that is still under way is asked once it is there.
        if worker.pid().is_some() {
            self.out.push(Effect::Terminate { key: worker.key(), signal: worker.kind.stop.signal.clone() });
        }
    }

    /// A grace of nothing has ended already.
    pub(super) fn kill_if_due(&mut self, name: &Name) {
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
}
