//! Signals workers that gob did not start, where the core says so (ARCHITECTURE, rule 3): each through a handle that was opened
//! before user, arguments and start time were checked again.

use super::examine::Looker;
use super::{Found, arguments};
use crate::disks::PROCESSES;
use crate::mailbox::Post;
use crate::sys::kernel::Kernel;
use crate::sys::linux::Linux;
use crate::sys::process;
use crate::sys::tag::Life;
use gob_core::{ExaminePlan, Examined, Orphan, RunKey, Unclear};
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
    let taken = match looker.look(&plan.graph, PROCESSES, move || held(orphans, &of, life)).await {
        Ok(taken) => taken,
        Err(silent) => {
            let sighting = Examined::Unclear(Unclear::Silent(silent)).into();
            found.send(Found::Examined { key, sighting }).await;
            return;
        }
    };
    let (kernel, taken) = taken;
    for pid in pids {
        // One that is another process by now has ended.
        if !taken.iter().any(|(orphan, _)| orphan.id.pid == pid) {
            found.send(Found::OrphanEnded { key: key.clone(), pid }).await;
        }
    }
    send_to_all(&kernel, &taken, signal);
    for (orphan, handle) in taken {
        let pid = orphan.id.pid;
        let (key, found) = (key.clone(), found.clone());
        tokio::task::spawn_local(async move {
            if matches!(timeout(LIMIT, process::ended(&handle)).await, Ok(Ok(()))) {
                found.send(Found::OrphanEnded { key, pid }).await;
            }
        });
    }
}

/// Processes that still are those that were found, each with the handle that it was checked behind.
type Taken<K> = Vec<(Orphan, <K as Kernel>::Handle)>;

fn held(orphans: Vec<Orphan>, plan: &ExaminePlan, life: Life) -> (Linux, Taken<Linux>) {
    let kernel = Linux::new();
    let taken = take_hold(&kernel, orphans, plan, life);
    (kernel, taken)
}

/// Opens handles on those that still are the same process.
fn take_hold<K: Kernel>(kernel: &K, orphans: Vec<Orphan>, plan: &ExaminePlan, life: Life) -> Taken<K> {
    let hold = |orphan: Orphan| {
        let handle = kernel.open(orphan.id.pid).ok()?;
        let now = arguments::orphan(kernel, orphan.id.pid, plan, life)?;
        (now == orphan).then_some((orphan, handle))
    };
    orphans.into_iter().filter_map(hold).collect()
}

/// Signals each of them. One that has ended, or is another user's by now, gets nothing.
fn send_to_all<K: Kernel>(kernel: &K, taken: &Taken<K>, signal: i32) {
    for (orphan, handle) in taken {
        let pid = orphan.id.pid;
        tracing::info!(pid, command = %orphan.command, signal, "ending what gob did not start");
        if let Err(error) = kernel.send(handle, signal) {
            tracing::info!(pid, signal, %error, "cannot signal");
        }
    }
}

#[cfg(test)]
mod tests;
