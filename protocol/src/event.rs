//! Events: what changed, in the order in which it changed (PROTOCOL 7).

use crate::name::{Name, Owner};
use crate::time::Timestamp;
use crate::view::View;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::fmt;

macro_rules! kinds {
    ($($variant:ident = $text:literal,)*) => {
        /// What happened. The names are the list of PROTOCOL 7.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[expect(missing_docs, reason = "the names are PROTOCOL 7's")]
        pub enum EventKind {
            $(#[serde(rename = $text)] $variant,)*
        }

        impl EventKind {
            /// Every event there is.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)*];

            /// The event as the wire spells it.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $text,)* }
            }
        }
    };
}

kinds! {
    WorkerAdded = "worker_added",
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

/// Who caused a change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Actor {
    /// The supervisor itself, such as its restart policy.
    Supervisor,
    /// A client's request.
    Client {
        /// On whose behalf it spoke.
        owner: Owner,
        /// The name it gave in its hello.
        client: Option<String>,
        /// Its process, as the kernel told when it connected.
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
struct ClientActor {
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

/// Writes `cli (gobctl, pid 4240)`, as much of it as is known.
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

/// One event as a subscriber gets it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Event {
    /// What happened.
    pub event: EventKind,
    /// Its place in the order of all events of this instance, from 1, without a hole.
    pub seq: u64,
    /// When.
    pub time: Timestamp,
    /// Who caused it.
    pub actor: Actor,
    /// The whole worker after the change; absent for events of the supervisor and of locks.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub worker: Option<View>,
}

/// What a subscriber gets in place of events that it was too slow for (PROTOCOL 7).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Lagged {
    /// Always [`EventKind::Lagged`].
    pub event: EventKind,
    /// How many events it missed.
    pub missed: u64,
    /// The last event that the snapshot includes.
    pub seq: u64,
    /// Every worker it subscribed to, as of `seq`.
    pub workers: Vec<View>,
    /// There are more: those that `list` has after this one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<Name>,
}
