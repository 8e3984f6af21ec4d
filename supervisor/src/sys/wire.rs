//! The socket of one client, watched for what comes in and, only while somebody waits for it, for room to write.
//!
//! tokio's own stream watches both all the time: each time the client takes an answer off the socket, the loop wakes up
//! to hear that there is room, which it had before. For a client that asks one thing after the other that is every
//! second wake-up.

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use std::io::{self, Read, Write};
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;
use std::task::{Context, Poll, ready};
use std::time::Duration;
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

/// How long to wait for room when there is no descriptor to watch it with.
const WITHOUT_WATCH: Duration = Duration::from_millis(20);

/// A connected socket that never blocks.
#[derive(Debug)]
pub(crate) struct Wire(AsyncFd<UnixStream>);

impl Wire {
    /// Takes a socket over.
    ///
    /// # Errors
    /// When the runtime can't watch it.
    pub(crate) fn new(stream: tokio::net::UnixStream) -> io::Result<Self> {
        // Leaves the runtime and comes back to it: its watch is of another kind.
        watch(stream.into_std()?, Interest::READABLE).map(Self)
    }

    /// Reads what is there, or tells when there is something. 0 at the end.
    pub(crate) fn poll_read(&self, cx: &mut Context<'_>, buffer: &mut [u8]) -> Poll<io::Result<usize>> {
        loop {
            let mut ready = ready!(self.0.poll_read_ready(cx))?;
            match ready.try_io(|stream| stream.get_ref().read(buffer)) {
                Ok(Err(e)) if e.kind() == io::ErrorKind::Interrupted => {}
                Ok(read) => {
                    // Less than there is room for was all there is: what comes next is told anew (epoll(7), Q9).
                    if matches!(read, Ok(len) if 0 < len && len < buffer.len()) {
                        ready.clear_ready();
                    }
                    return Poll::Ready(read);
                }
                Err(_would_block) => {}
            }
        }
    }

    /// Writes what the socket takes right now.
    ///
    /// # Errors
    /// `WouldBlock` when that is nothing.
    pub(crate) fn try_write(&self, bytes: &[u8]) -> io::Result<usize> {
        self.0.get_ref().write(bytes)
    }

    /// Waits for room. May be dropped at any time.
    ///
    /// # Errors
    /// When it can't be watched for another reason than a lack of descriptors.
    pub(crate) async fn writable(&self) -> io::Result<()> {
        match self.0.get_ref().try_clone() {
            Ok(copy) => watch(copy, Interest::WRITABLE)?.writable().await.map(drop),
            Err(_) => {
                tokio::time::sleep(WITHOUT_WATCH).await;
                Ok(())
            }
        }
    }

    /// Whether nobody is there any more, neither to write nor to read.
    pub(crate) fn is_hung_up(&self) -> bool {
        let mut fds = [PollFd::new(self.0.get_ref().as_fd(), PollFlags::empty())];
        let polled = poll(&mut fds, PollTimeout::ZERO);
        let [fd] = fds;
        polled.is_ok()
            && fd.revents().is_some_and(|seen| seen.intersects(PollFlags::POLLHUP | PollFlags::POLLERR))
    }
}

fn watch(stream: UnixStream, interest: Interest) -> io::Result<AsyncFd<UnixStream>> {
    // SAFETY: a `UnixStream` owns one descriptor, which stays the same and open for as long as the watch owns it.
    unsafe { AsyncFd::register_with_interest(stream, interest) }.map_err(io::Error::from)
}
