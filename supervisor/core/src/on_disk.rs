//! Graphs on disk as the shell finds and deletes them: what it is asked, and what it answers. Plain data.

use crate::failure::SpawnFailure;
use crate::ids::ConnId;
use crate::parts::{GraphLock, Holder};
use crate::record::Place;
use alloc::string::String;
use alloc::vec::Vec;
use gob_protocol::request::GraphDelete;
use gob_protocol::{Id, Name, Owner, Timestamp};

/// Who asked for what.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GraphSearch {
    /// Whom to answer.
    pub conn: ConnId,
    /// What the client calls its request.
    pub id: Option<Id>,
    /// What is to be deleted; nothing where all are to be told.
    pub delete: Option<GraphDelete>,
}

/// Where to look for graphs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FindGraphs {
    /// Who asked for what.
    pub search: GraphSearch,
    /// The data directory. Graphs in other roots may be known there too.
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
    /// The kind that served it last; nothing where nothing is remembered of it.
    pub kind: Option<String>,
    /// Where its data is.
    pub data: Place,
    /// Whose it was last.
    pub owner: Owner,
    /// When it was last used.
    pub last_used_at: Option<Timestamp>,
    /// What its files have.
    pub size_bytes: Option<u64>,
}

/// What goes with a graph.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeletePlan {
    /// Its lock, to be held meanwhile.
    pub lock: GraphLock,
    /// Its directories, each as a directory that stays and a name in it.
    pub dirs: Vec<(String, String)>,
    /// The files of its record.
    pub records: Vec<String>,
    /// What is told as deleted.
    pub path: String,
}

/// Why a graph was not deleted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NotDeleted {
    /// Somebody holds its lock.
    Held(Holder),
    /// Its lock could not be taken.
    NoLock(SpawnFailure),
    /// In words.
    Failed(String),
}
