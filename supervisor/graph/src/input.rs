//! Nodes and edges as clients send them, checked while they are parsed: a value of these types is within its
//! bounds. Keeps no state.

use crate::limits::{MAX_ID_BYTES, MAX_LABEL_BYTES, MAX_PROPERTIES_BYTES, MAX_PROPERTIES_DEPTH};
use gob_protocol::Text;
use serde::Deserialize;
use serde::de::{self, DeserializeSeed, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;
use std::borrow::Cow;
use std::fmt::{self, Write as _};

/// Text of 1 to `MAX` bytes without control characters.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Short<'a, const MAX: usize>(pub(crate) Cow<'a, str>);

/// A node's id.
pub(crate) type NodeId<'a> = Short<'a, MAX_ID_BYTES>;
/// A node's label or an edge's type.
pub(crate) type Label<'a> = Short<'a, MAX_LABEL_BYTES>;

impl<'de: 'a, 'a, const MAX: usize> Deserialize<'de> for Short<'a, MAX> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Text<const MAX: usize>;
        impl<const MAX: usize> Text<MAX> {
            fn check<E: de::Error>(&self, text: &str) -> Result<(), E> {
                if text.is_empty() || text.len() > MAX {
                    return Err(E::invalid_length(text.len(), self));
                }
                match text.chars().find(|c| c.is_control()) {
                    Some(control) => Err(E::custom(format_args!("control character {control:?} in a name"))),
                    None => Ok(()),
                }
            }
        }
        impl<'de, const MAX: usize> Visitor<'de> for Text<MAX> {
            type Value = Short<'de, MAX>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "a string of 1 to {MAX} bytes")
            }

            fn visit_borrowed_str<E: de::Error>(self, text: &'de str) -> Result<Self::Value, E> {
                self.check(text).map(|()| Short(Cow::Borrowed(text)))
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<Self::Value, E> {
                self.check(text).map(|()| Short(Cow::Owned(text.to_owned())))
            }
        }
        deserializer.deserialize_str(Text::<MAX>)
    }
}

impl<const MAX: usize> Short<'_, MAX> {
    /// Returns the text.
    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }
}

/// A properties object: its JSON as sent, and its text for the search.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Properties<'a> {
    /// The object, byte for byte, so that numbers keep their digits.
    pub(crate) json: &'a str,
    /// All strings and numbers among its values.
    pub(crate) text: String,
}

impl Default for Properties<'_> {
    fn default() -> Self {
        Self { json: "{}", text: String::new() }
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for Properties<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let json = <&'de RawValue>::deserialize(deserializer)?.get();
        if json.len() > MAX_PROPERTIES_BYTES {
            return Err(de::Error::custom(format_args!(
                "properties may have {MAX_PROPERTIES_BYTES} bytes, these have {}",
                json.len()
            )));
        }
        if !json.starts_with('{') {
            return Err(de::Error::custom("properties are not an object"));
        }
        let mut text = String::new();
        if json != "{}" {
            let walk = Walk { text: &mut text, depth: 0 };
            let walked = walk.deserialize(&mut serde_json::Deserializer::from_str(json));
            walked.map_err(|e| de::Error::custom(format_args!("properties: {}", without_place(&e))))?;
        }
        Ok(Self { json, text })
    }
}

/// Removes the place from an error: the frame's own error has it, and a place within the object would only
/// confuse.
fn without_place(error: &serde_json::Error) -> String {
    let mut text = error.to_string();
    if let Some(at) = text.rfind(" at line ") {
        text.truncate(at);
    }
    text
}

/// Reads any JSON value, refuses duplicate keys and deep nesting, and gathers its text.
struct Walk<'t> {
    text: &'t mut String,
    depth: usize,
}

impl Walk<'_> {
    fn word<E: de::Error>(self, word: impl fmt::Display) -> Result<(), E> {
        write!(self.text, "{word} ").map_err(E::custom)
    }

    fn deeper<E: de::Error>(depth: usize) -> Result<usize, E> {
        if depth >= MAX_PROPERTIES_DEPTH {
            return Err(E::custom(format_args!("nested more than {MAX_PROPERTIES_DEPTH} deep")));
        }
        Ok(depth + 1)
    }
}

impl<'de> DeserializeSeed<'de> for Walk<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Walk<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_unit<E: de::Error>(self) -> Result<(), E> {
        Ok(())
    }

    fn visit_bool<E: de::Error>(self, _: bool) -> Result<(), E> {
        Ok(())
    }

    fn visit_i64<E: de::Error>(self, number: i64) -> Result<(), E> {
        self.word(number)
    }

    fn visit_u64<E: de::Error>(self, number: u64) -> Result<(), E> {
        self.word(number)
    }

    fn visit_f64<E: de::Error>(self, number: f64) -> Result<(), E> {
        self.word(number)
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<(), E> {
        self.word(text)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<(), A::Error> {
        let depth = Self::deeper(self.depth)?;
        while list.next_element_seed(Walk { text: &mut *self.text, depth })?.is_some() {}
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        let depth = Self::deeper(self.depth)?;
        let mut keys: Vec<Cow<'de, str>> = Vec::new();
        while let Some(Text(key)) = map.next_key()? {
            keys.push(key);
            map.next_value_seed(Walk { text: &mut *self.text, depth })?;
        }
        keys.sort_unstable();
        let twice = keys.windows(2).find_map(|pair| match pair {
            [a, b] if a == b => Some(a),
            _ => None,
        });
        match twice {
            Some(key) => Err(de::Error::custom(format_args!("duplicate key {key:?}"))),
            None => Ok(()),
        }
    }
}

/// A node to put.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Node<'a> {
    /// The node's id.
    #[serde(borrow)]
    pub(crate) id: NodeId<'a>,
    /// The node's label.
    #[serde(borrow, default)]
    pub(crate) label: Option<Label<'a>>,
    /// The node's properties.
    #[serde(borrow, default)]
    pub(crate) properties: Properties<'a>,
}

/// An edge's identity: both ends and the type.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct EdgeKey<'a> {
    /// The node where it begins.
    #[serde(borrow)]
    pub(crate) from: NodeId<'a>,
    /// The node where it ends.
    #[serde(borrow)]
    pub(crate) to: NodeId<'a>,
    /// The edge's type.
    #[serde(borrow, rename = "type")]
    pub(crate) edge_type: Label<'a>,
}

/// An edge to put.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Edge<'a> {
    /// The node where it begins.
    #[serde(borrow)]
    pub(crate) from: NodeId<'a>,
    /// The node where it ends.
    #[serde(borrow)]
    pub(crate) to: NodeId<'a>,
    /// The edge's type.
    #[serde(borrow, rename = "type")]
    pub(crate) edge_type: Label<'a>,
    /// The edge's properties.
    #[serde(borrow, default)]
    pub(crate) properties: Properties<'a>,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn properties(json: &str) -> Result<Properties<'_>, String> {
        serde_json::from_str(json).map_err(|e| e.to_string())
    }

    #[test]
    fn properties_are_kept_as_they_are_and_their_text_is_found() {
        let json = r#"{"a":"x\ny","b":[1,{"c":"é"}],"d":true,"e":1.50}"#;
        let read = properties(json).unwrap();
        assert_eq!(read.json, json);
        assert_eq!(read.text, "x\ny 1 é 1.5 ");
        assert!(properties("[]").unwrap_err().contains("not an object"));
        assert!(properties(r#"{"a":{"b":1,"c":2,"b":3}}"#).unwrap_err().contains("duplicate key \"b\""));
        assert!(properties(r#"{"a":"\ud800"}"#).is_err());
        let deep = |n: usize| format!("{{\"a\":{}{}}}", "[".repeat(n), "]".repeat(n));
        assert!(properties(&deep(99)).is_ok());
        assert!(properties(&deep(100)).unwrap_err().contains("deep"));
        assert!(properties(&deep(100_000)).is_err());
        let large = format!("{{\"a\":\"{}\"}}", "x".repeat(MAX_PROPERTIES_BYTES));
        assert!(properties(&large).unwrap_err().contains("bytes"));
    }

    #[test]
    fn ids_are_bounded() {
        let id = |text: &str| serde_json::from_str::<NodeId<'_>>(text).is_ok();
        assert!(id("\"a\"") && id("\"foo/bar é\"") && id(&format!("\"{}\"", "x".repeat(512))));
        assert!(!id("\"\"") && !id("\"a\\nb\"") && !id("5") && !id(&format!("\"{}\"", "x".repeat(513))));
    }

    #[test]
    fn absent_and_null_labels() {
        let node: Node<'_> = serde_json::from_str(r#"{"id":"a"}"#).unwrap();
        assert_eq!((node.label, node.properties.json), (None, "{}"));
        let node: Node<'_> = serde_json::from_str(r#"{"id":"a","label":null,"properties":{}}"#).unwrap();
        assert_eq!(node.label, None);
        assert!(serde_json::from_str::<Node<'_>>(r#"{"id":"a","labl":"x"}"#).is_err());
    }
}
