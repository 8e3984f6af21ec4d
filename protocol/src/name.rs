//! Validated names: workers, owners, and names on disk (CLI, first section).
//!
//! A value of these types is valid by construction; the rest of gob does not check it again.

use crate::limits::{MAX_GRAPH_NAME_BYTES, MAX_JOB_NAME_BYTES, MAX_OWNER_BYTES};
use serde::{Deserialize, Deserializer, Serialize, de};
use std::fmt::{self, Write as _};
use std::sync::Arc;

/// The reason why a name was refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NameError {
    /// The name is empty, or longer than the bound.
    #[error("a name has 1 to {max} bytes, this one has {len}")]
    Length {
        /// Bytes given.
        len: usize,
        /// Bytes allowed.
        max: usize,
    },
    /// The name has a control character.
    #[error("a name has no control characters, this one has {0:?}")]
    Control(char),
    /// The name is `.` or `..`.
    #[error("`{0}` is a directory, not a name")]
    Dots(String),
    /// The name is reserved for jobs, as `j12` is.
    #[error("`{0}` looks like the name of a job; graphs can't be called so")]
    Reserved(String),
    /// The name is too long once it is encoded for the disk.
    #[error("the name takes {len} bytes on disk, {MAX_GRAPH_NAME_BYTES} are allowed")]
    Encoded {
        /// Bytes that the encoded name would take.
        len: usize,
    },
    /// The name does not have the shape of a job's.
    #[error("a job is named [A-Za-z0-9][A-Za-z0-9._-]{{0,63}}, not {0:?}")]
    Job(String),
    /// The name does not have the shape of a lane's.
    #[error("a lane is named [A-Za-z0-9][A-Za-z0-9._-]{{0,63}}, not {0:?}")]
    Lane(String),
    /// The name does not have the shape of a schedule's.
    #[error("a schedule is named [A-Za-z0-9][A-Za-z0-9._-]{{0,63}}, not {0:?}")]
    Schedule(String),
    /// The owner does not have the shape of one.
    #[error("an owner is [a-z][a-z0-9-]{{0,31}}, not {0:?}")]
    Owner(String),
}

/// The name of a worker: a graph's or a job's. They share one namespace.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(transparent)]
pub struct Name(Arc<str>);

impl Name {
    /// Checks the name of a graph.
    ///
    /// # Errors
    /// The problem of the name.
    pub fn graph(text: &str) -> Result<Self, NameError> {
        if looks_like_job_number(text) {
            return Err(NameError::Reserved(text.to_owned()));
        }
        Self::any(text)
    }

    /// Checks the name of a job.
    ///
    /// # Errors
    /// The problem of the name.
    pub fn job(text: &str) -> Result<Self, NameError> {
        let ok = text.len() <= MAX_JOB_NAME_BYTES
            && text.bytes().next().is_some_and(|b| b.is_ascii_alphanumeric())
            && text.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-'));
        if ok { Ok(Self(text.into())) } else { Err(NameError::Job(text.to_owned())) }
    }

    /// Checks a name that may be a graph's or a job's, as every verb takes it.
    ///
    /// # Errors
    /// The problem of the name.
    pub fn any(text: &str) -> Result<Self, NameError> {
        if text.is_empty() || text.len() > MAX_GRAPH_NAME_BYTES {
            return Err(NameError::Length { len: text.len(), max: MAX_GRAPH_NAME_BYTES });
        }
        if let Some(control) = text.chars().find(|c| c.is_control()) {
            return Err(NameError::Control(control));
        }
        if text == "." || text == ".." {
            return Err(NameError::Dots(text.to_owned()));
        }
        let len = encode_safe(text).len();
        if len > MAX_GRAPH_NAME_BYTES {
            return Err(NameError::Encoded { len });
        }
        Ok(Self(text.into()))
    }

    /// Returns the name of the job with this number.
    #[must_use]
    pub fn numbered(number: u64) -> Self {
        Self(format!("j{number}").into())
    }

    /// Returns the number of a job that is named by one, such as 12 of `j12`.
    #[must_use]
    pub fn number(&self) -> Option<u64> {
        let number = self.0.strip_prefix('j').filter(|_| looks_like_job_number(&self.0))?;
        number.parse().ok()
    }

    /// Returns the name as given.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Returns the text, shared.
    #[must_use]
    pub fn shared(&self) -> Arc<str> {
        Arc::clone(&self.0)
    }

    /// Returns the name as a file name: one path component, never `.` or `..`, at most 200 bytes.
    #[must_use]
    pub fn on_disk(&self) -> String {
        encode_safe(&self.0)
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for Name {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = crate::Text::deserialize(deserializer)?;
        Self::any(&text).map_err(|e| de::Error::custom(InvalidName(e)))
    }
}

/// Marks a serde error as a bad name, so that the envelope can answer `invalid-name` instead of
/// `invalid-request`; serde errors carry nothing but text.
struct InvalidName(NameError);

/// Prefix of the text of [`InvalidName`].
pub(crate) const INVALID_NAME: &str = "invalid name: ";

impl fmt::Display for InvalidName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{INVALID_NAME}{}", self.0)
    }
}

fn looks_like_job_number(text: &str) -> bool {
    text.strip_prefix('j').is_some_and(|rest| !rest.is_empty() && rest.bytes().all(|b| b.is_ascii_digit()))
}

/// Encodes a name as one path component: ASCII letters, digits, `_`, `-` and inner dots stay, every other byte
/// becomes `~XX`. A leading dot is encoded too, so that the result is never hidden and never `.` or `..`.
#[must_use]
pub fn encode_safe(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for (at, byte) in text.bytes().enumerate() {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-') || (byte == b'.' && at > 0) {
            out.push(char::from(byte));
        } else if write!(out, "~{byte:02X}").is_err() {
            unreachable!("writing to a String does not fail");
        }
    }
    out
}

/// Decodes the result of [`encode_safe`]; `None` for any other text.
#[must_use]
pub fn decode_safe(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        if byte == b'~' {
            let hex = [rest.next()?, rest.next()?];
            bytes.push(u8::from_str_radix(std::str::from_utf8(&hex).ok()?, 16).ok()?);
        } else {
            bytes.push(byte);
        }
    }
    let name = String::from_utf8(bytes).ok()?;
    (encode_safe(&name) == text).then_some(name)
}

/// The owner that a connection speaks for: a cooperative label among the programs of one user (PROTOCOL 4).
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(transparent)]
pub struct Owner(Arc<str>);

impl Owner {
    /// Checks an owner.
    ///
    /// # Errors
    /// When the text is not `[a-z][a-z0-9-]{0,31}`.
    pub fn new(text: &str) -> Result<Self, NameError> {
        let ok = text.len() <= MAX_OWNER_BYTES
            && text.bytes().next().is_some_and(|b| b.is_ascii_lowercase())
            && text.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-');
        if ok { Ok(Self(text.into())) } else { Err(NameError::Owner(text.to_owned())) }
    }

    /// Returns the owner of a connection that said no hello. It equals no owner, itself included.
    #[must_use]
    pub fn unknown() -> Self {
        Self("unknown".into())
    }

    /// Returns the command line's owner, which may take over workers that are `unknown`.
    #[must_use]
    pub fn cli() -> Self {
        Self("cli".into())
    }

    /// Returns whether this is [`Owner::unknown`].
    #[must_use]
    pub fn is_unknown(&self) -> bool {
        &*self.0 == "unknown"
    }

    /// Returns whether this is [`Owner::cli`].
    #[must_use]
    pub fn is_cli(&self) -> bool {
        &*self.0 == "cli"
    }

    /// Returns the owner as given.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Owner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Marks a serde error as a bad owner, for the same reason as [`INVALID_NAME`].
pub(crate) const INVALID_OWNER: &str = "invalid owner: ";

impl<'de> Deserialize<'de> for Owner {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = crate::Text::deserialize(deserializer)?;
        Self::new(&text).map_err(|e| de::Error::custom(format_args!("{INVALID_OWNER}{e}")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn graph_names() {
        for good in ["demo", "foo/bar", "Nötes 2026", "j", "j12a", "J12", "...", ".hidden", "a\u{1F600}"] {
            assert!(Name::graph(good).is_ok(), "{good}");
        }
        for bad in ["", ".", "..", "j12", "j0", "a\nb", "a\0b", "\u{7f}", "\u{85}"] {
            assert!(Name::graph(bad).is_err(), "{bad:?}");
        }
        assert!(Name::graph(&"x".repeat(200)).is_ok());
        assert_eq!(Name::graph(&"x".repeat(201)), Err(NameError::Length { len: 201, max: 200 }));
        assert_eq!(Name::graph(&"é".repeat(40)), Err(NameError::Encoded { len: 240 }));
    }

    #[test]
    fn job_names() {
        for good in ["a", "dev.server_1-x", "9", &"x".repeat(64)] {
            assert!(Name::job(good).is_ok(), "{good}");
        }
        for bad in ["", ".a", "-a", "a b", "é", "a/b", &"x".repeat(65)] {
            assert!(Name::job(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn owners_are_checked() {
        for good in ["cli", "a", "agent-7", &"x".repeat(32)] {
            assert!(Owner::new(good).is_ok(), "{good}");
        }
        for bad in ["", "Cli", "7a", "-a", "a_b", "a b", "é", &"x".repeat(33)] {
            assert!(Owner::new(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn names_on_disk() {
        assert_eq!(encode_safe("foo/bar"), "foo~2Fbar");
        assert_eq!(encode_safe(".hidden.x"), "~2Ehidden.x");
        assert_eq!(encode_safe("~"), "~7E");
        assert_eq!(decode_safe("~2ehidden"), None);
        assert_eq!(decode_safe("~G0"), None);
    }

    proptest! {
        #[test]
        fn encoding_is_reversible_and_one_component(text in any::<String>()) {
            let encoded = encode_safe(&text);
            prop_assert_eq!(decode_safe(&encoded), Some(text));
            prop_assert!(!encoded.contains('/') && !encoded.starts_with('.'));
            prop_assert!(encoded.is_ascii());
        }
    }
}
