//! Programs that hold a graph without gob: finds them, follows them, and ends those that a kind
//! allows to be ended.
//!
//! Owns the tasks of each worker. Decides nothing: the core says which graph to examine and is told the
//! holder. Files, and everything else that a hanging disk can delay, are read off the loop's thread.

mod arguments;
mod end;
mod endpoint;
mod examine;
mod lockfile;

use crate::disks::Disks;
use crate::mailbox::Post;
use crate::sys::process;
use crate::sys::tag::Life;
use crate::upgrade::{Fd, Inherited, Named, Unfit};
use examine::Looker;
use gob_core::{ExaminePlan, Examined, Orphan, RunKey};
use gob_protocol::Name;
use serde::{Deserialize, Serialize};
use std::collections::HashMap;
use std::io;
use std::os::fd::OwnedFd;
use std::rc::{Rc, Weak};
use std::time::Duration;
use tokio::task::JoinHandle;

/// Time until the next try to follow a holder after a lack of descriptors.
const AGAIN: Duration = Duration::from_secs(1);

/// A result.
pub(crate) enum Found {
    /// An examination of a run's graph is done.
    Examined { key: RunKey, sighting: Sighting },
    /// One of the processes that were signalled for a run has ended.
    OrphanEnded { key: RunKey, pid: i32 },
    /// A process that held a worker's graph without gob has ended.
    HolderGone { name: Name, pid: i32 },
}

/// The examinations and the followed holders.
pub(crate) struct Foreign {
    found: Post<Found>,
    looker: Looker,
    /// Handles of holders, opened before the process was found to hold anything.
    handles: HashMap<Name, (i32, OwnedFd)>,
    following: HashMap<Name, Following>,
}

/// A holder that is followed to its end.
struct Following {
    pid: i32,
    /// Gone with the task.
    handle: Weak<OwnedFd>,
    task: JoinHandle<()>,
}

/// The handles of holders, as data.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct ForeignState(Vec<(Name, i32, Fd)>);

impl Foreign {
    /// Results go to `found`. Processes of this supervisor's `life` are not foreign.
    pub(crate) fn new(found: Post<Found>, life: Life, disks: Disks) -> Self {
        Self { found, looker: Looker::new(life, disks), handles: HashMap::new(), following: HashMap::new() }
    }

    /// Examines who holds a graph.
    pub(crate) fn examine(&self, key: RunKey, plan: Box<ExaminePlan>) {
        let (found, looker) = (self.found.clone(), self.looker.clone());
        tokio::task::spawn_local(async move {
            let sighting = looker.examine(&plan).await;
            found.send(Found::Examined { key, sighting }).await;
        });
    }

    /// Sends a signal to these processes and reports their ends.
    pub(crate) fn signal(&self, key: RunKey, orphans: Vec<Orphan>, plan: Box<ExaminePlan>, signal: i32) {
        let (found, looker) = (self.found.clone(), self.looker.clone());
        tokio::task::spawn_local(async move {
            end::signal(&looker, key, orphans, plan, signal, found).await;
        });
    }

    /// Keeps the handle of a holder, and returns the result of the examination.
    pub(crate) fn take(&mut self, name: &Name, sighting: Sighting) -> Examined {
        self.handles.remove(name);
        if let (Examined::Held(holder), Some(handle)) = (&sighting.found, sighting.handle) {
            self.handles.insert(name.clone(), (holder.pid, handle));
        }
        sighting.found
    }

    /// Reports the end of a holder.
    pub(crate) fn follow(&mut self, name: Name, pid: i32) {
        let handle = self.handles.remove(&name).filter(|(of, _)| *of == pid).map(|(_, handle)| handle);
        let handle = handle.or_else(|| process::pidfd_open(pid).ok()).map(Rc::new);
        let kept = handle.as_ref().map(Rc::downgrade).unwrap_or_default();
        let (found, told) = (self.found.clone(), name.clone());
        let task = tokio::task::spawn_local(async move {
            until_gone(pid, handle).await;
            found.send(Found::HolderGone { name: told, pid }).await;
        });
        if let Some(older) = self.following.insert(name, Following { pid, handle: kept, task }) {
            older.task.abort();
        }
    }

    /// Returns the handles of all holders, for another program that is told to follow them.
    pub(crate) fn hand_over(&self, named: &mut Named) -> ForeignState {
        let held = self.handles.iter().map(|(name, (pid, handle))| (name, *pid, handle));
        let followed = self.following.iter();
        let followed =
            followed.filter_map(|(name, following)| Some((name, following.pid, following.handle.upgrade()?)));
        let followed = followed.map(|(name, pid, handle)| (name.clone(), pid, named.name(&*handle)));
        let mut all: Vec<_> = followed.collect();
        all.extend(held.map(|(name, pid, handle)| (name.clone(), pid, named.name(handle))));
        ForeignState(all)
    }

    /// Takes the handles of another program.
    pub(crate) fn resume(
        &mut self,
        ForeignState(all): ForeignState,
        inherited: &mut Inherited,
    ) -> Result<(), Unfit> {
        for (name, pid, handle) in all {
            let handle = inherited.take(handle)?;
            self.handles.insert(name, (pid, handle));
        }
        Ok(())
    }
}

/// The result of an examination, with a handle where a process is to be followed.
pub(crate) struct Sighting {
    pub(crate) found: Examined,
    pub(crate) handle: Option<OwnedFd>,
}

impl From<Examined> for Sighting {
    fn from(found: Examined) -> Self {
        Self { found, handle: None }
    }
}

/// Waits until a process is gone. An open handle can't mean another process of the same pid.
async fn until_gone(pid: i32, handle: Option<Rc<OwnedFd>>) {
    let open = || process::pidfd_open(pid).map(Rc::new);
    let mut handle = handle.map_or_else(open, Ok);
    loop {
        let ended = match &handle {
            Ok(handle) => process::ended(handle).await,
            Err(error) if error.raw_os_error() == Some(libc::ESRCH) => return,
            Err(error) => Err(io::Error::new(error.kind(), error.to_string())),
        };
        match ended {
            Ok(()) => return,
            Err(error) => tracing::warn!(pid, %error, "cannot follow"),
        }
        // For example, no descriptor was free.
        tokio::time::sleep(AGAIN).await;
        handle = handle.or_else(|_| open());
    }
}
