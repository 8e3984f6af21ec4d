//! The envelope around requests and responses (PROTOCOL 3).
//!
//! Reading is strict: duplicate keys, unknown fields and wrong types are refused with the field and the
//! position, and with the request's id wherever it could be read. A program that uses this envelope for
//! requests of its own implements [`Requests`] for them. This module keeps no state.

mod client;
mod explain;

pub use client::{ServerFrame, parse_server_frame, write_request};

use crate::error::{ErrorCode, WireError};
use crate::limits::MAX_REQUEST_BYTES;
use crate::request::Request;
use crate::text::Text;
use explain::{Tracked, explain, from_serde, invalid, named_field, offset_in, unknown_request};
use serde::de::{self, DeserializeSeed, Deserializer, MapAccess, Visitor};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use std::fmt;

/// The id of a request, chosen by its client: a string or an integer, echoed.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(untagged)]
pub enum Id {
    /// An integer.
    Number(i64),
    /// An integer beyond `i64`.
    Large(u64),
    /// A string of at most [`Id::MAX_BYTES`] bytes.
    Text(String),
}

impl Id {
    /// Bound of a textual id: it is kept until the request is answered.
    pub const MAX_BYTES: usize = 256;
}

impl<'de> Deserialize<'de> for Id {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct IdVisitor;
        impl Visitor<'_> for IdVisitor {
            type Value = Id;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "an integer or a string of at most {} bytes", Id::MAX_BYTES)
            }

            fn visit_i64<E: de::Error>(self, value: i64) -> Result<Id, E> {
                Ok(Id::Number(value))
            }

            fn visit_u64<E: de::Error>(self, value: u64) -> Result<Id, E> {
                Ok(i64::try_from(value).map_or(Id::Large(value), Id::Number))
            }

            fn visit_str<E: de::Error>(self, value: &str) -> Result<Id, E> {
                if value.len() > Id::MAX_BYTES {
                    return Err(E::invalid_length(value.len(), &self));
                }
                Ok(Id::Text(value.to_owned()))
            }
        }
        deserializer.deserialize_any(IdVisitor)
    }
}

/// A set of request types that travels in this envelope.
pub trait Requests<'de>: Sized {
    /// A hint for a person whose request type is not of the set.
    const UNKNOWN_HINT: &'static str;

    /// Returns the types of the set, as the answer to an unknown type lists them.
    fn types() -> impl Iterator<Item = &'static str> {
        std::iter::empty()
    }

    /// Parses the payload of a request of this type; `None` when there is no such type.
    ///
    /// # Errors
    /// The error of the payload's deserializer.
    fn parse<D: Deserializer<'de>>(type_name: &str, payload: D) -> Option<Result<Self, D::Error>>;
}

impl<'de> Requests<'de> for Request {
    const UNKNOWN_HINT: &'static str = "the supervisor may be older than the client: see gobctl status";

    fn parse<D: Deserializer<'de>>(type_name: &str, payload: D) -> Option<Result<Self, D::Error>> {
        Self::parse(type_name, payload)
    }
}

/// A request together with its id.
#[derive(Debug, Clone, PartialEq)]
pub struct Incoming<R = Request> {
    /// The client's id for it; null when the client gave none.
    pub id: Option<Id>,
    /// The request.
    pub request: R,
}

/// A line that is not a request, with its id where that could be read.
#[derive(Debug, Clone, PartialEq)]
pub struct Rejected {
    /// The id, where the line could be read that far.
    pub id: Option<Id>,
    /// The problem of the line.
    pub error: Box<WireError>,
}

/// Parses one request frame of the supervisor's protocol.
///
/// # Errors
/// `invalid-request`, `unknown-request`, `invalid-name` or `invalid-owner`, naming the field and the position.
pub fn parse_request(line: &[u8]) -> Result<Incoming, Rejected> {
    parse_requests(line)
}

/// Parses one request frame of any set. Data that the request borrows is borrowed from the line.
///
/// # Errors
/// As [`parse_request`].
pub fn parse_requests<'a, R: Requests<'a>>(line: &'a [u8]) -> Result<Incoming<R>, Rejected> {
    let mut id = None;
    let text = match std::str::from_utf8(line) {
        Ok(text) => text,
        Err(e) => {
            let message = format!("the request is not UTF-8 at byte {}", e.valid_up_to());
            return Err(Rejected { id, error: Box::new(invalid(&message, "", e.valid_up_to())) });
        }
    };
    let mut reader = serde_json::Deserializer::from_str(text);
    let envelope = EnvelopeSeed { id: &mut id }.deserialize(&mut reader).and_then(|raw| {
        reader.end()?;
        Ok(raw)
    });
    let envelope = match envelope {
        Ok(envelope) => envelope,
        Err(e) => {
            let field = named_field(&e.to_string()).unwrap_or_default().to_owned();
            return Err(Rejected { id, error: Box::new(from_serde(&e, &field, 0)) });
        }
    };
    let payload = envelope.payload.map_or("{}", RawValue::get);
    let mut reader = serde_json::Deserializer::from_str(payload);
    match R::parse(&envelope.type_name, &mut reader) {
        // Serde would read the values of a list as those of the fields.
        Some(_) if !payload.starts_with('{') => {
            let offset = envelope.payload.map_or(0, |raw| offset_in(text, raw.get()));
            let error = invalid("the payload is not an object", "payload", offset);
            Err(Rejected { id, error: Box::new(error) })
        }
        Some(Ok(request)) => Ok(Incoming { id, request }),
        Some(Err(_)) => {
            let offset = envelope.payload.map_or(0, |raw| offset_in(text, raw.get()));
            let error =
                explain("payload", payload, offset, |tracked| R::parse(&envelope.type_name, tracked)?.err());
            Err(Rejected { id, error: Box::new(error) })
        }
        None => Err(Rejected { id, error: Box::new(unknown_request::<R>(&envelope.type_name)) }),
    }
}

/// Parses one value that is part of a frame, as strictly as a request. Errors name fields below `field` and
/// count positions from the beginning of `text`.
///
/// # Errors
/// `invalid-request`, naming the field and the position.
pub fn parse_part<'a, T: Deserialize<'a>>(text: &'a str, field: &str) -> Result<T, Box<WireError>> {
    serde_json::from_str(text).map_err(|e| {
        let explained = |tracked: Tracked<'_, '_, 'a>| T::deserialize(tracked).err();
        // Bytes after the value are not seen by its deserializer, so that error has no path.
        Box::new(if e.is_syntax() { from_serde(&e, field, 0) } else { explain(field, text, 0, explained) })
    })
}

/// Returns the answer to a line that was longer than allowed.
#[must_use]
pub fn frame_too_long() -> WireError {
    let message = format!("a request may have at most {MAX_REQUEST_BYTES} bytes; this one was discarded");
    WireError::new(ErrorCode::FrameTooLong, message)
        .hint("send large data in several requests")
        .details(serde_json::json!({"field": "", "position": MAX_REQUEST_BYTES}))
}

/// Appends a response frame with its newline.
///
/// # Errors
/// When the data can't be serialised; `out` is then unchanged.
pub fn write_response<T: Serialize>(
    out: &mut Vec<u8>,
    id: Option<&Id>,
    result: Result<&T, &WireError>,
) -> Result<(), serde_json::Error> {
    #[derive(Serialize)]
    struct Success<'a, T> {
        id: Option<&'a Id>,
        success: bool,
        data: &'a T,
    }
    #[derive(Serialize)]
    struct Failure<'a> {
        id: Option<&'a Id>,
        success: bool,
        error: &'a WireError,
    }
    let start = out.len();
    let written = match result {
        Ok(data) => serde_json::to_writer(&mut *out, &Success { id, success: true, data }),
        Err(error) => serde_json::to_writer(&mut *out, &Failure { id, success: false, error }),
    };
    if written.is_err() {
        out.truncate(start);
    } else {
        out.push(b'\n');
    }
    written
}

struct Envelope<'a> {
    type_name: Text<'a>,
    payload: Option<&'a RawValue>,
}

/// Reads the envelope, and keeps the id even when a later field is wrong.
struct EnvelopeSeed<'s> {
    id: &'s mut Option<Id>,
}

const FIELDS: &[&str] = &["id", "type", "payload"];

impl<'de> DeserializeSeed<'de> for EnvelopeSeed<'_> {
    type Value = Envelope<'de>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Envelope<'de>, D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for EnvelopeSeed<'_> {
    type Value = Envelope<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a request object {id, type, payload}")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Envelope<'de>, A::Error> {
        let (mut has_id, mut type_name, mut payload) = (false, None, None);
        while let Some(key) = map.next_key::<Text<'de>>()? {
            match &*key {
                "id" if has_id => return Err(de::Error::duplicate_field("id")),
                "id" => {
                    has_id = true;
                    *self.id = map.next_value()?;
                }
                "type" if type_name.is_some() => return Err(de::Error::duplicate_field("type")),
                "type" => type_name = Some(map.next_value::<Text<'de>>()?),
                "payload" if payload.is_some() => return Err(de::Error::duplicate_field("payload")),
                "payload" => payload = Some(map.next_value::<&RawValue>()?),
                other => return Err(de::Error::unknown_field(other, FIELDS)),
            }
        }
        let type_name = type_name.ok_or_else(|| de::Error::missing_field("type"))?;
        Ok(Envelope { type_name, payload })
    }
}

#[cfg(test)]
mod tests;
