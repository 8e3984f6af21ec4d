//! Roots of graphs that are refused. Pure functions of facts.

use crate::failure::Silent;
use crate::refusals;
use alloc::format;
use alloc::string::String;
use core::fmt;
use gob_protocol::limits::MAX_PATH_BYTES;
use gob_protocol::{ErrorCode, WireError};
use serde_json::json;

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
    /// The refusal of a request that names it in this field.
    #[must_use]
    pub fn refusal(&self, field: &str) -> WireError {
        let message = format!("{field} can't be used: {self}");
        if let Self::Silent(silent) = self
            && silent.elsewhere > 0
        {
            return refusals::all_hang(message);
        }
        WireError::new(ErrorCode::InvalidRequest, message)
            .hint("give an absolute path in UTF-8 that this user can read")
            .details(json!({"field": format!("payload.{field}"), "position": 0}))
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
    fn a_root_is_text_that_is_not_too_long() {
        let real = || Some(String::from("/r"));
        assert_eq!(judge_root(real(), MAX_PATH_BYTES), Ok("/r".into()));
        assert_eq!(judge_root(real(), MAX_PATH_BYTES + 1), Err(BadRoot::TooLong));
        assert_eq!(judge_root(None, 2), Err(BadRoot::NotText));
        let silent = Silent { operation: "find", place: "/r".into(), seconds: 3, elsewhere: 0 };
        let crowded = Silent { elsewhere: 64, ..silent.clone() };
        for (bad, why) in [
            (BadRoot::Relative, "it is not absolute"),
            (BadRoot::NotText, "it is not UTF-8"),
            (BadRoot::TooLong, "File name too long (os error 36)"),
            (BadRoot::Unresolved("no".into()), "no"),
            (
                BadRoot::Silent(silent),
                "find /r: no answer for 3 s; its disk hangs, or what it is mounted from is gone",
            ),
            (BadRoot::Silent(crowded.clone()), "find /r: 64 operations hang on other disks"),
        ] {
            assert_eq!(bad.refusal("root_dir").message, format!("root_dir can't be used: {why}"));
        }
        assert_eq!(BadRoot::Silent(crowded).refusal("root_dir").code, ErrorCode::Busy);
    }
}
