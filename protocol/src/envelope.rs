//! The envelope around requests and responses (PROTOCOL 3).
//!
//! Reading is strict: duplicate keys, unknown fields and wrong types are refused with the field and the position,
//! and with the request's id wherever it could be read. Whoever speaks this envelope with requests of its own
//! implements [`Requests`] for them. Nothing here keeps state.

use crate::error::{ErrorCode, WireError};
use crate::limits::MAX_REQUEST_BYTES;
use crate::name::{INVALID_NAME, INVALID_OWNER};
use crate::request::Request;
use serde::de::{self, DeserializeSeed, Deserializer, MapAccess, Visitor};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use std::borrow::Cow;
use std::fmt;

/// What a client calls its request: a string or an integer, echoed.
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
    /// What a person can do about a type that is not of the set.
    const UNKNOWN_HINT: &'static str;

    /// Reads the payload of a request of this type; `None` when there is no such type.
    ///
    /// # Errors
    /// What the payload's deserializer says.
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
    /// What the client calls it; null when it gave none.
    pub id: Option<Id>,
    /// What it wants.
    pub request: R,
}

/// A line that is no request, with its id where that could be read.
#[derive(Debug, Clone, PartialEq)]
pub struct Rejected {
    /// The id, where the line could be read so far.
    pub id: Option<Id>,
    /// What is wrong with the line.
    pub error: Box<WireError>,
}

/// Reads one request frame of the supervisor's.
///
/// # Errors
/// `invalid-request`, `unknown-request`, `invalid-name` or `invalid-owner`, naming the field and the position.
pub fn parse_request(line: &[u8]) -> Result<Incoming, Rejected> {
    parse_requests(line)
}

/// Reads one request frame of any set. What the request borrows, it borrows from the line.
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
        Some(Ok(request)) => Ok(Incoming { id, request }),
        Some(Err(_)) => {
            let offset = envelope.payload.map_or(0, |raw| offset_in(text, raw.get()));
            let error =
                explain("payload", payload, offset, |tracked| R::parse(&envelope.type_name, tracked)?.err());
            Err(Rejected { id, error: Box::new(error) })
        }
        None => Err(Rejected { id, error: Box::new(unknown_request(&envelope.type_name, R::UNKNOWN_HINT)) }),
    }
}

/// Reads one value that is part of a frame, as strictly as a request. In errors, fields are named below `field`
/// and positions are counted from the beginning of `text`.
///
/// # Errors
/// `invalid-request`, naming the field and the position.
pub fn parse_part<'a, T: Deserialize<'a>>(text: &'a str, field: &str) -> Result<T, Box<WireError>> {
    serde_json::from_str(text).map_err(|e| {
        let explained = |tracked: Tracked<'_, '_, 'a>| T::deserialize(tracked).err();
        // What follows the value is not seen by its deserializer, so it has no path.
        Box::new(if e.is_syntax() { from_serde(&e, field, 0) } else { explain(field, text, 0, explained) })
    })
}

/// The answer to a line that was longer than allowed.
#[must_use]
pub fn frame_too_long() -> WireError {
    let message = format!("a request may have at most {MAX_REQUEST_BYTES} bytes; this one was discarded");
    WireError::new(ErrorCode::FrameTooLong, message)
        .hint("send large data in several requests")
        .details(serde_json::json!({"field": "", "position": MAX_REQUEST_BYTES}))
}

/// Writes a request frame with its newline.
///
/// # Errors
/// When the request can't be serialised or is longer than [`MAX_REQUEST_BYTES`].
pub fn write_request(id: &Id, request: &Request) -> Result<Vec<u8>, WireError> {
    #[derive(Serialize)]
    struct Line<'a> {
        id: &'a Id,
        #[serde(rename = "type")]
        type_name: &'a str,
        #[serde(skip_serializing_if = "Option::is_none")]
        payload: Option<Box<RawValue>>,
    }
    let internal =
        |e: serde_json::Error| WireError::new(ErrorCode::Internal, format!("cannot write the request: {e}"));
    let payload = request.payload().map_err(internal)?;
    let mut line =
        serde_json::to_vec(&Line { id, type_name: request.type_name(), payload }).map_err(internal)?;
    if line.len() > MAX_REQUEST_BYTES {
        return Err(frame_too_long());
    }
    line.push(b'\n');
    Ok(line)
}

/// Appends a response frame with its newline.
///
/// # Errors
/// When the data can't be serialised; `out` is then as it was.
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

/// One frame as a client receives it.
#[derive(Debug)]
pub enum ServerFrame<'a> {
    /// The answer to a request.
    Response {
        /// The request's id.
        id: Option<Id>,
        /// Its data, still unparsed, or why it failed.
        result: Result<&'a RawValue, WireError>,
    },
    /// An event, or `lagged`, still unparsed.
    Event(&'a str),
}

/// Reads one frame from the supervisor. Unknown fields are ignored.
///
/// # Errors
/// When the line is neither a response nor an event.
pub fn parse_server_frame(line: &[u8]) -> Result<ServerFrame<'_>, serde_json::Error> {
    #[derive(Deserialize)]
    struct Line<'a> {
        #[serde(default)]
        id: Option<Id>,
        success: Option<bool>,
        #[serde(borrow)]
        data: Option<&'a RawValue>,
        error: Option<WireError>,
        #[serde(borrow)]
        event: Option<Cow<'a, str>>,
    }
    let text = std::str::from_utf8(line).map_err(de::Error::custom)?;
    let line: Line<'_> = serde_json::from_str(text)?;
    match line {
        Line { event: Some(_), success: None, .. } => Ok(ServerFrame::Event(text)),
        Line { id, success: Some(true), data: Some(data), .. } => {
            Ok(ServerFrame::Response { id, result: Ok(data) })
        }
        Line { id, success: Some(false), error: Some(error), .. } => {
            Ok(ServerFrame::Response { id, result: Err(error) })
        }
        Line { .. } => Err(de::Error::custom("neither a response nor an event")),
    }
}

struct Envelope<'a> {
    type_name: Cow<'a, str>,
    payload: Option<&'a RawValue>,
}

/// Reads the envelope and leaves the id behind even when a later field is wrong.
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
        while let Some(key) = map.next_key::<Cow<'de, str>>()? {
            match key.as_ref() {
                "id" if has_id => return Err(de::Error::duplicate_field("id")),
                "id" => {
                    has_id = true;
                    *self.id = map.next_value()?;
                }
                "type" if type_name.is_some() => return Err(de::Error::duplicate_field("type")),
                "type" => type_name = Some(map.next_value::<Cow<'de, str>>()?),
                "payload" if payload.is_some() => return Err(de::Error::duplicate_field("payload")),
                "payload" => payload = Some(map.next_value::<&RawValue>()?),
                other => return Err(de::Error::unknown_field(other, FIELDS)),
            }
        }
        let type_name = type_name.ok_or_else(|| de::Error::missing_field("type"))?;
        Ok(Envelope { type_name, payload })
    }
}

type Tracked<'p, 'r, 'a> =
    serde_path_to_error::Deserializer<'p, 'r, &'r mut serde_json::Deserializer<serde_json::de::StrRead<'a>>>;

/// Parses a value that was refused once more, this time keeping track of where it is. Only bad requests pay for
/// that.
fn explain<'a>(
    root: &str,
    text: &'a str,
    offset: usize,
    parse: impl FnOnce(Tracked<'_, '_, 'a>) -> Option<serde_json::Error>,
) -> WireError {
    let mut reader = serde_json::Deserializer::from_str(text);
    let mut track = serde_path_to_error::Track::new();
    let Some(error) = parse(serde_path_to_error::Deserializer::new(&mut reader, &mut track)) else {
        return invalid("the value cannot be read", root, offset);
    };
    let path = track.path().to_string();
    let mut field = root.to_owned();
    if path != "." {
        field = format!("{root}.{path}");
    }
    if let Some(name) = named_field(&error.to_string())
        && !field.ends_with(&format!(".{name}"))
    {
        field = format!("{field}.{name}");
    }
    from_serde(&error, &field, offset)
}

fn from_serde(error: &serde_json::Error, field: &str, offset: usize) -> WireError {
    let text = error.to_string();
    let position = offset + error.column().saturating_sub(1);
    // serde_json ends its messages with a line and a column of the part it was given.
    let what = text.rfind(" at line ").and_then(|at| text.get(..at)).unwrap_or(&text);
    let coded = [(INVALID_NAME, ErrorCode::InvalidName), (INVALID_OWNER, ErrorCode::InvalidOwner)];
    for (prefix, code) in coded {
        if let Some(message) = what.strip_prefix(prefix) {
            return WireError::new(code, message).details(place(field, position));
        }
    }
    invalid(what, field, position)
}

fn invalid(message: &str, field: &str, position: usize) -> WireError {
    let hint = "a request is one line: {\"id\":1,\"type\":\"ping\"}";
    WireError::new(ErrorCode::InvalidRequest, message).hint(hint).details(place(field, position))
}

fn place(field: &str, position: usize) -> serde_json::Value {
    serde_json::json!({"field": field, "position": position})
}

fn unknown_request(type_name: &str, hint: &str) -> WireError {
    let shown: String = type_name.chars().take(64).collect();
    WireError::new(ErrorCode::UnknownRequest, format!("there is no request type {shown:?}"))
        .hint(hint)
        .details(serde_json::json!({"field": "type", "position": 0}))
}

/// The field that serde names in its message: it does so in backticks, and its errors carry it nowhere else.
fn named_field(message: &str) -> Option<&str> {
    let rest = ["unknown field `", "missing field `", "duplicate field `"]
        .iter()
        .find_map(|prefix| message.split_once(prefix))?
        .1;
    rest.split_once('`').map(|(name, _)| name)
}

fn offset_in(whole: &str, part: &str) -> usize {
    (part.as_ptr() as usize).saturating_sub(whole.as_ptr() as usize)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::limits;

    fn rejected(line: &str) -> (Option<Id>, WireError) {
        let rejected = parse_request(line.as_bytes()).unwrap_err();
        (rejected.id, *rejected.error)
    }

    fn place_of(line: &str) -> (Option<Id>, String, u64) {
        let (id, error) = rejected(line);
        assert_eq!(error.code, ErrorCode::InvalidRequest, "{error:?}");
        let details = error.details.unwrap();
        (id, details["field"].as_str().unwrap().to_owned(), details["position"].as_u64().unwrap())
    }

    #[test]
    fn reads_requests_with_and_without_payload() {
        let incoming = parse_request(br#"{"id":7,"type":"ping"}"#).unwrap();
        assert_eq!(incoming, Incoming { id: Some(Id::Number(7)), request: Request::Ping });
        let incoming = parse_request(br#"{"type":"ping","payload":{},"id":"a"}"#).unwrap();
        assert_eq!(incoming.id, Some(Id::Text("a".to_owned())));
        assert_eq!(parse_request(br#"{"type":"ping"}"#).unwrap().id, None);
    }

    #[test]
    fn names_the_field_and_the_position() {
        assert_eq!(
            place_of(r#"{"id":1,"type":"ping","extra":1}"#),
            (Some(Id::Number(1)), "extra".into(), 28)
        );
        assert_eq!(place_of(r#"{"id":1,"id":2,"type":"ping"}"#).1, "id");
        assert_eq!(place_of(r#"{"id":1}"#).1, "type");
        assert_eq!(place_of(r#"{"id":1,"type":"get","payload":{}}"#).1, "payload.name");
        assert_eq!(place_of(r#"{"id":1,"type":"get","payload":{"name":3}}"#).1, "payload.name");
        assert_eq!(place_of(r#"{"id":1,"type":"get","payload":{"nam":"x"}}"#).1, "payload.nam");
        assert_eq!(place_of(r#"{"id":1,"type":"stop","payload":{"name":"a","name":"b"}}"#).1, "payload.name");
        assert_eq!(place_of(r#"{"id":1,"type":"start","payload":{"env":{"A":1}}}"#).1, "payload.env.A");
        let (_, field, position) = place_of(r#"{"id":1,"type":"start","payload":{"timeout_ms":1e400}}"#);
        assert_eq!((field.as_str(), position > 40), ("payload.timeout_ms", true));
        assert_eq!(place_of(r#"{"id":1.5,"type":"ping"}"#).0, None);
        assert_eq!(place_of("[1]").0, None);
        assert_eq!(place_of(r#"{"id":1,"type":"ping"} x"#).0, Some(Id::Number(1)));
    }

    #[test]
    fn names_and_owners_have_codes_of_their_own() {
        let (id, error) = rejected(r#"{"id":1,"type":"get","payload":{"name":".."}}"#);
        assert_eq!((id, error.code), (Some(Id::Number(1)), ErrorCode::InvalidName));
        assert_eq!(error.details.unwrap()["field"], "payload.name");
        let (_, error) = rejected(r#"{"id":1,"type":"hello","payload":{"protocol":1,"owner":"Root"}}"#);
        assert_eq!(error.code, ErrorCode::InvalidOwner);
        let (id, error) = rejected(r#"{"id":1,"type":"dance","payload":{"x":[1]}}"#);
        assert_eq!((id, error.code), (Some(Id::Number(1)), ErrorCode::UnknownRequest));
    }

    #[test]
    fn bombs_are_refused() {
        let deep =
            format!(r#"{{"id":1,"type":"ping","payload":{}1{}}}"#, "[".repeat(100_000), "]".repeat(100_000));
        assert!(parse_request(deep.as_bytes()).is_err());
        let deep = format!(
            r#"{{"id":1,"type":"start","payload":{{"env":{}1{}}}}}"#,
            "{\"a\":".repeat(200),
            "}".repeat(200)
        );
        assert!(parse_request(deep.as_bytes()).is_err());
        assert!(parse_request(b"{\"id\":1,\"type\":\"ping\xff\"}").is_err());
        assert!(parse_request(br#"{"id":1,"type":"start","payload":{"graph":"a\u0000"}}"#).is_err());
    }

    #[test]
    fn requests_survive_the_wire() {
        let request = Request::Start(crate::request::Start {
            graph: Some(crate::Name::graph("nötes").unwrap()),
            env: Some([("A", "1")].into_iter().collect()),
            timeout_ms: Some(5),
            lease: true,
            ..Default::default()
        });
        let line = write_request(&Id::Number(3), &request).unwrap();
        assert_eq!(parse_request(line.trim_ascii()).unwrap(), Incoming { id: Some(Id::Number(3)), request });
        let long = Request::Get(crate::request::ByName { name: crate::Name::graph("x").unwrap() });
        assert!(write_request(&Id::Text("x".repeat(limits::MAX_REQUEST_BYTES)), &long).is_err());
    }

    #[test]
    fn parts_are_read_as_strictly() {
        let error = |text: &str| parse_part::<crate::request::Stop>(text, "line").unwrap_err();
        assert_eq!(error(r#"{"name":"a","force":1}"#).details.unwrap()["field"], "line.force");
        assert_eq!(error(r#"{"name":"a","name":"b"}"#).details.unwrap()["field"], "line.name");
        assert_eq!(error(r#"{"name":"a"} x"#).details.unwrap()["position"], 13);
        assert!(parse_part::<crate::request::Stop>(r#"{"name":"a"}"#, "line").is_ok());
    }

    #[test]
    fn server_frames() {
        let frame = parse_server_frame(br#"{"id":1,"success":true,"data":{"pong":true},"new":1}"#).unwrap();
        assert!(matches!(frame, ServerFrame::Response { id: Some(Id::Number(1)), result: Ok(_) }));
        let frame = parse_server_frame(br#"{"event":"worker_of_tomorrow","seq":1}"#).unwrap();
        assert!(matches!(frame, ServerFrame::Event(_)));
        assert!(parse_server_frame(br#"{"pong":true}"#).is_err());
    }
}
