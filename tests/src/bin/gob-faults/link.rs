//! A connection that checks everything it receives: each request is answered once, and events have no gap.

use gob_protocol::Framer;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::io::{self, ErrorKind, Read, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::{Duration, Instant};

/// The reason why nothing more comes.
#[derive(Debug)]
pub enum Lost {
    /// The connection ended, as it may at any time.
    Ended,
    /// A frame is impossible.
    Lie(String),
}

/// A request.
#[derive(Debug, Clone)]
pub struct Asked {
    pub kind: String,
    pub payload: Value,
}

impl Asked {
    /// Returns the worker that the request is about; empty where it is about none.
    pub fn worker(&self) -> &str {
        let name = self.payload["name"].as_str();
        name.or_else(|| self.payload["graph"].as_str()).unwrap_or("")
    }
}

/// A received frame.
#[derive(Debug)]
pub enum Frame {
    /// An answer, and its request.
    Answer(Asked, Value),
    Event(Value),
}

pub struct Link {
    stream: UnixStream,
    framer: Framer,
    last_id: u64,
    /// Requests without an answer.
    open: BTreeMap<u64, Asked>,
    /// Returns the life of the supervisor that answered the hello.
    instance: String,
    /// The end of a request that the socket took only in part.
    unsent: Vec<u8>,
    /// The last event of the subscription, where there is one.
    seq: Option<u64>,
}

impl Link {
    pub fn connect(socket: &Path) -> io::Result<Self> {
        Ok(Self {
            stream: UnixStream::connect(socket)?,
            framer: Framer::new(64 << 20),
            last_id: 0,
            open: BTreeMap::new(),
            instance: String::new(),
            unsent: Vec::new(),
            seq: None,
        })
    }

    /// Connects and introduces itself.
    pub fn connect_as(socket: &Path, owner: &str, timeout: Duration) -> Result<Self, Lost> {
        Self::connect_named(socket, owner, "gob-faults", timeout)
    }

    /// Connects and introduces itself by a name that events repeat.
    pub fn connect_named(socket: &Path, owner: &str, client: &str, timeout: Duration) -> Result<Self, Lost> {
        let mut link = Self::connect(socket).map_err(|_| Lost::Ended)?;
        let client = json!({"name": client, "version": "0"});
        let hello = json!({"protocol": 1, "client": client, "owner": owner});
        let data = link.ok("hello", hello, timeout)?;
        link.instance = data["server"]["instance"].as_str().unwrap_or_default().to_owned();
        Ok(link)
    }

    /// Returns the life of the supervisor that answered the hello.
    pub fn instance(&self) -> &str {
        &self.instance
    }

    /// Sends a request and does not wait for its answer.
    pub fn post(&mut self, kind: &str, payload: Value) -> Result<u64, Lost> {
        self.last_id += 1;
        let line = format!("{}\n", json!({"id": self.last_id, "type": kind, "payload": payload}));
        self.open.insert(self.last_id, Asked { kind: kind.to_owned(), payload });
        self.stream.write_all(line.as_bytes()).map_err(|_| Lost::Ended)?;
        Ok(self.last_id)
    }

    /// Sends requests as long as the socket takes them at once; returns their number.
    pub fn post_until_full(&mut self, kind: &str, most: usize) -> io::Result<usize> {
        self.stream.set_nonblocking(true)?;
        let mut sent = 0;
        while sent < most && self.unsent.is_empty() {
            let line = format!("{}\n", json!({"id": self.last_id + 1, "type": kind, "payload": {}}));
            match self.stream.write(line.as_bytes()) {
                Ok(written) => {
                    self.last_id += 1;
                    self.open.insert(self.last_id, Asked { kind: kind.to_owned(), payload: json!({}) });
                    self.unsent = line.as_bytes()[written..].to_vec();
                    sent += 1;
                }
                Err(e) if e.kind() == ErrorKind::WouldBlock => break,
                Err(e) => return Err(e),
            }
        }
        self.stream.set_nonblocking(false)?;
        Ok(sent)
    }

    /// Reads until every request is answered. Events meanwhile are checked and dropped.
    pub fn drain(&mut self, timeout: Duration) -> Result<(), Lost> {
        let mut stream = self.stream.try_clone().map_err(|_| Lost::Ended)?;
        let unsent = std::mem::take(&mut self.unsent);
        // The supervisor takes no more requests before answers are read; the end of the connection ends the
        // write.
        let writer = std::thread::spawn(move || stream.write_all(&unsent).is_ok());
        let deadline = Instant::now() + timeout;
        let mut outcome = Ok(());
        while outcome.is_ok() && !self.open.is_empty() {
            outcome = match self.frame(deadline.saturating_duration_since(Instant::now())) {
                Ok(Some(_)) => Ok(()),
                Ok(None) => Err(Lost::Lie(format!(
                    "{} requests were not answered within {timeout:?}",
                    self.open.len()
                ))),
                Err(lost) => Err(lost),
            };
        }
        if outcome.is_err() {
            // Shut down so that the write ends too. The connection may be gone already.
            self.stream.shutdown(std::net::Shutdown::Both).unwrap_or_default();
        }
        writer.join().map_err(|_| Lost::Lie("the writer panicked".to_owned()))?;
        outcome
    }

    /// Sends bytes as they are.
    pub fn raw(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.stream.write_all(bytes)
    }

    /// Sends a request and waits for its answer; events meanwhile are checked and dropped.
    pub fn ask(&mut self, kind: &str, payload: Value, timeout: Duration) -> Result<Value, Lost> {
        let id = self.post(kind, payload)?;
        let deadline = Instant::now() + timeout;
        loop {
            match self.frame(deadline.saturating_duration_since(Instant::now()))? {
                Some(Frame::Answer(_, answer)) if answer["id"] == id => return Ok(answer),
                Some(Frame::Answer(..) | Frame::Event(_)) => {}
                None => return Err(Lost::Lie(format!("{kind} was not answered within {timeout:?}"))),
            }
        }
    }

    /// As [`Self::ask`], for a request that must succeed; returns the data.
    pub fn ok(&mut self, kind: &str, payload: Value, timeout: Duration) -> Result<Value, Lost> {
        let mut answer = self.ask(kind, payload, timeout)?;
        if answer["success"] == true {
            Ok(answer["data"].take())
        } else {
            Err(Lost::Lie(format!("{kind}: {answer}")))
        }
    }

    /// Returns the requests that were not answered yet.
    pub fn unanswered(&self) -> Vec<&str> {
        self.open.values().map(|asked| asked.kind.as_str()).collect()
    }

    /// Expects events after this one from now on.
    pub fn follow(&mut self, seq: u64) {
        self.seq = Some(seq);
    }

    /// Waits for the next frame; `None` at the deadline.
    pub fn frame(&mut self, timeout: Duration) -> Result<Option<Frame>, Lost> {
        let deadline = Instant::now() + timeout;
        let mut chunk = [0; 64 * 1024];
        loop {
            if let Some(frame) = self.framer.next_frame() {
                let line = frame.map_err(|e| Lost::Lie(e.to_string()))?;
                let frame = serde_json::from_slice(line)
                    .map_err(|e| Lost::Lie(format!("{e}: {}", String::from_utf8_lossy(line))))?;
                return self.check(frame).map(Some);
            }
            let left = deadline.saturating_duration_since(Instant::now()).max(Duration::from_millis(1));
            self.stream.set_read_timeout(Some(left)).map_err(|_| Lost::Ended)?;
            match self.stream.read(&mut chunk) {
                Ok(0) => return Err(Lost::Ended),
                Ok(len) => self.framer.extend(&chunk[..len]),
                Err(e) if matches!(e.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {
                    if Instant::now() >= deadline {
                        return Ok(None);
                    }
                }
                Err(e) if e.kind() == ErrorKind::Interrupted => {}
                Err(_) => return Err(Lost::Ended),
            }
        }
    }

    fn check(&mut self, frame: Value) -> Result<Frame, Lost> {
        let lie = |why: &str| Err(Lost::Lie(format!("{why}: {frame}")));
        if frame["event"].is_null() {
            if frame["id"].is_null() && frame["error"]["code"] == "busy" {
                // Turned away at the door, before any request.
                return Err(Lost::Ended);
            }
            let Some(asked) = frame["id"].as_u64().and_then(|id| self.open.remove(&id)) else {
                return lie("an answer to nothing that was asked, or a second one");
            };
            if frame["success"] == true || frame["error"]["code"].is_string() {
                return Ok(Frame::Answer(asked, frame));
            }
            return lie("neither success nor an error");
        }
        let Some(seq) = frame["seq"].as_u64() else { return lie("an event without seq") };
        if let Some(last) = self.seq {
            if frame["event"] == "lagged" {
                if frame["missed"].as_u64() != seq.checked_sub(last) {
                    return lie(&format!("missed does not fit, the last event was {last}"));
                }
            } else if seq != last + 1 {
                return lie(&format!("a hole behind {last}"));
            }
            self.seq = Some(seq);
        }
        Ok(Frame::Event(frame))
    }
}
