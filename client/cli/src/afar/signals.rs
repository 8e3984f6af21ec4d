//! Signals that pass between a program and the verb that runs for it elsewhere.

use nix::sys::signal::Signal;

/// Signals that go to the verb.
pub(crate) struct Passed;

impl Passed {
    /// All of them.
    pub(crate) const ALL: [Signal; 3] = [Signal::SIGINT, Signal::SIGTERM, Signal::SIGHUP];

    /// Returns the signal of a number, where it is one of them.
    pub(crate) fn of(number: u8) -> Option<Signal> {
        Self::ALL.into_iter().find(|signal| *signal as i32 == i32::from(number))
    }

    /// Returns its number.
    pub(crate) fn number(signal: Signal) -> u8 {
        u8::try_from(signal as i32).unwrap_or_default()
    }
}
