//! Lines without a newline: examined once nothing was added to them for a while. A program that writes a
//! prompt, or the last line of its start without an end, may write nothing more before it is used.

use super::Drain;
use std::time::{Duration, Instant};

/// Time without an addition after which a line counts as finished. Longer than a program takes between two
/// writes of one line.
pub(super) const SETTLED: Duration = Duration::from_millis(200);

impl Drain {
    /// Returns the time until the next unfinished line is due.
    pub(super) fn settling_due(&mut self, now: Instant) -> Option<Duration> {
        let slots = &mut self.slots;
        let due = self.unsettled.iter().filter_map(|token| slots.run(*token)?.settles_at).min();
        due.map(|at| at.saturating_duration_since(now))
    }

    /// Examines the unfinished lines that are due.
    pub(super) fn settle(&mut self, now: Instant) {
        let (slots, reports) = (&mut self.slots, &mut self.reports);
        self.unsettled.retain(|token| {
            // A slot that another run has taken since has a time of its own, or none.
            let Some(run) = slots.run(*token) else { return false };
            let Some(at) = run.settles_at else { return false };
            if at > now {
                return true;
            }
            if let Some(report) = run.settle() {
                reports.send(report);
            }
            false
        });
    }
}
