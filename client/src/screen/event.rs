//! Events in words.

use super::row::ports;
use super::text::name;
use super::times::{since, took};
use super::{Tone, count};
use gob_protocol::event::Actor;
use gob_protocol::queue::{QueueJob, QueueStatus};
use gob_protocol::{Event, EventKind, LockEnd, LockMode, View};

/// Returns the subject of an event: its worker, job or lock, `gobd` for the supervisor itself.
#[must_use]
pub fn event_subject(event: &Event) -> String {
    match (&event.worker, &event.job) {
        (Some(worker), _) => name(worker.name.as_str()),
        (None, Some(job)) => name(job.id.as_str()),
        (None, None) if event.event.as_str().starts_with("supervisor_") => "gobd".to_owned(),
        (None, None) => event.lock.as_ref().map_or_else(|| "-".to_owned(), |lock| name(lock.as_str())),
    }
}

/// Returns the details of an event and its cause, raw, each a part of the line.
#[must_use]
pub fn event_details(event: &Event) -> Vec<String> {
    let of_worker = event.worker.as_ref().map(|worker| details(event_word(event.event).as_str(), worker));
    let mut parts =
        of_worker.or_else(|| event.job.as_deref().map(details_of_job)).unwrap_or_else(|| lock_details(event));
    // A `ready` has no cause in words: the worker reports it.
    parts.extend(by(&event.actor).filter(|_| event.event != EventKind::WorkerReady));
    parts
}

/// Returns the tone of an event.
#[must_use]
pub const fn event_tone(event: EventKind) -> Tone {
    use EventKind as Kind;
    match event {
        Kind::WorkerFailed | Kind::WorkerUnhealthy | Kind::Lagged => Tone::Bad,
        Kind::WorkerBackoff | Kind::SupervisorHealed | Kind::SupervisorStopping | Kind::LockBroken => {
            Tone::Busy
        }
        Kind::WorkerStopped
        | Kind::WorkerCeded
        | Kind::WorkerRemoved
        | Kind::LeaseGranted
        | Kind::LeaseReleased => Tone::Faint,
        Kind::WorkerReady
        | Kind::WorkerAdded
        | Kind::WorkerStarting
        | Kind::WorkerStarted
        | Kind::WorkerStopping
        | Kind::WorkerUpdated
        | Kind::WorkerOwnerChanged
        | Kind::LockWaiting
        | Kind::LockGranted
        | Kind::LockReleased
        | Kind::QueueJobAdded
        | Kind::QueueJobStarted
        | Kind::QueueJobFinished
        | Kind::QueueJobRecovered
        | Kind::SupervisorStarted
        | Kind::SupervisorUpgraded => Tone::Plain,
    }
}

/// Returns who waits for a lock or holds it, and why the holder has it no more.
fn lock_details(event: &Event) -> Vec<String> {
    let Some(party) = event.holder.as_ref().or(event.waiter.as_ref()) else { return Vec::new() };
    let mode = (party.mode == LockMode::Shared).then(|| party.mode.as_str().to_owned());
    let why = event.reason.and_then(|reason| match reason {
        LockEnd::Released | LockEnd::Broken => None,
        LockEnd::Connection => Some("its connection ended".to_owned()),
        LockEnd::Ttl => Some("its time was over".to_owned()),
    });
    let token = event.token.map(|token| format!("token {token}"));
    [mode, Some(party.to_string()), token, why].into_iter().flatten().collect()
}

/// Returns an event in words, without its subject: `ready`, `owner changed`, `lease granted`.
#[must_use]
pub fn event_word(kind: EventKind) -> String {
    let kind = kind.as_str();
    let subjects = ["worker_", "supervisor_", "queue_"];
    let what = subjects.iter().find_map(|subject| kind.strip_prefix(subject)).unwrap_or(kind);
    what.replace('_', " ")
}

/// Returns the lane of a job of the queue, and what became of it.
fn details_of_job(job: &QueueJob) -> Vec<String> {
    let error = job.error.clone().filter(|_| job.status != QueueStatus::Running);
    [Some(format!("in {}", job.lane)), Some(job.status.to_string()), error].into_iter().flatten().collect()
}

fn details(what: &str, worker: &View) -> Vec<String> {
    let one = match what {
        "started" | "stopping" => worker.pid.map(|pid| format!("pid {pid}")),
        "ready" => {
            let times = worker.started_at.zip(worker.ready_at);
            let took = times.map(|(started, ready)| format!("in {}", took(since(started, ready))));
            return took.into_iter().chain(worker.endpoint.as_deref().map(str::to_owned)).collect();
        }
        "updated" if worker.reason.is_none() => {
            (!worker.ports.is_empty()).then(|| format!("listens on {}", ports(&worker.ports)))
        }
        "owner changed" => Some(format!("to {}", worker.owner)),
        "stopped" | "ceded" => worker.exit.as_ref().map(ToString::to_string),
        "lease granted" | "lease released" => Some(count(u64::from(worker.leases), "lease")),
        _ => worker.reason.clone(),
    };
    one.into_iter().collect()
}

/// Returns the cause in words; the supervisor needs none.
fn by(actor: &Actor) -> Option<String> {
    match actor {
        Actor::Supervisor => None,
        Actor::Client { .. } => Some(format!("by {actor}")),
    }
}

#[cfg(test)]
mod tests {
    use super::super::worker::tests::view;
    use super::*;
    use serde_json::{Value, json};

    fn event(kind: &str, actor: Value, worker: Value) -> Event {
        let time = "2026-11-20T10:02:00.000Z";
        serde_json::from_value(
            json!({"event": kind, "seq": 1, "time": time, "actor": actor, "worker": view(worker)}),
        )
        .unwrap()
    }

    #[test]
    fn events_tell_subject_word_details_and_cause() {
        let client = json!({"owner": "cli", "client": "gobctl", "pid": 4240});
        let stopped = event("worker_stopped", client, json!({"exit": {"code": 0}, "state": "idle"}));
        assert_eq!(event_subject(&stopped), "demo");
        assert_eq!(event_word(stopped.event), "stopped");
        assert_eq!(event_details(&stopped), ["exited 0", "by cli (gobctl, pid 4240)"]);
        let ready = event("worker_ready", json!("supervisor"), json!({}));
        assert_eq!(event_details(&ready), ["in 38 ms", "unix:/run/demo.sock"]);
        assert_eq!(event_tone(EventKind::WorkerFailed), Tone::Bad);
    }
}
