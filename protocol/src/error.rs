//! Error codes of the wire (PROTOCOL 10).

use crate::bounded::cut;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::fmt;

macro_rules! codes {
    ($($(#[$doc:meta])* $variant:ident = $text:literal,)*) => {
        /// The kind of an error, for programs: clients match on this alone.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[cfg_attr(test, derive(schemars::JsonSchema))]
        pub enum ErrorCode {
            $($(#[$doc])* #[serde(rename = $text)] $variant,)*
            /// A code that this version does not know yet.
            #[serde(other)]
            Unrecognised,
        }

        impl ErrorCode {
            /// All codes of this version.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)*];

            /// Returns the code as the wire spells it.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self {
                    $(Self::$variant => $text,)*
                    Self::Unrecognised => "unrecognised",
                }
            }
        }
    };
}

codes! {
    /// The line is not a request.
    InvalidRequest = "invalid-request",
    /// The request type does not exist.
    UnknownRequest = "unknown-request",
    /// The line is longer than 1 MiB.
    FrameTooLong = "frame-too-long",
    /// The owner is malformed.
    InvalidOwner = "invalid-owner",
    /// The worker name is malformed.
    InvalidName = "invalid-name",
    /// Client and supervisor speak different protocols.
    VersionMismatch = "version-mismatch",
    /// The peer is another user.
    PermissionDenied = "permission-denied",
    /// A limit was reached.
    Busy = "busy",
    /// The supervisor is shutting down.
    ShuttingDown = "shutting-down",
    /// The worker or lock does not exist.
    ServerNotFound = "server-not-found",
    /// The job does not exist.
    JobNotFound = "job-not-found",
    /// The worker is down, and the verb needs it up.
    ServerNotRunning = "server-not-running",
    /// The worker is up, and the verb needs it down.
    ServerRunning = "server-running",
    /// The owner check failed.
    ServerOwnedByOther = "server-owned-by-other",
    /// A process that is not ours holds the graph.
    ServerLockedByExternal = "server-locked-by-external",
    /// The worker could not be started, or ended before it was ready.
    ServerStartFailed = "server-start-failed",
    /// The worker was not ready by the deadline.
    ServerStartTimeout = "server-start-timeout",
    /// An old process could not be ended in time.
    ServerStartTimeoutOrphan = "server-start-timeout-orphan",
    /// A process survived a stop.
    ServerStopTimeout = "server-stop-timeout",
    /// The worker's handshake is malformed.
    HandshakeInvalid = "handshake-invalid",
    /// The name is taken by another graph, root or kind.
    GraphConflict = "graph-conflict",
    /// The graph's data is not in its place any more.
    GraphGone = "graph-gone",
    /// The configuration has no such kind.
    KindNotFound = "kind-not-found",
    /// The configuration can't be used.
    ConfigInvalid = "config-invalid",
    /// The job is blocked; the message says why.
    Blocked = "blocked",
    /// The log can't be read.
    LogUnavailable = "log-unavailable",
    /// The new program did not take over.
    UpgradeFailed = "upgrade-failed",
    /// A defect of gob or of its machine.
    Internal = "internal",
    /// A named lock was not granted in time.
    LockTimeout = "lock-timeout",
    /// The token is not the holder's.
    LockNotHeld = "lock-not-held",
    /// To wait for the lock would be to wait for oneself.
    LockDeadlock = "lock-deadlock",
    /// The job is not claimed by this worker.
    JobNotClaimed = "job-not-claimed",
}

impl fmt::Display for ErrorCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// An error as the wire carries it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[error("{message}")]
pub struct WireError {
    /// The code, for programs.
    pub code: ErrorCode,
    /// The event, in words for people.
    pub message: String,
    /// A remedy, for people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hint: Option<String>,
    /// Facts that belong to the code.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub details: Option<Value>,
}

impl WireError {
    /// Creates an error without hint or details.
    #[must_use]
    pub fn new(code: ErrorCode, message: impl Into<String>) -> Self {
        Self { code, message: cut(message.into()), hint: None, details: None }
    }

    /// Adds a hint.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(cut(hint.into()));
        self
    }

    /// Adds details.
    #[must_use]
    pub fn details(mut self, details: Value) -> Self {
        self.details = Some(details);
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_and_serde_agree() {
        for code in ErrorCode::ALL {
            assert_eq!(serde_json::to_value(code).unwrap(), code.as_str());
        }
        let newer: ErrorCode = serde_json::from_str("\"a-code-of-tomorrow\"").unwrap();
        assert_eq!(newer, ErrorCode::Unrecognised);
    }
}
