//! The processes behind the runs: handles, tags, and the sweeping of whole trees (ARCHITECTURE, "How a tree dies").
//!
//! Owns every child and its handle, keyed by run. Decides nothing: it spawns, signals and sweeps when the core says so
//! and reports what the kernel says. Used by the loop alone. The kernel is a parameter, so that its tests need no
//! processes (`runs/tests.rs`).

mod begin;
mod end;
mod handing;
mod kin;
mod reach;
mod run;
#[cfg(test)]
mod tests;

use crate::cgroups::Cgroups;
use crate::disks::Disks;
use crate::graph_lock::HeldLock;
use crate::journal::Journal;
use crate::programs::Program;
use crate::readiness::{Tree, Wanted};
use crate::sys::kernel::Kernel;
use crate::sys::linux::Linux;
use crate::sys::process::Found;
use crate::sys::table::Table;
use crate::sys::tag::{Given, Life, Tag, Tags};
use gob_core::{New, RunKey};
use gob_protocol::{Exit, Receipt};
pub(crate) use handing::RunsState;
use kin::Kin;
use reach::Reach;
use run::Run;
pub(crate) use run::survivor;
use std::collections::{BTreeMap, HashMap};
use std::ffi::CString;
use std::fs::File;
use std::io;
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use tokio::sync::oneshot;

/// Everything that a run has before its process.
pub(crate) struct Place {
    /// The lock of its graph.
    pub(crate) lock: Option<Arc<HeldLock>>,
    /// Whether the graph was new to gob.
    pub(crate) new: New,
    pub(crate) program: CString,
    /// What lies at its path.
    pub(crate) form: Program,
    /// Its working directory, open.
    pub(crate) cwd: OwnedFd,
}

/// A run of which nothing is left.
pub(crate) struct Swept {
    pub(crate) key: RunKey,
    pub(crate) receipt: Receipt,
    /// The lock of its graph, which must be released now.
    pub(crate) lock: Option<Arc<HeldLock>>,
}

/// The child that [`Runs::reap`] found.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Reaping {
    /// No child has ended.
    Nothing,
    /// An adopted orphan.
    Stray,
    /// The leader of a run.
    Leader(RunKey, Exit),
}

/// All runs with processes.
pub(crate) struct Runs<K: Kernel = Linux> {
    reach: Reach<K>,
    by_tag: BTreeMap<Tag, Run<K>>,
    by_key: HashMap<RunKey, Tag>,
    by_leader: HashMap<i32, Tag>,
    tags: Tags,
    journal: Journal,
    cgroups: Option<Cgroups>,
    null: File,
    open_files: libc::rlimit,
    table: Table,
    kin: Kin,
    /// This turn of the loop has scanned the table, so that ending many runs at once scans once.
    scanned: bool,
    new_sweeps: bool,
}

impl Runs {
    /// Creates an empty set. Processes of runs carry these `tags`, the `journal` records them, and each run
    /// has one of the `cgroups` where there are any; workers get `open_files` as their limit, and carry
    /// `instance` in their environment.
    ///
    /// # Errors
    /// When `/dev/null` can't be opened.
    pub(crate) fn new(
        tags: Tags,
        journal: Journal,
        cgroups: Option<Cgroups>,
        open_files: libc::rlimit,
        instance: String,
    ) -> io::Result<Self> {
        Self::on(Linux::new(), tags, journal, cgroups, open_files, instance)
    }
}

impl<K: Kernel> Runs<K> {
    /// As [`Runs::new`], on any kernel.
    fn on(
        kernel: K,
        tags: Tags,
        journal: Journal,
        cgroups: Option<Cgroups>,
        open_files: libc::rlimit,
        instance: String,
    ) -> io::Result<Self> {
        let table = Table::new(tags.life());
        Ok(Self {
            reach: Reach::new(kernel)?,
            by_tag: BTreeMap::new(),
            by_key: HashMap::new(),
            by_leader: HashMap::new(),
            tags,
            journal,
            cgroups,
            null: File::open("/dev/null")?,
            open_files,
            table,
            kin: Kin::new(instance),
            scanned: false,
            new_sweeps: false,
        })
    }

    /// Begins a turn of the loop, and with it another scan of the process table.
    pub(crate) fn new_turn(&mut self) {
        self.scanned = false;
    }

    /// Returns whether anything may be left of a run.
    pub(crate) fn has_runs(&self) -> bool {
        !self.by_tag.is_empty()
    }

    /// Returns the threads on which work is done that may wait for a disk.
    pub(crate) const fn disks(&self) -> &Disks {
        self.journal.disks()
    }

    /// Returns the number of failed writes of the journal, now and later on.
    pub(crate) fn journal_failures(&self) -> Arc<AtomicU64> {
        self.journal.failures()
    }

    /// Returns the lock of a run's graph.
    pub(crate) fn lock(&self, key: &RunKey) -> Option<Arc<HeldLock>> {
        self.by_tag.get(self.by_key.get(key)?)?.lock.clone()
    }

    /// Returns what tells a run's sockets from others.
    pub(crate) fn tree(&self, key: &RunKey) -> Option<Tree> {
        let run = self.by_tag.get(self.by_key.get(key)?)?;
        Some(Tree { tag: run.tag, leader: (!run.tagged).then_some(run.leader) })
    }

    /// Returns a run as one that is to be looked at.
    pub(crate) fn wanted(&self, key: RunKey) -> Option<Wanted> {
        let (tree, run) = (self.tree(&key)?, self.by_tag.get(self.by_key.get(&key)?)?);
        Some(Wanted { key, tree, leader: run.leader })
    }

    /// Returns what all processes of this supervisor's runs have in common.
    pub(crate) const fn life(&self) -> Life {
        self.tags.life()
    }

    /// Returns the tags of all runs that there have been.
    pub(crate) const fn given(&self) -> Given {
        self.tags.given()
    }

    /// Counts the runs whose processes could not be marked.
    pub(crate) fn unmarked(&self) -> u64 {
        self.by_tag.values().filter(|run| !run.tagged).count() as u64
    }

    /// Writes the journal anew where its file was lost.
    pub(crate) fn heal_journal(&mut self) {
        self.journal.heal(self.by_tag.values().map(|run| (&run.key, run.id(), run.tag)));
    }

    /// Drops the records of earlier supervisors: nothing is left of their processes.
    pub(crate) fn past_is_over(&mut self) {
        self.journal.past_is_over();
    }

    /// Returns whether runs get control groups.
    pub(crate) fn has_cgroups(&self) -> bool {
        self.cgroups.as_ref().is_some_and(Cgroups::in_use)
    }

    /// Ends the journal in order, unless there is a run of which it has to tell. The receiver hears when that is written.
    pub(crate) fn end_journal(&mut self) -> Option<oneshot::Receiver<()>> {
        self.by_tag.is_empty().then(|| self.journal.end())
    }

    fn get(&mut self, key: &RunKey) -> Option<&mut Run<K>> {
        self.by_tag.get_mut(self.by_key.get(key)?)
    }

    /// Lists every living process of a run's tree: by their parents where that is exact, at the cost of these few and not of
    /// all processes of the machine.
    fn family(&mut self, key: &RunKey) -> Vec<Found> {
        let tag = self.by_key.get(key).copied();
        tag.and_then(|tag| self.by_parents(tag)).unwrap_or_else(|| self.members(key))
    }

    /// Lists every living process of a run's tree.
    fn members(&mut self, key: &RunKey) -> Vec<Found> {
        let Some(tag) = self.by_key.get(key).copied() else { return Vec::new() };
        let adopted = self.adopted().unwrap_or_default();
        self.members_with(tag, &adopted)
    }
}
