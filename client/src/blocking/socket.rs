//! Connects a Unix stream socket: with a deadline, along paths of any length, to this user's processes only.
//!
//! Owns nothing. [`crate::autostart`] decides whether a supervisor must be started first.

use gob_host::address::Address;
use nix::errno::Errno;
use nix::sys::socket::{self, AddressFamily, SockFlag, SockType, sockopt};
use nix::sys::time::TimeVal;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::{Duration, Instant};

/// The reason why there is no connection.
#[derive(Debug)]
pub(crate) enum NoConnection {
    /// The socket is missing, or has no listener.
    Nobody,
    /// The socket may have a listener, but does not work.
    Failed(io::Error),
    /// Another user's process answers.
    Peer(u32),
}

/// Connects, waiting in the socket's backlog until `deadline`.
pub(crate) fn connect(path: &Path, deadline: Instant) -> Result<UnixStream, NoConnection> {
    let failed = |errno: Errno| NoConnection::Failed(errno.into());
    let address = Address::of(path).map_err(of_error)?;
    loop {
        let socket = socket::socket(AddressFamily::Unix, SockType::Stream, SockFlag::SOCK_CLOEXEC, None)
            .map_err(failed)?;
        // With a send timeout connect(2) waits for a place in a full backlog instead of failing with EAGAIN at once;
        // there is no event to poll for.
        let wait = deadline.saturating_duration_since(Instant::now()).max(Duration::from_millis(1));
        socket::setsockopt(&socket, sockopt::SendTimeout, &time_val(wait)).map_err(failed)?;
        let Err(error) = address.connect(&socket) else { return check_peer(socket) };
        if error.kind() == io::ErrorKind::WouldBlock {
            let text = "its queue of waiting connections stayed full";
            return Err(NoConnection::Failed(io::Error::new(io::ErrorKind::TimedOut, text)));
        }
        if error.kind() != io::ErrorKind::Interrupted || Instant::now() >= deadline {
            return Err(of_error(error));
        }
    }
}

fn of_error(error: io::Error) -> NoConnection {
    let errno = Errno::from_raw(error.raw_os_error().unwrap_or(0));
    if matches!(errno, Errno::ENOENT | Errno::ECONNREFUSED | Errno::ENOTSOCK | Errno::EPROTOTYPE) {
        NoConnection::Nobody
    } else {
        NoConnection::Failed(error)
    }
}

fn time_val(duration: Duration) -> TimeVal {
    let micros = i64::try_from(duration.as_micros()).unwrap_or(i64::MAX);
    TimeVal::new(micros / 1_000_000, micros % 1_000_000)
}

/// The kernel names the listener; a socket in a shared directory could belong to any user.
fn check_peer(socket: OwnedFd) -> Result<UnixStream, NoConnection> {
    let peer = socket::getsockopt(&socket, sockopt::PeerCredentials);
    let uid = peer.map_err(|errno| NoConnection::Failed(errno.into()))?.uid();
    if uid != nix::unistd::geteuid().as_raw() {
        return Err(NoConnection::Peer(uid));
    }
    Ok(UnixStream::from(socket))
}

#[cfg(test)]
mod tests {
    use super::*;
    use nix::sys::socket::UnixAddr;
    use std::os::fd::AsRawFd;
    use std::os::unix::net::UnixListener;

    fn soon() -> Instant {
        Instant::now() + Duration::from_secs(2)
    }

    #[test]
    fn a_missing_or_stale_socket_has_no_listener() {
        let base = std::env::temp_dir().join(format!("gob-sock-{}", std::process::id()));
        std::fs::create_dir_all(&base).unwrap();
        let path = base.join("s");
        assert!(matches!(connect(&path, soon()), Err(NoConnection::Nobody)));
        drop(UnixListener::bind(&path).unwrap());
        // A child that another test of this process starts has the socket, too, until its program runs.
        let deadline = Instant::now() + Duration::from_secs(30);
        while !matches!(connect(&path, soon()), Err(NoConnection::Nobody)) {
            assert!(Instant::now() < deadline, "a stale socket");
            std::thread::park_timeout(Duration::from_millis(5));
        }
        std::fs::remove_dir_all(base).unwrap();
    }

    #[test]
    fn long_paths_go_through_the_directory() {
        let base = std::env::temp_dir().join(format!("gob-long-{}-{}", std::process::id(), "x".repeat(120)));
        std::fs::create_dir_all(&base).unwrap();
        let path = base.join("daemon.sock");
        let dir = std::fs::File::open(&base).unwrap();
        let listener = UnixListener::bind(format!("/proc/self/fd/{}/daemon.sock", dir.as_raw_fd())).unwrap();
        connect(&path, soon()).unwrap();
        drop(listener);
        std::fs::remove_dir_all(base).unwrap();
    }

    #[test]
    fn a_full_backlog_is_waited_for_until_the_deadline() {
        let base = std::env::temp_dir().join(format!("gob-full-{}", std::process::id()));
        std::fs::create_dir_all(&base).unwrap();
        let path = base.join("s");
        let socket =
            socket::socket(AddressFamily::Unix, SockType::Stream, SockFlag::SOCK_CLOEXEC, None).unwrap();
        socket::bind(socket.as_raw_fd(), &UnixAddr::new(&path).unwrap()).unwrap();
        socket::listen(&socket, socket::Backlog::new(0).unwrap()).unwrap();
        let _first = connect(&path, soon()).unwrap();
        let deadline = Instant::now() + Duration::from_millis(50);
        assert!(matches!(connect(&path, deadline), Err(NoConnection::Failed(_))));
        assert!(Instant::now() >= deadline);
        std::fs::remove_dir_all(base).unwrap();
    }
}
