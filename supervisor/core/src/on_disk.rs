//! Graphs on disk: the shell's orders to find and delete them, and its answers. Plain data.

use crate::failure::SpawnFailure;
use crate::ids::ConnId;
use crate::parts::{GraphLock, Holder};
use crate::record::Place;
use alloc::string::String;
use alloc::vec::Vec;
use gob_protocol::request::GraphDelete;
use gob_protocol::{Id, Name, Owner, Timestamp};
use serde::{Deserialize, Serialize};

/// A request about graphs on disk.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct GraphSearch {
    /// The connection to answer.
    pub conn: ConnId,
    /// The id that the client gave the request.
    pub id: Option<Id>,
    /// The graph to delete; `None` for a list of all.
    pub delete: Option<GraphDelete>,
}

/// The directories to search for graphs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FindGraphs {
    /// The request to answer.
    pub search: GraphSearch,
    /// The data directory. It may hold copies of records of graphs in other roots.
    pub data_dir: String,
    /// Other roots.
    pub roots: Vec<String>,
}

/// A graph that lies on disk.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OnDisk {
    /// The graph.
    pub graph: Name,
    /// The real path of its root.
    pub root_dir: String,
    /// The kind that served it last; `None` without a record.
    pub kind: Option<String>,
    /// The place of its data.
    pub data: Place,
    /// Its last owner.
    pub owner: Owner,
    /// When it was last used.
    pub last_used_at: Option<Timestamp>,
    /// The size of its files.
    pub size_bytes: Option<u64>,
}

/// The files and directories that are deleted with a graph.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeletePlan {
    /// The graph's lock, held during the deletion.
    pub lock: GraphLock,
    /// Its directories, each as a directory that stays and a name in it.
    pub dirs: Vec<(String, String)>,
    /// The files of its record.
    pub records: Vec<String>,
    /// The path that the answer names as deleted.
    pub path: String,
}

/// The reason why a graph was not deleted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NotDeleted {
    /// A process holds its lock.
    Held(Holder),
    /// Its lock could not be taken.
    NoLock(SpawnFailure),
    /// A file operation failed; the message names it.
    Failed(String),
}
