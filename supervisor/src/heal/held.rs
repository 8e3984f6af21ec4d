//! A lock on the file at a path: `gobd.lock`, or the runtime directory itself.
//!
//! The first locked file came from the keeper and stays locked by it in any case, so it is kept as well: if a
//! program moves it away and back again, it must find it ours.

use crate::files::Identity;
use crate::upgrade::{Fd, Inherited, Named, Unfit};
use serde::{Deserialize, Serialize};
use std::fs::{File, TryLockError};
use std::io;
use std::path::Path;
use std::sync::Arc;

/// Replacements of a path between open and flock before it gives up.
const TRIES: usize = 10;

/// The locked files: the keeper's, and its replacement.
#[derive(Debug)]
pub(super) struct Held {
    inherited: Arc<File>,
    taken: Option<Arc<File>>,
}

/// The reason why a lock could not be taken.
#[derive(Debug, thiserror::Error)]
pub(super) enum Lost {
    /// Another process has it.
    #[error("another process holds it")]
    Rival,
    /// The file is replaced again and again.
    #[error("somebody replaces it again and again")]
    Replaced,
    /// The file could not be opened, made or locked.
    #[error(transparent)]
    Io(#[from] io::Error),
}

/// The locked files as data.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct HeldState {
    inherited: Fd,
    taken: Option<Fd>,
}

impl Held {
    pub(super) fn new(inherited: Arc<File>) -> Self {
        Self { inherited, taken: None }
    }

    pub(super) fn hand_over(&self, named: &mut Named) -> HeldState {
        let taken = self.taken.as_ref().map(|taken| named.name(taken));
        HeldState { inherited: named.name(&self.inherited), taken }
    }

    pub(super) fn resume(state: HeldState, inherited: &mut Inherited) -> Result<Self, Unfit> {
        let taken = state.taken.map(|taken| inherited.file(taken)).transpose()?;
        Ok(Self { inherited: inherited.file(state.inherited)?, taken })
    }

    /// Returns the locked file, if the path names it.
    pub(super) fn at(&self, path: &Path) -> Option<&Arc<File>> {
        let there = Identity::at(path).ok()?;
        let held = self.taken.iter().chain([&self.inherited]);
        held.into_iter().find(|file| Identity::of_file(file).is_ok_and(|held| held == there))
    }

    /// Locks the file that `open` opens, once the path names it.
    pub(super) fn take(
        &mut self,
        path: &Path,
        open: impl Fn() -> io::Result<File>,
    ) -> Result<Arc<File>, Lost> {
        for _ in 0..TRIES {
            let file = open()?;
            match file.try_lock() {
                Ok(()) => {}
                Err(TryLockError::WouldBlock) => return Err(Lost::Rival),
                Err(TryLockError::Error(error)) => return Err(error.into()),
            }
            if Identity::at(path)? == Identity::of_file(&file)? {
                let file = Arc::new(file);
                self.taken = Some(Arc::clone(&file));
                return Ok(file);
            }
        }
        Err(Lost::Replaced)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::alone::alone;
    use std::fs;

    #[test]
    fn a_file_moved_away_and_back_is_ours_and_a_rivals_is_not() {
        if !alone("heal::held::tests::a_file_moved_away_and_back_is_ours_and_a_rivals_is_not") {
            return;
        }
        let dir = std::env::temp_dir().join(format!("gob-held-{}", std::process::id()));
        fs::create_dir_all(&dir).unwrap();
        let (path, aside) = (dir.join("lock"), dir.join("aside"));
        let open = || File::options().read(true).write(true).create(true).truncate(false).open(&path);
        let first = Arc::new(open().unwrap());
        first.try_lock().unwrap();
        let mut held = Held::new(Arc::clone(&first));
        assert!(held.at(&path).is_some_and(|file| Arc::ptr_eq(file, &first)));
        fs::rename(&path, &aside).unwrap();
        assert!(held.at(&path).is_none());

        let rival = open().unwrap();
        rival.try_lock().unwrap();
        assert!(matches!(held.take(&path, open), Err(Lost::Rival)));
        drop(rival);
        let second = held.take(&path, open).unwrap();
        assert!(held.at(&path).is_some_and(|file| Arc::ptr_eq(file, &second)));
        assert!(open().unwrap().try_lock().is_err(), "it is locked");

        fs::rename(&aside, &path).unwrap();
        assert!(held.at(&path).is_some_and(|file| Arc::ptr_eq(file, &first)));
        fs::remove_dir_all(dir).unwrap();
    }
}
