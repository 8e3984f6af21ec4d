//! The read end of one pipe.

use super::batch::READ_BYTES;
use super::loan::Terms;
use super::poller::Poller;
use nix::errno::Errno;
use nix::fcntl::{FcntlArg, OFlag, fcntl};
use std::io;
use std::os::fd::{AsRawFd, OwnedFd};
use std::sync::Arc;

/// A flooding pipe is enlarged to this size, in bytes.
const BIG_BYTES: usize = 256 << 10;
/// The usual size, in bytes (pipe(7)).
const USUAL_BYTES: usize = 64 << 10;
/// Growth between two looks by which a pipe counts as flooding, in bytes.
const FLOOD_BYTES: usize = 4 << 10;

/// The result of a read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Read {
    /// This many bytes, and there may be more at once.
    Some(usize),
    /// This many bytes, and no more for now; the poller reports the next ones.
    Last(usize),
    /// The pipe has no writer any more, and it is empty.
    End,
}

/// One stream of one run.
#[derive(Debug)]
pub(super) struct Pipe {
    fd: Arc<OwnedFd>,
    /// The writer has it.
    pub(super) loan: Option<Terms>,
    /// The poller watches it.
    armed: bool,
    /// It waits for its turn, or for room.
    pub(super) queued: bool,
    /// The poller reported that it has no writer any more; its bytes must be read to the end.
    pub(super) ended: bool,
    /// It was enlarged.
    pub(super) big: bool,
    /// Bytes to read, unless it is empty before, until a caller's question is answered.
    pub(super) owes: usize,
    /// Bytes in it at the last look ([`Pipe::squeeze`]).
    looked: Option<usize>,
}

impl Pipe {
    /// Takes a read end. It becomes non-blocking: this is a property of this end alone, the worker's stays as
    /// it was.
    pub(super) fn new(fd: OwnedFd) -> io::Result<Self> {
        let flags = OFlag::from_bits_truncate(fcntl(&fd, FcntlArg::F_GETFL)?);
        fcntl(&fd, FcntlArg::F_SETFL(flags | OFlag::O_NONBLOCK))?;
        Ok(Self {
            fd: Arc::new(fd),
            loan: None,
            armed: false,
            queued: false,
            ended: false,
            big: false,
            owes: 0,
            looked: None,
        })
    }

    /// Returns its descriptor.
    pub(super) fn fd(&self) -> &OwnedFd {
        &self.fd
    }

    /// Registers it with the poller, which reports present data at once.
    pub(super) fn arm(&mut self, poller: &Poller, token: u64) -> io::Result<()> {
        if !self.armed {
            poller.add(&self.fd, token)?;
            self.armed = true;
        }
        Ok(())
    }

    /// Removes it from the poller.
    pub(super) fn disarm(&mut self, poller: &Poller) {
        if std::mem::take(&mut self.armed) {
            poller.remove(&self.fd);
        }
    }

    /// Lends it to the writer.
    pub(super) fn lend(&mut self) -> Terms {
        self.loan.insert(Terms::new(&self.fd)).clone()
    }

    /// Reads into `room`, once.
    pub(super) fn read(&mut self, room: &mut [u8]) -> Read {
        let wanted = room.len();
        let got = match read(&self.fd, room) {
            // A short read emptied it, and the next change is reported; only an end that came before is not.
            Read::Some(count) if count < wanted && !self.ended => Read::Last(count),
            got @ (Read::Some(_) | Read::Last(_) | Read::End) => got,
        };
        self.owes = match got {
            Read::Some(count) => self.owes.saturating_sub(count),
            Read::Last(_) | Read::End => 0,
        };
        got
    }

    /// Requests an answer about its present content. It can't hold more than a big pipe does.
    pub(super) fn owe(&mut self) {
        self.owes = BIG_BYTES + READ_BYTES;
        if let Some(terms) = &self.loan {
            terms.revoke();
        }
    }

    /// Enlarges it, which saves switches between its writer and its reader. True if the kernel grants it.
    pub(super) fn enlarge(&mut self) -> bool {
        self.big = resize(&self.fd, BIG_BYTES);
        self.big
    }

    /// Looks at a pipe that nobody reads. True when it has grown much since the last look; it is left with hardly any room then.
    pub(super) fn squeeze(&mut self) -> bool {
        let mut held = 0;
        // SAFETY: the kernel writes one number.
        if unsafe { libc::ioctl(self.fd.as_raw_fd(), libc::FIONREAD, &raw mut held) } != 0 {
            return false;
        }
        let held = usize::try_from(held).unwrap_or_default();
        let before = self.looked.replace(held);
        let floods = before.is_some_and(|before| held >= before + FLOOD_BYTES);
        if floods {
            let size = held.next_power_of_two();
            // Pages that are not full need more room than there are bytes.
            let _: bool = resize(&self.fd, size) || resize(&self.fd, 2 * size);
        }
        floods
    }

    /// Gives it its room back.
    pub(super) fn release(&mut self) {
        self.looked = None;
        let size = if self.big { BIG_BYTES } else { USUAL_BYTES };
        // A pipe that stays small only costs its writer more time.
        if is_below(&self.fd, size) {
            resize(&self.fd, size);
        }
    }
}

/// Has the kernel change the size of a pipe. True if it does.
#[cfg(target_os = "linux")]
fn resize(fd: &OwnedFd, bytes: usize) -> bool {
    let size = libc::c_int::try_from(bytes).unwrap_or(libc::c_int::MAX);
    fcntl(fd, FcntlArg::F_SETPIPE_SZ(size)).is_ok()
}

#[cfg(target_os = "linux")]
fn is_below(fd: &OwnedFd, bytes: usize) -> bool {
    let size = fcntl(fd, FcntlArg::F_GETPIPE_SZ);
    size.is_ok_and(|size| usize::try_from(size).is_ok_and(|size| size < bytes))
}

/// On other systems pipes change their size by themselves.
#[cfg(not(target_os = "linux"))]
const fn resize(_: &OwnedFd, _: usize) -> bool {
    false
}

#[cfg(not(target_os = "linux"))]
const fn is_below(_: &OwnedFd, _: usize) -> bool {
    false
}

/// Reads a pipe once.
pub(super) fn read(fd: &OwnedFd, room: &mut [u8]) -> Read {
    loop {
        match nix::unistd::read(fd, room) {
            Err(Errno::EINTR) => {}
            Ok(0) => return Read::End,
            Ok(count) => return Read::Some(count),
            Err(Errno::EAGAIN) => return Read::Last(0),
            Err(error) => {
                tracing::warn!(%error, "cannot read a worker's output");
                return Read::End;
            }
        }
    }
}
