//! A line of output as the sign of a worker's readiness or liveness (`readiness = { type = "log", pattern = …
//! }`).

use super::index::Stream;
use super::watch::{Begun, Watch, WatchState};
use crate::readiness::ANYWHERE;
use gob_config::kind::LogStream;
use gob_protocol::Framer;
use gob_protocol::handshake::{Handshake, HandshakeError, check_endpoint, read_object};
use gob_protocol::limits::MAX_HANDSHAKE_BYTES;
use regex_lite::{Captures, Regex};

/// Matches lines as they were written, blanks at both ends too, but without the escape sequences that colour them. Lines over 64 KiB
/// are passed over.
pub(crate) struct Pattern {
    pattern: Regex,
    stream: Option<LogStream>,
    stdout: Framer,
    stderr: Framer,
    /// Bytes came since the unfinished lines were last examined.
    unsettled: bool,
}

impl Pattern {
    /// Creates a pattern for lines of one stream, or of either.
    ///
    /// # Errors
    /// The problem of the pattern.
    pub(crate) fn new(pattern: &str, stream: Option<LogStream>) -> Result<Self, String> {
        let pattern = Regex::new(pattern).map_err(|e| format!("compile pattern {pattern:?}: {e}"))?;
        let framer = || Framer::of_text(MAX_HANDSHAKE_BYTES);
        Ok(Self { pattern, stream, stdout: framer(), stderr: framer(), unsettled: false })
    }

    /// Goes on behind these lines, which have no end yet.
    pub(super) fn behind(mut self, stdout: &Begun, stderr: &Begun) -> Self {
        let begun = |begun: &Begun| {
            let mut framer = Framer::of_text(MAX_HANDSHAKE_BYTES).within_dropped_line(begun.is_dropped);
            framer.extend(&begun.bytes.0);
            framer
        };
        (self.stdout, self.stderr) = (begun(stdout), begun(stderr));
        self.unsettled = !(self.stdout.partial().is_empty() && self.stderr.partial().is_empty());
        self
    }

    /// Returns the buffer of this stream; `None` when it is not watched.
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
            if let Some(captures) = pattern.captures(&plain(line)) {
                return Some(read(&captures));
            }
        }
        self.unsettled = !(self.stdout.partial().is_empty() && self.stderr.partial().is_empty());
        None
    }

    fn is_unsettled(&self) -> bool {
        self.unsettled
    }

    fn settle(&mut self) -> Option<Result<Handshake, HandshakeError>> {
        self.unsettled = false;
        [&self.stdout, &self.stderr]
            .into_iter()
            .filter(|framer| !framer.partial().is_empty())
            .find_map(|framer| Some(read(&self.pattern.captures(&plain(framer.partial()))?)))
    }

    fn is_sign(&mut self, stream: Stream, bytes: &[u8]) -> bool {
        let Some((pattern, framer)) = self.of(stream) else { return false };
        let mut seen = false;
        framer.extend(bytes);
        while let Some(frame) = framer.next_frame() {
            // One match is enough; the other lines are only consumed.
            seen = seen || frame.is_ok_and(|line| pattern.is_match(&plain(line)));
        }
        seen
    }

    fn hand_over(&self) -> WatchState {
        WatchState::Pattern {
            pattern: self.pattern.as_str().to_owned(),
            stream: self.stream,
            stdout: Begun::of(self.stdout.unread()),
            stderr: Begun::of(self.stderr.unread()),
        }
    }
}

/// Returns a line as a person sees it.
fn plain(line: &[u8]) -> String {
    let line = anstream::adapter::strip_bytes(line).into_vec();
    String::from_utf8(line).unwrap_or_else(|e| String::from_utf8_lossy(e.as_bytes()).into_owned())
}

/// Reads the captures named `json`, `url` or `port`.
fn read(captures: &Captures<'_>) -> Result<Handshake, HandshakeError> {
    let named = |name| captures.name(name).map(|found| found.as_str());
    if let Some(json) = named("json") {
        return read_object(json);
    }
    let endpoint = match (named("url"), named("port")) {
        (Some(url), _) => {
            let url = url.trim();
            check_endpoint(url).map_err(HandshakeError::invalid)?;
            Some(url.to_owned())
        }
        (None, Some(port)) => {
            let number = port.trim().parse::<u16>().ok().filter(|port| *port > 0);
            let number =
                number.ok_or_else(|| HandshakeError::invalid(format!("{port:?} is not a port number")))?;
            Some(format!("{ANYWHERE}{number}"))
        }
        (None, None) => None,
    };
    let by_port = named("url").is_none() && endpoint.is_some();
    Ok(Handshake { endpoint, by_port, ..Handshake::default() })
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
            Some(Some("http://localhost:81".into()))
        );
        let by_port = |pattern, line: &str| {
            let mut watch = Pattern::new(pattern, None).unwrap();
            watch.feed(Stdout, line.as_bytes()).unwrap().unwrap().by_port
        };
        assert!(by_port("port (?P<port>\\d+)", "port 81\n") && by_port("(?P<json>\\{.*)", "{\"port\":81}\n"));
        assert!(!by_port("(?P<url>http.*)", "http://127.0.0.1:81\n"));
        assert_eq!(seen("ready", Some(LogStream::Stderr), &[(Stdout, "ready\n")]), None);
        assert_eq!(seen("ready", None, &[(Stdout, "ready without an end")]), None);
    }

    #[test]
    fn colours_are_not_part_of_a_line() {
        let vite = "  \x1b[32m➜\x1b[39m  \x1b[1mLocal\x1b[22m:   \x1b[36mhttp://localhost:\x1b[1m5173\x1b[22m/\x1b[39m\n";
        let found = seen("localhost:(?<port>[0-9]+)", None, &[(Stream::Stdout, vite)]);
        assert_eq!(found, Some(Some("http://localhost:5173".to_owned())));
        let found = seen("(?<url>http://[^ ]+)$", None, &[(Stream::Stdout, vite)]);
        assert_eq!(found, Some(Some("http://localhost:5173/".to_owned())));
        let titled = "\x1b]0;server\x07ready\n";
        assert_eq!(seen("^ready$", None, &[(Stream::Stdout, titled)]), Some(None));
        let mut well = Pattern::new("^well$", None).unwrap();
        assert!(well.is_sign(Stream::Stdout, b"\x1b[2mwell\x1b[0m\n"));
    }

    #[test]
    fn a_line_without_a_newline_is_looked_at_once_it_is_left_alone() {
        let mut watch = Pattern::new("listening on (?<port>[0-9]+)$", Some(LogStream::Stderr)).unwrap();
        assert!(watch.feed(Stream::Stdout, b"listening on 81").is_none() && !watch.is_unsettled());
        assert!(watch.feed(Stream::Stderr, b"listening on 8").is_none() && watch.is_unsettled());
        assert!(watch.feed(Stream::Stderr, b"080").is_none());
        let found = watch.settle().unwrap().unwrap();
        assert_eq!(found.endpoint.as_deref(), Some("http://localhost:8080"));
        let mut other = Pattern::new("ready> ", None).unwrap();
        assert!(other.feed(Stream::Stdout, b"rea").is_none() && other.settle().is_none());
        assert!(!other.is_unsettled(), "nothing came since");
        assert!(other.feed(Stream::Stdout, b"dy>").is_none() && other.is_unsettled());
    }

    #[test]
    fn blanks_at_both_ends_of_a_line_are_matched() {
        use Stream::Stdout;
        for (pattern, line) in [
            ("^ready> $", "ready> \n"),
            ("ready> $", "ready> \r\n"),
            ("^\\tready$", "\tready\n"),
            ("^  ready", "  ready\n"),
            ("^ +$", "   \n"),
            ("^$", "\n"),
        ] {
            assert_eq!(seen(pattern, None, &[(Stdout, line)]), Some(None), "{pattern:?} in {line:?}");
            assert!(Pattern::new(pattern, None).unwrap().is_sign(Stdout, line.as_bytes()), "{pattern:?}");
        }
        for (pattern, line) in [("ready>$", "ready> \n"), ("^ready", " ready\n"), ("ready>  ", "ready> \n")] {
            assert_eq!(seen(pattern, None, &[(Stdout, line)]), None, "{pattern:?} in {line:?}");
        }
        let mut prompt = Pattern::new("ready> $", None).unwrap();
        assert!(prompt.feed(Stdout, b"ready> ").is_none() && prompt.is_unsettled());
        assert!(prompt.settle().is_some());
    }

    #[test]
    fn blanks_around_a_captured_address_are_no_part_of_it() {
        for (pattern, line) in [
            ("at (?<port>.*)$", "at  81 \t\n"),
            ("at (?<url>.*)$", "at http://127.0.0.1:81 \t\n"),
            ("at (?<json>.*)$", "at {\"port\":81}  \n"),
        ] {
            let found = seen(pattern, None, &[(Stream::Stdout, line)]).flatten().unwrap();
            assert!(["http://localhost:81", "http://127.0.0.1:81"].contains(&found.as_str()), "{found}");
        }
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

    #[test]
    fn captures_are_bounded_and_have_no_control_characters() {
        let refused = |pattern: &str, line: String| {
            let mut watch = Pattern::new(pattern, None).unwrap();
            let said = watch.feed(Stream::Stdout, format!("{line}\n").as_bytes()).unwrap();
            let said = said.unwrap_err().to_string();
            assert!(said.len() < 1_100, "{} bytes", said.len());
        };
        let long = "1".repeat(20_000);
        refused("port (?P<port>\\d+)", format!("port {long}"));
        refused("at (?P<url>.*)", format!("at http://{long}"));
        refused("at (?P<url>.*)", "at http://a\tb".to_owned());
        refused("(?P<json>\\{.*)", format!("{{{long}"));
    }
}
