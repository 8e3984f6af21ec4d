//! Signals that are read from a descriptor, for a verb that waits for more than one thing.

use crate::failure::Failure;
use nix::sys::signal::{SigSet, Signal};
use nix::sys::signalfd::{SfdFlags, SignalFd};
use std::os::fd::{AsFd, BorrowedFd};

/// Signals of this program that are blocked and read from a descriptor while it lives.
#[derive(Debug)]
pub(crate) struct Signals {
    arrived: SignalFd,
    before: SigSet,
}

impl Signals {
    /// Blocks these signals for this thread; the caller has no other one by then.
    pub(crate) fn of(signals: &[Signal]) -> Result<Self, Failure> {
        let failed = |errno: nix::Error| {
            Failure::own("internal", 1, "cannot wait for signals".to_owned()).cause(errno.to_string())
        };
        let mut set = SigSet::empty();
        signals.iter().for_each(|signal| set.add(*signal));
        let before = SigSet::thread_get_mask().map_err(failed)?;
        set.thread_block().map_err(failed)?;
        let flags = SfdFlags::SFD_CLOEXEC | SfdFlags::SFD_NONBLOCK;
        let arrived = SignalFd::with_flags(&set, flags).map_err(failed)?;
        Ok(Self { arrived, before })
    }

    /// Returns the mask from before, which a program that is started meanwhile is to have.
    pub(crate) const fn before(&self) -> &SigSet {
        &self.before
    }

    /// Takes the next signal that has come.
    pub(crate) fn next(&self) -> Option<Signal> {
        let signal = self.arrived.read_signal().ok().flatten()?;
        Signal::try_from(i32::try_from(signal.ssi_signo).ok()?).ok()
    }
}

impl AsFd for Signals {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.arrived.as_fd()
    }
}

impl Drop for Signals {
    fn drop(&mut self) {
        // A signal that is pending is delivered now.
        self.before.thread_set_mask().ok();
    }
}
