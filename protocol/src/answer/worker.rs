//! Data of successful responses to requests about workers and jobs (PROTOCOL 4, 5).

use crate::name::Name;
use crate::view::{Receipt, View};
use serde::{Deserialize, Serialize};

/// How a start was satisfied.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub enum Outcome {
    /// A process was spawned, and the requester owns it.
    Started,
    /// The worker ran already.
    Reused,
    /// The worker ran already without an owner; the requester owns it now.
    TakenOver,
    /// The worker runs, held by a process that is not ours.
    External,
}

/// Data of `start`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct StartData {
    /// The worker.
    pub worker: View,
    /// How the start was satisfied.
    pub outcome: Outcome,
    /// The graph was new to gob.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub created: bool,
}

/// Data of `create`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct CreateData {
    /// The job.
    pub worker: View,
    /// There was no such job before.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub created: bool,
}

/// Data of `stop` and `restart`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct StopData {
    /// The worker afterwards.
    pub worker: View,
    /// Proof of the stop.
    pub receipt: Receipt,
}

/// Data of `get`, `signal`, `hand_over`, `lease`, `release`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct WorkerData {
    /// The worker afterwards.
    pub worker: View,
}

/// Data of `list`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct ListData {
    /// The workers, ordered by name.
    pub workers: Vec<View>,
    /// More workers exist: those after this name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<Name>,
}

/// Data of `remove` and `cleanup`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct RemovedData {
    /// The workers that were removed.
    pub removed: Vec<Name>,
}

/// Data of `ports`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct PortsData {
    /// The listening sockets, by worker, port, protocol and address.
    pub ports: Vec<WorkerPort>,
    /// There are more than one answer has room for.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub more: bool,
}

/// One socket on which a worker's tree listens.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct WorkerPort {
    /// The worker.
    pub name: Name,
    /// The port.
    pub port: u16,
    /// `tcp` or `udp`.
    pub protocol: String,
    /// The local address, without the port: `127.0.0.1`, `0.0.0.0`, `::`.
    pub address: String,
    /// The process that listens: the leader where it is one of several, else the one of the lowest number.
    pub pid: i32,
}
