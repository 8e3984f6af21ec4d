//! Data of successful responses to requests about graphs on disk (PROTOCOL 4, 5).

use crate::name::Name;
use crate::state::State;
use crate::time::Timestamp;
use serde::{Deserialize, Serialize};

/// A graph on disk.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct GraphOnDisk {
    /// The graph's name.
    pub graph: Name,
    /// The kind that served it last, if known.
    pub kind: Option<String>,
    /// The real path of its root.
    pub root_dir: String,
    /// The graph's own directory.
    pub path: String,
    /// The bytes of the files there, where they could be counted in time.
    pub size_bytes: Option<u64>,
    /// The last use, if known.
    pub last_used_at: Option<Timestamp>,
    /// The state of its worker, if it has one.
    pub state: Option<State>,
}

/// Data of `graphs`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct GraphsData {
    /// The graphs, ordered by name and root.
    pub graphs: Vec<GraphOnDisk>,
}

/// Data of `graph_delete`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct GraphDeleteData {
    /// The directory that was deleted.
    pub deleted: String,
    /// Data outside of that directory, which gob did not make and does not delete.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kept: Option<String>,
}
