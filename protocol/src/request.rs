//! Requests (PROTOCOL 4, 5).
//!
//! Every payload refuses unknown fields and duplicate keys. Serde's tagged enums would let unknown fields
//! through, so [`Request::parse`] goes by the type's name instead.

use crate::bounded;
use crate::env::Env;
use crate::event::EventKind;
use crate::name::{Name, Owner};
use crate::text::Text;
use crate::view::State;
use serde::{Deserialize, Deserializer, Serialize};
use std::collections::BTreeMap;

macro_rules! requests {
    ($($(#[$doc:meta])* $variant:ident = $text:literal $(($payload:ty))?,)*) => {
        /// One request.
        #[derive(Debug, Clone, PartialEq)]
        pub enum Request {
            $($(#[$doc])* $variant $(($payload))?,)*
        }

        impl Request {
            /// The names of all request types.
            pub const TYPES: &'static [&'static str] = &[$($text,)*];

            /// Returns the request's type as the wire spells it.
            #[must_use]
            pub const fn type_name(&self) -> &'static str {
                match self { $(requests!(@pattern $variant $(, $payload)?) => $text,)* }
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
    /// Asks for events.
    Subscribe = "subscribe" (Subscribe),
    /// Ends the subscription.
    Unsubscribe = "unsubscribe",
    /// Returns the supervisor's own health.
    Status = "status",
}

/// The payload of a type without fields.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
struct Empty {}

/// Payload of `hello`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
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

/// The state that a start or restart waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Wait {
    /// The worker is ready.
    #[default]
    Ready,
    /// The worker was spawned.
    Spawned,
}

/// Payload of `start`: *ensures* that a worker runs.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Start {
    /// The graph to serve.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub graph: Option<Name>,
    /// The worker's name; the graph's when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<Name>,
    /// The kind to start it from.
    #[serde(default, deserialize_with = "bounded::word", skip_serializing_if = "Option::is_none")]
    pub kind: Option<String>,
    /// Absolute path of the directory that holds the graph.
    #[serde(default, deserialize_with = "bounded::path", skip_serializing_if = "Option::is_none")]
    pub root_dir: Option<String>,
    /// The requester's environment, of which the worker gets a part (CLI, Environment of workers).
    #[serde(default, skip_serializing_if = "Option::is_none", serialize_with = "Env::serialize_in_request")]
    pub env: Option<Env>,
    /// The state to wait for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub wait: Option<Wait>,
    /// Time limit of this requester's wait, in milliseconds; the start itself goes on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timeout_ms: Option<u64>,
    /// Also takes a lease.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub lease: bool,
}

/// The ends after which a worker is started again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum RestartOn {
    /// None.
    Never,
    /// Every unasked end but exit 0.
    OnFailure,
    /// Every unasked end.
    Always,
}

/// The effect of the last lease's end on its owner's worker, after the grace.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum OnLastLease {
    /// No effect.
    Keep,
    /// The owner becomes `unknown`.
    Release,
    /// The worker is stopped.
    Stop,
}

/// Payload of `add` and `create`: a job is the same when its command and the real path of its directory are.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Add {
    /// Program and arguments, at most [`MAX_JOB_ARGUMENTS`](crate::limits::MAX_JOB_ARGUMENTS).
    #[serde(deserialize_with = "bounded::command")]
    pub command: Vec<String>,
    /// Absolute path of its working directory.
    #[serde(deserialize_with = "bounded::needed_path")]
    pub cwd: String,
    /// The requester's environment, which the job gets whole.
    #[serde(default, skip_serializing_if = "Option::is_none", serialize_with = "Env::serialize_in_request")]
    pub env: Option<Env>,
    /// The job's name; when absent a new job gets the next number.
    #[serde(default, deserialize_with = "bounded::job_name", skip_serializing_if = "Option::is_none")]
    pub name: Option<Name>,
    /// A description for people, at most [`MAX_DESCRIPTION_BYTES`](crate::limits::MAX_DESCRIPTION_BYTES) bytes; when absent
    /// the present one stays.
    #[serde(default, deserialize_with = "bounded::description", skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// The restart policy; when absent the present one stays, which is `never` at first.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub restart: Option<RestartOn>,
    /// The readiness check, a word or a table as in the configuration; when absent the present one stays, which is `none` at
    /// first.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub readiness: Option<serde_json::Value>,
    /// The resource limits, by the names that the configuration has; when absent the present ones stay.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rlimits: Option<BTreeMap<String, u64>>,
    /// The effect of the last lease's end on the run that this request begins; the default when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub on_last_lease: Option<OnLastLease>,
    /// The state to wait for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub wait: Option<Wait>,
    /// Also takes a lease.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub lease: bool,
}

/// Payload of `stop`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Stop {
    /// The worker.
    pub name: Name,
    /// Kills without grace. Never overrides an owner.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub force: bool,
    /// Time between TERM and KILL, in milliseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub grace_ms: Option<u64>,
}

/// Payload of `restart`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Restart {
    /// The worker.
    pub name: Name,
    /// The requester's environment for the new run; when absent the last one stays.
    #[serde(default, skip_serializing_if = "Option::is_none", serialize_with = "Env::serialize_in_request")]
    pub env: Option<Env>,
    /// Time between TERM and KILL, in milliseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub grace_ms: Option<u64>,
    /// The state to wait for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub wait: Option<Wait>,
    /// Time limit of this requester's wait, in milliseconds; the restart itself goes on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timeout_ms: Option<u64>,
}

/// Payload of `signal`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Signal {
    /// The worker.
    pub name: Name,
    /// A signal such as `HUP`, `SIGHUP` or `1`.
    #[serde(deserialize_with = "bounded::needed_word")]
    pub signal: String,
}

/// Payload of `hand_over`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HandOver {
    /// The worker.
    pub name: Name,
    /// The new owner.
    pub to: Owner,
}

/// Payload of `get`, `lease`, `release`, `remove`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ByName {
    /// The worker.
    pub name: Name,
}

/// Payload of `runs`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Runs {
    /// The worker.
    pub name: Name,
    /// Most runs in the answer; 100 when absent, 1,000 at most.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit: Option<u32>,
    /// Runs of lower numbers than this.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub before: Option<u64>,
}

/// Payload of `runs_delete`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RunsDelete {
    /// The worker.
    pub name: Name,
    /// The run.
    pub run: u64,
}

/// Payload of `blame`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Blame {
    /// The worker.
    pub name: Name,
    /// Most changes in the answer; 100 when absent, 1,000 at most.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit: Option<u32>,
}

/// Payload of `graph_delete`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GraphDelete {
    /// The graph.
    pub graph: Name,
    /// Absolute path of the directory that holds it; the known one when absent.
    #[serde(default, deserialize_with = "bounded::path", skip_serializing_if = "Option::is_none")]
    pub root_dir: Option<String>,
}

/// Payload of `list`: a worker must match every given filter.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct List {
    /// Workers of this owner.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub owner: Option<Owner>,
    /// Workers of this kind.
    #[serde(default, deserialize_with = "bounded::word", skip_serializing_if = "Option::is_none")]
    pub kind: Option<String>,
    /// Workers in this state.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub state: Option<State>,
    /// Workers with this working directory.
    #[serde(default, deserialize_with = "bounded::path", skip_serializing_if = "Option::is_none")]
    pub cwd: Option<String>,
    /// Workers whose names come after this one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub after: Option<Name>,
    /// Most workers in the answer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit: Option<u32>,
}

/// Payload of `nuke` and `shutdown`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Force {
    /// Also ends live workers of other owners.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub force: bool,
}

/// Payload of `subscribe`: an event must match every given filter.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Subscribe {
    /// Replays the events after this one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub since: Option<u64>,
    /// The instance that `since` belongs to.
    #[serde(default, deserialize_with = "bounded::word", skip_serializing_if = "Option::is_none")]
    pub instance: Option<String>,
    /// Events of these workers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub names: Option<Vec<Name>>,
    /// Events of these kinds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub events: Option<Vec<EventKind>>,
    /// Events of this owner's workers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub owner: Option<Owner>,
    /// Events of workers with this working directory.
    #[serde(default, deserialize_with = "bounded::path", skip_serializing_if = "Option::is_none")]
    pub cwd: Option<String>,
    /// Sends the workers along with the answer.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub snapshot: bool,
}
