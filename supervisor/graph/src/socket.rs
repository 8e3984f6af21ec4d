//! The worker's Unix socket: published in one step, published again after a loss, removed at the end.
//!
//! Owns the listening socket, its identity (device and inode) and, unless gob watches it, the inotify watch
//! of its directory. All names are reached through a descriptor of the directory, so that paths longer than
//! `sun_path` work. Clients' bytes are read elsewhere.

use crate::limits::SOCKET_CHECK;
use crate::log;
use nix::errno::Errno;
use nix::sys::inotify::{AddWatchFlags, InitFlags, Inotify, WatchDescriptor};
use nix::sys::socket::{AddressFamily, SockFlag, SockType, UnixAddr, connect, socket};
use std::fs::{self, DirBuilder, File, OpenOptions, Permissions};
use std::io;
use std::os::fd::{AsFd, AsRawFd as _, BorrowedFd};
use std::os::unix::fs::{
    DirBuilderExt as _, FileTypeExt as _, MetadataExt as _, OpenOptionsExt as _, PermissionsExt as _,
};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};

/// The reason why the socket can't be published.
#[derive(Debug, thiserror::Error)]
pub enum SocketError {
    /// Another process answers at the path.
    #[error("another process already answers on {0}")]
    Answered(PathBuf),
    /// The path is not a socket.
    #[error("{0} exists and is not a socket; it was not touched")]
    NotASocket(PathBuf),
    /// The path is a socket of another user.
    #[error("{path} is a socket of user {uid}; it was not touched")]
    Foreign {
        /// The path.
        path: PathBuf,
        /// Its owner.
        uid: u32,
    },
    /// The path has no file name.
    #[error("{0} is not a path for a socket")]
    NoName(PathBuf),
    /// A system call failed.
    #[error("cannot {operation} {path}: {source}")]
    Io {
        /// The operation.
        operation: &'static str,
        /// The file or directory.
        path: PathBuf,
        /// The cause.
        source: io::Error,
    },
}

/// The watcher of the socket's path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Watch {
    /// The worker, which watches the directory.
    Own,
    /// Another program, which signals a loss.
    Told,
}

/// The published socket.
#[derive(Debug)]
pub(crate) struct Socket {
    path: PathBuf,
    bound: Bound,
    /// Missing where another program watches, or where the user has no instances left: then only the slow
    /// check notices that the path is gone.
    inotify: Option<Inotify>,
    watches: Vec<WatchDescriptor>,
}

#[derive(Debug)]
struct Bound {
    listener: UnixListener,
    identity: (u64, u64),
}

impl Socket {
    /// Publishes a socket of mode 0600 at this absolute path, making its directory (0700) where it is
    /// missing. A socket without a listener is replaced.
    pub(crate) fn publish(path: &Path, watch: Watch) -> Result<Self, SocketError> {
        let inotify = match watch {
            Watch::Own => new_inotify(),
            Watch::Told => None,
        };
        let (watches, bound) = bind_watched(path, inotify.as_ref())?;
        Ok(Self { path: path.to_owned(), bound, inotify, watches })
    }

    /// Returns the path of the socket.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Returns the listening socket; it does not block.
    pub(crate) fn listener(&self) -> BorrowedFd<'_> {
        self.bound.listener.as_fd()
    }

    /// Returns the descriptor that becomes readable when the socket's directory changes.
    pub(crate) fn changes(&self) -> Option<BorrowedFd<'_>> {
        self.inotify.as_ref().map(AsFd::as_fd)
    }

    /// Drops the queued notifications.
    pub(crate) fn clear_changes(&self) {
        let Some(inotify) = &self.inotify else { return };
        // EAGAIN means that the queue is empty; an overflow is a change like any other.
        while inotify.read_events().is_ok_and(|events| !events.is_empty()) {}
    }

    /// Accepts the next waiting connection, if there is one.
    pub(crate) fn accept(&self) -> io::Result<Option<UnixStream>> {
        loop {
            match self.bound.listener.accept() {
                Ok((stream, _)) => return Ok(Some(stream)),
                Err(e) if e.kind() == io::ErrorKind::WouldBlock => return Ok(None),
                Err(e)
                    if matches!(e.kind(), io::ErrorKind::Interrupted | io::ErrorKind::ConnectionAborted) => {}
                Err(e) => return Err(e),
            }
        }
    }

    /// Returns whether the path still leads to this socket.
    pub(crate) fn is_published(&self) -> bool {
        identity(&self.path).is_ok_and(|found| found == self.bound.identity)
    }

    /// Publishes anew after the path was lost. The old listener ends; its waiting connections must have been
    /// accepted before.
    pub(crate) fn publish_again(&mut self) -> Result<(), SocketError> {
        for old in std::mem::take(&mut self.watches) {
            if let Some(inotify) = &self.inotify
                && let Err(e) = inotify.rm_watch(old)
                // The kernel has dropped the watch already when the directory is gone.
                && e != Errno::EINVAL
            {
                log::line(format_args!("cannot end the watch of {}: {e}", self.path.display()));
            }
        }
        let (watches, bound) = bind_watched(&self.path, self.inotify.as_ref())?;
        self.watches = watches;
        self.bound = bound;
        Ok(())
    }

    /// Removes the socket's file if it is still this socket's.
    pub(crate) fn remove(&self) {
        if self.is_published()
            && let Err(e) = fs::remove_file(&self.path)
        {
            log::line(format_args!("cannot remove {}: {e}", self.path.display()));
        }
    }
}

fn new_inotify() -> Option<Inotify> {
    let made = Inotify::init(InitFlags::IN_CLOEXEC | InitFlags::IN_NONBLOCK);
    if let Err(e) = &made {
        log::line(format_args!("cannot watch the socket, it is checked once a minute instead: {e}"));
    }
    made.ok()
}

fn failed(operation: &'static str, path: &Path) -> impl FnOnce(io::Error) -> SocketError {
    let path = path.to_owned();
    move |source| SocketError::Io { operation, path, source }
}

/// Watches before it binds, so that no later change of the path is missed.
fn bind_watched(
    path: &Path,
    inotify: Option<&Inotify>,
) -> Result<(Vec<WatchDescriptor>, Bound), SocketError> {
    let parent = path.parent().unwrap_or(Path::new("/"));
    let made = DirBuilder::new().recursive(true).mode(0o700).create(parent);
    made.map_err(failed("make", parent))?;
    let mut options = OpenOptions::new();
    let directory = options.read(true).custom_flags(nix::libc::O_DIRECTORY).open(parent);
    let directory = directory.map_err(failed("open", parent))?;
    let flags = AddWatchFlags::IN_DELETE
        | AddWatchFlags::IN_MOVE
        | AddWatchFlags::IN_DELETE_SELF
        | AddWatchFlags::IN_MOVE_SELF;
    let through = through(&directory);
    let watch = |dir: &Path, flags| match inotify?.add_watch(dir, flags) {
        Ok(watch) => Some(watch),
        Err(e) => {
            log::line(format_args!("cannot watch {}, it is checked once a minute: {e}", dir.display()));
            None
        }
    };
    // Only the moved directory itself reports a move; the directories below it don't.
    let above = parent.ancestors().skip(1).filter_map(|dir| watch(dir, AddWatchFlags::IN_MOVE_SELF));
    let watches = watch(&through, flags).into_iter().chain(above).collect();
    bind(path, &through).map(|bound| (watches, bound))
}

fn bind(path: &Path, directory: &Path) -> Result<Bound, SocketError> {
    let name = path.file_name().ok_or_else(|| SocketError::NoName(path.to_owned()))?;
    let target = directory.join(name);
    refuse_if_taken(path, &target)?;
    let temporary = directory.join(format!(".gob-{}", std::process::id()));
    match fs::remove_file(&temporary) {
        Ok(()) => {}
        Err(e) if e.kind() == io::ErrorKind::NotFound => {}
        Err(e) => return Err(failed("replace", path)(e)),
    }
    let listener = UnixListener::bind(&temporary).map_err(failed("bind", path))?;
    let finished = listener
        .set_nonblocking(true)
        .and_then(|()| fs::set_permissions(&temporary, Permissions::from_mode(0o600)))
        .and_then(|()| identity(&temporary))
        .and_then(|identity| fs::rename(&temporary, &target).map(|()| identity));
    match finished {
        Ok(identity) => Ok(Bound { listener, identity }),
        Err(e) => {
            drop(fs::remove_file(&temporary));
            Err(failed("publish", path)(e))
        }
    }
}

/// Returns a short path of the directory, by its descriptor.
fn through(directory: &File) -> PathBuf {
    PathBuf::from(format!("/proc/self/fd/{}", directory.as_raw_fd()))
}

fn identity(path: &Path) -> io::Result<(u64, u64)> {
    fs::symlink_metadata(path).map(|found| (found.dev(), found.ino()))
}

/// Refuses to replace a socket that has a listener.
fn refuse_if_taken(path: &Path, target: &Path) -> Result<(), SocketError> {
    let mut options = OpenOptions::new();
    options.read(true).custom_flags(nix::libc::O_PATH | nix::libc::O_NOFOLLOW);
    let there = match options.open(target) {
        Ok(there) => there,
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(e) => return Err(failed("look at", path)(e)),
    };
    let found = there.metadata().map_err(failed("look at", path))?;
    if !found.file_type().is_socket() {
        return Err(SocketError::NotASocket(path.to_owned()));
    }
    if found.uid() != nix::unistd::geteuid().as_raw() {
        return Err(SocketError::Foreign { path: path.to_owned(), uid: found.uid() });
    }
    // Does not block: a full backlog is an answer too.
    let probe =
        socket(AddressFamily::Unix, SockType::Stream, SockFlag::SOCK_NONBLOCK | SockFlag::SOCK_CLOEXEC, None);
    let probe = probe.map_err(|e| failed("probe", path)(e.into()))?;
    let address = UnixAddr::new(&through(&there)).map_err(|e| failed("probe", path)(e.into()))?;
    match connect(probe.as_raw_fd(), &address) {
        Ok(()) | Err(Errno::EAGAIN | Errno::EINPROGRESS) => Err(SocketError::Answered(path.to_owned())),
        Err(Errno::ECONNREFUSED | Errno::ENOENT) => Ok(()),
        Err(e) => Err(failed("probe", path)(e.into())),
    }
}

/// Returns the wait after one more failed publication.
pub(crate) fn next_wait(wait: std::time::Duration) -> std::time::Duration {
    (wait * 2).min(SOCKET_CHECK)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stale_is_replaced_alive_and_foreign_are_not() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("sub/g.sock");
        let first = Socket::publish(&path, Watch::Own).unwrap();
        assert_eq!(fs::metadata(&path).unwrap().mode() & 0o777, 0o600);
        assert_eq!(fs::metadata(path.parent().unwrap()).unwrap().mode() & 0o777, 0o700);
        assert!(matches!(Socket::publish(&path, Watch::Own), Err(SocketError::Answered(_))));
        drop(first);
        assert!(path.exists());
        let second = Socket::publish(&path, Watch::Own).unwrap();
        assert!(second.is_published());
        second.remove();
        assert!(!path.exists());
        fs::write(&path, "x").unwrap();
        assert!(matches!(Socket::publish(&path, Watch::Own), Err(SocketError::NotASocket(_))));
        assert_eq!(fs::read(&path).unwrap(), b"x");
    }

    #[test]
    fn only_its_own_file_is_removed() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("g.sock");
        let first = Socket::publish(&path, Watch::Own).unwrap();
        fs::remove_file(&path).unwrap();
        let second = Socket::publish(&path, Watch::Own).unwrap();
        first.remove();
        assert!(second.is_published() && !first.is_published());
    }

    #[test]
    fn paths_longer_than_an_address() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("d".repeat(120)).join(format!("{}.sock", "n".repeat(200)));
        let socket = Socket::publish(&path, Watch::Own).unwrap();
        assert!(socket.is_published());
        assert!(matches!(Socket::publish(&path, Watch::Own), Err(SocketError::Answered(_))));
    }

    #[test]
    fn the_socket_comes_back_after_its_directory_was_removed() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("run/g.sock");
        let mut socket = Socket::publish(&path, Watch::Own).unwrap();
        fs::remove_dir_all(path.parent().unwrap()).unwrap();
        assert!(!socket.is_published());
        socket.publish_again().unwrap();
        assert!(socket.is_published());
        assert!(UnixStream::connect(&path).is_ok());
    }

    #[test]
    fn a_move_of_a_directory_above_is_noticed() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("run/graphs/g.sock");
        let mut socket = Socket::publish(&path, Watch::Own).unwrap();
        for aside in ["aside", "aside too"] {
            socket.clear_changes();
            fs::rename(dir.path().join("run"), dir.path().join(aside)).unwrap();
            let heard = socket.inotify.as_ref().unwrap().read_events();
            assert!(heard.is_ok_and(|events| !events.is_empty()) && !socket.is_published());
            socket.publish_again().unwrap();
            assert!(socket.is_published());
        }
    }
}
