//! Roots of graphs that are refused, and how long a disk is waited for. Pure functions of facts.

use crate::failure::Silent;
use alloc::format;
use alloc::string::String;
use core::fmt;
use gob_protocol::limits::MAX_PATH_BYTES;
use gob_protocol::{ErrorCode, WireError};
use serde_json::json;

/// The time for which work on a disk is waited for, from its begin.
pub const DISK_PATIENCE_MS: u64 = 3_000;

/// Returns how long a caller still waits for work of this age, which it handed in so long ago; `None` when it gives up. Work that
/// has not begun, behind other work, gets three times as long in all.
#[must_use]
pub fn wait_left_ms(age_ms: Option<u64>, asked_ms: u64) -> Option<u64> {
    let left = DISK_PATIENCE_MS.saturating_sub(age_ms.unwrap_or(0));
    (left > 0 && asked_ms < DISK_PATIENCE_MS * 3).then_some(left)
}

/// The reason why a directory is no root for graphs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum BadRoot {
    /// Its path is relative.
    Relative,
    /// Its real path is not text.
    NotText,
    /// Its real path is too long.
    TooLong,
    /// The machine refuses to resolve it, in these words.
    Unresolved(String),
    /// Its disk does not answer.
    Silent(Silent),
}

/// Decides from the real path of a directory, as far as it is text, whether it can be a root.
///
/// # Errors
/// The reason why not.
pub fn judge_root(real: Option<String>, bytes: usize) -> Result<String, BadRoot> {
    if bytes > MAX_PATH_BYTES {
        return Err(BadRoot::TooLong);
    }
    real.ok_or(BadRoot::NotText)
}

impl BadRoot {
    /// The refusal of a request that names it.
    #[must_use]
    pub fn refusal(&self) -> WireError {
        WireError::new(ErrorCode::InvalidRequest, format!("root_dir can't be used: {self}"))
            .hint("give an absolute path in UTF-8 that this user can read")
            .details(json!({"field": "payload.root_dir", "position": 0}))
    }
}

impl fmt::Display for BadRoot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Relative => f.write_str("it is not absolute"),
            Self::NotText => f.write_str("it is not UTF-8"),
            Self::TooLong => f.write_str("File name too long (os error 36)"),
            Self::Unresolved(why) => f.write_str(why),
            Self::Silent(silent) => silent.fmt(f),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_disk_is_waited_for_three_seconds_from_its_begin() {
        for (age_ms, asked_ms, left) in [
            (Some(0), 0, Some(3_000)),
            (Some(2_999), 5_000, Some(1)),
            (Some(3_000), 3_000, None),
            (None, 0, Some(3_000)),
            (None, 8_999, Some(3_000)),
            (None, 9_000, None),
            (Some(10), 9_000, None),
        ] {
            assert_eq!(wait_left_ms(age_ms, asked_ms), left, "{age_ms:?} {asked_ms}");
        }
    }

    #[test]
    fn a_root_is_text_that_is_not_too_long() {
        let real = || Some(String::from("/r"));
        assert_eq!(judge_root(real(), MAX_PATH_BYTES), Ok("/r".into()));
        assert_eq!(judge_root(real(), MAX_PATH_BYTES + 1), Err(BadRoot::TooLong));
        assert_eq!(judge_root(None, 2), Err(BadRoot::NotText));
        let silent = Silent { operation: "find", place: "/r".into(), seconds: 3 };
        for (bad, why) in [
            (BadRoot::Relative, "it is not absolute"),
            (BadRoot::NotText, "it is not UTF-8"),
            (BadRoot::TooLong, "File name too long (os error 36)"),
            (BadRoot::Unresolved("no".into()), "no"),
            (
                BadRoot::Silent(silent),
                "find /r: no answer for 3 s; its disk hangs, or what it is mounted from is gone",
            ),
        ] {
            assert_eq!(bad.refusal().message, format!("root_dir can't be used: {why}"));
        }
    }
}
