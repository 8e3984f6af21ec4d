//! Finds the listener of a Unix socket, without sending a byte and without ever waiting.

use gob_host::address::Address;
use nix::errno::Errno;
use nix::sys::socket::{self, AddressFamily, SockFlag, SockType, sockopt};
use std::io::{self, ErrorKind};
use std::path::Path;

/// The listener of a socket.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Listener {
    /// The path does not exist.
    Absent,
    /// The socket exists and has no listener.
    Nobody,
    /// This process listens; 0 when the kernel does not tell.
    Process(i32),
    /// The socket may have a listener; the probe could not tell.
    Unknown,
}

/// Probes a socket.
pub(super) fn listener(path: &Path) -> Listener {
    match connect(path) {
        Ok(pid) => Listener::Process(pid),
        Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => {
            Listener::Absent
        }
        Err(error) if error.kind() == ErrorKind::ConnectionRefused => Listener::Nobody,
        // EAGAIN: the backlog is full. The listener is slow.
        Err(_) => Listener::Unknown,
    }
}

fn connect(path: &Path) -> io::Result<i32> {
    let address = Address::of(path)?;
    let flags = SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK;
    let stream = socket::socket(AddressFamily::Unix, SockType::Stream, flags, None)?;
    match address.connect(&stream) {
        Ok(()) => Ok(socket::getsockopt(&stream, sockopt::PeerCredentials)?.pid()),
        // A datagram socket, such as the one for notifications. The kernel does not tell its owner.
        Err(error) if error.raw_os_error() == Some(Errno::EPROTOTYPE as i32) => {
            let datagrams = socket::socket(AddressFamily::Unix, SockType::Datagram, flags, None)?;
            address.connect(&datagrams).map(|()| 0)
        }
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::fd::AsRawFd;
    use std::os::unix::net::{UnixDatagram, UnixListener};
    use std::time::{Duration, Instant};

    /// A child that another test of this process starts has the socket, too, until its program runs.
    fn has_nobody(path: &Path) {
        let deadline = Instant::now() + Duration::from_secs(30);
        while listener(path) != Listener::Nobody {
            assert!(Instant::now() < deadline, "{:?}", listener(path));
            std::thread::park_timeout(Duration::from_millis(5));
        }
    }

    #[test]
    fn absent_left_behind_and_alive() {
        let dir = std::env::temp_dir().join(format!("gob-probe-{}-{}", std::process::id(), "x".repeat(80)));
        std::fs::create_dir_all(&dir).unwrap();
        let dir_fd = std::fs::File::open(&dir).unwrap();
        let path = dir.join("a-name-that-is-long-enough.sock");
        assert_eq!(listener(&path), Listener::Absent);
        let bound = format!("/proc/self/fd/{}/a-name-that-is-long-enough.sock", dir_fd.as_raw_fd());
        let alive = UnixListener::bind(bound).unwrap();
        assert_eq!(listener(&path), Listener::Process(i32::try_from(std::process::id()).unwrap()));
        drop(alive);
        has_nobody(&path);
        let notify = dir.join("notify.sock");
        let datagrams =
            UnixDatagram::bind(format!("/proc/self/fd/{}/notify.sock", dir_fd.as_raw_fd())).unwrap();
        assert_eq!(listener(&notify), Listener::Process(0));
        drop(datagrams);
        has_nobody(&notify);
        std::fs::remove_dir_all(dir).unwrap();
    }
}
