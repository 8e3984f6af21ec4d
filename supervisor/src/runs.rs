//! The processes behind the runs: handles, tags, and the sweeping of whole trees (ARCHITECTURE, Stop).
//!
//! Owns every child and its handle, keyed by run. Decides nothing: it spawns, signals and sweeps when the core says so
//! and reports what the kernel says. Used on the main thread alone.

mod kin;
mod run;

use crate::cgroups::{Cgroups, Removed};
use crate::disks::Disks;
use crate::graph_lock::HeldLock;
use crate::journal::Journal;
use crate::program;
use crate::readiness::Tree;
use crate::sys::clock;
use crate::sys::closing;
use crate::sys::fds::Spare;
use crate::sys::process::{self, Found};
use crate::sys::reap::{self, Reaped};
use crate::sys::spawn::{self, Limit, Spec, Started};
use crate::sys::table::Table;
use crate::sys::tag::{Given, Life, Tag, Tags};
use gob_core::{New, RunKey, SpawnPlan};
use gob_protocol::{Exit, ProcessId, Receipt, signal};
use kin::{Adopted, Kin};
use run::{Run, new_entry};
use std::collections::{BTreeMap, HashMap};
use std::ffi::CString;
use std::fs::File;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::Arc;
use std::time::Instant;
use tokio::sync::oneshot;

/// A run with so many processes left is killed as they are seen.
const MANY: usize = 8;

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
    kin: Kin,
    /// This turn of the loop has looked at the table, so that ending many runs at once looks once.
    looked: bool,
    new_sweeps: bool,
}

/// The child that [`Runs::reap`] found.
pub(crate) enum Reaping {
    /// No child has ended.
    Nothing,
    /// An orphan that was adopted.
    Stray,
    /// The leader of a run.
    Leader(RunKey, Exit),
}

impl Runs {
    /// No runs yet. Their processes carry these `tags`, the `journal` tells of them, and each has one of the `cgroups`
    /// where there are any; workers get `open_files` as their limit, and carry `instance` in their environment.
    pub(crate) fn new(
        tags: Tags,
        journal: Journal,
        cgroups: Option<Cgroups>,
        open_files: libc::rlimit,
        instance: String,
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
            kin: Kin::new(instance),
            looked: false,
            new_sweeps: false,
        })
    }

    /// Starts a run's process with these ends of its output pipes. Its whole tree inherits its locks.
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
            second_lock: lock.as_ref().and_then(|lock| lock.second_fd()),
            close_first: closing::is_quick(),
        };
        let Started { id, pidfd, in_cgroup } = spawn::spawn(&spec).map_err(|e| {
            if let Some(cgroups) = self.cgroups.as_ref().filter(|_| cgroup.is_some()) {
                empty_group(cgroups, tag);
            }
            let what =
                if e.step == "chdir" { plan.cwd.as_str() } else { program.to_str().unwrap_or_default() };
            let failure = SpawnFailure::io(&format!("{} {what}", e.step), &e.source);
            match program::why_not_executed(&std::path::Path::new(&plan.cwd).join(what), &e.source) {
                Some(why) if e.step == "exec" => {
                    SpawnFailure { message: format!("exec {what}: {why}"), ..failure }
                }
                _ => failure,
            }
        })?;
        if let Some(cgroups) = self.cgroups.as_mut().filter(|_| cgroup.is_some() && !in_cgroup) {
            cgroups.refuse(tag);
        }
        let key = plan.key.clone();
        self.by_key.insert(key.clone(), tag);
        self.by_leader.insert(id.pid, tag);
        self.journal.note(&key, id, tag);
        let tagged = Run::is_tagged(id.pid, tag);
        if !tagged {
            tracing::warn!(
                worker = %key.name, run = key.run,
                "its processes can't be marked (a hard limit on file locks?); its tree is known by its parents"
            );
        }
        let run = Run {
            key,
            tagged,
            leader: id.pid,
            start_time: id.start_time,
            pidfd,
            lock: lock.clone(),
            tag,
            reaped: false,
            asked: None,
            group_asked: false,
            lingering: None,
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
        run.group_asked = true;
        // A group that is gone already needs no asking.
        process::send_group(run.leader, number).unwrap_or_default();
        process::send_group(run.leader, libc::SIGCONT).unwrap_or_default();
        let leader = run.leader;
        for found in members.iter().filter(|found| found.pgid == leader) {
            let sent = if process::is_denied(found.id.pid) { Err(run::denied()) } else { Ok(()) };
            run.note_signal(found, name, sent);
        }
    }

    /// The leader is gone and its tree has the rest of the grace: asks those that its group's signal did not reach, as in a
    /// session of their own, and reports the run when nothing is left of it.
    pub(crate) fn linger(&mut self, key: &RunKey, name: &str) {
        let (Some(number), Some(run)) = (signal::number(name), self.get(key)) else { return };
        run.lingering = Some((number, name.to_owned()));
        self.new_sweeps = true;
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

    /// Whose sockets are a run's.
    pub(crate) fn tree(&self, key: &RunKey) -> Option<Tree> {
        let run = self.by_tag.get(self.by_key.get(key)?)?;
        Some(Tree { tag: run.tag, leader: (!run.tagged).then_some(run.leader) })
    }

    /// What all processes of this supervisor's runs have in common.
    pub(crate) const fn life(&self) -> Life {
        self.tags.life()
    }

    /// The tags of all runs there have been.
    pub(crate) const fn given(&self) -> Given {
        self.tags.given()
    }

    /// Sends a signal to a run's leader.
    ///
    /// # Errors
    /// When this user may not: the leader has become another user's.
    pub(crate) fn signal(&mut self, key: &RunKey, name: &str) -> io::Result<()> {
        let (Some(number), Some(run)) = (signal::number(name), self.get(key)) else { return Ok(()) };
        match process::send(&run.pidfd, number) {
            // Its end is told by itself.
            Err(e) if e.raw_os_error() == Some(libc::ESRCH) => Ok(()),
            sent => sent,
        }
    }

    /// How many runs there are whose processes could not be marked.
    pub(crate) fn unmarked(&self) -> u64 {
        self.by_tag.values().filter(|run| !run.tagged).count() as u64
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
        let members = self.members(key);
        let Some(run) = self.get(key) else { return Receipt::default() };
        let survivors = members.iter().map(run::survivor).collect();
        Receipt { survivors, ..run.receipt() }
    }

    /// Reaps one child that ended.
    pub(crate) fn reap(&mut self) -> Reaping {
        let mut members = Vec::new();
        let mut group_dies = false;
        let reaped = reap::next(|pid| {
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
        });
        let Some(Reaped { pid, exit }) = reaped else { return Reaping::Nothing };
        self.kin.forget(pid);
        let tag = self.by_leader.remove(&pid);
        let Some(run) = tag.and_then(|tag| self.by_tag.get_mut(&tag)) else { return Reaping::Stray };
        run.reaped = true;
        if group_dies {
            run.note_ends(&members);
            members.retain(|found| found.pgid == pid);
            run.note_killed(&members);
        }
        Reaping::Leader(run.key.clone(), exit)
    }

    /// Goes on with all sweeps: kills whom it finds, but of runs that linger, and returns the runs of which nothing is left,
    /// with the locks that they had. What ends does so as our child, so SIGCHLD says when to look again.
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
                // Whoever was not seen may be alive. The core asks again after a while.
                tracing::warn!(error = %e, "cannot look who is left of ended runs");
                return Vec::new();
            }
        };
        self.looked = false;
        let done: Vec<Tag> = ending.into_iter().filter(|tag| self.is_over(*tag, &adopted)).collect();
        let done: Vec<Swept> = done.into_iter().filter_map(|tag| self.forget(tag)).collect();
        if !done.is_empty() {
            self.end_strays(&adopted);
        }
        done
    }

    /// Goes on with the end of a run: asks or kills who is left of it; true when that is nobody.
    fn is_over(&mut self, tag: Tag, adopted: &Adopted) -> bool {
        let is_reaped = self.by_tag.get(&tag).is_some_and(|run| run.reaped);
        if !is_reaped || !adopted.proves_end_of(tag) {
            let members = self.members_with(tag, adopted);
            let Some(run) = self.by_tag.get_mut(&tag) else { return false };
            if run.sweeping && members.len() >= MANY {
                run.kill_as_seen(&members, &self.spare);
            } else if run.sweeping {
                run.kill(&members, &self.spare);
            } else {
                run.go_on_lingering(&members, &self.spare);
            }
            return false;
        }
        // Last of all, whoever is in its control group all the same.
        let Some(run) = self.by_tag.get_mut(&tag) else { return false };
        let killed = self.cgroups.as_ref().filter(|_| run.grouped).and_then(|all| empty_group(all, tag));
        if let Some(killed) = &killed {
            run.note_killed(killed);
            // They need not end as our children, so whatever happens next is a reason to look again.
            self.new_sweeps = true;
        }
        killed.is_none()
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

    /// Everybody in a run's tree.
    fn members(&mut self, key: &RunKey) -> Vec<Found> {
        let Some(tag) = self.by_key.get(key).copied() else { return Vec::new() };
        let adopted = self.adopted().unwrap_or_default();
        self.members_with(tag, &adopted)
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
