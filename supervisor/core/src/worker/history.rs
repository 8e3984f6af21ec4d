//! The worker's latest run as the history keeps it, and what its runs let expect.

use super::Worker;
use gob_protocol::{EventKind, Exit, RunOutcome, RunRecord};

impl Worker {
    /// The latest run as it is recorded with this event; `None` where the event changes nothing of it.
    #[expect(clippy::wildcard_enum_match_arm, reason = "most events change nothing of a run")]
    pub(super) fn recorded(&self, event: EventKind) -> Option<RunRecord> {
        let is_over = match event {
            EventKind::WorkerStarted | EventKind::WorkerReady => false,
            EventKind::WorkerStopped | EventKind::WorkerBackoff => true,
            EventKind::WorkerFailed | EventKind::WorkerCeded => true,
            _other => return None,
        };
        let shown = self.shown();
        let exit = shown.exit.clone().filter(|_| is_over);
        // Without a spawn or an attempt there was no run.
        let started_at = shown.started_at.or(shown.stopped_at).filter(|_| self.run > 0)?;
        let outcome = |exit: &Exit| RunOutcome::of(exit, shown.was_asked);
        Some(RunRecord {
            run: self.run,
            pid: shown.pid,
            started_at,
            ready_at: shown.ready_at,
            stopped_at: shown.stopped_at.filter(|_| is_over),
            duration_ms: shown.lasted_ms.filter(|_| is_over),
            outcome: exit.as_ref().map(outcome),
            exit,
            cut: false,
            owner: self.owner().clone(),
            actor: self.actor.clone(),
        })
    }

    /// Notes how long a run of a job took that has just ended well.
    pub(super) fn note_success(&mut self, run: u64) {
        let (exit, lasted_ms) = (self.last.exit.as_ref(), self.last.lasted_ms);
        let has_succeeded = |exit: &Exit| RunOutcome::of(exit, self.last.was_asked) == RunOutcome::Success;
        if let Some(ms) = lasted_ms.filter(|_| self.spec.job().is_some() && exit.is_some_and(has_succeeded)) {
            self.expects.succeeded(run, ms);
        }
    }
}
