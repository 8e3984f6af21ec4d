//! The directories and locks of all workers with a run. Resolves paths; the core's table decides.

use crate::conn::real_path;
use gob_core::{ClaimTable, Claimed, Unfit};
use gob_protocol::Name;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// The claims. Clones share one table.
#[derive(Debug, Clone, Default)]
pub(crate) struct Claims(Arc<Mutex<ClaimTable>>);

/// A worker's claim on a directory and on a lock, until it is dropped.
#[derive(Debug)]
pub(crate) struct Claim {
    claims: Claims,
    claimed: Claimed,
}

impl Claims {
    /// Claims a directory, existing or not, and the files of its locks for a worker.
    pub(crate) fn claim(&self, worker: &Name, dir: &str, lock: &str) -> Result<Claim, Unfit> {
        let path = resolved(dir);
        let claimed = self.table().claim(worker, path, lock)?;
        Ok(Claim { claims: self.clone(), claimed })
    }

    /// Goes on with a claim of another program.
    pub(crate) fn resume(&self, claimed: Claimed) -> Claim {
        let claimed = self.table().resume(claimed);
        Claim { claims: self.clone(), claimed }
    }

    /// Returns the worker that has this directory, or one in it.
    pub(crate) fn within(&self, dir: &str) -> Option<Name> {
        let path = resolved(dir);
        self.table().within(&path).cloned()
    }

    fn table(&self) -> MutexGuard<'_, ClaimTable> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Returns the real path of a directory. One that can't be resolved is at least not claimed twice by the same name.
fn resolved(dir: &str) -> String {
    real_path(Path::new(dir)).unwrap_or_else(|_| dir.to_owned())
}

impl Claim {
    /// Returns it as data.
    pub(crate) const fn claimed(&self) -> &Claimed {
        &self.claimed
    }

    /// Returns the lock of the directory as a graph of its own, unless that is the graph's lock.
    pub(crate) fn second_lock(&self) -> Option<&str> {
        self.claimed.second_lock()
    }
}

impl Drop for Claim {
    fn drop(&mut self) {
        self.claims.table().release(&self.claimed);
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
}
