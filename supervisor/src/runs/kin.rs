//! The runs of adopted children: descendants of runs whose parents are dead, which are our children now.
//!
//! Most carry the tag of their run. Where none could be set, or one was reset (`su`, `runuser`, PAM), each of these identifies
//! the run: the leader's process group, an earlier scan of the run's tree, the marker in the environment, the lock of a
//! graph among the descriptors, the control group. A process without any of them belongs to the only run that is old enough, or
//! else to none until the others are over: every process that became our child is of one of our runs.

use super::Runs;
use crate::graph_lock::HeldLock;
use crate::sys::kernel::Kernel;
use crate::sys::process::Found;
use crate::sys::tag::Tag;
use gob_core::RunKey;
use gob_protocol::Name;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::io;

/// Limits how many generations of children that are dead when they are examined are followed in one turn.
const GENERATIONS: usize = 8;
/// Beyond so many processes a scan of the table costs less than a reading for each, and finds all of them.
const MANY: usize = 256;
/// No chain of parents is longer.
const ANCESTORS: usize = 4096;

/// The known runs of adopted children.
#[derive(Debug)]
pub(super) struct Kin {
    /// The life of this supervisor, which every worker has in its environment.
    pub(super) instance: String,
    /// The run of each child. Its number is its own until it is reaped.
    pub(super) known: HashMap<i32, Tag>,
}

/// Living adopted children.
#[derive(Debug, Default)]
pub(super) struct Adopted {
    by_run: BTreeMap<Tag, Vec<Found>>,
    /// Each of these may be of more than one run.
    unclear: Vec<Found>,
    /// The runs whose children may be missing.
    missing: Missing,
}

/// Runs whose children may not be among those that were examined: one of theirs had ended by then, and its own are in the next
/// list.
#[derive(Debug, Default)]
struct Missing {
    of: BTreeSet<Tag>,
    /// A child without a tag had ended: it may have been any run's.
    of_any: bool,
}

impl Kin {
    pub(super) fn new(instance: String) -> Self {
        Self { instance, known: HashMap::new() }
    }

    /// Notes that a child was reaped.
    pub(super) fn forget(&mut self, pid: i32) {
        self.known.remove(&pid);
    }
}

impl Adopted {
    /// Returns whether nothing is left of a run whose leader was reaped.
    pub(super) fn proves_end_of(&self, run: Tag) -> bool {
        let missing = self.missing.of_any || self.missing.of.contains(&run);
        !missing && self.of(run).is_empty()
    }

    /// Returns those of a run.
    pub(super) fn of(&self, run: Tag) -> &[Found] {
        self.by_run.get(&run).map_or(&[], Vec::as_slice)
    }
}

impl<K: Kernel> Runs<K> {
    /// Returns the living adopted children. Of a run whose processes go on as their own children faster than
    /// they are examined, some are missing.
    ///
    /// # Errors
    /// When they can't be listed.
    pub(super) fn adopted(&mut self) -> io::Result<Adopted> {
        let (mut adopted, mut seen) = (Adopted::default(), BTreeSet::new());
        for _ in 0..GENERATIONS {
            let children = self.reach.children()?;
            let mut missing = Missing::default();
            for pid in children {
                if self.by_leader.contains_key(&pid) || !seen.insert(pid) {
                    continue;
                }
                match self.reach.kernel.living(pid) {
                    Some(found) => self.adopt(found, &mut adopted, &mut missing),
                    // It may have died after the list was read, and its children are in the next list.
                    None => self.miss(pid, &mut missing),
                }
            }
            let is_whole = missing.of.is_empty() && !missing.of_any;
            adopted.missing = missing;
            if is_whole {
                break;
            }
        }
        Ok(adopted)
    }

    /// Notes the run of a child that has ended: a process keeps its limits until it is reaped.
    fn miss(&self, pid: i32, missing: &mut Missing) {
        match self.kin.known.get(&pid).copied().or_else(|| self.reach.kernel.tag_of_anybody(pid).map(Tag)) {
            Some(run) if self.by_tag.contains_key(&run) => drop(missing.of.insert(run)),
            // `end_strays` examines the processes of a run that is over.
            Some(run) if self.tags.life().has(run.0) => {}
            Some(_) | None => missing.of_any = true,
        }
    }

    fn adopt(&mut self, found: Found, adopted: &mut Adopted, missing: &mut Missing) {
        let pid = found.id.pid;
        let known = self.kin.known.get(&pid).copied().filter(|tag| self.by_tag.contains_key(tag));
        match known.or_else(|| self.whose(&found)) {
            Some(run) => {
                self.kin.known.insert(pid, run);
                adopted.by_run.entry(run).or_default().push(found);
            }
            // Alive when it was found, and dead when its run was looked for.
            None if !self.reach.kernel.is_living_child(pid) => self.miss(pid, missing),
            None => adopted.unclear.push(found),
        }
    }

    /// Returns the run of an adopted child.
    fn whose(&self, found: &Found) -> Option<Tag> {
        let pid = found.id.pid;
        let tag = self.reach.kernel.tag_of_anybody(pid).map(Tag).filter(|tag| self.by_tag.contains_key(tag));
        let runs = || self.by_tag.values();
        // A number that is still a group's is not given to another process.
        tag.or_else(|| runs().find(|run| run.leader == found.pgid).map(|run| run.tag))
            .or_else(|| runs().find(|run| run.concerns(found)).map(|run| run.tag))
            .or_else(|| self.marked(pid))
            .or_else(|| self.holding_lock(pid))
            .or_else(|| self.in_cgroup(pid))
            .or_else(|| self.only_one_as_old(found))
    }

    fn marked(&self, pid: i32) -> Option<Tag> {
        let text = |name| String::from_utf8(self.reach.kernel.variable(pid, name)?).ok();
        if text("GOB_INSTANCE")? != self.kin.instance {
            return None;
        }
        let key = RunKey { name: Name::any(&text("GOB_NAME")?).ok()?, run: text("GOB_RUN")?.parse().ok()? };
        self.by_key.get(&key).copied()
    }

    fn holding_lock(&self, pid: i32) -> Option<Tag> {
        let open = self.reach.kernel.open_files(pid);
        let holds = |lock: &HeldLock| open.iter().any(|path| path == lock.path());
        let mut runs = self.by_tag.values();
        runs.find(|run| run.lock.as_deref().is_some_and(holds)).map(|run| run.tag)
    }

    fn in_cgroup(&self, pid: i32) -> Option<Tag> {
        let cgroups = self.cgroups.as_ref()?;
        let kernel = &self.reach.kernel;
        let mut runs = self.by_tag.values();
        runs.find(|run| run.grouped && cgroups.has(kernel, run.tag, pid)).map(|run| run.tag)
    }

    /// Returns the only run that existed before the process.
    fn only_one_as_old(&self, found: &Found) -> Option<Tag> {
        let mut older = self.by_tag.values().filter(|run| may_have_made(run.start_time, found));
        let first = older.next()?.tag;
        older.next().is_none().then_some(first)
    }

    /// Ends processes that can't be of any present run: their own is over.
    pub(super) fn end_strays(&self, adopted: &Adopted) {
        for found in &adopted.unclear {
            if self.by_tag.values().any(|run| may_have_made(run.start_time, found)) {
                continue;
            }
            tracing::warn!(pid = found.id.pid, "ending what a worker left and nothing tells which one");
            let kernel = &self.reach.kernel;
            let killed = kernel
                .open_found(found, Tag(0))
                .map(|handle| handle.map_or(Ok(()), |handle| kernel.send(&handle, libc::SIGKILL)));
            if let Err(error) | Ok(Err(error)) = killed {
                tracing::warn!(pid = found.id.pid, %error, "cannot end it");
            }
        }
    }

    /// Lists every living process of a run's tree: by its tag, as this turn of the loop sees it, by adoption, and all below those
    /// that the tag does not tell.
    pub(super) fn members_with(&mut self, of: Tag, adopted: &Adopted) -> Vec<Found> {
        let found = self.reach.tagged(&mut self.table, of, !self.scanned);
        self.scanned |= found.is_ok();
        let mut members = found.unwrap_or_else(|error| {
            tracing::warn!(%error, "cannot look who carries a run's tag");
            Vec::new()
        });
        let leader = self.leader(of);
        for top in adopted.of(of).iter().copied().chain(leader) {
            self.add_below(top, &mut members);
        }
        members
    }

    /// Lists every living process of a run whose leader was not reaped: all below it, and all adopted ones with those below them.
    /// `None` where that may not be all.
    pub(super) fn by_parents(&mut self, of: Tag) -> Option<Vec<Found>> {
        let mut members = Vec::new();
        self.add_below(self.leader(of)?, &mut members);
        // Read last: what loses its parent meanwhile is among them.
        for top in self.adopted().ok()?.of(of) {
            self.add_below(*top, &mut members);
        }
        (members.len() < MANY).then_some(members)
    }

    /// Returns the leader of a run, unless it was reaped.
    fn leader(&self, of: Tag) -> Option<Found> {
        let run = self.by_tag.get(&of).filter(|run| !run.reaped)?;
        self.reach.kernel.living(run.leader).map(|found| Found { id: run.id(), ..found })
    }

    /// Adds a process and those below it. One whose tag does not tell its run has others below it whose tags don't either; and below
    /// a leader there may be some in its group that have put theirs back, and get its signals.
    fn add_below(&self, top: Found, members: &mut Vec<Found>) {
        let is_known = |members: &[Found], pid: i32| members.iter().any(|known| known.id.pid == pid);
        if !self.by_leader.contains_key(&top.id.pid) && is_known(members, top.id.pid) {
            return;
        }
        for found in std::iter::once(top).chain(self.reach.kernel.below(top.id.pid)) {
            if !is_known(members, found.id.pid) {
                members.push(found);
            }
        }
    }

    /// Returns the run that `pid` belongs to: by its tag, or by its parents.
    pub(crate) fn run_of(&self, pid: i32) -> Option<RunKey> {
        let parents =
            std::iter::successors(Some(pid), |pid| self.reach.kernel.parent(*pid).filter(|above| *above > 1));
        let tag = self
            .reach
            .kernel
            .tag_of_anybody(pid)
            .map(Tag)
            .filter(|tag| self.by_tag.contains_key(tag))
            .or_else(|| {
                let mut parents = parents.take(ANCESTORS);
                parents.find_map(|pid| self.by_leader.get(&pid).or_else(|| self.kin.known.get(&pid)).copied())
            })?;
        self.by_tag.get(&tag).map(|run| run.key.clone())
    }
}

/// Returns whether a process may come from a run that began then.
fn may_have_made(start_time: u64, found: &Found) -> bool {
    // The age of a hidden process is unknown.
    found.id.start_time == 0 || start_time <= found.id.start_time
}
