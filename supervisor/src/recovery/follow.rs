//! Follows processes that recovery could not end in time: a process that hangs in the kernel dies when the
//! kernel releases it.
//!
//! Owns the handles of the remaining processes. Nothing polls: a handle reports the end of its process, and
//! the processes that it left are searched then.

use super::{Claim, Orphan};
use crate::mailbox::Post;
use crate::sys::process;
use crate::sys::tag::Given;
use gob_core::Input;
use gob_protocol::Name;
use std::collections::BTreeMap;

/// A remaining process has ended.
#[derive(Debug)]
pub(crate) struct Gone(i32);

/// The processes that are left, by their workers.
#[derive(Debug)]
pub(crate) struct Leftovers {
    claim: Claim,
    to_loop: Post<Gone>,
    by_pid: BTreeMap<i32, Option<Name>>,
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

    /// Returns whether all of them have ended.
    pub(crate) fn is_empty(&self) -> bool {
        self.by_pid.is_empty()
    }

    /// Returns the core's view of them.
    pub(crate) fn by_worker(&self) -> BTreeMap<Name, Vec<i32>> {
        let mut by_worker: BTreeMap<Name, Vec<i32>> = BTreeMap::new();
        for (pid, name) in &self.by_pid {
            if let Some(name) = name {
                by_worker.entry(name.clone()).or_default().push(*pid);
            }
        }
        by_worker
    }

    /// Handles the end of one: kills the processes that it left, and returns the present state. `own` are the
    /// tags of living runs.
    pub(crate) fn gone(&mut self, Gone(pid): Gone, own: Given) -> Option<Input> {
        let name = self.by_pid.remove(&pid)?;
        self.claim.own = Some(own);
        tracing::info!(pid, left = self.by_pid.len(), "a process of an earlier supervisor has ended at last");
        let mut found = BTreeMap::new();
        if let Err(e) = self.claim.kill(&mut found) {
            tracing::warn!(error = %e, "cannot look for what it has left");
        }
        found.retain(|pid, _| !self.by_pid.contains_key(pid));
        self.add(found.into_values().map(|orphan| self.claim.named(orphan)).collect());
        let name = name?;
        let pids = self.by_worker().remove(&name).unwrap_or_default();
        Some(Input::Leftover { name, pids })
    }

    fn add(&mut self, left: Vec<Orphan>) {
        for Orphan { id, pidfd, name } in left {
            tracing::warn!(pid = id.pid, worker = name.as_ref().map(Name::as_str), "killed, and does not go");
            self.by_pid.insert(id.pid, name);
            let to_loop = self.to_loop.clone();
            tokio::task::spawn_local(async move {
                if process::ended(&pidfd).await.is_ok() {
                    to_loop.send(Gone(id.pid)).await;
                }
            });
        }
    }
}
