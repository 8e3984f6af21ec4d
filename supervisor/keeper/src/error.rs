//! All errors of the keeper, each with the operation, the path and the cause.

use gob_host::dirs::DirsError;
use std::io;
use std::path::PathBuf;

/// The reason why there is no supervisor, or none any more.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    /// A problem of the command line.
    #[error("{0}")]
    Usage(String),
    /// One of gob's directories can't be used.
    #[error("{}", .0.with_cause())]
    Dirs(#[from] DirsError),
    /// Another keeper holds a lock.
    #[error("gob is already running: {} is locked", .path.display())]
    AlreadyRunning {
        /// The supervisor's pid, where its files name it.
        pid: Option<u32>,
        /// The locked file or directory.
        path: PathBuf,
    },
    /// An operation on a file or directory failed.
    #[error("cannot {operation} {}: {source}", .path.display())]
    Path {
        /// The operation: `create`, `open`, `lock` and so on.
        operation: &'static str,
        /// The file or directory.
        path: PathBuf,
        /// The cause.
        source: io::Error,
    },
    /// The lock file kept being replaced.
    #[error("{} is replaced by somebody again and again, so it can't be locked", .path.display())]
    LockReplaced {
        /// The lock.
        path: PathBuf,
    },
    /// The supervisor's program was not found.
    #[error("no program `gobd` beside {}, in GOB_LIBEXEC, or on PATH", .beside.display())]
    NoProgram {
        /// The directory that was searched first.
        beside: PathBuf,
    },
    /// This process has children that it did not start.
    #[error("this process already has children, and gob-keeper signals none but its own: start it afresh")]
    HasChildren,
    /// A call about the process itself failed.
    #[error("cannot {operation}: {source}")]
    Process {
        /// The operation.
        operation: &'static str,
        /// The cause.
        source: io::Error,
    },
    /// The supervisor died too often.
    #[error("the supervisor ended {count} times within {seconds} s, last with {last}; giving up")]
    GaveUp {
        /// The number of its ends.
        count: usize,
        /// The time in which they happened.
        seconds: u64,
        /// Its last end.
        last: String,
    },
}

impl Error {
    /// Returns whether a file or directory was missing.
    pub(crate) fn is_not_found(&self) -> bool {
        let source = match self {
            Self::Path { source, .. } | Self::Dirs(DirsError::Io { source, .. }) => source,
            Self::Usage(_)
            | Self::Dirs(_)
            | Self::AlreadyRunning { .. }
            | Self::LockReplaced { .. }
            | Self::NoProgram { .. }
            | Self::HasChildren
            | Self::Process { .. }
            | Self::GaveUp { .. } => return false,
        };
        source.kind() == io::ErrorKind::NotFound
    }

    /// Returns the error as one line, whatever the names in it contain.
    pub(crate) fn line(&self) -> String {
        self.to_string().chars().map(|c| if c.is_control() { '?' } else { c }).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_is_one_line() {
        let error = Error::NoProgram { beside: PathBuf::from("/a\nb") };
        assert_eq!(error.line(), "no program `gobd` beside /a?b, in GOB_LIBEXEC, or on PATH");
    }
}
