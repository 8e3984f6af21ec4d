//! Signals workers that gob did not start, where the core says so (ARCHITECTURE, rule 3): each through a handle that was opened
//! before user, arguments and start time were checked again.

use super::examine::Looker;
use super::{Found, arguments};
use crate::disks::PROCESSES;
use crate::mailbox::Post;
use crate::sys::process;
use crate::sys::tag::Life;
use gob_core::{ExaminePlan, Examined, Orphan, RunKey};
use std::os::fd::OwnedFd;
use std::time::Duration;
use tokio::time::timeout;

/// Longest wait for the end of one; the core gives up before.
const LIMIT: Duration = Duration::from_secs(10);

/// Sends a signal to each of them, and reports each end.
pub(super) async fn signal(
    looker: &Looker,
    key: RunKey,
    orphans: Vec<Orphan>,
    plan: Box<ExaminePlan>,
    signal: i32,
    found: Post<Found>,
) {
    let (of, life, pids) = (plan.clone(), looker.life(), orphans.iter().map(|orphan| orphan.id.pid));
    let pids: Vec<i32> = pids.collect();
    let taken = match looker.look(&plan.graph, PROCESSES, move || take_hold(orphans, &of, life)).await {
        Ok(taken) => taken,
        Err(silent) => {
            let sighting = Examined::Unclear(silent.to_string()).into();
            found.send(Found::Examined { key, sighting }).await;
            return;
        }
    };
    for pid in pids {
        // One that is another process by now has ended.
        if !taken.iter().any(|(orphan, _)| orphan.id.pid == pid) {
            found.send(Found::OrphanEnded { key: key.clone(), pid }).await;
        }
    }
    for (orphan, handle) in taken {
        let pid = orphan.id.pid;
        tracing::info!(pid, command = %orphan.command, signal, "ending what gob did not start");
        if let Err(error) = process::send(&handle, signal) {
            tracing::info!(pid, signal, %error, "cannot signal");
        }
        let (key, found) = (key.clone(), found.clone());
        tokio::task::spawn_local(async move {
            if matches!(timeout(LIMIT, process::ended(&handle)).await, Ok(Ok(()))) {
                found.send(Found::OrphanEnded { key, pid }).await;
            }
        });
    }
}

/// Opens handles on those that still are the same process.
fn take_hold(orphans: Vec<Orphan>, plan: &ExaminePlan, life: Life) -> Vec<(Orphan, OwnedFd)> {
    let hold = |orphan: Orphan| {
        let handle = process::pidfd_open(orphan.id.pid).ok()?;
        let now = arguments::orphan(orphan.id.pid, plan, life)?;
        (now == orphan).then_some((orphan, handle))
    };
    orphans.into_iter().filter_map(hold).collect()
}
