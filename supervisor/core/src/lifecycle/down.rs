//! A run has ended: it is swept, and something follows.

use super::Looking;
use super::answers::{has_run, see_logs};
use crate::io::RunKey;
use crate::restart::{Verdict, next_random};
use crate::worker::{Asked, Ending, Phase, Then};
use crate::{Core, Timer};
use alloc::boxed::Box;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use gob_protocol::kind::RestartOn;
use gob_protocol::{Actor, ErrorCode, EventKind, Exit, Name, Receipt, Signalled, WireError};

/// So many runs in a row may lose their port before that counts as a failure.
const LOST_PORTS: u32 = 3;

impl Core {
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
        let mut lingers = false;
        if let Phase::Ending(ending) = &mut worker.phase {
            ending.pid = None;
            ending.exit = Some(exit.clone());
            ending.killing |= ending.asked == Asked::Not;
            lingers = ending.lingers();
        }
        worker.shown.exit = Some(exit);
        worker.shown.stopped_at = Some(wall);
        self.look_no_longer(&key.name);
        if lingers {
            return self.linger(&key.name);
        }
        self.grace_is_over(&key.name);
        self.sweep(key.clone());
    }

    /// Nothing of a grace is due any more.
    pub(super) fn grace_is_over(&mut self, name: &Name) {
        for timer in [Timer::Then(name.clone()), Timer::Kill(name.clone())] {
            self.timers.cancel(&timer);
        }
    }

    pub(crate) fn swept(
        &mut self,
        key: &RunKey,
        receipt: Receipt,
        last_lines: Vec<String>,
        port_taken: bool,
    ) {
        let Some(worker) = self.current(key) else { return };
        let Phase::Ending(ending) = &mut worker.phase else { return };
        let Some(exit) = ending.exit.clone() else { return };
        ending.killing = true;
        let (then, actor) = (ending.then.clone(), ending.actor.clone());
        let code =
            if ending.timed_out { ErrorCode::ServerStartTimeout } else { ErrorCode::ServerStartFailed };
        worker.shown.last_lines = last_lines;
        if let Some(left) = left_by_leader(&then, &exit, &receipt) {
            worker.shown.reason = Some(left);
        }
        if worker.ready_mono_ms.is_none() {
            // Its port may be the reason.
            worker.last_port = None;
        }
        let is_looked_for = worker.kind.foreign.is_looked_for();
        self.timers.cancel(&Timer::Sweep(key.name.clone()));
        self.grace_is_over(&key.name);
        if port_taken
            && matches!(then, Then::Policy { was_ready_ms: None, asked: false })
            && self.try_another_port(key)
        {
            return;
        }
        let never_ready = matches!(then, Then::Fail | Then::Policy { was_ready_ms: None, asked: false });
        let contended = never_ready && is_looked_for;
        let error = self.start_error(&key.name, &exit, code);
        if contended {
            // It may have given way to somebody: that is contention, not a crash.
            return self.examine(&key.name, Looking::After(Box::new((exit, receipt, error))));
        }
        self.follow(&key.name, then, &exit, actor, &receipt, &error);
    }

    /// The run ended before it was ready, and somebody else has its port: that is nobody's failure, so the next one
    /// begins at once, and whoever waits goes on waiting.
    fn try_another_port(&mut self, key: &RunKey) -> bool {
        let Some(worker) =
            self.current(key).filter(|worker| worker.lost_ports < LOST_PORTS && worker.kind.port.is_none())
        else {
            return false;
        };
        worker.lost_ports += 1;
        let next = key.run + 1;
        for waiter in worker.waiters.iter_mut().filter(|waiter| waiter.run == key.run) {
            waiter.run = next;
        }
        let port = worker.port.map_or_else(String::new, |port| format!("port {port} was taken; "));
        worker.shown.reason = Some(format!("{port}another one is tried"));
        self.publish(EventKind::WorkerUpdated, Actor::Supervisor, Some(&key.name));
        self.spawn(&key.name);
        true
    }

    /// Nothing is left of the run: what follows. The error is for those whom this run should have served.
    pub(super) fn follow(
        &mut self,
        name: &Name,
        then: Then,
        exit: &Exit,
        actor: Actor,
        receipt: &Receipt,
        error: &WireError,
    ) {
        self.look_no_longer(name);
        self.grace_is_over(name);
        let mut next = None;
        match then {
            Then::Rest => {
                let why = self.workers.get_mut(name).and_then(|worker| match &mut worker.phase {
                    Phase::Ending(ending) => ending.why.take(),
                    Phase::Idle | Phase::Failed | Phase::Ceded | Phase::External(_) => None,
                    Phase::Starting { .. } | Phase::Ready { .. } | Phase::Unhealthy { .. } => None,
                    Phase::Backoff => None,
                });
                self.settle(name, Phase::Idle);
                if let Some(worker) = self.workers.get_mut(name).filter(|_| why.is_some()) {
                    worker.shown.reason = why;
                }
                self.publish(EventKind::WorkerStopped, actor, Some(name));
            }
            Then::Start(wanted) => {
                self.settle(name, Phase::Idle);
                self.publish(EventKind::WorkerStopped, actor, Some(name));
                next = Some(wanted);
            }
            Then::Fail => {
                if let Some(reason) =
                    self.workers.get_mut(name).and_then(|worker| worker.shown.reason.as_mut())
                {
                    reason.push_str(&pointer(name, exit));
                }
                self.settle(name, Phase::Failed);
                self.publish(EventKind::WorkerFailed, actor, Some(name));
            }
            Then::Policy { was_ready_ms, asked } => {
                let then = Then::Policy { was_ready_ms, asked };
                let left = left_by_leader(&then, exit, receipt);
                self.follow_policy(name, exit, was_ready_ms, left, asked);
            }
        }
        let run = self.workers.get(name).map_or(0, |worker| worker.run);
        self.fail_starters(name, run, error);
        self.answer_stops(name, receipt);
        if let Some(next) = next {
            self.begin(name, *next);
        }
    }

    /// What follows an end that nobody asked for. `left` tells of processes that the leader left.
    fn follow_policy(
        &mut self,
        name: &Name,
        exit: &Exit,
        was_ready_ms: Option<u64>,
        left: Option<String>,
        unwell: bool,
    ) {
        let jitter = next_random(&mut self.config.seed);
        let now = self.now.mono_ms;
        let Some(worker) = self.workers.get_mut(name) else { return };
        let zero = *exit == Exit::Code { code: 0 };
        // A program that gives way to a peer leaves nothing; one that goes on in the background does.
        let may_cede = zero && !unwell && left.is_none();
        let event = if may_cede && worker.kind.exit_zero_ceded {
            worker.shown.reason = Some("exited 0: a peer took the graph over".into());
            self.settle(name, Phase::Ceded);
            EventKind::WorkerCeded
        } else {
            let policy = worker.kind.restart.clone();
            match worker.failures.judge(&policy, exit, was_ready_ms, unwell, now, jitter) {
                Verdict::Rest
                    if was_ready_ms.is_none() || unwell || (policy.on == RestartOn::Never && !zero) =>
                {
                    let reason = worker.shown.reason.get_or_insert_with(|| format!("{exit}"));
                    reason.push_str(&pointer(name, exit));
                    self.settle(name, Phase::Failed);
                    EventKind::WorkerFailed
                }
                Verdict::Rest => {
                    self.settle(name, Phase::Idle);
                    if let Some(worker) = self.workers.get_mut(name) {
                        worker.shown.reason = left;
                    }
                    EventKind::WorkerStopped
                }
                Verdict::GiveUp(times) => {
                    let seconds = policy.give_up_within_ms / 1000;
                    let why =
                        worker.shown.reason.take().map_or_else(String::new, |reason| format!(" ({reason})"));
                    let see = pointer(name, exit);
                    worker.shown.reason = Some(format!("{exit}{why}, {times} times in {seconds}s{see}"));
                    self.settle(name, Phase::Failed);
                    EventKind::WorkerFailed
                }
                Verdict::Retry(delay_ms) => {
                    worker.shown.reason.get_or_insert_with(|| format!("{exit}"));
                    self.back_off(name, delay_ms)
                }
            }
        };
        self.publish(event, Actor::Supervisor, Some(name));
    }

    /// Has the next run begin after so long.
    pub(super) fn back_off(&mut self, name: &Name, delay_ms: u64) -> EventKind {
        let at = self.wall_in(delay_ms);
        if let Some(worker) = self.workers.get_mut(name) {
            worker.phase = Phase::Backoff;
            worker.shown.next_restart_at = Some(at);
        }
        self.timers.arm(Timer::Backoff(name.clone()), self.now.mono_ms.saturating_add(delay_ms));
        EventKind::WorkerBackoff
    }
}

/// What follows the reason of a worker that is down for good: where more is to be found, if there is more.
fn pointer(name: &Name, exit: &Exit) -> String {
    if has_run(exit) { format!(": {}", see_logs(name)) } else { String::new() }
}

/// What is said of a leader that ended with code 0, unasked, while processes that it had begun went on; `None` when it left
/// none.
fn left_by_leader(then: &Then, exit: &Exit, receipt: &Receipt) -> Option<String> {
    let is_unasked = matches!(then, Then::Policy { asked: false, .. });
    if !is_unasked || *exit != (Exit::Code { code: 0 }) {
        return None;
    }
    let killed = |process: &&Signalled| process.signals.iter().any(|signal| signal == "SIGKILL");
    let mut left = receipt.signalled.iter().filter(killed);
    let (first, others) = (left.next()?.pid, left.count());
    let others = if others == 0 { String::new() } else { format!(" and {others} more") };
    Some(format!(
        "its leader exited 0 and left pid {first}{others} behind, ended with it: have the program stay in the foreground"
    ))
}
