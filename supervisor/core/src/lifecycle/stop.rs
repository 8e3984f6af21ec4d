//! Somebody wants a worker down, or up anew: `stop` and `restart`.

use crate::Core;
use crate::io::ConnId;
use crate::requests::not_ours;
use crate::start::Patience;
use crate::worker::{Ending, Next, Phase, Then, Waiter, Waiting};
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
        let Some(worker) = self.workers.get(name) else { return };
        if matches!(worker.phase, Phase::Ending(_)) {
            return self.hurry(name, grace_ms);
        }
        let ending = Ending::asked(worker.pid(), Then::Rest, actor.clone());
        self.end_run(name, ending);
        self.ask_within(name, grace_ms);
    }

    pub(super) fn end_run(&mut self, name: &Name, ending: Ending) {
        let Some(worker) = self.workers.get_mut(name) else { return };
        let actor = ending.actor.clone();
        worker.phase = Phase::Ending(Box::new(ending));
        self.look_no_longer(name);
        self.publish(EventKind::WorkerStopping, actor, Some(name));
    }
}
