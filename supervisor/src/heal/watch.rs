//! Hears that something was done to gob's own files.
//!
//! Each file is watched by itself, not its directory: sockets of workers, logs and temporary files come and go there all
//! day, and none of that is to wake anybody. A link less is a change of attributes, so that a deletion is heard although
//! the file is open. A runtime directory that is removed was emptied before, one that is moved says so itself, and so do
//! those above it. The directory of logs says nothing while a file that was in it is open, but the one above it does, in
//! which next to nothing is ever deleted. What slips through the once a minute look finds.

use crate::sys::fds;
use nix::sys::inotify::{AddWatchFlags, InitFlags, Inotify};
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

/// A watch, made on any thread.
pub(super) fn over<'a>(
    files: impl IntoIterator<Item = &'a Path>,
    dirs: impl IntoIterator<Item = &'a Path>,
    above_logs: &Path,
) -> io::Result<OwnedFd> {
    let inotify = Inotify::init(InitFlags::IN_CLOEXEC | InitFlags::IN_NONBLOCK)?;
    let add = |path: &Path, events: AddWatchFlags| {
        // One directory may lie below the other, and is then watched for both reasons.
        match inotify.add_watch(path, events | AddWatchFlags::from_bits_retain(libc::IN_MASK_ADD)) {
            Ok(_) => Ok(()),
            // What is not there was told as trouble, and is looked for again soon.
            Err(nix::Error::ENOENT | nix::Error::EACCES) => Ok(()),
            Err(errno) => Err(io::Error::from(errno)),
        }
    };
    let gone = AddWatchFlags::IN_DELETE_SELF | AddWatchFlags::IN_MOVE_SELF;
    for file in files {
        let changed = AddWatchFlags::IN_ATTRIB | AddWatchFlags::IN_CLOSE_WRITE;
        add(file, gone | changed | AddWatchFlags::IN_DONT_FOLLOW)?;
    }
    for dir in dirs {
        add(dir, gone | AddWatchFlags::IN_ATTRIB)?;
        for above in dir.ancestors().skip(1) {
            add(above, AddWatchFlags::IN_MOVE_SELF)?;
        }
    }
    add(above_logs, AddWatchFlags::IN_DELETE)?;
    Ok(inotify.into())
}

/// The same for the runtime to wait on.
#[derive(Debug)]
pub(super) struct Watch(AsyncFd<OwnedFd>);

impl Watch {
    pub(super) fn new(inotify: OwnedFd) -> io::Result<Self> {
        fds::awaited(inotify).map(Self)
    }

    /// Returns once there was something.
    pub(super) async fn changed(&self) -> io::Result<()> {
        self.0.readable().await.map(|mut ready| ready.retain_ready())
    }

    /// Gives the descriptor out, which nobody waits on any more.
    pub(super) fn into_inner(self) -> OwnedFd {
        self.0.into_inner()
    }

    /// Forgets what there was: whoever looks now sees all of it.
    pub(super) fn clear(&self) {
        let mut events = [0; 4096];
        // An error is an empty queue; anything else would show again as a change.
        while self
            .0
            .try_io(Interest::READABLE, |inotify| Ok(nix::unistd::read(inotify.as_fd(), &mut events)?))
            .is_ok()
        {}
    }
}
