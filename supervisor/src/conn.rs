//! One client's connection: bytes to requests. Reads, frames and parses; changes nothing and decides nothing.
//!
//! Owns the framer of its connection. Requests go to the control loop in batches over one bounded channel; answers
//! come back through [`Outbound`].

use crate::off_thread;
use crate::outbound::Outbound;
use crate::sys::wire::Wire;
use gob_core::ConnId;
use gob_protocol::envelope::{frame_too_long, parse_request};
use gob_protocol::limits::MAX_REQUEST_BYTES;
use gob_protocol::{ErrorCode, Framer, Incoming, Rejected, Request, WireError};
use std::cell::RefCell;
use std::future::poll_fn;
use std::io;
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::task::{Poll, ready};
use tokio::net::UnixStream;
use tokio::sync::mpsc;

/// What connections tell the control loop.
pub(crate) enum FromConn {
    /// A client of the right user connected.
    Connected { conn: ConnId, pid: Option<i32>, outbound: Rc<Outbound> },
    /// It asked for something.
    Requests { conn: ConnId, requests: Vec<Result<Incoming, Rejected>> },
    /// Event frames were written to it.
    Written { conn: ConnId, frames: u32 },
    /// It is gone.
    Disconnected { conn: ConnId },
}

/// Bytes taken by one read.
const READ_BYTES: usize = 64 * 1024;

/// Serves a connection until its client is gone.
pub(crate) async fn serve(
    conn: ConnId,
    pid: Option<i32>,
    stream: UnixStream,
    to_loop: mpsc::Sender<FromConn>,
) {
    let wire = match Wire::new(stream) {
        Ok(wire) => wire,
        Err(error) => return tracing::warn!(%error, "a connection is lost"),
    };
    let outbound = Rc::new(Outbound::new(wire));
    let connected = FromConn::Connected { conn, pid, outbound: Rc::clone(&outbound) };
    if to_loop.send(connected).await.is_ok() {
        // A connection ends for one reason that matters to nobody else: its client is gone.
        read_requests(conn, &outbound, &to_loop).await.unwrap_or_default();
        outbound.close();
        to_loop.send(FromConn::Disconnected { conn }).await.unwrap_or_default();
    }
}

async fn read_requests(
    conn: ConnId,
    outbound: &Outbound,
    to_loop: &mpsc::Sender<FromConn>,
) -> io::Result<()> {
    let mut framer = Framer::new(MAX_REQUEST_BYTES);
    loop {
        if let Some(frames) = outbound.take_written() {
            to_loop.send(FromConn::Written { conn, frames }).await.map_err(ended)?;
        }
        let may_read = outbound.may_read();
        if may_read {
            let requests = parse_frames(&mut framer, outbound.room());
            if !requests.is_empty() {
                outbound.asked(requests.len());
                let requests = resolve_roots(requests).await;
                let batch = FromConn::Requests { conn, requests };
                to_loop.send(batch).await.map_err(ended)?;
                continue;
            }
        }
        if outbound.is_closed() || outbound.is_done() {
            return Ok(());
        }
        tokio::select! {
            end = read(&outbound.wire, &mut framer), if may_read => {
                if end? {
                    outbound.end_of_requests();
                    // A client that is gone altogether, not only silent, can't be written to either.
                    if outbound.wire.is_hung_up() {
                        return Ok(());
                    }
                }
            }
            ready = outbound.wire.writable(), if !outbound.is_empty() => {
                ready?;
                outbound.flush();
            }
            () = outbound.changed.notified() => {}
        }
    }
}

/// The control loop is gone, and the connection with it.
fn ended(_: mpsc::error::SendError<FromConn>) -> io::Error {
    io::ErrorKind::BrokenPipe.into()
}

/// Reads once; true at the end of the stream. Loses nothing when it is cancelled.
async fn read(wire: &Wire, framer: &mut Framer) -> io::Result<bool> {
    thread_local! {
        /// Shared by all connections: it holds bytes only between a read and the framer.
        static BUFFER: RefCell<Vec<u8>> = RefCell::new(vec![0; READ_BYTES]);
    }
    poll_fn(|cx| {
        BUFFER.with_borrow_mut(|buffer| {
            let len = ready!(wire.poll_read(cx, buffer))?;
            framer.extend(buffer.get(..len).unwrap_or_default());
            Poll::Ready(Ok(len == 0))
        })
    })
    .await
}

fn parse_frames(framer: &mut Framer, room: usize) -> Vec<Result<Incoming, Rejected>> {
    let mut requests = Vec::new();
    while requests.len() < room
        && let Some(frame) = framer.next_frame()
    {
        requests.push(match frame {
            Ok(line) => parse_request(line),
            Err(_) => Err(Rejected { id: None, error: Box::new(frame_too_long()) }),
        });
    }
    requests
}

/// Replaces each `root_dir` by its real path, which is what identifies a graph. Looking it up may hang on a dead
/// mount, so it is done off this thread and costs only this connection.
async fn resolve_roots(mut requests: Vec<Result<Incoming, Rejected>>) -> Vec<Result<Incoming, Rejected>> {
    for slot in &mut requests {
        let Ok(Incoming { id, request: Request::Start(start) }) = slot else { continue };
        let Some(root_dir) = start.root_dir.take() else { continue };
        let resolved = off_thread::begin(move || real_path(Path::new(&root_dir))).await;
        match resolved.map_err(io::Error::other).and_then(|path| path) {
            Ok(path) => start.root_dir = Some(path),
            Err(e) => {
                let details = serde_json::json!({"field": "payload.root_dir", "position": 0});
                let error = WireError::new(ErrorCode::InvalidRequest, format!("root_dir can't be used: {e}"))
                    .hint("give an absolute path in UTF-8 that this user can read")
                    .details(details);
                *slot = Err(Rejected { id: id.take(), error: Box::new(error) });
            }
        }
    }
    requests
}

/// The real path of a directory that may not be there yet: of what is there, and the rest as given.
pub(crate) fn real_path(path: &Path) -> io::Result<String> {
    if !path.is_absolute() {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "it is not absolute"));
    }
    let mut missing = PathBuf::new();
    let mut there = path;
    let real = loop {
        match there.canonicalize() {
            Ok(real) => break real,
            Err(e) if e.kind() == io::ErrorKind::NotFound => {
                let (Some(parent), Some(name)) = (there.parent(), there.file_name()) else { return Err(e) };
                missing =
                    if missing.as_os_str().is_empty() { name.into() } else { Path::new(name).join(missing) };
                there = parent;
            }
            Err(e) => return Err(e),
        }
    };
    let whole = if missing.as_os_str().is_empty() { real } else { real.join(missing) };
    whole
        .into_os_string()
        .into_string()
        .map_err(|_| io::Error::new(io::ErrorKind::InvalidInput, "it is not UTF-8"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn real_paths_of_what_is_not_there_yet() {
        assert_eq!(real_path(Path::new("/proc/self/../nothing/here")).unwrap(), "/proc/nothing/here");
        assert_eq!(real_path(Path::new("/")).unwrap(), "/");
        assert!(real_path(Path::new("relative")).is_err());
    }
}
