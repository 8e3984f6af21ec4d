//! Wakes at changes in gob's directories: a socket published, a lock file written or emptied.

use crate::blocking::poll_timeout;
use nix::poll::{PollFd, PollFlags, poll};
use nix::sys::inotify::{AddWatchFlags, InitFlags, Inotify};
use std::os::fd::AsFd;
use std::path::Path;
use std::time::Instant;

/// Directories under watch. Without inotify (the user's instances may be used up) it wakes by time alone.
pub(crate) struct Changes(Option<Inotify>);

impl Changes {
    pub(crate) fn of(dirs: &[&Path]) -> Self {
        let inotify = Inotify::init(InitFlags::IN_CLOEXEC | InitFlags::IN_NONBLOCK).ok();
        let events = AddWatchFlags::IN_CREATE
            | AddWatchFlags::IN_MOVED_TO
            | AddWatchFlags::IN_DELETE
            | AddWatchFlags::IN_MODIFY
            | AddWatchFlags::IN_CLOSE_WRITE;
        if let Some(inotify) = &inotify {
            for dir in dirs {
                // A missing directory is not watched; the time bound covers it.
                inotify.add_watch(*dir, events).ok();
            }
        }
        Self(inotify)
    }

    /// Returns at a change or at the deadline.
    pub(crate) fn wait(&self, deadline: Instant) {
        let mut fds: Vec<PollFd<'_>> =
            self.0.iter().map(|inotify| PollFd::new(inotify.as_fd(), PollFlags::POLLIN)).collect();
        if poll(&mut fds, poll_timeout(Some(deadline))).is_ok_and(|ready| ready > 0)
            && let Some(inotify) = &self.0
        {
            inotify.read_events().ok();
        }
    }
}
