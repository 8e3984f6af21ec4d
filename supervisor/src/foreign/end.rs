//! Ends workers that gob did not start, where their kind says `orphans = "end"` (ARCHITECTURE, rule 3): each
//! through a handle that was opened before user, arguments and start time were checked again.

use super::examine::Looker;
use super::{Sighting, arguments};
use crate::disks::PROCESSES;
use crate::sys::process;
use crate::sys::tag::Life;
use gob_core::{ExaminePlan, Examined, Orphan};
use std::os::fd::OwnedFd;
use std::time::Duration;
use tokio::time::{Instant, timeout_at};

/// Time from SIGTERM to SIGKILL.
const GRACE: Duration = Duration::from_secs(2);
/// Time from SIGKILL until it gives up.
const LAST: Duration = Duration::from_secs(3);

/// Ends all of them, and examines who holds the graph then.
pub(super) async fn end(looker: &Looker, orphans: Vec<Orphan>, plan: Box<ExaminePlan>) -> Sighting {
    let (of, life) = (plan.clone(), looker.life());
    let taken = match looker.look(&plan.graph, PROCESSES, move || take_hold(orphans, &of, life)).await {
        Ok(taken) => taken,
        Err(silent) => return Examined::Unclear(silent.to_string()).into(),
    };
    for (orphan, _) in &taken {
        tracing::info!(pid = orphan.id.pid, command = %orphan.command, "ending what gob did not start");
    }
    let left = signal(taken, libc::SIGTERM, GRACE).await;
    let left = signal(left, libc::SIGKILL, LAST).await;
    if !left.is_empty() {
        return Examined::Survived(left.into_iter().map(|(orphan, _)| orphan).collect()).into();
    }
    let sighting = looker.examine(&plan).await;
    match sighting.found {
        // Another program starts them anew; ending them for ever would be a fight.
        Examined::Orphans(again) => Examined::Survived(again).into(),
        Examined::Nobody | Examined::Held(_) | Examined::Survived(_) | Examined::Unclear(_) => sighting,
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

/// Sends a signal to all of them, and waits; returns those that have not ended in time.
async fn signal(all: Vec<(Orphan, OwnedFd)>, signal: i32, limit: Duration) -> Vec<(Orphan, OwnedFd)> {
    for (orphan, handle) in &all {
        if let Err(error) = process::send(handle, signal) {
            tracing::info!(pid = orphan.id.pid, signal, %error, "cannot signal");
        }
    }
    let deadline = Instant::now() + limit;
    let mut left = Vec::new();
    for (orphan, handle) in all {
        let gone = matches!(timeout_at(deadline, process::ended(&handle)).await, Ok(Ok(())));
        // A zombie that its parent does not reap is dead too.
        if !gone
            && process::stat(orphan.id.pid).map_or(true, |now| now.is_some_and(|now| now.id == orphan.id))
        {
            left.push((orphan, handle));
        }
    }
    left
}
