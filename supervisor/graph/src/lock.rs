//! The graph's lock: `worker.lock` beside the graph's file, flocked by its worker for as long as it lives.
//!
//! The file holds the holder's pid for people and messages; the flock alone decides. It is never unlinked:
//! two workers could then each hold the lock of a file of that name.

use crate::store::{Unfit, examine, examine_directory};
use std::fs::{DirBuilder, File, OpenOptions, TryLockError};
use std::io::{self, Read as _, Seek as _, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

/// The reason why the graph's lock was not taken.
#[derive(Debug, thiserror::Error)]
pub enum LockError {
    /// Another worker serves the graph.
    #[error("graph {graph} is already served by {holder} (it holds {path})")]
    Held {
        /// The graph.
        graph: String,
        /// The holder, as far as the file names it.
        holder: String,
        /// The lock's file.
        path: PathBuf,
    },
    /// Another kind of file stands in its place.
    #[error(transparent)]
    Unfit(#[from] Unfit),
    /// The file or its directory can't be made or locked.
    #[error("cannot {operation} {path}: {source}")]
    Io {
        /// The operation.
        operation: &'static str,
        /// The file or directory.
        path: PathBuf,
        /// The cause.
        source: io::Error,
    },
}

/// The lock, held until it is dropped or the process ends.
#[derive(Debug)]
pub(crate) struct GraphLock {
    /// Open while the lock is held; otherwise unused.
    _file: File,
}

impl GraphLock {
    /// Makes the graph's directory (0700) where it is missing and takes its lock without waiting.
    pub(crate) fn take(directory: &Path, graph: &str) -> Result<Self, LockError> {
        let failed = |operation: &'static str, path: &Path| {
            let path = path.to_owned();
            move |source| LockError::Io { operation, path, source }
        };
        let made = DirBuilder::new().recursive(true).mode(0o700).create(directory);
        made.map_err(failed("make", directory))?;
        let path = directory.join("worker.lock");
        examine_directory(directory)?;
        let mut file = open(&path)?.map_err(failed("open", &path))?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                return Err(LockError::Held { graph: graph.to_owned(), holder: holder(&mut file), path });
            }
            Err(TryLockError::Error(source)) => {
                return Err(LockError::Io { operation: "lock", path, source });
            }
        }
        let written = file.set_len(0).and_then(|()| file.rewind());
        let written = written.and_then(|()| writeln!(file, "{}", std::process::id()));
        written.map_err(failed("write", &path))?;
        Ok(Self { _file: file })
    }
}

/// Opens or makes the lock's file; any other file in its place is left alone.
fn open(path: &Path) -> Result<io::Result<File>, Unfit> {
    let mut options = OpenOptions::new();
    options.read(true).write(true);
    if let Some(examined) = examine(path)? {
        return Ok(examined.open(&options));
    }
    // Follows no link. A file that appeared in between is examined like an older one.
    match options.create_new(true).mode(0o600).open(path) {
        Err(e) if e.kind() == io::ErrorKind::AlreadyExists => {
            let examined = examine(path)?;
            options.create_new(false);
            Ok(examined.map_or(Err(e), |examined| examined.open(&options)))
        }
        made => Ok(made),
    }
}

/// Reads the holder's pid. The holder writes it right after it got the lock, so the file may still be empty.
fn holder(file: &mut File) -> String {
    let mut text = String::new();
    let read = file.take(32).read_to_string(&mut text);
    match (read, text.trim().parse::<u32>()) {
        (Ok(_), Ok(pid)) => format!("process {pid}"),
        (Ok(_) | Err(_), _) => "another process".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_taker_is_told_the_holder() {
        let dir = tempfile::tempdir().unwrap();
        let graph = dir.path().join("a/demo");
        let first = GraphLock::take(&graph, "demo").unwrap();
        let said = GraphLock::take(&graph, "demo").unwrap_err().to_string();
        assert!(said.contains(&format!("process {}", std::process::id())), "{said}");
        drop(first);
        assert!(GraphLock::take(&graph, "demo").is_ok());
    }
}
