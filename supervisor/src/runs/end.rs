//! The end of a run: signals to its tree, the reaping of its leader, and the sweep until nothing is left (ARCHITECTURE,
//! rule 3).

use super::kin::Adopted;
use super::run::{self, Ending};
use super::{Reaping, Runs, Swept};
use crate::cgroups::{Cgroups, Removed};
use crate::sys::kernel::Kernel;
use crate::sys::process::Found;
use crate::sys::tag::Tag;
use gob_core::RunKey;
use gob_protocol::{Receipt, signal};
use std::io;

/// A run with so many processes left is killed while the table is read.
const MANY: usize = 8;

impl<K: Kernel> Runs<K> {
    /// Sends a signal and then SIGCONT to a run's group, having noted its whole tree for the receipt; to each process of it
    /// once its leader is reaped and the group's number may be another one's.
    pub(crate) fn terminate(&mut self, key: &RunKey, name: &str) {
        let Some(number) = signal::number(name) else { return };
        let members = self.ask(key);
        let Some(run) = self.by_key.get(key).and_then(|tag| self.by_tag.get_mut(tag)) else { return };
        if run.reaped {
            return run.signal_each(&members, (number, name), &self.reach);
        }
        run.group_asked = true;
        let (kernel, leader) = (&self.reach.kernel, run.leader);
        // A group that is gone already needs no asking.
        kernel.send_group(leader, number).unwrap_or_default();
        kernel.send_group(leader, libc::SIGCONT).unwrap_or_default();
        for found in members.iter().filter(|found| found.pgid == leader) {
            let sent = if kernel.is_denied(found.id.pid) { Err(run::denied()) } else { Ok(()) };
            run.note_signal(found, name, sent);
        }
    }

    /// Gives the tree of a run whose leader is gone the rest of the grace: signals those that the group's signal did not
    /// reach, as in a session of their own, and reports the run when nothing is left of it.
    pub(crate) fn linger(&mut self, key: &RunKey, name: &str) {
        let (Some(number), Some(run)) = (signal::number(name), self.get(key)) else { return };
        run.lingering = Some((number, name.to_owned()));
        self.new_sweeps = true;
    }

    /// Notes a run's whole tree for the receipt: it is asked to end, and what its leader leaves keeps the grace.
    pub(crate) fn ask(&mut self, key: &RunKey) -> Vec<Found> {
        let members = self.family(key);
        let (now, ticks) = (self.reach.kernel.now(), self.reach.kernel.ticks());
        if let Some(run) = self.get(key) {
            run.asked.get_or_insert(ticks);
            run.ending.get_or_insert_with(|| Ending::new(now)).note(&members);
        }
        members
    }

    /// Sends a signal to a run's leader.
    ///
    /// # Errors
    /// When this user may not: the leader has become another user's.
    pub(crate) fn signal(&mut self, key: &RunKey, name: &str) -> io::Result<()> {
        let run = self.by_key.get(key).and_then(|tag| self.by_tag.get(tag));
        let (Some(number), Some(run)) = (signal::number(name), run) else { return Ok(()) };
        match self.reach.kernel.send(&run.pidfd, number) {
            // Its end is told by itself.
            Err(e) if e.raw_os_error() == Some(libc::ESRCH) => Ok(()),
            sent => sent,
        }
    }

    /// Begins to kill whatever is left of a run's tree.
    pub(crate) fn sweep(&mut self, key: &RunKey) {
        let now = self.reach.kernel.now();
        if let Some(run) = self.get(key) {
            run.sweeping = true;
            run.ending.get_or_insert_with(|| Ending::new(now));
            self.new_sweeps = true;
        }
    }

    /// Whether a sweep was requested after the last [`Runs::sweep_on`].
    pub(crate) const fn has_new_sweeps(&self) -> bool {
        self.new_sweeps
    }

    /// Returns what a run's end has come to so far, with the processes that are left.
    pub(crate) fn census(&mut self, key: &RunKey) -> Receipt {
        let members = self.members(key);
        let kernel = &self.reach.kernel;
        let survivors = members.iter().map(|found| run::survivor(found.id, kernel)).collect();
        let Some(run) = self.get(key) else { return Receipt::default() };
        Receipt { survivors, ..run.receipt() }
    }

    /// Reaps one child that ended; the group of a leader is killed before, while its number is taken, unless it was asked to
    /// end.
    pub(crate) fn reap(&mut self) -> Reaping {
        let Some(dead) = self.reach.kernel.next_dead() else { return Reaping::Nothing };
        let pid = dead.pid;
        let tag = self.by_leader.get(&pid).copied();
        let run = tag.and_then(|tag| self.by_tag.get(&tag));
        // A run that was asked to end has the rest of its grace.
        let group_dies = run.is_some_and(|run| run.asked.is_none() || run.sweeping);
        let mut members = Vec::new();
        if let Some(run) = run.filter(|_| group_dies) {
            // Only a receipt asks which other processes are in the group that dies with its leader.
            if run.ending.is_some() {
                members = self.reach.tagged(&mut self.table, run.tag, true).unwrap_or_default();
            }
            // Fails with ESRCH when the leader was the last of its group.
            self.reach.kernel.send_group(pid, libc::SIGKILL).unwrap_or_default();
        }
        let exit = self.reach.kernel.reap(dead);
        self.kin.forget(pid);
        self.by_leader.remove(&pid);
        let Some(run) = tag.and_then(|tag| self.by_tag.get_mut(&tag)) else { return Reaping::Stray };
        run.reaped = true;
        if group_dies {
            run.note_ends(&members, self.reach.kernel.now());
            members.retain(|found| found.pgid == pid);
            run.note_killed(&members);
        }
        Reaping::Leader(run.key.clone(), exit)
    }

    /// Goes on with all sweeps: kills the processes that it finds, but of runs that linger, and returns the runs of which
    /// nothing is left, with the locks that they had. Processes end as our children, so SIGCHLD says when to scan again.
    pub(crate) fn sweep_on(&mut self) -> Vec<Swept> {
        self.new_sweeps = false;
        let ending: Vec<Tag> =
            self.by_tag.values().filter(|run| run.is_watched()).map(|run| run.tag).collect();
        if ending.is_empty() {
            return Vec::new();
        }
        let adopted = match self.adopted() {
            Ok(adopted) => adopted,
            Err(e) => {
                // A process that was not seen may be alive. The core asks again after a while.
                tracing::warn!(error = %e, "cannot look who is left of ended runs");
                return Vec::new();
            }
        };
        self.scanned = false;
        let done: Vec<Tag> = ending.into_iter().filter(|tag| self.is_over(*tag, &adopted)).collect();
        let done: Vec<Swept> = done.into_iter().filter_map(|tag| self.forget(tag)).collect();
        if !done.is_empty() {
            self.end_strays(&adopted);
        }
        done
    }

    /// Goes on with the end of a run: signals or kills what is left of it; true when that is nothing.
    fn is_over(&mut self, tag: Tag, adopted: &Adopted) -> bool {
        let is_reaped = self.by_tag.get(&tag).is_some_and(|run| run.reaped);
        if !is_reaped || !adopted.proves_end_of(tag) {
            let members = self.members_with(tag, adopted);
            let Some(run) = self.by_tag.get_mut(&tag) else { return false };
            if run.sweeping && members.len() >= MANY {
                run.kill_as_seen(&members, &self.reach);
            } else if run.sweeping {
                run.kill(&members, &self.reach);
            } else {
                run.go_on_lingering(&members, &self.reach);
            }
            return false;
        }
        // Last of all, whatever is in its control group all the same.
        let Some(run) = self.by_tag.get_mut(&tag) else { return false };
        let cgroups = self.cgroups.as_ref().filter(|_| run.grouped);
        let killed = cgroups.and_then(|all| empty_group(all, &self.reach.kernel, tag));
        if let Some(killed) = &killed {
            run.note_killed(killed);
            // They need not end as our children, so whatever happens next is a reason to scan again.
            self.new_sweeps = true;
        }
        killed.is_none()
    }

    fn forget(&mut self, tag: Tag) -> Option<Swept> {
        let mut run = self.by_tag.remove(&tag)?;
        self.by_key.remove(&run.key);
        run.note_ends(&[], self.reach.kernel.now());
        let receipt = run.receipt();
        Some(Swept { key: run.key, receipt, lock: run.lock })
    }
}

/// Takes a run's control group away, or kills the processes in it and returns them.
pub(super) fn empty_group(cgroups: &Cgroups, kernel: &impl Kernel, tag: Tag) -> Option<Vec<Found>> {
    match cgroups.remove(kernel, tag) {
        Ok(Removed::Gone) => None,
        Ok(Removed::Killed(killed)) => Some(killed),
        Err(e) => {
            tracing::warn!(error = %e, "a control group stays");
            None
        }
    }
}
