//! The supervisor's reports on its workers and on itself (PROTOCOL 5, 6, 9).

use crate::answer::ServerDirs;
use crate::exit::Exit;
use crate::name::{Name, Owner};
use crate::state::State;
use crate::time::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

/// A port on which a worker's tree listens.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Port {
    /// The port number.
    pub port: u16,
    /// `tcp` or `udp`.
    pub protocol: String,
    /// The process that listens.
    pub pid: i32,
}

/// A client that holds a lease (PROTOCOL 6).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct LeaseHolder {
    /// The owner that it spoke for when it took the lease.
    pub owner: Owner,
    /// The name in its hello.
    pub client: Option<Arc<str>>,
    /// Its process id, as the kernel told at its connect.
    pub pid: Option<i32>,
}

impl fmt::Display for LeaseHolder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        crate::event::write_party(f, &self.owner, self.client.as_deref(), self.pid)
    }
}

/// One worker as one requester sees it (PROTOCOL 6). Successive views share the parts that stay the same.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct View {
    /// The worker's name.
    pub name: Name,
    /// The kind it was started from; `job` for jobs.
    pub kind: Arc<str>,
    /// The graph it serves; null for jobs.
    pub graph: Option<Arc<str>>,
    /// A description for people.
    pub description: Option<String>,
    /// Real path of the directory that holds the graph; null for jobs.
    pub root_dir: Option<Arc<str>>,
    /// Its working directory.
    pub cwd: Option<Arc<str>>,
    /// Its program and arguments, placeholders replaced.
    pub command: Arc<[String]>,
    /// The owner, which may stop it.
    pub owner: Owner,
    /// The requester may stop it.
    pub owned: bool,
    /// Its state.
    pub state: State,
    /// Its leader's process id while it is alive.
    pub pid: Option<i32>,
    /// Its process group while it is alive.
    pub pgid: Option<i32>,
    /// Its endpoint: `unix:…` or `http://…`.
    pub endpoint: Option<Arc<str>>,
    /// Its description of itself at readiness.
    pub meta: Arc<Map<String, Value>>,
    /// The number of its latest run; 0 when it never ran.
    pub run: u64,
    /// The time when gob first heard of it.
    pub created_at: Timestamp,
    /// The spawn of its latest run.
    pub started_at: Option<Timestamp>,
    /// The readiness of its latest run.
    pub ready_at: Option<Timestamp>,
    /// The end of its latest run.
    pub stopped_at: Option<Timestamp>,
    /// The exit of its latest run.
    pub exit: Option<Exit>,
    /// Starts by the restart policy since the last start by request.
    pub restarts: u32,
    /// The time of the restart policy's next start.
    pub next_restart_at: Option<Timestamp>,
    /// The number of leases on it.
    pub leases: u32,
    /// Clients that hold them, oldest connection first, at most
    /// [`LEASE_HOLDERS_SHOWN`](crate::limits::LEASE_HOLDERS_SHOWN).
    #[serde(default)]
    pub lease_holders: Vec<Arc<LeaseHolder>>,
    /// The file of the latest run's standard output.
    pub stdout_path: Option<Arc<str>>,
    /// The file of the latest run's standard error.
    pub stderr_path: Option<Arc<str>>,
    /// The reason for its state, in words.
    pub reason: Option<String>,
    /// Its version, where it tells one.
    #[serde(default)]
    pub version: Option<Arc<str>>,
    /// Ports on which its tree listens, as far as it was looked, at most
    /// [`PORTS_SHOWN`](crate::limits::PORTS_SHOWN).
    #[serde(default)]
    pub ports: Vec<Port>,
    /// Another program lies at its program's path than it runs.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub program_changed: bool,
    /// The reason why it must not be started.
    #[serde(default)]
    pub blocked: Option<String>,
    /// The time of its last output.
    #[serde(default)]
    pub last_output_at: Option<Timestamp>,
    /// The median of a job's latest successful runs; null before three of them, and for graphs.
    #[serde(default)]
    pub expected_ms: Option<u64>,
}

/// A process, safe against reuse of its pid.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct ProcessId {
    /// The process id.
    pub pid: i32,
    /// Its start in clock ticks since boot (proc(5), `starttime`).
    pub start_time: u64,
}

/// One process that a stop ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Signalled {
    /// Its process id.
    pub pid: i32,
    /// Its start in clock ticks since boot (proc(5), `starttime`).
    pub start_time: u64,
    /// The signals that it was sent, in order.
    pub signals: Vec<String>,
    /// Time from the stop until it was seen to be gone; null when it was not.
    pub ended_ms: Option<u64>,
    /// The reason why it could not be signalled, as the errno's name: `EPERM` where it runs as another user
    /// now.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
}

/// A process that a stop could not end.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Survivor {
    /// Its process id.
    pub pid: i32,
    /// Its start in clock ticks since boot; 0 where `/proc` hides it.
    pub start_time: u64,
    /// Its user, where that is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub uid: Option<u32>,
    /// The reason why it could not be signalled, as the errno's name; `None` when it was signalled and stays.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
}

impl From<ProcessId> for Survivor {
    fn from(ProcessId { pid, start_time }: ProcessId) -> Self {
        Self { pid, start_time, uid: None, error: None }
    }
}

/// A process of a worker that the supervisor could not end so far, in its own time or after an earlier supervisor.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Leftover {
    /// Its worker; `None` where nothing tells which one.
    pub worker: Option<Name>,
    /// The process.
    #[serde(flatten)]
    pub process: Survivor,
}

/// Proof of a stop: the processes that were signalled, and that none survived (PROTOCOL 5).
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Receipt {
    /// Every process that was ended.
    pub signalled: Vec<Signalled>,
    /// Every process that is still there.
    pub survivors: Vec<Survivor>,
}

/// The supervisor's own health (PROTOCOL 9).
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[expect(
    missing_docs,
    reason = "the names are PROTOCOL 9's, counters since the supervisor started unless they end in a unit"
)]
pub struct Status {
    pub version: String,
    pub pid: i32,
    pub instance: String,
    pub uptime_ms: u64,
    pub protocol: u32,
    pub socket: String,
    /// The number of workers in each state; empty states are left out.
    pub workers: BTreeMap<String, u64>,
    pub connections: u64,
    pub subscribers: u64,
    pub requests: u64,
    pub events_seq: u64,
    pub lagged_events: u64,
    pub spawn_failures: u64,
    pub restarts: u64,
    pub orphans_recovered: u64,
    pub healed: u64,
    /// Failed writes of the journal; later than version 1.0.
    #[serde(default)]
    pub journal_failures: u64,
    pub instance_lock_failures: u64,
    pub lock_contentions: u64,
    pub queue_claims: u64,
    pub queue_stale_recoveries: u64,
    pub queue_heartbeat_failures: u64,
    pub log_bytes: u64,
    pub log_bytes_dropped: u64,
    pub rss_bytes: u64,
    pub keeper_pid: i32,
    pub cgroup: bool,
    /// Live runs whose processes could not be marked; later than version 1.0.
    #[serde(default)]
    pub unmarked_runs: u64,
    /// Processes of workers that could not be ended so far, the first
    /// [`MAX_SURVIVORS`](crate::limits::MAX_SURVIVORS) of them; later than version 1.0.
    #[serde(default)]
    pub survivors: Vec<Leftover>,
    /// The supervisor's directories; later than version 1.0.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dirs: Option<Arc<ServerDirs>>,
    /// The state of the configuration's files; later than version 1.0.
    #[serde(default)]
    pub config: ConfigStatus,
    /// The state of the history; later than version 1.0.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub history: Option<HistoryStatus>,
    /// The database that several machines share, where one is configured; later than version 1.0.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub shared: Option<SharedStatus>,
}

/// The state of the database that several machines share.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct SharedStatus {
    /// `connecting`, `open` or `away`.
    pub state: String,
    /// The reason why it is away.
    pub reason: Option<String>,
    /// Its address, without a password.
    pub url: String,
}

/// The state of the file that has the history.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct HistoryStatus {
    /// `open`, `closed` (for want of anything to do), `locked`, `read-only`, `full` or `failed`.
    pub state: String,
    /// The reason of a state that is neither open nor closed.
    pub reason: Option<String>,
    /// Records that were lost since the supervisor started.
    pub dropped: u64,
    /// The file.
    pub path: String,
}

/// The files of the configuration.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct ConfigStatus {
    /// The files in effect, in order of precedence.
    pub files: Vec<String>,
    /// The files that are not in effect, in their present state.
    pub invalid: Vec<InvalidFile>,
}

/// A file of the configuration that is not in effect.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct InvalidFile {
    /// The file.
    pub path: String,
    /// The number of its problems.
    pub problems: u64,
    /// The first problem, with its place.
    pub first: String,
}

/// The approximate size of a port as JSON.
const PORT_BYTES: usize = 48;

impl View {
    /// Estimates its size as JSON, in bytes, at little cost.
    #[must_use]
    pub fn about_bytes(&self) -> usize {
        let shared = [&self.graph, &self.root_dir, &self.cwd, &self.endpoint];
        let texts = shared.into_iter().flatten().map(|text| text.len()).sum::<usize>()
            + [&self.description, &self.reason].into_iter().flatten().map(String::len).sum::<usize>();
        let command = self.command.iter().map(|arg| arg.len() + 3).sum::<usize>();
        let meta = self.meta.iter().map(|(key, value)| key.len() + 4 + value_bytes(value)).sum::<usize>();
        1_024 + texts + command + meta + self.ports.len() * PORT_BYTES
    }
}

fn value_bytes(value: &serde_json::Value) -> usize {
    use serde_json::Value;
    match value {
        Value::Null | Value::Bool(_) | Value::Number(_) => 8,
        Value::String(text) => text.len() + 2,
        Value::Array(values) => 2 + values.iter().map(|value| value_bytes(value) + 1).sum::<usize>(),
        Value::Object(map) => {
            2 + map.iter().map(|(key, value)| key.len() + 4 + value_bytes(value)).sum::<usize>()
        }
    }
}
