//! The handshake: the line in which a worker reports that it is ready (PROTOCOL 11).
//!
//! [`HandshakeReader`] owns the bytes of standard output up to that line and nothing after it.

use crate::bounded::cut_to;
use crate::frame::Framer;
use crate::limits::{MAX_HANDSHAKE_BYTES, MAX_PATH_BYTES, MAX_REASON_BYTES, MAX_WORD_BYTES};
use serde_json::{Map, Value};

/// A worker's description of itself.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Handshake {
    /// The worker's version.
    pub version: Option<String>,
    /// The worker's endpoint: `unix:…` or `http://…`.
    pub endpoint: Option<String>,
    /// The endpoint was made from a port alone, so that `http` stands for the protocol of the worker's kind.
    pub by_port: bool,
    /// All further fields under `target` or `meta`.
    pub meta: Map<String, Value>,
}

/// The reason why there is no handshake.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum HandshakeError {
    /// The worker said `ready:false`.
    #[error("{0}")]
    Refused(String),
    /// A line of more than 64 KiB, or a handshake with fields of the wrong type.
    #[error("{0}")]
    Invalid(String),
}

impl HandshakeError {
    /// Returns a refusal with the worker's own text, cut for display.
    fn refused(why: String) -> Self {
        Self::Refused(cut_to(MAX_REASON_BYTES, why))
    }

    /// Returns a malformed handshake with its problem, cut for display: most of it may be the worker's own
    /// text.
    #[must_use]
    pub fn invalid(why: String) -> Self {
        Self::Invalid(cut_to(MAX_REASON_BYTES, why))
    }
}

/// Finds the handshake in a stream that arrives in any pieces.
#[derive(Debug)]
pub struct HandshakeReader(Framer);

impl Default for HandshakeReader {
    fn default() -> Self {
        Self(Framer::new(MAX_HANDSHAKE_BYTES))
    }
}

impl HandshakeReader {
    /// Takes the next bytes of standard output. Must not be called again after it has returned a result.
    pub fn feed(&mut self, bytes: &[u8]) -> Option<Result<Handshake, HandshakeError>> {
        self.0.extend(bytes);
        while let Some(frame) = self.0.next_frame() {
            let Ok(line) = frame else {
                let message = format!(
                    "more than {MAX_HANDSHAKE_BYTES} bytes of output without a newline before the handshake"
                );
                return Some(Err(HandshakeError::invalid(message)));
            };
            if let Some(answer) = read_line(line) {
                return Some(answer);
            }
        }
        None
    }

    /// Returns the bytes of the line that has no newline yet, and whether they begin within an over-long one.
    #[must_use]
    pub fn unread(&self) -> (&[u8], bool) {
        self.0.unread()
    }

    /// Creates a reader that goes on behind these bytes.
    #[must_use]
    pub fn behind(unread: &[u8], is_within_dropped: bool) -> Self {
        let mut framer = Framer::new(MAX_HANDSHAKE_BYTES).within_dropped_line(is_within_dropped);
        framer.extend(unread);
        Self(framer)
    }

    /// Takes the next bytes of standard output of a worker whose handshakes are its liveness; returns whether
    /// one that is ready ends in them. May be called for the worker's whole life: no line is left for later.
    pub fn repeats(&mut self, bytes: &[u8]) -> bool {
        let mut seen = false;
        self.0.extend(bytes);
        while let Some(frame) = self.0.next_frame() {
            seen = seen || frame.is_ok_and(|line| matches!(read_line(line), Some(Ok(_))));
        }
        seen
    }
}

fn read_line(line: &[u8]) -> Option<Result<Handshake, HandshakeError>> {
    // Nearly all lines are ordinary output, not worth a parser's time.
    if line.first() != Some(&b'{') {
        return None;
    }
    let fields: Map<String, Value> = serde_json::from_slice(line).ok()?;
    let ready = fields.get("ready")?.as_bool()?;
    if !ready {
        let error = fields.get("error").map(|e| e.as_str().map_or_else(|| e.to_string(), str::to_owned));
        return Some(Err(HandshakeError::refused(
            error.unwrap_or_else(|| "the worker answered ready:false".to_owned()),
        )));
    }
    Some(read_fields(fields).map_err(HandshakeError::invalid))
}

/// Parses an object with the fields of a handshake, as a worker may print it in a line of its own format.
///
/// # Errors
/// When the text is not such an object.
pub fn read_object(text: &str) -> Result<Handshake, HandshakeError> {
    let mut fields: Map<String, Value> = serde_json::from_str(text)
        .map_err(|e| HandshakeError::invalid(format!("{text:?} is no object: {e}")))?;
    if let Some(url) = fields.remove("url") {
        fields.entry("endpoint").or_insert(url);
    }
    read_fields(fields).map_err(HandshakeError::invalid)
}

fn read_fields(mut fields: Map<String, Value>) -> Result<Handshake, String> {
    let version = text(&fields, "version")?.map(|version| cut_to(MAX_WORD_BYTES, version));
    let socket = text(&fields, "socketPath")?.or(text(&fields, "socket_path")?);
    let mut by_port = false;
    let endpoint = match (text(&fields, "endpoint")?, socket, fields.get("port").filter(|p| !p.is_null())) {
        (Some(endpoint), _, _) => Some(endpoint),
        (None, Some(path), _) => Some(format!("unix:{path}")),
        (None, None, Some(port)) => {
            let port = port.as_u64().filter(|p| (1..=65535).contains(p));
            let port = port.ok_or("`port` of the handshake is not a port number")?;
            by_port = true;
            let host = text(&fields, "host")?.unwrap_or_else(|| "127.0.0.1".to_owned());
            Some(if host.contains(':') {
                format!("http://[{host}]:{port}")
            } else {
                format!("http://{host}:{port}")
            })
        }
        (None, None, None) => None,
    };
    endpoint.as_deref().map_or(Ok(()), check_endpoint)?;
    let meta = match fields.remove("target").or_else(|| fields.remove("meta")) {
        Some(Value::Object(meta)) => meta,
        None | Some(Value::Null) => Map::new(),
        Some(other) => [("target".to_owned(), other)].into_iter().collect(),
    };
    Ok(Handshake { version, endpoint, by_port, meta })
}

/// Checks an endpoint from a worker before it is shown.
///
/// # Errors
/// The problem of the endpoint.
pub fn check_endpoint(endpoint: &str) -> Result<(), String> {
    if endpoint.len() > MAX_PATH_BYTES {
        return Err(format!("the handshake's endpoint has more than {MAX_PATH_BYTES} bytes"));
    }
    if endpoint.chars().any(char::is_control) {
        return Err(format!("the handshake's endpoint {endpoint:?} has control characters"));
    }
    Ok(())
}

fn text(fields: &Map<String, Value>, name: &str) -> Result<Option<String>, String> {
    match fields.get(name) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(text)) => Ok(Some(text.clone())),
        Some(other) => Err(format!("`{name}` of the handshake is not a string but {other}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(bytes: &[u8], chunk: usize) -> Option<Result<Handshake, HandshakeError>> {
        let mut reader = HandshakeReader::default();
        bytes.chunks(chunk).find_map(|part| reader.feed(part))
    }

    #[test]
    fn every_split_gives_the_same() {
        let noise = "booting é\n{\"ready\":1}\n[true]\n{\"level\":\"info\"}\n\n";
        let line = "{\"ready\":true,\"version\":\"1.0\",\"pid\":5,\"endpoint\":\"unix:/x\",\"target\":{\"a\":\"é\"}}\nrest";
        let bytes = format!("{noise}{line}");
        for chunk in 1..bytes.len() {
            let shake = read(bytes.as_bytes(), chunk).unwrap().unwrap();
            assert_eq!(shake.version.as_deref(), Some("1.0"));
            assert_eq!(shake.endpoint.as_deref(), Some("unix:/x"));
            assert_eq!(shake.meta["a"], "é");
        }
    }

    #[test]
    fn endpoints() {
        let endpoint = |line: &str| {
            read(format!("{line}\n").as_bytes(), 7).unwrap().map(|shake| shake.endpoint.unwrap())
        };
        assert_eq!(endpoint(r#"{"ready":true,"socketPath":"/s"}"#).unwrap(), "unix:/s");
        assert_eq!(endpoint(r#"{"ready":true,"socket_path":"/s"}"#).unwrap(), "unix:/s");
        assert_eq!(endpoint(r#"{"ready":true,"port":81}"#).unwrap(), "http://127.0.0.1:81");
        assert_eq!(endpoint(r#"{"ready":true,"port":81,"host":"::1"}"#).unwrap(), "http://[::1]:81");
        for bad in
            [r#"{"ready":true,"port":0}"#, r#"{"ready":true,"port":"81"}"#, r#"{"ready":true,"endpoint":5}"#]
        {
            assert!(matches!(endpoint(bad), Err(HandshakeError::Invalid(_))), "{bad}");
        }
    }

    #[test]
    fn repeated_handshakes_in_one_read_count_once() {
        let line = "{\"ready\":true}\n";
        let mut reader = HandshakeReader::default();
        assert!(reader.repeats(format!("noise\n{}{{\"ready\"", line.repeat(1000)).as_bytes()));
        assert!(!reader.repeats(b":false}\nnoise\n"), "no line was left for later");
        assert!(!reader.repeats(&vec![b'x'; MAX_HANDSHAKE_BYTES + 1]));
        assert!(reader.repeats(format!("\n{line}").as_bytes()), "a line that is too long is passed over");
    }

    #[test]
    fn refusals_and_floods() {
        let refused = read(b"{\"ready\":false,\"error\":\"no disk\"}\n", 3).unwrap();
        assert_eq!(refused, Err(HandshakeError::Refused("no disk".to_owned())));
        let flood = vec![b'x'; MAX_HANDSHAKE_BYTES + 1];
        assert!(matches!(read(&flood, 4096), Some(Err(HandshakeError::Invalid(_)))));
        assert_eq!(read(&flood[..MAX_HANDSHAKE_BYTES], 4096), None);
        assert_eq!(read(b"{\"ready\":true}", 100), None, "a line that is not ended is not a handshake");
    }

    #[test]
    fn texts_of_a_worker_are_bounded_where_they_enter() {
        let long = "é".repeat(10_000);
        let told = |line: String| read(format!("{line}\n").as_bytes(), 4096).unwrap();
        let reasons = [
            format!("{{\"ready\":false,\"error\":{long:?}}}"),
            format!("{{\"ready\":false,\"error\":[{long:?}]}}"),
            format!("{{\"ready\":true,\"version\":[{long:?}]}}"),
            format!("{{\"ready\":true,\"endpoint\":{long:?}}}"),
            format!("{{\"ready\":true,\"endpoint\":\"a\\u0007{}\"}}", "b".repeat(4_000)),
        ];
        for line in reasons {
            let said = told(line).unwrap_err().to_string();
            assert!(said.len() <= MAX_REASON_BYTES + '…'.len_utf8(), "{} bytes", said.len());
        }
        let said = read_object(&long).unwrap_err().to_string();
        assert!(said.len() <= MAX_REASON_BYTES + '…'.len_utf8() && said.ends_with('…'), "{said}");
        let version = told(format!("{{\"ready\":true,\"version\":{long:?}}}")).unwrap().version.unwrap();
        assert!(version.starts_with('é') && version.len() <= MAX_WORD_BYTES + '…'.len_utf8());
    }
}
