//! Who listens on a Unix socket, asked without saying a word and without ever waiting.

use nix::errno::Errno;
use nix::fcntl::{OFlag, open};
use nix::sys::socket::{self, AddressFamily, SockFlag, SockType, UnixAddr, sockopt};
use nix::sys::stat::Mode;
use std::os::fd::AsRawFd;
use std::path::Path;

/// Who listens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Listener {
    /// There is nothing of that name.
    Absent,
    /// It is there, and nobody accepts on it.
    Nobody,
    /// This process listens; 0 when the kernel does not tell.
    Process(i32),
    /// Somebody may listen; that could not be found out.
    Unknown,
}

/// Looks at a socket.
pub(super) fn listener(path: &Path) -> Listener {
    match connect(path) {
        Ok(pid) => Listener::Process(pid),
        Err(Errno::ENOENT | Errno::ENOTDIR) => Listener::Absent,
        Err(Errno::ECONNREFUSED) => Listener::Nobody,
        // EAGAIN: so many wait to be accepted that there is no room. Somebody listens, and is slow.
        Err(_) => Listener::Unknown,
    }
}

fn connect(path: &Path) -> nix::Result<i32> {
    let (dir, name) = path.parent().zip(path.file_name()).ok_or(Errno::ENOENT)?;
    // Through the directory, because an address holds 107 bytes at most.
    let dir = open(dir, OFlag::O_PATH | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC, Mode::empty())?;
    let address = UnixAddr::new(&Path::new("/proc/self/fd").join(dir.as_raw_fd().to_string()).join(name))?;
    let flags = SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK;
    let stream = socket::socket(AddressFamily::Unix, SockType::Stream, flags, None)?;
    match socket::connect(stream.as_raw_fd(), &address) {
        // A socket for datagrams, as that for notifications. Who has it open is not told.
        Err(Errno::EPROTOTYPE) => {
            let datagrams = socket::socket(AddressFamily::Unix, SockType::Datagram, flags, None)?;
            socket::connect(datagrams.as_raw_fd(), &address).map(|()| 0)
        }
        connected => {
            connected.and_then(|()| Ok(socket::getsockopt(&stream, sockopt::PeerCredentials)?.pid()))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::net::{UnixDatagram, UnixListener};

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
        assert_eq!(listener(&path), Listener::Nobody);
        let notify = dir.join("notify.sock");
        let datagrams =
            UnixDatagram::bind(format!("/proc/self/fd/{}/notify.sock", dir_fd.as_raw_fd())).unwrap();
        assert_eq!(listener(&notify), Listener::Process(0));
        drop(datagrams);
        assert_eq!(listener(&notify), Listener::Nobody);
        std::fs::remove_dir_all(dir).unwrap();
    }
}
