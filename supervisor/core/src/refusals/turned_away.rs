//! Refusals of connections. They are made where the connection is, so they need no state of the core's.

use gob_protocol::{ErrorCode, WireError};
use serde_json::json;

/// The reason why a client loses its connection, or gets none.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TurnedAway {
    /// The client is another user's.
    AnotherUser,
    /// There is no room for the connection, or no more.
    NoRoom,
    /// Unfinished requests take too much memory.
    Unfinished,
}

impl TurnedAway {
    /// The error that the client reads.
    #[must_use]
    pub fn refusal(self) -> WireError {
        match self {
            Self::AnotherUser => {
                WireError::new(ErrorCode::PermissionDenied, "this supervisor serves another user")
            }
            Self::NoRoom => {
                WireError::new(ErrorCode::Busy, "the supervisor has no room for another connection")
                    .hint("close some, or raise the limit of open files, and try again")
                    .details(json!({"limit": "connections"}))
            }
            Self::Unfinished => WireError::new(ErrorCode::Busy, "unfinished requests take too much memory")
                .hint("send requests whole and at once, and try again")
                .details(json!({"limit": "unfinished requests"})),
        }
    }
}

/// An answer can't be written as JSON.
#[must_use]
pub fn unwritable(why: &serde_json::Error) -> WireError {
    WireError::new(ErrorCode::Internal, alloc::format!("cannot write the answer: {why}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_client_that_is_turned_away_reads_why() {
        for (why, code, message, limit) in [
            (
                TurnedAway::AnotherUser,
                ErrorCode::PermissionDenied,
                "this supervisor serves another user",
                None,
            ),
            (
                TurnedAway::NoRoom,
                ErrorCode::Busy,
                "the supervisor has no room for another connection",
                Some("connections"),
            ),
            (
                TurnedAway::Unfinished,
                ErrorCode::Busy,
                "unfinished requests take too much memory",
                Some("unfinished requests"),
            ),
        ] {
            let error = why.refusal();
            assert_eq!((error.code, error.message.as_str()), (code, message));
            assert_eq!(error.hint.is_some(), limit.is_some(), "{error:?}");
            assert_eq!(error.details, limit.map(|limit| json!({"limit": limit})));
        }
    }
}
