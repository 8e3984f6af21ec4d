//! Effects carried out as a truthful shell does: the ones that the core may ask of a run, and no other.

use super::super::harness::World;
use super::super::spec::Expect;
use super::Stage;
use crate::{Effect, Question};
use gob_protocol::Name;
use std::format;
use std::string::String;
use std::vec::Vec;

impl World {
    /// The last steps of a run are ordered.
    fn finish(&mut self, effect: &Effect) -> Result<(), String> {
        let (Effect::ReadRest { key, .. } | Effect::Free { key }) = effect else { return Ok(()) };
        let run = self.runs.of(key, "last steps")?;
        let Stage::Finishing { ordered, .. } = &mut run.stage else {
            return Err(format!("{key:?} finishes too early: {run:?}"));
        };
        let again = matches!(effect, Effect::ReadRest { .. }) && core::mem::replace(ordered, true);
        ensure!(!again, "{key:?} finishes twice");
        Ok(())
    }

    /// Notes a signal, which `feed` answers.
    fn signals(&mut self, effect: &Effect) -> Result<(), String> {
        let Effect::Signal { key, signal, asked_by } = effect else { return Ok(()) };
        let run = self.runs.alive(key, "signal")?;
        // No client of these tests sends this one.
        let of_socket = signal == "SIGURG";
        ensure!(!of_socket || !run.terminated, "{key:?} is told of its socket while it ends");
        ensure!(of_socket == asked_by.is_none(), "{signal} of {asked_by:?}");
        self.signalling = asked_by.clone();
        Ok(())
    }

    /// Does what the core asks for, if it may ask for it.
    pub(in crate::tests) fn carry_out(
        &mut self,
        effect: &Effect,
        expect: &Expect,
        spawned: &mut Vec<Name>,
    ) -> Result<(), String> {
        let touches = matches!(
            effect,
            Effect::Spawn(_)
                | Effect::Terminate { .. }
                | Effect::StopHttp { .. }
                | Effect::Probe { .. }
                | Effect::Sweep { .. }
                | Effect::Linger { .. }
                | Effect::Signal { .. }
        );
        ensure!(!self.ended || !touches, "{effect:?} after the end");
        match effect {
            Effect::Reply { conn, id, result } => self.replied(*conn, id.as_ref(), result)?,
            Effect::ReplyStatus { conn, id, status } => self.told_status(*conn, id.as_ref(), status)?,
            Effect::Publish { event, owned, others } => self.published(event, owned, others)?,
            Effect::Lagged { conn, frame } => self.lagged(*conn, frame)?,
            Effect::Spawn(plan) => {
                self.attempt_begins(&plan.key.name, plan.key.run)?;
                if !self.runs.opened.contains_key(&plan.key.name) && plan.after_ms == 0 {
                    spawned.push(plan.key.name.clone());
                }
                self.runs.begin(plan)?;
                ensure!(!self.spec.is_down(&plan.key.name), "{:?} spawned after a stop", plan.key);
            }
            Effect::CallOff { key } => {
                let run = self.runs.of(key, "call off")?;
                ensure!(run.stage == Stage::Spawning && !run.called_off, "{key:?} called off: {run:?}");
                run.called_off = true;
            }
            Effect::Examine { .. } | Effect::EndOrphans { .. } | Effect::Follow { .. } => {
                self.look_around(effect, spawned)?;
            }
            Effect::Terminate { .. } | Effect::Sweep { .. } | Effect::Linger { .. } => {
                self.end_tree(effect)?
            }
            Effect::StopHttp { key, .. } => {
                if self.runs.get(&key.name).is_none() {
                    return self.look_around(effect, spawned);
                }
                let run = self.runs.alive(key, "stop by HTTP")?;
                ensure!(!run.terminated && !run.sweeping, "{key:?} asked politely too late");
                (run.terminated, run.http) = (true, true);
            }
            Effect::Probe { .. } | Effect::EndProbe { .. } => self.probe(effect)?,
            Effect::ReadRest { .. } | Effect::Free { .. } => self.finish(effect)?,
            Effect::Census { key } => {
                let run = self.runs.of(key, "census")?;
                ensure!(run.sweeping, "census of {key:?}, which nobody sweeps");
                run.census = true;
            }
            Effect::Signal { .. } => self.signals(effect)?,
            // Tests of graphs and of ports answer these.
            Effect::FindGraphs(_) | Effect::DeleteGraph { .. } | Effect::FindPorts { .. } => {}
            Effect::Remember { key } => drop(self.runs.alive(key, "record")?),
            // `feed` answers the first one, and tests of ports the last one.
            Effect::ReadConfig
            | Effect::Share(_)
            | Effect::BoundHistory { .. }
            | Effect::LookForPorts { .. } => {}
            Effect::TryProgram { .. } | Effect::Replace | Effect::BringKeeper => self.upgrades(effect)?,
            // Nothing depends on what is recorded or marked; and no client of these tests asks for it.
            Effect::Record(_) | Effect::MarkJobs { .. } => {}
            // `feed` answers it.
            Effect::Ask { question: Question::Durations(_), .. } => {}
            Effect::Ask { .. } | Effect::MarkLocks { .. } | Effect::UnmarkLocks => {
                ensure!(self.shared.takes(effect), "{effect:?}, which nobody needs");
            }
            Effect::Forget { name } => {
                let live = self.runs.get(name);
                ensure!(live.is_none(), "{name} is forgotten while {live:?} lives");
                ensure!(expect.removed.contains(name), "{name} is forgotten, which nobody asked for");
                // Its numbers are used up: what is still under way about its runs may be told later.
                self.runs.opened.remove(name);
            }
            Effect::ForgetRun(key) => return Err(format!("{key:?} is forgotten, which nobody asked for")),
            Effect::WakeAt(at) => self.wake = *at,
            Effect::Exit { .. } => {
                ensure!(self.runs.live.is_empty(), "the end comes while {:?} live", self.runs.live);
                ensure!(!core::mem::replace(&mut self.ended, true), "a second end");
            }
        }
        Ok(())
    }

    /// Ends a run's tree.
    fn end_tree(&mut self, effect: &Effect) -> Result<(), String> {
        match effect {
            Effect::Terminate { key, .. } => {
                let twice = self
                    .core
                    .workers
                    .get(&key.name)
                    .is_some_and(|worker| worker.spec.policy.stop.then.is_some());
                let run = self.runs.of(key, "terminate")?;
                ensure!(run.pid().is_some() || run.lingering, "{key:?} has nobody to be asked: {run:?}");
                ensure!(run.signals < 1 + u8::from(twice), "{key:?} asked to end too often");
                run.signals += 1;
                ensure!(!run.sweeping, "{key:?} asked to end while it is being killed");
                run.terminated = true;
            }
            Effect::Sweep { key } => {
                let run = self.runs.of(key, "sweep")?;
                ensure!(run.stage != Stage::Spawning, "{key:?} swept before it was spawned");
                (run.sweeping, run.lingering) = (true, false);
            }
            Effect::Linger { key, .. } => {
                let run = self.runs.of(key, "linger")?;
                ensure!(run.stage == Stage::Exited, "{key:?} lingers with a leader: {run:?}");
                ensure!(run.terminated, "{key:?} lingers and was not asked to end");
                ensure!(!run.sweeping && !run.lingering, "{key:?} lingers twice, or while it is killed");
                run.lingering = true;
            }
            _other => {}
        }
        Ok(())
    }

    /// Looks at a run from outside.
    fn probe(&mut self, effect: &Effect) -> Result<(), String> {
        match effect {
            Effect::Probe { key, .. } => {
                let run = self.runs.alive(key, "probe")?;
                ensure!(!core::mem::replace(&mut run.looked_at, true), "{key:?} is probed twice");
            }
            Effect::EndProbe { key } => {
                let run = self.runs.of(key, "end of a probe")?;
                ensure!(core::mem::take(&mut run.looked_at), "{key:?} is not probed");
            }
            _other => {}
        }
        Ok(())
    }

    /// Carries out effects about processes without gob.
    fn look_around(&mut self, effect: &Effect, spawned: &mut Vec<Name>) -> Result<(), String> {
        match effect {
            Effect::Examine { key, .. } => {
                let begins = self.runs.look(key)?;
                ensure!(!begins || !self.spec.is_down(&key.name), "{key:?} begins after a stop");
                spawned.extend(begins.then(|| key.name.clone()));
            }
            Effect::EndOrphans { key, orphans, .. } => {
                let is_known = self.runs.last.get(&key.name) == Some(&key.run);
                ensure!(is_known, "{key:?} was not looked at before its orphans are ended");
                ensure!(self.runs.looking(&key.name).is_none(), "{key:?} is looked at meanwhile");
                ensure!(!orphans.is_empty(), "nobody is to be ended for {key:?}");
                let pids = orphans.iter().map(|orphan| orphan.id.pid).collect();
                self.runs.evicting.insert(key.name.clone(), (key.run, pids));
            }
            Effect::Follow { name, pid } => {
                let worker = self.core.workers.get(name);
                let fits = worker.is_some_and(|worker| worker.pid() == Some(*pid));
                ensure!(fits, "{pid} is followed for {worker:?}");
            }
            Effect::StopHttp { key, .. } => {
                let worker = self.core.workers.get(&key.name);
                let external = worker.is_some_and(|worker| worker.holder().is_some());
                ensure!(external, "{key:?} is asked to end and is neither ours nor a holder");
                self.runs.asked.insert(key.name.clone(), key.run);
            }
            _other => {}
        }
        Ok(())
    }
}
