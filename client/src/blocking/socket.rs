//! Connecting a Unix stream socket: with a deadline, along paths of any length, to this user's processes only.
//!
//! Owns nothing. Whether somebody has to be started first is [`crate::autostart`]'s question.

use nix::errno::Errno;
use nix::fcntl::{OFlag, open};
use nix::sys::socket::{self, AddressFamily, SockFlag, SockType, UnixAddr, sockopt};
use nix::sys::stat::Mode;
use nix::sys::time::TimeVal;
use std::io;
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// Longest path that fits into a socket address with its closing NUL (unix(7)).
const MAX_SUN_PATH: usize = 107;

/// Why there is no connection.
#[derive(Debug)]
pub(crate) enum NoConnection {
    /// There is no socket, or nobody accepts on it.
    Nobody,
    /// Somebody may be there, but it does not work.
    Failed(io::Error),
    /// Another user's process answers.
    Peer(u32),
}

/// Connects, waiting in the line of those who want to until `deadline`.
pub(crate) fn connect(path: &Path, deadline: Instant) -> Result<UnixStream, NoConnection> {
    let failed = |errno: Errno| NoConnection::Failed(errno.into());
    // Kept open until connect(2) has walked through it.
    let (address, _dir) = address(path).map_err(of_errno)?;
    loop {
        let socket = socket::socket(AddressFamily::Unix, SockType::Stream, SockFlag::SOCK_CLOEXEC, None)
            .map_err(failed)?;
        // With a send timeout connect(2) waits for a place in a full backlog instead of failing with EAGAIN at once;
        // there is no event to poll for.
        let wait = deadline.saturating_duration_since(Instant::now()).max(Duration::from_millis(1));
        socket::setsockopt(&socket, sockopt::SendTimeout, &time_val(wait)).map_err(failed)?;
        match socket::connect(socket.as_raw_fd(), &address) {
            Ok(()) => return check_peer(socket),
            Err(Errno::EINTR) if Instant::now() < deadline => {}
            Err(Errno::EAGAIN) => {
                let text = "its queue of waiting connections stayed full";
                return Err(NoConnection::Failed(io::Error::new(io::ErrorKind::TimedOut, text)));
            }
            Err(errno) => return Err(of_errno(errno)),
        }
    }
}

fn of_errno(errno: Errno) -> NoConnection {
    if matches!(errno, Errno::ENOENT | Errno::ECONNREFUSED | Errno::ENOTSOCK | Errno::EPROTOTYPE) {
        NoConnection::Nobody
    } else {
        NoConnection::Failed(errno.into())
    }
}

fn time_val(duration: Duration) -> TimeVal {
    let micros = i64::try_from(duration.as_micros()).unwrap_or(i64::MAX);
    TimeVal::new(micros / 1_000_000, micros % 1_000_000)
}

fn address(path: &Path) -> Result<(UnixAddr, Option<OwnedFd>), Errno> {
    if path.as_os_str().as_bytes().len() <= MAX_SUN_PATH {
        return Ok((UnixAddr::new(path)?, None));
    }
    let dir = path.parent().ok_or(Errno::ENAMETOOLONG)?;
    let name = path.file_name().ok_or(Errno::ENAMETOOLONG)?;
    let fd = open(dir, OFlag::O_PATH | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC, Mode::empty())?;
    let through: PathBuf = Path::new("/proc/self/fd").join(fd.as_raw_fd().to_string()).join(name);
    Ok((UnixAddr::new(&through)?, Some(fd)))
}

/// The kernel says who listens; a socket in a shared directory could be anybody's.
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
    use std::os::unix::net::UnixListener;

    fn soon() -> Instant {
        Instant::now() + Duration::from_secs(2)
    }

    #[test]
    fn nobody_there() {
        let base = std::env::temp_dir().join(format!("gob-sock-{}", std::process::id()));
        std::fs::create_dir_all(&base).unwrap();
        let path = base.join("s");
        assert!(matches!(connect(&path, soon()), Err(NoConnection::Nobody)));
        drop(UnixListener::bind(&path).unwrap());
        assert!(matches!(connect(&path, soon()), Err(NoConnection::Nobody)), "a stale socket");
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
