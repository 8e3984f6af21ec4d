//! `graphs` and `graph_delete`: which graphs there are on disk, and which of them is deleted (PROTOCOL 5, Graphs on disk).
//!
//! The shell looks and deletes, beside the main thread. Which graph is meant, who may delete it and what goes is decided
//! here, from what it found.

use crate::io::{ConnId, Effect};
use crate::lifecycle::held_by;
use crate::owner::{Title, owned_by_other};
use crate::parts::{GraphLock, Holder};
use crate::record::{Keep, Place, RECORD_VERSION, Record, pointer_path, record_path};
use crate::requests::{not_found, not_ours};
use crate::worker::Phase;
use crate::{Core, Data, Id, Name, Owner, Timestamp, WireError};
use alloc::boxed::Box;
use alloc::collections::BTreeSet;
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use gob_protocol::ErrorCode;
use gob_protocol::answer::{GraphDeleteData, GraphOnDisk, GraphsData};
use gob_protocol::kind::GraphDirEncoding;
use gob_protocol::request::GraphDelete;
use serde_json::json;

/// So many roots are looked at.
const MAX_ROOTS: usize = 64;

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
    /// In words.
    Failed(String),
}

impl Core {
    pub(crate) fn find_graphs(&mut self, conn: ConnId, id: Option<Id>, delete: Option<GraphDelete>) {
        let data_dir = self.config.paths.data_dir.clone();
        let asked = delete.as_ref().and_then(|delete| delete.root_dir.as_deref());
        let of_workers = self.workers.values().map(|worker| &*worker.root_dir);
        let known = asked.into_iter().chain(self.config.settings.roots()).chain(of_workers);
        let mut seen = BTreeSet::from([data_dir.as_str()]);
        let roots = known.filter(|root| seen.insert(root)).take(MAX_ROOTS).map(ToString::to_string).collect();
        let search = GraphSearch { conn, id, delete };
        self.out.push(Effect::FindGraphs(Box::new(FindGraphs { search, data_dir, roots })));
    }

    pub(crate) fn graphs_found(&mut self, search: GraphSearch, found: Vec<OnDisk>) {
        let Some(delete) = search.delete.clone() else {
            let graphs = found.into_iter().map(|graph| self.graph_on_disk(graph)).collect();
            return self.reply(search.conn, search.id, Ok(Data::Graphs(GraphsData { graphs })));
        };
        match self.to_delete(search.conn, &delete, found) {
            Ok(plan) => self.out.push(Effect::DeleteGraph { search, plan: Box::new(plan) }),
            Err(error) => self.reply(search.conn, search.id, Err(error)),
        }
    }

    fn graph_on_disk(&self, found: OnDisk) -> GraphOnDisk {
        let OnDisk { graph, root_dir, kind, data, last_used_at, size_bytes, .. } = found;
        let worker = self.graphs.get(&(graph.clone(), root_dir.as_str().into()));
        let state = worker.and_then(|name| self.workers.get(name)).map(crate::worker::Worker::state);
        GraphOnDisk { graph, kind, root_dir, path: data.dir().into(), size_bytes, last_used_at, state }
    }

    /// Which graph is meant and what goes with it, if the requester may delete it as things are.
    fn to_delete(
        &self,
        conn: ConnId,
        delete: &GraphDelete,
        found: Vec<OnDisk>,
    ) -> Result<DeletePlan, Box<WireError>> {
        let graph = &delete.graph;
        let named = self.workers.get(graph).filter(|worker| worker.graph == *graph);
        let root = delete.root_dir.clone().or_else(|| named.map(|worker| worker.root_dir.as_ref().into()));
        let is_meant = |known: &OnDisk| {
            known.graph == *graph && root.as_ref().is_none_or(|root| *root == known.root_dir)
        };
        let mut meant: Vec<OnDisk> = found.into_iter().filter(is_meant).collect();
        if meant.len() > 1 {
            return Err(ambiguous(graph, &meant));
        }
        let known = meant.pop();
        let root = known.as_ref().map(|known| known.root_dir.clone()).or(root);
        let root = root.unwrap_or_else(|| self.config.paths.data_dir.clone());
        let worker = self.graphs.get(&(graph.clone(), root.as_str().into()));
        let worker = worker.and_then(|name| self.workers.get(name));
        let requester = self.requester(conn);
        if let Some(worker) = worker {
            if !worker.title_now().may_manage(&requester) {
                return Err(owned_by_other(worker, &requester));
            }
            if matches!(worker.phase, Phase::External(_)) {
                return Err(not_ours(worker));
            }
            if worker.state().is_live() {
                let message =
                    format!("cannot delete {graph}: its worker {} is up ({})", worker.name, worker.state());
                let hint = format!("stop it first: gobctl stop {}", worker.name.as_argument());
                return Err(Box::new(WireError::new(ErrorCode::ServerRunning, message).hint(hint)));
            }
            let keep = self.keep(worker);
            let encoding = worker.kind.foreign.graph_dir_encoding;
            return Ok(self.deletion(
                encoding,
                known.map_or(keep.record.data, |known| known.data),
                graph,
                &root,
            ));
        }
        let Some(known) = known else { return Err(no_graph(graph)) };
        if !(Title { owner: &known.owner, last: None }).may_manage(&requester) {
            return Err(owned_before(&known, &requester));
        }
        let kind = known.kind.as_ref().and_then(|kind| self.config.settings.kinds.get(kind));
        let encoding = kind.map_or(GraphDirEncoding::Safe, |kind| kind.foreign.graph_dir_encoding);
        Ok(self.deletion(encoding, known.data, graph, &root))
    }

    /// The directories that gob or its own worker made for the graph, and no others.
    fn deletion(&self, encoding: GraphDirEncoding, data: Place, graph: &Name, root: &str) -> DeletePlan {
        let data_dir = self.config.paths.data_dir.as_str();
        let name = graph.on_disk();
        let mut dirs = Vec::from([(data_dir.to_string(), name.clone())]);
        let in_root = format!("{root}/{name}");
        let is_own = matches!(data, Place::File(_)) && data.dir() == in_root;
        if is_own && root != data_dir {
            dirs.push((root.to_string(), name.clone()));
        }
        let pointer = (root != data_dir).then(|| pointer_path(data_dir, graph, root));
        let path = if is_own { in_root } else { format!("{data_dir}/{name}") };
        let record = Record {
            gob_record: RECORD_VERSION,
            graph: graph.clone(),
            kind: String::new(),
            root_dir: root.to_string(),
            data,
            owner: Owner::unknown(),
            last_used_at: self.now.wall,
            held_data: false,
        };
        let keep = Keep {
            path: record_path(root, graph),
            pointer: pointer.clone(),
            elsewhere: Vec::new(),
            record,
            was_served: false,
        };
        let lock = format!("{root}/.gob/{}.lock", encoding.lock_name_of(graph));
        let records = [keep.path.clone()].into_iter().chain(pointer).collect();
        DeletePlan { lock: GraphLock { path: lock, note: serde_json::Map::new(), keep }, dirs, records, path }
    }

    pub(crate) fn graph_deleted(
        &mut self,
        search: GraphSearch,
        plan: DeletePlan,
        result: Result<Option<String>, NotDeleted>,
    ) {
        let Record { graph, root_dir, .. } = plan.lock.keep.record;
        let answer = match result {
            Ok(kept) => {
                let worker = self.graphs.get(&(graph, root_dir.as_str().into())).cloned();
                let worker = worker.and_then(|name| self.workers.get(&name));
                // One that was started meanwhile waits for the lock.
                if let Some(name) =
                    worker.filter(|worker| !worker.state().is_live()).map(|worker| worker.name.clone())
                {
                    self.forget(&name, search.conn);
                }
                Ok(Data::GraphDelete(GraphDeleteData { deleted: plan.path, kept }))
            }
            Err(NotDeleted::Held(holder)) => Err(Box::new(held_by(&graph, &holder))),
            Err(NotDeleted::Failed(why)) => {
                let message = format!("{graph} could not be deleted: {why}");
                Err(Box::new(WireError::new(ErrorCode::Internal, message)))
            }
        };
        self.reply(search.conn, search.id, answer);
    }
}

fn no_graph(graph: &Name) -> Box<WireError> {
    let mut error = not_found(graph);
    error.message = format!("there is no graph {graph} on disk");
    error.hint = Some("see what there is: gobctl graphs".into());
    error
}

fn ambiguous(graph: &Name, meant: &[OnDisk]) -> Box<WireError> {
    let roots: Vec<&str> = meant.iter().map(|known| known.root_dir.as_str()).collect();
    let message = format!("there is a graph {graph} in each of {}", roots.join(", "));
    let error = WireError::new(ErrorCode::GraphConflict, message).hint("say which: --root-dir DIR");
    Box::new(error.details(json!({"roots": roots})))
}

fn owned_before(known: &OnDisk, requester: &Owner) -> Box<WireError> {
    let OnDisk { graph, owner, .. } = known;
    let message = format!("{graph} was last owned by {owner}, you are {requester}");
    let details = json!({"worker": graph.as_str(), "owner": owner.as_str(), "requester": requester.as_str()});
    let error = WireError::new(ErrorCode::ServerOwnedByOther, message);
    Box::new(error.hint(format!("ask {owner} to delete it")).details(details))
}
