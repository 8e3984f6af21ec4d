//! Looking for readiness in what a run writes.

use super::index::Stream;
use gob_protocol::handshake::{Handshake, HandshakeError, HandshakeReader};
use std::fmt;

/// Sees a run's output until it has an answer. Runs on the drain thread, in constant memory, and never waits.
pub(crate) trait Watch: Send {
    /// Takes the next bytes of one stream. Once it has answered, it is not fed any more.
    fn feed(&mut self, stream: Stream, bytes: &[u8]) -> Option<Result<Handshake, HandshakeError>>;
}

impl Watch for HandshakeReader {
    fn feed(&mut self, stream: Stream, bytes: &[u8]) -> Option<Result<Handshake, HandshakeError>> {
        match stream {
            Stream::Stdout => Self::feed(self, bytes),
            Stream::Stderr => None,
        }
    }
}

impl fmt::Debug for dyn Watch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Watch")
    }
}
