//! The restart policy: counts failures, and decides whether and when an ended run is followed by another (ARCHITECTURE,
//! Lifecycle).

use alloc::collections::VecDeque;
use gob_config::kind::{RestartOn, RestartPolicy};
use gob_protocol::Exit;
use serde::{Deserialize, Serialize};

/// The sequel of a run that ended by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// It stays down.
    Rest,
    /// Another run, after this many milliseconds.
    Retry(u64),
    /// It ended too often; this many times.
    GiveUp(u32),
}

/// The failures that still count.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Failures {
    at: VecDeque<u64>,
}

impl Failures {
    pub(crate) fn clear(&mut self) {
        self.at.clear();
    }

    #[cfg(test)]
    pub(crate) fn times(&self) -> impl Iterator<Item = u64> {
        self.at.iter().copied()
    }

    /// Judges a run that ended by itself. `was_ready_ms` is how long it had been ready, `None` when it never was,
    /// which is a failure whatever its exit code, as is the end of a run that was not well.
    pub(crate) fn judge(
        &mut self,
        policy: &RestartPolicy,
        exit: &Exit,
        was_ready_ms: Option<u64>,
        unwell: bool,
        now: u64,
        jitter: u64,
    ) -> Verdict {
        let clean = *exit == Exit::Code { code: 0 } && was_ready_ms.is_some() && !unwell;
        match policy.on {
            RestartOn::Never => return Verdict::Rest,
            RestartOn::OnFailure if clean => return Verdict::Rest,
            RestartOn::OnFailure | RestartOn::Always => {}
        }
        if was_ready_ms.is_some_and(|ms| ms >= policy.healthy_after_ms) {
            self.at.clear();
        }
        self.at.push_back(now);
        while self.at.front().is_some_and(|at| now - at > policy.give_up_within_ms) {
            self.at.pop_front();
        }
        let count = u32::try_from(self.at.len()).unwrap_or(u32::MAX);
        if count >= policy.give_up_failures {
            return Verdict::GiveUp(count);
        }
        Verdict::Retry(delay(policy.backoff_ms, count, jitter))
    }
}

/// Doubles from the first to the longest delay, then takes up to a quarter away, so that workers that fell together
/// do not rise together.
pub(crate) fn delay((first, longest): (u64, u64), count: u32, jitter: u64) -> u64 {
    let factor = 1u64.checked_shl(count.saturating_sub(1)).unwrap_or(u64::MAX);
    let full = first.saturating_mul(factor).min(longest).max(1);
    full - jitter % (full / 4 + 1)
}

/// Dice for the jitter, from a seed that the shell gives.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Dice(u64);

impl Dice {
    pub(crate) const fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// The next number of a splitmix64 sequence (Steele, Lea, Flood: "Fast splittable pseudorandom number generators").
    pub(crate) const fn throw(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CRASH: Exit = Exit::Code { code: 1 };

    #[test]
    fn backoff_doubles_up_to_its_longest() {
        let policy = RestartPolicy::default();
        let delays = [1, 2, 3, 9, 10, 64, u32::MAX].map(|count| delay(policy.backoff_ms, count, 0));
        assert_eq!(delays, [100, 200, 400, 25_600, 30_000, 30_000, 30_000]);
        assert!((0..1000).all(|jitter| (75..=100).contains(&delay(policy.backoff_ms, 1, jitter))));
    }

    #[test]
    fn gives_up_only_within_the_window() {
        let policy = RestartPolicy::default();
        let mut failures = Failures::default();
        let verdicts = |failures: &mut Failures, step: u64| {
            (1..=5u64)
                .map(|n| failures.judge(&policy, &CRASH, None, false, n * step, 0))
                .collect::<alloc::vec::Vec<_>>()
        };
        assert_eq!(verdicts(&mut failures, 1000).last(), Some(&Verdict::GiveUp(5)));
        failures.clear();
        assert_eq!(verdicts(&mut failures, 20_000).last(), Some(&Verdict::Retry(800)));
    }

    #[test]
    fn health_forgives() {
        let policy = RestartPolicy::default();
        let mut failures = Failures::default();
        for _ in 0..20 {
            assert_eq!(failures.judge(&policy, &CRASH, Some(60_000), false, 5, 0), Verdict::Retry(100));
        }
    }

    #[test]
    fn policies() {
        let judge = |on, exit: &Exit, ready| {
            Failures::default().judge(
                &RestartPolicy { on, ..RestartPolicy::default() },
                exit,
                ready,
                false,
                0,
                0,
            )
        };
        let zero = Exit::Code { code: 0 };
        assert_eq!(judge(RestartOn::Never, &CRASH, None), Verdict::Rest);
        assert_eq!(judge(RestartOn::OnFailure, &zero, Some(1)), Verdict::Rest);
        assert_eq!(judge(RestartOn::OnFailure, &zero, None), Verdict::Retry(100));
        assert_eq!(judge(RestartOn::OnFailure, &CRASH, Some(1)), Verdict::Retry(100));
        assert_eq!(judge(RestartOn::Always, &zero, Some(1)), Verdict::Retry(100));
    }
}
