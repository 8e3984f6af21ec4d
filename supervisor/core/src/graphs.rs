//! `graphs` and `graph_delete`: the list of graphs on disk, and the deletion of one (PROTOCOL 5, Graphs on disk). And what the
//! record of a graph means for a run that is being prepared.
//!
//! The shell finds and deletes, beside the main thread. Between the two this file decides, from the findings, which graph is
//! meant, whether the requester may delete it, and which files go.

use crate::conns::Caller;
use crate::ids::RunKey;
use crate::io::Effect;
use crate::on_disk::{DeletePlan, FindGraphs, GraphSearch, NotDeleted, OnDisk};
use crate::owner::Title;
use crate::parts::GraphLock;
use crate::record::{Keep, Place, RECORD_VERSION, Record, Unfit, lock_path, pointer_path, record_path};
use crate::refusals;
use crate::stage::Stage;
use crate::state::Core;
use crate::worker::Worker;
use crate::worker::start;
use alloc::boxed::Box;
use alloc::collections::BTreeSet;
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use gob_config::kind::GraphDirEncoding;
use gob_protocol::answer::{GraphDeleteData, GraphOnDisk, GraphsData};
use gob_protocol::request::GraphDelete;
use gob_protocol::{Actor, Data, EventKind, Name, Owner, WireError};

/// Largest number of roots that are searched.
const MAX_ROOTS: usize = 64;

impl Core {
    pub(crate) fn find_graphs(&mut self, caller: &Caller, delete: Option<GraphDelete>) {
        let search = GraphSearch { conn: caller.conn, id: caller.id.clone(), delete };
        self.underway.finds(search.clone());
        self.search(search);
    }

    /// Has the shell find the graphs on disk.
    pub(crate) fn search(&mut self, search: GraphSearch) {
        let setup = &self.cx.setup;
        let data_dir = setup.paths.data_dir.clone();
        let asked = search.delete.as_ref().and_then(|delete| delete.root_dir.as_deref());
        let of_workers = self.workers.values().filter_map(|worker| Some(&*worker.spec.graph()?.root_dir));
        let known = asked.into_iter().chain(setup.settings.roots()).chain(of_workers);
        let mut seen = BTreeSet::from([data_dir.as_str()]);
        let roots = known.filter(|root| seen.insert(root)).take(MAX_ROOTS).map(ToString::to_string).collect();
        self.cx.push(Effect::FindGraphs(Box::new(FindGraphs { search, data_dir, roots })));
    }

    /// The shell has found the graphs on disk.
    pub(crate) fn graphs_found(&mut self, caller: &Caller, search: GraphSearch, found: Vec<OnDisk>) {
        let Some(delete) = &search.delete else {
            let graphs = found.into_iter().map(|graph| self.graph_on_disk(graph)).collect();
            return self.cx.answer(caller, Ok(Data::Graphs(GraphsData { graphs })));
        };
        match self.to_delete(caller.owner(), delete, found) {
            Ok(plan) => {
                let effect = self.underway.deletes(search, plan);
                self.cx.push(effect);
            }
            Err(error) => self.cx.answer(caller, Err(error)),
        }
    }

    fn graph_on_disk(&self, found: OnDisk) -> GraphOnDisk {
        let OnDisk { graph, root_dir, kind, data, last_used_at, size_bytes, .. } = found;
        let state = self.workers.serving(&graph, &root_dir).map(Worker::state);
        GraphOnDisk { graph, kind, root_dir, path: data.dir().into(), size_bytes, last_used_at, state }
    }

    /// Finds which graph is meant and what goes with it, if the requester may delete it as things are.
    fn to_delete(
        &self,
        requester: &Owner,
        delete: &GraphDelete,
        found: Vec<OnDisk>,
    ) -> Result<DeletePlan, Box<WireError>> {
        let graph = &delete.graph;
        let named = self.workers.get(graph).and_then(|worker| worker.spec.graph());
        let named = named.filter(|known| known.name == *graph).map(|known| known.root_dir.to_string());
        let root = delete.root_dir.clone().or(named);
        let is_meant = |known: &OnDisk| {
            known.graph == *graph && root.as_ref().is_none_or(|root| *root == known.root_dir)
        };
        let mut meant: Vec<OnDisk> = found.into_iter().filter(is_meant).collect();
        if meant.len() > 1 {
            return Err(refusals::ambiguous(graph, &meant));
        }
        let known = meant.pop();
        let root = known.as_ref().map(|known| known.root_dir.clone()).or(root);
        let setup = &self.cx.setup;
        let root = root.unwrap_or_else(|| setup.paths.data_dir.clone());
        if let Some(worker) = self.workers.serving(graph, &root) {
            may_delete(worker, graph, requester)?;
            let encoding = worker.spec.policy.foreign.graph_dir_encoding;
            let planned =
                || worker.subject().making(setup, self.cx.now.wall).lock.map(|lock| lock.keep.record.data);
            let data =
                known.map(|known| known.data).or_else(planned).ok_or_else(|| refusals::no_graph(graph))?;
            return Ok(self.deletion(encoding, data, graph, &root));
        }
        let known = known.ok_or_else(|| refusals::no_graph(graph))?;
        if !(Title { owner: &known.owner, last: None }).may_manage(requester) {
            return Err(refusals::owned_before(&known, requester));
        }
        let kind = known.kind.as_ref().and_then(|kind| setup.settings.kinds.get(kind));
        let encoding = kind.map_or(GraphDirEncoding::Safe, |kind| kind.foreign.graph_dir_encoding);
        Ok(self.deletion(encoding, known.data, graph, &root))
    }

    /// The directories that gob or its own worker made for the graph, and no others.
    fn deletion(&self, encoding: GraphDirEncoding, data: Place, graph: &Name, root: &str) -> DeletePlan {
        let data_dir = self.cx.setup.paths.data_dir.as_str();
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
            last_used_at: self.cx.now.wall,
            held_data: false,
        };
        let keep = Keep {
            path: record_path(root, graph),
            pointer: pointer.clone(),
            elsewhere: Vec::new(),
            record,
            was_served: false,
        };
        let lock = lock_path(root, &encoding.lock_name_of(graph));
        let records = [keep.path.clone()].into_iter().chain(pointer).collect();
        DeletePlan { lock: GraphLock { path: lock, note: serde_json::Map::new(), keep }, dirs, records, path }
    }

    /// The shell has deleted a graph, or could not. The caller may be gone by now.
    pub(crate) fn graph_deleted(
        &mut self,
        search: GraphSearch,
        plan: DeletePlan,
        result: Result<Option<String>, NotDeleted>,
    ) {
        let caller = self.conns.caller(search.conn, search.id);
        let Record { graph, root_dir, .. } = plan.lock.keep.record;
        let answer = match result {
            Ok(kept) => {
                // One that was started meanwhile waits for the lock.
                let down = self.workers.serving(&graph, &root_dir).filter(|worker| !worker.state().is_live());
                if let Some(name) = down.map(|worker| worker.name.clone()) {
                    self.forget(&name, caller.as_ref().map_or(Actor::Supervisor, Caller::actor));
                }
                Ok(Data::GraphDelete(GraphDeleteData { deleted: plan.path, kept }))
            }
            Err(NotDeleted::Held(holder)) => Err(Box::new(refusals::held_by(&graph, &holder))),
            Err(NotDeleted::NoLock(why)) => Err(refusals::not_deleted(&graph, &why)),
            Err(NotDeleted::Failed(why)) => Err(refusals::not_deleted(&graph, &why)),
        };
        if let Some(caller) = caller {
            self.cx.answer(&caller, answer);
        }
    }

    /// The record of its graph does not fit a run. Where neither a start nor the configuration chose a kind, its worker becomes
    /// one of the kind that served the graph last, in the root that it lies in; else the run gives up.
    pub(crate) fn unfit(&mut self, key: &RunKey, why: Unfit) {
        let Some(worker) = self.workers.get(&key.name).filter(|worker| worker.run == key.run) else { return };
        let is_open = worker.spec.graph().is_some_and(|graph| graph.kind_is_open)
            && worker.live().is_some_and(|run| matches!(run.stage(), Stage::Preparing));
        let error = match why {
            Unfit::Kind(known) if is_open => match self.take_kind(&key.name, &known) {
                Ok(()) => return,
                Err(error) => error,
            },
            Unfit::Kind(known) => refusals::was_last(&key.name, &known),
            Unfit::Gone { path, last_used_at } => {
                let graph = worker.spec.graph().map_or(&key.name, |graph| &graph.name);
                refusals::data_gone(graph, &path, last_used_at)
            }
            Unfit::Served { worker: other, path } => refusals::served(&key.name, &other, &path),
        };
        if let Some(worker) = self.workers.get_mut(&key.name) {
            worker.step(&mut self.cx, |run, _, _| start::unfit(run, error));
        }
    }

    /// Makes the worker one of the kind that served its graph last, in the root that it lies in, and begins its run anew.
    fn take_kind(&mut self, name: &Name, known: &Record) -> Result<(), WireError> {
        let Some(graph) = self.workers.get(name).and_then(|worker| worker.spec.graph()) else {
            return Ok(());
        };
        let (kind_name, kind) = self
            .cx
            .setup
            .kind_for(&graph.name, Some(&known.kind))
            .map_err(|error| refusals::was_last_without_kind(name, known, *error))?;
        if *known.root_dir != *graph.root_dir {
            if let Some(other) = self.workers.serving(&graph.name, &known.root_dir) {
                return Err(refusals::served(name, &other.name, &known.root_dir));
            }
            let root_dir = self.cx.pools.root_dirs.of(known.root_dir.clone());
            self.workers.alter(name, |worker| {
                if let Some(graph) = worker.spec.graph_mut() {
                    graph.root_dir = root_dir;
                }
            });
        }
        if let Some(worker) = self.workers.get_mut(name) {
            worker.spec.kind_name = self.cx.pools.kind_names.of(kind_name);
            worker.spec.policy = self.cx.pools.kinds.of(kind);
            if let Some(graph) = worker.spec.graph_mut() {
                (graph.kind_is_open, graph.root_is_open) = (false, false);
            }
            worker.publish(EventKind::WorkerUpdated, Actor::Supervisor, &mut self.cx);
            worker.begin_run(&mut self.cx);
        }
        Ok(())
    }
}

/// Checks that the requester may delete the graph of this worker now.
fn may_delete(worker: &Worker, graph: &Name, requester: &Owner) -> Result<(), Box<WireError>> {
    if !worker.title_now().may_manage(requester) {
        return Err(refusals::owned_by_other(&worker.claimed(), requester));
    }
    if let Some(holder) = worker.holder() {
        return Err(refusals::not_ours(&worker.name, holder));
    }
    if worker.state().is_live() {
        return Err(refusals::graph_is_up(graph, &worker.name, worker.state()));
    }
    Ok(())
}
