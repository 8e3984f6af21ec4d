//! Waits for changes in log directories: more output, a rotation, a new run. By inotify, never by polling.

use crate::blocking::poll_timeout;
use nix::poll::{PollFd, PollFlags, poll};
use nix::sys::inotify::{AddWatchFlags, InitFlags, Inotify};
use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::path::{Path, PathBuf};
use std::time::Instant;

/// Directories under watch, existing or not yet.
#[derive(Debug)]
pub struct Watch {
    inotify: Inotify,
    dirs: Vec<PathBuf>,
}

impl Watch {
    /// Watches directories. For a missing one the nearest existing one above is watched.
    ///
    /// # Errors
    /// When the system has no more watches.
    pub fn new(dirs: Vec<PathBuf>) -> io::Result<Self> {
        let inotify = Inotify::init(InitFlags::IN_CLOEXEC | InitFlags::IN_NONBLOCK)?;
        let watch = Self { inotify, dirs };
        watch.renew()?;
        Ok(watch)
    }

    /// Watches one more directory.
    ///
    /// # Errors
    /// When the system has no more watches.
    pub fn add(&mut self, dir: PathBuf) -> io::Result<()> {
        self.watch_or_above(&dir)?;
        self.dirs.push(dir);
        Ok(())
    }

    /// Waits until something changed. Read the files before the first call and after each.
    ///
    /// # Errors
    /// When the watch fails.
    pub fn wait(&self) -> io::Result<()> {
        self.wait_until(None, None)
    }

    /// Waits until something changed, the deadline passed, or another descriptor is readable.
    ///
    /// # Errors
    /// When the watch fails.
    pub fn wait_until(&self, deadline: Option<Instant>, also: Option<BorrowedFd<'_>>) -> io::Result<()> {
        let mut fds = vec![PollFd::new(self.inotify.as_fd(), PollFlags::POLLIN)];
        fds.extend(also.map(|also| PollFd::new(also, PollFlags::POLLIN)));
        match poll(&mut fds, poll_timeout(deadline)) {
            Ok(_) | Err(nix::Error::EINTR) => {}
            Err(errno) => return Err(errno.into()),
        }
        self.changed()
    }

    /// Takes in the changes, once the descriptor is readable. The number of events does not matter; the files show
    /// the changes.
    ///
    /// # Errors
    /// When the watch fails.
    pub fn changed(&self) -> io::Result<()> {
        match self.inotify.read_events() {
            Ok(_) | Err(nix::Error::EAGAIN) => self.renew(),
            Err(errno) => Err(errno.into()),
        }
    }

    /// Adding an existing watch changes nothing.
    fn renew(&self) -> io::Result<()> {
        for dir in &self.dirs {
            self.watch_or_above(dir)?;
        }
        Ok(())
    }

    fn watch_or_above(&self, dir: &Path) -> io::Result<()> {
        loop {
            if self.watch(dir)? {
                return Ok(());
            }
            let nearest = || dir.ancestors().skip(1).find(|dir| dir.is_dir()).unwrap_or(Path::new("/"));
            let above = nearest();
            // The directory, or one on the way to it, may have appeared in between, or the one above it may
            // have gone.
            if self.watch(above)? && !dir.is_dir() && nearest() == above {
                return Ok(());
            }
        }
    }

    /// Watches a directory; returns whether it exists.
    fn watch(&self, dir: &Path) -> io::Result<bool> {
        // A directory moves with a directory above it, without an event of its own. The outermost comes
        // first: once a directory has moved, the later paths do not lead through it.
        for above in dir.ancestors().skip(1).collect::<Vec<_>>().into_iter().rev() {
            // A reader holds the directory open, which delays the event of its own deletion.
            let deleted =
                if dir.parent() == Some(above) { AddWatchFlags::IN_DELETE } else { AddWatchFlags::empty() };
            match self.inotify.add_watch(above, AddWatchFlags::IN_MOVE_SELF | deleted | added()) {
                Ok(_) | Err(nix::Error::ENOENT | nix::Error::EACCES) => {}
                Err(errno) => return Err(errno.into()),
            }
        }
        let events = AddWatchFlags::IN_MODIFY
            | AddWatchFlags::IN_CREATE
            | AddWatchFlags::IN_MOVED_TO
            | AddWatchFlags::IN_DELETE_SELF
            | AddWatchFlags::IN_MOVE_SELF
            | AddWatchFlags::IN_ONLYDIR;
        match self.inotify.add_watch(dir, events | added()) {
            Ok(_) => Ok(true),
            Err(nix::Error::ENOENT) => Ok(false),
            Err(errno) => Err(errno.into()),
        }
    }
}

impl AsFd for Watch {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.inotify.as_fd()
    }
}

/// One directory may be watched for several reasons; without this flag only the last of them would count.
fn added() -> AddWatchFlags {
    AddWatchFlags::from_bits_retain(nix::libc::IN_MASK_ADD)
}
