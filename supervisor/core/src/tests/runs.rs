//! Processes as a truthful shell has them, from the spawn to the last steps.

mod effects;

use crate::{Input, RunKey, SpawnPlan};
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

    pub(super) fn iter(&self) -> impl Iterator<Item = (&Name, &Run)> + Clone {
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

    /// All processes are gone with their supervisor. Returns the highest run of each worker, by the logs that it has left.
    pub(super) fn restarts(&mut self) -> BTreeMap<Name, u64> {
        let (last, started, pids) =
            (std::mem::take(&mut self.last), std::mem::take(&mut self.started), self.pids);
        *self = Self { last, started, pids, ..Self::default() };
        self.last.clone()
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
