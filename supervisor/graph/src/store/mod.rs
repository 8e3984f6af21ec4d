//! The graph's file and the connections to it.
//!
//! Owns one connection that writes and bounded pools of connections that read. WAL lets the readers go on
//! during a write, and every request takes a connection for itself, so none sees half a batch. `schema`
//! defines the tables, `requests` use them.

mod content;
mod create;
mod held;
mod place;
pub(crate) mod sandbox;
mod schema;
mod staging;
mod write;
mod writing;

pub(crate) use held::Gone;
pub(crate) use place::{GRAPH_FILE, Unfit, examine, examine_directory};
pub(crate) use staging::{ApplyError, Phase, Staging};
pub(crate) use write::{Counts, Writer};

use crate::limits::{
    LONG_READERS, MAX_EXPORTS, MAX_IMPORTS, POOL_WAIT, QUERY_READERS, READER_IDLE, SHORT_READERS,
};
use crate::pool::{Pool, Taken};
use crate::reader::Reader;
use crate::requests::Refusal;
use gob_protocol::{ErrorCode, WireError};
use held::Place;
use rusqlite::Connection;
use serde_json::json;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;
use std::time::Duration;

/// The durability of a commit.
///
/// In WAL mode the operating system has every acknowledged write, so a sudden end of the worker loses nothing
/// in either mode, and neither can tear the file. With `Normal` the system decides when the log reaches the
/// disk; a power cut may take back the last moments, whole transactions at a time. `Full` waits for the disk
/// at each commit, some milliseconds. `Normal` is the default: a local graph is written in many small
/// batches.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Synchronous {
    /// Waits for the disk at checkpoints only.
    Normal,
    /// Waits for the disk at each commit.
    Full,
}

/// The reason why the graph's file can't be used.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// A later version wrote the file.
    #[error(
        "{path} has version {found} of the graph format, this worker knows versions up to {known}: \
         use a newer gob-graph-worker"
    )]
    Newer {
        /// The file.
        path: PathBuf,
        /// Its version.
        found: i64,
        /// The latest version known to this worker.
        known: i64,
    },
    /// The file is a database of another program.
    #[error("{0} is an SQLite database, but not a graph of gob; it was not touched")]
    Foreign(PathBuf),
    /// The file is damaged, or no database at all.
    #[error("{path} is damaged or not a graph: {source}")]
    Damaged {
        /// The file.
        path: PathBuf,
        /// SQLite's error.
        source: rusqlite::Error,
    },
    /// The file is empty.
    #[error("{0} is empty (0 bytes), and a graph never is: its content is lost")]
    Empty(PathBuf),
    /// The log exists, and the graph's file does not.
    #[error("{path} is gone, but its log {left} is there")]
    Lost {
        /// The file.
        path: PathBuf,
        /// The log.
        left: PathBuf,
    },
    /// Another kind of file stands in its place.
    #[error(transparent)]
    Unfit(#[from] place::Unfit),
    /// The file was replaced while it was opened.
    #[error("{0}, while it was opened")]
    Moved(String),
    /// SQLite failed otherwise.
    #[error("cannot open {path}: {source}")]
    Sqlite {
        /// The file.
        path: PathBuf,
        /// SQLite's error.
        source: rusqlite::Error,
    },
    /// The file can't be made.
    #[error("cannot make {path}: {source}")]
    Io {
        /// The file.
        path: PathBuf,
        /// The cause.
        source: io::Error,
    },
}

impl StoreError {
    /// Returns whether another file must take the place of the graph's before it can be served.
    #[must_use]
    pub fn wants_another_file(&self) -> bool {
        match self {
            Self::Foreign(_) | Self::Damaged { .. } | Self::Empty(_) | Self::Lost { .. } => true,
            Self::Unfit(unfit) => unfit.wants_another_file(),
            Self::Newer { .. } | Self::Moved(_) | Self::Sqlite { .. } | Self::Io { .. } => false,
        }
    }
}

/// The use of a reader; each use has connections of its own, so that none waits for another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Reading {
    /// A few rows by key.
    Short,
    /// A walk, a search, a count.
    Long,
    /// A whole export.
    Export,
}

/// The graph's file, open.
#[derive(Debug)]
pub struct Store {
    path: PathBuf,
    /// The first difference stays: later writes may be lost even when the file is put back.
    gone: OnceLock<Gone>,
    short: Pool<Connection>,
    long: Pool<Connection>,
    query: Pool<Reader>,
    export: Pool<Connection>,
    imports: Pool<()>,
    /// Closed after all readers, because only the last connection can remove the log.
    writer: Pool<Connection>,
    /// Dropped last: SQLite has locks on a file that it holds open.
    place: Place,
}

impl Store {
    /// Opens the graph in this directory, which must exist and be locked; a new graph's file is made (0600),
    /// an older one migrated.
    ///
    /// # Errors
    /// The reason why the file can't be used.
    pub fn open(directory: &Path, synchronous: Synchronous) -> Result<Self, StoreError> {
        let path = directory.join(GRAPH_FILE);
        staging::remove_left_over(directory);
        let (writer, place) = schema::open_writer(&path, synchronous)?;
        Ok(Self {
            path,
            place,
            gone: OnceLock::new(),
            writer: Pool::of_one(writer),
            short: Pool::new(SHORT_READERS),
            long: Pool::new(LONG_READERS),
            query: Pool::new(QUERY_READERS),
            export: Pool::new(MAX_EXPORTS),
            imports: Pool::new(MAX_IMPORTS),
        })
    }

    /// Returns the path of the graph's file.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Takes a reader.
    pub(crate) fn reader(&self, reading: Reading) -> Result<Taken<'_, Connection>, Refusal> {
        let (pool, wait, limit) = match reading {
            Reading::Short => (&self.short, POOL_WAIT, SHORT_READERS),
            Reading::Long => (&self.long, POOL_WAIT, LONG_READERS),
            Reading::Export => (&self.export, Duration::ZERO, MAX_EXPORTS),
        };
        let open = || {
            let reader = schema::open_reader(&self.path);
            // A reader is used only if it opened the same files as the writer.
            self.confirm()?;
            Ok::<_, Refusal>(reader?)
        };
        pool.take(wait, open)?.ok_or_else(|| busy("readers", limit))
    }

    /// Takes a reader for a client's own SQL.
    pub(crate) fn query_reader(&self) -> Result<Taken<'_, Reader>, Refusal> {
        let spawn = || {
            Reader::spawn(&self.path).map_err(|e| {
                let error = WireError::new(ErrorCode::Busy, format!("cannot start a reader: {e}"));
                Refusal::from(error.hint("try again").details(json!({"limit": "processes"})))
            })
        };
        self.query.take(POOL_WAIT, spawn)?.ok_or_else(|| busy("readers", QUERY_READERS))
    }

    /// Ends readers that have been idle for a while.
    pub(crate) fn end_idle_readers(&self) {
        self.query.discard_if(|reader| reader.used.elapsed() >= READER_IDLE);
    }

    /// Takes the place of one import.
    pub(crate) fn import_place(&self) -> Result<Taken<'_, ()>, Refusal> {
        let place = self.imports.take(Duration::ZERO, || Ok::<_, Refusal>(()))?;
        place.ok_or_else(|| busy("imports", MAX_IMPORTS))
    }

    /// Makes a place for the lines of an import.
    pub(crate) fn staging(&self) -> rusqlite::Result<Staging> {
        Staging::create(self.path.parent().unwrap_or(Path::new("/")))
    }

    /// Compares the open files with those at their paths.
    ///
    /// # Errors
    /// `graph-gone`; the worker then ends.
    pub(crate) fn confirm(&self) -> Result<(), Refusal> {
        self.gone().map_or(Ok(()), |gone| Err(refusal(&gone)))
    }

    /// Returns the file that is not in its place any more, if any.
    pub(crate) fn gone(&self) -> Option<Gone> {
        let first = || self.place.check().err().map(|gone| self.gone.get_or_init(|| gone));
        self.gone.get().or_else(first).cloned()
    }
}

/// Returns the refusal of a request whose write may be lost.
fn refusal(gone: &Gone) -> Refusal {
    let message = format!("{gone}; nothing of this request can be relied on, the worker ends");
    let hint = if gone.in_place {
        "start the graph again: it is then served if that is a graph; stop it before its file is replaced"
    } else {
        "put the file back where it was, then start the graph again"
    };
    let details = json!({"path": gone.path.display().to_string()});
    Refusal::from(WireError::new(ErrorCode::GraphGone, message).hint(hint).details(details))
}

fn busy(what: &str, limit: usize) -> Refusal {
    let error = WireError::new(ErrorCode::Busy, format!("all {what} ({limit}) are in use"));
    Refusal::from(error.hint("try again").details(json!({"limit": what, "value": limit})))
}
