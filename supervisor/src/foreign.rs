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
use examine::Looker;
use gob_core::{ExaminePlan, Examined, Orphan, RunKey};
use gob_protocol::Name;
use std::collections::HashMap;
use std::io;
use std::os::fd::OwnedFd;
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
    following: HashMap<Name, JoinHandle<()>>,
}

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
        let (found, told) = (self.found.clone(), name.clone());
        let task = tokio::task::spawn_local(async move {
            until_gone(pid, handle).await;
            found.send(Found::HolderGone { name: told, pid }).await;
        });
        if let Some(older) = self.following.insert(name, task) {
            older.abort();
        }
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
async fn until_gone(pid: i32, handle: Option<OwnedFd>) {
    let mut handle = handle.map_or_else(|| process::pidfd_open(pid), Ok);
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
        handle = handle.or_else(|_| process::pidfd_open(pid));
    }
}
