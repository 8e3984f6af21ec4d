//! The client's side of one connection without any I/O (PROTOCOL 2, 3).
//!
//! Owns the ids, the unanswered requests, the bytes to be sent and the half-received frame. Bytes go in by
//! [`Connection::receive`] and out by [`Connection::outgoing`]; a transport moves them: [`crate::blocking`]
//! here. There is no clock: deadlines are the transport's.

use gob_protocol::envelope::{parse_server_frame, write_request};
use gob_protocol::limits::{MAX_REQUEST_BYTES, MAX_RESPONSE_BYTES};
use gob_protocol::{Framer, Id, Request, ServerFrame, WireError};
use serde_json::value::RawValue;
use std::collections::{BTreeMap, VecDeque};

/// A connection's id for one of its requests.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RequestId(i64);

/// The data of a response as it came, or the reason why there is none.
pub type Answer = Result<Box<RawValue>, Failure>;

/// The reason why a request has no data.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Failure {
    /// The peer refused it.
    #[error(transparent)]
    Refused(#[from] WireError),
    /// The connection ended before it was answered.
    #[error("the connection was lost before `{request}` was answered")]
    Lost {
        /// The request's type.
        request: String,
    },
}

/// A frame that was skipped. E2 of FEATURES: such a line is logged and dropped, never fatal.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("dropped a line: {why}: {line}")]
pub struct Dropped {
    /// The problem of the frame.
    pub why: String,
    /// Its first characters, control characters escaped.
    pub line: String,
}

/// One arrival.
#[derive(Debug)]
pub enum Received {
    /// A request was answered, or never will be.
    Response {
        /// The request.
        id: RequestId,
        /// Its answer.
        answer: Answer,
    },
    /// An event or `lagged`, as it came.
    Event(String),
    /// An error that belongs to no request: the peer could not read an id, or refuses the connection.
    Unassigned(WireError),
    /// A frame was skipped.
    Dropped(Dropped),
}

/// Bound of [`Dropped::line`], in characters.
const SHOWN: usize = 200;

/// One connection's state.
#[derive(Debug)]
pub struct Connection {
    framer: Framer,
    last_id: i64,
    pending: BTreeMap<i64, String>,
    out: Vec<u8>,
    /// The bytes of `out` that were sent already.
    sent: usize,
    inbox: VecDeque<Received>,
}

impl Default for Connection {
    fn default() -> Self {
        Self::new()
    }
}

impl Connection {
    /// Creates a connection on which nothing was sent yet.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            framer: Framer::new(MAX_RESPONSE_BYTES),
            last_id: 0,
            pending: BTreeMap::new(),
            out: Vec::new(),
            sent: 0,
            inbox: VecDeque::new(),
        }
    }

    /// Queues a request to the supervisor.
    ///
    /// # Errors
    /// `frame-too-long` when it is larger than PROTOCOL 2 allows; nothing is queued then.
    pub fn request(&mut self, request: &Request) -> Result<RequestId, WireError> {
        let id = self.last_id + 1;
        let line = write_request(&Id::Number(id), request)?;
        Ok(self.queue(id, request.type_name(), &line))
    }

    /// Queues a request of any type, as workers understand them on their endpoints.
    ///
    /// # Errors
    /// As [`Connection::request`].
    pub fn request_raw(
        &mut self,
        type_name: &str,
        payload: Option<&RawValue>,
    ) -> Result<RequestId, WireError> {
        #[derive(serde::Serialize)]
        struct Line<'a> {
            id: i64,
            #[serde(rename = "type")]
            type_name: &'a str,
            #[serde(skip_serializing_if = "Option::is_none")]
            payload: Option<&'a RawValue>,
        }
        let id = self.last_id + 1;
        let internal =
            |e| WireError::new(gob_protocol::ErrorCode::Internal, format!("cannot write the request: {e}"));
        let mut line = serde_json::to_vec(&Line { id, type_name, payload }).map_err(internal)?;
        if line.len() > MAX_REQUEST_BYTES {
            return Err(gob_protocol::envelope::frame_too_long());
        }
        // JSON from a person may be spread over lines; a frame may not.
        for byte in &mut line {
            if matches!(byte, b'\n' | b'\r') {
                *byte = b' ';
            }
        }
        line.push(b'\n');
        Ok(self.queue(id, type_name, &line))
    }

    fn queue(&mut self, id: i64, type_name: &str, line: &[u8]) -> RequestId {
        self.last_id = id;
        self.pending.insert(id, type_name.to_owned());
        self.out.extend_from_slice(line);
        RequestId(id)
    }

    /// Returns the bytes that are still to be sent.
    #[must_use]
    pub fn outgoing(&self) -> &[u8] {
        self.out.get(self.sent..).unwrap_or_default()
    }

    /// Notes that the first `count` bytes of [`Connection::outgoing`] were sent.
    pub fn advance(&mut self, count: usize) {
        self.sent += count;
        if self.sent >= self.out.len() {
            self.out.clear();
            self.sent = 0;
        }
    }

    /// Takes received bytes, in any pieces.
    pub fn receive(&mut self, bytes: &[u8]) {
        self.framer.extend(bytes);
        loop {
            let received = match self.framer.next_frame() {
                None => return,
                Some(Err(e)) => Received::Dropped(Dropped { why: e.to_string(), line: String::new() }),
                Some(Ok(line)) => read_frame(line, &mut self.pending),
            };
            self.inbox.push_back(received);
        }
    }

    /// Returns the next arrival.
    pub fn poll(&mut self) -> Option<Received> {
        self.inbox.pop_front()
    }

    /// Ends the connection: all unanswered requests fail at once, earlier arrivals stay readable.
    pub fn lose(&mut self) {
        for (id, request) in std::mem::take(&mut self.pending) {
            let answer = Err(Failure::Lost { request });
            self.inbox.push_back(Received::Response { id: RequestId(id), answer });
        }
        self.out.clear();
        self.sent = 0;
    }

    /// Gives up a request. Its answer, should it still come, is [`Received::Dropped`]. Returns the request's
    /// type, or `None` when it was answered already.
    pub fn forget(&mut self, id: RequestId) -> Option<String> {
        self.pending.remove(&id.0)
    }

    /// Returns how many requests have no answer yet.
    #[must_use]
    pub fn unanswered(&self) -> usize {
        self.pending.len()
    }
}

fn read_frame(line: &[u8], pending: &mut BTreeMap<i64, String>) -> Received {
    let dropped = |why: String| {
        let mut shown = String::new();
        for c in String::from_utf8_lossy(line).chars().take(SHOWN) {
            if c.is_control() { shown.extend(c.escape_default()) } else { shown.push(c) }
        }
        let line = shown;
        Received::Dropped(Dropped { why, line })
    };
    match parse_server_frame(line) {
        Err(e) => dropped(e.to_string()),
        Ok(ServerFrame::Event(text)) => Received::Event(text.to_owned()),
        Ok(ServerFrame::Response { id: Some(Id::Number(id)), result }) if pending.remove(&id).is_some() => {
            Received::Response {
                id: RequestId(id),
                answer: result.map(ToOwned::to_owned).map_err(Failure::Refused),
            }
        }
        Ok(ServerFrame::Response { id: None, result: Err(error) }) => Received::Unassigned(error),
        Ok(ServerFrame::Response { .. }) => dropped("it answers a request that is not open".to_owned()),
    }
}

#[cfg(test)]
#[path = "conn_tests.rs"]
mod tests;
