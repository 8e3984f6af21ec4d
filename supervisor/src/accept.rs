//! Takes connections in. Checks the peer's user before the first byte is read, and survives a lack of descriptors
//! without spinning.

use crate::conn::{self, FromConn};
use crate::sys::fds;
use gob_core::ConnId;
use gob_protocol::{ErrorCode, WireError, envelope};
use std::cell::Cell;
use std::fs::File;
use std::io;
use std::rc::Rc;
use std::time::Duration;
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::mpsc;

/// Descriptors that are kept for workers' pipes, files and the supervisor itself.
const RESERVED_FILES: u64 = 64;

/// How long to let be when the kernel has no descriptor to give.
const BACKOFF: Duration = Duration::from_millis(100);

/// Accepts until the listener is dropped.
pub(crate) async fn accept(listener: UnixListener, to_loop: mpsc::Sender<FromConn>) {
    let mut reserve = File::open("/dev/null").ok();
    let open = Rc::new(Cell::new(0_u64));
    let most = (fds::open_files_limit() / 2).max(fds::open_files_limit().saturating_sub(16 * 1024));
    let most = most.saturating_sub(RESERVED_FILES).max(16);
    let mut next = 0;
    loop {
        match listener.accept().await {
            Ok((stream, _)) => {
                let Some(pid) = admit(&stream, open.get() >= most) else { continue };
                next += 1;
                let (conn, to_loop, open) = (ConnId(next), to_loop.clone(), Rc::clone(&open));
                open.set(open.get() + 1);
                tokio::task::spawn_local(async move {
                    conn::serve(conn, pid, stream, to_loop).await;
                    open.set(open.get() - 1);
                });
            }
            Err(e) => {
                tracing::warn!(error = %e, "cannot take a connection");
                // Out of descriptors, the same connection would be offered for ever: give one up to turn it away.
                reserve.take();
                if let Ok((stream, _)) =
                    tokio::time::timeout(BACKOFF, listener.accept()).await.unwrap_or_else(no)
                {
                    refuse(&stream, &busy());
                }
                reserve = File::open("/dev/null").ok();
                tokio::time::sleep(BACKOFF).await;
            }
        }
    }
}

fn no<T>(_: tokio::time::error::Elapsed) -> io::Result<T> {
    Err(io::ErrorKind::TimedOut.into())
}

/// The client's process, if the client may speak to us at all.
fn admit(stream: &UnixStream, full: bool) -> Option<Option<i32>> {
    let peer = match stream.peer_cred() {
        Ok(peer) if peer.uid() == fds::uid() => peer,
        Ok(_) | Err(_) => {
            let message = "this supervisor serves another user";
            refuse(stream, &WireError::new(ErrorCode::PermissionDenied, message));
            return None;
        }
    };
    if full {
        refuse(stream, &busy());
        return None;
    }
    Some(peer.pid())
}

fn busy() -> WireError {
    WireError::new(ErrorCode::Busy, "the supervisor has no room for another connection")
        .hint("close some, or raise the limit of open files, and try again")
        .details(serde_json::json!({"limit": "connections"}))
}

/// Says why in one line, if the socket takes it at once, and hangs up.
fn refuse(stream: &UnixStream, error: &WireError) {
    let mut line = Vec::new();
    if envelope::write_response::<()>(&mut line, None, Err(error)).is_ok() {
        stream.try_write(&line).unwrap_or_default();
    }
}
