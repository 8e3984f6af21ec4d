//! The life of a worker: the one interpreter of steps. It enters phases, begins runs and ends them.

use super::policy::{Case, Fate};
use super::{Next, Phase, Want, Worker, ask, end, live, ready, start};
use crate::cx::{Attempt, Cx};
use crate::failure::not_tried;
use crate::io::Effect;
use crate::looks;
use crate::parts::{Holder, Note};
use crate::probes;
use crate::refusals::{self, Reason};
use crate::run::{Outline, Run, Shown};
use crate::stage::{Cause, Ended};
use crate::step::{Given, Manner, Sequel, Step};
use crate::timers::Timer;
use crate::waiters::Waiting;
use alloc::boxed::Box;
use alloc::string::String;
use gob_config::kind::{Check, RestartOn};
use gob_protocol::handshake::Handshake;
use gob_protocol::logindex::Stream;
use gob_protocol::{Actor, EventKind, Outcome, Receipt, Timestamp, WireError};

/// When a restart is tried again for which there were no descriptors.
const NO_ROOM_MS: u64 = 5_000;

impl Worker {
    /// Has a decision made about its run, if it has one, and does what follows.
    pub(crate) fn step(&mut self, cx: &mut Cx, decide: impl FnOnce(&mut Run, &Given<'_>, &mut Cx) -> Step) {
        let sequel = self.sequel();
        let Phase::Live(run) = &mut self.phase else { return };
        let given = Given {
            spec: &self.spec,
            owner: self.ownership.owner(),
            last_port: self.last_port,
            lost_ports: self.lost_ports,
            sequel,
        };
        let step = decide(run, &given, cx);
        self.take(step, cx);
    }

    fn take(&mut self, step: Step, cx: &mut Cx) {
        match step {
            Step::Stay => {}
            Step::Tell(event, actor) => self.publish(event, actor, cx),
            Step::Started => self.started(cx),
            Step::Ready => self.is_ready(cx),
            Step::Unhealthy { ended } => {
                self.publish(EventKind::WorkerUnhealthy, Actor::Supervisor, cx);
                if ended {
                    self.end(Cause::Unwell, Actor::Supervisor, Manner::Ask(None), cx);
                }
            }
            Step::End { cause, manner } => self.end(cause, Actor::Supervisor, manner, cx),
            Step::Refuse(error) => {
                self.fail_starters(self.run, &error, cx);
                self.end(Cause::Unwell, Actor::Supervisor, Manner::Ask(None), cx);
            }
            Step::Unclear(why) => {
                self.step(cx, |run, given, cx| start::unclear(run, given, cx, why));
            }
            Step::CalledOff => self.step(cx, |run, _, _| start::called_off(run)),
            Step::NoProcess(exit, error) => {
                if let Some(run) = self.live_mut() {
                    run.shown.reason.get_or_insert_with(|| error.message.clone());
                }
                self.follow(Ended { exit, receipt: Receipt::default(), error: *error }, false, cx);
            }
            Step::Over(ended) => self.follow(*ended, false, cx),
            Step::GiveUp(error, receipt) => {
                if let Some(run) = self.live_mut() {
                    run.shown.reason = Some(error.message.clone());
                }
                let exit = not_tried("EBUSY");
                self.follow(Ended { exit, receipt, error: *error }, true, cx);
            }
            Step::Cede { holder, before } => self.cede(holder, before, cx),
            Step::AnotherPort => {
                self.lost_ports += 1;
                self.waiters.move_on(self.run);
                self.publish(EventKind::WorkerUpdated, Actor::Supervisor, cx);
                self.spawn(cx);
            }
            Step::Busy(error) => self.stays_busy(&error, cx),
            Step::Stuck { receipt, is_news } => self.is_stuck(&receipt, is_news, cx),
        }
    }

    /// The sequel of its run, as things are.
    pub(crate) fn sequel(&self) -> Sequel {
        if self.next.is_some() {
            return Sequel::Next;
        }
        if self.want == Want::Down {
            return Sequel::Rest;
        }
        match self.live().and_then(Run::end).map(|end| end.cause) {
            Some(Cause::Asked) => Sequel::Rest,
            Some(Cause::TimedOut) => Sequel::Fail,
            Some(Cause::Unwell) => Sequel::Policy { unwell: true },
            Some(Cause::ByItself) | None => Sequel::Policy { unwell: false },
        }
    }

    /// Enters a phase, for the reason that is shown at rest from here on, and says so.
    pub(super) fn enter(
        &mut self,
        phase: Phase,
        reason: Option<String>,
        event: EventKind,
        actor: Actor,
        cx: &mut Cx,
    ) {
        self.leave(cx);
        self.phase = phase;
        if self.is_at_rest() && !matches!(self.phase, Phase::Backoff(_)) && self.next.is_none() {
            self.spec.rests();
            (self.attached, self.left) = (None, None);
        }
        self.last.reason = reason.or_else(|| self.reason_to_rest(cx));
        self.publish(event, actor.clone(), cx);
        self.ends_attempt(actor, cx);
    }

    /// Notes that the attempt of a job of the queue is over.
    fn ends_attempt(&mut self, actor: Actor, cx: &mut Cx) {
        if self.is_at_rest()
            && let Some((id, attempt)) = self.spec.ends_attempt()
        {
            let Shown { exit, was_asked, reason, .. } = &self.last;
            let (exit, was_asked, reason) = (exit.clone(), *was_asked, reason.clone());
            cx.attempts.push(Attempt { id, attempt, exit, was_asked, actor, reason });
        }
    }

    /// Leaves its phase: what belongs to it ends with it.
    fn leave(&mut self, cx: &mut Cx) {
        match core::mem::replace(&mut self.phase, Phase::Idle) {
            Phase::Idle | Phase::Failed | Phase::Ceded => {}
            Phase::Backoff(_) => cx.timers.cancel(&Timer::Backoff(self.name.clone())),
            Phase::External(..) => cx.timers.cancel(&Timer::Polite(self.name.clone())),
            Phase::Live(mut run) => {
                run.show_held(cx);
                if run.was_never_ready() {
                    // Its port may be the reason.
                    self.last_port = None;
                }
                Timer::of_run(&self.name).iter().for_each(|timer| cx.timers.cancel(timer));
                self.last = run.shown;
                self.note_success(run.key.run);
            }
        }
    }

    /// Begins a run of a worker at rest for the party that asked for it, which owns it from here on.
    pub(super) fn begin(&mut self, next: Next, cx: &mut Cx) {
        self.renew_kind(cx);
        self.want = Want::Up;
        self.actor = next.actor;
        if next.attached.is_some() {
            (self.attached, self.left) = (next.attached, None);
        }
        self.restarts = 0;
        self.failures.clear();
        self.lost_ports = 0;
        if let Some(owner) = next.owner {
            self.takes_owner(owner, cx);
        }
        self.spec.starts_in(next.env.as_ref(), next.umask, &mut cx.pools);
        if let Some(with_lease) = next.lease {
            self.leases.started(with_lease, self.spec.policy.on_last_lease);
            if with_lease {
                self.heed_leases(cx);
            } else {
                // Its owner has lost no lease: it never asked for one.
                self.loses_no_lease(cx);
            }
        }
        self.spawn(cx);
    }

    /// The restart policy's next try is due.
    pub(crate) fn retry(&mut self, cx: &mut Cx) {
        if cx.no_room {
            // Not the worker's failure: what is left of the descriptors is kept for requests.
            let reason = self.last.reason.take();
            return self.back_off(reason, NO_ROOM_MS, cx);
        }
        self.restarts += 1;
        self.actor = Actor::Supervisor;
        cx.tally.restarts += 1;
        self.renew_kind(cx);
        self.spawn(cx);
    }

    /// Takes its kind as the settings have it now. One that is gone from them stays as it was.
    pub(crate) fn renew_kind(&mut self, cx: &mut Cx) {
        if let Some(kind) = self.spec.renewed(&cx.setup.settings) {
            self.spec.policy = cx.pools.kinds.of(kind);
        }
    }

    /// Begins the next run.
    fn spawn(&mut self, cx: &mut Cx) {
        self.run += 1;
        self.begin_run(cx);
    }

    /// Begins the latest run, which has no process: it was not begun yet, or its worker is of another kind by now.
    pub(crate) fn begin_run(&mut self, cx: &mut Cx) {
        self.leave(cx);
        self.last = Shown::default();
        let subject = self.subject();
        let plan = subject.plan(&cx.setup, cx.now.wall);
        let logs = [Stream::Stdout, Stream::Stderr].map(|stream| subject.log_path(&cx.setup, stream));
        let outline = Outline { command: plan.command.clone(), cwd: plan.cwd.clone(), logs };
        let run = Box::new(Run::new(self.key(), outline));
        self.enter(Phase::Live(run), None, EventKind::WorkerStarting, self.actor.clone(), cx);
        self.step(cx, |run, given, cx| start::begin(run, given, cx, Box::new(plan)));
    }

    fn started(&mut self, cx: &mut Cx) {
        self.publish(EventKind::WorkerStarted, self.actor.clone(), cx);
        if self.live().is_some_and(|run| run.end().is_some()) {
            self.step(cx, ask::spawned);
        } else {
            self.step(cx, |run, _, cx| looks::begin(run, cx));
            self.step(cx, ready::watch);
            self.answer_fulfilled(cx);
        }
    }

    fn is_ready(&mut self, cx: &mut Cx) {
        let has_record = self.spec.is_served();
        self.lost_ports = 0;
        self.last_port = self.live().and_then(|run| run.port);
        self.step(cx, |run, given, cx| {
            probes::again(run, given, cx);
            looks::begin(run, cx)
        });
        self.heed_idleness(cx);
        if has_record {
            cx.push(Effect::Remember { key: self.key() });
        }
        self.publish(EventKind::WorkerReady, self.actor.clone(), cx);
        self.answer_fulfilled(cx);
    }

    /// A process of the run said something by sd_notify(3).
    pub(crate) fn notified(&mut self, note: Note, cx: &mut Cx) {
        self.step(cx, |run, given, cx| live::asks_for_time(run, given, cx, note));
        if note.ready && self.spec.policy.readiness.check == Check::Notify {
            self.step(cx, |run, given, cx| {
                ready::ready(run, given, cx, Handshake::default(), alloc::vec::Vec::new())
            });
        }
        self.step(cx, |run, given, cx| live::says(run, given, cx, note));
        if note.stopping {
            self.step(cx, |run, _, _| live::stops_by_itself(run));
        }
    }

    /// Ends its run, which is not on its way down yet.
    pub(super) fn end(&mut self, cause: Cause, actor: Actor, manner: Manner, cx: &mut Cx) {
        if let Some(run) = self.live_mut() {
            end::begin(run, cx, cause, actor.clone());
        }
        self.publish(EventKind::WorkerStopping, actor, cx);
        self.step(cx, |run, given, cx| ask::within(run, given, cx, manner));
    }

    /// Nothing is left of its run, and its sequel follows. `fails`: the policy is not asked.
    fn follow(&mut self, ended: Ended, fails: bool, cx: &mut Cx) {
        let Ended { exit, receipt, error } = ended;
        let sequel = self.sequel();
        let end = self.live_mut().and_then(Run::end_mut);
        let (actor, why, was_ready_ms) = end.map_or((Actor::Supervisor, None, None), |end| {
            (end.actor.clone(), end.why.take(), end.was_ready_ms)
        });
        let left = end::left_by_leader(sequel, &exit, &receipt);
        let reason = left.as_ref().or(self.shown().reason.as_ref()).cloned();
        match sequel {
            Sequel::Rest => self.enter(Phase::Idle, why, EventKind::WorkerStopped, actor, cx),
            Sequel::Next => self.enter(Phase::Idle, None, EventKind::WorkerStopped, actor, cx),
            Sequel::Policy { unwell } if !fails => {
                let (name, kind) = (&self.name, &self.spec.policy);
                let case = Case { name, kind, exit: &exit, was_ready_ms, unwell, left, reason };
                let fate = case.judge(&mut self.failures, cx.now.mono_ms, cx.dice.throw());
                self.meet(fate, cx);
            }
            Sequel::Fail | Sequel::Policy { .. } => {
                let actor = if sequel == Sequel::Fail { actor } else { Actor::Supervisor };
                let (name, why) = (&self.name, reason.as_deref());
                let reason = why.map(|_| Reason::Down { name, exit: &exit, why }.into());
                self.enter(Phase::Failed, reason, EventKind::WorkerFailed, actor, cx);
            }
        }
        self.fail_starters(self.run, &error, cx);
        self.answer_stops(&receipt, cx);
        if let Some(next) = self.next.take() {
            self.begin(*next, cx);
        }
    }

    fn meet(&mut self, fate: Fate, cx: &mut Cx) {
        let (phase, reason, event) = match fate {
            Fate::Ceded(reason) => (Phase::Ceded, Some(reason), EventKind::WorkerCeded),
            Fate::Idle(reason) => (Phase::Idle, reason, EventKind::WorkerStopped),
            Fate::Failed(reason) => (Phase::Failed, Some(reason), EventKind::WorkerFailed),
            Fate::Backoff(reason, delay_ms) => return self.back_off(Some(reason), delay_ms, cx),
        };
        self.enter(phase, reason, event, Actor::Supervisor, cx);
    }

    /// The supervisor slept, and the restart policy's next try with it.
    pub(crate) fn slept(&mut self, cx: &mut Cx) {
        let Phase::Backoff(at) = &mut self.phase else { return };
        let due = cx.timers.at(&Timer::Backoff(self.name.clone())).unwrap_or(cx.now.mono_ms);
        let wall = cx.now.wall.0.saturating_add_unsigned(due.saturating_sub(cx.now.mono_ms));
        if core::mem::replace(at, Timestamp(wall)) != Timestamp(wall) {
            self.publish(EventKind::WorkerUpdated, Actor::Supervisor, cx);
        }
    }

    /// Has the next run begin after so long.
    fn back_off(&mut self, reason: Option<String>, delay_ms: u64, cx: &mut Cx) {
        let at = Timestamp(cx.now.wall.0.saturating_add_unsigned(delay_ms));
        self.enter(Phase::Backoff(at), reason, EventKind::WorkerBackoff, Actor::Supervisor, cx);
        cx.arm(Timer::Backoff(self.name.clone()), delay_ms);
    }

    /// A living process serves the graph, and gob only says so. Requests that the run before it was to serve asked for a run of
    /// their own, which had to give way; all others are answered with what is there.
    fn cede(&mut self, holder: Box<Holder>, before: Option<Receipt>, cx: &mut Cx) {
        let (pid, error) = (holder.pid, refusals::not_ours(&self.name, &holder));
        self.next = None;
        let phase = Phase::External(holder, None);
        self.enter(phase, None, EventKind::WorkerUpdated, Actor::Supervisor, cx);
        cx.push(Effect::Follow { name: self.name.clone(), pid });
        self.answer_stops(before.as_ref().unwrap_or(&Receipt::default()), cx);
        for mut waiter in self.waiters.take_all() {
            let served = before.is_none() || waiter.run > self.run;
            match &mut waiter.what {
                Waiting::Start { outcome, .. } if served => {
                    *outcome = Outcome::External;
                    self.answer(waiter, cx);
                }
                Waiting::Start { .. } | Waiting::Restart { .. } | Waiting::Stop => {
                    self.fail(waiter, &error, cx);
                }
            }
        }
    }

    /// The lock of the graph stays busy without a process that has it: not the run's failure.
    fn stays_busy(&mut self, error: &WireError, cx: &mut Cx) {
        let (on, longest_ms) = (self.spec.policy.restart.on, self.spec.policy.restart.backoff_ms.1);
        let reason = Some(error.message.clone());
        if on == RestartOn::Never {
            self.enter(Phase::Idle, reason, EventKind::WorkerStopped, Actor::Supervisor, cx);
        } else {
            self.back_off(reason, longest_ms, cx);
        }
        self.fail_starters(self.run, error, cx);
    }

    /// Processes of its run survived for too long: waiting requests are answered with their ids. A supervisor on its way out ends without
    /// them, for its end is not theirs to hold up.
    fn is_stuck(&mut self, receipt: &Receipt, is_news: bool, cx: &mut Cx) {
        let stops = refusals::still_there(&self.name, receipt);
        let starts = refusals::left_over(&self.name, &receipt.survivors);
        for waiter in self.waiters.take_all() {
            let error = if matches!(waiter.what, Waiting::Stop) { &stops } else { &starts };
            self.fail(waiter, error, cx);
        }
        if cx.leaving.is_on() {
            self.enter(Phase::Failed, Some(stops.message), EventKind::WorkerFailed, Actor::Supervisor, cx);
            cx.leaving.without(&self.name, &receipt.survivors);
        } else if is_news {
            self.publish(EventKind::WorkerUpdated, Actor::Supervisor, cx);
        }
    }
}
