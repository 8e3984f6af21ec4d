//! The remedy for a name without a worker: the job of the queue that has it, or the nearest name to a misspelled one.

use crate::context::Context;
use crate::failure::Failure;
use crate::queue;
use crate::text::{nearest, shell_word};
use gob_client::blocking::Client;
use gob_client::call::{List, QueueGet};
use gob_client::protocol::queue::{QueueJob, QueueStatus};
use gob_client::protocol::{ErrorCode, WireError};
use gob_client::{Error, Name};
use serde_json::json;

/// The begin of a hint that names a near word.
pub(crate) const DID_YOU_MEAN: &str = "did you mean";

/// Adds to a refusal of an unknown worker what is known of its name. A job of the queue without a process is told as such; of
/// another name the hint is the nearest existing one.
pub(crate) fn with_remedy(client: &mut Client, name: &Name, failure: Failure) -> Failure {
    if failure.wire_code() != Some(ErrorCode::ServerNotFound) {
        return failure;
    }
    let Failure::Client(Error::Refused(mut error)) = failure else { return failure };
    if let Ok(workers) = client.list(List::default())
        // It is a part of this worker that is unknown, such as one of its runs.
        && workers.iter().all(|worker| worker.name != *name)
    {
        if let Some(job) = queued(client, name) {
            return Failure::Client(Error::Refused(no_worker(&job)));
        }
        if let Some(near) = nearest(name.as_str(), workers.iter().map(|worker| worker.name.as_str())) {
            error.hint = Some(format!("{DID_YOU_MEAN} {}? gobctl list shows all", shell_word(near)));
        }
    }
    Failure::Client(Error::Refused(error))
}

/// Notes that the job of the queue with this name waits for another attempt, where it does: its worker at rest does not show that.
pub(crate) fn note_waiting(context: &Context, client: &mut Client, name: &Name) {
    if let Some(job) = queued(client, name).filter(|job| job.status == QueueStatus::Pending) {
        context.note(&format!("{} is {} in {}; {}", job.id, job.status, job.lane, queue::hint(&job)));
    }
}

/// Requests the job of the queue that has this name, if there may be one.
fn queued(client: &mut Client, name: &Name) -> Option<QueueJob> {
    if name.number().is_none() || !client.has_feature("queue") {
        return None;
    }
    client.ask(QueueGet { job_id: name.clone() }).ok().map(|data| data.job)
}

/// Returns the refusal of a job of the queue where a worker is meant.
fn no_worker(job: &QueueJob) -> WireError {
    let message =
        format!("{} is a job of the queue and no worker: it is {} in {}", job.id, job.status, job.lane);
    let details = json!({"worker": job.id, "job": job.id, "lane": job.lane, "status": job.status});
    WireError::new(ErrorCode::ServerNotFound, message).hint(queue::hint(job)).details(details)
}
