//! Requests about locks (PROTOCOL 5, Locks): each begins in the line of its lock, among the claims, or is answered at once.

use super::Locks;
use super::claims::{Claim, Grace};
use super::table::{Asking, Grant, later};
use crate::conns::Caller;
use crate::cx::Cx;
use crate::owner::may_force;
use crate::refusals;
use crate::timers::Timer;
use crate::underway::Underway;
use alloc::boxed::Box;
use alloc::collections::BTreeSet;
use alloc::string::ToString;
use alloc::vec::Vec;
use gob_protocol::answer::{EmptyData, LockAcquireData, LockBreakData, LockStatusData};
use gob_protocol::limits::MAX_LOCK_PARTIES;
use gob_protocol::request::{LockAcquire, LockBreak, LockRelease, LockStatus};
use gob_protocol::{Data, Lock, LockEnd, LockName, LockParty, Owner, Request, WireError};

impl Locks {
    /// Takes a request about locks.
    pub(crate) fn request(
        &mut self,
        caller: &Caller,
        request: Request,
        underway: &mut Underway,
        cx: &mut Cx,
    ) {
        if let Some(request) = self.shared_request(caller, request, underway, cx) {
            self.own_request(caller, request, underway, cx);
        }
    }

    /// Takes a request about locks of this machine.
    #[expect(clippy::wildcard_enum_match_arm, reason = "the other requests are not about locks")]
    fn own_request(&mut self, caller: &Caller, request: Request, underway: &mut Underway, cx: &mut Cx) {
        let answer = match request {
            Request::LockAcquire(asked) => return self.acquire(caller, *asked, underway, cx),
            Request::LockRelease(asked) => self.release(caller, &asked, underway, cx),
            Request::LockStatus(asked) => Ok(Data::LockStatus(self.shown(&asked, cx))),
            Request::LockBreak(asked) => self.break_lock(caller, &asked, underway, cx),
            _other => return,
        };
        cx.answer(caller, answer);
    }

    fn acquire(&mut self, caller: &Caller, asked: LockAcquire, underway: &mut Underway, cx: &mut Cx) {
        let token = asked.token;
        let asking = asking(caller, asked, cx);
        let waiting = self.table.waits.len() + self.grace.as_ref().map_or(0, Grace::len);
        if let Some(token) = token {
            self.take_again(caller, asking, token, waiting, cx);
            if self.grace.is_some() {
                // A store that failed before may answer by the time at which the claims are judged.
                self.provide(underway, cx);
            }
            return;
        }
        if waiting >= MAX_LOCK_PARTIES {
            return cx.answer(caller, Err(refusals::lock_busy("waiters")));
        }
        let number = self.table.next_number();
        match &mut self.grace {
            Some(_) if asking.timeout_ms == Some(0) => {
                cx.answer(caller, Err(refusals::lock_not_yet(&asking.lock)));
            }
            Some(grace) => {
                if let Some(ms) = asking.timeout_ms {
                    cx.arm(Timer::LockWait(number), ms);
                }
                grace.early.push((number, asking));
            }
            None => self.enter(number, asking, underway, cx),
        }
    }

    /// A request with a token renews what its connection holds, or claims what an earlier one held.
    fn take_again(&mut self, caller: &Caller, asking: Asking, token: u64, waiting: usize, cx: &mut Cx) {
        if self.renews(caller, &asking, token, cx) {
            return;
        }
        match &mut self.grace {
            Some(_) if waiting >= MAX_LOCK_PARTIES => {
                cx.answer(caller, Err(refusals::lock_busy("waiters")));
            }
            Some(grace) => grace.claims.push(Claim { token, asking }),
            None => cx.answer(caller, Err(refusals::lock_not_held(&asking.lock, token))),
        }
    }

    /// Renews what the caller holds by this token; false where it holds nothing by it.
    pub(super) fn renews(&mut self, caller: &Caller, asking: &Asking, token: u64, cx: &mut Cx) -> bool {
        let held = self.table.grants.get_mut(&token);
        let is_its =
            |grant: &&mut Grant| grant.asking.conn == caller.conn && grant.asking.lock == asking.lock;
        let Some(grant) = held.filter(is_its) else { return false };
        grant.asking.ttl_ms = asking.ttl_ms.or(grant.asking.ttl_ms);
        grant.expires_at = grant.asking.ttl_ms.map(|ttl| later(cx.now, ttl));
        if let Some(ttl) = grant.asking.ttl_ms {
            cx.arm(Timer::LockTtl(token), ttl);
        }
        let data = LockAcquireData { lock: asking.lock.clone(), token, expires_at: grant.expires_at };
        cx.answer(caller, Ok(Data::LockAcquire(data)));
        true
    }

    fn release(
        &mut self,
        caller: &Caller,
        asked: &LockRelease,
        underway: &mut Underway,
        cx: &mut Cx,
    ) -> Result<Data, Box<WireError>> {
        let LockRelease { lock, token } = asked;
        let grant = self.table.grants.get(token);
        if !grant.is_some_and(|grant| grant.asking.conn == caller.conn && grant.asking.lock == *lock) {
            return Err(refusals::lock_not_held(lock, *token));
        }
        self.end(*token, LockEnd::Released, caller.actor(), cx);
        self.advance(lock, underway, cx);
        Ok(Data::Empty(EmptyData {}))
    }

    pub(super) fn shown(&self, asked: &LockStatus, cx: &Cx) -> LockStatusData {
        let early = self.early_waiters(asked.lock.as_ref(), cx);
        let names: BTreeSet<&LockName> = match &asked.lock {
            Some(lock) => BTreeSet::from([lock]),
            None => self.table.named.keys().chain(early.keys()).collect(),
        };
        let told = |lock: &LockName| -> Lock {
            let mut told = self.table.told(lock, cx.now, &cx.setup.host);
            told.waiters.extend(early.get(lock).into_iter().flatten().cloned());
            told
        };
        let locks = names.into_iter().map(told).collect();
        LockStatusData { locks, claims_ms: self.claims_ms(cx) }
    }

    fn break_lock(
        &mut self,
        caller: &Caller,
        asked: &LockBreak,
        underway: &mut Underway,
        cx: &mut Cx,
    ) -> Result<Data, Box<WireError>> {
        let lock = &asked.lock;
        let broken = self.table.holders(lock, cx.now, &cx.setup.host);
        if broken.is_empty() {
            let claims_ms = self.claims_ms(cx);
            return Err(claims_ms
                .map_or_else(|| refusals::lock_is_free(lock), |ms| refusals::lock_unclaimed(lock, ms)));
        }
        may_break(lock, &broken, caller.owner(), cx)?;
        for token in broken.iter().filter_map(|holder| holder.token) {
            self.end(token, LockEnd::Broken, caller.actor(), cx);
        }
        self.advance(lock, underway, cx);
        Ok(self::broken(broken))
    }
}

/// Refuses to break what these hold, where the requester may not.
pub(super) fn may_break(
    lock: &LockName,
    holders: &[LockParty],
    requester: &Owner,
    cx: &Cx,
) -> Result<(), Box<WireError>> {
    let forced = &cx.setup.settings.force_owners;
    let is_own = |owner: &Owner| owner == requester && !requester.is_unknown();
    match holders.iter().find(|holder| !is_own(&holder.owner)) {
        Some(other) if !may_force(forced, requester) => {
            Err(refusals::lock_of_other(lock, other, requester, forced))
        }
        Some(_) | None => Ok(()),
    }
}

/// The answer to a request that took a lock from these.
pub(super) const fn broken(broken: Vec<LockParty>) -> Data {
    Data::LockBreak(LockBreakData { broken })
}

pub(super) fn asking(caller: &Caller, asked: LockAcquire, cx: &Cx) -> Asking {
    let LockAcquire { lock, mode, timeout_ms, priority, ttl_ms, process, within, .. } = asked;
    Asking {
        conn: caller.conn,
        id: caller.id.clone(),
        who: alloc::sync::Arc::clone(&caller.who),
        lock,
        mode: mode.unwrap_or_default(),
        priority: priority.unwrap_or_default(),
        process: process.or_else(|| caller.who.client.as_ref().map(ToString::to_string)),
        ttl_ms,
        timeout_ms,
        within,
        since: cx.now.mono_ms,
    }
}
