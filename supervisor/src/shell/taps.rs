//! The loop's view of each worker's output: the tap of its latest run, found by the worker's name, so that a start
//! costs the same however many workers there are.

use crate::output::Tap;
use gob_core::RunKey;
use gob_protocol::Name;
use std::collections::HashMap;
use std::sync::Arc;

/// A tap for each worker that ever ran and was not forgotten.
#[derive(Debug, Default)]
pub(super) struct Taps(HashMap<Name, (u64, Arc<Tap>)>);

impl Taps {
    /// The worker's previous run is dropped.
    pub(super) fn insert(&mut self, key: RunKey, tap: Arc<Tap>) {
        self.0.insert(key.name, (key.run, tap));
    }

    /// Returns the tap of a run, if it is its worker's latest one.
    pub(super) fn get(&self, key: &RunKey) -> Option<&Tap> {
        self.0.get(&key.name).filter(|(run, _)| *run == key.run).map(|(_, tap)| &**tap)
    }

    /// Returns the tap of each worker's latest run.
    pub(super) fn all(&self) -> impl Iterator<Item = (RunKey, &Arc<Tap>)> {
        self.0.iter().map(|(name, (run, tap))| (RunKey { name: name.clone(), run: *run }, tap))
    }

    pub(super) fn forget(&mut self, name: &Name) {
        self.0.remove(name);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_latest_run_of_a_worker_is_looked_at() {
        let key = |name: &str, run| RunKey { name: Name::graph(name).unwrap(), run };
        let mut taps = Taps::default();
        for key in [key("a", 1), key("b", 1), key("a", 2)] {
            taps.insert(key, Arc::default());
        }
        let seen = |taps: &Taps| [key("a", 1), key("a", 2), key("b", 1)].map(|key| taps.get(&key).is_some());
        assert_eq!(seen(&taps), [false, true, true]);
        taps.forget(&key("a", 2).name);
        assert_eq!(seen(&taps), [false, false, true]);
        assert_eq!(taps.0.len(), 1, "nothing is kept of the runs before");
    }
}
