//! Follows processes that recovery could not end in time: a process that hangs in the kernel dies when the
//! kernel releases it.
//!
//! Owns the handles of the remaining processes. A handle reports the end of its process, and the processes that it left are
//! searched then. Only a process that took no signal, because it is another user's, is signalled again.

use super::{Claim, Orphan};
use crate::journal::Past;
use crate::mailbox::Post;
use crate::sys::linux::Linux;
use crate::sys::process;
use crate::sys::tag::Given;
use gob_core::{Input, Search};
use gob_protocol::{Leftover, Name, ProcessId};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::time::Duration;

/// A remaining process has ended.
#[derive(Debug)]
pub(crate) struct Gone(i32);

/// Time until a process that took no signal is sent another one: it may have become ours again.
const AGAIN: Duration = Duration::from_secs(5);

/// The processes that are left.
#[derive(Debug)]
pub(crate) struct Leftovers {
    claim: Claim,
    to_loop: Post<Gone>,
    by_pid: BTreeMap<i32, Leftover>,
}

/// The processes that are left, as data.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct LeftoversState {
    past: Past,
    search: Search,
    left: Vec<Leftover>,
}

impl Leftovers {
    /// Follows these to their end; `None` without any.
    pub(crate) fn follow(claim: Claim, left: Vec<Orphan>, to_loop: Post<Gone>) -> Option<Self> {
        if left.is_empty() {
            return None;
        }
        let mut leftovers = Self { claim, to_loop, by_pid: BTreeMap::new() };
        leftovers.add(left);
        Some(leftovers)
    }

    /// Returns what another program needs to go on with them.
    pub(crate) fn hand_over(&self) -> LeftoversState {
        LeftoversState { past: self.claim.past.clone(), search: self.claim.search, left: self.all() }
    }

    /// Follows those that another program followed. Returns those that have ended meanwhile.
    pub(crate) fn resume(
        LeftoversState { past, search, left }: LeftoversState,
        (home, spared): (u32, [i32; 2]),
        to_loop: Post<Gone>,
    ) -> (Self, Vec<Gone>) {
        let claim = Claim { kernel: Linux::new(), home, past, spared, search, own: None };
        let by_pid = left.iter().map(|left| (left.process.pid, left.clone())).collect();
        let this = Self { claim, to_loop, by_pid };
        let mut ended = Vec::new();
        for Leftover { worker, process } in left {
            let id = ProcessId { pid: process.pid, start_time: process.start_time };
            // Opened first: a process that still has the start time is the one that it means.
            match process::pidfd_open(id.pid) {
                Ok(pidfd) if process::seen(id.pid).is_some_and(|found| found.id == id) => {
                    let orphan = Orphan { id, pidfd, name: worker, is_denied: process.error.is_some() };
                    tokio::task::spawn_local(followed(orphan, this.to_loop.clone()));
                }
                Ok(_) | Err(_) => ended.push(Gone(id.pid)),
            }
        }
        (this, ended)
    }

    /// Returns whether all of them have ended.
    pub(crate) fn is_empty(&self) -> bool {
        self.by_pid.is_empty()
    }

    /// Returns them as the core and clients see them.
    pub(crate) fn all(&self) -> Vec<Leftover> {
        self.by_pid.values().cloned().collect()
    }

    /// Handles the end of one: kills the processes that it left, and returns the present state. `own` are the
    /// tags of living runs.
    pub(crate) fn gone(&mut self, Gone(pid): Gone, own: Given) -> Option<Input> {
        self.by_pid.remove(&pid)?;
        self.claim.own = Some(own);
        tracing::info!(pid, left = self.by_pid.len(), "a process of an earlier supervisor has ended at last");
        let mut found = BTreeMap::new();
        if let Err(e) = self.claim.kill(&mut found) {
            tracing::warn!(error = %e, "cannot look for what it has left");
        }
        found.retain(|pid, _| !self.by_pid.contains_key(pid));
        self.add(found.into_values().map(|orphan| self.claim.named(orphan)).collect());
        Some(Input::Leftovers(self.all()))
    }

    fn add(&mut self, left: Vec<Orphan>) {
        for orphan in left {
            let (pid, left) = (orphan.id.pid, self.claim.describe(&orphan));
            let worker = left.worker.as_ref().map(Name::as_str);
            match &left.process.error {
                Some(error) => {
                    let uid = left.process.uid;
                    tracing::warn!(pid, worker, ?uid, error, "can't be ended; sudo kill -KILL {pid}");
                }
                None => tracing::warn!(pid, worker, "killed, and does not go"),
            }
            self.by_pid.insert(pid, left);
            tokio::task::spawn_local(followed(orphan, self.to_loop.clone()));
        }
    }
}

/// Waits for the end of a process.
async fn followed(Orphan { id, pidfd, is_denied, .. }: Orphan, to_loop: Post<Gone>) {
    let ended = process::ended(&pidfd);
    tokio::pin!(ended);
    let ended = loop {
        if !is_denied {
            break ended.await;
        }
        match tokio::time::timeout(AGAIN, &mut ended).await {
            Ok(ended) => break ended,
            // Most often it is denied again.
            Err(_) => process::send(&pidfd, libc::SIGKILL).unwrap_or_default(),
        }
    };
    if ended.is_ok() {
        to_loop.send(Gone(id.pid)).await;
    }
}
