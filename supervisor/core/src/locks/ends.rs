//! Ends of holders and waiters that no request asks for: with their connection, at a deadline, with the supervisor.

use super::Locks;
use super::table::Asking;
use crate::cx::Cx;
use crate::ids::ConnId;
use crate::io::Effect;
use crate::refusals;
use crate::timers::Timer;
use crate::underway::Underway;
use alloc::collections::BTreeSet;
use alloc::vec::Vec;
use gob_protocol::{Actor, LockEnd};

impl Locks {
    /// A connection is gone, and with it what it holds and waits for.
    pub(crate) fn gone(&mut self, conn: ConnId, actor: &Actor, underway: &mut Underway, cx: &mut Cx) {
        if let Some(grace) = &mut self.grace {
            grace.claims.retain(|claim| claim.asking.conn != conn);
            let gone = grace.early.extract_if(.., |(_, asking)| asking.conn == conn);
            gone.for_each(|(number, _)| cx.timers.cancel(&Timer::LockWait(number)));
        }
        self.abandons(conn);
        let mut locks = BTreeSet::new();
        for number in self.table.waits_of(conn) {
            cx.timers.cancel(&Timer::LockWait(number));
            locks.extend(self.withdraw(number).map(|wait| wait.asking.lock));
        }
        for token in self.table.tokens_of(conn) {
            locks.extend(self.table.grants.get(&token).map(|grant| grant.asking.lock.clone()));
            self.end(token, LockEnd::Connection, actor.clone(), cx);
        }
        for lock in locks {
            self.advance(&lock, underway, cx);
        }
    }

    /// A deadline has come.
    pub(crate) fn due(&mut self, timer: &Timer, underway: &mut Underway, cx: &mut Cx) {
        if let Timer::LockWait(number) = timer {
            self.wait_is_over(*number, underway, cx);
        } else if let Timer::LockTtl(token) = timer {
            self.ttl_is_over(*token, underway, cx);
        } else if *timer == Timer::LockClaims {
            self.claims_are_over(underway, cx);
        }
    }

    /// A request has waited for as long as it wanted to.
    fn wait_is_over(&mut self, number: u64, underway: &mut Underway, cx: &mut Cx) {
        if let Some(grace) = &mut self.grace {
            let early = grace.early.extract_if(.., |(other, _)| *other == number);
            for (_, Asking { conn, id, lock, .. }) in early.collect::<Vec<_>>() {
                cx.reply(conn, id, Err(refusals::lock_not_yet(&lock)));
            }
        }
        if let Some(wait) = self.withdraw(number) {
            let Asking { conn, id, lock, since, .. } = wait.asking;
            cx.reply(conn, id, Err(self.timed_out(&lock, since, cx)));
            // One that was behind it may go with the holders.
            self.advance(&lock, underway, cx);
        }
    }

    /// The TTL of a holder has passed.
    fn ttl_is_over(&mut self, token: u64, underway: &mut Underway, cx: &mut Cx) {
        let lock = self.table.grants.get(&token).map(|grant| grant.asking.lock.clone());
        self.end(token, LockEnd::Ttl, Actor::Supervisor, cx);
        if let Some(lock) = lock {
            self.advance(&lock, underway, cx);
        }
    }

    /// The supervisor ends: nobody waits any more, and where nobody holds a lock, the mark goes.
    pub(crate) fn finish(&mut self, cx: &mut Cx) {
        let grace = self.grace.take();
        // Holders that could not claim yet may live.
        let may_be_held = grace.is_some() || !self.table.grants.is_empty();
        let grace = grace.unwrap_or_default();
        cx.timers.cancel(&Timer::LockClaims);
        let waiting = self.table.waits.keys().chain(grace.early.iter().map(|(number, _)| number));
        waiting.for_each(|number| cx.timers.cancel(&Timer::LockWait(*number)));
        let early = grace.early.into_iter().map(|(_, asking)| asking);
        let claims = grace.claims.into_iter().map(|claim| claim.asking);
        let numbers: Vec<u64> = self.table.waits.keys().copied().collect();
        let waits: Vec<_> = numbers.into_iter().filter_map(|number| self.table.leave(number)).collect();
        for asking in early.chain(claims).chain(waits.into_iter().map(|wait| wait.asking)) {
            cx.reply(asking.conn, asking.id, Err(refusals::shutting_down()));
        }
        if !may_be_held && self.mark.may_lie() {
            cx.push(Effect::UnmarkLocks);
        }
    }
}
