//! A place in the changes that supervisors told, over all their lives: `INSTANCE:SEQ` (PROTOCOL 5, History).

use crate::limits::MAX_WORD_BYTES;
use crate::text::Text;
use core::fmt;
use serde::de::Error;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// A place in the changes that supervisors told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cursor {
    /// The supervisor's life.
    pub instance: String,
    /// The number of an event in it.
    pub seq: u64,
}

impl Cursor {
    /// Reads the written form; `None` for any other text.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let (instance, seq) = text.rsplit_once(':')?;
        let is_number = !seq.is_empty() && seq.bytes().all(|byte| byte.is_ascii_digit());
        let seq = seq.parse().ok().filter(|_| is_number)?;
        is_instance(instance).then(|| Self { instance: instance.to_owned(), seq })
    }
}

/// Returns whether a text has the form of an instance.
fn is_instance(text: &str) -> bool {
    let is_of_word = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
    !text.is_empty() && text.len() <= MAX_WORD_BYTES && text.bytes().all(is_of_word)
}

impl fmt::Display for Cursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.instance, self.seq)
    }
}

impl Serialize for Cursor {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Cursor {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let text = Text::deserialize(from)?;
        Self::parse(&text).ok_or_else(|| D::Error::custom("a cursor is INSTANCE:SEQ"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_is_read_as_it_is_written_and_nothing_else_is() {
        for text in ["01a22739-da9a-7678-9063-e1d09abed318:57", "i:0"] {
            let json = format!("\"{text}\"");
            let cursor: Cursor = serde_json::from_str(&json).unwrap();
            assert_eq!((cursor.to_string().as_str(), serde_json::to_string(&cursor).unwrap()), (text, json));
        }
        let long = format!("{}:1", "i".repeat(MAX_WORD_BYTES + 1));
        for bad in ["", ":", "i:", ":5", "57", "a:b", "i:-1", "i:+1", "a b:3", "1:2:x", "i:5 ", &long] {
            assert_eq!(Cursor::parse(bad), None, "{bad}");
        }
    }
}
