//! Data of successful responses to requests about the supervisor itself: its description, its events, its configuration, its end (PROTOCOL 4, 5).

use crate::name::{Name, Owner};
use crate::view::View;
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// Data of `hello`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct HelloData {
    /// The protocol of this connection from now on.
    pub protocol: u32,
    /// The answering supervisor.
    pub server: ServerInfo,
    /// The owner that the connection is bound to.
    pub owner: Owner,
    /// Features added after version 1.0.
    pub features: Vec<String>,
}

/// The supervisor's description of itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct ServerInfo {
    /// The supervisor's version.
    pub version: String,
    /// The supervisor's process id.
    pub pid: i32,
    /// New for every life of a supervisor.
    pub instance: String,
    /// The start of this life.
    pub started_at: crate::time::Timestamp,
    /// The supervisor's directories, which a client with other variables would not find; later than version
    /// 1.0.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dirs: Option<Arc<ServerDirs>>,
    /// Files of the supervisor's configuration that are not in effect; later than version 1.0.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub config_invalid: Vec<String>,
}

/// The directories of a supervisor.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct ServerDirs {
    /// The home directory that the supervisor was started with, if any.
    pub home: Option<String>,
    /// Lock, journal, logs.
    pub state: String,
    /// Graphs without a directory of their own.
    pub data: String,
    /// The file `config.toml`, existing or not; null where no path could be named.
    pub config: Option<String>,
}

/// Data of `ping`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct PingData {
    /// Always true.
    pub pong: bool,
    /// Time since the supervisor started.
    pub uptime_ms: u64,
}

/// Data of `nuke`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct NukeData {
    /// The workers that were stopped.
    pub stopped: Vec<Name>,
    /// The workers whose files were removed.
    pub removed: Vec<Name>,
    /// Jobs of the queue that were not finished and are kept.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub unfinished: u64,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
const fn is_zero(number: &u64) -> bool {
    *number == 0
}

/// Data of `shutdown`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct ShutdownData {
    /// The workers that were stopped.
    pub stopped: Vec<Name>,
}

/// A program of the supervisor.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Program {
    /// Its version.
    pub version: String,
    /// Its path.
    pub exe: String,
}

/// Data of `upgrade`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct UpgradeData {
    /// The program that ran until now.
    pub from: Program,
    /// The program that runs from now on.
    pub to: Program,
    /// The keeper's part; absent where the new program says nothing about it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub keeper: Option<KeeperUpgrade>,
}

/// The keeper's part in an upgrade.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct KeeperUpgrade {
    /// Its pid, which stays.
    pub pid: i32,
    /// It goes on with the program that lies beside the supervisor's, which is another one than before.
    pub upgraded: bool,
    /// Why it goes on with its own program, although another one lies there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
}

/// Data of `reload`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct ReloadData {
    /// Keys whose value changed, those of new and removed tables among them.
    pub changed: Vec<String>,
    /// Kinds and graphs that the configuration mentions for the first time, as `kind.NAME` and `graph.NAME`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub added: Vec<String>,
    /// Kinds and graphs that it mentions no more.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub removed: Vec<String>,
}

/// Data of `subscribe`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct SubscribeData {
    /// The last published event; the first one that follows is later.
    pub seq: u64,
    /// The supervisor's life that `seq` belongs to.
    pub instance: String,
    /// Events between `since` and now were lost; a snapshot stands in for them.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub gap: bool,
    /// The snapshot, where it was requested or needed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub workers: Option<Vec<View>>,
    /// The snapshot has more workers: `list` returns those after this name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<Name>,
}
