//! The one worker that may serve a directory: two names of one directory are one graph, and so are two names with one lock, as Logseq's
//! `notes` and `logseq_db_notes`.
//!
//! Facts are real paths, which disks are asked for, so the table is kept by the shell and is no part of the state. It is filled
//! when a run is prepared, and a claim lasts until nothing is left of the run.

use crate::record::{Unfit, lock_path};
use alloc::borrow::ToOwned;
use alloc::collections::BTreeMap;
use alloc::string::String;
use gob_protocol::Name;
use serde::{Deserialize, Serialize};

/// The directories and the locks of all workers with a run, present or coming.
#[derive(Debug, Default)]
pub struct ClaimTable {
    by_path: BTreeMap<String, (Name, u64)>,
    by_lock: BTreeMap<String, Owned>,
    number: u64,
}

/// The owner of a lock: the worker, the directory of its graph, and the number of its claim.
#[derive(Debug)]
struct Owned {
    worker: Name,
    path: String,
    number: u64,
}

/// The directory and the locks of a worker.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Claimed {
    worker: Name,
    path: String,
    /// The lock of the graph, and that of the directory as a graph of its own; often the same.
    locks: [String; 2],
    number: u64,
}

impl Claimed {
    /// Returns its place in the order of claims.
    #[must_use]
    pub const fn number(&self) -> u64 {
        self.number
    }

    /// Returns the lock of the directory as a graph of its own, unless that is the graph's lock.
    #[must_use]
    pub fn second_lock(&self) -> Option<&str> {
        let [lock, second] = &self.locks;
        (lock != second).then_some(second)
    }
}

impl ClaimTable {
    /// Decides whether a worker may serve a directory, by its real path, and the file of its graph's lock. A worker's next run
    /// takes them over from the run before it.
    ///
    /// # Errors
    /// When another worker has one of them.
    pub fn claim(&mut self, worker: &Name, path: String, lock: &str) -> Result<Claimed, Unfit> {
        if let Some((other, _)) = self.by_path.get(&path).filter(|(other, _)| other != worker) {
            return Err(Unfit::Served { worker: other.clone(), path });
        }
        let locks = [lock.to_owned(), lock_of(&path).unwrap_or_else(|| lock.to_owned())];
        let mut taken = locks.iter().filter_map(|lock| self.by_lock.get(lock));
        if let Some(other) = taken.find(|other| other.worker != *worker) {
            return Err(Unfit::Served { worker: other.worker.clone(), path: other.path.clone() });
        }
        Ok(self.enter(worker.clone(), path, locks))
    }

    /// Takes in a claim of the table of another program of this supervisor, in the order of their numbers.
    pub fn resume(&mut self, Claimed { worker, path, locks, .. }: Claimed) -> Claimed {
        self.enter(worker, path, locks)
    }

    fn enter(&mut self, worker: Name, path: String, locks: [String; 2]) -> Claimed {
        self.number += 1;
        let number = self.number;
        self.by_path.insert(path.clone(), (worker.clone(), number));
        for lock in &locks {
            let owned = Owned { worker: worker.clone(), path: path.clone(), number };
            self.by_lock.insert(lock.clone(), owned);
        }
        Claimed { worker, path, locks, number }
    }

    /// Drops a claim, except for what the worker's next run has taken over.
    pub fn release(&mut self, claimed: &Claimed) {
        if self.by_path.get(&claimed.path).is_some_and(|(_, number)| *number == claimed.number) {
            self.by_path.remove(&claimed.path);
        }
        for lock in &claimed.locks {
            if self.by_lock.get(lock).is_some_and(|owned| owned.number == claimed.number) {
                self.by_lock.remove(lock);
            }
        }
    }

    /// Returns the worker that has this directory, or one in it; the paths are real ones.
    #[must_use]
    pub fn within(&self, dir: &str) -> Option<&Name> {
        let dir = dir.trim_end_matches('/');
        let is_in =
            |path: &str| path.strip_prefix(dir).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'));
        self.by_path.iter().find(|(path, _)| is_in(path)).map(|(_, (worker, _))| worker)
    }
}

/// Returns the lock of a graph that has this directory in its root.
fn lock_of(dir: &str) -> Option<String> {
    let (root, name) = dir.rsplit_once('/')?;
    Some(lock_path(root, name))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::vec::Vec;

    fn name(text: &str) -> Name {
        Name::graph(text).unwrap()
    }

    fn claim(table: &mut ClaimTable, (worker, dir, lock): (&str, &str, &str)) -> Result<Claimed, Unfit> {
        table.claim(&name(worker), dir.into(), lock)
    }

    #[test]
    fn a_directory_and_a_lock_have_one_worker() {
        const A: (&str, &str, &str) = ("a", "/r/a", "/r/.gob/a.lock");
        // The lock said that a process held the graph that was "not this supervisor's": its own worker, under the other name.
        let notes = ("notes", "/r/notes", "/r/.gob/notes.lock");
        let logseq = ("logseq_db_notes", "/r/logseq_db_notes", "/r/.gob/notes.lock");
        // One name's directory has the lock of another name.
        let (one, two) = (("one", "/r/one", "/r/.gob/two.lock"), ("two", "/r/two", "/r/.gob/q.lock"));
        let rows: Vec<(_, _, Option<&str>)> = Vec::from([
            (A, ("b", "/r/b", "/r/.gob/b.lock"), None),
            (A, ("b", "/r/a", "/r/.gob/b.lock"), Some("/r/a")),
            (A, ("b", "/r/b", "/r/.gob/a.lock"), Some("/r/a")),
            (A, A, None),
            (A, ("a", "/elsewhere/a", "/elsewhere/.gob/a.lock"), None),
            (notes, logseq, Some("/r/notes")),
            (logseq, notes, Some("/r/logseq_db_notes")),
            (one, two, Some("/r/one")),
            (two, one, Some("/r/two")),
        ]);
        for (first, second, refused) in rows {
            let mut table = ClaimTable::default();
            let held = claim(&mut table, first).unwrap();
            let worker = name(first.0);
            let expected = refused.map(|path| Unfit::Served { worker, path: path.into() });
            assert_eq!(claim(&mut table, second).err(), expected, "{first:?} {second:?}");
            if refused.is_some() {
                table.release(&held);
                assert!(claim(&mut table, second).is_ok(), "{first:?} is over, {second:?}");
            }
        }
    }

    #[test]
    fn the_end_of_a_run_leaves_the_claim_of_the_next_one() {
        let (a, b) = (("a", "/r/a", "/r/.gob/a.lock"), ("b", "/r/a", "/r/.gob/b.lock"));
        let mut table = ClaimTable::default();
        let first = claim(&mut table, a).unwrap();
        let second = claim(&mut table, a).unwrap();
        table.release(&first);
        assert!(claim(&mut table, b).is_err());
        table.release(&second);
        assert!(claim(&mut table, b).is_ok());
    }

    #[test]
    fn a_directory_as_a_graph_of_its_own_has_a_lock_of_its_own() {
        let mut table = ClaimTable::default();
        let own = claim(&mut table, ("a", "/r/a", "/r/.gob/a.lock")).unwrap();
        assert_eq!(own.second_lock(), None);
        let linked = claim(&mut table, ("b", "/real/x", "/r/.gob/b.lock")).unwrap();
        assert_eq!(linked.second_lock(), Some("/real/.gob/x.lock"));
    }

    #[test]
    fn a_served_directory_is_within_those_above_it() {
        let mut table = ClaimTable::default();
        claim(&mut table, ("a", "/r/a/data", "/r/.gob/a.lock")).unwrap();
        for (dir, is_served) in [
            ("/r/a/data", true),
            ("/r/a/data/", true),
            ("/r/a", true),
            ("/", true),
            ("/r/a/data/x", false),
            ("/r/a/dat", false),
            ("/q", false),
        ] {
            assert_eq!(table.within(dir).is_some(), is_served, "{dir}");
        }
    }
}
