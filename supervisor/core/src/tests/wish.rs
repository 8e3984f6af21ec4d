//! The wanted state of one worker and its owner, derived from PROTOCOL 5 alone.

use super::harness::LEASE_GRACE_MS;
use super::spec::Expect;
use crate::ConnId;
use gob_protocol::{Name, Outcome, Owner};
use std::collections::BTreeMap;

/// The wanted state of one worker, and its owner.
#[derive(Debug, Clone)]
pub(super) struct Wish {
    pub(super) owner: Owner,
    /// The last owner before `unknown`.
    pub(super) last: Option<Owner>,
    pub(super) leases: BTreeMap<ConnId, Owner>,
    /// Its owner's last lease counts.
    pub(super) release: bool,
    /// The time at which an owner without a lease loses it.
    pub(super) losing: Option<u64>,
    /// It was stopped, and not started since.
    pub(super) down: bool,
    /// The owner of the run that follows once a holder that was asked to end is gone.
    pub(super) after_holder: Option<Owner>,
    /// A start that waits for the end of the run.
    pub(super) queued: Option<Queued>,
}

#[derive(Debug, Clone, Hash)]
pub(super) struct Queued {
    /// The owner of the next run, where that is not the present one.
    pub(super) owner: Option<Owner>,
    /// True if it came with a lease; `None` for a restart, which keeps the rule as it was.
    pub(super) lease: Option<bool>,
}

/// The owner rule: `unknown` matches no requester, and its workers may be managed by `cli` and by their last owner.
pub(super) fn may_manage(owner: &Owner, last: Option<&Owner>, requester: &Owner) -> bool {
    match (owner.as_str(), requester.as_str()) {
        ("unknown", "cli") => true,
        ("unknown", requester) => last.is_some_and(|last| last.as_str() == requester),
        (owner, requester) => owner == requester,
    }
}

impl Wish {
    pub(super) fn new(owner: &Owner) -> Self {
        Self {
            owner: owner.clone(),
            last: None,
            leases: BTreeMap::new(),
            release: false,
            losing: None,
            down: false,
            after_holder: None,
            queued: None,
        }
    }

    fn has_owner_lease(&self) -> bool {
        self.leases.values().any(|holder| *holder == self.owner)
    }

    /// A run begins, in the name of whoever asked for it.
    pub(super) fn begin(&mut self, owner: Option<Owner>, lease: Option<bool>, now: u64) {
        if let Some(owner) = owner {
            self.hand_over(&owner);
        }
        if let Some(lease) = lease {
            self.release = lease;
            let unleased = lease && !self.has_owner_lease() && !self.owner.is_unknown();
            self.losing = unleased.then_some(now + LEASE_GRACE_MS);
        }
    }

    pub(super) fn hand_over(&mut self, to: &Owner) -> bool {
        self.losing = self.losing.filter(|_| self.owner == *to);
        let before = core::mem::replace(&mut self.owner, to.clone());
        let changed = before != *to;
        if changed {
            self.last = (to.as_str() == "unknown").then_some(before);
        }
        changed
    }

    pub(super) fn may_manage(&self, requester: &Owner) -> bool {
        may_manage(&self.owner, self.last.as_ref(), requester)
    }

    /// The last owner of a worker that is `unknown` once its next run begins.
    pub(super) fn last_of_next(&self) -> Option<Owner> {
        if self.owner.is_unknown() { self.last.clone() } else { Some(self.owner.clone()) }
    }

    pub(super) fn drop_lease(&mut self, conn: ConnId, now: u64) {
        let Some(holder) = self.leases.remove(&conn) else { return };
        let counts = holder == self.owner && !self.has_owner_lease() && !self.owner.is_unknown();
        if counts && self.release {
            self.losing = Some(now + LEASE_GRACE_MS);
        }
    }
}

pub(super) fn lease(wish: &mut Wish, conn: ConnId, requester: &Owner) {
    wish.leases.insert(conn, requester.clone());
    if *requester == wish.owner {
        wish.losing = None;
    }
}

/// A reuse changes no owner, but that `cli`, and who had it last, takes over what nobody owns.
pub(super) fn take_over(wish: &mut Wish, name: &Name, requester: &Owner, expect: &mut Expect) -> Outcome {
    let last_of_next = wish.last_of_next();
    let (owner, last) = (wish.owner.clone(), wish.last.clone());
    let next = wish.queued.as_mut().and_then(|queued| queued.owner.as_mut());
    let announce = next.is_none();
    let (owner, last) = next.as_deref().map_or((owner, last), |next| (next.clone(), last_of_next));
    if !owner.is_unknown() || !may_manage(&owner, last.as_ref(), requester) {
        return Outcome::Reused;
    }
    match next {
        Some(next) => *next = requester.clone(),
        None => {
            wish.hand_over(requester);
        }
    }
    if announce {
        expect.announced.push(name.clone());
    }
    Outcome::TakenOver
}
