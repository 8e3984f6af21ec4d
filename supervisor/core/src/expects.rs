//! The duration to expect of a job's run: the median of its latest successful runs, in this life and, once the store has
//! told of them, in earlier ones.

use alloc::vec::Vec;
use gob_protocol::history::{EXPECTED_FROM, expected_ms};
use serde::{Deserialize, Serialize};

/// The knowledge of a job's successful runs.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Expects {
    /// The latest ones with their durations, by their numbers.
    latest: Vec<(u64, u64)>,
    /// The expectation of the supervisor before this one, which holds until the store has told of the runs.
    told: Option<u64>,
    source: Source,
    /// The duration that follows.
    ms: Option<u64>,
}

/// The store's part in the knowledge.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
enum Source {
    /// It may know of earlier runs, and was not asked.
    #[default]
    Unasked,
    Asked,
    /// It has told, or has nothing to tell.
    Known,
}

impl Expects {
    /// The expectation of a job that was just made, whose latest run in earlier lives is known.
    pub(crate) fn of_new(last_run: u64) -> Self {
        let source = if last_run == 0 { Source::Known } else { Source::Unasked };
        Self { source, ..Self::default() }
    }

    /// The expectation of a job of the supervisor before this one.
    pub(crate) fn of_remembered(told: Option<u64>) -> Self {
        Self { told, ms: told, ..Self::default() }
    }

    /// The duration to expect.
    pub(crate) const fn ms(&self) -> Option<u64> {
        self.ms
    }

    /// Notes a successful run.
    pub(crate) fn succeeded(&mut self, run: u64, duration_ms: u64) {
        self.insert(run, duration_ms);
        self.conclude();
    }

    /// Tells whether the store is to be asked now.
    pub(crate) fn asks(&mut self) -> bool {
        let asks = self.source == Source::Unasked;
        if asks {
            self.source = Source::Asked;
        }
        asks
    }

    /// Takes the store's answer. Without one it is asked again another time.
    pub(crate) fn learns(&mut self, durations: Option<Vec<(u64, u64)>>) {
        let Some(durations) = durations else {
            self.source = Source::Unasked;
            return;
        };
        durations.into_iter().for_each(|(run, duration_ms)| self.insert(run, duration_ms));
        (self.source, self.told) = (Source::Known, None);
        self.conclude();
    }

    /// Forgets a run that was deleted from the history, in whose place an older one counts: the store is to be asked again.
    pub(crate) fn forgets(&mut self, run: u64) {
        let before = self.latest.len();
        self.latest.retain(|(number, _)| *number != run);
        if self.latest.len() < before || self.source != Source::Known {
            (self.source, self.told) = (Source::Unasked, self.ms);
        }
    }

    /// Puts a run among the latest ones, if it is one of them.
    fn insert(&mut self, run: u64, duration_ms: u64) {
        match self.latest.binary_search_by_key(&run, |(number, _)| *number) {
            Ok(_) => {}
            Err(at) => self.latest.insert(at, (run, duration_ms)),
        }
        if self.latest.len() > EXPECTED_FROM {
            self.latest.remove(0);
        }
    }

    fn conclude(&mut self) {
        let expected = expected_ms(self.latest.iter().rev().map(|(_, duration_ms)| *duration_ms));
        self.ms = if self.source == Source::Known { expected } else { expected.or(self.told) };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_latest_runs_count_whichever_life_they_are_of() {
        let mut job = Expects::of_remembered(Some(7));
        assert!(job.asks() && !job.asks(), "once");
        job.succeeded(21, 50);
        assert_eq!(job.ms(), Some(7), "until the store has told");
        job.learns(Some((1..=10).rev().map(|run| (run + 10, 100 * run)).collect()));
        assert_eq!(job.latest.len(), EXPECTED_FROM);
        assert_eq!(job.ms(), Some(550), "of the runs 12 to 21");
        for run in 22..40 {
            job.succeeded(run, 3);
        }
        assert_eq!((job.ms(), job.latest.len(), job.asks()), (Some(3), EXPECTED_FROM, false));
    }

    #[test]
    fn a_store_without_an_answer_is_asked_again_and_what_it_tells_holds() {
        let mut job = Expects::of_remembered(Some(7));
        assert!(job.asks());
        job.learns(None);
        assert_eq!(job.ms(), Some(7));
        assert!(job.asks());
        job.learns(Some(Vec::new()));
        assert_eq!((job.ms(), job.asks()), (None, false), "its runs were deleted");
        let mut new = Expects::of_new(0);
        assert!(!new.asks(), "it has no earlier run");
        (1..=3).for_each(|run| new.succeeded(run, run));
        assert_eq!(new.ms(), Some(2));
        assert!(Expects::of_new(3).asks(), "there are logs of it");
    }

    #[test]
    fn a_deleted_run_counts_no_more() {
        let mut job = Expects::of_new(0);
        (1..=3).for_each(|run| job.succeeded(run, 10 * run));
        job.forgets(9);
        assert!(!job.asks(), "it did not count");
        job.forgets(3);
        assert!(job.asks());
        job.learns(Some(alloc::vec![(2, 20), (1, 10)]));
        assert_eq!(job.ms(), None);
    }
}
