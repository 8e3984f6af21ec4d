//! One run: its leader, who belongs to it, and what its receipt says.

use crate::graph_lock::HeldLock;
use crate::sys::fds::Spare;
use crate::sys::process::{self, Found};
use crate::sys::tag::Tag;
use gob_core::RunKey;
use gob_protocol::{ProcessId, Receipt, Signalled};
use std::collections::BTreeMap;
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::time::Instant;

/// One run's processes.
pub(super) struct Run {
    pub(super) key: RunKey,
    pub(super) leader: i32,
    pub(super) start_time: u64,
    pub(super) pidfd: OwnedFd,
    /// The lock of its graph, held until nothing is left of it, also if its processes have let go of it.
    pub(super) lock: Option<Arc<HeldLock>>,
    pub(super) tag: Tag,
    pub(super) reaped: bool,
    /// When it was asked to end, in clock ticks since boot: from then on its group does not die with its leader.
    pub(super) asked: Option<u64>,
    /// Its group was, by a signal.
    pub(super) group_asked: bool,
    /// Its leader is gone, and the others have the rest of the grace.
    pub(super) lingering: bool,
    /// What is left of it is killed.
    pub(super) sweeping: bool,
    /// Whether it has a control group.
    pub(super) grouped: bool,
    /// When its end began, and whom that concerned.
    pub(super) ending: Option<(Instant, BTreeMap<ProcessId, Signalled>)>,
}

impl Run {
    pub(super) fn id(&self) -> ProcessId {
        ProcessId { pid: self.leader, start_time: self.start_time }
    }

    /// Whether a process needs no signal to know of the end: it got one, alone or with its group, or it was started later,
    /// as a step of the end.
    pub(super) fn was_asked(&self, found: &Found) -> bool {
        let entry = self.ending.as_ref().and_then(|(_, concerned)| concerned.get(&found.id));
        (self.group_asked && found.pgid == self.leader)
            || self.asked.is_some_and(|at| found.id.start_time > at)
            || entry.is_some_and(|entry| !entry.signals.is_empty())
    }

    /// Sends a signal and then SIGCONT to each of these, through a handle that was checked after it was opened.
    pub(super) fn signal_each(&mut self, members: &[Found], (number, name): (i32, &str), spare: &Spare) {
        let (_, concerned) = self.ending.get_or_insert_with(|| (Instant::now(), BTreeMap::new()));
        for found in members {
            let entry = concerned.entry(found.id).or_insert_with(|| new_entry(found.id));
            let Ok(Some(pidfd)) = spare.with_room(|| process::open(found, self.tag)) else { continue };
            if process::send(&pidfd, number).is_ok() {
                entry.signals.push(name.to_owned());
                // One that was stopped sees it then.
                process::send(&pidfd, libc::SIGCONT).unwrap_or_default();
            }
        }
    }

    /// Kills these members; false when there is nobody left to kill.
    pub(super) fn kill(&mut self, members: &[Found], spare: &Spare) -> bool {
        self.note_ends(members);
        // Its number may be another group's once the leader is reaped; the handle stays that of this one.
        let group_killed = if self.reaped {
            process::send_group_of(&self.pidfd, libc::SIGKILL).is_ok()
        } else {
            process::send_group(self.leader, libc::SIGKILL).is_ok()
        };
        // Who went with the group is dead by now and can't be opened any more.
        let killed: Vec<Found> = members
            .iter()
            .filter(|found| {
                (group_killed && found.pgid == self.leader)
                    || spare
                        .with_room(|| process::open(found, self.tag))
                        .is_ok_and(|pidfd| pidfd.is_some_and(|fd| process::send(&fd, libc::SIGKILL).is_ok()))
            })
            .copied()
            .collect();
        self.note_killed(&killed);
        !members.is_empty()
    }

    /// Notes a SIGKILL for these.
    pub(super) fn note_killed(&mut self, killed: &[Found]) {
        let Some((_, concerned)) = &mut self.ending else { return };
        for found in killed {
            let entry = concerned.entry(found.id).or_insert_with(|| new_entry(found.id));
            if !entry.signals.iter().any(|signal| signal == "SIGKILL") {
                entry.signals.push("SIGKILL".to_owned());
            }
        }
    }

    /// Notes the time for all who are not alive any more.
    pub(super) fn note_ends(&mut self, alive: &[Found]) {
        let Some((begun, concerned)) = &mut self.ending else { return };
        let now = u64::try_from(begun.elapsed().as_millis()).unwrap_or(u64::MAX);
        for (id, entry) in concerned {
            let gone =
                if id.pid == self.leader { self.reaped } else { !alive.iter().any(|found| found.id == *id) };
            if gone && entry.ended_ms.is_none() && (self.reaped || self.sweeping) {
                entry.ended_ms = Some(now);
            }
        }
    }

    pub(super) fn receipt(&self) -> Receipt {
        let signalled = self.ending.iter().flat_map(|(_, concerned)| concerned.values().cloned()).collect();
        Receipt { signalled, survivors: Vec::new() }
    }
}

pub(super) fn new_entry(id: ProcessId) -> Signalled {
    Signalled { pid: id.pid, start_time: id.start_time, signals: Vec::new(), ended_ms: None }
}
