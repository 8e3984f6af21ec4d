//! Reaps children and continues sweeps, each within its share of the time.

use super::Shell;
use crate::runs::Reaping;
use gob_core::Input;
use std::time::{Duration, Instant};

/// Limits how long children are reaped in one turn: a worker that makes them faster holds up no other.
const REAPING: Duration = Duration::from_millis(2);
/// Least number of children that a turn reaps. They must not pile up, because each sweep examines them all.
const REAPED_AT_LEAST: usize = 512;

/// While more children end than are reaped in a turn, sweeps go on this long after the one before.
const SWEEP_EVERY: Duration = Duration::from_millis(20);

/// Longest time between two looks for children that ended, while there are runs and nothing else happens. The signal that
/// tells of them is not enough: a debugger that lets go of this process can swallow it (ptrace(2), `PTRACE_DETACH`).
const LOOK: Duration = Duration::from_secs(60);
/// Time after a look from which the next turn, whatever it is for, begins with another one.
const GLANCE: Duration = Duration::from_secs(1);

/// When children are reaped without a signal, and when sweeps go on while children end faster than they are reaped.
#[derive(Debug)]
pub(super) struct Pace {
    /// When children that ended were looked for last.
    looked: Instant,
    /// When sweeps went on last after children ended.
    swept: Instant,
    /// How long that took.
    took: Duration,
    /// Whether the last turn of reaping met its bound.
    more_children: bool,
}

impl Pace {
    /// Begins with no children to reap.
    pub(super) const fn new(start: Instant) -> Self {
        Self { looked: start, swept: start, took: Duration::ZERO, more_children: false }
    }

    /// Returns when children that ended must be looked for again.
    pub(super) fn due(&self) -> Instant {
        self.looked + LOOK
    }

    /// Returns whether sweeps may continue. A sweep costs far more than a reap, and unreaped children make the next one
    /// dearer: while children wait to be reaped, four fifths of the time are for that.
    fn may_sweep(&self) -> bool {
        !self.more_children || self.swept.elapsed() >= SWEEP_EVERY.max(self.took * 4)
    }
}

impl Shell {
    /// Takes in children that ended, then goes on with the sweeps. A worker that makes them faster than they are taken in
    /// holds up no other: after so many the other sources have their turns.
    pub(crate) fn reap(&mut self) {
        self.pace.more_children = true;
        let begun = Instant::now();
        self.pace.looked = begun;
        for reaped in 0.. {
            if reaped > 0 && reaped % REAPED_AT_LEAST == 0 && begun.elapsed() >= REAPING {
                break;
            }
            match self.runs.reap() {
                Reaping::Leader(key, exit) => self.input(Input::Exited { key, exit }),
                Reaping::Stray => {}
                Reaping::Nothing => {
                    self.pace.more_children = false;
                    break;
                }
            }
        }
        if self.pace.may_sweep() {
            self.sweep_now();
        }
    }

    fn sweep_now(&mut self) {
        let begun = Instant::now();
        self.sweep_on();
        self.pace.swept = Instant::now();
        self.pace.took = self.pace.swept.duration_since(begun);
    }

    /// Takes in children that ended if nothing has looked for them for a while.
    pub(super) fn glance(&mut self) {
        if self.runs.has_runs() && self.pace.looked.elapsed() >= GLANCE {
            self.reap();
        }
    }

    /// Whether children may have ended that were not taken in yet.
    pub(crate) const fn has_more_children(&self) -> bool {
        self.pace.more_children
    }

    /// Takes the first step of sweeps that were decided in this turn: the processes may be gone already, and then no
    /// signal would tell.
    pub(crate) fn begin_sweeps(&mut self) {
        // While children wait to be reaped, the turn that takes the last of them goes on with sweeps.
        if self.runs.has_new_sweeps() && self.pace.may_sweep() {
            self.sweep_now();
        }
    }
}
