//! A worker without a run: at rest, until its next try, or held by somebody else.

use crate::parts::Holder;
use crate::worker::Phase;
use crate::{Core, Timer};
use gob_protocol::{Actor, EventKind, Name};

/// When a restart is tried again for which there were no descriptors.
const NO_ROOM_MS: u64 = 5_000;

impl Core {
    /// Comes to rest in this phase.
    pub(super) fn settle(&mut self, name: &Name, phase: Phase) {
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
        let is_out = self.no_room;
        let Some(worker) = self.workers.get_mut(name) else { return };
        if matches!(worker.phase, Phase::Backoff) && is_out {
            // Nobody's failure: what is left of the descriptors is kept for requests.
            let event = self.back_off(name, NO_ROOM_MS);
            self.publish(event, Actor::Supervisor, Some(name));
        } else if matches!(worker.phase, Phase::Backoff) {
            worker.restarts += 1;
            worker.actor = Actor::Supervisor;
            self.counters.restarts += 1;
            self.renew_kind(name);
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
            (Phase::External(_), None) => self.holder_gone(name),
            (_, _) => {}
        }
    }
}
