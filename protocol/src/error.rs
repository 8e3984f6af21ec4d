//! Error codes of the wire and the exit codes that stand for them (PROTOCOL 10).

use crate::bounded::cut;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::fmt;

macro_rules! codes {
    ($($(#[$doc:meta])* $variant:ident = $text:literal => $exit:literal,)*) => {
        /// What went wrong, for programs: clients match on this alone.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        pub enum ErrorCode {
            $($(#[$doc])* #[serde(rename = $text)] $variant,)*
            /// A code that this version does not know yet.
            #[serde(other)]
            Unrecognised,
        }

        impl ErrorCode {
            /// Every code of this version.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)*];

            /// The code as the wire spells it.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self {
                    $(Self::$variant => $text,)*
                    Self::Unrecognised => "unrecognised",
                }
            }

            /// What gobctl exits with.
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
    /// No such request type.
    UnknownRequest = "unknown-request" => 2,
    /// A line over 1 MiB.
    FrameTooLong = "frame-too-long" => 2,
    /// A malformed owner.
    InvalidOwner = "invalid-owner" => 2,
    /// A malformed worker name.
    InvalidName = "invalid-name" => 2,
    /// Client and supervisor speak different protocols.
    VersionMismatch = "version-mismatch" => 7,
    /// The peer is another user.
    PermissionDenied = "permission-denied" => 7,
    /// A limit was met.
    Busy = "busy" => 1,
    /// The supervisor is on its way out.
    ShuttingDown = "shutting-down" => 7,
    /// No such worker or lock.
    ServerNotFound = "server-not-found" => 4,
    /// No such job.
    JobNotFound = "job-not-found" => 4,
    /// It exists and is down, and the verb needs it up.
    ServerNotRunning = "server-not-running" => 3,
    /// It is up, and the verb needs it down.
    ServerRunning = "server-running" => 1,
    /// The owner check failed.
    ServerOwnedByOther = "server-owned-by-other" => 5,
    /// A process that is not ours holds the graph.
    ServerLockedByExternal = "server-locked-by-external" => 6,
    /// The worker could not be started, or ended before it was ready.
    ServerStartFailed = "server-start-failed" => 8,
    /// Not ready by the deadline.
    ServerStartTimeout = "server-start-timeout" => 8,
    /// An old process could not be ended in time.
    ServerStartTimeoutOrphan = "server-start-timeout-orphan" => 8,
    /// Something survived a stop.
    ServerStopTimeout = "server-stop-timeout" => 1,
    /// The worker's handshake is not one.
    HandshakeInvalid = "handshake-invalid" => 8,
    /// The name is taken by another graph, root or kind.
    GraphConflict = "graph-conflict" => 1,
    /// The graph's data is not where it was.
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
    /// What went wrong, for programs.
    pub code: ErrorCode,
    /// What happened, for people.
    pub message: String,
    /// What a person can do about it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hint: Option<String>,
    /// Facts that belong to the code.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub details: Option<Value>,
}

impl WireError {
    /// An error with neither hint nor details.
    #[must_use]
    pub fn new(code: ErrorCode, message: impl Into<String>) -> Self {
        Self { code, message: cut(message.into()), hint: None, details: None }
    }

    /// Adds what a person can do.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(cut(hint.into()));
        self
    }

    /// Adds facts.
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
