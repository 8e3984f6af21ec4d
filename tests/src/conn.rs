//! A client of the tests' own: sends raw bytes in any pieces, and reads frames with a deadline.

use crate::wait::DEADLINE;
use gob_protocol::Framer;
use serde_json::{Value, json};
use std::collections::VecDeque;
use std::io::{ErrorKind, Read, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::{Duration, Instant};

/// One connection. Frames that were not asked for yet are kept.
#[derive(Debug)]
pub struct Conn {
    stream: UnixStream,
    framer: Framer,
    waiting: VecDeque<Value>,
    last_id: u64,
}

impl Conn {
    /// Connects.
    #[must_use]
    pub fn open(socket: &Path) -> Self {
        let stream = UnixStream::connect(socket).unwrap_or_else(|e| panic!("{}: {e}", socket.display()));
        Self::over(stream)
    }

    /// Takes an existing connection.
    #[must_use]
    pub fn over(stream: UnixStream) -> Self {
        Self { stream, framer: Framer::new(64 << 20), waiting: VecDeque::new(), last_id: 0 }
    }

    /// Binds the connection to an owner.
    #[must_use]
    pub fn hello(mut self, owner: &str) -> Self {
        let payload = json!({"protocol": 1, "client": {"name": "gob-tests", "version": "0"}, "owner": owner});
        let data = self.ok("hello", payload);
        assert_eq!(data["owner"], owner);
        self
    }

    /// Sends bytes as they are.
    pub fn send(&mut self, bytes: &[u8]) {
        self.stream.write_all(bytes).expect("send");
    }

    /// Sends bytes as they are, or returns the error.
    ///
    /// # Errors
    /// The socket's error.
    pub fn try_send(&mut self, bytes: &[u8]) -> std::io::Result<()> {
        self.stream.write_all(bytes)
    }

    /// Sends a request and does not wait; returns its id.
    pub fn post(&mut self, type_name: &str, payload: Value) -> u64 {
        self.last_id += 1;
        let request = json!({"id": self.last_id, "type": type_name, "payload": payload});
        self.send(format!("{request}\n").as_bytes());
        self.last_id
    }

    /// Sends a request and waits for its whole response.
    pub fn ask(&mut self, type_name: &str, payload: Value) -> Value {
        let id = self.post(type_name, payload);
        self.response(id)
    }

    /// Sends a request that must succeed; returns its data.
    pub fn ok(&mut self, type_name: &str, payload: Value) -> Value {
        let mut response = self.ask(type_name, payload.clone());
        assert_eq!(response["success"], true, "{type_name} {payload}: {response}");
        response["data"].take()
    }

    /// Sends a request that must fail with this code; returns the error.
    pub fn err(&mut self, type_name: &str, payload: Value, code: &str) -> Value {
        let mut response = self.ask(type_name, payload.clone());
        assert_eq!(response["error"]["code"], code, "{type_name} {payload}: {response}");
        assert_eq!(response["success"], false);
        response["error"].take()
    }

    /// Waits for the response with this id.
    pub fn response(&mut self, id: u64) -> Value {
        self.find(&format!("the response {id}"), DEADLINE, |frame| {
            frame["id"] == id && frame["event"].is_null()
        })
    }

    /// Waits for the next frame, whatever it is.
    pub fn frame(&mut self) -> Value {
        self.find("a frame", DEADLINE, |_| true)
    }

    /// Waits for the next frame; `None` at the deadline, or when the connection ended.
    pub fn frame_within(&mut self, timeout: Duration) -> Option<Value> {
        self.try_find(timeout, |_| true)
    }

    /// Waits for the first event of this name about this worker; other events before it are dropped.
    pub fn event(&mut self, event: &str, worker: &str) -> Value {
        let what = format!("{event} of {worker}");
        let found =
            self.find(&what, DEADLINE, |frame| frame["event"] == event && frame["worker"]["name"] == worker);
        self.waiting
            .retain(|frame| frame["seq"].as_u64().is_none_or(|seq| Some(seq) > found["seq"].as_u64()));
        found
    }

    /// Waits for the first frame that fits, keeping the others for later.
    pub fn find(&mut self, what: &str, timeout: Duration, fits: impl Fn(&Value) -> bool) -> Value {
        match self.try_find(timeout, fits) {
            Some(frame) => frame,
            None => panic!("no {what} within {timeout:?}; what came instead: {:#?}", self.waiting),
        }
    }

    fn try_find(&mut self, timeout: Duration, fits: impl Fn(&Value) -> bool) -> Option<Value> {
        let deadline = Instant::now() + timeout;
        let mut seen = 0;
        loop {
            while seen < self.waiting.len() {
                if fits(&self.waiting[seen]) {
                    return self.waiting.remove(seen);
                }
                seen += 1;
            }
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() || !self.read(left) {
                return None;
            }
        }
    }

    /// Reads once; false at the deadline, or when the connection ended.
    fn read(&mut self, timeout: Duration) -> bool {
        let mut chunk = vec![0; 64 * 1024];
        self.stream.set_read_timeout(Some(timeout)).expect("a timeout");
        match self.stream.read(&mut chunk) {
            Ok(0) => false,
            Ok(len) => {
                self.framer.extend(&chunk[..len]);
                while let Some(frame) = self.framer.next_frame() {
                    let line = frame.expect("a frame that is not too long");
                    self.waiting.push_back(serde_json::from_slice(line).expect("a frame of JSON"));
                }
                true
            }
            Err(e) if matches!(e.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => false,
            Err(e) if e.kind() == ErrorKind::Interrupted => true,
            Err(_) => false,
        }
    }

    /// Shuts down the sending side.
    pub fn finish_writing(&self) {
        self.stream.shutdown(std::net::Shutdown::Write).expect("shutdown");
    }

    /// Waits until the other side has closed the connection.
    pub fn wait_closed(&mut self) {
        let deadline = Instant::now() + DEADLINE;
        let mut chunk = [0; 4096];
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            assert!(!left.is_zero(), "the connection is still open");
            self.stream.set_read_timeout(Some(left)).expect("a timeout");
            match self.stream.read(&mut chunk) {
                Ok(0) => return,
                Ok(_) => {}
                Err(e) if e.kind() == ErrorKind::ConnectionReset => return,
                Err(e) => assert_eq!(e.kind(), ErrorKind::Interrupted, "{e}"),
            }
        }
    }

    /// Returns the socket itself.
    #[must_use]
    pub fn stream(&self) -> &UnixStream {
        &self.stream
    }
}
