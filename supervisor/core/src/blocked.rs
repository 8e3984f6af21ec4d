//! Jobs that a project file keeps from running (PROTOCOL 5, Jobs). The shell reads the file before each request that may
//! begin a job, and the request is refused here; nothing else ends or begins a job for it.

use crate::ban::{Ban, Begins};
use crate::conns::Caller;
use crate::cx::Cx;
use crate::refusals;
use crate::spec::Identity;
use crate::workers::Workers;
use alloc::boxed::Box;
use alloc::sync::Arc;
use gob_protocol::{EventKind, Name, Request, WireError};

/// Returns the job that a request may begin.
#[expect(clippy::wildcard_enum_match_arm, reason = "most requests begin no job")]
pub(crate) fn begins(request: &Request, workers: &Workers) -> Option<Begins> {
    let job_of = |name: &Name| {
        let job = workers.get(name)?.spec.job()?;
        Some(Begins { command: Arc::clone(&job.command), cwd: Arc::clone(&job.cwd) })
    };
    match request {
        Request::Start(start) => start.name.as_ref().and_then(job_of),
        Request::Restart(restart) => job_of(&restart.name),
        other => Begins::of_add(other),
    }
}

/// Refuses a request to begin a job that is blocked, and notes at the job whether it is.
///
/// # Errors
/// `blocked`, with the reason.
pub(crate) fn judge(
    ban: &Ban,
    caller: &Caller,
    request: &Request,
    workers: &mut Workers,
    cx: &mut Cx,
) -> Result<(), Box<WireError>> {
    // The worker may have become another job since the file was read.
    if begins(request, workers).as_ref() != Some(&ban.job) {
        return Ok(());
    }
    let identity = Identity::Job(Arc::clone(&ban.job.cwd), Arc::clone(&ban.job.command));
    let known = workers.same_as(&identity).map(|worker| worker.name.clone());
    if let Some(worker) = known.as_ref().and_then(|name| workers.get_mut(name))
        && worker.spec.block(ban.reason.as_deref())
    {
        worker.publish(EventKind::WorkerUpdated, caller.actor(), cx);
    }
    match &ban.reason {
        Some(reason) => Err(refusals::blocked(known.as_ref(), &ban.job, reason)),
        None => Ok(()),
    }
}
