//! All workers, by name and by the graph that they serve: (graph, real path of its root) is a worker's identity.

use crate::worker::Worker;
use alloc::boxed::Box;
use alloc::collections::BTreeMap;
use alloc::sync::Arc;
use gob_protocol::Name;
use serde::{Deserialize, Serialize};

/// All workers. Their values are boxed: a map's nodes have room for more than they hold, and a worker is large.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Workers {
    by_name: BTreeMap<Name, Box<Worker>>,
    by_graph: BTreeMap<(Name, Arc<str>), Name>,
}

impl Workers {
    pub(crate) fn get(&self, name: &Name) -> Option<&Worker> {
        self.by_name.get(name).map(|worker| &**worker)
    }

    pub(crate) fn get_mut(&mut self, name: &Name) -> Option<&mut Worker> {
        self.by_name.get_mut(name).map(|worker| &mut **worker)
    }

    /// The worker that serves a graph.
    pub(crate) fn serving(&self, graph: &Name, root_dir: &str) -> Option<&Worker> {
        let name = self.by_graph.get(&(graph.clone(), root_dir.into()))?;
        self.get(name)
    }

    pub(crate) fn insert(&mut self, worker: Worker) {
        let graph = worker.spec.graph();
        self.by_graph.insert((graph.name.clone(), Arc::clone(&graph.root_dir)), worker.name.clone());
        self.by_name.insert(worker.name.clone(), Box::new(worker));
    }

    pub(crate) fn remove(&mut self, name: &Name) -> Option<Worker> {
        let gone = self.by_name.remove(name)?;
        let graph = gone.spec.graph();
        self.by_graph.remove(&(graph.name.clone(), Arc::clone(&graph.root_dir)));
        Some(*gone)
    }

    /// Notes that a worker's graph lies in another root.
    pub(crate) fn move_root(&mut self, name: &Name, root_dir: Arc<str>) {
        let Some(worker) = self.by_name.get_mut(name) else { return };
        let graph = worker.spec.graph_mut();
        self.by_graph.remove(&(graph.name.clone(), Arc::clone(&graph.root_dir)));
        self.by_graph.insert((graph.name.clone(), Arc::clone(&root_dir)), name.clone());
        graph.root_dir = root_dir;
    }

    pub(crate) fn len(&self) -> usize {
        self.by_name.len()
    }

    pub(crate) fn keys(&self) -> impl Iterator<Item = &Name> {
        self.by_name.keys()
    }

    pub(crate) fn values(&self) -> impl Iterator<Item = &Worker> {
        self.by_name.values().map(|worker| &**worker)
    }

    pub(crate) fn values_mut(&mut self) -> impl Iterator<Item = &mut Worker> {
        self.by_name.values_mut().map(|worker| &mut **worker)
    }
}

#[cfg(test)]
impl core::ops::Index<&Name> for Workers {
    type Output = Worker;

    fn index(&self, name: &Name) -> &Worker {
        &self.by_name[name]
    }
}
