//! The graph may be held without gob (FEATURES A8, A9): before a run gets a process, and after one that never was ready, the
//! shell finds out by whom. gob never starts beside a holder, and never signals one.

use crate::cx::Cx;
use crate::io::Effect;
use crate::parts::Examined;
use crate::refusals;
use crate::run::{At, Run, Stage};
use crate::step::{Given, Step};
use alloc::boxed::Box;
use alloc::vec::Vec;
use gob_config::kind::Orphans;

/// It is found out who holds the run's graph.
pub(crate) fn examined(run: &mut Run, given: &Given<'_>, cx: &mut Cx, found: Examined) -> Step {
    let ended = match run.stage() {
        Stage::Looking => None,
        Stage::Ending(end) => match &end.at {
            // It was stopped, or took too long, before it had a process.
            At::CallingOff { .. } => return Step::CalledOff,
            At::Examining(ended) => Some(ended.clone()),
            At::Asked | At::Lingering(_) | At::Killing | At::Sweeping(_) => return Step::Stay,
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
            let plan = Box::new(given.subject(run).examine_plan(&cx.setup, cx.now.wall));
            cx.push(Effect::EndOrphans { key: run.key.clone(), orphans, plan });
            Step::Stay
        }
        (Examined::Orphans(orphans), _) => gives_up(refusals::beside_orphans(&run.key.name, &orphans)),
        (Examined::Survived(orphans), _) => {
            let pids: Vec<i32> = orphans.iter().map(|orphan| orphan.id.pid).collect();
            gives_up(refusals::left_over(&run.key.name, &pids))
        }
    }
}
