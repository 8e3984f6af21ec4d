//! Wishes: a requester, or the supervisor itself, wants the worker up, down, or up anew.

use super::{Next, Phase, Want, Worker};
use crate::conns::Caller;
use crate::cx::Cx;
use crate::ids::ConnId;
use crate::refusals::{self, Reason};
use crate::run::Run;
use crate::spec::lacks_socket;
use crate::stage::{Cause, Stage};
use crate::step::{Manner, Sequel};
use crate::timers::Timer;
use crate::waiters::{Waiter, Waiting};
use alloc::boxed::Box;
use alloc::string::String;
use alloc::vec::Vec;
use gob_config::kind::OnLastLease;
use gob_protocol::request::{Restart, Start, Stop};
use gob_protocol::{Actor, EventKind, Outcome, Owner, Receipt, WireError};

impl Worker {
    /// `start`: sees to it that it runs, and has the caller wait for that.
    pub(crate) fn start(&mut self, caller: &Caller, start: Start, cx: &mut Cx) {
        self.start_for(caller, start, None, cx);
    }

    /// As [`Worker::start`], for a client that stays on this connection until the worker is at rest.
    pub(crate) fn start_for(&mut self, caller: &Caller, start: Start, attached: Option<ConnId>, cx: &mut Cx) {
        if let Err(error) = self.may_begin(cx) {
            return cx.answer(caller, Err(error));
        }
        if start.lease {
            self.grant(caller, cx);
        }
        let owner = Some(caller.owner().clone());
        let umask = caller.umask;
        let (lease, actor, env) = (Some(start.lease), caller.actor(), start.env);
        let next = Next { owner, lease, actor, env, umask, attached };
        let outcome = self.ensure(caller.owner(), next, cx);
        let what = Waiting::Start { outcome, wait: start.wait.unwrap_or_default() };
        self.wait(caller, what, start.timeout_ms, cx);
    }

    /// Checks that it may have a run now.
    fn may_begin(&mut self, cx: &mut Cx) -> Result<(), Box<WireError>> {
        self.find_kind(cx)?;
        if cx.no_room && self.is_at_rest() {
            return Err(refusals::no_descriptors(&self.name));
        }
        let renewed = self.spec.renewed(&cx.setup.settings);
        let kind = renewed.as_ref().unwrap_or(&self.spec.policy);
        if self.is_at_rest() && lacks_socket(kind, &self.name, &cx.setup.paths) {
            return Err(refusals::socket_too_long(&self.name, &cx.setup.paths.runtime_dir));
        }
        Ok(())
    }

    /// Finds the kind of a worker that was remembered when the configuration did not have it, or of which the
    /// configuration says another one by now: its record decides whether that fits the graph.
    pub(crate) fn find_kind(&mut self, cx: &mut Cx) -> Result<(), Box<WireError>> {
        let Some(graph) = self.spec.graph().filter(|graph| graph.is_remembered) else { return Ok(()) };
        let own = cx.setup.settings.own_kind(graph.name.as_str()).map(String::from);
        let differs = own.as_deref().is_some_and(|own| *own != *self.spec.kind_name) && !self.is_running();
        if !differs && !self.spec.policy.command.is_empty() {
            return Ok(());
        }
        let asked = own.filter(|_| differs).unwrap_or_else(|| String::from(&*self.spec.kind_name));
        let (kind_name, kind) = cx.setup.kind_for(&graph.name, Some(&asked))?;
        self.spec.policy = cx.pools.kinds.of(kind);
        if *self.spec.kind_name != *kind_name {
            self.spec.kind_name = cx.pools.kind_names.of(kind_name);
            self.publish(EventKind::WorkerUpdated, Actor::Supervisor, cx);
        }
        Ok(())
    }

    /// Sees to it that the worker runs, and says how.
    pub(crate) fn ensure(&mut self, requester: &Owner, mut next: Next, cx: &mut Cx) -> Outcome {
        let is_ending = match &self.phase {
            Phase::External(..) => return Outcome::External,
            Phase::Idle | Phase::Failed | Phase::Ceded | Phase::Backoff(_) => {
                self.begin(next, cx);
                return Outcome::Started;
            }
            Phase::Live(run) => run.end().is_some(),
        };
        if !is_ending {
            self.heed_idleness(cx);
            return self.reuse(requester, &next.actor, cx);
        }
        if let Some(queued) = &mut self.next {
            if next.lease.is_none() && next.env.is_some() {
                (queued.env, queued.umask) = (next.env, next.umask);
            }
            return self.reuse_next(requester, &next.actor, cx);
        }
        next.owner = next.owner.filter(|owner| owner != self.owner());
        self.next = Some(Box::new(next));
        self.want = Want::Up;
        Outcome::Started
    }

    /// Reuses the run that waits for the end of the one before it, and may have been asked for by another owner.
    fn reuse_next(&mut self, requester: &Owner, actor: &Actor, cx: &mut Cx) -> Outcome {
        let Some(owner) = self.next.as_mut().and_then(|queued| queued.owner.as_mut()) else {
            return self.reuse(requester, actor, cx);
        };
        if !self.ownership.title_of_next(owner).may_take_over(requester) {
            return Outcome::Reused;
        }
        owner.clone_from(requester);
        Outcome::TakenOver
    }

    /// Has the caller wait for the run that is to come, or that there is.
    fn wait(&mut self, caller: &Caller, what: Waiting, timeout_ms: Option<u64>, cx: &mut Cx) {
        let is_ending = self.live().and_then(Run::end).is_some();
        let waiter = waiter(caller, what, self.run + u64::from(is_ending), cx);
        if let Some(ms) = timeout_ms {
            cx.arm(Timer::Waiter(self.name.clone(), waiter.conn, waiter.number), ms);
        }
        if self.is_running() {
            self.waiters.add(waiter);
            return self.answer_fulfilled(cx);
        }
        // It is down and not coming up now: it is external, or an old process of it is left.
        match self.left(cx) {
            Some(left) => self.fail(waiter, &refusals::left_over(&self.name, &left), cx),
            None => self.answer(waiter, cx),
        }
    }

    /// `stop`.
    pub(crate) fn stop(&mut self, caller: &Caller, stop: &Stop, cx: &mut Cx) {
        let waiter = waiter(caller, Waiting::Stop, self.run, cx);
        if self.holder().is_some() {
            // Force is for processes of ours: this one is asked, and has its kind's grace.
            return self.stop_holder(stop.grace_ms, waiter, caller.actor(), cx);
        }
        let grace_ms = if stop.force { Some(0) } else { stop.grace_ms };
        self.bring_down(grace_ms, &caller.actor(), cx);
        if self.is_running() {
            return self.waiters.add(waiter);
        }
        match self.left(cx) {
            Some(survivors) => {
                let receipt = Receipt { signalled: Vec::new(), survivors };
                self.fail(waiter, &refusals::still_there(&self.name, &receipt), cx);
            }
            None => self.answer(waiter, cx),
        }
    }

    /// Shows which of its processes of an earlier supervisor's time are still there by now. A worker that is down for another
    /// reason shows that one.
    pub(crate) fn shows_left(&mut self, cx: &mut Cx) {
        if matches!(self.phase, Phase::Idle) {
            self.last.reason = self.reason_to_rest(cx);
            self.publish(EventKind::WorkerUpdated, Actor::Supervisor, cx);
        }
    }

    /// `restart`.
    pub(crate) fn restart(&mut self, caller: &Caller, restart: Restart, cx: &mut Cx) {
        if let Err(error) = self.may_begin(cx) {
            return cx.answer(caller, Err(error));
        }
        let Restart { env, grace_ms, wait, timeout_ms, .. } = restart;
        let (requester, actor, umask) = (caller.owner(), caller.actor(), caller.umask);
        let what = Waiting::Restart { receipt: Receipt::default(), wait: wait.unwrap_or_default() };
        if self.holder().is_some() {
            let waiter = waiter(caller, what, self.run + 1, cx);
            if let Some(ms) = timeout_ms {
                cx.arm(Timer::Waiter(self.name.clone(), waiter.conn, waiter.number), ms);
            }
            let owner = Some(requester.clone());
            let next = Next { owner, lease: None, actor: actor.clone(), env, umask, attached: None };
            return self.ask_holder(grace_ms, waiter, actor, Some(Box::new(next)), cx);
        }
        self.reuse(requester, &actor, cx);
        let has_come_up = self.live().is_some_and(|run| match run.stage() {
            Stage::Looking | Stage::Preparing | Stage::Starting => false,
            Stage::Ready | Stage::Unhealthy | Stage::Ending(_) => true,
        });
        if has_come_up {
            self.begin_stop(grace_ms, &actor, cx);
        }
        let next = Next { owner: None, lease: None, actor, env, umask, attached: None };
        self.ensure(requester, next, cx);
        self.wait(caller, what, timeout_ms, cx);
    }

    /// Wants the worker down and ends its run; requests that wait for it to come up fail.
    pub(crate) fn bring_down(&mut self, grace_ms: Option<u64>, actor: &Actor, cx: &mut Cx) {
        if self.is_running() {
            let is_new = self.live().and_then(Run::end).is_some() && !self.rests_after();
            self.begin_stop(grace_ms, actor, cx);
            if let Some(end) = self.live_mut().and_then(Run::end_mut).filter(|_| is_new) {
                end.actor = actor.clone();
            }
            self.next = None;
            self.want = Want::Down;
        } else {
            self.rest(actor, cx);
        }
        self.fail_starters(u64::MAX, &refusals::stopped_by(&self.name, actor), cx);
    }

    /// Tells whether it stays down after its ending run.
    fn rests_after(&self) -> bool {
        self.sequel() == Sequel::Rest
    }

    /// Takes back a restart that is not due yet; what else is down stays as it is.
    pub(crate) fn rest(&mut self, actor: &Actor, cx: &mut Cx) {
        self.want = Want::Down;
        if matches!(self.phase, Phase::Backoff(_)) {
            self.enter(Phase::Idle, None, EventKind::WorkerStopped, actor.clone(), cx);
        }
    }

    /// It is removed: nothing of it is due any more.
    pub(crate) fn forgotten(&mut self, actor: Actor, cx: &mut Cx) {
        self.rest(&actor, cx);
        self.publish(EventKind::WorkerRemoved, actor, cx);
        self.loses_no_lease(cx);
    }

    /// Asks a run to end, or hurries one that is ending.
    fn begin_stop(&mut self, grace_ms: Option<u64>, actor: &Actor, cx: &mut Cx) {
        if self.live().is_some_and(|run| run.end().is_some()) {
            return self.step(cx, |run, given, cx| super::ask::hurry(run, given, cx, grace_ms));
        }
        self.want = Want::Down;
        self.end(Cause::Asked, actor.clone(), Manner::Ask(grace_ms), cx);
    }

    /// The worker was of no use for as long as its kind says.
    pub(crate) fn idle_for_long(&mut self, cx: &mut Cx) {
        let for_ms = self.spec.policy.idle_stop_ms.unwrap_or_default();
        self.stop_unasked(Reason::Unused { for_ms }, cx);
    }

    /// The grace after its owner's last lease is over.
    pub(crate) fn lease_grace_ended(&mut self, cx: &mut Cx) {
        if self.leases.has(self.owner()) {
            return;
        }
        match self.leases.on_last() {
            OnLastLease::Keep => {}
            OnLastLease::Release => self.pass_to(Owner::unknown(), Actor::Supervisor, cx),
            OnLastLease::Stop => self.stop_unasked(Reason::Unleased, cx),
        }
    }

    /// Stops it for a reason of the supervisor's own.
    fn stop_unasked(&mut self, why: Reason<'_>, cx: &mut Cx) {
        let stops_already = self.live().and_then(Run::end).is_some() && self.rests_after();
        self.bring_down(None, &Actor::Supervisor, cx);
        if let Some(end) = self.live_mut().and_then(Run::end_mut).filter(|_| !stops_already) {
            end.why = Some(why.into());
        }
    }
}

/// A waiter for this run.
fn waiter(caller: &Caller, what: Waiting, run: u64, cx: &mut Cx) -> Waiter {
    let (conn, id, requester) = (caller.conn, caller.id.clone(), caller.owner().clone());
    Waiter { conn, id, requester, what, number: cx.tally.next_waiter(), run }
}
