//! Requests (PROTOCOL 4, 5).
//!
//! Every payload refuses unknown fields and duplicate keys. Serde's tagged enums would let unknown fields
//! through, so [`Request::parse`] goes by the type's name instead.

mod begin;
mod lock;
mod manage;
mod queue;
mod read;

use crate::name::Owner;
use crate::text::Text;
use serde::{Deserialize, Deserializer, Serialize};

pub use begin::{Add, OnLastLease, Restart, RestartOn, Start, Wait};
pub use lock::{LockAcquire, LockBreak, LockRelease, LockStatus};
pub use manage::{ByName, Force, GraphDelete, HandOver, Signal, Stop, Upgrade};
pub use queue::{
    ByJob, ByLane, QueueAdd, QueueClaim, QueueFinish, QueueHeartbeat, QueueList, QueueRetry, QueueWidth,
    ScheduleAdd, ScheduleList, ScheduleRemove,
};
pub use read::{Blame, History, List, Ports, Runs, RunsDelete, Subscribe};

/// A request type, as [`Request::described`] tells it.
#[cfg(test)]
pub(crate) struct Described {
    pub(crate) type_name: &'static str,
    pub(crate) description: &'static str,
    pub(crate) payload: schemars::Schema,
}

macro_rules! requests {
    ($($(#[doc = $doc:literal])* $variant:ident = $text:literal $(($payload:ty))?,)*) => {
        /// One request.
        #[derive(Debug, Clone, PartialEq)]
        pub enum Request {
            $($(#[doc = $doc])* $variant $(($payload))?,)*
        }

        impl Request {
            /// The names of all request types.
            pub const TYPES: &'static [&'static str] = &[$($text,)*];

            /// Returns the request's type as the wire spells it.
            #[must_use]
            pub const fn type_name(&self) -> &'static str {
                match self { $(requests!(@pattern $variant $(, $payload)?) => $text,)* }
            }

            /// Returns each type with its description and the schema of its payload, for the types of other languages.
            #[cfg(test)]
            pub(crate) fn described(of: &mut schemars::SchemaGenerator) -> Vec<Described> {
                vec![$(Described {
                    type_name: $text,
                    description: concat!($($doc),*),
                    payload: requests!(@schema of $(, $payload)?),
                },)*]
            }

            /// Parses the payload of a request of this type; `None` when there is no such type.
            ///
            /// # Errors
            /// The error of the payload's deserializer.
            pub fn parse<'de, D: Deserializer<'de>>(type_name: &str, payload: D) -> Option<Result<Self, D::Error>> {
                Some(match type_name {
                    $($text => requests!(@parse payload, $variant $(, $payload)?),)*
                    _ => return None,
                })
            }

            /// Serialises the payload; `None` for a type without one.
            ///
            /// # Errors
            /// The error of the serializer.
            pub fn payload(&self) -> Result<Option<Box<serde_json::value::RawValue>>, serde_json::Error> {
                match self {
                    $(requests!(@bind $variant, payload $(, $payload)?) => requests!(@write payload $(, $payload)?),)*
                }
            }
        }
    };
    (@schema $of:ident) => { $of.subschema_for::<Empty>() };
    (@schema $of:ident, $payload:ty) => { $of.subschema_for::<$payload>() };
    (@pattern $variant:ident) => { Self::$variant };
    (@pattern $variant:ident, $payload:ty) => { Self::$variant(_) };
    (@bind $variant:ident, $name:ident) => { Self::$variant };
    (@bind $variant:ident, $name:ident, $payload:ty) => { Self::$variant($name) };
    (@write $name:ident) => { Ok(None) };
    (@write $name:ident, $payload:ty) => { serde_json::value::to_raw_value($name).map(Some) };
    (@parse $from:ident, $variant:ident) => { Empty::deserialize($from).map(|Empty {}| Self::$variant) };
    (@parse $from:ident, $variant:ident, $payload:ty) => { <$payload>::deserialize($from).map(Self::$variant) };
}

requests! {
    /// Introduces the client and binds the connection to an owner.
    Hello = "hello" (Hello),
    /// Answers at once.
    Ping = "ping",
    /// Ensures that a worker runs.
    Start = "start" (Start),
    /// Makes a job and runs it, or runs the job that is the same.
    Add = "add" (Box<Add>),
    /// Makes a job, not started.
    Create = "create" (Box<Add>),
    /// Ends a worker and its whole tree.
    Stop = "stop" (Stop),
    /// Ends a worker and starts it anew.
    Restart = "restart" (Restart),
    /// Sends a signal to a worker's leader.
    Signal = "signal" (Signal),
    /// Changes the owner of a worker.
    HandOver = "hand_over" (HandOver),
    /// Holds a worker for this connection.
    Lease = "lease" (ByName),
    /// Gives a lease back.
    Release = "release" (ByName),
    /// Lists workers.
    List = "list" (List),
    /// Returns one worker.
    Get = "get" (ByName),
    /// Returns the runs of a worker.
    Runs = "runs" (Runs),
    /// Deletes a run that has ended from the history, with its logs.
    RunsDelete = "runs_delete" (RunsDelete),
    /// Returns the statistics of a worker's runs.
    Stats = "stats" (ByName),
    /// Returns the changes of a worker and their causes.
    Blame = "blame" (Blame),
    /// Returns the changes of all workers after a place, over the lives of supervisors.
    History = "history" (History),
    /// Adds a job to a lane of the queue.
    QueueAdd = "queue_add" (Box<QueueAdd>),
    /// Claims the next job of a lane for a worker outside.
    QueueClaim = "queue_claim" (QueueClaim),
    /// Says that the claimant of a job lives.
    QueueHeartbeat = "queue_heartbeat" (QueueHeartbeat),
    /// Ends the attempt of a claimant.
    QueueFinish = "queue_finish" (QueueFinish),
    /// Returns one job of the queue.
    QueueGet = "queue_get" (ByJob),
    /// Lists jobs of the queue, and its lanes.
    QueueList = "queue_list" (QueueList),
    /// Cancels a job that waits or runs.
    QueueCancel = "queue_cancel" (ByJob),
    /// Lets a job that failed or was cancelled wait again.
    QueueRetry = "queue_retry" (QueueRetry),
    /// Lets nothing of a lane be claimed.
    QueuePause = "queue_pause" (ByLane),
    /// Ends a pause.
    QueueResume = "queue_resume" (ByLane),
    /// Cancels the jobs of a lane that wait.
    QueueClear = "queue_clear" (ByLane),
    /// Sets how many jobs of a lane the supervisor runs at once.
    QueueWidth = "queue_width" (QueueWidth),
    /// Has a command added to a lane again and again.
    ScheduleAdd = "schedule_add" (Box<ScheduleAdd>),
    /// Lists schedules.
    ScheduleList = "schedule_list" (ScheduleList),
    /// Removes a schedule.
    ScheduleRemove = "schedule_remove" (ScheduleRemove),
    /// Looks where workers listen.
    Ports = "ports" (Ports),
    /// Reads the configuration again.
    Reload = "reload",
    /// Lists the graphs on disk.
    Graphs = "graphs",
    /// Deletes a graph's data and gob's records of it.
    GraphDelete = "graph_delete" (GraphDelete),
    /// Forgets a worker that is down, its logs included.
    Remove = "remove" (ByName),
    /// Forgets all workers that are down.
    Cleanup = "cleanup",
    /// Ends all workers and removes gob's own files.
    Nuke = "nuke" (Force),
    /// Ends all workers and keeps logs and history.
    Shutdown = "shutdown" (Force),
    /// Makes the supervisor replace its own program; workers and clients stay.
    Upgrade = "upgrade" (Upgrade),
    /// Asks for events.
    Subscribe = "subscribe" (Subscribe),
    /// Ends the subscription.
    Unsubscribe = "unsubscribe",
    /// Returns the supervisor's own health.
    Status = "status",
    /// Takes a lock, renews its TTL, or claims it again.
    LockAcquire = "lock_acquire" (Box<LockAcquire>),
    /// Gives a lock back.
    LockRelease = "lock_release" (LockRelease),
    /// Returns locks, with their holders and waiters.
    LockStatus = "lock_status" (LockStatus),
    /// Takes a lock from its holders.
    LockBreak = "lock_break" (LockBreak),
}

/// The payload of a type without fields.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
struct Empty {}

/// Payload of `hello`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Hello {
    /// The protocol that the client speaks.
    pub protocol: u32,
    /// The client's program.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub client: Option<ClientInfo>,
    /// The owner that it speaks for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub owner: Option<Owner>,
}

/// A client's program.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct ClientInfo {
    /// Its name, at most [`ClientInfo::MAX_BYTES`] bytes without control characters.
    #[serde(deserialize_with = "short_text")]
    pub name: String,
    /// Its version, bounded like the name.
    #[serde(default, deserialize_with = "short_text")]
    pub version: String,
}

impl ClientInfo {
    /// Bound of the name and the version: both go into every event that the client causes.
    pub const MAX_BYTES: usize = 64;
}

fn short_text<'de, D: Deserializer<'de>>(deserializer: D) -> Result<String, D::Error> {
    let text = Text::deserialize(deserializer)?;
    if text.len() > ClientInfo::MAX_BYTES || text.chars().any(char::is_control) {
        let max = ClientInfo::MAX_BYTES;
        return Err(serde::de::Error::custom(format_args!("at most {max} bytes without control characters")));
    }
    Ok(text.0.into_owned())
}
