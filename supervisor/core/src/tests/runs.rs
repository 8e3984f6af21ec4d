//! Processes as a truthful shell has them, from the spawn to the last steps; and which effects the core may ask of them.

use super::harness::World;
use super::spec::Expect;
use crate::{Effect, Input, RunKey, SpawnPlan};
use gob_protocol::Name;
use std::collections::BTreeMap;
use std::format;
use std::string::String;
use std::vec::Vec;

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Stage {
    Spawning,
    Alive {
        pid: i32,
    },
    /// Its leader is gone, and its tree is being swept or has the rest of its grace.
    Exited,
    /// Nothing is left of its processes.
    Finishing {
        /// The last steps were ordered.
        ordered: bool,
        /// Its output is read; whether another process has its port.
        read: Option<bool>,
        /// Its lock is free.
        free: bool,
    },
}

/// A run from its spawn until it is swept.
#[derive(Debug, Clone, Hash)]
pub(super) struct Run {
    pub(super) run: u64,
    pub(super) stage: Stage,
    /// Its readiness check has answered.
    pub(super) told: bool,
    /// It is to get no process any more.
    pub(super) called_off: bool,
    pub(super) terminated: bool,
    /// How many signals asked it to end.
    pub(super) signals: u8,
    /// It was asked to end by HTTP, which has no answer yet.
    pub(super) http: bool,
    pub(super) needs_port: bool,
    pub(super) sweeping: bool,
    /// Its end is to be told when its tree comes to it by itself.
    pub(super) lingering: bool,
    /// A census is under way.
    pub(super) census: bool,
    /// A probe is under way.
    pub(super) looked_at: bool,
}

/// All runs of which something may be left.
#[derive(Debug, Clone, Default)]
pub(super) struct Runs {
    live: BTreeMap<Name, Run>,
    /// The highest run of each worker.
    last: BTreeMap<Name, u64>,
    /// The latest run of which somebody was told to have started it.
    started: BTreeMap<Name, u64>,
    /// Runs whose graph is looked at before they get a process or after they ended.
    looking: BTreeMap<Name, u64>,
    /// Processes without gob that were told to end for a run.
    evicting: BTreeMap<Name, (u64, Vec<i32>)>,
    /// Runs that were looked at before they got a process.
    opened: BTreeMap<Name, u64>,
    /// Holders that were asked to end and have not answered.
    asked: BTreeMap<Name, u64>,
    pids: i32,
}

impl Run {
    pub(super) fn key(&self, name: &Name) -> RunKey {
        RunKey { name: name.clone(), run: self.run }
    }

    pub(super) fn pid(&self) -> Option<i32> {
        match self.stage {
            Stage::Alive { pid } => Some(pid),
            Stage::Spawning | Stage::Exited | Stage::Finishing { .. } => None,
        }
    }
}

impl Runs {
    pub(super) fn get(&self, name: &Name) -> Option<&Run> {
        self.live.get(name)
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (&Name, &Run)> {
        self.live.iter()
    }

    /// The run whose graph is looked at.
    pub(super) fn looking(&self, name: &Name) -> Option<RunKey> {
        self.looking.get(name).map(|run| RunKey { name: name.clone(), run: *run })
    }

    /// The run for which processes without gob were told to end, and one that has not.
    pub(super) fn evicting(&self, name: &Name) -> Option<(RunKey, i32)> {
        let (run, left) = self.evicting.get(name)?;
        Some((RunKey { name: name.clone(), run: *run }, *left.first()?))
    }

    pub(super) fn all_evicting(&self) -> impl Iterator<Item = &Name> {
        self.evicting.iter().filter(|(_, (_, left))| !left.is_empty()).map(|(name, _)| name)
    }

    /// The run under whose number a holder was asked to end.
    pub(super) fn asked(&self, name: &Name) -> Option<RunKey> {
        self.asked.get(name).map(|run| RunKey { name: name.clone(), run: *run })
    }

    pub(super) fn all_looking(&self) -> impl Iterator<Item = &Name> {
        self.looking.keys()
    }

    pub(super) fn all_asked(&self) -> impl Iterator<Item = &Name> {
        self.asked.keys()
    }

    pub(super) fn next_pid(&self) -> i32 {
        1_000 + self.pids
    }

    /// Notes an input that the shell is about to report.
    pub(super) fn note(&mut self, input: &Input) {
        let mut change = |key: &RunKey, change: &dyn Fn(&mut Run)| {
            if let Some(run) = self.live.get_mut(&key.name).filter(|run| run.run == key.run) {
                change(run);
            }
        };
        match input {
            Input::Spawned { key, pid, .. } => {
                let pid = *pid;
                change(key, &|run| run.stage = Stage::Alive { pid });
                self.pids += 1;
            }
            Input::SpawnFailed { key, .. }
            | Input::CalledOff { key }
            | Input::Held { key, .. }
            | Input::Unfit { key, .. } => {
                self.live.retain(|name, run| *name != key.name || run.run != key.run);
            }
            Input::Swept { key, .. } => change(key, &|run| {
                run.stage = Stage::Finishing { ordered: false, read: None, free: false };
                (run.sweeping, run.lingering) = (false, false);
            }),
            Input::ReadOut { key, port_taken, .. } => {
                change(key, &|run| {
                    if let Stage::Finishing { read, .. } = &mut run.stage {
                        *read = Some(*port_taken);
                    }
                });
                self.forget_if_over(key);
            }
            Input::Freed { key } => {
                change(key, &|run| {
                    if let Stage::Finishing { free, .. } = &mut run.stage {
                        *free = true;
                    }
                });
                self.forget_if_over(key);
            }
            Input::Ready { key, .. } | Input::NeverReady { key, .. } => change(key, &|run| run.told = true),
            Input::StopAnswered { key, .. } => {
                change(key, &|run| run.http = false);
                self.asked.retain(|name, run| *name != key.name || *run != key.run);
            }
            Input::Examined { key, .. } => {
                self.looking.retain(|name, run| *name != key.name || *run != key.run);
            }
            Input::OrphanEnded { key, pid } => {
                if let Some((_, left)) = self.evicting.get_mut(&key.name).filter(|(run, _)| *run == key.run) {
                    left.retain(|other| other != pid);
                }
            }
            Input::Probed { key, .. } => change(key, &|run| run.looked_at = false),
            Input::Exited { key, .. } => change(key, &|run| {
                run.stage = Stage::Exited;
                // A sweep from before the leader's end does not count; the rest of the tree needs a new one.
                (run.sweeping, run.lingering) = (false, false);
            }),
            Input::Surviving { key, .. } => change(key, &|run| run.census = false),
            _other => {}
        }
    }

    fn forget_if_over(&mut self, key: &RunKey) {
        let is_over = |run: &Run| matches!(run.stage, Stage::Finishing { read: Some(_), free: true, .. });
        self.live.retain(|name, run| *name != key.name || run.run != key.run || !is_over(run));
    }

    /// The run begins again, under its number.
    pub(super) fn reopen(&mut self, key: &RunKey) {
        self.opened.insert(key.name.clone(), key.run);
    }

    /// Something of a run can't be ended, and the supervisor ends without it.
    pub(super) fn abandon(&mut self, key: &RunKey) {
        self.live.retain(|name, run| *name != key.name || run.run != key.run);
    }

    /// Notes who started a run; `false` when somebody else did before.
    pub(super) fn mark_started(&mut self, name: &Name, run: u64) -> bool {
        self.started.insert(name.clone(), run).is_none_or(|before| before < run)
    }

    /// The run that an effect is about, which must not be over.
    fn of(&mut self, key: &RunKey, effect: &str) -> Result<&mut Run, String> {
        let run = self.live.get_mut(&key.name).filter(|run| run.run == key.run);
        run.ok_or_else(|| format!("{effect} for {key:?}, which is over or never was"))
    }

    fn alive(&mut self, key: &RunKey, effect: &str) -> Result<&mut Run, String> {
        let run = self.of(key, effect)?;
        ensure!(run.pid().is_some(), "{effect} for {key:?}, which has no leader: {run:?}");
        Ok(run)
    }

    fn begin(&mut self, plan: &SpawnPlan) -> Result<(), String> {
        let key = &plan.key;
        let last = self.last.insert(key.name.clone(), key.run).unwrap_or(0);
        let opened = self.opened.remove(&key.name) == Some(key.run);
        // Its lock was busy.
        let again = plan.after_ms > 0 && key.run == last && !self.live.contains_key(&key.name);
        ensure!(key.run > last || opened || again, "{key:?} is not a new run, {last} was");
        ensure!(!self.looking.contains_key(&key.name), "{key:?} begins while its graph is looked at");
        let stage = Stage::Spawning;
        let run = Run {
            run: key.run,
            stage,
            told: false,
            called_off: false,
            terminated: false,
            signals: 0,
            http: false,
            needs_port: plan.port.is_some(),
            sweeping: false,
            lingering: false,
            census: false,
            looked_at: false,
        };
        let old = self.live.insert(key.name.clone(), run);
        ensure!(old.is_none(), "{key:?} begins while {old:?} lives");
        Ok(())
    }

    /// The graph of a run is looked at; true when that is how the run begins.
    fn look(&mut self, key: &RunKey) -> Result<bool, String> {
        let old = self.looking.insert(key.name.clone(), key.run);
        ensure!(old.is_none(), "{key:?} is looked at twice");
        ensure!(!self.live.contains_key(&key.name), "{key:?} is looked at while a run lives");
        let last = self.last.insert(key.name.clone(), key.run).unwrap_or(0);
        ensure!(key.run >= last, "{key:?} is looked at, which is over");
        let begins = key.run > last;
        if begins {
            self.opened.insert(key.name.clone(), key.run);
        }
        Ok(begins)
    }
}

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

    /// Does what the core asks for, if it may ask for it.
    pub(super) fn carry_out(
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
            Effect::Signal { key, signal, asked_by } => {
                let run = self.runs.alive(key, "signal")?;
                // No client of these tests sends this one.
                let of_socket = signal == "SIGURG";
                ensure!(!of_socket || !run.terminated, "{key:?} is told of its socket while it ends");
                ensure!(of_socket == asked_by.is_none(), "{signal} of {asked_by:?}");
                // `feed` answers it.
                self.signalling = asked_by.clone();
            }
            // Tests of graphs answer these.
            Effect::FindGraphs(_) | Effect::DeleteGraph { .. } => {}
            Effect::Remember { key } => drop(self.runs.alive(key, "record")?),
            // `feed` answers it.
            Effect::ReadConfig => {}
            Effect::Forget { name } => {
                let live = self.runs.get(name);
                ensure!(live.is_none(), "{name} is forgotten while {live:?} lives");
                ensure!(expect.removed.contains(name), "{name} is forgotten, which nobody asked for");
                // Its numbers are used up: what is still under way about its runs may be told later.
                self.runs.opened.remove(name);
            }
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
