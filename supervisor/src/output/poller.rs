//! Waiting for pipes and for the other threads. epoll, told of each change once: a pipe that is not read for a while
//! costs nothing meanwhile. The only file of the data plane that is Linux's alone.

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

    /// Rings; many rings before it is heard are one.
    pub(super) fn ring(&self) {
        // It fails only when the counter is full, and then it has been ringing for long.
        self.0.write(1).unwrap_or_default();
    }

    /// Waits until somebody rings, or for a pipe beside it, `limit` at most. True when it was the pipe alone.
    pub(super) fn wait(&self, pipe: Option<&OwnedFd>, limit: Option<Duration>) -> bool {
        let limit = limit.and_then(|limit| PollTimeout::try_from(limit).ok()).unwrap_or(PollTimeout::NONE);
        let watch = |fd| PollFd::new(fd, PollFlags::POLLIN);
        let mut fds = [watch(self.0.as_fd()), watch(pipe.map_or(self.0.as_fd(), AsFd::as_fd))];
        // Interrupted is as good as nothing: the caller comes back.
        let count = poll(&mut fds, limit).unwrap_or(0);
        let [bell, pipe] = fds.map(|fd| fd.any().unwrap_or(false));
        if bell {
            // It can only fail by being silent already.
            self.0.read().unwrap_or_default();
        }
        count > 0 && pipe && !bell
    }
}

/// One thing that happened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Happened {
    /// Somebody rang.
    Rang,
    /// A pipe has something to read, or has ended.
    Readable {
        /// Which.
        token: u64,
        /// Nobody can write to it any more.
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

    /// Watches a pipe; what is in it already is told too.
    pub(super) fn add(&self, pipe: &OwnedFd, token: u64) -> io::Result<()> {
        let flags = EpollFlags::EPOLLIN | EpollFlags::EPOLLET;
        Ok(self.epoll.add(pipe.as_fd(), EpollEvent::new(flags, token))?)
    }

    /// Watches a pipe no longer.
    pub(super) fn remove(&self, pipe: &OwnedFd) {
        // It can only fail for a pipe that is not watched.
        self.epoll.delete(pipe.as_fd()).unwrap_or_default();
    }

    /// Waits for something to happen, `limit` at most.
    pub(super) fn wait(&mut self, limit: Option<Duration>) -> impl Iterator<Item = Happened> {
        // Rounded up, or the last fraction of a millisecond would be spent spinning.
        let millis = |limit: Duration| u16::try_from(limit.as_micros().div_ceil(1000)).unwrap_or(u16::MAX);
        let limit = limit.map_or(EpollTimeout::NONE, |limit| EpollTimeout::from(millis(limit)));
        // Interrupted is as good as nothing: the caller comes back.
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
