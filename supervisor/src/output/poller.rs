//! Waits for pipes and for the other threads. epoll, edge-triggered: a pipe that is not read for a while
//! costs nothing meanwhile. The only file of the data plane that is specific to Linux.

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::epoll::{Epoll, EpollCreateFlags, EpollEvent, EpollFlags, EpollTimeout};
use nix::sys::eventfd::{EfdFlags, EventFd};
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::time::Duration;

/// Events taken at once.
const EVENTS: usize = 64;
/// The token of the [`Bell`].
const BELL: u64 = u64::MAX;

/// Wakes a thread.
#[derive(Debug)]
pub(super) struct Bell(EventFd);

impl Bell {
    pub(super) fn new() -> io::Result<Self> {
        Ok(Self(EventFd::from_value_and_flags(0, EfdFlags::EFD_CLOEXEC | EfdFlags::EFD_NONBLOCK)?))
    }

    /// Rings; many rings before the wake-up are one.
    pub(super) fn ring(&self) {
        // It fails only when the counter is full, and then it has been ringing for long.
        self.0.write(1).unwrap_or_default();
    }

    /// Waits for a ring, or for a pipe beside it, for `limit` at most. True when it was the pipe alone.
    pub(super) fn wait(&self, pipe: Option<&OwnedFd>, limit: Option<Duration>) -> bool {
        let limit = limit.and_then(|limit| PollTimeout::try_from(limit).ok()).unwrap_or(PollTimeout::NONE);
        let watch = |fd| PollFd::new(fd, PollFlags::POLLIN);
        let mut fds = [watch(self.0.as_fd()), watch(pipe.map_or(self.0.as_fd(), AsFd::as_fd))];
        // An interrupted wait is an empty one: the caller comes back.
        let count = poll(&mut fds, limit).unwrap_or(0);
        let [bell, pipe] = fds.map(|fd| fd.any().unwrap_or(false));
        if bell {
            // It fails only when there was no ring.
            self.0.read().unwrap_or_default();
        }
        count > 0 && pipe && !bell
    }
}

/// One event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Happened {
    /// The bell rang.
    Rang,
    /// A pipe has data, or has ended.
    Readable {
        /// The pipe.
        token: u64,
        /// It has no writer any more.
        ended: bool,
    },
}

/// All pipes and the bell.
#[derive(Debug)]
pub(super) struct Poller {
    epoll: Epoll,
    events: Box<[EpollEvent]>,
}

impl Poller {
    pub(super) fn new(bell: &Bell) -> io::Result<Self> {
        let epoll = Epoll::new(EpollCreateFlags::EPOLL_CLOEXEC)?;
        // Never read: every ring is a change of its own.
        epoll.add(&bell.0, EpollEvent::new(EpollFlags::EPOLLIN | EpollFlags::EPOLLET, BELL))?;
        Ok(Self { epoll, events: vec![EpollEvent::empty(); EVENTS].into_boxed_slice() })
    }

    /// Registers a pipe; present data is reported too.
    pub(super) fn add(&self, pipe: &OwnedFd, token: u64) -> io::Result<()> {
        let flags = EpollFlags::EPOLLIN | EpollFlags::EPOLLET;
        Ok(self.epoll.add(pipe.as_fd(), EpollEvent::new(flags, token))?)
    }

    /// Removes a pipe.
    pub(super) fn remove(&self, pipe: &OwnedFd) {
        // It fails only for a pipe that is not registered.
        self.epoll.delete(pipe.as_fd()).unwrap_or_default();
    }

    /// Waits for events, for `limit` at most.
    pub(super) fn wait(&mut self, limit: Option<Duration>) -> impl Iterator<Item = Happened> {
        // Rounded up, or the last fraction of a millisecond would be spent spinning.
        let millis = |limit: Duration| u16::try_from(limit.as_micros().div_ceil(1000)).unwrap_or(u16::MAX);
        let limit = limit.map_or(EpollTimeout::NONE, |limit| EpollTimeout::from(millis(limit)));
        // An interrupted wait is an empty one: the caller comes back.
        let count = self.epoll.wait(&mut self.events, limit).unwrap_or(0);
        self.events.iter().take(count).map(|event| match event.data() {
            BELL => Happened::Rang,
            token => {
                let over = EpollFlags::EPOLLHUP | EpollFlags::EPOLLERR;
                Happened::Readable { token, ended: event.events().intersects(over) }
            }
        })
    }
}
