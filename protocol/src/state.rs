//! The states of workers (PROTOCOL 6).

use serde::{Deserialize, Serialize};
use std::fmt;

/// The state of a worker, as clients see it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub enum State {
    /// Never started, or stopped.
    Idle,
    /// Spawned or about to be, not ready yet.
    Starting,
    /// Ready for use.
    Ready,
    /// Alive, but its liveness probe fails.
    Unhealthy,
    /// Asked to stop, not gone yet.
    Stopping,
    /// Ended, and will be started again.
    Backoff,
    /// Ended, and not started again without a request.
    Failed,
    /// Exited 0 unasked, because a peer took over.
    Ceded,
    /// Alive, held by a process that is not ours.
    External,
}

impl State {
    /// All states.
    pub const ALL: [Self; 9] = [
        Self::Idle,
        Self::Starting,
        Self::Ready,
        Self::Unhealthy,
        Self::Stopping,
        Self::Backoff,
        Self::Failed,
        Self::Ceded,
        Self::External,
    ];

    /// Returns whether a worker has a run, or will have one without a request.
    #[must_use]
    pub const fn goes_on(self) -> bool {
        match self {
            Self::Starting
            | Self::Ready
            | Self::Unhealthy
            | Self::Stopping
            | Self::Backoff
            | Self::External => true,
            Self::Idle | Self::Failed | Self::Ceded => false,
        }
    }

    /// Returns the state as the wire spells it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Idle => "idle",
            Self::Starting => "starting",
            Self::Ready => "ready",
            Self::Unhealthy => "unhealthy",
            Self::Stopping => "stopping",
            Self::Backoff => "backoff",
            Self::Failed => "failed",
            Self::Ceded => "ceded",
            Self::External => "external",
        }
    }

    /// Returns whether a process of this worker may be alive.
    #[must_use]
    pub const fn is_live(self) -> bool {
        match self {
            Self::Starting | Self::Ready | Self::Unhealthy | Self::Stopping | Self::External => true,
            Self::Idle | Self::Backoff | Self::Failed | Self::Ceded => false,
        }
    }
}

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}
