//! The socket on which a service manager listens for the supervisor (sd_listen_fds(3)).
//!
//! The keeper only passes it on: each supervisor that it starts gets the same socket, so that clients that connect between two of
//! them wait in its queue. The two locks decide which supervisor serves it, as they do without a manager. Other descriptors of
//! the manager are reported and closed.

use crate::log;
use crate::sys;
use nix::sys::socket::{SockType, getsockopt, sockopt};
use sd_notify::NotifyState;
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};

/// Takes the descriptors that a manager handed to this very process. It may have opened nothing yet.
pub(crate) fn take() -> Vec<OwnedFd> {
    match sd_notify::listen_fds() {
        Ok(numbers) => numbers.filter_map(|number| sys::take_fd(number).ok()).collect(),
        Err(error) => {
            log::event(&format!("the sockets of LISTEN_FDS cannot be used: {error}"));
            Vec::new()
        }
    }
}

/// Returns the one that listens at the supervisor's own path.
pub(crate) fn choose(handed: Vec<OwnedFd>, socket: &Path) -> Option<UnixListener> {
    let mut chosen = None;
    for fd in handed {
        let (number, listener) = (fd.as_raw_fd(), UnixListener::from(fd));
        match place(&listener) {
            Some(path) if path == socket && chosen.is_none() => chosen = Some(listener),
            other => {
                let found =
                    other.map_or_else(|| "no such socket".to_owned(), |path| path.display().to_string());
                let wanted = socket.display();
                log::event(&format!(
                    "descriptor {number} of LISTEN_FDS is {found}, not {wanted}; it is not used"
                ));
            }
        }
    }
    chosen
}

/// Returns the path on which a stream socket listens.
fn place(listener: &UnixListener) -> Option<PathBuf> {
    let is_stream = getsockopt(listener, sockopt::SockType) == Ok(SockType::Stream);
    let listens = getsockopt(listener, sockopt::AcceptConn) == Ok(true);
    let address = listener.local_addr().ok().filter(|_| is_stream && listens)?;
    address.as_pathname().map(Path::to_owned)
}

/// Ends the unit in order although another supervisor has the locks. Connections that wait in the queue are closed, or the manager would
/// start the unit for them again and again; a client's next try finds the other supervisor.
pub(crate) fn give_way(listener: Option<&UnixListener>, said: &str) {
    if let Some(listener) = listener
        && listener.set_nonblocking(true).is_ok()
    {
        while listener.accept().is_ok() {}
    }
    let status = format!("{said}, outside of this unit");
    if let Err(error) = sd_notify::notify(&[NotifyState::Ready, NotifyState::Status(&status)]) {
        log::event(&format!("the service manager cannot be told: {error}"));
    }
}
