//! All workers, by name and by what makes them the same one: a graph in a root, a command in a directory.

use crate::spec::Identity;
use crate::worker::Worker;
use alloc::boxed::Box;
use alloc::collections::BTreeMap;
use gob_protocol::Name;
use serde::{Deserialize, Serialize};

/// All workers. Their values are boxed: a map's nodes have room for more than they hold, and a worker is large.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(from = "Stored")]
pub(crate) struct Workers {
    by_name: BTreeMap<Name, Box<Worker>>,
    #[serde(skip_serializing)]
    by_identity: BTreeMap<Identity, Name>,
}

/// The workers as the state has them: the index follows from them.
#[derive(Deserialize)]
struct Stored {
    by_name: BTreeMap<Name, Box<Worker>>,
}

impl From<Stored> for Workers {
    fn from(Stored { by_name }: Stored) -> Self {
        let of = |worker: &Worker| (worker.spec.identity(), worker.name.clone());
        Self { by_identity: by_name.values().map(|worker| of(worker)).collect(), by_name }
    }
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
        self.same_as(&Identity::Graph(graph.clone(), root_dir.into()))
    }

    /// The worker of this identity.
    pub(crate) fn same_as(&self, identity: &Identity) -> Option<&Worker> {
        self.get(self.by_identity.get(identity)?)
    }

    pub(crate) fn insert(&mut self, worker: Worker) {
        self.by_identity.insert(worker.spec.identity(), worker.name.clone());
        self.by_name.insert(worker.name.clone(), Box::new(worker));
    }

    pub(crate) fn remove(&mut self, name: &Name) -> Option<Worker> {
        let gone = self.by_name.remove(name)?;
        self.by_identity.remove(&gone.spec.identity());
        Some(*gone)
    }

    /// Changes what makes a worker the same one, such as the root of its graph.
    pub(crate) fn alter(&mut self, name: &Name, change: impl FnOnce(&mut Worker)) {
        let Some(worker) = self.by_name.get_mut(name) else { return };
        self.by_identity.remove(&worker.spec.identity());
        change(worker);
        self.by_identity.insert(worker.spec.identity(), name.clone());
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
