//! Processes that run clients' own SQL, from the worker's side.
//!
//! Some SQL ignores every interrupt (a search for one large text in another) or takes all memory. A process
//! can be ended at any moment, and its memory is bounded apart from the worker's: the worker kills it at the
//! deadline, when its client has gone, and when the worker stops, and starts another one when needed. An idle
//! reader is kept for the next query. A reader ends by itself as soon as the worker has ended.
//!
//! A request to a reader is a JSON line; its answer is a byte (data or error), a length of eight bytes, and so many
//! bytes of JSON.

mod process;

pub use process::serve;

use crate::cancel::Cancel;
use crate::limits::{PEER_CHECK, READER_WRITE};
use crate::log;
use gob_protocol::WireError;
use gob_protocol::limits::MAX_RESPONSE_BYTES;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use std::io::{self, Read as _, Write as _};
use std::os::fd::{AsFd as _, OwnedFd};
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Instant;

/// The option that makes a program of the worker a reader.
pub(crate) const OPTION: &str = "--reader";
const DATA: u8 = b'd';
const ERROR: u8 = b'e';
/// Kind and length of an answer.
const HEADER: usize = 9;

/// A running reader process. It is killed when it is dropped.
#[derive(Debug)]
pub(crate) struct Reader {
    child: Child,
    stream: UnixStream,
    /// The time of its last answer.
    pub(crate) used: Instant,
    /// The number of its answers.
    pub(crate) answered: u64,
}

/// The result of a query.
#[derive(Debug)]
pub(crate) enum Outcome {
    /// The data was appended to the output.
    Data,
    /// The query was refused.
    Refused(WireError),
    /// The query must end; the reader can't be used again.
    Cancelled,
    /// The reader ended instead of answering; it can't be used again.
    Died,
}

impl Reader {
    /// Starts a reader of the graph's file.
    pub(crate) fn spawn(graph: &Path) -> io::Result<Self> {
        let (stream, theirs) = UnixStream::pair()?;
        stream.set_nonblocking(true)?;
        // This very program, also after its file was replaced.
        let child = Command::new("/proc/self/exe")
            .arg0("gob-graph-worker")
            .arg(OPTION)
            .arg(graph)
            .stdin(Stdio::from(OwnedFd::from(theirs)))
            .stdout(Stdio::null())
            .spawn()?;
        Ok(Self { child, stream, used: Instant::now(), answered: 0 })
    }

    /// Sends a request and appends the data of its answer to `out`.
    pub(crate) fn ask(&mut self, request: &[u8], cancel: &Cancel, out: &mut Vec<u8>) -> Outcome {
        let start = out.len();
        let outcome = match self.exchange(request, cancel, out) {
            Ok(Some(ERROR)) => match serde_json::from_slice(out.get(start..).unwrap_or_default()) {
                Ok(error) => Outcome::Refused(error),
                Err(_) => Outcome::Died,
            },
            Ok(Some(_)) => Outcome::Data,
            Ok(None) => Outcome::Cancelled,
            Err(_) => Outcome::Died,
        };
        if !matches!(outcome, Outcome::Data) {
            out.truncate(start);
        }
        self.used = Instant::now();
        self.answered += 1;
        outcome
    }

    /// Returns the kind of the answer, `None` when the request must end first.
    fn exchange(&mut self, request: &[u8], cancel: &Cancel, out: &mut Vec<u8>) -> io::Result<Option<u8>> {
        self.send(request)?;
        let mut header = Vec::with_capacity(HEADER);
        if !self.receive(HEADER, &mut header, cancel)? {
            return Ok(None);
        }
        let (kind, length) = header.split_first().ok_or(io::ErrorKind::InvalidData)?;
        let length = u64::from_le_bytes(length.try_into().map_err(|_| io::ErrorKind::InvalidData)?);
        // The connection refuses a frame that is one byte too long.
        let length = usize::try_from(length).unwrap_or(usize::MAX);
        if length > MAX_RESPONSE_BYTES + HEADER || ![DATA, ERROR].contains(kind) {
            return Err(io::ErrorKind::InvalidData.into());
        }
        Ok(self.receive(length, out, cancel)?.then_some(*kind))
    }

    fn send(&mut self, mut request: &[u8]) -> io::Result<()> {
        let deadline = Instant::now() + READER_WRITE;
        while !request.is_empty() {
            match self.stream.write(request) {
                Ok(written) => request = request.get(written..).unwrap_or_default(),
                Err(e) if e.kind() == io::ErrorKind::WouldBlock && Instant::now() < deadline => {
                    self.wait(PollFlags::POLLOUT, READER_WRITE);
                }
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                Err(e) => return Err(e),
            }
        }
        Ok(())
    }

    /// Appends `length` bytes from the reader; false when the request must end first.
    fn receive(&mut self, length: usize, into: &mut Vec<u8>, cancel: &Cancel) -> io::Result<bool> {
        let end = into.len() + length;
        while into.len() < end {
            let left = (end - into.len()) as u64;
            let before = into.len();
            match (&self.stream).take(left).read_to_end(into) {
                Ok(_) if into.len() < end => return Err(io::ErrorKind::UnexpectedEof.into()),
                Ok(_) => {}
                Err(e) if e.kind() == io::ErrorKind::WouldBlock => {
                    if cancel.is_due() {
                        return Ok(false);
                    }
                    if into.len() == before {
                        self.wait(PollFlags::POLLIN, cancel.left().min(PEER_CHECK));
                    }
                }
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                Err(e) => return Err(e),
            }
        }
        Ok(true)
    }

    fn wait(&self, what: PollFlags, patience: std::time::Duration) {
        let mut fds = [PollFd::new(self.stream.as_fd(), what)];
        // Rounded up: a shorter wait would return too early.
        let patience = patience + std::time::Duration::from_millis(1);
        if let Err(e) = poll(&mut fds, PollTimeout::try_from(patience).unwrap_or(PollTimeout::MAX)) {
            log::line(format_args!("cannot wait for a reader: {e}"));
        }
    }
}

impl Drop for Reader {
    fn drop(&mut self) {
        if let Err(e) = self.child.kill().and_then(|()| self.child.wait()) {
            log::line(format_args!("cannot end a reader: {e}"));
        }
    }
}
