//! A line of output that says that its worker is ready, or well (`readiness = { type = "log", pattern = … }`).

use super::index::Stream;
use super::watch::Watch;
use gob_protocol::Framer;
use gob_protocol::handshake::{Handshake, HandshakeError, read_object};
use gob_protocol::kind::LogStream;
use gob_protocol::limits::MAX_HANDSHAKE_BYTES;
use regex_lite::{Captures, Regex};

/// Looks for lines that match. Lines over 64 KiB are not looked at.
pub(crate) struct Pattern {
    pattern: Regex,
    stream: Option<LogStream>,
    stdout: Framer,
    stderr: Framer,
}

impl Pattern {
    /// A pattern for lines of one stream, or of either.
    ///
    /// # Errors
    /// What is wrong with the pattern.
    pub(crate) fn new(pattern: &str, stream: Option<LogStream>) -> Result<Self, String> {
        let pattern = Regex::new(pattern).map_err(|e| format!("compile pattern {pattern:?}: {e}"))?;
        let framer = || Framer::new(MAX_HANDSHAKE_BYTES);
        Ok(Self { pattern, stream, stdout: framer(), stderr: framer() })
    }

    /// Where the bytes of this stream go; nowhere when it is not looked at.
    fn of(&mut self, stream: Stream) -> Option<(&Regex, &mut Framer)> {
        let (which, framer) = match stream {
            Stream::Stdout => (LogStream::Stdout, &mut self.stdout),
            Stream::Stderr => (LogStream::Stderr, &mut self.stderr),
        };
        self.stream.is_none_or(|wanted| wanted == which).then_some((&self.pattern, framer))
    }
}

impl Watch for Pattern {
    fn feed(&mut self, stream: Stream, bytes: &[u8]) -> Option<Result<Handshake, HandshakeError>> {
        let (pattern, framer) = self.of(stream)?;
        framer.extend(bytes);
        while let Some(frame) = framer.next_frame() {
            let Ok(line) = frame else { continue };
            if let Some(captures) = pattern.captures(&String::from_utf8_lossy(line)) {
                return Some(read(&captures));
            }
        }
        None
    }

    fn is_sign(&mut self, stream: Stream, bytes: &[u8]) -> bool {
        let Some((pattern, framer)) = self.of(stream) else { return false };
        let mut seen = false;
        framer.extend(bytes);
        while let Some(frame) = framer.next_frame() {
            // One is enough; the others are only taken out.
            seen = seen || frame.is_ok_and(|line| pattern.is_match(&String::from_utf8_lossy(line)));
        }
        seen
    }
}

/// What the captures named `json`, `url` or `port` say.
fn read(captures: &Captures<'_>) -> Result<Handshake, HandshakeError> {
    let named = |name| captures.name(name).map(|found| found.as_str());
    if let Some(json) = named("json") {
        return read_object(json);
    }
    let endpoint = match (named("url"), named("port")) {
        (Some(url), _) => Some(url.to_owned()),
        (None, Some(port)) => {
            let number = port.parse::<u16>().ok().filter(|port| *port > 0);
            let number =
                number.ok_or_else(|| HandshakeError::Invalid(format!("{port:?} is not a port number")))?;
            Some(format!("http://127.0.0.1:{number}"))
        }
        (None, None) => None,
    };
    Ok(Handshake { endpoint, ..Handshake::default() })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seen(pattern: &str, stream: Option<LogStream>, parts: &[(Stream, &str)]) -> Option<Option<String>> {
        let mut watch = Pattern::new(pattern, stream).unwrap();
        let mut answers = parts.iter().filter_map(|(stream, text)| watch.feed(*stream, text.as_bytes()));
        answers.next().map(|answer| answer.unwrap().endpoint)
    }

    #[test]
    fn endpoints_from_real_servers() {
        use Stream::{Stderr, Stdout};
        let datasette = "INFO:     Uvicorn running on http://127.0.0.1:8001 (Press CTRL+C to quit)\n";
        let found =
            seen("Uvicorn running on (?P<url>http://[^ ]+)", None, &[(Stdout, "x\n"), (Stderr, datasette)]);
        assert_eq!(found, Some(Some("http://127.0.0.1:8001".to_owned())));
        let pglite = [
            (Stdout, "PGLiteSocketServer listening on {\"port\":54"),
            (Stdout, "32,\"host\":\"127.0.0.1\"}\r\n"),
        ];
        let found = seen("listening on (?P<json>\\{.*\\})", None, &pglite);
        assert_eq!(found, Some(Some("http://127.0.0.1:5432".to_owned())));
        assert_eq!(seen("ready", None, &[(Stdout, "ready to accept\n")]), Some(None));
        assert_eq!(
            seen("port (?P<port>\\d+)", None, &[(Stdout, "port 81\n")]),
            Some(Some("http://127.0.0.1:81".into()))
        );
        assert_eq!(seen("ready", Some(LogStream::Stderr), &[(Stdout, "ready\n")]), None);
        assert_eq!(seen("ready", None, &[(Stdout, "ready without an end")]), None);
    }

    #[test]
    fn long_lines_are_passed_over_and_bad_ports_told() {
        let long = format!("{}ready\nready\n", "x".repeat(MAX_HANDSHAKE_BYTES + 1));
        assert_eq!(seen("^ready", None, &[(Stream::Stdout, &long)]), Some(None));
        let mut watch = Pattern::new("port (?P<port>\\d+)", None).unwrap();
        let answer = watch.feed(Stream::Stdout, b"port 99999\n");
        assert!(matches!(answer, Some(Err(HandshakeError::Invalid(_)))));
        assert!(Pattern::new("(", None).is_err());
    }
}
