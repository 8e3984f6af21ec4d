//! A run that is up is well, or is not: its kind's liveness check, probed once in every interval.
//!
//! The schedule is in `probes`; this file decides the consequences. A run that was asked to say `WATCHDOG=1` is heard, not probed.

use crate::cx::Cx;
use crate::parts::Note;
use crate::probes::{self, Schedule, Verdict};
use crate::refusals::Reason;
use crate::run::Run;
use crate::stage::{Cause, Stage};
use crate::step::{Given, Manner, Step};
use crate::timers::Timer;
use alloc::string::String;
use gob_config::kind::{Check, Liveness};
use gob_protocol::{Actor, EventKind};

/// Longest that one `EXTEND_TIMEOUT_USEC` counts.
const LONGEST_EXTENSION_MS: u64 = 3_600_000;

/// It is time to probe, or to have heard of it.
pub(crate) fn due(run: &mut Run, given: &Given<'_>, cx: &mut Cx) -> Step {
    if is_heard(given) {
        let interval_ms = schedule(run, given).map_or(0, |(schedule, _)| schedule.pause_ms(0));
        let failure = (!run.health.heard).then(|| Reason::NotHeard { interval_ms }.into());
        return probed(run, given, cx, failure);
    }
    probes::send(run, given, cx);
    Step::Stay
}

fn schedule<'a>(run: &Run, given: &Given<'a>) -> Option<(Schedule, &'a Liveness)> {
    let liveness = given.spec.liveness().filter(|_| run.is_up())?;
    Some((Schedule::of_life(liveness, run.health.watchdog_ms), liveness))
}

/// A probe has shown how the run is.
pub(crate) fn probed(run: &mut Run, given: &Given<'_>, cx: &mut Cx, failure: Option<String>) -> Step {
    let Some((schedule, liveness)) = schedule(run, given) else { return Step::Stay };
    run.probing = false;
    run.health.heard = false;
    run.health.counts(failure.is_none());
    match (run.stage(), schedule.judge(&run.health), failure) {
        (Stage::Ready, Verdict::NotWell, Some(why)) => {
            run.shown.reason = Some(why);
            run.enter(Stage::Unhealthy, cx);
            if !liveness.restart {
                probes::again(run, given, cx);
            }
            Step::Unhealthy { ended: liveness.restart }
        }
        (Stage::Unhealthy, Verdict::Well, None) => {
            run.shown.reason = None;
            run.enter(Stage::Ready, cx);
            probes::again(run, given, cx);
            Step::Tell(EventKind::WorkerReady, Actor::Supervisor)
        }
        (_, _, _) => {
            probes::again(run, given, cx);
            Step::Stay
        }
    }
}

/// The run asks for more time, or to be heard of at another interval.
pub(crate) fn asks_for_time(run: &mut Run, given: &Given<'_>, cx: &mut Cx, note: Note) -> Step {
    if let Some(ms) = note.watchdog_ms.filter(|ms| *ms > 0 && is_heard(given)) {
        run.health.watchdog_ms = Some(ms);
        if cx.timers.at(&Timer::Probe(run.key.name.clone())).is_some() {
            probes::again(run, given, cx);
        }
    }
    if let Some(ms) = note.extend_ms {
        let at = cx.now.mono_ms.saturating_add(ms.min(LONGEST_EXTENSION_MS));
        let timer = Timer::Start(run.key.name.clone());
        // Only what runs out is extended, and never shortened.
        if cx.timers.at(&timer).is_some_and(|due| due < at) {
            cx.timers.arm(timer, at);
        }
    }
    Step::Stay
}

/// Tells whether the run itself has to report that it is well.
fn is_heard(given: &Given<'_>) -> bool {
    given.spec.liveness().is_some_and(|liveness| liveness.check == Check::Notify)
}

/// The run says how it is. `WATCHDOG=1` counts at once for a run that was not well, else at the next probe.
pub(crate) fn says(run: &mut Run, given: &Given<'_>, cx: &mut Cx, note: Note) -> Step {
    if !is_heard(given) {
        return Step::Stay;
    }
    if note.failed {
        // It knows best: one such word is enough.
        run.health.failures = u32::MAX - 1;
        return probed(run, given, cx, Some(Reason::Triggered.into()));
    }
    if note.alive {
        run.health.heard = true;
        if matches!(run.stage(), Stage::Unhealthy) {
            return probed(run, given, cx, None);
        }
    }
    Step::Stay
}

/// The run says that it is ending, and was not asked to: it gets its grace, and its sequel is that of any end.
pub(crate) fn stops_by_itself(run: &Run) -> Step {
    if run.is_up() { Step::End { cause: Cause::ByItself, manner: Manner::Let } } else { Step::Stay }
}
