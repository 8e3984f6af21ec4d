//! A run that is up is well, or is not: its kind's liveness check, probed once in every interval.
//!
//! This file decides when to probe and what follows; the shell probes once for each `ProbeOnce`. A run that was asked to say
//! `WATCHDOG=1` is heard, not probed.

use crate::cx::Cx;
use crate::io::Effect;
use crate::parts::{Note, Target};
use crate::refusals::Reason;
use crate::run::{Cause, Run, Stage};
use crate::step::{Given, Manner, Step};
use crate::timers::Timer;
use alloc::string::String;
use gob_config::kind::{Check, Liveness};
use gob_protocol::{Actor, EventKind};

/// Longest that one `EXTEND_TIMEOUT_USEC` counts.
const LONGEST_EXTENSION_MS: u64 = 3_600_000;

/// Arms the next probe.
pub(crate) fn again(run: &Run, given: &Given<'_>, cx: &mut Cx) {
    if let Some(liveness) = given.spec.liveness() {
        cx.arm(Timer::Liveness(run.key.name.clone()), interval_ms(run, liveness));
    }
}

fn interval_ms(run: &Run, liveness: &Liveness) -> u64 {
    let asked_for = run.health.watchdog_ms.filter(|_| liveness.check == Check::Notify);
    asked_for.unwrap_or(liveness.interval_ms)
}

/// It is time to probe.
pub(crate) fn due(run: &mut Run, given: &Given<'_>, cx: &mut Cx) -> Step {
    let Some(liveness) = given.spec.liveness() else { return Step::Stay };
    let target = match &liveness.check {
        Check::Notify => {
            let heard = run.health.heard;
            let interval_ms = interval_ms(run, liveness);
            let failure = (!heard).then(|| Reason::NotHeard { interval_ms }.into());
            return probed(run, given, cx, failure);
        }
        Check::None | Check::Delay { .. } => None,
        Check::Handshake | Check::Log { .. } => Some(Target::Output),
        Check::Http { .. } | Check::Connect { .. } => given.subject(run).target(&cx.setup, &liveness.check),
    };
    if let Some(target) = target {
        let (key, timeout_ms) = (run.key.clone(), liveness.timeout_ms);
        cx.push(Effect::ProbeOnce { key, target, timeout_ms });
    }
    Step::Stay
}

/// A probe has shown how the run is.
pub(crate) fn probed(run: &mut Run, given: &Given<'_>, cx: &mut Cx, failure: Option<String>) -> Step {
    let Some(liveness) = given.spec.liveness().filter(|_| run.is_up()) else { return Step::Stay };
    let health = &mut run.health;
    health.heard = false;
    match &failure {
        Some(_) => (health.failures, health.successes) = (health.failures.saturating_add(1), 0),
        None => (health.failures, health.successes) = (0, health.successes.saturating_add(1)),
    }
    let is_sick = health.failures >= liveness.failures;
    let is_well = health.successes >= liveness.successes;
    match (run.stage(), failure) {
        (Stage::Ready, Some(why)) if is_sick => {
            run.shown.reason = Some(why);
            run.enter(Stage::Unhealthy, cx);
            if !liveness.restart {
                again(run, given, cx);
            }
            Step::Unhealthy { ended: liveness.restart }
        }
        (Stage::Unhealthy, None) if is_well => {
            run.shown.reason = None;
            run.enter(Stage::Ready, cx);
            again(run, given, cx);
            Step::Tell(EventKind::WorkerReady, Actor::Supervisor)
        }
        (_, _) => {
            again(run, given, cx);
            Step::Stay
        }
    }
}

/// The run asks for more time, or to be heard of at another interval.
pub(crate) fn asks_for_time(run: &mut Run, given: &Given<'_>, cx: &mut Cx, note: Note) -> Step {
    if let Some(ms) = note.watchdog_ms.filter(|ms| *ms > 0 && is_heard(given)) {
        run.health.watchdog_ms = Some(ms);
        if cx.timers.at(&Timer::Liveness(run.key.name.clone())).is_some() {
            again(run, given, cx);
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

/// Pushes a probe again that has no answer yet: none is due while it is under way.
pub(crate) fn resume(run: &mut Run, given: &Given<'_>, cx: &mut Cx) -> Step {
    let is_under_way = run.is_up() && cx.timers.at(&Timer::Liveness(run.key.name.clone())).is_none();
    if is_under_way && !is_heard(given) { due(run, given, cx) } else { Step::Stay }
}
