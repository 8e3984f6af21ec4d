//! The owner rule (PROTOCOL 5, Who may). No other file decides whether a requester may manage a worker.

use alloc::boxed::Box;
use gob_protocol::{Actor, Owner};
use serde::{Deserialize, Serialize};

/// The title to a worker: its owner, and the last owner before it became `unknown`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Title<'a> {
    pub(crate) owner: &'a Owner,
    pub(crate) last: Option<&'a Owner>,
}

impl Title<'_> {
    /// Tells whether the requester may stop, restart, signal, remove or hand over the worker.
    pub(crate) fn may_manage(self, requester: &Owner) -> bool {
        if self.owner.is_unknown() {
            requester.is_cli() || self.had(requester)
        } else {
            self.owner == requester
        }
    }

    /// Tells whether a start or restart by the requester makes it the owner of the run that is up already.
    pub(crate) fn may_take_over(self, requester: &Owner) -> bool {
        self.owner.is_unknown() && self.may_manage(requester)
    }

    /// Tells whether the requester was the last owner, and the worker has had none since.
    pub(crate) fn had(self, requester: &Owner) -> bool {
        self.owner.is_unknown() && self.last == Some(requester)
    }
}

/// Tells whether `force` counts for a request that would end workers of other owners, too.
pub(crate) fn may_force(force_owners: &[Owner], requester: &Owner) -> bool {
    !requester.is_unknown() && force_owners.contains(requester)
}

/// The owner of a worker, and how it came to be that.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Ownership {
    owner: Owner,
    /// The owner before it came to be `unknown`.
    last: Option<Owner>,
    /// The client that took it over, until its owner changes again.
    taken_by: Option<Box<Actor>>,
}

impl Ownership {
    /// Keeps `last` only where `owner` is `unknown`.
    pub(crate) fn new(owner: Owner, last: Option<Owner>) -> Self {
        let last = last.filter(|last| owner.is_unknown() && !last.is_unknown());
        Self { owner, last, taken_by: None }
    }

    pub(crate) const fn owner(&self) -> &Owner {
        &self.owner
    }

    pub(crate) const fn last(&self) -> Option<&Owner> {
        self.last.as_ref()
    }

    pub(crate) fn taken_by(&self) -> Option<&Actor> {
        self.taken_by.as_deref()
    }

    pub(crate) const fn title(&self) -> Title<'_> {
        Title { owner: &self.owner, last: self.last.as_ref() }
    }

    /// Returns the title to a next run that `owner` is to have.
    pub(crate) fn title_of_next<'a>(&'a self, owner: &'a Owner) -> Title<'a> {
        let last = if self.owner.is_unknown() { self.last.as_ref() } else { Some(&self.owner) };
        Title { owner, last }
    }

    /// Passes it to another owner; false when that is its owner already.
    pub(crate) fn pass_to(&mut self, to: Owner) -> bool {
        if self.owner == to {
            return false;
        }
        let before = core::mem::replace(&mut self.owner, to);
        self.last = self.owner.is_unknown().then_some(before);
        self.taken_by = None;
        true
    }

    /// Remembers the client that took it over.
    pub(crate) fn taken(&mut self, by: Actor) {
        self.taken_by = Some(Box::new(by));
    }
}
