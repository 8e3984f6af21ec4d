//! Error codes of the wire and the exit codes that stand for them (PROTOCOL 10).

use crate::bounded::cut;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::fmt;

macro_rules! codes {
    ($($(#[$doc:meta])* $variant:ident = $text:literal => $exit:literal,)*) => {
        /// The kind of an error, for programs: clients match on this alone.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
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

            /// Returns the exit code of gobctl for this error.
            #[must_use]
            pub const fn exit_code(self) -> u8 {
                match self {
                    $(Self::$variant => $exit,)*
                    Self::Unrecognised => 1,
                }
            }
        }
    };
}

codes! {
    /// The line is not a request.
    InvalidRequest = "invalid-request" => 2,
    /// The request type does not exist.
    UnknownRequest = "unknown-request" => 2,
    /// The line is longer than 1 MiB.
    FrameTooLong = "frame-too-long" => 2,
    /// The owner is malformed.
    InvalidOwner = "invalid-owner" => 2,
    /// The worker name is malformed.
    InvalidName = "invalid-name" => 2,
    /// Client and supervisor speak different protocols.
    VersionMismatch = "version-mismatch" => 7,
    /// The peer is another user.
    PermissionDenied = "permission-denied" => 7,
    /// A limit was reached.
    Busy = "busy" => 1,
    /// The supervisor is shutting down.
    ShuttingDown = "shutting-down" => 7,
    /// The worker or lock does not exist.
    ServerNotFound = "server-not-found" => 4,
    /// The job does not exist.
    JobNotFound = "job-not-found" => 4,
    /// The worker is down, and the verb needs it up.
    ServerNotRunning = "server-not-running" => 3,
    /// The worker is up, and the verb needs it down.
    ServerRunning = "server-running" => 1,
    /// The owner check failed.
    ServerOwnedByOther = "server-owned-by-other" => 5,
    /// A process that is not ours holds the graph.
    ServerLockedByExternal = "server-locked-by-external" => 6,
    /// The worker could not be started, or ended before it was ready.
    ServerStartFailed = "server-start-failed" => 8,
    /// The worker was not ready by the deadline.
    ServerStartTimeout = "server-start-timeout" => 8,
    /// An old process could not be ended in time.
    ServerStartTimeoutOrphan = "server-start-timeout-orphan" => 8,
    /// A process survived a stop.
    ServerStopTimeout = "server-stop-timeout" => 1,
    /// The worker's handshake is malformed.
    HandshakeInvalid = "handshake-invalid" => 8,
    /// The name is taken by another graph, root or kind.
    GraphConflict = "graph-conflict" => 1,
    /// The graph's data is not in its place any more.
    GraphGone = "graph-gone" => 1,
    /// The configuration has no such kind.
    KindNotFound = "kind-not-found" => 1,
    /// The configuration can't be used.
    ConfigInvalid = "config-invalid" => 1,
    /// The job is blocked; the message says why.
    Blocked = "blocked" => 1,
    /// The log can't be read.
    LogUnavailable = "log-unavailable" => 1,
    /// The new program did not take over.
    UpgradeFailed = "upgrade-failed" => 1,
    /// A defect of gob or of its machine.
    Internal = "internal" => 1,
    /// A named lock was not granted in time.
    LockTimeout = "lock-timeout" => 124,
    /// The token is not the holder's.
    LockNotHeld = "lock-not-held" => 1,
    /// The job is not claimed by this worker.
    JobNotClaimed = "job-not-claimed" => 1,
}

impl fmt::Display for ErrorCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// An error as the wire carries it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
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
