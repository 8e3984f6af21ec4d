//! Watches the output of a run for readiness, and later for signs of life.

use super::index::Stream;
use gob_protocol::handshake::{Handshake, HandshakeError, HandshakeReader};
use std::fmt;

/// The watches of a run's output.
#[derive(Debug, Default)]
pub(crate) struct Watches {
    /// Runs until it has an answer: the run's readiness.
    pub(crate) ready: Option<Box<dyn Watch>>,
    /// Runs as long as the run lives: sees signs of life.
    pub(crate) well: Option<Box<dyn Watch>>,
}

/// Sees a run's output. Runs on the drain thread, in constant memory, and never waits.
pub(crate) trait Watch: Send {
    /// Takes the next bytes of one stream, and returns the answer when they hold one. Must not be called
    /// after an answer: it may have kept the following bytes.
    fn feed(&mut self, stream: Stream, bytes: &[u8]) -> Option<Result<Handshake, HandshakeError>>;

    /// Returns whether an unfinished line was not yet given to [`Watch::settle`].
    fn is_unsettled(&self) -> bool {
        false
    }

    /// Examines lines without a newline to which nothing was added for a while, such as a prompt.
    fn settle(&mut self) -> Option<Result<Handshake, HandshakeError>> {
        None
    }

    /// Takes the next bytes of one stream, and returns whether a sign of life ends in them. Examines every
    /// line once and keeps only the last one's beginning, so that it may go on for ever.
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
