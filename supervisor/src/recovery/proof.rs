//! The proof that a process is one of a dead supervisor's: the facts about it, which the core judges.

use super::{Claim, Orphan};
use crate::beside::BESIDE;
use crate::journal::Instance;
use crate::sys::kernel::Kernel;
use crate::sys::tag::Tag;
use gob_core::{Evidence, Judgement, Marked, Suspect, TagOf, Trace};
use gob_protocol::Name;
use std::path::Path;

/// The marker in the environment of every worker.
const MARKER: &str = "GOB_INSTANCE";

/// The mark that shows a process to be of a dead instance.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Proof {
    Tag(Tag),
    Marker,
    Lock,
}

/// The marks that are read in one look: each kind costs more than the one before it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Reads {
    Tags,
    Markers,
    Locks,
}

impl<K: Kernel> Claim<K> {
    /// Returns the recorded supervisors whose number is no other process's by now.
    pub(super) fn dead(&self) -> impl Iterator<Item = &Instance> {
        self.past.instances.iter().filter(|past| {
            self.kernel.seen(past.pid).is_none_or(|found| found.id.start_time == past.start_time)
        })
    }

    /// Returns the recorded supervisor that took a graph's lock which this process has inherited, and the lock's file.
    pub(super) fn holds_lock(&self, pid: i32) -> Option<(&Instance, String)> {
        let taken = self.kernel.taken_locks(pid);
        let of = |taker: i32| self.dead().find(|dead| dead.pid == taker);
        taken
            .into_iter()
            .find_map(|(path, taker)| Some((of(taker)?, path)).filter(|(_, path)| is_of_graph(path)))
    }

    /// Returns the worker whose graph has this lock, if the journal knows it.
    pub(super) fn served(&self, path: &str) -> Option<Name> {
        let stem = Path::new(path).file_stem()?;
        let leader = self.past.leaders.iter().rev().find(|leader| leader.name.on_disk().as_str() == stem)?;
        Some(leader.name.clone())
    }

    /// Gathers the facts about a process, and returns the proof that it is of a dead instance, if the core finds one.
    pub(super) fn claims(&self, pid: i32, reads: Reads) -> Option<Proof> {
        let by_marker = reads == Reads::Markers;
        let is_ourselves = self.spared.contains(&pid);
        let tag = if is_ourselves { None } else { self.kernel.tag_of_anybody(pid).map(Tag) };
        let of = |tag: Tag| TagOf {
            this_directory: tag.home() == Some(self.home),
            recorded: self.past.instances.iter().any(|past| Tag(past.tag).is_kin(tag)),
            this_life: self.own.is_some_and(|own| own.has(tag)),
        };
        let holds = (reads == Reads::Locks && !is_ourselves).then(|| self.holds_lock(pid)).flatten();
        let locks = holds.map(|(taker, _)| self.trace(taker, pid));
        let unread = Suspect { is_ourselves, tag: tag.map(of), marked: Marked::Unread, locks };
        let judgement = match unread.judge(by_marker) {
            Judgement::ReadMarker => Suspect { marked: self.marked(pid), ..unread }.judge(by_marker),
            told @ (Judgement::Spare | Judgement::End(_)) => told,
        };
        match judgement {
            Judgement::End(Evidence::Tag) => tag.map(Proof::Tag),
            Judgement::End(Evidence::Marker) => Some(Proof::Marker),
            Judgement::End(Evidence::Lock) => Some(Proof::Lock),
            Judgement::Spare | Judgement::ReadMarker => None,
        }
    }

    /// Reads the marker of a process.
    fn marked(&self, pid: i32) -> Marked {
        let Some(instance) = self.kernel.variable(pid, MARKER) else { return Marked::No };
        let known = self.past.instances.iter().find(|past| past.instance.as_bytes() == instance);
        known.map_or(Marked::No, |past| Marked::By(self.trace(past, pid)))
    }

    fn trace(&self, supervisor: &Instance, pid: i32) -> Trace {
        let process = self.kernel.seen(pid).map(|found| found.id.start_time);
        Trace { supervisor: supervisor.start_time, process }
    }

    /// Reads the worker of an orphan that is not in the journal from its environment.
    pub(super) fn named(&self, orphan: Orphan<K::Handle>) -> Orphan<K::Handle> {
        let told = || {
            let name = self.kernel.variable(orphan.id.pid, "GOB_NAME")?;
            Name::any(std::str::from_utf8(&name).ok()?).ok()
        };
        let name = orphan.name.clone().or_else(told);
        Orphan { name, ..orphan }
    }
}

/// Returns whether a path is that of a graph's lock.
fn is_of_graph(path: &str) -> bool {
    let path = Path::new(path);
    path.extension().is_some_and(|extension| extension == "lock")
        && path.parent().and_then(Path::file_name).is_some_and(|dir| dir == BESIDE)
}
