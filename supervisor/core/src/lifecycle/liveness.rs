//! A ready run is well, or is not: its kind's liveness check, looked at once in every interval.
//!
//! When to look and what follows is decided here; the shell looks once when it is told to. A run that was asked to say
//! `WATCHDOG=1` is heard, not looked at.

use crate::io::{Effect, RunKey};
use crate::parts::{Note, Target};
use crate::worker::{Ending, Live, Phase, Then, Worker};
use crate::{Core, Timer};
use alloc::format;
use alloc::string::String;
use gob_protocol::handshake::Handshake;
use gob_protocol::kind::{Check, Liveness};
use gob_protocol::{Actor, EventKind, Name};

/// Longest that one `EXTEND_TIMEOUT_USEC` counts.
const LONGEST_EXTENSION_MS: u64 = 3_600_000;

impl Core {
    /// The run became ready: from here on it has to stay well.
    pub(super) fn begin_liveness(&mut self, name: &Name) {
        let Some(worker) = self.workers.get_mut(name) else { return };
        // What this run asked for before it was ready holds.
        worker.live = Live { watchdog_ms: worker.live.watchdog_ms, ..Live::default() };
        self.look_again(name);
        self.heed_idleness(name);
    }

    /// The run is on its way down, or gone.
    pub(super) fn end_liveness(&mut self, name: &Name) {
        for timer in [Timer::Liveness(name.clone()), Timer::Idle(name.clone())] {
            self.timers.cancel(&timer);
        }
    }

    fn look_again(&mut self, name: &Name) {
        let Some(worker) = self.workers.get(name) else { return };
        if let Some(interval_ms) = worker.liveness().map(|liveness| worker.interval_ms(liveness)) {
            let at = self.now.mono_ms.saturating_add(interval_ms);
            self.timers.arm(Timer::Liveness(name.clone()), at);
        }
    }

    /// It is time to look.
    pub(crate) fn liveness_is_due(&mut self, name: &Name) {
        let Some(worker) = self.workers.get(name) else { return };
        let Some(liveness) = worker.liveness() else { return };
        let (key, timeout_ms) = (worker.key(), liveness.timeout_ms);
        let target = match &liveness.check {
            Check::Notify => {
                let heard = worker.live.heard;
                let failure = (!heard)
                    .then(|| format!("did not say WATCHDOG=1 within {} ms", worker.interval_ms(liveness)));
                return self.probed(&key, failure);
            }
            Check::None | Check::Delay { .. } => return,
            Check::Handshake | Check::Log { .. } => Target::Output,
            Check::Http { .. } | Check::Connect { .. } => match self.target(worker, &liveness.check) {
                Some(target) => target,
                None => return,
            },
        };
        self.out.push(Effect::ProbeOnce { key, target, timeout_ms });
    }

    /// A look has shown how the run is.
    pub(crate) fn probed(&mut self, key: &RunKey, failure: Option<String>) {
        let Some(worker) = self.current(key) else { return };
        let Some((failures, successes, restart)) =
            worker.liveness().map(|liveness| (liveness.failures, liveness.successes, liveness.restart))
        else {
            return;
        };
        if !matches!(worker.phase, Phase::Ready { .. } | Phase::Unhealthy { .. }) {
            return;
        }
        let live = &mut worker.live;
        live.heard = false;
        match &failure {
            Some(_) => (live.failures, live.successes) = (live.failures.saturating_add(1), 0),
            None => (live.failures, live.successes) = (0, live.successes.saturating_add(1)),
        }
        let (sick, well) = (live.failures >= failures, live.successes >= successes);
        let event = match (&worker.phase, failure) {
            (Phase::Ready { pid }, Some(why)) if sick => {
                worker.phase = Phase::Unhealthy { pid: *pid };
                worker.shown.reason = Some(why);
                EventKind::WorkerUnhealthy
            }
            (Phase::Unhealthy { pid }, None) if well => {
                worker.phase = Phase::Ready { pid: *pid };
                worker.shown.reason = None;
                EventKind::WorkerReady
            }
            (Phase::Ready { .. } | Phase::Unhealthy { .. }, _) => return self.look_again(&key.name),
            (_, _) => return,
        };
        self.publish(event, Actor::Supervisor, Some(&key.name));
        if restart && event == EventKind::WorkerUnhealthy {
            self.end_unhealthy(&key.name);
        } else {
            self.look_again(&key.name);
        }
    }

    /// Ends a run that is not well, so that the restart policy starts another.
    fn end_unhealthy(&mut self, name: &Name) {
        let now = self.now.mono_ms;
        let Some(worker) = self.workers.get_mut(name) else { return };
        let pid = worker.pid();
        let was_ready_ms = worker.ready_mono_ms.map(|at| now.saturating_sub(at));
        let then = Then::Policy { was_ready_ms, asked: true };
        self.end_run(name, Ending::asked(pid, then, Actor::Supervisor));
        self.ask_within(name, None);
    }

    /// A process of the run said something by sd_notify(3).
    pub(crate) fn notified(&mut self, key: &RunKey, note: Note) {
        let now = self.now.mono_ms;
        let name = &key.name;
        let Some(worker) = self.current(key) else { return };
        let notify = worker.kind.readiness.check == Check::Notify;
        let watched = worker.liveness().is_some_and(|liveness| liveness.check == Check::Notify);
        if let Some(ms) = note.watchdog_ms.filter(|ms| *ms > 0 && watched) {
            worker.live.watchdog_ms = Some(ms);
            if self.timers.at(&Timer::Liveness(name.clone())).is_some() {
                self.look_again(name);
            }
        }
        if let Some(ms) = note.extend_ms {
            let at = now.saturating_add(ms.min(LONGEST_EXTENSION_MS));
            let timer = Timer::Start(name.clone());
            // Only what runs out is extended, and never shortened.
            if self.timers.at(&timer).is_some_and(|due| due < at) {
                self.timers.arm(timer, at);
            }
        }
        if note.ready && notify {
            self.ready(key, Handshake::default(), alloc::vec::Vec::new());
        }
        if watched && note.failed {
            if let Some(worker) = self.current(key) {
                // It knows best: one such word is enough.
                worker.live.failures = u32::MAX - 1;
            }
            self.probed(key, Some("said WATCHDOG=trigger".into()));
        } else if watched && note.alive {
            self.heard(key);
        }
        if note.stopping {
            self.stops_by_itself(key);
        }
    }

    /// `WATCHDOG=1` counts at once for a run that was not well, else at the next look.
    fn heard(&mut self, key: &RunKey) {
        let Some(worker) = self.current(key) else { return };
        worker.live.heard = true;
        if matches!(worker.phase, Phase::Unhealthy { .. }) {
            self.probed(key, None);
        }
    }

    /// The run says that it is ending, and nobody asked it to: it gets its grace, and what follows is as after any end.
    fn stops_by_itself(&mut self, key: &RunKey) {
        let now = self.now.mono_ms;
        let Some(worker) = self.current(key) else { return };
        let (Phase::Ready { pid } | Phase::Unhealthy { pid }) = worker.phase else { return };
        let grace_ms = worker.kind.stop.grace_ms;
        let was_ready_ms = worker.ready_mono_ms.map(|at| now.saturating_sub(at));
        let then = Then::Policy { was_ready_ms, asked: false };
        self.end_run(&key.name, Ending::asked(Some(pid), then, Actor::Supervisor));
        self.timers.arm(Timer::Kill(key.name.clone()), now.saturating_add(grace_ms));
    }

    /// Counts anew how long nobody has had any use for the worker.
    pub(crate) fn heed_idleness(&mut self, name: &Name) {
        let Some(worker) = self.workers.get(name) else { return };
        let up = matches!(worker.phase, Phase::Ready { .. } | Phase::Unhealthy { .. });
        let timer = Timer::Idle(name.clone());
        match worker.kind.idle_stop_ms.filter(|_| up && worker.leases.is_empty()) {
            Some(ms) => self.timers.arm(timer, self.now.mono_ms.saturating_add(ms)),
            None => self.timers.cancel(&timer),
        }
    }

    /// Nobody had any use for the worker for as long as its kind says.
    pub(crate) fn idle_for_long(&mut self, name: &Name) {
        let Some(worker) = self.workers.get(name) else { return };
        let seconds = worker.kind.idle_stop_ms.unwrap_or_default() as f64 / 1000.0;
        let why = format!("stopped: nobody used it for {seconds} s");
        self.bring_down(name, None, &Actor::Supervisor);
        if let Some(Phase::Ending(ending)) = self.workers.get_mut(name).map(|worker| &mut worker.phase) {
            ending.why = Some(why);
        }
    }
}

impl Worker {
    /// What has to be looked at while it is up.
    fn liveness(&self) -> Option<&Liveness> {
        self.kind.liveness.as_ref().filter(|liveness| match liveness.check {
            Check::None | Check::Delay { .. } => false,
            Check::Handshake | Check::Notify | Check::Http { .. } | Check::Connect { .. } => true,
            Check::Log { .. } => true,
        })
    }

    fn interval_ms(&self, liveness: &Liveness) -> u64 {
        let asked_for = self.live.watchdog_ms.filter(|_| liveness.check == Check::Notify);
        asked_for.unwrap_or(liveness.interval_ms)
    }
}
