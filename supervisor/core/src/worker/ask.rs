//! How a run is asked to end: by its kind's HTTP request, by a signal, by a second one; and killed when the grace is over.
//!
//! The grace is the tree's: a leader that was asked and ends leaves the rest of it to its tree.

use crate::cx::Cx;
use crate::io::Effect;
use crate::run::Run;
use crate::stage::{Asked, At, Stage};
use crate::step::{Given, Manner, Step};
use crate::timers::Timer;
use alloc::format;
use alloc::string::String;
use gob_config::kind::{Check, HttpPort};

/// Time limit of the answer to an HTTP request to end.
pub(super) const STOP_HTTP_MS: u64 = 1_000;

/// Gives an ending run its time, and asks it to end if that is its manner.
pub(crate) fn within(run: &mut Run, given: &Given<'_>, cx: &mut Cx, manner: Manner) -> Step {
    let (asked_ms, asks) = match manner {
        Manner::Ask(asked_ms) => (asked_ms, true),
        Manner::Let => (None, false),
    };
    let grace_ms = given.spec.grace_ms(asked_ms);
    cx.arm(Timer::Kill(run.key.name.clone()), grace_ms);
    if asks {
        ask_in_time(run, given, cx, grace_ms);
    }
    Step::Stay
}

/// Asks an ending run that has so long left.
fn ask_in_time(run: &mut Run, given: &Given<'_>, cx: &mut Cx, left_ms: u64) {
    let way = &given.spec.policy.stop;
    let second = way.then.is_some() || way.http.is_some();
    if second && left_ms > 0 {
        cx.arm(Timer::Then(run.key.name.clone()), left_ms / 2);
    }
    ask(run, given, cx);
    kill_if_due(run, cx);
}

/// Gives an ending run less time, if this is less. One that was ending by itself is asked from now on.
pub(crate) fn hurry(run: &mut Run, given: &Given<'_>, cx: &mut Cx, asked_ms: Option<u64>) -> Step {
    let grace_ms = given.spec.grace_ms(asked_ms);
    let name = &run.key.name;
    for (timer, ms) in [(Timer::Kill(name.clone()), grace_ms), (Timer::Then(name.clone()), grace_ms / 2)] {
        let at = cx.now.mono_ms.saturating_add(ms);
        // A timer that is not armed has passed, or its step is not part of this stop.
        if cx.timers.at(&timer).is_some_and(|due| at < due) {
            cx.timers.arm(timer, at);
        }
    }
    let is_unasked = run.end().is_some_and(|end| matches!(end.at, At::Asked) && end.asked == Asked::Not);
    if is_unasked {
        let kill = cx.timers.at(&Timer::Kill(run.key.name.clone()));
        ask_in_time(run, given, cx, kill.unwrap_or_default().saturating_sub(cx.now.mono_ms));
    } else {
        kill_if_due(run, cx);
    }
    Step::Stay
}

/// A run that is to end has got its process: it is asked, or killed where its grace is over.
pub(crate) fn spawned(run: &mut Run, given: &Given<'_>, cx: &mut Cx) -> Step {
    if run.end().is_some_and(|end| matches!(end.at, At::Killing)) {
        run.sweep(cx);
    } else {
        ask(run, given, cx);
    }
    Step::Stay
}

/// Asks in the first way that there is, if there is a process to ask.
fn ask(run: &mut Run, given: &Given<'_>, cx: &mut Cx) {
    let http = given.spec.policy.stop.http.as_ref().zip(http_endpoint(run, given));
    // Where there is no grace, an answer would come too late.
    let kill = cx.timers.at(&Timer::Kill(run.key.name.clone()));
    let hurried = kill.is_some_and(|at| at <= cx.now.mono_ms);
    let Some((request, (endpoint, look))) = http.filter(|_| !hurried) else {
        return send_signal(run, given, cx, Asked::Signal);
    };
    let request = given.subject(run).filled(&cx.setup, request);
    let key = run.key.clone();
    // A spawn that is still under way is asked once it is there.
    if let Some(end) = run.end_mut().filter(|end| matches!(end.at, At::Asked)) {
        end.asked = Asked::Http;
        cx.push(Effect::StopHttp { key, endpoint, request, look, limit_ms: STOP_HTTP_MS });
    }
}

fn send_signal(run: &mut Run, given: &Given<'_>, cx: &mut Cx, which: Asked) {
    let key = run.key.clone();
    if let Some(end) = run.end_mut().filter(|end| matches!(end.at, At::Asked | At::Lingering(_))) {
        end.asked = which;
        cx.push(Effect::Terminate { key, signal: which.signal(&given.spec.policy.stop) });
    }
}

/// The worker took the HTTP request, and is ending by itself; or it did not, and gets the signal.
pub(crate) fn answered(run: &mut Run, given: &Given<'_>, cx: &mut Cx, taken: bool) -> Step {
    if let Some(end) = run.end_mut().filter(|end| end.asked == Asked::Http) {
        end.asked = Asked::TakenHttp;
        if !taken {
            send_signal(run, given, cx, Asked::Signal);
        }
    }
    Step::Stay
}

/// It is still there after half of its grace: the second signal; or the first, if only HTTP has asked.
pub(crate) fn half_passed(run: &mut Run, given: &Given<'_>, cx: &mut Cx) -> Step {
    let second = given.spec.policy.stop.then.is_some();
    match run.end().map(|end| end.asked) {
        Some(Asked::Http | Asked::TakenHttp | Asked::Signal) if second => {
            send_signal(run, given, cx, Asked::Twice);
        }
        Some(Asked::Http | Asked::TakenHttp) => send_signal(run, given, cx, Asked::Signal),
        Some(Asked::Not | Asked::Signal | Asked::Twice) | None => {}
    }
    Step::Stay
}

/// A grace of nothing has ended already.
fn kill_if_due(run: &mut Run, cx: &mut Cx) {
    let kill = cx.timers.at(&Timer::Kill(run.key.name.clone()));
    if kill.is_some_and(|at| at <= cx.now.mono_ms) {
        over(run, cx);
    }
}

/// The grace is over: the run is killed, as soon as it has processes.
pub(crate) fn over(run: &mut Run, cx: &mut Cx) -> Step {
    let Stage::Ending(end) = run.stage() else { return Step::Stay };
    let at = match &end.at {
        At::CallingOff { awaited, .. } => {
            let at = At::CallingOff { awaited: *awaited, overdue: true };
            run.comes_to(at, cx);
            for timer in [Timer::Kill(run.key.name.clone()), Timer::Then(run.key.name.clone())] {
                cx.timers.cancel(&timer);
            }
            return Step::Stay;
        }
        At::Asked => At::Killing,
        At::Lingering(exit) => At::Sweeping(exit.clone()),
        At::Killing | At::Sweeping(_) | At::Finishing(_) | At::Examining(_) => return Step::Stay,
    };
    run.comes_to(at, cx);
    run.sweep(cx);
    Step::Stay
}

/// The run's HTTP server, if it is known, and whether it may as well be another program's: on a port that the run was given,
/// or that its kind says, until it was seen there.
fn http_endpoint(run: &Run, given: &Given<'_>) -> Option<(String, bool)> {
    let kind = &given.spec.policy;
    let as_http = |endpoint: &str| {
        let (scheme, address) = endpoint.split_once("://")?;
        let is_http = scheme == "http" || kind.scheme.as_deref() == Some(scheme);
        is_http.then(|| format!("http://{address}"))
    };
    let told = run.endpoint.as_deref().and_then(as_http);
    let fixed = match &kind.readiness.check {
        Check::Http { port: HttpPort::Fixed(port), .. } => Some(*port),
        Check::Http { port: HttpPort::Given | HttpPort::Discover, .. } => None,
        Check::None | Check::Handshake | Check::Notify | Check::Connect { .. } => None,
        Check::Log { .. } | Check::Delay { .. } => None,
    };
    let own = told.filter(|_| run.endpoint_is_its_own).map(|endpoint| (endpoint, false));
    // The shell finds out its loopback address.
    own.or_else(|| run.port.or(fixed).map(|port| (format!("http://localhost:{port}"), true)))
}

/// Pushes an HTTP request again that has no answer yet.
pub(crate) fn resume(run: &mut Run, given: &Given<'_>, cx: &mut Cx) -> Step {
    let is_asked = run.end().is_some_and(|end| end.asked == Asked::Http && matches!(end.at, At::Asked));
    let way = given.spec.policy.stop.http.as_ref().filter(|_| is_asked);
    if let Some((request, (endpoint, look))) = way.zip(http_endpoint(run, given)) {
        let request = given.subject(run).filled(&cx.setup, request);
        cx.push(Effect::StopHttp { key: run.key.clone(), endpoint, request, look, limit_ms: STOP_HTTP_MS });
    }
    Step::Stay
}
