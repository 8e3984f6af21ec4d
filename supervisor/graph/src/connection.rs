//! One client: reads frames, has them answered one after another, writes the responses.
//!
//! Owns the client's unread bytes and unwritten responses, both bounded. Runs on a thread of its own, so that
//! a slow or deaf client delays only itself; a client that takes no response for half a minute is cut off.

use crate::limits::{GATHER_BYTES, IMPORT_IDLE, KEEP_OUT_BYTES, READ_BYTES, WRITE_TIMEOUT};
use crate::requests::{self, Context, Import, Request};
use crate::server::Shared;
use gob_protocol::envelope::{frame_too_long, parse_requests, write_response};
use gob_protocol::limits::{MAX_REQUEST_BYTES, MAX_RESPONSE_BYTES};
use gob_protocol::{ErrorCode, Framer, Id, Incoming, Rejected, WireError};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use std::io::{self, Read as _, Write as _};
use std::net::Shutdown;
use std::os::fd::AsFd as _;
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Instant;

/// Serves one client until it goes or the worker stops.
///
/// # Errors
/// The error that ended the conversation.
pub(crate) fn serve(shared: &Shared, peer: &Arc<UnixStream>) -> io::Result<()> {
    peer.set_write_timeout(Some(WRITE_TIMEOUT))?;
    let mut framer = Framer::new(MAX_REQUEST_BYTES);
    let mut bytes = vec![0; READ_BYTES];
    let mut client = Client { shared, peer, import: None, out: Vec::new() };
    let mut timed = false;
    loop {
        if client.import.is_some() != timed {
            timed = !timed;
            // Only an open import holds a resource of others; without one a client may be silent for ever.
            peer.set_read_timeout(timed.then_some(IMPORT_IDLE))?;
        }
        let read = match peer.as_ref().read(&mut bytes) {
            Ok(0) => return Ok(()),
            Ok(read) => read,
            Err(e) if e.kind() == io::ErrorKind::Interrupted => continue,
            Err(e) if e.kind() == io::ErrorKind::WouldBlock && client.import.is_some() => {
                client.import = None;
                continue;
            }
            Err(e) => return Err(e),
        };
        framer.extend(bytes.get(..read).unwrap_or_default());
        while let Some(frame) = framer.next_frame() {
            match frame {
                Ok(line) => client.answer(line)?,
                Err(_) => client.refuse(None, &frame_too_long())?,
            }
        }
        client.flush()?;
    }
}

struct Client<'a> {
    shared: &'a Shared,
    peer: &'a Arc<UnixStream>,
    /// Dropped with the connection.
    import: Option<Import<'a>>,
    /// Whole responses that are not written yet.
    out: Vec<u8>,
}

impl Client<'_> {
    fn answer(&mut self, line: &[u8]) -> io::Result<()> {
        let Incoming { id, request } = match parse_requests::<Request<'_>>(line) {
            Ok(incoming) => incoming,
            Err(Rejected { id, error }) => return self.refuse(id.as_ref(), &error),
        };
        if self.shared.stopping.load(Ordering::Relaxed) {
            let error = WireError::new(ErrorCode::ShuttingDown, "the worker stops");
            return self.refuse(id.as_ref(), &error);
        }
        if !request.is_short() {
            self.flush()?;
        }
        let start = self.out.len();
        self.begin(id.as_ref());
        let data = self.out.len();
        let mut context = Context {
            shared: self.shared,
            peer: self.peer,
            import: &mut self.import,
            id: id.as_ref(),
            out: &mut self.out,
        };
        let result = requests::answer(&request, &mut context);
        match result {
            Ok(()) if self.out.len() - data <= MAX_RESPONSE_BYTES => {
                self.out.extend_from_slice(b"}\n");
                self.gather()
            }
            Ok(()) => {
                self.out.truncate(start);
                self.refuse(id.as_ref(), requests::too_much().error())
            }
            Err(refusal) => {
                self.out.truncate(start);
                if refusal.error().code == ErrorCode::GraphGone {
                    self.shared.end();
                }
                self.refuse(id.as_ref(), refusal.error())
            }
        }
    }

    /// Appends a success up to its data.
    fn begin(&mut self, id: Option<&Id>) {
        self.out.extend_from_slice(b"{\"id\":");
        requests::append_id(&mut self.out, id);
        self.out.extend_from_slice(b",\"success\":true,\"data\":");
    }

    fn refuse(&mut self, id: Option<&Id>, error: &WireError) -> io::Result<()> {
        write_response::<()>(&mut self.out, id, Err(error))?;
        self.gather()
    }

    fn gather(&mut self) -> io::Result<()> {
        if self.out.len() >= GATHER_BYTES { self.flush() } else { Ok(()) }
    }

    fn flush(&mut self) -> io::Result<()> {
        write_all(self.peer, &self.out)?;
        self.out.clear();
        self.out.shrink_to(KEEP_OUT_BYTES);
        Ok(())
    }
}

/// Writes all bytes. After a timeout the connection must end: half a frame may be out, so no other can
/// follow.
///
/// # Errors
/// The socket's error; `TimedOut` for a client that does not read.
pub(crate) fn write_all(peer: &UnixStream, bytes: &[u8]) -> io::Result<()> {
    let written = write_until(peer, bytes, Instant::now() + WRITE_TIMEOUT);
    if written.is_err() {
        drop(peer.shutdown(Shutdown::Both));
    }
    written
}

/// Writes a small optional frame, if the client reads.
pub(crate) fn write_if_ready(peer: &UnixStream, frame: &[u8]) {
    if is_ready(peer) {
        drop(write_all(peer, frame));
    }
}

/// Returns whether the client reads: its socket then has room for a small frame.
pub(crate) fn is_ready(peer: &UnixStream) -> bool {
    let mut fds = [PollFd::new(peer.as_fd(), PollFlags::POLLOUT)];
    let polled = poll(&mut fds, PollTimeout::ZERO);
    let [fd] = fds;
    polled.is_ok() && fd.revents() == Some(PollFlags::POLLOUT)
}

fn write_until(mut peer: &UnixStream, mut bytes: &[u8], deadline: Instant) -> io::Result<()> {
    while !bytes.is_empty() {
        match peer.write(bytes) {
            Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
            Ok(written) => bytes = bytes.get(written..).unwrap_or_default(),
            Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
            Err(e) if e.kind() == io::ErrorKind::WouldBlock => return Err(io::ErrorKind::TimedOut.into()),
            Err(e) => return Err(e),
        }
        if !bytes.is_empty() && Instant::now() >= deadline {
            return Err(io::ErrorKind::TimedOut.into());
        }
    }
    Ok(())
}
