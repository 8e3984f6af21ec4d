//! Watches the output of a run for readiness, and later for signs of life.

use super::index::Stream;
use super::pattern::Pattern;
use crate::upgrade::Bytes;
use gob_config::kind::LogStream;
use gob_protocol::handshake::{Handshake, HandshakeError, HandshakeReader};
use serde::{Deserialize, Serialize};
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

    /// Returns what another program needs to go on with it.
    fn hand_over(&self) -> WatchState;
}

/// A watch as data.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum WatchState {
    /// The reader of handshakes, with the line that it has begun.
    Handshake(Begun),
    /// A pattern, with the lines that it has begun.
    Pattern { pattern: String, stream: Option<LogStream>, stdout: Begun, stderr: Begun },
}

/// A line that has no end yet.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Begun {
    pub(super) bytes: Bytes,
    /// It is too long, and its rest is dropped.
    pub(super) is_dropped: bool,
}

impl Begun {
    pub(super) fn of((bytes, is_dropped): (&[u8], bool)) -> Self {
        Self { bytes: Bytes(bytes.to_vec()), is_dropped }
    }
}

impl WatchState {
    /// Goes on with a watch.
    ///
    /// # Errors
    /// When this program does not know such a pattern.
    pub(crate) fn resume(&self) -> Result<Box<dyn Watch>, String> {
        Ok(match self {
            Self::Handshake(begun) => Box::new(HandshakeReader::behind(&begun.bytes.0, begun.is_dropped)),
            Self::Pattern { pattern, stream, stdout, stderr } => {
                Box::new(Pattern::new(pattern, *stream)?.behind(stdout, stderr))
            }
        })
    }
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

    fn hand_over(&self) -> WatchState {
        WatchState::Handshake(Begun::of(self.unread()))
    }
}

impl fmt::Debug for dyn Watch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Watch")
    }
}
