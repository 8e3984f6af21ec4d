//! The grace after a start: holders of an earlier supervisor claim what they hold, and nothing is granted before its end.

use super::claims::{Claim, Grace, decide};
use super::{Locks, tell_grant};
use crate::cx::Cx;
use crate::refusals;
use crate::timers::Timer;
use crate::underway::Underway;
use gob_protocol::limits::LOCK_CLAIM_MS;

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
        for (number, asking) in early {
            self.enter(number, asking, underway, cx);
        }
    }
}
