//! Identifies the supervisor of a worker's process: the mark of a run, a soft limit RLIMIT_LOCKS that its
//! whole tree inherits (ADR 1), names the state directory of its supervisor; where no mark could be set, a
//! variable names the supervisor's instance.

use crate::process::{limit, own, variable};
use gob_client::Dirs;
use gob_client::autostart::LockHolder;
use gob_protocol::tag;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::UNIX_EPOCH;

/// The life that a process belongs to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Life {
    /// The state directory, as marks name it. One supervisor lives in each.
    Home(u32),
    /// The supervisor's instance.
    Instance(String),
}

impl Life {
    /// Returns the life in a process's soft limit, if that is a mark.
    pub(super) fn of_limit(limit: u64) -> Option<Self> {
        tag::home_of(limit).map(Self::Home)
    }

    /// Returns the life of a state directory.
    pub(super) fn of_state_dir(dir: &Path) -> Option<Self> {
        let found = std::fs::metadata(dir).ok()?;
        let born = found.created().ok().and_then(|at| at.duration_since(UNIX_EPOCH).ok());
        Some(Self::Home(tag::home(found.dev(), found.ino(), born.map_or(0, |at| at.as_nanos()))))
    }
}

/// The supervisor of a worker's process.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Whose {
    /// A living supervisor: its process, and its state directory.
    Supervisor { pid: i32, state_dir: PathBuf },
    /// A supervisor that is dead, or can't be seen from here. Its state directory is ours, or unknown.
    Nobodys { ours: bool },
}

/// Returns the supervisor of a process; `None` when it is no worker of gob's at all.
pub(crate) fn whose(dirs: &Dirs, pid: i32) -> Option<Whose> {
    let lives: Vec<Life> = [home_of_worker(pid), instance_of_worker(pid)].into_iter().flatten().collect();
    if lives.is_empty() {
        return None;
    }
    let is_of =
        |supervisor: i32| lives_of_supervisor(dirs, supervisor).iter().any(|life| lives.contains(life));
    let supervisor = own().into_iter().find(|process| process.name == "gobd" && is_of(process.pid));
    let found = supervisor.and_then(|found| Some((found.pid, variable(found.pid, "GOB_STATE_DIR")?)));
    Some(match found {
        Some((pid, state_dir)) => Whose::Supervisor { pid, state_dir: state_dir.into() },
        None => {
            // The lock file of a supervisor that was killed still names it.
            let instance = LockHolder::read(dirs).map(|last| Life::Instance(last.instance));
            let mut ours = Life::of_state_dir(&dirs.state).into_iter().chain(instance);
            Whose::Nobodys { ours: ours.any(|ours| lives.contains(&ours)) }
        }
    })
}

/// Returns the life of a worker's process. The tag can't be removed by `env -i`; the variable is for trees
/// without a tag.
pub(super) fn life_of_worker(pid: i32) -> Option<Life> {
    home_of_worker(pid).or_else(|| instance_of_worker(pid))
}

/// Returns the life in its tag.
pub(super) fn home_of_worker(pid: i32) -> Option<Life> {
    limit(pid, "Max file locks").and_then(|(soft, _)| soft).and_then(Life::of_limit)
}

/// Returns the life in its environment.
pub(super) fn instance_of_worker(pid: i32) -> Option<Life> {
    Some(Life::Instance(variable(pid, "GOB_INSTANCE")?))
}

/// Returns the lives that identify a supervisor's workers; empty when that can't be found out.
pub(super) fn lives_of_supervisor(dirs: &Dirs, pid: i32) -> Vec<Life> {
    let Some(state) = variable(pid, "GOB_STATE_DIR").map(PathBuf::from) else { return Vec::new() };
    let home = Life::of_state_dir(&state);
    let holder = LockHolder::read(&Dirs { state, ..dirs.clone() }).filter(|holder| holder.pid == pid);
    holder
        .into_iter()
        .flat_map(|holder| home.clone().into_iter().chain([Life::Instance(holder.instance)]))
        .collect()
}
