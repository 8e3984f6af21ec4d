//! The worker of each directory, by real paths, and of each graph's lock: two names of one directory are one graph, and so are two
//! names with one lock, as Logseq's `notes` and `logseq_db_notes`.

use crate::beside::BESIDE;
use crate::conn::real_path;
use gob_core::Unfit;
use gob_protocol::Name;
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// The directories of all workers with a run, present or coming. Clones share one table.
#[derive(Debug, Clone, Default)]
pub(crate) struct Claims(Arc<Mutex<Table>>);

#[derive(Debug, Default)]
struct Table {
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

/// A worker's claim on a directory and on a lock, until it is dropped.
#[derive(Debug)]
pub(crate) struct Claim {
    claims: Claims,
    path: String,
    /// The lock of the graph, and that of the directory as a graph of its own; often the same.
    locks: [String; 2],
    number: u64,
}

impl Claims {
    /// Claims a directory, existing or not, and the files of its locks for a worker.
    pub(crate) fn claim(&self, worker: &Name, dir: &str, lock: &str) -> Result<Claim, Unfit> {
        // A path that can't be resolved is at least not claimed twice by the same name.
        let path = real_path(Path::new(dir)).unwrap_or_else(|_| dir.to_owned());
        let mut table = self.table();
        if let Some((other, _)) = table.by_path.get(&path).filter(|(other, _)| other != worker) {
            return Err(Unfit::Served { worker: other.clone(), path });
        }
        let locks = [lock.to_owned(), lock_of(&path).unwrap_or_else(|| lock.to_owned())];
        let mut taken = locks.iter().filter_map(|lock| table.by_lock.get(lock));
        if let Some(other) = taken.find(|other| other.worker != *worker) {
            return Err(Unfit::Served { worker: other.worker.clone(), path: other.path.clone() });
        }
        table.number += 1;
        let number = table.number;
        table.by_path.insert(path.clone(), (worker.clone(), number));
        for lock in &locks {
            let owned = Owned { worker: worker.clone(), path: path.clone(), number };
            table.by_lock.insert(lock.clone(), owned);
        }
        drop(table);
        Ok(Claim { claims: self.clone(), path, locks, number })
    }

    /// Returns the worker that has this directory, or one in it.
    pub(crate) fn within(&self, dir: &str) -> Option<Name> {
        let path = real_path(Path::new(dir)).unwrap_or_else(|_| dir.to_owned());
        let table = self.table();
        let mut claimed = table.by_path.iter();
        claimed
            .find(|(claimed, _)| Path::new(claimed).starts_with(&path))
            .map(|(_, (worker, _))| worker.clone())
    }

    fn table(&self) -> MutexGuard<'_, Table> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Claim {
    /// Returns the lock of the directory as a graph of its own, unless that is the graph's lock.
    pub(crate) fn second_lock(&self) -> Option<&str> {
        let [lock, second] = &self.locks;
        (lock != second).then_some(second)
    }
}

/// Returns the lock of a graph that has this directory in its root.
fn lock_of(dir: &str) -> Option<String> {
    let (parent, name) = dir.rsplit_once('/')?;
    Some(format!("{parent}/{BESIDE}/{name}.lock"))
}

impl Drop for Claim {
    fn drop(&mut self) {
        let mut table = self.claims.table();
        // The worker's next run may have the directory already.
        if table.by_path.get(&self.path).is_some_and(|(_, number)| *number == self.number) {
            table.by_path.remove(&self.path);
        }
        for lock in &self.locks {
            if table.by_lock.get(lock).is_some_and(|owned| owned.number == self.number) {
                table.by_lock.remove(lock);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;
    use std::os::unix::fs::symlink;

    #[test]
    fn two_names_of_one_directory_are_one_claim() {
        let dir = std::env::temp_dir().join(format!("gob-claims-{}", std::process::id()));
        fs::remove_dir_all(&dir).ok();
        fs::create_dir_all(dir.join("a")).unwrap();
        symlink("a", dir.join("b")).unwrap();
        let path = |name: &str| dir.join(name).to_str().unwrap().to_owned();
        let name = |name: &str| Name::graph(name).unwrap();
        let claims = Claims::default();
        let claim =
            |worker: &str, dir: &str| claims.claim(&name(worker), &path(dir), &path(&format!("{dir}.lock")));
        let first = claim("a", "a").unwrap();
        let refused = claim("b", "b").unwrap_err();
        assert_eq!(refused, Unfit::Served { worker: name("a"), path: path("a") });
        assert_eq!(claims.within(dir.to_str().unwrap()), Some(name("a")));
        // The worker's next run takes the directory over, and the end of the previous run does not release
        // it.
        let second = claim("a", "a").unwrap();
        drop(first);
        assert!(claim("b", "b").is_err());
        drop(second);
        assert!(claim("b", "b").is_ok());
        assert!(claim("c", "not there yet").is_ok());
        fs::remove_dir_all(dir).unwrap();
    }

    /// The lock said that a process held the graph that was "not this supervisor's": its own worker, under the other name.
    #[test]
    fn two_names_with_one_lock_are_one_claim() {
        let name = |name: &str| Name::graph(name).unwrap();
        let claims = Claims::default();
        let claim = |worker: &str| {
            claims.claim(&name(worker), &format!("/nowhere/{worker}"), "/nowhere/.gob/notes.lock")
        };
        let first = claim("notes").unwrap();
        let refused = claim("logseq_db_notes").unwrap_err();
        assert_eq!(refused, Unfit::Served { worker: name("notes"), path: "/nowhere/notes".to_owned() });
        let second = claim("notes").unwrap();
        drop(first);
        assert!(claim("logseq_db_notes").is_err());
        drop(second);
        assert!(claim("logseq_db_notes").is_ok());
    }

    /// One name's directory has the lock of another name: each is refused beside the other, whichever comes first.
    #[test]
    fn the_lock_of_a_directory_is_claimed_with_it() {
        let name = |name: &str| Name::graph(name).unwrap();
        let claims = Claims::default();
        let both = [
            ("one", "/nowhere/one", "/nowhere/.gob/two.lock"),
            ("two", "/nowhere/two", "/nowhere/.gob/q.lock"),
        ];
        let claim = |(worker, dir, lock): (&str, &str, &str)| claims.claim(&name(worker), dir, lock);
        for (first, second) in [(both[0], both[1]), (both[1], both[0])] {
            let held = claim(first).unwrap();
            let refused = claim(second).unwrap_err();
            assert_eq!(refused, Unfit::Served { worker: name(first.0), path: first.1.to_owned() });
            drop(held);
        }
    }
}
