//! Kinds that need a socket, and those of them that can listen on a path of any length.

use crate::kind::Kind;
use crate::overrides::uses;

impl Kind {
    /// Returns whether the runs of this kind use the socket that they get.
    #[must_use]
    pub fn takes_socket(&self) -> bool {
        uses(self, "{socket}")
    }

    /// Returns whether this kind runs gob's own graph worker, which can listen on a path of any length.
    #[must_use]
    pub fn is_own(&self) -> bool {
        self.command.first().is_some_and(|program| program.rsplit('/').next() == Some("gob-graph-worker"))
    }
}
