//! Somebody wants a worker down, or up anew: `stop` and `restart`.

use crate::io::{ConnId, Effect};
use crate::start::Patience;
use crate::worker::{Ending, Next, Phase, Polite, Then, Waiter, Waiting};
use crate::{Core, Timer};
use alloc::boxed::Box;
use alloc::format;
use gob_protocol::request::{Restart, Stop};
use gob_protocol::{Actor, ErrorCode, EventKind, Id, Name, Owner, Receipt, WireError};

impl Core {
    pub(crate) fn stop(&mut self, conn: ConnId, id: Option<Id>, stop: &Stop) {
        let worker = match self.managed(conn, &stop.name) {
            Ok(worker) => worker,
            Err(error) => return self.reply(conn, id, Err(error)),
        };
        let external = matches!(worker.phase, Phase::External(_));
        let actor = self.actor(conn);
        let grace_ms = if stop.force { Some(0) } else { stop.grace_ms };
        if !external {
            self.bring_down(&stop.name, grace_ms, &actor);
        }
        let (number, requester) = (self.waiters, self.requester(conn));
        self.waiters += 1;
        self.involve(conn, &stop.name);
        let run = self.workers.get(&stop.name).map_or(0, |worker| worker.run);
        let waiter = Waiter { conn, id, requester, what: Waiting::Stop, number, run };
        if external {
            self.want_holder_alone(&stop.name, &actor);
            // Force is for processes of ours: this one is asked, and has its kind's grace.
            let polite = Polite { began_ms: self.now.mono_ms, actor, next: None };
            return self.ask_holder(&stop.name, stop.grace_ms, waiter, polite);
        }
        match self.workers.get_mut(&stop.name) {
            Some(worker) if worker.is_running() => worker.waiters.push(waiter),
            Some(_) | None => self.answer_with_view(&stop.name, waiter),
        }
    }

    pub(crate) fn restart(&mut self, conn: ConnId, id: Option<Id>, restart: Restart) {
        if let Err(error) = self.managed(conn, &restart.name) {
            return self.reply(conn, id, Err(error));
        }
        if let Err(error) = self.find_kind(&restart.name) {
            return self.reply(conn, id, Err(error));
        }
        let Some(worker) = self.workers.get(&restart.name) else { return };
        let (actor, requester) = (self.actor(conn), self.requester(conn));
        let name = &restart.name;
        let is_up = match &worker.phase {
            Phase::External(_) => return self.restart_external(conn, id, restart, actor, requester),
            Phase::Idle | Phase::Failed | Phase::Ceded | Phase::Backoff | Phase::Starting { .. } => false,
            Phase::Ready { .. } | Phase::Unhealthy { .. } | Phase::Ending(_) => true,
        };
        if let Some(error) = self.lacks_room(name) {
            return self.reply(conn, id, Err(error));
        }
        self.reuse(name, &requester, &actor);
        if is_up {
            self.begin_stop(name, restart.grace_ms, &actor);
        }
        self.ensure(name, &requester, Next { owner: None, lease: None, actor, env: restart.env });
        let patience = Patience { wait: restart.wait.unwrap_or_default(), timeout_ms: restart.timeout_ms };
        let what = Waiting::Restart { receipt: Receipt::default(), wait: patience.wait };
        self.wait_for_run(conn, id, name, what, &patience);
    }

    /// The holder is asked to end, and a run of ours follows.
    fn restart_external(
        &mut self,
        conn: ConnId,
        id: Option<Id>,
        restart: Restart,
        actor: Actor,
        requester: Owner,
    ) {
        let (number, name) = (self.waiters, &restart.name);
        self.waiters += 1;
        self.involve(conn, name);
        let run = self.workers.get(name).map_or(0, |worker| worker.run + 1);
        let what = Waiting::Restart { receipt: Receipt::default(), wait: restart.wait.unwrap_or_default() };
        let waiter = Waiter { conn, id, requester: requester.clone(), what, number, run };
        if let Some(ms) = restart.timeout_ms {
            let timer = Timer::Waiter(name.clone(), conn, number);
            self.timers.arm(timer, self.now.mono_ms.saturating_add(ms));
        }
        let next = Next { owner: Some(requester), lease: None, actor: actor.clone(), env: restart.env };
        let polite = Polite { began_ms: self.now.mono_ms, actor, next: Some(Box::new(next)) };
        self.ask_holder(name, restart.grace_ms, waiter, polite);
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
        if matches!(worker.phase, Phase::Starting { pid: None }) && worker.looking.is_none() {
            self.out.push(Effect::CallOff { key: worker.key() });
        }
        worker.phase = Phase::Ending(Box::new(ending));
        self.look_no_longer(name);
        self.publish(EventKind::WorkerStopping, actor, Some(name));
    }
}
