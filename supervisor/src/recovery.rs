//! Ends the processes that dead supervisors of this state directory left, before this one serves.
//!
//! There is something to find only when gobd and its keeper died together: alone, the keeper clears up. Which process
//! is ours, and how thoroughly to search, the core decides (its `recovery`); this file gathers the facts, of this boot alone, and
//! carries the judgement out. A process that is found is opened first, examined again and then killed (ARCHITECTURE, rule 3), while the table is being read, so that what forks meanwhile is met at its newest number.

mod follow;
mod proof;
#[cfg(test)]
mod tests;

pub(crate) use follow::{Gone, Leftovers, LeftoversState};
use proof::{Proof, Reads};

use crate::cgroups::Cgroups;
use crate::journal::{Instance, Past};
use crate::runs::survivor;
use crate::sys::kernel::Kernel;
use crate::sys::linux::Linux;
use crate::sys::tag::Given;
use gob_core::{Before, Search, may_kill};
use gob_protocol::{Leftover, Name, ProcessId};
use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::os::fd::OwnedFd;
use std::path::Path;
use std::time::{Duration, Instant};

/// Time that killed processes which stay may delay the start.
const PATIENCE: Duration = Duration::from_secs(2);

/// Longest wait between two scans of the table; the end of any killed process ends it sooner.
const PAUSE: Duration = Duration::from_millis(20);

/// Probes of the newest processes alone after each scan: a process that keeps going on as its own child is
/// gone when an older list comes to its pid.
const CHASES: usize = 16;

/// The marks that tell our processes from all others.
#[derive(Debug)]
pub(crate) struct Claim<K = Linux> {
    kernel: K,
    /// The state directory, as tags name it.
    home: u32,
    past: Past,
    /// Never ended: this process and its keeper.
    spared: [i32; 2],
    search: Search,
    /// This life's own tags are of the same state directory. None was given before it serves.
    own: Option<Given>,
}

/// A process of a dead instance.
#[derive(Debug)]
pub(crate) struct Orphan<H = OwnedFd> {
    pub(crate) id: ProcessId,
    pub(crate) pidfd: H,
    /// Its worker, where that can be told.
    pub(crate) name: Option<Name>,
    /// The signal was refused: the process is another user's.
    pub(crate) is_denied: bool,
}

/// The outcome of a recovery.
#[derive(Debug)]
pub(crate) struct Recovered<H = OwnedFd> {
    /// The number of ended processes.
    pub(crate) ended: u64,
    /// Processes that were killed and are still there.
    pub(crate) left: Vec<Orphan<H>>,
}

impl<K: Kernel> Claim<K> {
    /// Creates the claim of `own`, which holds the lock of the state directory `home`.
    pub(crate) fn new(kernel: K, home: u32, own: &Instance, past: Past) -> Self {
        let last = past.instances.last();
        let search = Search::after(Before {
            ended_in_order: past.ended_in_order,
            is_known: last.is_some(),
            same_keeper: last.is_some_and(|last| last.keeper == own.keeper),
        });
        Self { kernel, home, past, spared: [own.pid, own.keeper.pid], search, own: None }
    }

    /// Kills all processes of dead instances until nothing is left, or patience ends. `own` names the place
    /// of groups.
    pub(crate) fn recover(&self, own: &Instance) -> Recovered<K::Handle> {
        if self.search == Search::Nothing {
            return Recovered { ended: 0, left: Vec::new() };
        }
        let deadline = self.kernel.now() + PATIENCE;
        let mut found = BTreeMap::new();
        let (mut clean, mut has_found) = (0, false);
        while clean < self.search.clean_scans(has_found) {
            // A table that can't be read is not clean.
            let alive = self.kill(&mut found).unwrap_or(1);
            clean = if alive == 0 { clean + 1 } else { 0 };
            has_found |= alive > 0;
            let left = deadline.saturating_duration_since(self.kernel.now());
            if left.is_zero() {
                break;
            }
            if alive > 0 {
                self.wait(&found, left.min(PAUSE));
            }
        }
        self.kill_unmarked(&mut found, deadline);
        // Last of all, those that have lost even that.
        let places: BTreeSet<&Path> =
            self.past.instances.iter().chain([own]).filter_map(|one| one.cgroups.as_deref()).collect();
        let grouped: BTreeSet<i32> =
            places.into_iter().flat_map(|base| Cgroups::clear(&self.kernel, base, self.home)).collect();
        let more = grouped.iter().filter(|pid| !found.contains_key(pid)).count();
        let all = u64::try_from(found.len() + more).unwrap_or(u64::MAX);
        let left = found.into_values().filter(|orphan| !self.kernel.has_ended(&orphan.pidfd));
        let left: Vec<Orphan<K::Handle>> = left.map(|orphan| self.named(orphan)).collect();
        Recovered { ended: all.saturating_sub(u64::try_from(left.len()).unwrap_or(0)), left }
    }

    /// Describes what is left.
    fn describe(&self, orphan: &Orphan<K::Handle>) -> Leftover {
        Leftover { worker: orphan.name.clone(), process: survivor(orphan.id, &self.kernel) }
    }

    /// Returns the past that the journal has to tell on: all of it while a process of it is left.
    pub(crate) fn still_to_tell(&self, left: &[Orphan<K::Handle>]) -> Past {
        if left.is_empty() { Past::default() } else { self.past.clone() }
    }

    /// Scans the table once: kills the processes that it finds, adds new ones, and returns how many were alive and took a signal.
    fn kill(&self, found: &mut BTreeMap<i32, Orphan<K::Handle>>) -> io::Result<usize> {
        let mut alive = 0;
        for pid in self.kernel.pids()? {
            alive += usize::from(self.look(pid?, self.reads(), found));
        }
        if self.reads() > Reads::Tags || !found.is_empty() {
            for _ in 0..CHASES {
                for pid in self.kernel.latest_pids()? {
                    alive += usize::from(self.look(pid, Reads::Tags, found));
                }
            }
        }
        Ok(alive)
    }

    /// Kills a process if it is ours; returns whether it was alive and takes a signal.
    fn look(&self, pid: i32, reads: Reads, found: &mut BTreeMap<i32, Orphan<K::Handle>>) -> bool {
        let Some(by) = self.claims(pid, reads) else { return false };
        if let Some(known) = found.get(&pid).filter(|known| !self.kernel.has_ended(&known.pidfd)) {
            return !known.is_denied;
        }
        let Some(orphan) = self.end(pid, by) else { return false };
        // There is no use in waiting for one that took no signal.
        let ends = !orphan.is_denied;
        found.insert(pid, orphan);
        ends
    }

    /// Kills a process that is alive and ours, both examined after the handle was there. All else that is to be known of it
    /// is looked at afterwards: one that forks must not have time for it.
    fn end(&self, pid: i32, by: Proof) -> Option<Orphan<K::Handle>> {
        let pidfd = self.kernel.open(pid).ok()?;
        let reads = match by {
            Proof::Tag(_) => Reads::Tags,
            Proof::Marker => Reads::Markers,
            Proof::Lock => Reads::Locks,
        };
        let behind_handle = self.claims(pid, reads);
        if !may_kill(&by, behind_handle.as_ref(), self.kernel.has_ended(&pidfd)) {
            return None;
        }
        // Afterwards it has none any more.
        let lock = (by == Proof::Lock).then(|| self.holds_lock(pid)).flatten().map(|(_, path)| path);
        let sent = self.kernel.send(&pidfd, libc::SIGKILL);
        let is_denied = sent.is_err_and(|e| e.raw_os_error() == Some(libc::EPERM));
        let id = self.kernel.seen(pid).map_or(ProcessId { pid, start_time: 0 }, |found| found.id);
        let name = match by {
            Proof::Tag(tag) => self.past.worker_of(tag).cloned(),
            Proof::Marker => None,
            Proof::Lock => lock.and_then(|path| self.served(&path)),
        };
        Some(Orphan { id, pidfd, name, is_denied })
    }

    const fn reads(&self) -> Reads {
        match self.search {
            Search::Markers => Reads::Markers,
            Search::Nothing | Search::Tags => Reads::Tags,
        }
    }

    /// Kills processes that neither a tag nor a marker shows in `/proc`: those that hold a graph's lock, and those that `/proc` hides.
    fn kill_unmarked(&self, found: &mut BTreeMap<i32, Orphan<K::Handle>>, deadline: Instant) {
        if self.reads() < Reads::Markers {
            return;
        }
        let hidden = self.kernel.hidden_pids();
        loop {
            let mut alive = 0;
            // Most often there is no such lock, and nobody's descriptors are read.
            if self.dead().any(|dead| self.kernel.took_locks(dead.pid)) {
                let pids = self.kernel.pids().into_iter().flatten().flatten();
                alive += pids.filter(|pid| self.look(*pid, Reads::Locks, found)).count();
            }
            for pid in hidden.clone().into_iter().flatten() {
                alive += usize::from(self.look(pid, Reads::Tags, found));
            }
            let left = deadline.saturating_duration_since(self.kernel.now());
            if alive == 0 || left.is_zero() {
                return;
            }
            self.wait(found, left.min(PAUSE));
        }
    }

    /// Waits until one of these has ended.
    fn wait(&self, found: &BTreeMap<i32, Orphan<K::Handle>>, limit: Duration) {
        let ending = found.values().filter(|orphan| !orphan.is_denied).map(|orphan| &orphan.pidfd);
        let waiting: Vec<&K::Handle> = ending.filter(|handle| !self.kernel.has_ended(handle)).collect();
        self.kernel.wait_for_any(&waiting, limit);
    }
}
