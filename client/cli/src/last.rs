//! The last state that a supervisor wrote down: `last.json` in the state directory.

use gob_client::protocol::Timestamp;
use gob_client::{Dirs, View};
use serde::Deserialize;

/// What was last known.
#[derive(Debug, Deserialize)]
pub(crate) struct LastState {
    /// Every worker.
    pub(crate) workers: Vec<View>,
    /// When it was written.
    pub(crate) time: Timestamp,
}

impl LastState {
    /// Reads it; `None` when there is none, or none that can be read: it is no more than a courtesy.
    pub(crate) fn read(dirs: &Dirs) -> Option<Self> {
        serde_json::from_slice(&std::fs::read(dirs.last_state()).ok()?).ok()
    }
}
