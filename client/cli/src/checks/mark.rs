//! Whose a worker's process is: the mark of a run, a soft limit RLIMIT_LOCKS that its whole tree inherits (ADR 1), names the
//! state directory of its supervisor; where no mark could be set, a variable names the supervisor's instance.

use gob_protocol::tag;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::time::UNIX_EPOCH;

/// What tells whose a process is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Life {
    /// The state directory, as marks name it. One supervisor lives in each.
    Home(u32),
    /// The supervisor's instance.
    Instance(String),
}

impl Life {
    /// Of a process's soft limit, if that is a mark.
    pub(super) fn of_limit(limit: u64) -> Option<Self> {
        tag::home_of(limit).map(Self::Home)
    }

    /// Of a state directory.
    pub(super) fn of_state_dir(dir: &Path) -> Option<Self> {
        let found = std::fs::metadata(dir).ok()?;
        let born = found.created().ok().and_then(|at| at.duration_since(UNIX_EPOCH).ok());
        Some(Self::Home(tag::home(found.dev(), found.ino(), born.map_or(0, |at| at.as_nanos()))))
    }
}
