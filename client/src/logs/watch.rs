//! Waits for changes in log directories: more output, a rotation, a new run. By inotify, never by polling.

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::inotify::{AddWatchFlags, InitFlags, Inotify};
use std::io;
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};

/// Directories under watch, there or not yet.
#[derive(Debug)]
pub struct Watch {
    inotify: Inotify,
    dirs: Vec<PathBuf>,
}

impl Watch {
    /// Watches directories. For one that is not there the nearest one above is watched until it is.
    ///
    /// # Errors
    /// When the system has no more watches.
    pub fn new(dirs: Vec<PathBuf>) -> io::Result<Self> {
        let inotify = Inotify::init(InitFlags::IN_CLOEXEC | InitFlags::IN_NONBLOCK)?;
        let watch = Self { inotify, dirs };
        watch.renew()?;
        Ok(watch)
    }

    /// Waits until something changed. Look at the files before the first call and after each.
    ///
    /// # Errors
    /// When the watch fails.
    pub fn wait(&self) -> io::Result<()> {
        let mut fds = [PollFd::new(self.inotify.as_fd(), PollFlags::POLLIN)];
        match poll(&mut fds, PollTimeout::NONE) {
            Ok(_) | Err(nix::Error::EINTR) => {}
            Err(errno) => return Err(errno.into()),
        }
        // How many events there were does not matter; the files tell what changed.
        match self.inotify.read_events() {
            Ok(_) | Err(nix::Error::EAGAIN) => self.renew(),
            Err(errno) => Err(errno.into()),
        }
    }

    /// Adding a watch that is there already changes nothing.
    fn renew(&self) -> io::Result<()> {
        for dir in &self.dirs {
            self.add(dir)?;
        }
        Ok(())
    }

    fn add(&self, dir: &Path) -> io::Result<()> {
        loop {
            if self.watch(dir)? {
                return Ok(());
            }
            let nearest = || dir.ancestors().skip(1).find(|dir| dir.is_dir()).unwrap_or(Path::new("/"));
            let above = nearest();
            // It, or one on the way to it, may have come in between, or the one above it may have gone.
            if self.watch(above)? && !dir.is_dir() && nearest() == above {
                return Ok(());
            }
        }
    }

    /// Whether it is there to be watched.
    fn watch(&self, dir: &Path) -> io::Result<bool> {
        // When one above it is moved away, so is it, and hears nothing of that. The outermost first: whoever is moved
        // before its turn is not what the next of these paths leads to.
        for above in dir.ancestors().skip(1).collect::<Vec<_>>().into_iter().rev() {
            match self.inotify.add_watch(above, AddWatchFlags::IN_MOVE_SELF | added()) {
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

/// One directory may be watched for several reasons; without this the last of them would count.
fn added() -> AddWatchFlags {
    AddWatchFlags::from_bits_retain(nix::libc::IN_MASK_ADD)
}
