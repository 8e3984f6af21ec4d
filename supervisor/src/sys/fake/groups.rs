//! The control groups of the fake: directories with processes in them.

use super::errno;
use super::world::World;
use std::collections::BTreeSet;
use std::io;
use std::path::{Path, PathBuf};

/// The groups that there are.
#[derive(Debug, Default)]
pub(super) struct Groups {
    all: BTreeSet<PathBuf>,
    /// The one that was made last, for the process that is started in it.
    made: Option<PathBuf>,
}

impl World {
    pub(crate) fn make_group(&mut self, group: &Path) -> io::Result<()> {
        if !self.groups.all.insert(group.to_owned()) {
            return Err(errno(libc::EEXIST));
        }
        self.groups.made = Some(group.to_owned());
        Ok(())
    }

    pub(super) fn made_group(&mut self) -> Option<PathBuf> {
        self.groups.made.take()
    }

    pub(super) fn remove_group(&mut self, group: &Path) -> io::Result<()> {
        if !self.groups.all.contains(group) {
            return Err(errno(libc::ENOENT));
        }
        if !self.groups_in(group).is_empty() || !self.members(group).is_empty() {
            return Err(errno(libc::EBUSY));
        }
        self.groups.all.remove(group);
        Ok(())
    }

    /// Lists the living processes of a group and of those below it.
    pub(crate) fn members(&self, group: &Path) -> Vec<i32> {
        let is_in = |at: &Option<PathBuf>| at.as_deref().is_some_and(|at| at.starts_with(group));
        let members = self.by_pid.iter().filter(|(_, process)| process.is_alive() && is_in(&process.cgroup));
        members.map(|(pid, _)| *pid).collect()
    }

    /// Kills a group. The kernel asks for no rights on its processes.
    ///
    /// # Panics
    /// When a process in it is of no run that ends: the rule under test.
    pub(super) fn kill_group(&mut self, group: &Path) {
        for pid in self.members(group) {
            let of = self.process(pid).of.filter(|run| self.ending.contains(run));
            assert!(of.is_some(), "the group {} is killed with {pid}, of no run that ends", group.display());
            self.strike(pid, libc::SIGKILL);
        }
    }

    pub(crate) fn groups_in(&self, group: &Path) -> Vec<PathBuf> {
        self.groups.all.iter().filter(|other| other.parent() == Some(group)).cloned().collect()
    }
}
