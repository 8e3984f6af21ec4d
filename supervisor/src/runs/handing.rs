//! The runs as data, between two programs of the supervisor: handles, tags, locks, and how far the end of each has come.
//!
//! The processes themselves stay what they are: children of this process.

use super::Runs;
use super::run::{Ending, Run};
use crate::cgroups::Cgroups;
use crate::claims::Claims;
use crate::clock::Clock;
use crate::disks::Disks;
use crate::graph_lock::{HeldLock, HeldLockState};
use crate::journal::{Journal, JournalState};
use crate::sys::linux::Linux;
use crate::sys::spawn;
use crate::sys::tag::{Given, Tag, Tags};
use crate::upgrade::{Fd, Inherited, Named, Unfit};
use gob_core::RunKey;
use gob_protocol::{ProcessId, Signalled};
use serde::{Deserialize, Serialize};
use std::path::Path;
use std::sync::Arc;

/// All runs.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct RunsState {
    runs: Vec<RunState>,
    given: Given,
    journal: JournalState,
    cgroups: Option<Cgroups>,
    /// The runs of adopted children that are known.
    kin: Vec<(i32, Tag)>,
    /// Numbers that a child's descriptors have for a moment.
    slots: Option<[Fd; 6]>,
}

/// One run.
#[derive(Debug, Serialize, Deserialize)]
struct RunState {
    key: RunKey,
    leader: i32,
    start_time: u64,
    pidfd: Fd,
    lock: Option<HeldLockState>,
    tag: Tag,
    tagged: bool,
    reaped: bool,
    asked: Option<u64>,
    group_asked: bool,
    lingering: Option<(i32, String)>,
    sweeping: bool,
    grouped: bool,
    ending: Option<EndingState>,
}

/// The end of a run, with the time of its begin as the core counts it.
#[derive(Debug, Serialize, Deserialize)]
struct EndingState {
    begun_ms: u64,
    concerned: Vec<(ProcessId, Signalled)>,
}

impl Runs {
    /// Returns what another program needs to go on with them.
    pub(crate) fn hand_over(&self, clock: Clock, named: &mut Named) -> RunsState {
        RunsState {
            runs: self.by_tag.values().map(|run| run.hand_over(clock, named)).collect(),
            given: self.tags.given(),
            journal: self.journal.hand_over(named),
            cgroups: self.cgroups.clone(),
            kin: self.kin.known.iter().map(|(pid, tag)| (*pid, *tag)).collect(),
            slots: spawn::hand_over(named),
        }
    }

    /// Goes on with the runs of another program of this process.
    ///
    /// # Errors
    /// When a descriptor is missing.
    pub(crate) fn resume(
        state: RunsState,
        (open_files, instance): (libc::rlimit, String),
        (state_dir, disks): (&Path, Disks),
        (claims, clock): (&Claims, Clock),
        inherited: &mut Inherited,
    ) -> Result<Self, Unfit> {
        let RunsState { mut runs, given, journal, cgroups, kin, slots } = state;
        if let Some(slots) = slots {
            spawn::take_over(slots, inherited)?;
        }
        let journal = Journal::resume(journal, state_dir, disks, inherited)?;
        let mut all = Self::on(Linux::new(), Tags::resume(given), journal, cgroups, open_files, instance)?;
        // A claim that was taken over by a later one stays taken over.
        runs.sort_by_key(|run| run.lock.as_ref().map_or(0, HeldLockState::order));
        for state in runs {
            let run = Run::resume(state, claims, clock, inherited)?;
            all.by_key.insert(run.key.clone(), run.tag);
            if !run.reaped {
                all.by_leader.insert(run.leader, run.tag);
            }
            all.new_sweeps |= run.is_watched();
            all.by_tag.insert(run.tag, run);
        }
        all.kin.known.extend(kin);
        Ok(all)
    }
}

impl Run<Linux> {
    fn hand_over(&self, clock: Clock, named: &mut Named) -> RunState {
        RunState {
            key: self.key.clone(),
            leader: self.leader,
            start_time: self.start_time,
            pidfd: named.name(&self.pidfd),
            lock: self.lock.as_ref().map(|lock| lock.hand_over(named)),
            tag: self.tag,
            tagged: self.tagged,
            reaped: self.reaped,
            asked: self.asked,
            group_asked: self.group_asked,
            lingering: self.lingering.clone(),
            sweeping: self.sweeping,
            grouped: self.grouped,
            ending: self.ending.as_ref().map(|Ending { begun, concerned }| EndingState {
                begun_ms: clock.mono_ms(*begun),
                concerned: concerned.iter().map(|(id, signalled)| (*id, signalled.clone())).collect(),
            }),
        }
    }

    fn resume(
        state: RunState,
        claims: &Claims,
        clock: Clock,
        inherited: &mut Inherited,
    ) -> Result<Self, Unfit> {
        let RunState { key, leader, start_time, pidfd, lock, tag, tagged, reaped, .. } = state;
        let lock = lock.map(|lock| HeldLock::resume(lock, claims, inherited)).transpose()?.map(Arc::new);
        let ending = state.ending.map(|EndingState { begun_ms, concerned }| Ending {
            begun: clock.earlier(begun_ms),
            concerned: concerned.into_iter().collect(),
        });
        Ok(Self {
            key,
            leader,
            start_time,
            pidfd: inherited.take(pidfd)?,
            lock,
            tag,
            tagged,
            reaped,
            asked: state.asked,
            group_asked: state.group_asked,
            lingering: state.lingering,
            sweeping: state.sweeping,
            grouped: state.grouped,
            ending,
        })
    }
}
