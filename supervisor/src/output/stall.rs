//! Detects a disk that hangs: data waits, and nothing was written for a while.

use super::STALL;
use std::time::{Duration, Instant};

/// Watches the writer's progress while a pipe waits for it.
#[derive(Debug)]
pub(super) struct Stall {
    seen: u64,
    /// The time since the writer is at `seen` while a pipe waits.
    since: Option<Instant>,
    hung: bool,
}

impl Stall {
    pub(super) const fn new() -> Self {
        Self { seen: 0, since: None, hung: false }
    }

    /// Compares the writer's progress; `waiting`: a pipe waits for it. True while the disk hangs.
    pub(super) fn look(&mut self, progress: u64, waiting: bool, now: Instant) -> bool {
        if progress != self.seen {
            *self = Self { seen: progress, since: None, hung: false };
        }
        if waiting && !self.hung {
            let since = *self.since.get_or_insert(now);
            self.hung = now.duration_since(since) >= STALL;
        }
        if !waiting {
            self.since = None;
        }
        self.hung
    }

    /// Returns the time until the next check, if a pipe waits.
    pub(super) fn due(&self, now: Instant) -> Option<Duration> {
        let since = self.since.filter(|_| !self.hung)?;
        Some(STALL.saturating_sub(now.duration_since(since)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hung_after_a_second_without_progress_and_until_the_next() {
        let (mut stall, start) = (Stall::new(), Instant::now());
        assert!(!stall.look(0, false, start));
        assert_eq!(stall.due(start), None);
        assert!(!stall.look(0, true, start));
        assert_eq!(stall.due(start + STALL / 2), Some(STALL / 2));
        assert!(!stall.look(1, true, start + STALL), "progress");
        assert!(!stall.look(1, false, start + STALL), "nobody waits");
        assert!(!stall.look(1, true, start + STALL * 3));
        assert!(stall.look(1, true, start + STALL * 4));
        assert!(stall.look(1, false, start + STALL * 4), "until there is progress");
        assert_eq!(stall.due(start + STALL * 4), None);
        assert!(!stall.look(2, true, start + STALL * 4));
    }
}
