//! Follows processes that recovery could not end in time: a process that hangs in the kernel dies when the
//! kernel releases it.
//!
//! Owns the handles of the remaining processes. A handle reports the end of its process, and the processes that it left are
//! searched then. Only a process that took no signal, because it is another user's, is signalled again.

use super::{Claim, Orphan};
use crate::mailbox::Post;
use crate::sys::process;
use crate::sys::tag::Given;
use gob_core::Input;
use gob_protocol::{Leftover, Name};
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
