//! The socket of one client, polled for input and, only while a task waits for it, for room to write.
//!
//! tokio's own stream polls for both all the time: each time the client reads an answer, the loop wakes up to
//! learn of room that it had before. For a client that sends one request after the other that is every second
//! wake-up.

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd};
use std::os::unix::net::UnixStream;
use std::task::{Context, Poll, ready};
use std::time::Duration;
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

/// Time to wait for room when there is no descriptor to poll it with.
const WITHOUT_WATCH: Duration = Duration::from_millis(20);

/// A connected socket that never blocks.
#[derive(Debug)]
pub(crate) struct Wire(AsyncFd<UnixStream>);

impl AsFd for Wire {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.get_ref().as_fd()
    }
}

impl Wire {
    /// Takes a socket.
    ///
    /// # Errors
    /// When the runtime can't poll it.
    pub(crate) fn new(stream: tokio::net::UnixStream) -> io::Result<Self> {
        // Leaves the runtime and comes back to it: its registration is of another kind.
        watch(stream.into_std()?, Interest::READABLE).map(Self)
    }

    /// Reads available bytes, or registers for the next ones. 0 at the end.
    pub(crate) fn poll_read(&self, cx: &mut Context<'_>, buffer: &mut [u8]) -> Poll<io::Result<usize>> {
        loop {
            let mut ready = ready!(self.0.poll_read_ready(cx))?;
            match ready.try_io(|stream| receive(stream.get_ref(), buffer)) {
                Ok(Err(e)) if e.kind() == io::ErrorKind::Interrupted => {}
                Ok(read) => {
                    // A short read has emptied the socket: the next bytes are reported anew (epoll(7), Q9).
                    if matches!(read, Ok(len) if 0 < len && len < buffer.len()) {
                        ready.clear_ready();
                    }
                    return Poll::Ready(read);
                }
                Err(_would_block) => {}
            }
        }
    }

    /// Writes as much as the socket takes right now.
    ///
    /// # Errors
    /// `WouldBlock` when that is nothing.
    pub(crate) fn try_write(&self, bytes: &[u8]) -> io::Result<usize> {
        send(self.0.get_ref(), bytes)
    }

    /// Waits for room. Cancel safe.
    ///
    /// # Errors
    /// When it can't be polled for another reason than a lack of descriptors.
    pub(crate) async fn writable(&self) -> io::Result<()> {
        match self.0.get_ref().try_clone() {
            Ok(copy) => watch(copy, Interest::WRITABLE)?.writable().await.map(drop),
            Err(_) => {
                tokio::time::sleep(WITHOUT_WATCH).await;
                Ok(())
            }
        }
    }

    /// Returns whether the peer has closed both directions.
    pub(crate) fn is_hung_up(&self) -> bool {
        let mut fds = [PollFd::new(self.0.get_ref().as_fd(), PollFlags::empty())];
        let polled = poll(&mut fds, PollTimeout::ZERO);
        let [fd] = fds;
        polled.is_ok()
            && fd.revents().is_some_and(|seen| seen.intersects(PollFlags::POLLHUP | PollFlags::POLLERR))
    }
}

/// Reads once from a socket.
///
/// The C library's `recv` and `send` are cancellation points: in a process with several threads each marks its begin and its
/// end, which costs some 6 % of a small request. A bare system call does not.
#[cfg(target_os = "linux")]
fn receive(stream: &UnixStream, buffer: &mut [u8]) -> io::Result<usize> {
    let (to, len, none) = (buffer.as_mut_ptr(), buffer.len(), std::ptr::null_mut::<u8>());
    // SAFETY: writes at most `len` bytes to memory that is borrowed mutably; an address of the sender is not asked for.
    counted(unsafe { libc::syscall(libc::SYS_recvfrom, stream.as_raw_fd(), to, len, 0, none, none) })
}

/// Writes once to a socket, without SIGPIPE.
#[cfg(target_os = "linux")]
fn send(stream: &UnixStream, bytes: &[u8]) -> io::Result<usize> {
    let (from, len, flags) = (bytes.as_ptr(), bytes.len(), libc::MSG_NOSIGNAL);
    let none = std::ptr::null_mut::<u8>();
    // SAFETY: reads `len` bytes of memory that is borrowed; the socket is connected and needs no address.
    counted(unsafe { libc::syscall(libc::SYS_sendto, stream.as_raw_fd(), from, len, flags, none, 0) })
}

#[cfg(target_os = "linux")]
fn counted(result: libc::c_long) -> io::Result<usize> {
    usize::try_from(result).map_err(|_| io::Error::last_os_error())
}

#[cfg(not(target_os = "linux"))]
fn receive(mut stream: &UnixStream, buffer: &mut [u8]) -> io::Result<usize> {
    io::Read::read(&mut stream, buffer)
}

#[cfg(not(target_os = "linux"))]
fn send(mut stream: &UnixStream, bytes: &[u8]) -> io::Result<usize> {
    io::Write::write(&mut stream, bytes)
}

fn watch(stream: UnixStream, interest: Interest) -> io::Result<AsyncFd<UnixStream>> {
    // SAFETY: a `UnixStream` owns one descriptor, which stays the same and open for as long as the
    // registration owns it.
    unsafe { AsyncFd::register_with_interest(stream, interest) }.map_err(io::Error::from)
}
