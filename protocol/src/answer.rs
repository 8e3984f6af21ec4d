//! The data of answers (PROTOCOL 4, 5).

use crate::name::{Name, Owner};
use crate::time::Timestamp;
use crate::view::{Receipt, State, Status, View};
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// Data of `hello`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HelloData {
    /// The protocol that the connection speaks from now on.
    pub protocol: u32,
    /// Who answers.
    pub server: ServerInfo,
    /// The owner that the connection is bound to.
    pub owner: Owner,
    /// What came after version 1.0.
    pub features: Vec<String>,
}

/// The supervisor as it names itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ServerInfo {
    /// Its version.
    pub version: String,
    /// Its process.
    pub pid: i32,
    /// New for every supervisor life.
    pub instance: String,
    /// When it started.
    pub started_at: crate::time::Timestamp,
    /// Where its files are, which a client with other variables would look for elsewhere; later than version 1.0.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dirs: Option<Arc<ServerDirs>>,
    /// Files of its configuration that are not in effect; later than version 1.0.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub config_invalid: Vec<String>,
}

/// Where a supervisor's files are.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ServerDirs {
    /// The home directory by which it was started, if there was one.
    pub home: Option<String>,
    /// Lock, journal, logs.
    pub state: String,
    /// Graphs without a directory of their own.
    pub data: String,
    /// The file `config.toml`, whether there is one or not; null where none could be named.
    pub config: Option<String>,
}

/// Data of `ping`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct PingData {
    /// Always true.
    pub pong: bool,
    /// How long the supervisor runs.
    pub uptime_ms: u64,
}

/// How a start was satisfied.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Outcome {
    /// A process was spawned, and the requester owns it.
    Started,
    /// It ran already.
    Reused,
    /// It ran already, nobody owned it, and the requester does now.
    TakenOver,
    /// It runs, held by a process that is not ours.
    External,
}

/// Data of `start`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StartData {
    /// The worker.
    pub worker: View,
    /// How the start was satisfied.
    pub outcome: Outcome,
    /// There was nothing of the graph before.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub created: bool,
}

/// Data of `stop` and `restart`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StopData {
    /// The worker afterwards.
    pub worker: View,
    /// What was ended.
    pub receipt: Receipt,
}

/// Data of `get`, `signal`, `hand_over`, `lease`, `release`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct WorkerData {
    /// The worker afterwards.
    pub worker: View,
}

/// Data of `list`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ListData {
    /// The workers, ordered by name.
    pub workers: Vec<View>,
    /// There are more: those after this one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<Name>,
}

/// Data of `remove` and `cleanup`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RemovedData {
    /// Who is gone.
    pub removed: Vec<Name>,
}

/// A graph on disk.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct GraphOnDisk {
    /// Its name.
    pub graph: Name,
    /// The kind that served it last, as far as that is known.
    pub kind: Option<String>,
    /// The real path of its root.
    pub root_dir: String,
    /// Its own directory.
    pub path: String,
    /// What the files there have, as far as they could be counted in time.
    pub size_bytes: Option<u64>,
    /// When it was last used, as far as that is known.
    pub last_used_at: Option<Timestamp>,
    /// The state of its worker, if it has one.
    pub state: Option<State>,
}

/// Data of `graphs`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct GraphsData {
    /// The graphs, ordered by name and root.
    pub graphs: Vec<GraphOnDisk>,
}

/// Data of `graph_delete`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct GraphDeleteData {
    /// The directory that is gone.
    pub deleted: String,
    /// Data outside of it, which gob did not make and does not delete.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kept: Option<String>,
}

/// Data of `nuke`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NukeData {
    /// Who was ended.
    pub stopped: Vec<Name>,
    /// Whose files are gone.
    pub removed: Vec<Name>,
}

/// Data of `shutdown`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ShutdownData {
    /// Who was ended.
    pub stopped: Vec<Name>,
}

/// Data of `reload`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReloadData {
    /// Keys whose value is another one now, those of new and removed tables among them.
    pub changed: Vec<String>,
    /// Kinds and graphs of which nothing was said before, as `kind.NAME` and `graph.NAME`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub added: Vec<String>,
    /// Those of which nothing is said any more.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub removed: Vec<String>,
}

/// Data of `subscribe`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SubscribeData {
    /// The event last published; the first one that follows is later.
    pub seq: u64,
    /// The supervisor's life that `seq` belongs to.
    pub instance: String,
    /// Events between `since` and now are gone; a snapshot stands in for them.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub gap: bool,
    /// The snapshot, where it was asked for or needed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub workers: Option<Vec<View>>,
    /// The snapshot has more: those that `list` has after this one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<Name>,
}

/// The data of any response.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(untagged)]
#[expect(missing_docs, reason = "each variant is the data of the requests that its type names")]
pub enum Data {
    Hello(Box<HelloData>),
    Ping(PingData),
    Start(Box<StartData>),
    Stop(Box<StopData>),
    Worker(Box<WorkerData>),
    List(ListData),
    Removed(RemovedData),
    Graphs(GraphsData),
    GraphDelete(GraphDeleteData),
    Nuke(NukeData),
    Shutdown(ShutdownData),
    Reload(ReloadData),
    Subscribe(SubscribeData),
    Status(Box<Status>),
    Empty(EmptyData),
}

/// Data without fields, as of `unsubscribe`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct EmptyData {}
