//! The graph may be held without gob: before a run gets a process, and after one that never was ready, the shell finds out by
//! which process. gob starts no run beside a holder, and signals no holder of a lock file. Workers without a lock file are ended
//! where their kind says `orphans = "end"`.

use crate::cx::Cx;
use crate::io::Effect;
use crate::parts::{Examined, Orphan};
use crate::refusals;
use crate::run::{Eviction, Run};
use crate::stage::{At, Awaited, Stage};
use crate::step::{Given, Step};
use crate::timers::Timer;
use alloc::boxed::Box;
use alloc::vec::Vec;
use gob_config::kind::Orphans;
use gob_protocol::{Receipt, Survivor};

/// Time from SIGTERM to SIGKILL of processes without gob.
const GRACE_MS: u64 = 2_000;

/// Time from their SIGKILL until the run gives up.
const LAST_MS: u64 = 3_000;

/// It is found out who holds the run's graph.
pub(crate) fn examined(run: &mut Run, given: &Given<'_>, cx: &mut Cx, found: Examined) -> Step {
    let ended = match run.stage() {
        Stage::Looking => None,
        Stage::Ending(end) => match &end.at {
            // It was stopped, or took too long, before it had a process.
            At::CallingOff { .. } => return Step::CalledOff,
            At::Examining(ended) => Some(ended.clone()),
            At::Asked | At::Lingering(_) | At::Killing => return Step::Stay,
            At::Sweeping(_) | At::Finishing(_) => return Step::Stay,
        },
        Stage::Preparing | Stage::Starting | Stage::Ready | Stage::Unhealthy => return Step::Stay,
    };
    let before = ended.as_ref().map(|ended| ended.receipt.clone());
    let gives_up = |error| Step::GiveUp(Box::new(error), before.clone().unwrap_or_default());
    match (found, ended) {
        (Examined::Nobody, None) => {
            let plan = given.subject(run).plan(&cx.setup, cx.now.wall);
            run.enter(Stage::Preparing, cx);
            cx.push(Effect::Spawn(Box::new(plan)));
            Step::Stay
        }
        (Examined::Unclear(why), None) => Step::Unclear(why),
        (Examined::Nobody | Examined::Unclear(_), Some(ended)) => Step::Over(ended),
        (Examined::Held(holder), _) => Step::Cede { holder: Box::new(holder), before },
        (Examined::Orphans(orphans), _) if given.spec.policy.foreign.orphans == Some(Orphans::End) => {
            if run.eviction.is_some() {
                // Another program starts them anew; ending them for ever would be a fight.
                return gives_up(refusals::left_over(&run.key.name, &survivors(&orphans)));
            }
            run.eviction = Some(Eviction { left: orphans, is_killing: false });
            signal(run, given, cx);
            Step::Stay
        }
        (Examined::Orphans(orphans), _) => gives_up(refusals::beside_orphans(&run.key.name, &orphans)),
    }
}

fn survivors(orphans: &[Orphan]) -> Vec<Survivor> {
    orphans.iter().map(|orphan| orphan.id.into()).collect()
}

/// Signals the processes of the run's eviction, and arms the deadline for them.
fn signal(run: &Run, given: &Given<'_>, cx: &mut Cx) {
    let Some(Eviction { left, is_killing }) = &run.eviction else { return };
    let (signal, limit_ms) = if *is_killing { ("SIGKILL", LAST_MS) } else { ("SIGTERM", GRACE_MS) };
    cx.arm(Timer::Evict(run.key.name.clone()), limit_ms);
    push(run, given, cx, left.clone(), signal);
}

fn push(run: &Run, given: &Given<'_>, cx: &mut Cx, orphans: Vec<Orphan>, signal: &str) {
    let plan = Box::new(given.subject(run).examine_plan(&cx.setup, cx.now.wall));
    cx.push(Effect::EndOrphans { key: run.key.clone(), orphans, plan, signal: signal.into() });
}

/// One of the processes that are ended in the run's favour has ended. After the last one it is found out who holds the graph now.
pub(crate) fn ended(run: &mut Run, given: &Given<'_>, cx: &mut Cx, pid: i32) -> Step {
    if !run.is_evicting() {
        return Step::Stay;
    }
    if let Some(eviction) = &mut run.eviction {
        eviction.left.retain(|orphan| orphan.id.pid != pid);
    }
    if run.is_evicting() {
        return Step::Stay;
    }
    cx.timers.cancel(&Timer::Evict(run.key.name.clone()));
    if run.end().is_some_and(|end| matches!(end.at, At::CallingOff { .. })) {
        return Step::CalledOff;
    }
    let plan = Box::new(given.subject(run).examine_plan(&cx.setup, cx.now.wall));
    cx.push(Effect::Examine { key: run.key.clone(), plan });
    Step::Stay
}

/// The processes that are ended in the run's favour have had their time: they are killed, or given up.
pub(crate) fn evict(run: &mut Run, given: &Given<'_>, cx: &mut Cx) -> Step {
    let Some(eviction) = &mut run.eviction else { return Step::Stay };
    if !core::mem::replace(&mut eviction.is_killing, true) {
        signal(run, given, cx);
        return Step::Stay;
    }
    let left = core::mem::take(&mut eviction.left);
    let receipt = match run.end().map(|end| &end.at) {
        Some(At::CallingOff { .. }) => return Step::CalledOff,
        Some(At::Examining(ended)) => ended.receipt.clone(),
        Some(At::Asked | At::Lingering(_) | At::Killing | At::Sweeping(_) | At::Finishing(_)) | None => {
            Receipt::default()
        }
    };
    Step::GiveUp(Box::new(refusals::left_over(&run.key.name, &survivors(&left))), receipt)
}

/// Pushes again what an examination, or an eviction, has asked for.
pub(crate) fn resume(run: &mut Run, given: &Given<'_>, cx: &mut Cx) -> Step {
    let is_awaited = match run.stage() {
        Stage::Looking => true,
        Stage::Ending(end) => match &end.at {
            At::CallingOff { awaited, .. } => *awaited == Awaited::Examined,
            At::Examining(_) => true,
            At::Asked | At::Lingering(_) | At::Killing | At::Sweeping(_) | At::Finishing(_) => false,
        },
        Stage::Preparing | Stage::Starting | Stage::Ready | Stage::Unhealthy => false,
    };
    match &run.eviction {
        Some(Eviction { left, is_killing }) if is_awaited && !left.is_empty() => {
            push(run, given, cx, left.clone(), if *is_killing { "SIGKILL" } else { "SIGTERM" });
        }
        Some(_) | None if is_awaited => {
            let plan = Box::new(given.subject(run).examine_plan(&cx.setup, cx.now.wall));
            cx.push(Effect::Examine { key: run.key.clone(), plan });
        }
        Some(_) | None => {}
    }
    Step::Stay
}
