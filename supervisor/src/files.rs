//! The supervisor's files and directories: private by construction, published by rename.

use crate::mark::{JOBS_NUMBERED, LOCKS_HELD};
use gob_host::lock_file;
use gob_protocol::Name;
use nix::errno::Errno;
use nix::sys::socket::sockopt::PeerCredentials;
use nix::sys::socket::{
    AddressFamily, Backlog, SockFlag, SockType, UnixAddr, connect, getsockopt, listen, socket,
};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fs::{self, DirBuilder, File, Metadata, OpenOptions, Permissions};
use std::io::{self, Write};
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::fs::{DirBuilderExt, FileTypeExt, MetadataExt, OpenOptionsExt, PermissionsExt};
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

/// The socket's name in the runtime directory.
pub(crate) const SOCKET: &str = "daemon.sock";
/// The pid file's name, for people: it decides nothing.
pub(crate) const PID_FILE: &str = "daemon.pid";
/// The lock's name in the state directory.
pub(crate) const LOCK: &str = "gobd.lock";
/// The name of the supervisor's own log there.
pub(crate) const LOG: &str = "gobd.log";
/// The name of the directory of workers' logs there.
pub(crate) const LOGS: &str = "logs";

/// Makes a directory and its parents, 0700; an existing one stays as it is.
pub(crate) fn make_private_dirs(dir: &Path) -> io::Result<()> {
    DirBuilder::new().recursive(true).mode(0o700).create(dir)
}

/// Returns a path below an open directory that is short enough for a socket's address, whatever the
/// directory's own path.
pub(crate) fn below(dir: &File, name: &str) -> PathBuf {
    PathBuf::from(format!("/proc/self/fd/{}/{name}", dir.as_raw_fd()))
}

/// The identity of a file: device, inode and birth. Inodes are used again once a file is gone, births are
/// not.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "IdentityState", into = "IdentityState")]
pub(crate) struct Identity(u64, u64, Option<SystemTime>);

/// An identity as data: the birth is counted from the Unix epoch.
#[derive(Serialize, Deserialize)]
struct IdentityState(u64, u64, Option<(u64, u32)>);

impl From<Identity> for IdentityState {
    fn from(Identity(dev, ino, born): Identity) -> Self {
        let born = born.and_then(|at| at.duration_since(SystemTime::UNIX_EPOCH).ok());
        Self(dev, ino, born.map(|since| (since.as_secs(), since.subsec_nanos())))
    }
}

impl From<IdentityState> for Identity {
    fn from(IdentityState(dev, ino, born): IdentityState) -> Self {
        Self(dev, ino, born.map(|(secs, nanos)| SystemTime::UNIX_EPOCH + Duration::new(secs, nanos)))
    }
}

impl Identity {
    fn of(found: &Metadata) -> Self {
        Self(found.dev(), found.ino(), found.created().ok())
    }

    /// Identifies the file at a path without following links.
    pub(crate) fn at(path: &Path) -> io::Result<Self> {
        fs::symlink_metadata(path).map(|found| Self::of(&found))
    }

    /// Identifies an open file.
    pub(crate) fn of_file(file: &File) -> io::Result<Self> {
        file.metadata().map(|found| Self::of(&found))
    }
}

/// Returns whether a process answers on the supervisor's socket.
pub(crate) fn is_answered(runtime: &File) -> io::Result<bool> {
    Ok(listener_at(&below(runtime, SOCKET))? == Listener::Somebody)
}

/// The listener at a socket's path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Listener {
    Somebody,
    Nobody,
    /// The connect gave no answer.
    Unknown(Errno),
}

/// Probes for a listener without waiting: a full queue is an answer too.
fn listener_at(path: &Path) -> io::Result<Listener> {
    let probe = probe()?;
    Ok(match connect(probe.as_raw_fd(), &UnixAddr::new(path)?) {
        Ok(()) | Err(Errno::EAGAIN | Errno::EINPROGRESS) => Listener::Somebody,
        Err(Errno::ECONNREFUSED | Errno::ENOENT) => Listener::Nobody,
        Err(errno) => Listener::Unknown(errno),
    })
}

fn probe() -> io::Result<OwnedFd> {
    let flags = SockFlag::SOCK_NONBLOCK | SockFlag::SOCK_CLOEXEC;
    Ok(socket(AddressFamily::Unix, SockType::Stream, flags, None)?)
}

/// Makes the socket and publishes it whole: bound under another name, listening, 0600, then renamed. It does
/// not block.
pub(crate) fn publish_socket(runtime: &File) -> io::Result<(UnixListener, Identity)> {
    let temporary = below(runtime, &format!("{SOCKET}.{}", std::process::id()));
    match fs::remove_file(&temporary) {
        Err(e) if e.kind() != io::ErrorKind::NotFound => return Err(e),
        Ok(()) | Err(_) => {}
    }
    let listener = UnixListener::bind(&temporary)?;
    listener.set_nonblocking(true)?;
    fs::set_permissions(&temporary, Permissions::from_mode(0o600))?;
    let identity = Identity::at(&temporary)?;
    fs::rename(&temporary, below(runtime, SOCKET))?;
    Ok((listener, identity))
}

/// Takes over the socket on which a service manager listens; `None` where the path does not lead to it.
///
/// The probe for that leaves an ended connection in the queue. Listening again makes this process the peer that clients see.
pub(crate) fn adopt_socket(
    runtime: &File,
    handed: UnixListener,
) -> io::Result<Option<(UnixListener, Identity)>> {
    let path = below(runtime, SOCKET);
    let Ok(found) = fs::symlink_metadata(&path) else { return Ok(None) };
    let own = getsockopt(&handed, PeerCredentials)?.pid();
    let probe = probe()?;
    match connect(probe.as_raw_fd(), &UnixAddr::new(&path)?) {
        Ok(()) if getsockopt(&probe, PeerCredentials)?.pid() == own => {}
        // A full queue: the clients that fill it are why the manager began this start.
        Err(Errno::EAGAIN) => {}
        Ok(()) | Err(_) => return Ok(None),
    }
    if found.permissions().mode() & 0o777 != 0o600 {
        fs::set_permissions(&path, Permissions::from_mode(0o600))?;
    }
    handed.set_nonblocking(true)?;
    listen(&handed, Backlog::MAXALLOWABLE)?;
    Ok(Some((handed, Identity::of(&found))))
}

/// Replaces a small file of the runtime directory.
pub(crate) fn write_runtime_file(runtime: &File, name: &str, text: &str) -> io::Result<()> {
    let path = below(runtime, name);
    let temporary = below(runtime, &format!("{name}.{}", std::process::id()));
    let flags = nix::fcntl::OFlag::O_NOFOLLOW.bits();
    let mut file = OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .custom_flags(flags)
        .open(&temporary)?;
    let published = file.write_all(text.as_bytes()).and_then(|()| fs::rename(&temporary, path));
    if published.is_err() {
        // On a full disk its part would lie there; that it is published nowhere is told by the error.
        fs::remove_file(&temporary).unwrap_or_default();
    }
    published
}

/// Opens the supervisor's own log for appending, making it where it is missing; never follows a link and never
/// waits for the other end of a FIFO.
pub(crate) fn open_log(path: &Path) -> io::Result<File> {
    let flags = libc::O_NOFOLLOW | libc::O_NOCTTY | libc::O_NONBLOCK;
    let file = OpenOptions::new().append(true).create(true).mode(0o600).custom_flags(flags).open(path)?;
    if file.metadata()?.is_file() { Ok(file) } else { Err(io::Error::other("it is not a regular file")) }
}

/// Files that outlive the supervisor.
pub(crate) struct Kept {
    /// The mark that locks are held.
    pub(crate) locks_are_held: bool,
    /// The socket, on which a service manager goes on listening.
    pub(crate) socket: bool,
}

/// Removes the sockets and the pid file and empties the lock: the orderly end. Where no locks are held, their mark goes too; that of
/// the numbers of jobs goes with these, at a `nuke`.
pub(crate) fn retire(runtime: &File, lock: &File, kept: &Kept, is_nuke: bool) {
    let notify = crate::readiness::notify::path(runtime);
    let held = (!kept.locks_are_held).then(|| below(runtime, LOCKS_HELD));
    let numbered = is_nuke.then(|| below(runtime, JOBS_NUMBERED));
    let marks = held.into_iter().chain(numbered);
    let socket = (!kept.socket).then(|| below(runtime, SOCKET));
    for path in [below(runtime, PID_FILE), notify].into_iter().chain(socket).chain(marks) {
        if let Err(e) = fs::remove_file(&path)
            && e.kind() != io::ErrorKind::NotFound
        {
            tracing::warn!(path = %path.display(), error = %e, "cannot remove");
        }
    }
    if let Err(e) = lock_file::rewrite(lock, "") {
        tracing::warn!(error = %e, "cannot empty the lock file");
    }
}

/// Removes the supervisor's own records: the logs, and these files. Never removes data.
pub(crate) fn remove_own(logs: &Path, files: &[PathBuf]) {
    let files = files.iter().map(|file| (file.as_path(), fs::remove_file(file)));
    for (path, removed) in files.chain([(logs, fs::remove_dir_all(logs))]) {
        if let Err(e) = removed
            && e.kind() != io::ErrorKind::NotFound
        {
            tracing::warn!(path = %path.display(), error = %e, "cannot remove");
        }
    }
}

/// Returns the files of the history in a state directory.
pub(crate) fn of_history(state_dir: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(state_dir).into_iter().flatten().flatten();
    let own = entries.filter(|entry| gob_store::is_own_file(&entry.file_name()));
    own.map(|entry| entry.path()).collect()
}

/// Deletes the logs of one run from the directory of its worker's logs.
pub(crate) fn remove_run(dir: &Path, run: u64) {
    let begin = format!("{run}.");
    let entries = fs::read_dir(dir).into_iter().flatten().flatten();
    for entry in entries.filter(|entry| entry.file_name().to_string_lossy().starts_with(&begin)) {
        // One that can't be deleted counts against the budget of all logs, which is tried again.
        fs::remove_file(entry.path()).unwrap_or_default();
    }
}

/// Removes the socket of a dead worker, where it certainly has no listener.
pub(crate) fn remove_stale_socket(path: &Path) {
    let is_socket = fs::symlink_metadata(path).is_ok_and(|found| found.file_type().is_socket());
    match is_socket.then(|| listener_at(path)) {
        // The worker reports it itself when it can't bind.
        Some(Ok(Listener::Nobody)) => fs::remove_file(path).unwrap_or_default(),
        Some(Ok(Listener::Unknown(errno))) => {
            tracing::warn!(path = %path.display(), %errno, "cannot tell whether somebody listens on it; it stays");
        }
        Some(Err(error)) => {
            tracing::warn!(path = %path.display(), %error, "cannot tell whether somebody listens on it; it stays");
        }
        Some(Ok(Listener::Somebody)) | None => {}
    }
}

/// Returns the highest run of each worker that left logs. Unreadable entries are passed over: a run that
/// finds files of an earlier run with its number appends to them.
pub(crate) fn last_runs(logs: &Path) -> BTreeMap<Name, u64> {
    let mut runs = BTreeMap::new();
    let unread = |path: &Path, error: &io::Error| {
        // Logs over the budget are deleted meanwhile, and another file may lie there.
        if !matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) {
            tracing::warn!(path = %path.display(), %error, "cannot look for the logs of earlier runs");
        }
    };
    let entries = |dir: &Path| fs::read_dir(dir).inspect_err(|e| unread(dir, e)).into_iter().flatten();
    for dir in entries(logs).filter_map(Result::ok) {
        let name = dir.file_name().to_str().and_then(gob_protocol::name::decode_safe);
        let Some(name) = name.and_then(|name| Name::any(&name).ok()) else { continue };
        let files = entries(&dir.path()).filter_map(Result::ok);
        let numbers = files.filter_map(|file| file.file_name().to_str()?.split('.').next()?.parse().ok());
        if let Some(last) = numbers.max() {
            runs.insert(name, last);
        }
    }
    runs
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scratch::Scratch;
    use nix::sys::socket::{Backlog, bind, listen};
    use std::sync::mpsc;

    /// Binds a socket of this kind, with the shortest possible queue if it listens.
    fn bound(path: &Path, kind: SockType, listens: bool) -> std::os::fd::OwnedFd {
        let socket = socket(AddressFamily::Unix, kind, SockFlag::SOCK_CLOEXEC, None).unwrap();
        bind(socket.as_raw_fd(), &UnixAddr::new(path).unwrap()).unwrap();
        if listens {
            listen(&socket, Backlog::new(0).unwrap()).unwrap();
        }
        socket
    }

    #[test]
    fn a_socket_is_stale_only_without_a_listener_and_a_full_queue_does_not_block() {
        let dir = Scratch::new("stale");
        let [full, datagram, dead] = ["full", "datagram", "dead"].map(|name| dir.join(name));
        let _hung = bound(&full, SockType::Stream, true);
        let flags = SockFlag::SOCK_NONBLOCK | SockFlag::SOCK_CLOEXEC;
        let waiting: Vec<_> = (0..64)
            .map(|_| socket(AddressFamily::Unix, SockType::Stream, flags, None).unwrap())
            .take_while(|probe| connect(probe.as_raw_fd(), &UnixAddr::new(&full).unwrap()).is_ok())
            .collect();
        assert!((1..64).contains(&waiting.len()), "the queue has an end");
        let _other = bound(&datagram, SockType::Datagram, false);
        drop(bound(&dead, SockType::Stream, true));
        // A child that another test of this process starts has the socket, too, until its program runs.
        let deadline = std::time::Instant::now() + Duration::from_secs(30);
        while std::os::unix::net::UnixStream::connect(&dead).is_ok() {
            assert!(std::time::Instant::now() < deadline, "a socket that is closed");
            std::thread::park_timeout(Duration::from_millis(5));
        }
        let (done, is_done) = mpsc::channel();
        let paths = [full.clone(), datagram.clone(), dead.clone()];
        std::thread::spawn(move || {
            paths.iter().for_each(|path| remove_stale_socket(path));
            done.send(()).unwrap();
        });
        is_done.recv_timeout(Duration::from_secs(10)).expect("it waits for somebody who does not accept");
        assert_eq!([full, datagram, dead].map(|path| path.exists()), [true, true, false]);
    }

    #[test]
    fn stray_files_among_the_logs_are_passed_over() {
        let dir = Scratch::new("logs");
        fs::create_dir_all(dir.join("demo")).unwrap();
        fs::write(dir.join("demo/7.stdout.log"), "").unwrap();
        fs::write(dir.join("README"), "").unwrap();
        std::os::unix::fs::symlink("nowhere", dir.join("gone")).unwrap();
        assert_eq!(last_runs(&dir), BTreeMap::from([(Name::graph("demo").unwrap(), 7)]));
        assert_eq!(last_runs(&dir.join("README")), BTreeMap::new());
        assert_eq!(last_runs(&dir.join("none")), BTreeMap::new());
    }
}
