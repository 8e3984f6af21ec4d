//! A run that has a process becomes ready, or does not.
//!
//! The check is its kind's. The shell watches output; probes come by the schedule in `probes`; a delay is a deadline of the core's.

use crate::cx::Cx;
use crate::io::Effect;
use crate::probes;
use crate::refusals;
use crate::run::{Health, Run};
use crate::stage::Stage;
use crate::step::{Given, Step};
use crate::target::{Answered, Missed};
use crate::timers::Timer;
use alloc::boxed::Box;
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use gob_config::kind::Check;
use gob_protocol::handshake::{Handshake, HandshakeError};
use gob_protocol::view::Port;
use gob_protocol::{Actor, EventKind};

/// The run has a process: from here on it is seen whether it is ready.
pub(crate) fn watch(run: &mut Run, given: &Given<'_>, cx: &mut Cx) -> Step {
    if !matches!(run.stage(), Stage::Starting) {
        return Step::Stay;
    }
    match &given.spec.policy.readiness.check {
        // The shell watches its output, or hears of it.
        Check::Handshake | Check::Log { .. } | Check::Notify => {}
        Check::Http { .. } | Check::Connect { .. } => {
            run.health.since_ms = cx.now.mono_ms;
            probes::send(run, given, cx);
        }
        Check::None => return ready(run, given, cx, Handshake::default(), Vec::new()),
        Check::Delay { for_ms } => cx.arm(Timer::Delay(run.key.name.clone()), *for_ms),
    }
    Step::Stay
}

/// It is time to probe.
pub(crate) fn due(run: &mut Run, given: &Given<'_>, cx: &mut Cx) -> Step {
    probes::send(run, given, cx);
    Step::Stay
}

/// A probe has shown whether the run is ready.
pub(crate) fn probed(
    run: &mut Run,
    given: &Given<'_>,
    cx: &mut Cx,
    found: Result<Answered, Box<Missed>>,
) -> Step {
    if !matches!(run.stage(), Stage::Starting) || !core::mem::take(&mut run.probing) {
        return Step::Stay;
    }
    run.health.counts(found.is_ok());
    match found {
        Ok(Answered { handshake, ports }) => ready(run, given, cx, handshake, ports),
        Err(missed) => {
            probes::again(run, given, cx);
            if missed.is_explained { told(run, cx, missed.to_string()) } else { Step::Stay }
        }
    }
}

/// Pushes again the probe of a run that has no answer yet, and the record of the graph of one that was ready.
pub(crate) fn resume(run: &mut Run, given: &Given<'_>, cx: &mut Cx) -> Step {
    if run.probing {
        probes::send(run, given, cx);
    }
    if run.ready_mono_ms.is_some() && run.pid().is_some() {
        cx.push(Effect::Remember { key: run.key.clone() });
    }
    Step::Stay
}

/// The check is satisfied.
pub(crate) fn ready(
    run: &mut Run,
    given: &Given<'_>,
    cx: &mut Cx,
    handshake: Handshake,
    ports: Vec<Port>,
) -> Step {
    if !matches!(run.stage(), Stage::Starting) {
        return Step::Stay;
    }
    run.show_held(cx);
    run.ready_mono_ms = Some(cx.now.mono_ms);
    run.endpoint = endpoint_of(run, given, &handshake).map(Into::into);
    run.endpoint_is_its_own = handshake.endpoint.is_some();
    if !ports.is_empty() {
        run.ports = ports;
    }
    run.shown.version = handshake.version.map(Into::into);
    run.shown.meta = handshake.meta.into();
    run.shown.ready_at = Some(cx.now.wall);
    run.shown.reason = None;
    run.stops_probes(cx);
    // A `WATCHDOG_USEC` that this run sent before it was ready stays in force.
    run.health = Health { watchdog_ms: run.health.watchdog_ms, ..Health::default() };
    run.enter(Stage::Ready, cx);
    Step::Ready
}

/// Makes a run ready whose readiness check is a delay.
pub(crate) fn delay_passed(run: &mut Run, given: &Given<'_>, cx: &mut Cx) -> Step {
    ready(run, given, cx, Handshake::default(), Vec::new())
}

/// A starting run says of itself why it is not ready yet.
pub(crate) fn told(run: &mut Run, cx: &mut Cx, status: String) -> Step {
    if matches!(run.stage(), Stage::Starting) && run.says(status, cx) {
        return Step::Tell(EventKind::WorkerUpdated, Actor::Supervisor);
    }
    Step::Stay
}

/// Publishes a change that was held back.
pub(crate) fn tell(run: &mut Run, cx: &mut Cx) -> Step {
    if run.tells_held(cx) { Step::Tell(EventKind::WorkerUpdated, Actor::Supervisor) } else { Step::Stay }
}

/// The run won't be ready: waiting requests are answered at once, then its tree is ended.
pub(crate) fn never(run: &mut Run, cx: &mut Cx, error: &HandshakeError, last_lines: &[String]) -> Step {
    if !matches!(run.stage(), Stage::Starting) {
        return Step::Stay;
    }
    run.show_held(cx);
    let (HandshakeError::Refused(reason) | HandshakeError::Invalid(reason)) = error;
    run.shown.reason = Some(reason.clone());
    Step::Refuse(Box::new(refusals::never_ready(&run.key.name, error, last_lines)))
}

/// The endpoint of a run that is ready. One that was made of a port alone speaks what the kind says; a worker that shakes
/// hands says it by itself.
fn endpoint_of(run: &Run, given: &Given<'_>, handshake: &Handshake) -> Option<String> {
    let kind = &given.spec.policy;
    let shook_hands = kind.readiness.check == Check::Handshake;
    match &handshake.endpoint {
        Some(made) if handshake.by_port && !shook_hands => Some(kind.port_endpoint(made)),
        Some(told) => Some(told.clone()),
        None => run.port.map(|port| kind.port_endpoint(&format!("http://127.0.0.1:{port}"))),
    }
}
