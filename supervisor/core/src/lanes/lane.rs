//! One lane: its slots, and the claims that wait in it.

use crate::ids::ConnId;
use alloc::collections::VecDeque;
use alloc::string::String;
use alloc::vec::Vec;
use gob_protocol::{Actor, Id, Timestamp};
use serde::{Deserialize, Serialize};

/// A client's request.
pub(crate) type Client = (ConnId, Option<Id>);

/// A lane.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Lane {
    /// Jobs that the supervisor runs at once.
    pub(crate) width: u32,
    /// The width is that of any new lane, since nobody has said another one so far.
    #[serde(default)]
    pub(crate) has_default_width: bool,
    pub(crate) is_paused: bool,
    /// There may be a job to claim.
    may_have: bool,
    /// The claim in flight.
    asking: Asking,
    waiting: VecDeque<Waiting>,
    /// The time from which on there is something to claim.
    pub(crate) due: Option<Timestamp>,
}

/// Whether a claim is in flight.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
enum Asking {
    Not,
    Asked,
    /// The store did not answer in time. It will, once its disk does.
    Overdue,
}

/// A claim of a worker outside that waits for a job.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Waiting {
    pub(crate) number: u64,
    pub(crate) client: Client,
    pub(crate) actor: Actor,
    pub(crate) worker_id: String,
    /// The monotonic time until which it waits; `None`: no longer than until the store was asked.
    pub(crate) until_ms: Option<u64>,
}

/// The party for which a job is claimed.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) enum Taker {
    /// The supervisor itself.
    Here,
    Outside(Waiting),
    /// Nobody any more: the job is given back.
    Nobody,
}

impl Lane {
    /// A lane of the width that the configuration says.
    pub(super) fn new(said: Option<u32>) -> Self {
        Self {
            width: said.unwrap_or(1),
            has_default_width: said.is_none(),
            is_paused: false,
            may_have: false,
            asking: Asking::Not,
            waiting: VecDeque::new(),
            due: None,
        }
    }

    /// Takes the next party, if a job is to be claimed at all. Claimants outside have free hands, so they come first.
    pub(super) fn next_taker(&mut self, here: usize, has_room: bool) -> Option<Taker> {
        if self.is_paused || !self.may_have || self.asking != Asking::Not {
            return None;
        }
        let is_free = has_room && self.has_slot(here);
        let taker = match self.waiting.pop_front() {
            Some(waiting) => Taker::Outside(waiting),
            None if is_free => Taker::Here,
            None => return None,
        };
        self.asking = Asking::Asked;
        Some(taker)
    }

    /// Tells whether there is a slot beside so many that are taken.
    pub(super) fn has_slot(&self, taken: usize) -> bool {
        taken < usize::try_from(self.width).unwrap_or(usize::MAX)
    }

    /// Notes that there may be a job to claim.
    pub(crate) const fn stirs(&mut self) {
        self.may_have = true;
    }

    /// Tells whether there may be a job to claim.
    pub(crate) const fn may_have(&self) -> bool {
        self.may_have && !self.is_paused
    }

    /// Notes that the claim in flight is answered, and whether there was a job.
    pub(crate) const fn told(&mut self, has_job: bool, due: Option<Timestamp>) {
        self.asking = Asking::Not;
        self.may_have = has_job;
        self.due = due;
    }

    /// Takes the claims that wait, since the database is away.
    pub(crate) fn take_all(&mut self) -> Vec<Waiting> {
        self.take(|_| true)
    }

    /// Notes that the claim in flight was refused, so that it is asked again later.
    pub(crate) const fn refused(&mut self) {
        self.asking = Asking::Not;
    }

    /// Notes that the claim in flight is not answered in time.
    pub(crate) const fn is_overdue(&mut self) {
        if matches!(self.asking, Asking::Asked) {
            self.asking = Asking::Overdue;
        }
    }

    /// Tells whether an answer is to be expected soon.
    pub(super) fn is_asking(&self) -> bool {
        self.asking == Asking::Asked
    }

    pub(super) fn waits(&mut self, waiting: Waiting) {
        self.waiting.push_back(waiting);
    }

    /// Has a claim wait on at the front, for which there was no job.
    pub(crate) fn waits_on(&mut self, waiting: Waiting) {
        self.waiting.push_front(waiting);
    }

    /// How many claims wait.
    pub(super) fn waiting(&self) -> usize {
        self.waiting.len()
    }

    pub(super) fn waits_for(&self, conn: ConnId) -> bool {
        self.waiting.iter().any(|waiting| waiting.client.0 == conn)
    }

    pub(super) fn take_of(&mut self, conn: ConnId) -> Vec<Waiting> {
        self.take(|waiting| waiting.client.0 == conn)
    }

    /// Takes those that do not wait, since there is no job now.
    pub(crate) fn take_hasty(&mut self) -> Vec<Waiting> {
        self.take(|waiting| waiting.until_ms.is_none())
    }

    /// Takes one whose time is over.
    pub(crate) fn take_one(&mut self, number: u64) -> Option<Waiting> {
        let at = self.waiting.iter().position(|waiting| waiting.number == number)?;
        self.waiting.remove(at)
    }

    fn take(&mut self, wanted: impl Fn(&Waiting) -> bool) -> Vec<Waiting> {
        let all = core::mem::take(&mut self.waiting).into_iter();
        let (taken, rest): (Vec<_>, VecDeque<_>) =
            all.fold((Vec::new(), VecDeque::new()), |mut parts, waiting| {
                if wanted(&waiting) {
                    parts.0.push(waiting);
                } else {
                    parts.1.push_back(waiting);
                }
                parts
            });
        self.waiting = rest;
        taken
    }

    #[cfg(test)]
    pub(crate) fn is_in_flight(&self) -> bool {
        self.asking != Asking::Not
    }
}
