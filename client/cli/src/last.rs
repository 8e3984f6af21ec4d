//! The last state that a supervisor wrote down: `last.json` in the state directory.

use gob_client::protocol::Timestamp;
use gob_client::{Dirs, View};
use serde::Deserialize;

/// The last known state.
#[derive(Debug, Deserialize)]
pub(crate) struct LastState {
    /// Every worker.
    pub(crate) workers: Vec<View>,
    /// The time of the write.
    pub(crate) time: Timestamp,
}

impl LastState {
    /// Reads it; `None` when it is missing or can't be read: it is only a courtesy.
    pub(crate) fn read(dirs: &Dirs) -> Option<Self> {
        serde_json::from_slice(&std::fs::read(dirs.last_state()).ok()?).ok()
    }
}
