//! The world cooperates: what was asked of it happens, until nothing moves any more.

use super::harness::World;
use super::runs::Stage;
use super::spec::{Stand, stand};
use super::steps::{Seen, Step};
use super::upgrading::Upgrading;
use super::words::killed;
use crate::Note;
use crate::run::Run;
use gob_config::kind::Check;
use gob_protocol::{Exit, Name};
use std::format;
use std::string::String;

/// Enough for every worker to fail as often as it may; whatever takes longer goes round in circles.
const STEPS: usize = 500;

/// Enough for every attempt of every job of the queue.
const STEPS_OF_JOBS: usize = 5_000;

impl World {
    /// Takes steps until nothing moves, then checks that all is well. Workers that do not obey end only when killed.
    pub(super) fn settle(&mut self, obey: bool) -> Result<(), String> {
        for _ in 0..STEPS_OF_JOBS {
            if !self.has_jobs_left() {
                break;
            }
            let step = self.next_step(obey).ok_or("nothing moves, and jobs are left")?;
            self.step(&step).map_err(|why| format!("{why}\nwhen jobs settle with {step:?}"))?;
        }
        for _ in 0..STEPS {
            match self.next_step(obey) {
                Some(step) => {
                    let taken =
                        self.step(&step).map_err(|why| format!("{why}\nwhen settling with {step:?}"))?;
                    ensure!(taken, "{step:?} can't happen");
                }
                None => return self.check_settled(),
            }
        }
        Err(format!("does not settle: {:?}", self.core.workers))
    }

    fn next_step(&self, obey: bool) -> Option<Step> {
        if let Some(step) = self.shared_step() {
            return Some(step);
        }
        if self.upgrading != Upgrading::Nothing {
            return Some(Step::Upgrade(obey));
        }
        if let Some(name) = self.core.cx.past.leftovers().first().and_then(|left| left.worker.clone()) {
            return Some(Step::Leftover(name, false));
        }
        let mut evicting =
            self.core.workers.values().filter(|worker| worker.live().is_some_and(Run::is_evicting));
        if let Some(worker) = evicting.next().filter(|_| obey) {
            return Some(Step::OrphanEnded(worker.name.clone()));
        }
        if let Some(name) = self.runs.all_looking().next() {
            return Some(Step::Examined(name.clone(), Seen::Nobody));
        }
        if let Some(name) = self.runs.all_asked().next() {
            return Some(Step::StopAnswered(name.clone(), obey));
        }
        let mut asked = self.core.workers.values().filter(|worker| worker.is_asked_to_go() && obey);
        if let Some(worker) = asked.next() {
            return Some(Step::HolderGone(worker.name.clone()));
        }
        for (name, run) in self.runs.iter() {
            let name = name.clone();
            match run.stage {
                Stage::Spawning if run.called_off => return Some(Step::CalledOff(name)),
                Stage::Spawning => return Some(Step::Spawned(name)),
                Stage::Exited if run.sweeping || obey => return Some(Step::Swept(name)),
                Stage::Exited => {}
                Stage::Finishing { read: None, .. } => return Some(Step::ReadOut(name, false)),
                Stage::Finishing { .. } => return Some(Step::Freed(name)),
                Stage::Alive { .. } if run.http => return Some(Step::StopAnswered(name, obey)),
                Stage::Alive { .. } if run.sweeping => return Some(Step::Exited(name, killed())),
                Stage::Alive { .. } if run.terminated && obey => {
                    return Some(Step::Exited(name, Exit::Code { code: 0 }));
                }
                Stage::Alive { .. } if name.number().is_some() => {
                    return Some(Step::Exited(name, Exit::Code { code: 0 }));
                }
                Stage::Alive { .. } if !run.told && !run.terminated => return Some(Step::Ready(name)),
                Stage::Alive { .. } if self.is_to_be_heard_of(&name) => {
                    return Some(Step::Notified(name, Note { alive: true, ..Note::default() }));
                }
                Stage::Alive { .. } => {}
            }
        }
        let waiting = !self.owed.is_empty()
            || self.has_jobs_left()
            || self.core.workers.values().any(|worker| match stand(worker) {
                Stand::Rest | Stand::External | Stand::Up => false,
                Stand::Backoff | Stand::Starting | Stand::Ending => true,
            });
        (waiting && self.wake.is_some()).then_some(Step::Due)
    }

    /// Tells whether a run has to report before long that it is well.
    fn is_to_be_heard_of(&self, name: &Name) -> bool {
        self.core.workers.get(name).is_some_and(|worker| {
            let notify =
                worker.spec.policy.liveness.as_ref().is_some_and(|liveness| liveness.check == Check::Notify);
            notify && stand(worker) == Stand::Up && !worker.live().is_some_and(|run| run.health.heard)
        })
    }

    fn check_settled(&self) -> Result<(), String> {
        ensure!(self.owed.is_empty(), "nothing moves and {:?} are owed", self.owed);
        for worker in self.core.workers.values() {
            let stand = stand(worker);
            let down = matches!(stand, Stand::Rest | Stand::External);
            ensure!(down || stand == Stand::Up, "nothing moves and {worker:?}");
            ensure!(down || !self.spec.is_down(&worker.name), "it was stopped: {worker:?}");
        }
        ensure!(self.ended == self.spec.ending, "the end came: {}", self.ended);
        self.check_shared_settled()
    }
}
