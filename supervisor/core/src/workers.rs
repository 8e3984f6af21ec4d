//! All workers by name.

use crate::worker::Worker;
use alloc::boxed::Box;
use alloc::collections::BTreeMap;
use gob_protocol::Name;

/// A map with boxed values: its nodes have room for more than they hold, and a worker is large.
#[derive(Debug, Clone, Default)]
pub(crate) struct Workers(BTreeMap<Name, Box<Worker>>);

impl Workers {
    pub(crate) fn get(&self, name: &Name) -> Option<&Worker> {
        self.0.get(name).map(|worker| &**worker)
    }

    pub(crate) fn get_mut(&mut self, name: &Name) -> Option<&mut Worker> {
        self.0.get_mut(name).map(|worker| &mut **worker)
    }

    pub(crate) fn contains_key(&self, name: &Name) -> bool {
        self.0.contains_key(name)
    }

    pub(crate) fn insert(&mut self, worker: Worker) {
        self.0.insert(worker.name.clone(), Box::new(worker));
    }

    pub(crate) fn remove(&mut self, name: &Name) -> Option<Worker> {
        self.0.remove(name).map(|worker| *worker)
    }

    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }

    pub(crate) fn keys(&self) -> impl Iterator<Item = &Name> {
        self.0.keys()
    }

    pub(crate) fn values(&self) -> impl Iterator<Item = &Worker> {
        self.0.values().map(|worker| &**worker)
    }
}

#[cfg(test)]
impl core::ops::Index<&Name> for Workers {
    type Output = Worker;

    fn index(&self, name: &Name) -> &Worker {
        &self.0[name]
    }
}
