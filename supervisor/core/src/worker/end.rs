//! A run ends: it was asked to, or it exited; and when nothing is left of it, its outcome.

use crate::cx::Cx;
use crate::io::Effect;
use crate::refusals::{self, Reason};
use crate::run::Run;
use crate::stage::{Asked, At, Awaited, Cause, End, Ended, Rest, Stage};
use crate::step::{Given, Sequel, Step};
use alloc::boxed::Box;
use alloc::string::String;
use alloc::vec::Vec;
use gob_protocol::{Actor, ErrorCode, EventKind, Exit, Receipt, Signalled};

/// So many runs in a row may lose their port before that counts as a failure.
const LOST_PORTS: u32 = 3;

/// Has a run be on its way down from here on.
pub(crate) fn begin(run: &mut Run, cx: &mut Cx, cause: Cause, actor: Actor) {
    run.show_held(cx);
    let at = match run.stage() {
        Stage::Looking => At::CallingOff { awaited: Awaited::Examined, overdue: false },
        Stage::Preparing => {
            cx.push(Effect::CallOff { key: run.key.clone() });
            At::CallingOff { awaited: Awaited::Spawned, overdue: false }
        }
        Stage::Starting | Stage::Ready | Stage::Unhealthy => At::Asked,
        Stage::Ending(_) => return,
    };
    let was_ready_ms = run.was_ready_ms(cx.now.mono_ms);
    run.shown.was_asked = true;
    run.enter(Stage::Ending(End::new(at, cause, actor, was_ready_ms)), cx);
}

/// Takes the leader's end. The other processes of a run that was asked to end keep the rest of the grace; else they are killed.
pub(crate) fn exited(run: &mut Run, given: &Given<'_>, cx: &mut Cx, exit: Exit) -> Step {
    let at = match run.stage() {
        Stage::Looking | Stage::Preparing => return Step::Stay,
        Stage::Starting | Stage::Ready | Stage::Unhealthy => None,
        Stage::Ending(end) => match &end.at {
            At::Asked if end.asked != Asked::Not => Some(At::Lingering(exit.clone())),
            At::Asked | At::Killing => Some(At::Sweeping(exit.clone())),
            At::CallingOff { .. } | At::Lingering(_) => return Step::Stay,
            At::Sweeping(_) | At::Finishing(_) | At::Examining(_) => return Step::Stay,
        },
    };
    run.lasted(cx.now);
    let (lingers, is_asked) = (matches!(at, Some(At::Lingering(_))), at.is_some());
    match at {
        Some(at) => {
            run.comes_to(at, cx);
            run.loses_leader(exit, cx);
        }
        None => {
            run.show_held(cx);
            (run.shown.exit, run.shown.stopped_at) = (Some(exit.clone()), Some(cx.now.wall));
            let was_ready_ms = run.was_ready_ms(cx.now.mono_ms);
            let end = End::new(At::Sweeping(exit), Cause::ByItself, Actor::Supervisor, was_ready_ms);
            run.enter(Stage::Ending(end), cx);
        }
    }
    if !lingers {
        run.sweep(cx);
        let told = Step::Tell(EventKind::WorkerStopping, Actor::Supervisor);
        return if is_asked { Step::Stay } else { told };
    }
    if let Some(end) = run.end_mut() {
        if matches!(end.asked, Asked::Http | Asked::TakenHttp) {
            // The others know nothing of a request that the leader took.
            end.asked = Asked::Signal;
        }
        let signal = end.asked.signal(&given.spec.policy.stop);
        cx.push(Effect::Linger { key: run.key.clone(), signal });
    }
    Step::Stay
}

/// Nothing is left of the run's processes.
pub(crate) fn swept(run: &mut Run, cx: &mut Cx, receipt: Receipt) -> Step {
    let Some(At::Sweeping(exit) | At::Lingering(exit)) = run.end().map(|end| &end.at) else {
        return Step::Stay;
    };
    let rest = Rest { exit: exit.clone(), receipt, port_taken: None, is_free: false };
    run.comes_to(At::Finishing(Box::new(rest)), cx);
    finish(run, cx);
    Step::Stay
}

/// Orders those of the last steps that are not done.
fn finish(run: &Run, cx: &mut Cx) {
    let Some(At::Finishing(rest)) = run.end().map(|end| &end.at) else { return };
    if rest.port_taken.is_none() {
        cx.push(Effect::ReadRest { key: run.key.clone(), was_ready: run.ready_mono_ms.is_some() });
    }
    if !rest.is_free {
        cx.push(Effect::Free { key: run.key.clone() });
    }
}

/// All of its output is read.
pub(crate) fn read_out(
    run: &mut Run,
    given: &Given<'_>,
    cx: &mut Cx,
    last_lines: Vec<String>,
    port_taken: bool,
) -> Step {
    let Some(At::Finishing(rest)) = run.end_mut().map(|end| &mut end.at) else { return Step::Stay };
    rest.port_taken = Some(port_taken);
    run.last_lines = last_lines;
    finished(run, given, cx)
}

/// The lock of its graph is free.
pub(crate) fn freed(run: &mut Run, given: &Given<'_>, cx: &mut Cx) -> Step {
    let Some(At::Finishing(rest)) = run.end_mut().map(|end| &mut end.at) else { return Step::Stay };
    rest.is_free = true;
    finished(run, given, cx)
}

/// The run is over, once all of it is done. One that never was ready may have given way to a process without gob: that is
/// contention, not a crash, and is found out first.
fn finished(run: &mut Run, given: &Given<'_>, cx: &mut Cx) -> Step {
    let Some(end) = run.end() else { return Step::Stay };
    let At::Finishing(rest) = &end.at else { return Step::Stay };
    let Rest { exit, receipt, port_taken: Some(port_taken), is_free: true } = Rest::clone(rest) else {
        return Step::Stay;
    };
    let code = match end.cause {
        Cause::TimedOut => ErrorCode::ServerStartTimeout,
        Cause::Asked | Cause::ByItself | Cause::Unwell => ErrorCode::ServerStartFailed,
    };
    let was_ready = end.was_ready_ms.is_some();
    let left = left_by_leader(given.sequel, &exit, &receipt);
    let is_crash = given.sequel.is_unasked() && !was_ready;
    if port_taken && is_crash && given.lost_ports < LOST_PORTS && given.spec.policy.port.is_none() {
        run.shown.reason = Some(Reason::AnotherPort(run.port).into());
        return Step::AnotherPort;
    }
    let (reason, lines) = (left.as_deref().or(run.shown.reason.as_deref()), &run.last_lines);
    let error = refusals::run_failed(&run.key.name, &exit, code, reason, lines);
    let ended = Box::new(Ended { exit, receipt, error });
    let is_contended = is_crash || given.sequel == Sequel::Fail;
    if is_contended && given.spec.policy.foreign.is_looked_for() {
        run.comes_to(At::Examining(ended), cx);
        let plan = given.subject(run).examine_plan(&cx.setup, cx.now.wall);
        cx.push(Effect::Examine { key: run.key.clone(), plan: Box::new(plan) });
        return Step::Stay;
    }
    Step::Over(ended)
}

/// Has the tree of a run whose leader is gone watched or killed again, or its last steps done.
pub(crate) fn resume(run: &mut Run, given: &Given<'_>, cx: &mut Cx) -> Step {
    let key = run.key.clone();
    let Some(end) = run.end() else { return Step::Stay };
    match &end.at {
        At::CallingOff { .. } | At::Asked | At::Examining(_) => {}
        At::Lingering(_) => {
            let signal = end.asked.signal(&given.spec.policy.stop);
            cx.push(Effect::Linger { key, signal });
        }
        At::Killing | At::Sweeping(_) => cx.push(Effect::Sweep { key }),
        At::Finishing(_) => finish(run, cx),
    }
    Step::Stay
}

/// The words about a leader that ended with code 0, unasked, while processes that it had begun went on; `None` when it left
/// none.
pub(crate) fn left_by_leader(sequel: Sequel, exit: &Exit, receipt: &Receipt) -> Option<String> {
    if !sequel.is_unasked() || *exit != (Exit::Code { code: 0 }) {
        return None;
    }
    let killed = |process: &&Signalled| process.signals.iter().any(|signal| signal == "SIGKILL");
    let mut left = receipt.signalled.iter().filter(killed);
    Some(Reason::LeftBehind { pid: left.next()?.pid, others: left.count() }.into())
}
