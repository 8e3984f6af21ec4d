//! Everything that can keep the keeper from its work, each with the operation, the path and the cause.

use gob_host::dirs::DirsError;
use std::io;
use std::path::PathBuf;

/// Why there is no supervisor, or no supervisor any more.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    /// The command line.
    #[error("{0}")]
    Usage(String),
    /// One of gob's directories.
    #[error("{}", .0.with_cause())]
    Dirs(#[from] DirsError),
    /// Another keeper holds a lock.
    #[error("gob is already running: {} is locked", .path.display())]
    AlreadyRunning {
        /// The supervisor's pid, where its files tell it.
        pid: Option<u32>,
        /// What is locked.
        path: PathBuf,
    },
    /// A file or directory operation.
    #[error("cannot {operation} {}: {source}", .path.display())]
    Path {
        /// What was tried: `create`, `open`, `lock` and so on.
        operation: &'static str,
        /// On what.
        path: PathBuf,
        /// Why it did not work.
        source: io::Error,
    },
    /// A file or directory that is not what gob may use. It was not touched.
    #[error("{} {why}", .path.display())]
    Unfit {
        /// Which.
        path: PathBuf,
        /// What is wrong with it, and what is needed instead.
        why: String,
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
    /// Children that came with this process.
    #[error("this process already has children, and gob-keeper signals none but its own: start it afresh")]
    HasChildren,
    /// A call that concerns the process itself.
    #[error("cannot {operation}: {source}")]
    Process {
        /// What was tried.
        operation: &'static str,
        /// Why it did not work.
        source: io::Error,
    },
    /// The supervisor died too often.
    #[error("the supervisor ended {count} times within {seconds} s, last with {last}; giving up")]
    GaveUp {
        /// How often it ended.
        count: usize,
        /// Within what time.
        seconds: u64,
        /// How it ended the last time.
        last: String,
    },
}

impl Error {
    /// Whether a file or directory was not there.
    pub(crate) fn is_not_found(&self) -> bool {
        let source = match self {
            Self::Path { source, .. } | Self::Dirs(DirsError::Io { source, .. }) => source,
            Self::Usage(_)
            | Self::Dirs(_)
            | Self::AlreadyRunning { .. }
            | Self::Unfit { .. }
            | Self::LockReplaced { .. }
            | Self::NoProgram { .. }
            | Self::HasChildren
            | Self::Process { .. }
            | Self::GaveUp { .. } => return false,
        };
        source.kind() == io::ErrorKind::NotFound
    }

    /// The error as one line, whatever the names in it contain.
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
