//! A run comes up: it gets a process, or none; and it has a deadline for being ready.

use crate::cx::Cx;
use crate::failure::{Errno, SpawnFailure, SpawnStep, Unclear, not_tried};
use crate::io::Effect;
use crate::parts::{Holder, SpawnPlan};
use crate::record::New;
use crate::refusals::{self, Reason};
use crate::run::Run;
use crate::spec::lacks_socket;
use crate::stage::{At, Awaited, Cause, Ended, Stage};
use crate::step::{Given, Manner, Step};
use crate::timers::Timer;
use alloc::boxed::Box;
use alloc::string::{String, ToString};
use gob_protocol::{ErrorCode, Receipt, WireError};

/// When a lock is tried again that is busy without a process that has it, each time after so long; two seconds in all.
const BUSY_LOCK_MS: [u64; 14] = [5, 10, 20, 40, 80, 120, 160, 200, 200, 200, 200, 250, 250, 250];

/// Begins a run, which has no process: it is spawned, or found out first who holds its graph without gob.
pub(crate) fn begin(run: &mut Run, given: &Given<'_>, cx: &mut Cx, plan: Box<SpawnPlan>) -> Step {
    cx.arm(Timer::Start(run.key.name.clone()), given.spec.policy.readiness.timeout_ms);
    let left = cx.past.left_of(&run.key.name);
    if !left.is_empty() {
        let error = refusals::left_over(&run.key.name, &left);
        return Step::NoProcess(not_tried("EBUSY"), Box::new(error));
    }
    // Its kind may be another one than that of its last run.
    if lacks_socket(&given.spec.policy, &run.key.name, &cx.setup.paths) {
        let error = refusals::socket_too_long(&run.key.name, &cx.setup.paths.runtime_dir);
        return Step::GiveUp(error, Receipt::default());
    }
    if given.spec.policy.foreign.is_looked_for() {
        let plan = given.subject(run).examine_plan(&cx.setup, cx.now.wall);
        cx.push(Effect::Examine { key: run.key.clone(), plan: Box::new(plan) });
    } else {
        run.enter(Stage::Preparing, cx);
        cx.push(Effect::Spawn(plan));
    }
    Step::Stay
}

/// The run has a process: a wanted one is starting, the others are asked to end or killed.
pub(crate) fn spawned(run: &mut Run, cx: &mut Cx, leader: i32, port: Option<u16>, new: New) -> Step {
    let at = match run.stage() {
        Stage::Preparing => None,
        Stage::Ending(end) => match end.at {
            // It was stopped before it was there, and too late to be called off.
            At::CallingOff { overdue, .. } => Some(if overdue { At::Killing } else { At::Asked }),
            At::Asked | At::Lingering(_) | At::Killing => return Step::Stay,
            At::Sweeping(_) | At::Finishing(_) | At::Examining(_) => return Step::Stay,
        },
        Stage::Looking | Stage::Starting | Stage::Ready | Stage::Unhealthy => return Step::Stay,
    };
    run.gets_process(leader, port, cx.now);
    run.is_new = new.0;
    run.shown.stopped_at = None;
    run.shown.exit = None;
    match at {
        None => run.enter(Stage::Starting, cx),
        Some(at) => run.comes_to(at, cx),
    }
    Step::Started
}

/// The run could not get a process.
pub(crate) fn failed(run: &mut Run, given: &Given<'_>, cx: &mut Cx, why: &SpawnFailure) -> Step {
    let is_looked = matches!(run.stage(), Stage::Looking);
    if !run.awaits_spawn() && !is_looked {
        return Step::Stay;
    }
    run.shown.stopped_at = Some(cx.now.wall);
    run.shown.reason = Some(why.to_string());
    let exit = why.exit();
    run.shown.exit = Some(exit.clone());
    let error = refusals::spawn_failed(&run.key.name, &given.spec.policy, why);
    cx.tally.spawn_failures += 1;
    Step::NoProcess(exit, Box::new(error))
}

/// The run is not ready at its deadline, which covers the examination of its graph and the preparation too.
pub(crate) fn timed_out(run: &mut Run, given: &Given<'_>, cx: &mut Cx) -> Step {
    match run.stage() {
        Stage::Looking | Stage::Preparing | Stage::Starting => {}
        Stage::Ready | Stage::Unhealthy | Stage::Ending(_) => return Step::Stay,
    }
    run.show_held(cx);
    let timeout_ms = given.spec.policy.readiness.timeout_ms;
    let saw = run.shown.reason.take();
    run.shown.reason = Some(Reason::NotReady { timeout_ms, saw: saw.as_deref() }.into());
    Step::End { cause: Cause::TimedOut, manner: Manner::Ask(None) }
}

/// It can't be told who holds the run's graph without gob, so it is not begun.
pub(crate) fn unclear(run: &mut Run, given: &Given<'_>, cx: &mut Cx, why: Unclear) -> Step {
    let errno = Errno { name: "EBUSY".into(), text: String::new() };
    failed(run, given, cx, &SpawnFailure { step: SpawnStep::Examine(Box::new(why)), errno })
}

/// The spawn of a run that is to end does not happen.
pub(crate) fn called_off(run: &Run) -> Step {
    let is_called_off = run.end().is_some_and(|end| matches!(end.at, At::CallingOff { .. }));
    if !is_called_off {
        return Step::Stay;
    }
    let exit = not_tried("ECANCELED");
    let reason = run.shown.reason.as_deref();
    let error = refusals::run_failed(&run.key.name, &exit, ErrorCode::ServerStartTimeout, reason, &[]);
    Step::Over(Box::new(Ended { exit, receipt: Receipt::default(), error }))
}

/// The lock of the graph is taken: by another supervisor's worker, by one that outlived its supervisor, or by no process that
/// is seen. Most often there is none any more, so it is tried again; where it stays so, it is not the run's failure.
pub(crate) fn held(run: &mut Run, given: &Given<'_>, cx: &mut Cx, holder: &Holder) -> Step {
    if !run.awaits_spawn() {
        return Step::Stay;
    }
    let error = Box::new(refusals::held_by(&run.key.name, holder));
    if holder.pid != 0 || !matches!(run.stage(), Stage::Preparing) {
        return Step::GiveUp(error, Receipt::default());
    }
    let Some(after_ms) = BUSY_LOCK_MS.get(run.busy_locks) else { return Step::Busy(error) };
    run.busy_locks += 1;
    let plan = given.subject(run).plan(&cx.setup, cx.now.wall);
    cx.push(Effect::Spawn(Box::new(SpawnPlan { after_ms: *after_ms, ..plan })));
    Step::Stay
}

/// The run gets no process, for the record of its graph does not fit.
pub(crate) fn unfit(run: &Run, error: WireError) -> Step {
    if run.awaits_spawn() { Step::GiveUp(Box::new(error), Receipt::default()) } else { Step::Stay }
}

/// Pushes again what a run without a process has asked for.
pub(crate) fn resume(run: &mut Run, given: &Given<'_>, cx: &mut Cx) -> Step {
    let key = run.key.clone();
    match run.stage() {
        Stage::Preparing => {
            let plan = Box::new(given.subject(run).plan(&cx.setup, cx.now.wall));
            cx.push(Effect::Spawn(plan));
        }
        Stage::Ending(end) if matches!(end.at, At::CallingOff { awaited: Awaited::Spawned, .. }) => {
            cx.push(Effect::CallOff { key });
        }
        Stage::Looking | Stage::Starting | Stage::Ready | Stage::Unhealthy | Stage::Ending(_) => {}
    }
    Step::Stay
}
