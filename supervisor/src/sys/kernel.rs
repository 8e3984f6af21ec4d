//! The part of the kernel that the code needs which ends or judges processes: [`Runs`](crate::runs::Runs), the process
//! [`Table`](super::table::Table), [`Claim`](crate::recovery::Claim), [`Cgroups`](crate::cgroups::Cgroups), the
//! workers without gob (`foreign`) and the holders of graphs' locks (`graph_lock`).
//!
//! A trait, so that all of that code is tested without processes, against a kernel that gives numbers again at once, forks
//! while it is scanned and refuses signals (`super::fake`). The rules are here, as provided methods: the checks
//! before a signal, and their order. [`Linux`](super::linux::Linux) only makes system calls.

use super::children;
use super::process::{Found, Liveness, Proof};
use super::reap::Dead;
use super::spawn::{SpawnError, Spec, Started};
use super::tag::Tag;
use gob_host::process::is_gone;
use gob_protocol::{Exit, ProcessId};
use std::ffi::OsStr;
use std::fs::File;
use std::io;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// How many pids before the last one are probed: those of a process that goes on as its own child.
const BEHIND: i32 = 32;
/// How many pids behind the last one are probed: they are given while the others are read.
const AHEAD: i32 = 16;

/// A file that processes may have open.
#[derive(Debug, Clone, Copy)]
pub(crate) struct OpenFile<'a> {
    /// Its name, without the directory.
    pub(crate) name: &'a OsStr,
    /// Its device and inode.
    pub(crate) id: (u64, u64),
}

/// Tells of processes, starts them, signals them and reaps them.
pub(crate) trait Kernel {
    /// A handle on one process, which never becomes another one's.
    type Handle;

    /// Returns the time on a clock that never goes back.
    fn now(&self) -> Instant;

    /// Returns the time on the clock of start times, in ticks since boot.
    fn ticks(&self) -> u64;

    /// Starts a child, and returns once it runs its own program.
    ///
    /// # Errors
    /// The step that failed and why. There is no process then.
    fn spawn(&self, spec: &Spec<'_>) -> Result<Started<Self::Handle>, SpawnError>;

    /// Lists the pid of every process, read as it is asked for. The list ends however fast new ones are made.
    ///
    /// # Errors
    /// When the list, or its next part, can't be read. A process that is missing then may be alive.
    fn pids(&self) -> io::Result<impl Iterator<Item = io::Result<i32>>>;

    /// Returns the number that was given last, to a process or to a thread.
    ///
    /// # Errors
    /// When the kernel does not tell.
    fn last_pid(&self) -> io::Result<i32>;

    /// As [`Kernel::last_pid`], but may be a little behind.
    ///
    /// # Errors
    /// When the kernel does not tell that either.
    fn about_last_pid(&self) -> io::Result<i32> {
        self.last_pid()
    }

    /// Whether a number is a process's, not one of its threads'.
    fn is_process(&self, pid: i32) -> bool;

    /// Returns a process if it is alive; `None` when it is dead or gone.
    ///
    /// # Errors
    /// When it could not be read, such as for lack of a descriptor.
    fn stat(&self, pid: i32) -> io::Result<Option<Found>>;

    /// Returns the parent of a process, also of a dead one that was not reaped.
    fn parent(&self, pid: i32) -> Option<i32>;

    /// Returns the tag of a process; `None` when it is gone or, unless we are root, another user's.
    fn tag(&self, pid: i32) -> Option<u64>;

    /// Returns the tag of a process of any user; `None` when it is gone, or hidden.
    fn tag_of_anybody(&self, pid: i32) -> Option<u64>;

    /// Returns the effective user of a process; `None` when it is gone, or hidden.
    fn uid(&self, pid: i32) -> Option<u32>;

    /// Returns the process group of a process, also of a hidden one; 0 when it is gone.
    fn group(&self, pid: i32) -> i32;

    /// Returns a variable of the environment with which a process was started.
    fn variable(&self, pid: i32, name: &str) -> Option<Vec<u8>>;

    /// Lists the files that a process has open; none when they can't be read.
    fn open_files(&self, pid: i32) -> Vec<String>;

    /// Whether a process has a file open.
    fn has_open(&self, pid: i32, file: OpenFile<'_>) -> bool;

    /// Returns the process that took the flock of a file (device and inode). It may have died since, and left
    /// the lock to others that inherited it. `None` where the kernel does not tell.
    fn lock_taker(&self, file: (u64, u64)) -> Option<i32>;

    /// Whether a process, which may be dead, took the flock of any file that is still locked.
    fn took_locks(&self, pid: i32) -> bool;

    /// Lists the locked files that a process has open with the lock, each with the process that took it.
    fn taken_locks(&self, pid: i32) -> Vec<(String, i32)>;

    /// Returns the numbers that processes may have which `/proc` hides from us (`hidepid`, proc(5)); `None` where it hides none.
    fn hidden_pids(&self) -> Option<Range<i32>>;

    /// Returns the user that we run as.
    fn own_uid(&self) -> u32;

    /// Returns the arguments of a process; none when it is gone, dead or hidden.
    fn arguments(&self, pid: i32) -> Vec<String>;

    /// Returns the real path of a directory as a process names it, whose working directory that may depend on.
    fn real_path(&self, pid: i32, dir: &str) -> Option<String>;

    /// Returns whether a process of any user is alive. Where that can't be told it counts as alive.
    fn liveness(&self, pid: i32) -> Liveness;

    /// Makes a control group.
    ///
    /// # Errors
    /// When the kernel refuses.
    fn make_group(&self, group: &Path) -> io::Result<File>;

    /// Removes a control group.
    ///
    /// # Errors
    /// When there is none, or a process or another group is in it.
    fn remove_group(&self, group: &Path) -> io::Result<()>;

    /// Lists the processes of a control group and of the groups below it.
    fn members(&self, group: &Path) -> Vec<i32>;

    /// Kills every process of a control group and of the groups below it, at once.
    ///
    /// # Errors
    /// When the kernel refuses.
    fn kill_group(&self, group: &Path) -> io::Result<()>;

    /// Lists the control groups right below one.
    fn groups_in(&self, group: &Path) -> Vec<PathBuf>;

    /// Lists our own children, also the dead ones that were not reaped.
    ///
    /// # Errors
    /// When they can't be listed. A child that is missing then may be alive.
    fn children(&self) -> io::Result<Vec<i32>>;

    /// Lists the children of any process; none when they can't be listed.
    fn children_of(&self, pid: i32) -> Vec<i32>;

    /// Whether a process is our child and has not ended.
    fn is_living_child(&self, pid: i32) -> bool;

    /// Opens a handle on whichever process has this number now.
    ///
    /// # Errors
    /// When there is none, or no descriptor for it.
    fn open(&self, pid: i32) -> io::Result<Self::Handle>;

    /// Whether the process behind a handle has ended, with all of its threads.
    fn has_ended(&self, handle: &Self::Handle) -> bool;

    /// Waits until one of these processes has ended, `limit` at most; returns whether one has.
    fn wait_for_any(&self, handles: &[&Self::Handle], limit: Duration) -> bool;

    /// Signals the process behind a handle.
    ///
    /// # Errors
    /// When it has ended, or is another user's.
    fn send(&self, handle: &Self::Handle, signal: i32) -> io::Result<()>;

    /// Signals the group that the process behind a handle leads or has led, reaped or not.
    ///
    /// # Errors
    /// When nothing is left of it that may be signalled, and before Linux 6.9, which can't do that.
    fn send_group_of(&self, handle: &Self::Handle, signal: i32) -> io::Result<()>;

    /// Signals the group of a leader that is our child and was not reaped, so that its number is taken.
    ///
    /// # Errors
    /// When nothing is left of it that may be signalled.
    fn send_group(&self, leader: i32, signal: i32) -> io::Result<()>;

    /// Whether there is a process of this number that this user may not signal.
    fn is_denied(&self, pid: i32) -> bool;

    /// Returns a child that has ended, and leaves it to be reaped: its number stays taken.
    fn next_dead(&self) -> Option<Dead>;

    /// Reaps a child that has ended, and returns how it did. Its number is free then.
    fn reap(&self, dead: Dead) -> Exit;

    /// As [`Kernel::stat`], but treats a read error as "no such process".
    fn seen(&self, pid: i32) -> Option<Found> {
        self.stat(pid).ok().flatten()
    }

    /// Lists the living processes, but us, that have a locked file open: the one that took the lock and those
    /// below it. Only where none of these has it, all processes are searched, whose descriptors may be many.
    fn holding(&self, file: OpenFile<'_>, own: i32) -> Vec<ProcessId> {
        let taker = self.lock_taker(file.id).filter(|taker| *taker != own);
        let near = taker.map(|taker| {
            let below = self.below(taker).into_iter().map(|found| found.id.pid);
            self.having_open(std::iter::once(taker).chain(below), file, own)
        });
        near.filter(|near| !near.is_empty())
            .unwrap_or_else(|| self.having_open(self.pids().into_iter().flatten().flatten(), file, own))
    }

    /// Returns those of these processes that are alive and have a file open, but us.
    fn having_open(&self, pids: impl Iterator<Item = i32>, file: OpenFile<'_>, own: i32) -> Vec<ProcessId> {
        let holds = |pid: &i32| *pid != own && self.has_open(*pid, file);
        // Asked again, since the number may have been given again in between.
        let holders =
            pids.filter(holds).filter_map(|pid| Some(self.seen(pid)?.id)).filter(|id| holds(&id.pid));
        holders.collect()
    }

    /// Returns the numbers that were given last and those that come next, of which few belong to a process.
    ///
    /// # Errors
    /// When the kernel does not tell.
    fn latest_pids(&self) -> io::Result<Range<i32>> {
        let last = self.last_pid().or_else(|_| self.about_last_pid())?;
        Ok(last.saturating_sub(BEHIND).max(1)..last.saturating_add(AHEAD))
    }

    /// Returns a child of ours that is alive, also one that `/proc` hides (`hidepid`, proc(5)), whose start time is then 0.
    fn living(&self, pid: i32) -> Option<Found> {
        // One system call for each of thousands that have ended.
        if !self.is_living_child(pid) {
            return None;
        }
        let hidden = || Found {
            id: ProcessId { pid, start_time: 0 },
            pgid: self.group(pid),
            parent: 0,
            proof: Proof::Child,
        };
        let seen = self.seen(pid).map(|found| Found { proof: Proof::Child, ..found });
        Some(seen.unwrap_or_else(hidden))
    }

    /// Lists every living process below one, itself not counted; of a huge tree only as many as one turn has time for.
    fn below(&self, pid: i32) -> Vec<Found> {
        children::below_by(pid, |pid| self.children_of(pid), |pid| self.seen(pid))
    }

    /// Opens a handle on a process and makes sure that it still is the one that was found: same start time and same tag,
    /// both read after the handle was there. A child of ours that was not reaped can't be another one.
    ///
    /// # Errors
    /// When it could not be read. It may be alive then.
    fn open_found(&self, found: &Found, expected: Tag) -> io::Result<Option<Self::Handle>> {
        let handle = match self.open(found.id.pid) {
            Err(e) if is_gone(&e) => return Ok(None),
            other => other?,
        };
        let is_same = || Ok::<_, io::Error>(self.stat(found.id.pid)?.is_some_and(|now| now.id == found.id));
        let same = match found.proof {
            Proof::Tag => is_same()? && self.tag(found.id.pid) == Some(expected.0),
            Proof::Child => true,
            Proof::Below => is_same()?,
        };
        Ok(same.then_some(handle))
    }
}
