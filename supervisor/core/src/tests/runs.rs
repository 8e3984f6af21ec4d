//! Processes as a truthful shell has them, from the spawn to the end of the sweep.

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
    /// Its leader is gone, its tree is being swept.
    Exited,
}

/// A run from its spawn until it is swept.
#[derive(Debug, Clone, Hash)]
pub(super) struct Run {
    pub(super) run: u64,
    pub(super) stage: Stage,
    /// Its readiness check has answered.
    pub(super) told: bool,
    pub(super) terminated: bool,
    /// How many signals asked it to end.
    pub(super) signals: u8,
    /// It was asked to end by HTTP, which has no answer yet.
    pub(super) http: bool,
    pub(super) probing: bool,
    pub(super) needs_port: bool,
    pub(super) sweeping: bool,
    /// A census is under way.
    pub(super) census: bool,
}

/// All runs of which something may be left.
#[derive(Debug, Clone, Default)]
pub(super) struct Runs {
    live: BTreeMap<Name, Run>,
    /// The highest run of each worker.
    last: BTreeMap<Name, u64>,
    /// The latest run of which somebody was told to have started it.
    started: BTreeMap<Name, u64>,
    pids: i32,
}

impl Run {
    pub(super) fn key(&self, name: &Name) -> RunKey {
        RunKey { name: name.clone(), run: self.run }
    }

    pub(super) fn pid(&self) -> Option<i32> {
        match self.stage {
            Stage::Alive { pid } => Some(pid),
            Stage::Spawning | Stage::Exited => None,
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

    pub(super) fn next_pid(&self) -> i32 {
        1_000 + self.pids
    }

    /// What the shell knows before it tells the core.
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
            Input::SpawnFailed { key, .. } | Input::Swept { key, .. } => {
                self.live.retain(|name, run| *name != key.name || run.run != key.run);
            }
            Input::Ready { key, .. } | Input::NeverReady { key, .. } => change(key, &|run| run.told = true),
            Input::StopAnswered { key, .. } => change(key, &|run| run.http = false),
            Input::Exited { key, .. } => change(key, &|run| {
                run.stage = Stage::Exited;
                // Whatever was killed before: what is left now has to be swept anew.
                run.sweeping = false;
            }),
            Input::Surviving { key, .. } => change(key, &|run| run.census = false),
            _other => {}
        }
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
        ensure!(key.run > last, "{key:?} is not a new run, {last} was");
        let stage = Stage::Spawning;
        let run = Run {
            run: key.run,
            stage,
            told: false,
            terminated: false,
            signals: 0,
            http: false,
            probing: false,
            needs_port: plan.needs_port,
            sweeping: false,
            census: false,
        };
        let old = self.live.insert(key.name.clone(), run);
        ensure!(old.is_none(), "{key:?} begins while {old:?} lives");
        Ok(())
    }
}

impl World {
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
                | Effect::Signal { .. }
        );
        ensure!(!self.ended || !touches, "{effect:?} after the end");
        match effect {
            Effect::Reply { conn, id, result } => self.replied(*conn, id.as_ref(), result)?,
            Effect::ReplyStatus { conn, id, status } => self.told_status(*conn, id.as_ref(), status)?,
            Effect::Publish { event, owned, others } => self.published(event, owned, others)?,
            Effect::Lagged { conn, frame } => self.lagged(*conn, frame)?,
            Effect::Spawn(plan) => {
                self.runs.begin(plan)?;
                ensure!(!self.spec.is_down(&plan.key.name), "{:?} spawned after a stop", plan.key);
                spawned.push(plan.key.name.clone());
            }
            Effect::Terminate { key, .. } => {
                let twice =
                    self.core.workers.get(&key.name).is_some_and(|worker| worker.kind.stop.then.is_some());
                let run = self.runs.alive(key, "terminate")?;
                ensure!(run.signals < 1 + u8::from(twice), "{key:?} asked to end too often");
                run.signals += 1;
                ensure!(!run.sweeping, "{key:?} asked to end while it is being killed");
                run.terminated = true;
            }
            Effect::StopHttp { key, .. } => {
                let run = self.runs.alive(key, "stop by HTTP")?;
                ensure!(!run.terminated && !run.sweeping, "{key:?} asked politely too late");
                (run.terminated, run.http) = (true, true);
            }
            Effect::Probe { key, .. } => {
                let run = self.runs.alive(key, "probe")?;
                ensure!(!core::mem::replace(&mut run.probing, true), "{key:?} probed twice");
            }
            Effect::EndProbe { key } => {
                let run = self.runs.of(key, "end of a probe")?;
                ensure!(core::mem::take(&mut run.probing), "{key:?} is not probed");
            }
            Effect::Sweep { key } => {
                let run = self.runs.of(key, "sweep")?;
                ensure!(run.stage != Stage::Spawning, "{key:?} swept before it was spawned");
                run.sweeping = true;
            }
            Effect::Census { key } => {
                let run = self.runs.of(key, "census")?;
                ensure!(run.sweeping, "census of {key:?}, which nobody sweeps");
                run.census = true;
            }
            Effect::Signal { key, .. } => {
                self.runs.alive(key, "signal")?;
            }
            // `feed` answers it.
            Effect::ReadConfig => {}
            Effect::Forget { name } => {
                let live = self.runs.get(name);
                ensure!(live.is_none(), "{name} is forgotten while {live:?} lives");
                ensure!(expect.removed.contains(name), "{name} is forgotten, which nobody asked for");
                self.runs.last.remove(name);
                self.runs.started.remove(name);
            }
            Effect::WakeAt(at) => self.wake = *at,
            Effect::Exit { .. } => {
                ensure!(self.runs.live.is_empty(), "the end comes while {:?} live", self.runs.live);
                ensure!(!core::mem::replace(&mut self.ended, true), "a second end");
            }
        }
        Ok(())
    }
}
