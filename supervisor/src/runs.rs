//! The processes behind the runs: handles, tags, and the sweeping of whole trees (ARCHITECTURE, Stop).
//!
//! Owns every child and its handle, keyed by run. Decides nothing: it spawns, signals and sweeps when the core says so
//! and reports what the kernel says. Used on the main thread alone.

mod run;

use crate::cgroups::{Cgroups, Removed};
use crate::disks::Disks;
use crate::graph_lock::HeldLock;
use crate::journal::Journal;
use crate::program;
use crate::sys::clock;
use crate::sys::closing;
use crate::sys::fds::Spare;
use crate::sys::process::{self, Found};
use crate::sys::reap::{self, Reaped};
use crate::sys::spawn::{self, Limit, Spec, Started};
use crate::sys::table::Table;
use crate::sys::tag::{self, Given, Life, Tag, Tags};
use gob_core::{New, RunKey, SpawnPlan};
use gob_protocol::{Exit, ProcessId, Receipt, signal};
use run::{Run, new_entry};
use std::collections::{BTreeMap, HashMap};
use std::ffi::CString;
use std::fs::File;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::Arc;
use std::time::Instant;
use tokio::sync::oneshot;

/// A sweep is through when this many looks in a row found nobody. The first is at the whole table; a process that goes on as
/// its own child can slip through that one, and hardly through the quick ones at the newest numbers that follow.
const CLEAN_SCANS: u32 = 6;

/// Why a run could not be started.
pub(crate) struct SpawnFailure {
    /// The errno's name.
    pub(crate) errno: String,
    /// Operation, path and cause.
    pub(crate) message: String,
}

/// What a run has before it has a process.
pub(crate) struct Place {
    /// The lock of its graph.
    pub(crate) lock: Option<Arc<HeldLock>>,
    /// Whether there was nothing of its graph.
    pub(crate) new: New,
    pub(crate) program: CString,
    /// Its working directory, open.
    pub(crate) cwd: OwnedFd,
}

/// A run of which nothing is left.
pub(crate) struct Swept {
    pub(crate) key: RunKey,
    pub(crate) receipt: Receipt,
    /// The lock of its graph, which is to be let go now.
    pub(crate) lock: Option<Arc<HeldLock>>,
}

/// All runs that have processes.
pub(crate) struct Runs {
    by_tag: BTreeMap<Tag, Run>,
    by_key: HashMap<RunKey, Tag>,
    by_leader: HashMap<i32, Tag>,
    tags: Tags,
    journal: Journal,
    cgroups: Option<Cgroups>,
    null: File,
    /// A lack of descriptors must not hide anybody from a sweep.
    spare: Spare,
    open_files: libc::rlimit,
    table: Table,
    /// This turn of the loop has looked at the table, so that ending many runs at once looks once.
    looked: bool,
    new_sweeps: bool,
}

impl Runs {
    /// No runs yet. Their processes carry these `tags`, the `journal` tells of them, and each has one of the `cgroups`
    /// where there are any; workers get `open_files` as their limit.
    pub(crate) fn new(
        tags: Tags,
        journal: Journal,
        cgroups: Option<Cgroups>,
        open_files: libc::rlimit,
    ) -> io::Result<Self> {
        let table = Table::new(tags.life());
        Ok(Self {
            by_tag: BTreeMap::new(),
            by_key: HashMap::new(),
            by_leader: HashMap::new(),
            tags,
            journal,
            cgroups,
            null: File::open("/dev/null")?,
            spare: Spare::new()?,
            open_files,
            table,
            looked: false,
            new_sweeps: false,
        })
    }

    /// Starts a run's process with these ends of its output pipes. Its whole tree inherits the lock.
    pub(crate) fn spawn(
        &mut self,
        plan: &SpawnPlan,
        (stdout, stderr): (&OwnedFd, &OwnedFd),
        Place { lock, program, cwd, new: _ }: &Place,
    ) -> Result<ProcessId, SpawnFailure> {
        let argv = program::c_strings(plan.command.iter().cloned())?;
        let envp = program::c_strings(plan.env.iter().map(|(name, value)| format!("{name}={value}")))?;
        let limits: Option<Vec<Limit>> =
            plan.rlimits.iter().map(|(name, value)| Limit::new(name, *value)).collect();
        let limits = limits.ok_or_else(|| SpawnFailure {
            errno: "EINVAL".to_owned(),
            message: "a resource limit has a name that is none".to_owned(),
        })?;
        let tag = self.tags.next();
        let cgroup = self.cgroups.as_ref().and_then(|cgroups| cgroups.make(tag));
        let spec = Spec {
            program,
            argv: &argv,
            envp: &envp,
            cwd: cwd.as_fd(),
            stdin: self.null.as_fd(),
            stdout: stdout.as_fd(),
            stderr: stderr.as_fd(),
            umask: plan.umask,
            open_files: self.open_files,
            tag,
            limits: &limits,
            cgroup: cgroup.as_ref().map(File::as_fd),
            lock: lock.as_ref().map(|lock| lock.fd()),
            close_first: closing::is_quick(),
        };
        let Started { id, pidfd, in_cgroup } = spawn::spawn(&spec).map_err(|e| {
            if let Some(cgroups) = self.cgroups.as_ref().filter(|_| cgroup.is_some()) {
                empty_group(cgroups, tag);
            }
            let what =
                if e.step == "chdir" { plan.cwd.as_str() } else { program.to_str().unwrap_or_default() };
            SpawnFailure::io(&format!("{} {what}", e.step), &e.source)
        })?;
        if let Some(cgroups) = self.cgroups.as_mut().filter(|_| cgroup.is_some() && !in_cgroup) {
            cgroups.refuse(tag);
        }
        let key = plan.key.clone();
        self.by_key.insert(key.clone(), tag);
        self.by_leader.insert(id.pid, tag);
        self.journal.note(&key, id, tag);
        let run = Run {
            key,
            leader: id.pid,
            start_time: id.start_time,
            pidfd,
            lock: lock.clone(),
            tag,
            reaped: false,
            asked: None,
            group_asked: false,
            lingering: false,
            sweeping: false,
            grouped: in_cgroup,
            ending: None,
        };
        self.by_tag.insert(tag, run);
        if self.journal.is_large() {
            self.journal.shrink(self.by_tag.values().map(|run| (&run.key, run.id(), run.tag)));
        }
        Ok(id)
    }

    /// A turn of the loop begins, and with it another look at the process table.
    pub(crate) fn new_turn(&mut self) {
        self.looked = false;
    }

    /// Sends a signal and then SIGCONT to a run's group, having noted its whole tree for the receipt; to each process of it
    /// once its leader is reaped and the group's number may be another one's.
    pub(crate) fn terminate(&mut self, key: &RunKey, name: &str) {
        let Some(number) = signal::number(name) else { return };
        let members = self.ask(key);
        let Some(run) = self.by_key.get(key).and_then(|tag| self.by_tag.get_mut(tag)) else { return };
        if run.reaped {
            return run.signal_each(&members, (number, name), &self.spare);
        }
        let (_, concerned) = run.ending.get_or_insert_with(|| (Instant::now(), BTreeMap::new()));
        run.group_asked = true;
        for found in members.iter().filter(|found| found.pgid == run.leader) {
            concerned.entry(found.id).or_insert_with(|| new_entry(found.id)).signals.push(name.to_owned());
        }
        // A group that is gone already needs no asking.
        process::send_group(run.leader, number).unwrap_or_default();
        process::send_group(run.leader, libc::SIGCONT).unwrap_or_default();
    }

    /// The leader is gone and its tree has the rest of the grace: asks those that its group's signal did not reach, as in a
    /// session of their own, and reports the run when nothing is left of it.
    pub(crate) fn linger(&mut self, key: &RunKey, name: &str) {
        let Some(number) = signal::number(name) else { return };
        self.looked = false;
        let members = self.members(key);
        let Some(run) = self.by_key.get(key).and_then(|tag| self.by_tag.get_mut(tag)) else { return };
        run.lingering = true;
        self.new_sweeps = true;
        let not_asked: Vec<Found> = members.into_iter().filter(|found| !run.was_asked(found)).collect();
        run.signal_each(&not_asked, (number, name), &self.spare);
    }

    /// Notes a run's whole tree for the receipt: it is asked to end, and what its leader leaves keeps the grace.
    pub(crate) fn ask(&mut self, key: &RunKey) -> Vec<Found> {
        let members = self.members(key);
        if let Some(run) = self.get(key) {
            run.asked.get_or_insert_with(clock::ticks);
            let (_, concerned) = run.ending.get_or_insert_with(|| (Instant::now(), BTreeMap::new()));
            for found in &members {
                concerned.entry(found.id).or_insert_with(|| new_entry(found.id));
            }
        }
        members
    }

    /// Where work is done that may wait for a disk.
    pub(crate) const fn disks(&self) -> &Disks {
        self.journal.disks()
    }

    /// The lock of a run's graph.
    pub(crate) fn lock(&self, key: &RunKey) -> Option<Arc<HeldLock>> {
        self.by_tag.get(self.by_key.get(key)?)?.lock.clone()
    }

    /// The tag that a run's processes carry.
    pub(crate) fn tag(&self, key: &RunKey) -> Option<Tag> {
        self.by_key.get(key).copied()
    }

    /// What all processes of this supervisor's runs have in common.
    pub(crate) const fn life(&self) -> Life {
        self.tags.life()
    }

    /// The tags of all runs there have been.
    pub(crate) const fn given(&self) -> Given {
        self.tags.given()
    }

    /// The run of which a process is.
    pub(crate) fn run_of(&self, pid: i32) -> Option<RunKey> {
        let tag = tag::of(pid).map(Tag)?;
        self.by_tag.get(&tag).map(|run| run.key.clone())
    }

    /// Sends a signal to a run's leader.
    pub(crate) fn signal(&mut self, key: &RunKey, name: &str) {
        if let (Some(number), Some(run)) = (signal::number(name), self.get(key)) {
            process::send(&run.pidfd, number).unwrap_or_default();
        }
    }

    /// Begins to kill whatever is left of a run's tree.
    pub(crate) fn sweep(&mut self, key: &RunKey) {
        if let Some(run) = self.get(key) {
            run.sweeping = true;
            run.ending.get_or_insert_with(|| (Instant::now(), BTreeMap::new()));
            self.new_sweeps = true;
        }
    }

    /// Whether a sweep was begun since they were gone on with.
    pub(crate) fn has_new_sweeps(&self) -> bool {
        self.new_sweeps
    }

    /// What a run's end has come to so far, with whom is left.
    pub(crate) fn census(&mut self, key: &RunKey) -> Receipt {
        let survivors = self.members(key).into_iter().map(|found| found.id).collect();
        let Some(run) = self.get(key) else { return Receipt::default() };
        Receipt { survivors, ..run.receipt() }
    }

    /// Reaps one child that ended. A child that is no run's leader is an orphan that we adopted.
    pub(crate) fn reap(&mut self) -> Option<Option<(RunKey, Exit)>> {
        let mut members = Vec::new();
        let mut group_dies = false;
        let Reaped { pid, exit } = reap::next(|pid| {
            let Some(run) = self.by_leader.get(&pid).and_then(|tag| self.by_tag.get(tag)) else {
                return false;
            };
            // What was asked to end has the rest of its grace.
            group_dies = run.asked.is_none() || run.sweeping;
            // Only a receipt asks who else is in the group that dies with its leader.
            if group_dies && run.ending.is_some() {
                let tag = &run.tag;
                let table = &mut self.table;
                let found = self.spare.with_room(|| {
                    table.look()?;
                    table.members(*tag)
                });
                members = found.unwrap_or_default();
            }
            group_dies
        })?;
        let Some(tag) = self.by_leader.remove(&pid) else { return Some(None) };
        let run = self.by_tag.get_mut(&tag)?;
        run.reaped = true;
        if group_dies {
            run.note_ends(&members);
            members.retain(|found| found.pgid == pid);
            run.note_killed(&members);
        }
        Some(Some((run.key.clone(), exit)))
    }

    /// Goes on with all sweeps: kills whom it finds, but of runs that linger, and returns the runs of which nothing is left,
    /// with the locks that they had. What ends does so as our child, so SIGCHLD says when to look again.
    pub(crate) fn sweep_on(&mut self) -> Vec<Swept> {
        self.new_sweeps = false;
        let mut clean: BTreeMap<Tag, u32> = self
            .by_tag
            .values()
            .filter(|run| run.sweeping || run.lingering)
            .map(|run| (run.tag, 0))
            .collect();
        let mut done = Vec::new();
        while !clean.is_empty() {
            let (table, first) = (&mut self.table, clean.values().all(|scans| *scans == 0));
            let looked = self.spare.with_room(|| {
                // The others are for who forks and ends while the whole table is read.
                if first {
                    table.look_at_all()?
                } else {
                    table.look()?
                }
                clean.keys().map(|tag| Ok((*tag, table.members(*tag)?))).collect::<io::Result<_>>()
            });
            let mut found: HashMap<Tag, Vec<Found>> = match looked {
                Ok(found) => found,
                Err(e) => {
                    // Whoever was not seen may be alive. The core asks again after a while.
                    tracing::warn!(error = %e, "cannot look who is left of ended runs");
                    break;
                }
            };
            clean.retain(|tag, scans| {
                let Some(run) = self.by_tag.get_mut(tag) else { return false };
                let members = found.remove(tag).unwrap_or_default();
                let is_left = if run.sweeping {
                    run.kill(&members, &self.spare)
                } else {
                    run.note_ends(&members);
                    !members.is_empty()
                };
                if is_left || !run.reaped {
                    return false;
                }
                *scans += 1;
                if *scans < CLEAN_SCANS {
                    return true;
                }
                // Last of all, whoever has lost the tag.
                let killed =
                    self.cgroups.as_ref().filter(|_| run.grouped).and_then(|all| empty_group(all, *tag));
                if let Some(killed) = killed {
                    run.note_killed(&killed);
                    // They need not end as our children, so whatever happens next is a reason to look again.
                    self.new_sweeps = true;
                } else {
                    done.push(*tag);
                }
                false
            });
        }
        done.into_iter().filter_map(|tag| self.forget(tag)).collect()
    }

    /// Writes the journal anew where its file was taken away.
    pub(crate) fn heal_journal(&mut self) {
        self.journal.heal(self.by_tag.values().map(|run| (&run.key, run.id(), run.tag)));
    }

    /// Nothing is left of what earlier supervisors started: the journal need not tell of them any more.
    pub(crate) fn past_is_over(&mut self) {
        self.journal.past_is_over();
    }

    /// Whether runs get control groups.
    pub(crate) fn has_cgroups(&self) -> bool {
        self.cgroups.as_ref().is_some_and(Cgroups::in_use)
    }

    /// Ends the journal in order, unless there is somebody of whom it has to tell. The receiver hears when that is written.
    pub(crate) fn end_journal(&mut self) -> Option<oneshot::Receiver<()>> {
        self.by_tag.is_empty().then(|| self.journal.end())
    }

    fn forget(&mut self, tag: Tag) -> Option<Swept> {
        let mut run = self.by_tag.remove(&tag)?;
        self.by_key.remove(&run.key);
        run.note_ends(&[]);
        let receipt = run.receipt();
        Some(Swept { key: run.key, receipt, lock: run.lock })
    }

    fn get(&mut self, key: &RunKey) -> Option<&mut Run> {
        self.by_tag.get_mut(self.by_key.get(key)?)
    }

    /// Everybody in a run's tree, as this turn of the loop sees it.
    fn members(&mut self, key: &RunKey) -> Vec<Found> {
        let Some(tag) = self.by_key.get(key).copied() else { return Vec::new() };
        let (table, looked) = (&mut self.table, self.looked);
        let found = self.spare.with_room(|| {
            if !looked {
                table.look()?;
            }
            table.members(tag)
        });
        self.looked |= found.is_ok();
        found.unwrap_or_default()
    }
}

/// Takes a run's control group away, or kills who is in it and answers who that was.
fn empty_group(cgroups: &Cgroups, tag: Tag) -> Option<Vec<Found>> {
    match cgroups.remove(tag) {
        Ok(Removed::Gone) => None,
        Ok(Removed::Killed(killed)) => Some(killed),
        Err(e) => {
            tracing::warn!(error = %e, "a control group stays");
            None
        }
    }
}
