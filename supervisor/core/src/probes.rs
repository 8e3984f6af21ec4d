//! The schedules of probes: when a run is looked at, for how long, and what its answers mean.
//!
//! | | a start | a run that is up |
//! |---|---|---|
//! | pause between two probes | 10 ms, doubled up to 500 ms | its kind's interval, or the one that it asked for |
//! | time limit of one | 1 s | its kind's |
//! | failures in a row that mean *not well* | none; the start has its own deadline | its kind's |
//! | successes in a row that mean *well* | 1 | its kind's |
//! | an answer of another process counts | no | yes |
//! | a failure is explained | after 1 s, or when another process answers | never |
//!
//! The shell does one probe when it is told to, and reports.

use crate::cx::Cx;
use crate::io::Effect;
use crate::run::{Health, Run};
use crate::stage::Stage;
use crate::step::Given;
use crate::target::Target;
use crate::timers::Timer;
use gob_config::kind::{Check, Liveness};

/// The schedule of one check.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Schedule {
    /// The first pause between two probes, and the longest one.
    between_ms: (u64, u64),
    timeout_ms: u64,
    /// So many failures in a row mean that it is not well.
    failures: Option<u32>,
    /// So many successes in a row mean that it is well.
    successes: u32,
    /// Only an answer of the run's own processes counts.
    its_own: bool,
    /// From so long on, a failure is explained.
    quiet_ms: Option<u64>,
}

/// The meaning of the answers so far.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verdict {
    Well,
    NotWell,
    Open,
}

impl Schedule {
    /// The schedule of a start.
    pub(crate) const START: Self = Self {
        between_ms: (10, 500),
        timeout_ms: 1_000,
        failures: None,
        successes: 1,
        its_own: true,
        quiet_ms: Some(1_000),
    };

    /// The schedule of a run that is up. `asked_ms` is the interval at which it asked to be heard of.
    pub(crate) fn of_life(liveness: &Liveness, asked_ms: Option<u64>) -> Self {
        let asked_ms = asked_ms.filter(|_| liveness.check == Check::Notify);
        let interval_ms = asked_ms.unwrap_or(liveness.interval_ms);
        Self {
            between_ms: (interval_ms, interval_ms),
            timeout_ms: liveness.timeout_ms,
            failures: Some(liveness.failures),
            successes: liveness.successes,
            its_own: false,
            quiet_ms: None,
        }
    }

    /// The pause before the next probe, after so many failures in a row.
    pub(crate) fn pause_ms(&self, failures: u32) -> u64 {
        let (first, longest) = self.between_ms;
        let factor = 1u64.checked_shl(failures.saturating_sub(1)).unwrap_or(u64::MAX);
        first.saturating_mul(factor).min(longest)
    }

    /// The meaning of the answers so far.
    pub(crate) fn judge(&self, health: &Health) -> Verdict {
        if self.failures.is_some_and(|limit| health.failures >= limit) {
            Verdict::NotWell
        } else if health.failures == 0 && health.successes >= self.successes {
            Verdict::Well
        } else {
            Verdict::Open
        }
    }

    /// From when on a probe that begins now explains its failure.
    fn explain_after_ms(&self, since_ms: u64, now_ms: u64) -> Option<u64> {
        self.quiet_ms.map(|quiet| quiet.saturating_sub(now_ms.saturating_sub(since_ms)))
    }
}

/// The schedule of a run as it stands, with its check.
fn present<'a>(run: &Run, given: &Given<'a>) -> Option<(Schedule, &'a Check)> {
    match run.stage() {
        Stage::Starting => match &given.spec.policy.readiness.check {
            check @ (Check::Http { .. } | Check::Connect { .. }) => Some((Schedule::START, check)),
            // The shell watches its output, or hears of it; a delay is a deadline.
            Check::Handshake | Check::Log { .. } | Check::Notify | Check::None | Check::Delay { .. } => None,
        },
        Stage::Ready | Stage::Unhealthy => {
            let liveness = given.spec.liveness()?;
            Some((Schedule::of_life(liveness, run.health.watchdog_ms), &liveness.check))
        }
        Stage::Looking | Stage::Preparing | Stage::Ending(_) => None,
    }
}

/// Has the run probed now, if its check is seen from outside or in its output.
pub(crate) fn send(run: &mut Run, given: &Given<'_>, cx: &mut Cx) {
    let planned = present(run, given).and_then(|(schedule, check)| {
        let target = match check {
            Check::None | Check::Delay { .. } | Check::Notify => None,
            Check::Handshake | Check::Log { .. } => Some(Target::Output),
            Check::Http { .. } | Check::Connect { .. } => given.subject(run).target(&cx.setup, check),
        };
        Some((schedule, target?))
    });
    if let Some((schedule, target)) = planned {
        run.probing = true;
        cx.push(Effect::Probe {
            key: run.key.clone(),
            target,
            timeout_ms: schedule.timeout_ms,
            its_own: schedule.its_own,
            explain_after_ms: schedule.explain_after_ms(run.health.since_ms, cx.now.mono_ms),
        });
    }
}

/// Arms the next probe.
pub(crate) fn again(run: &Run, given: &Given<'_>, cx: &mut Cx) {
    if let Some((schedule, _)) = present(run, given) {
        cx.arm(Timer::Probe(run.key.name.clone()), schedule.pause_ms(run.health.failures));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::vec::Vec;

    fn life(interval_ms: u64, failures: u32, successes: u32, check: Check) -> Liveness {
        Liveness { check, interval_ms, timeout_ms: 70, failures, successes, restart: false }
    }

    #[test]
    fn pauses_grow_in_a_start_and_are_even_in_a_life() {
        let pauses = |schedule: Schedule| [0, 1, 2, 3, 6, 7, 70].map(|failures| schedule.pause_ms(failures));
        assert_eq!(pauses(Schedule::START), [10, 10, 20, 40, 320, 500, 500]);
        assert_eq!(pauses(Schedule::of_life(&life(250, 3, 1, Check::Handshake), None)), [250; 7]);
        // A run may choose its own interval where it is heard, not where it is probed.
        assert_eq!(pauses(Schedule::of_life(&life(250, 3, 1, Check::Notify), Some(40))), [40; 7]);
        assert_eq!(pauses(Schedule::of_life(&life(250, 3, 1, Check::Handshake), Some(40))), [250; 7]);
    }

    #[test]
    fn answers_mean_what_their_schedule_says() {
        let of = |failures, successes| Schedule::of_life(&life(9, failures, successes, Check::None), None);
        let rows: Vec<(Schedule, u32, u32, Verdict)> = Vec::from([
            // A start never fails by its probes, and one answer is enough.
            (Schedule::START, 0, 0, Verdict::Open),
            (Schedule::START, u32::MAX, 0, Verdict::Open),
            (Schedule::START, 0, 1, Verdict::Well),
            (of(1, 1), 1, 0, Verdict::NotWell),
            (of(3, 2), 2, 0, Verdict::Open),
            (of(3, 2), 3, 0, Verdict::NotWell),
            (of(3, 2), u32::MAX, 0, Verdict::NotWell),
            (of(3, 2), 0, 1, Verdict::Open),
            (of(3, 2), 0, 2, Verdict::Well),
        ]);
        for (schedule, failures, successes, verdict) in rows {
            let health = Health { failures, successes, ..Health::default() };
            assert_eq!(schedule.judge(&health), verdict, "{failures} {successes} {schedule:?}");
        }
    }

    #[test]
    fn a_start_is_explained_from_one_second_on_and_a_life_never() {
        let after = |now_ms| Schedule::START.explain_after_ms(5_000, now_ms);
        assert_eq!([5_000, 5_400, 6_000, 9_000].map(after), [Some(1_000), Some(600), Some(0), Some(0)]);
        let life = Schedule::of_life(&life(9, 1, 1, Check::None), None);
        assert_eq!(life.explain_after_ms(0, 9_000), None);
    }
}
