//! Events that a person wants to be told of while looking elsewhere.

use super::event_details;
use super::text::{escape, name};
use gob_protocol::{Event, EventKind, Name};

/// A notification about a worker.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Alarm {
    /// The worker.
    pub worker: Name,
    /// The event in a sentence: `notes failed`.
    pub title: String,
    /// Its details.
    pub body: String,
}

impl Alarm {
    /// Returns the notification that an event raises: a worker failed, fails its probes, or has another owner.
    #[must_use]
    pub fn of(event: &Event) -> Option<Self> {
        let worker = event.worker.as_ref()?;
        let shown = name(worker.name.as_str());
        let title = match event.event {
            EventKind::WorkerFailed => format!("{shown} failed"),
            EventKind::WorkerUnhealthy => format!("{shown} is unhealthy"),
            EventKind::WorkerOwnerChanged => format!("{shown} was handed over"),
            EventKind::WorkerAdded
            | EventKind::WorkerStarting
            | EventKind::WorkerStarted
            | EventKind::WorkerReady
            | EventKind::WorkerStopping
            | EventKind::WorkerStopped
            | EventKind::WorkerBackoff
            | EventKind::WorkerCeded
            | EventKind::WorkerUpdated
            | EventKind::WorkerRemoved
            | EventKind::LeaseGranted
            | EventKind::LeaseReleased
            | EventKind::LockWaiting
            | EventKind::LockGranted
            | EventKind::LockReleased
            | EventKind::LockBroken
            | EventKind::QueueJobAdded
            | EventKind::QueueJobStarted
            | EventKind::QueueJobFinished
            | EventKind::QueueJobRecovered
            | EventKind::SupervisorStarted
            | EventKind::SupervisorHealed
            | EventKind::SupervisorUpgraded
            | EventKind::SupervisorStopping
            | EventKind::Lagged => return None,
        };
        let body: Vec<String> = event_details(event).iter().map(|part| escape(part)).collect();
        Some(Self { worker: worker.name.clone(), title, body: body.join("\n") })
    }

    /// Returns whether it is about a failure.
    #[must_use]
    pub const fn is_failure(event: &Event) -> bool {
        matches!(event.event, EventKind::WorkerFailed | EventKind::WorkerUnhealthy)
    }
}

#[cfg(test)]
mod tests {
    use super::super::worker::tests::view;
    use super::*;
    use serde_json::{Value, json};

    fn event(kind: &str, worker: Value) -> Event {
        let client = json!({"owner": "cli", "client": "gobctl", "pid": 9});
        let time = "2026-11-20T10:02:00.000Z";
        serde_json::from_value(
            json!({"event": kind, "seq": 1, "time": time, "actor": client, "worker": view(worker)}),
        )
        .unwrap()
    }

    #[test]
    fn a_failure_and_a_hand_over_are_told_of() {
        let failed = Alarm::of(&event("worker_failed", json!({"reason": "exited 1\u{1b}"}))).unwrap();
        assert_eq!(
            (failed.title.as_str(), failed.body.as_str()),
            ("demo failed", "exited 1\\x1b\nby cli (gobctl, pid 9)")
        );
        let handed = Alarm::of(&event("worker_owner_changed", json!({"owner": "desktop"}))).unwrap();
        assert_eq!(handed.title, "demo was handed over");
        assert!(handed.body.starts_with("to desktop\n"));
        assert_eq!(Alarm::of(&event("worker_ready", json!({}))), None);
        assert!(!Alarm::is_failure(&event("worker_owner_changed", json!({}))));
    }
}
