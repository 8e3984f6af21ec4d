//! Requests that wait for a run of a worker, to come up or to end.

use crate::ids::ConnId;
use alloc::vec::Vec;
use gob_protocol::{Id, Outcome, Owner, Receipt, Wait};
use serde::{Deserialize, Serialize};

/// A request that waits for a worker.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Waiter {
    pub(crate) conn: ConnId,
    pub(crate) id: Option<Id>,
    pub(crate) requester: Owner,
    pub(crate) what: Waiting,
    /// Tells waiters of one connection apart: ids are the client's and may repeat.
    pub(crate) number: u64,
    /// The run that it waits for, to come up or to end.
    pub(crate) run: u64,
}

/// The purpose of a waiter.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) enum Waiting {
    Start { outcome: Outcome, wait: Wait },
    Restart { receipt: Receipt, wait: Wait },
    Stop,
}

impl Waiting {
    /// Tells whether a run with a process fulfils it; `is_up` says whether the run is ready.
    const fn is_fulfilled(&self, is_up: bool) -> bool {
        match self {
            Self::Start { wait, .. } | Self::Restart { wait, .. } => match wait {
                Wait::Ready => is_up,
                Wait::Spawned => true,
            },
            Self::Stop => false,
        }
    }
}

/// The waiters of one worker, in the order in which they came.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Waiters(Vec<Waiter>);

impl Waiters {
    pub(crate) fn add(&mut self, waiter: Waiter) {
        self.0.push(waiter);
    }

    /// Takes those that are fulfilled by a run that has a process, and is up or not yet.
    pub(crate) fn take_fulfilled(&mut self, is_up: bool) -> Vec<Waiter> {
        self.take(|waiter| waiter.what.is_fulfilled(is_up))
    }

    /// Takes those that wait for a run up to this one to come up.
    pub(crate) fn take_starters(&mut self, run: u64) -> Vec<Waiter> {
        self.take(|waiter| waiter.run <= run && !matches!(waiter.what, Waiting::Stop))
    }

    /// Takes those that wait for an end. A restart keeps the receipt of the run before it.
    pub(crate) fn take_stops(&mut self, swept: &Receipt) -> Vec<Waiter> {
        for waiter in &mut self.0 {
            if let Waiting::Restart { receipt, .. } = &mut waiter.what {
                receipt.clone_from(swept);
            }
        }
        self.take(|waiter| matches!(waiter.what, Waiting::Stop))
    }

    /// Takes those of a connection that is gone.
    pub(crate) fn take_of(&mut self, conn: ConnId) -> Vec<Waiter> {
        self.take(|waiter| waiter.conn == conn)
    }

    /// Takes one by its number.
    pub(crate) fn take_one(&mut self, number: u64) -> Option<Waiter> {
        let at = self.0.iter().position(|waiter| waiter.number == number)?;
        Some(self.0.remove(at))
    }

    pub(crate) fn take_all(&mut self) -> Vec<Waiter> {
        core::mem::take(&mut self.0)
    }

    /// Has those that wait for this run wait for the next one.
    pub(crate) fn move_on(&mut self, run: u64) {
        for waiter in self.0.iter_mut().filter(|waiter| waiter.run == run) {
            waiter.run = run + 1;
        }
    }

    fn take(&mut self, wanted: impl FnMut(&Waiter) -> bool) -> Vec<Waiter> {
        let (taken, rest) = core::mem::take(&mut self.0).into_iter().partition(wanted);
        self.0 = rest;
        taken
    }

    #[cfg(test)]
    pub(crate) fn iter(&self) -> impl Iterator<Item = &Waiter> {
        self.0.iter()
    }
}
