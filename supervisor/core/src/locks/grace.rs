//! The grace after a start: holders of an earlier supervisor claim what they hold, and nothing is granted before its end.

use super::claims::{Claim, Grace, decide};
use super::table::{Asking, Table};
use super::{Locks, tell_grant};
use crate::cx::Cx;
use crate::refusals;
use crate::timers::Timer;
use crate::underway::Underway;
use alloc::collections::{BTreeMap, BTreeSet};
use alloc::vec::Vec;
use gob_protocol::limits::LOCK_CLAIM_MS;
use gob_protocol::{LockName, LockParty};

impl Locks {
    /// The supervisor serves clients from now on: the time of claims begins.
    pub(crate) fn begin(&mut self, underway: &mut Underway, cx: &mut Cx) {
        if self.grace.is_some() {
            cx.arm(Timer::LockClaims, LOCK_CLAIM_MS);
            self.provide(underway, cx);
        }
    }

    /// The holders of an earlier supervisor have had their time: those that claimed go on, and the line moves.
    pub(super) fn claims_are_over(&mut self, underway: &mut Underway, cx: &mut Cx) {
        let Grace { claims, early } = self.grace.take().unwrap_or_default();
        let (held, lost) = decide(claims, |token| self.tokens.is_of_before(token));
        for Claim { token, asking } in held {
            tell_grant(self.table.adopt(asking, token, cx.now), token, cx);
        }
        for Claim { token, asking } in lost {
            cx.reply(asking.conn, asking.id, Err(refusals::lock_not_held(&asking.lock, token)));
        }
        // All stand in line before the first is granted: a later one of higher priority comes first.
        let mut in_line = Vec::new();
        for (number, asking) in early {
            let lock = asking.lock.clone();
            if self.stand(number, asking, cx) {
                in_line.push((number, lock));
            }
        }
        let mut advanced = BTreeSet::new();
        for (_, lock) in &in_line {
            if advanced.insert(lock) && self.table.next_of(lock).is_some() {
                self.advance(lock, underway, cx);
            }
        }
        for (number, _) in &in_line {
            self.wait_on(*number, cx);
        }
    }

    /// Time that is left for claims; `None` once they are decided.
    pub(super) fn claims_ms(&self, cx: &Cx) -> Option<u64> {
        self.grace.as_ref()?;
        let at = cx.timers.at(&Timer::LockClaims);
        Some(at.map_or(LOCK_CLAIM_MS, |at| at.saturating_sub(cx.now.mono_ms)))
    }

    /// The requests that the end of this time will answer, of one lock or of all: of each lock the claims, with their tokens, and
    /// then the others as they will stand in line.
    pub(super) fn early_waiters(
        &self,
        only: Option<&LockName>,
        cx: &Cx,
    ) -> BTreeMap<LockName, Vec<LockParty>> {
        let mut waiters = BTreeMap::<LockName, Vec<LockParty>>::new();
        let Some(grace) = &self.grace else { return waiters };
        let is_wanted = |asking: &Asking| only.is_none_or(|only| asking.lock == *only);
        let (now, host) = (cx.now, &cx.setup.host);
        for Claim { token, asking } in grace.claims.iter().filter(|claim| is_wanted(&claim.asking)) {
            let claimant = LockParty { token: Some(*token), ..asking.party(now, host) };
            waiters.entry(asking.lock.clone()).or_default().push(claimant);
        }
        let mut line = Table::default();
        for (number, asking) in grace.early.iter().filter(|(_, asking)| is_wanted(asking)) {
            line.insert(*number, asking.clone());
        }
        for lock in line.named.keys() {
            waiters.entry(lock.clone()).or_default().extend(line.told(lock, now, host).waiters);
        }
        waiters
    }
}
