//! One client's connection: turns bytes into requests. Reads, frames and parses; changes nothing and decides
//! nothing.
//!
//! Owns the framer of its connection. Requests get their turn at the [`Desk`] as soon as they are read;
//! answers come back through [`Outbound`].

use crate::desk::Desk;
use crate::disks::Disks;
use crate::memory::Share;
use crate::outbound::Outbound;
use crate::sys::wire::Wire;
use gob_core::{ConnId, Input};
use gob_protocol::envelope::{frame_too_long, parse_request, write_response};
use gob_protocol::limits::{MAX_PATH_BYTES, MAX_REQUEST_BYTES};
use gob_protocol::{ErrorCode, Framer, Incoming, Rejected, Request, WireError};
use std::cell::RefCell;
use std::collections::VecDeque;
use std::future::poll_fn;
use std::io;
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::task::{Poll, ready};
use tokio::net::UnixStream;

/// Requests of one client before other clients get a turn.
const TURN_REQUESTS: usize = 32;

/// After so many bytes of answers to one client others have their turn.
const TURN_BYTES: usize = 256 * 1024;

/// Bytes taken by one read.
const READ_BYTES: usize = 64 * 1024;

/// Serves a connection until its client is gone.
pub(crate) async fn serve(
    conn: ConnId,
    pid: Option<i32>,
    stream: UnixStream,
    desk: Desk,
    disks: Disks,
    share: Share,
) {
    let wire = match Wire::new(stream) {
        Ok(wire) => wire,
        Err(error) => return tracing::warn!(%error, "a connection is lost"),
    };
    let outbound = Rc::new(Outbound::new(wire));
    let _told = Told(&desk);
    if desk.is_over() {
        return;
    }
    desk.turn(|shell| shell.connected(conn, pid, Rc::clone(&outbound)));
    // A connection ends for one reason, of no interest to others: its client is gone.
    read_requests(conn, &outbound, &desk, &disks, share).await.unwrap_or_default();
    outbound.close();
    if !desk.is_over() {
        desk.turn(|shell| shell.disconnected(conn));
    }
}

/// A panic in a task concerns only that task; a panic in a turn concerns the supervisor.
struct Told<'a>(&'a Desk);

impl Drop for Told<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.0.stir_if_broken();
        }
    }
}

async fn read_requests(
    conn: ConnId,
    outbound: &Outbound,
    desk: &Desk,
    disks: &Disks,
    mut share: Share,
) -> io::Result<()> {
    let mut framer = Framer::new(MAX_REQUEST_BYTES);
    let mut requests = VecDeque::new();
    loop {
        if desk.is_over() {
            return Err(io::ErrorKind::BrokenPipe.into());
        }
        if let Some(frames) = outbound.take_written() {
            desk.turn(|shell| shell.input(Input::Written { conn, frames }));
        }
        if requests.is_empty() && outbound.may_read() {
            let parsed = parse_frames(&mut framer, outbound.room().min(TURN_REQUESTS));
            outbound.asked(parsed.len());
            requests = resolve_roots(parsed, disks).await.into();
        }
        if !requests.is_empty() && outbound.may_answer() && share.may_answer(outbound.bytes()) {
            let many = requests.len() >= TURN_REQUESTS;
            let before = outbound.bytes();
            desk.turn(|shell| {
                while outbound.bytes().saturating_sub(before) <= TURN_BYTES
                    && let Some(request) = requests.pop_front()
                {
                    shell.take_request(conn, request);
                }
            });
            share.waits(outbound.bytes());
            if many || !requests.is_empty() {
                tokio::task::yield_now().await;
            }
            continue;
        }
        let may_read = requests.is_empty() && outbound.may_read();
        if outbound.is_closed() || outbound.is_done() {
            return Ok(());
        }
        framer.give_back();
        share.waits(outbound.bytes());
        if !share.holds(framer.held_bytes()) {
            refuse(outbound);
            return Ok(());
        }
        tokio::select! {
            end = read(&outbound.wire, &mut framer), if may_read => {
                if end? {
                    outbound.end_of_requests();
                    // A client that has closed both directions can't be written to either.
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

/// Reports that unfinished requests take too much memory; the connection then ends.
fn refuse(outbound: &Outbound) {
    let error = WireError::new(ErrorCode::Busy, "unfinished requests take too much memory")
        .hint("send requests whole and at once, and try again")
        .details(serde_json::json!({"limit": "unfinished requests"}));
    outbound.reply(|line| write_response::<()>(line, None, Err(&error)).unwrap_or_default());
    outbound.flush();
}

/// Reads once; true at the end of the stream. Cancel safe.
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

/// Replaces each `root_dir` by its real path, a graph's identity. The resolution may hang on a dead mount, so
/// it runs off this thread and delays only this connection.
#[expect(clippy::wildcard_enum_match_arm, reason = "most requests name no root")]
async fn resolve_roots(
    mut requests: Vec<Result<Incoming, Rejected>>,
    disks: &Disks,
) -> Vec<Result<Incoming, Rejected>> {
    for slot in &mut requests {
        let Ok(Incoming { id, request }) = slot else { continue };
        let named = match request {
            Request::Start(start) => &mut start.root_dir,
            Request::GraphDelete(delete) => &mut delete.root_dir,
            _other => continue,
        };
        let Some(root_dir) = named.take() else { continue };
        let place = root_dir.clone();
        let resolved = disks.ask(&place, vec![root_dir], {
            let root_dir = place.clone();
            move |at| {
                at.go("find", &root_dir);
                real_path(Path::new(&root_dir))
            }
        });
        match resolved.await.map_err(io::Error::other).and_then(|path| path) {
            Ok(path) => *named = Some(path),
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

/// Returns the real path of a directory that may not exist yet: the real path of its existing part, and the
/// rest as given.
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
    if whole.as_os_str().len() > MAX_PATH_BYTES {
        return Err(io::Error::from_raw_os_error(libc::ENAMETOOLONG));
    }
    whole
        .into_os_string()
        .into_string()
        .map_err(|_| io::Error::new(io::ErrorKind::InvalidInput, "it is not UTF-8"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_missing_directory_has_a_real_path() {
        assert_eq!(real_path(Path::new("/proc/self/../nothing/here")).unwrap(), "/proc/nothing/here");
        assert_eq!(real_path(Path::new("/")).unwrap(), "/");
        assert!(real_path(Path::new("relative")).is_err());
    }
}
