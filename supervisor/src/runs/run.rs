//! One run: its leader, who belongs to it, and what its receipt says.

use crate::graph_lock::HeldLock;
use crate::program::errno_name;
use crate::sys::fds::Spare;
use crate::sys::process::{self, Found};
use crate::sys::tag::{self, Tag};
use gob_core::RunKey;
use gob_protocol::{ProcessId, Receipt, Signalled, Survivor};
use std::collections::BTreeMap;
use std::io;
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::time::Instant;

/// So many processes of one run are killed in one turn, where they are killed as they are seen.
const KILLED_AT_ONCE: usize = 1024;

/// One run's processes.
pub(super) struct Run {
    pub(super) key: RunKey,
    pub(super) leader: i32,
    pub(super) start_time: u64,
    pub(super) pidfd: OwnedFd,
    /// The lock of its graph, held until nothing is left of it, also if its processes have let go of it.
    pub(super) lock: Option<Arc<HeldLock>>,
    pub(super) tag: Tag,
    /// Whether its processes carry the tag.
    pub(super) tagged: bool,
    pub(super) reaped: bool,
    /// When it was asked to end, in clock ticks since boot: from then on its group does not die with its leader.
    pub(super) asked: Option<u64>,
    /// Its group was, by a signal.
    pub(super) group_asked: bool,
    /// Its leader is gone, and the others have the rest of the grace: the signal for those that were not asked yet.
    pub(super) lingering: Option<(i32, String)>,
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

    /// Whether its end is waited for: it is killed, or lingers.
    pub(super) const fn is_watched(&self) -> bool {
        self.sweeping || self.lingering.is_some()
    }

    /// Sends a signal and then SIGCONT to each of these, through a handle that was checked after it was opened.
    pub(super) fn signal_each(&mut self, members: &[Found], (number, name): (i32, &str), spare: &Spare) {
        for found in members {
            let Ok(Some(pidfd)) = spare.with_room(|| process::open(found, self.tag)) else { continue };
            let sent = process::send(&pidfd, number);
            if sent.is_ok() {
                // One that was stopped sees it then.
                process::send(&pidfd, libc::SIGCONT).unwrap_or_default();
            }
            self.note_signal(found, name, sent);
        }
    }

    /// Asks those of its tree that were not asked yet, and notes who has ended.
    pub(super) fn go_on_lingering(&mut self, members: &[Found], spare: &Spare) {
        self.note_ends(members);
        let Some((number, name)) = self.lingering.clone() else { return };
        let not_asked: Vec<Found> = members.iter().filter(|found| !self.was_asked(found)).copied().collect();
        self.signal_each(&not_asked, (number, &name), spare);
    }

    /// Kills these members.
    pub(super) fn kill(&mut self, members: &[Found], spare: &Spare) {
        self.note_ends(members);
        // Its number may be another group's once the leader is reaped; the handle stays that of this one.
        let group_killed = if self.reaped {
            process::send_group_of(&self.pidfd, libc::SIGKILL).is_ok()
        } else {
            process::send_group(self.leader, libc::SIGKILL).is_ok()
        };
        for found in members {
            let sent = if group_killed && found.pgid == self.leader {
                // Who went with the group is dead by now and can't be opened any more.
                if process::is_denied(found.id.pid) { Err(denied()) } else { Ok(()) }
            } else {
                match self.kill_one(found, spare) {
                    Some(sent) => sent,
                    None => continue,
                }
            };
            self.note_signal(found, "SIGKILL", sent);
        }
    }

    /// Kills whoever carries the run's tag the moment that it is seen, and then these members. Of hundreds that go on as their
    /// own children, those at the end of a list would be gone when their turn comes.
    pub(super) fn kill_as_seen(&mut self, members: &[Found], spare: &Spare) {
        let pids = spare.with_room(process::pids).into_iter().flatten().flatten();
        let tag = self.tag;
        for pid in pids.filter(|pid| tag::of(*pid) == Some(tag.0)).take(KILLED_AT_ONCE) {
            if let Some(found) = process::seen(pid)
                && let Some(sent) = self.kill_one(&found, spare)
            {
                self.note_signal(&found, "SIGKILL", sent);
            }
        }
        // Those among them that have lost the tag, and the group.
        self.kill(members, spare);
    }

    /// Kills one process; `None` when it has ended meanwhile, or can't be examined now.
    fn kill_one(&self, found: &Found, spare: &Spare) -> Option<io::Result<()>> {
        let pidfd = spare.with_room(|| process::open(found, self.tag)).ok().flatten()?;
        Some(process::send(&pidfd, libc::SIGKILL))
    }

    /// Notes that a process was sent a signal of its end, or why it could not be; each KILL once.
    pub(super) fn note_signal(&mut self, found: &Found, name: &str, sent: io::Result<()>) {
        let Some((_, concerned)) = &mut self.ending else { return };
        let entry = concerned.entry(found.id).or_insert_with(|| new_entry(found.id));
        match sent {
            Ok(()) if name == "SIGKILL" && entry.signals.iter().any(|signal| signal == name) => {}
            Ok(()) => entry.signals.push(name.to_owned()),
            // It is gone, which the next look sees.
            Err(e) if e.raw_os_error() == Some(libc::ESRCH) => {}
            Err(e) => entry.error = Some(errno_name(&e)),
        }
    }

    /// Notes a SIGKILL for these.
    pub(super) fn note_killed(&mut self, killed: &[Found]) {
        for found in killed {
            self.note_signal(found, "SIGKILL", Ok(()));
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
    Signalled { pid: id.pid, start_time: id.start_time, signals: Vec::new(), ended_ms: None, error: None }
}

/// A process that is still there, and why it could not be ended where this user may not signal it.
pub(super) fn survivor(found: &Found) -> Survivor {
    let ProcessId { pid, start_time } = found.id;
    let error = process::is_denied(pid).then(|| errno_name(&denied()));
    Survivor { pid, start_time, uid: process::uid(pid), error }
}

/// What the kernel answers who may not signal a process.
pub(super) fn denied() -> io::Error {
    io::Error::from_raw_os_error(libc::EPERM)
}
