//! One run: its leader, the signals to its processes, and its receipt.

use super::reach::Reach;
use crate::clock::millis;
use crate::graph_lock::HeldLock;
use crate::program::errno_name;
use crate::sys::kernel::Kernel;
use crate::sys::process::Found;
use crate::sys::tag::Tag;
use gob_core::RunKey;
use gob_protocol::{ProcessId, Receipt, Signalled, Survivor};
use std::collections::BTreeMap;
use std::io;
use std::sync::Arc;
use std::time::Instant;

/// Limits how many processes of one run are killed in one turn, where they are killed while the table is read.
const KILLED_AT_ONCE: usize = 1024;

/// One run's processes.
pub(super) struct Run<K: Kernel> {
    pub(super) key: RunKey,
    pub(super) leader: i32,
    pub(super) start_time: u64,
    pub(super) pidfd: K::Handle,
    /// The lock of its graph, held until nothing is left of it, even if its processes have closed it.
    pub(super) lock: Option<Arc<HeldLock>>,
    pub(super) tag: Tag,
    /// Its processes carry the tag.
    pub(super) tagged: bool,
    pub(super) reaped: bool,
    /// The time of the request to end, in clock ticks since boot: from then on its group does not die with
    /// its leader.
    pub(super) asked: Option<u64>,
    /// A signal to end was sent to its group.
    pub(super) group_asked: bool,
    /// Its leader is gone, and the others have the rest of the grace: the signal for those without one yet.
    pub(super) lingering: Option<(i32, String)>,
    /// Whether its processes are killed.
    pub(super) sweeping: bool,
    /// It has a control group.
    pub(super) grouped: bool,
    pub(super) ending: Option<Ending>,
}

/// The end of a run: when it began, and what became of each process that it concerns.
#[derive(Debug)]
pub(super) struct Ending {
    pub(super) begun: Instant,
    pub(super) concerned: BTreeMap<ProcessId, Signalled>,
}

impl Ending {
    pub(super) const fn new(begun: Instant) -> Self {
        Self { begun, concerned: BTreeMap::new() }
    }

    /// Notes that it concerns these.
    pub(super) fn note(&mut self, members: &[Found]) {
        for found in members {
            self.entry(found.id);
        }
    }

    fn entry(&mut self, id: ProcessId) -> &mut Signalled {
        let ProcessId { pid, start_time } = id;
        let new = || Signalled { pid, start_time, signals: Vec::new(), ended_ms: None, error: None };
        self.concerned.entry(id).or_insert_with(new)
    }
}

impl<K: Kernel> Run<K> {
    /// Returns its leader.
    pub(super) const fn id(&self) -> ProcessId {
        ProcessId { pid: self.leader, start_time: self.start_time }
    }

    /// Whether a process was seen in its tree since its end began.
    pub(super) fn concerns(&self, found: &Found) -> bool {
        self.ending.as_ref().is_some_and(|ending| ending.concerned.contains_key(&found.id))
    }

    /// Returns whether a process needs no signal to know of the end: it got one, alone or with its group, or
    /// it was started later, as a step of the end.
    fn was_asked(&self, found: &Found) -> bool {
        let entry = self.ending.as_ref().and_then(|ending| ending.concerned.get(&found.id));
        (self.group_asked && found.pgid == self.leader)
            || self.asked.is_some_and(|at| found.id.start_time > at)
            || entry.is_some_and(|entry| !entry.signals.is_empty())
    }

    /// Returns whether its end is awaited: it is killed, or lingers.
    pub(super) const fn is_watched(&self) -> bool {
        self.sweeping || self.lingering.is_some()
    }

    /// Sends a signal and then SIGCONT to each of these, through a handle that was checked after it was
    /// opened.
    pub(super) fn signal_each(&mut self, members: &[Found], (number, name): (i32, &str), reach: &Reach<K>) {
        for found in members {
            let Some(handle) = reach.open(found, self.tag) else { continue };
            let sent = reach.kernel.send(&handle, number);
            if sent.is_ok() {
                // A stopped process handles it then.
                reach.kernel.send(&handle, libc::SIGCONT).unwrap_or_default();
            }
            self.note_signal(found, name, sent);
        }
    }

    /// Signals those of its tree that were not asked yet, and notes which have ended.
    pub(super) fn go_on_lingering(&mut self, members: &[Found], reach: &Reach<K>) {
        self.note_ends(members, reach.kernel.now());
        let Some((number, name)) = self.lingering.clone() else { return };
        let not_asked: Vec<Found> = members.iter().filter(|found| !self.was_asked(found)).copied().collect();
        self.signal_each(&not_asked, (number, &name), reach);
    }

    /// Kills these members.
    pub(super) fn kill(&mut self, members: &[Found], reach: &Reach<K>) {
        let kernel = &reach.kernel;
        self.note_ends(members, kernel.now());
        // The number may be another group's once the leader is reaped; the handle stays that of this one.
        let group_killed = if self.reaped {
            kernel.send_group_of(&self.pidfd, libc::SIGKILL).is_ok()
        } else {
            kernel.send_group(self.leader, libc::SIGKILL).is_ok()
        };
        for found in members {
            let sent = if group_killed && found.pgid == self.leader {
                // A process that went with the group is dead by now and can't be opened any more.
                if kernel.is_denied(found.id.pid) { Err(denied()) } else { Ok(()) }
            } else {
                match self.kill_one(found, reach) {
                    Some(sent) => sent,
                    None => continue,
                }
            };
            self.note_signal(found, "SIGKILL", sent);
        }
    }

    /// Kills each process that carries the run's tag the moment that it is seen, and then these members. Of hundreds that go
    /// on as their own children, those at the end of a list would be gone when their turn comes.
    pub(super) fn kill_as_seen(&mut self, members: &[Found], reach: &Reach<K>) {
        let (kernel, tag) = (&reach.kernel, self.tag);
        for pid in reach.pids().filter(|pid| kernel.tag(*pid) == Some(tag.0)).take(KILLED_AT_ONCE) {
            if let Some(found) = kernel.seen(pid)
                && let Some(sent) = self.kill_one(&found, reach)
            {
                self.note_signal(&found, "SIGKILL", sent);
            }
        }
        // Those among them that have lost the tag, and the group.
        self.kill(members, reach);
    }

    /// Kills one process; `None` when it has ended meanwhile, or can't be examined now.
    fn kill_one(&self, found: &Found, reach: &Reach<K>) -> Option<io::Result<()>> {
        let handle = reach.open(found, self.tag)?;
        Some(reach.kernel.send(&handle, libc::SIGKILL))
    }

    /// Notes that a process got a signal of its end, or why it could not; each KILL once.
    pub(super) fn note_signal(&mut self, found: &Found, name: &str, sent: io::Result<()>) {
        let Some(ending) = &mut self.ending else { return };
        let entry = ending.entry(found.id);
        match sent {
            Ok(()) if name == "SIGKILL" && entry.signals.iter().any(|signal| signal == name) => {}
            Ok(()) => entry.signals.push(name.to_owned()),
            // It is gone, which the next scan sees.
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

    /// Notes the time for all that are not alive any more.
    pub(super) fn note_ends(&mut self, alive: &[Found], now: Instant) {
        let Some(Ending { begun, concerned }) = &mut self.ending else { return };
        let ms = millis(now.saturating_duration_since(*begun));
        for (id, entry) in concerned {
            let gone =
                if id.pid == self.leader { self.reaped } else { !alive.iter().any(|found| found.id == *id) };
            if gone && entry.ended_ms.is_none() && (self.reaped || self.sweeping) {
                entry.ended_ms = Some(ms);
            }
        }
    }

    /// Returns what was sent to which process so far.
    pub(super) fn receipt(&self) -> Receipt {
        let signalled = self.ending.iter().flat_map(|ending| ending.concerned.values().cloned()).collect();
        Receipt { signalled, survivors: Vec::new() }
    }
}

/// Describes a process that is still there, and why it could not be ended where this user may not signal it.
pub(crate) fn survivor(ProcessId { pid, start_time }: ProcessId, kernel: &impl Kernel) -> Survivor {
    let error = kernel.is_denied(pid).then(|| errno_name(&denied()));
    Survivor { pid, start_time, uid: kernel.uid(pid), error }
}

/// The kernel's answer to a process that may not signal another one.
pub(super) fn denied() -> io::Error {
    io::Error::from_raw_os_error(libc::EPERM)
}
