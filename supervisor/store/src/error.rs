//! The reasons why the store can't be used, as sentences: the operation, the file, the way out.

use crate::files::Unfit;
use rusqlite::ErrorCode;
use std::io;
use std::path::{Path, PathBuf};

/// The reason why the store can't be used.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// There is no store yet.
    #[error("there is no history yet: {0} does not exist; it is made with the first job or run")]
    Missing(PathBuf),
    /// A later version wrote the file.
    #[error(
        "{path} has version {found} of the history, this gob knows versions up to {known}; it was not touched: \
         use the newer gob, or move the file away to begin a new history"
    )]
    Newer {
        /// The file.
        path: PathBuf,
        /// Its version.
        found: i64,
        /// The latest version known here.
        known: i64,
    },
    /// An earlier version wrote the file, and only the supervisor may change that.
    #[error(
        "{path} has version {found} of the history, this gob reads version {known}: gobctl ping starts the supervisor, which changes it at its next use"
    )]
    Older {
        /// The file.
        path: PathBuf,
        /// Its version.
        found: i64,
        /// The version that is read here.
        known: i64,
    },
    /// Another kind of file stands in its place.
    #[error(transparent)]
    Unfit(#[from] Unfit),
    /// The file is damaged, or no store at all.
    #[error(
        "{path} is damaged or not gob's history: {why}; the supervisor moves it aside at its next use and keeps what can be read"
    )]
    Damaged {
        /// The file.
        path: PathBuf,
        /// The sign of it.
        why: String,
    },
    /// A log without its index, or a journal, can't be read without a change of files.
    #[error(
        "{0} was not merged, and reading makes no change: gobctl ping starts the supervisor, which merges it at its next use"
    )]
    Unmerged(PathBuf),
    /// Another process has the file locked.
    #[error("{0} is locked by another process: it is tried again; fuser {0} names the process")]
    Locked(PathBuf),
    /// The disk is full.
    #[error("cannot write {path}: the disk is full; history waits until there is room")]
    Full {
        /// The file.
        path: PathBuf,
    },
    /// The file or its directory can't be written.
    #[error("cannot write {path}: {source}; history waits until the file and its directory may be written")]
    ReadOnly {
        /// The file.
        path: PathBuf,
        /// The cause.
        source: io::Error,
    },
    /// A step failed.
    #[error("cannot {doing} {path}: {source}")]
    Io {
        /// The operation.
        doing: &'static str,
        /// The file.
        path: PathBuf,
        /// The cause.
        source: io::Error,
    },
    /// SQLite failed otherwise.
    #[error("cannot use {path}: {source}")]
    Sqlite {
        /// The file.
        path: PathBuf,
        /// SQLite's error.
        source: rusqlite::Error,
    },
    /// The question found no answer in time.
    #[error("{path} gave no answer in time: try again; gobctl status shows the state of the history")]
    Late {
        /// The file.
        path: PathBuf,
    },
}

/// The treatment of records after a failure.
#[cfg(feature = "write")]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Lasts {
    /// A short while: the step is tried again, and questions wait for it.
    Moment,
    /// Until something is done about it: the step is tried again, and nothing waits for it.
    Unknown,
    /// As long as the file is there: records are dropped.
    File,
}

impl StoreError {
    /// Adds the file's path to an error of SQLite.
    pub(crate) fn of(path: &Path, source: rusqlite::Error) -> Self {
        let path = path.to_owned();
        if is_of_content(&source) {
            return Self::Damaged { path, why: source.to_string() };
        }
        match source.sqlite_error_code() {
            Some(ErrorCode::NotADatabase | ErrorCode::DatabaseCorrupt) => {
                Self::Damaged { path, why: source.to_string() }
            }
            Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => Self::Locked(path),
            Some(ErrorCode::DiskFull) => Self::Full { path },
            Some(ErrorCode::ReadOnly) => {
                Self::ReadOnly { path, source: io::Error::from(io::ErrorKind::PermissionDenied) }
            }
            // The file itself was found: its log or its index can't be made beside it.
            Some(ErrorCode::CannotOpen) => Self::ReadOnly { path, source: io::Error::other(source) },
            Some(_) | None => Self::Sqlite { path, source },
        }
    }

    /// Adds operation and path to an error of the system.
    pub(crate) fn io(doing: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_owned();
        move |source| {
            let is = |kinds: [io::ErrorKind; 2]| kinds.contains(&source.kind());
            if is([io::ErrorKind::StorageFull, io::ErrorKind::QuotaExceeded]) {
                Self::Full { path }
            } else if is([io::ErrorKind::ReadOnlyFilesystem, io::ErrorKind::PermissionDenied]) {
                Self::ReadOnly { path, source }
            } else {
                Self::Io { doing, path, source }
            }
        }
    }

    /// Returns how long the failure is likely to last.
    #[cfg(feature = "write")]
    pub(crate) fn lasts(&self) -> Lasts {
        match self {
            Self::Locked(_) | Self::Late { .. } | Self::Unmerged(_) => Lasts::Moment,
            Self::Newer { .. } | Self::Older { .. } | Self::Unfit(_) => Lasts::File,
            Self::Missing(_)
            | Self::Damaged { .. }
            | Self::Full { .. }
            | Self::ReadOnly { .. }
            | Self::Io { .. }
            | Self::Sqlite { .. } => Lasts::Unknown,
        }
    }
}

/// Returns whether a column has a type or a content that the tables do not allow, or a table is not as it is
/// made: the statements are constant. A header with another format is not an error of its own to SQLite.
fn is_of_content(error: &rusqlite::Error) -> bool {
    use rusqlite::Error::{
        FromSqlConversionFailure, IntegralValueOutOfRange, InvalidColumnType, SqlInputError, SqliteFailure,
        Utf8Error,
    };
    matches!(
        error,
        FromSqlConversionFailure(..)
            | IntegralValueOutOfRange(..)
            | InvalidColumnType(..)
            | SqlInputError { .. }
            | Utf8Error(..)
    ) || matches!(error, SqliteFailure(_, Some(text)) if text == "unsupported file format")
}
