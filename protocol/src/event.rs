//! Events: changes in the order in which they happened (PROTOCOL 7).

use crate::lock::{LockEnd, LockName, LockParty};
use crate::name::{Name, Owner};
use crate::queue::QueueJob;
use crate::time::Timestamp;
use crate::view::View;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::fmt;

macro_rules! kinds {
    ($($variant:ident = $text:literal,)*) => {
        /// The type of an event. The names are the list of PROTOCOL 7.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[cfg_attr(test, derive(schemars::JsonSchema))]
        #[expect(missing_docs, reason = "the names are PROTOCOL 7's")]
        pub enum EventKind {
            $(#[serde(rename = $text)] $variant,)*
        }

        impl EventKind {
            /// All events.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)*];

            /// Returns the event as the wire spells it.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $text,)* }
            }
        }
    };
}

kinds! {
    WorkerAdded = "worker_added",
    WorkerStarting = "worker_starting",
    WorkerStarted = "worker_started",
    WorkerReady = "worker_ready",
    WorkerUnhealthy = "worker_unhealthy",
    WorkerStopping = "worker_stopping",
    WorkerStopped = "worker_stopped",
    WorkerBackoff = "worker_backoff",
    WorkerFailed = "worker_failed",
    WorkerCeded = "worker_ceded",
    WorkerUpdated = "worker_updated",
    WorkerOwnerChanged = "worker_owner_changed",
    WorkerRemoved = "worker_removed",
    LeaseGranted = "lease_granted",
    LeaseReleased = "lease_released",
    LockWaiting = "lock_waiting",
    LockGranted = "lock_granted",
    LockReleased = "lock_released",
    LockBroken = "lock_broken",
    QueueJobAdded = "queue_job_added",
    QueueJobStarted = "queue_job_started",
    QueueJobFinished = "queue_job_finished",
    QueueJobRecovered = "queue_job_recovered",
    SupervisorStarted = "supervisor_started",
    SupervisorHealed = "supervisor_healed",
    SupervisorUpgraded = "supervisor_upgraded",
    SupervisorStopping = "supervisor_stopping",
    Lagged = "lagged",
}

impl fmt::Display for EventKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// The cause of a change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Actor {
    /// The supervisor itself, such as its restart policy.
    Supervisor,
    /// A client's request.
    Client {
        /// The owner that the client spoke for.
        owner: Owner,
        /// The name in the client's hello.
        client: Option<String>,
        /// The client's process id, as the kernel told at its connect.
        pid: Option<i32>,
    },
}

const SUPERVISOR: &str = "supervisor";

impl Serialize for Actor {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Supervisor => serializer.serialize_str(SUPERVISOR),
            Self::Client { owner, client, pid } => {
                ClientActor { owner: owner.clone(), client: client.clone(), pid: *pid }.serialize(serializer)
            }
        }
    }
}

impl<'de> Deserialize<'de> for Actor {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(untagged)]
        enum Shape {
            Client(ClientActor),
            Word(String),
        }
        Ok(match Shape::deserialize(deserializer)? {
            Shape::Client(ClientActor { owner, client, pid }) => Self::Client { owner, client, pid },
            Shape::Word(word) if word == SUPERVISOR => Self::Supervisor,
            Shape::Word(word) => return Err(serde::de::Error::unknown_variant(&word, &[SUPERVISOR])),
        })
    }
}

#[derive(Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(crate) struct ClientActor {
    owner: Owner,
    client: Option<String>,
    pid: Option<i32>,
}

impl fmt::Display for Actor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Supervisor => f.write_str(SUPERVISOR),
            Self::Client { owner, client, pid } => write_party(f, owner, client.as_deref(), *pid),
        }
    }
}

/// Writes `cli (gobctl, pid 4240)`, as far as the parts are known.
pub(crate) fn write_party(
    f: &mut fmt::Formatter<'_>,
    owner: &Owner,
    client: Option<&str>,
    pid: Option<i32>,
) -> fmt::Result {
    write!(f, "{owner}")?;
    match (client, pid) {
        (Some(client), Some(pid)) => write!(f, " ({client}, pid {pid})"),
        (Some(client), None) => write!(f, " ({client})"),
        (None, Some(pid)) => write!(f, " (pid {pid})"),
        (None, None) => Ok(()),
    }
}

/// One event as a subscriber receives it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Event {
    /// The type of the event.
    pub event: EventKind,
    /// The number in the order of all events of this instance, from 1, without a gap.
    pub seq: u64,
    /// The time of the change.
    pub time: Timestamp,
    /// The cause.
    pub actor: Actor,
    /// The whole worker after the change; absent for events of the supervisor, of locks and of the queue.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub worker: Option<View>,
    /// The whole job after the change; present for events of the queue.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub job: Option<Box<QueueJob>>,
    /// The lock that an event is about.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lock: Option<LockName>,
    /// The party that holds it, or held it until now.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub holder: Option<Box<LockParty>>,
    /// The party that waits for it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub waiter: Option<Box<LockParty>>,
    /// The holder's token.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub token: Option<u64>,
    /// The reason why the holder has it no more.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<LockEnd>,
}

impl Event {
    /// Creates an event that is about nothing yet, and has no number.
    #[must_use]
    pub const fn new(event: EventKind, time: Timestamp, actor: Actor) -> Self {
        let (worker, job, lock, holder, waiter) = (None, None, None, None, None);
        let (token, reason) = (None, None);
        Self { event, seq: 0, time, actor, worker, job, lock, holder, waiter, token, reason }
    }
}

/// Frame in place of events that a slow subscriber missed (PROTOCOL 7).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Lagged {
    /// Always [`EventKind::Lagged`].
    pub event: EventKind,
    /// The number of missed events.
    pub missed: u64,
    /// The last event that the snapshot includes.
    pub seq: u64,
    /// Every subscribed worker, as of `seq`.
    pub workers: Vec<View>,
    /// More workers exist: `list` returns those after this name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<Name>,
}
