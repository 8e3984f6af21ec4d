//! Looking for readiness, and later for signs of life, in what a run writes.

use super::index::Stream;
use gob_protocol::handshake::{Handshake, HandshakeError, HandshakeReader};
use std::fmt;

/// Who sees a run's output.
#[derive(Debug, Default)]
pub(crate) struct Watches {
    /// Until it has an answer: that is the run's readiness.
    pub(crate) ready: Option<Box<dyn Watch>>,
    /// As long as the run lives: it sees signs of life.
    pub(crate) well: Option<Box<dyn Watch>>,
}

/// Sees a run's output. Runs on the drain thread, in constant memory, and never waits.
pub(crate) trait Watch: Send {
    /// Takes the next bytes of one stream, and answers when there is something in them. Once it has answered, it must not be
    /// fed any more: it may have kept what follows.
    fn feed(&mut self, stream: Stream, bytes: &[u8]) -> Option<Result<Handshake, HandshakeError>>;

    /// Whether a line has begun that [`Watch::settle`] has not looked at.
    fn is_unsettled(&self) -> bool {
        false
    }

    /// Looks at lines that have no newline and to which nothing was added for a while, such as a prompt.
    fn settle(&mut self) -> Option<Result<Handshake, HandshakeError>> {
        None
    }

    /// Takes the next bytes of one stream, and says whether a sign of life ends in them. Looks at every line of them once and
    /// keeps none but the last one's beginning, so that it may go on for ever.
    fn is_sign(&mut self, stream: Stream, bytes: &[u8]) -> bool;
}

impl Watch for HandshakeReader {
    fn feed(&mut self, stream: Stream, bytes: &[u8]) -> Option<Result<Handshake, HandshakeError>> {
        match stream {
            Stream::Stdout => Self::feed(self, bytes),
            Stream::Stderr => None,
        }
    }

    fn is_sign(&mut self, stream: Stream, bytes: &[u8]) -> bool {
        match stream {
            Stream::Stdout => self.repeats(bytes),
            Stream::Stderr => false,
        }
    }
}

impl fmt::Debug for dyn Watch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Watch")
    }
}
