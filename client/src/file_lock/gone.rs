//! Waits for the end of a lock file. Without inotify (the user's instances may be used up) it wakes by time alone.

use crate::blocking::poll_timeout;
use nix::poll::{PollFd, PollFlags, poll};
use nix::sys::inotify::{AddWatchFlags, InitFlags, Inotify};
use std::ffi::OsString;
use std::os::fd::{AsFd as _, BorrowedFd};
use std::path::Path;
use std::time::Instant;

/// The watch of a lock file's directory, begun before the first look at the file.
#[derive(Debug)]
pub(super) struct Gone {
    inotify: Option<Inotify>,
    name: OsString,
}

impl Gone {
    pub(super) fn watch(path: &Path, dir: &Path) -> Self {
        let events = AddWatchFlags::IN_DELETE | AddWatchFlags::IN_MOVED_FROM | AddWatchFlags::IN_ONLYDIR;
        let inotify = Inotify::init(InitFlags::IN_CLOEXEC | InitFlags::IN_NONBLOCK);
        let inotify = inotify.ok().filter(|inotify| inotify.add_watch(dir, events).is_ok());
        Self { inotify, name: path.file_name().unwrap_or_default().to_owned() }
    }

    /// Returns the descriptor that is readable after a change in the directory.
    pub(super) fn readable(&self) -> Option<BorrowedFd<'_>> {
        self.inotify.as_ref().map(|inotify| inotify.as_fd())
    }

    /// Returns whether the file has gone since the last call.
    pub(super) fn has_gone(&self) -> bool {
        let events = self.inotify.as_ref().and_then(|inotify| inotify.read_events().ok());
        // Lost events have no name; they may have been this one.
        let is_it = |name: &Option<OsString>| name.as_ref().is_none_or(|name| *name == self.name);
        events.unwrap_or_default().iter().any(|event| is_it(&event.name))
    }

    /// Returns once the file has gone, or at the deadline.
    pub(super) fn wait(&self, deadline: Instant) {
        while Instant::now() < deadline {
            let readable = self.inotify.iter().map(|inotify| PollFd::new(inotify.as_fd(), PollFlags::POLLIN));
            let mut readable: Vec<PollFd<'_>> = readable.collect();
            // A signal may interrupt it.
            poll(&mut readable, poll_timeout(Some(deadline))).ok();
            if self.has_gone() {
                return;
            }
        }
    }
}
