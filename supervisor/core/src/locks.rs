//! Named locks (PROTOCOL 5, Locks): who holds them, who waits, and who is next.
//!
//! A holder and a waiter belong to a connection and go with it. A grant needs a fencing token, which only the store gives out,
//! and a mark outside of this process that locks are held: it has the next supervisor wait for their holders.
//!
//! | file | |
//! |---|---|
//! | `tokens` | numbers that only grow |
//! | `mark` | the mark, and up to which token it goes |
//! | `table` | holders, lines of waiters, and which waiter is next |
//! | `circle` | parties that wait for each other |
//! | `claims` | holders of an earlier supervisor, and which of them go on |

mod circle;
mod claims;
#[cfg(test)]
mod invariants;
mod mark;
mod table;
mod tokens;

use crate::chronicle::{NoAnswer, Question, Stored};
use crate::conns::{Caller, actor_of};
use crate::cx::{Cx, LockNews};
use crate::ids::ConnId;
use crate::io::Effect;
use crate::owner::may_force;
use crate::parts::LocksMark;
use crate::refusals;
use crate::timers::Timer;
use crate::underway::{Asker, Underway};
use alloc::boxed::Box;
use alloc::collections::BTreeSet;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use claims::{Claim, Grace, decide};
use gob_protocol::answer::{EmptyData, LockAcquireData, LockBreakData, LockStatusData};
use gob_protocol::limits::{LOCK_CLAIM_MS, MAX_LOCK_PARTIES};
use gob_protocol::request::{LockAcquire, LockBreak, LockRelease, LockStatus};
use gob_protocol::{Actor, Data, EventKind, Lock, LockEnd, LockName, Owner, Request, WireError};
use mark::Mark;
use serde::{Deserialize, Serialize};
use table::{Asking, Table, later};
use tokens::{BLOCK, Tokens};

/// Time limit of a request that only lacks a token, whatever its own.
const TOKEN_MS: u64 = 6_000;

/// All locks.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Locks {
    table: Table,
    tokens: Tokens,
    mark: Mark,
    /// On until the holders of an earlier supervisor had their time.
    grace: Option<Grace>,
    /// Locks whose next waiter lacks nothing but a token that the mark covers.
    starved: BTreeSet<LockName>,
    /// How many requests could not be granted at once.
    contentions: u64,
}

impl Locks {
    /// No locks, after a supervisor that left this mark.
    pub(crate) fn new(found: LocksMark) -> Self {
        let grace = (found != LocksMark::Missing).then(Grace::default);
        Self { mark: Mark::left(found), tokens: Tokens::after(found), grace, ..Self::default() }
    }

    /// The supervisor serves clients from now on: the time of claims begins.
    pub(crate) fn begin(&mut self, underway: &mut Underway, cx: &mut Cx) {
        if self.grace.is_some() {
            cx.arm(Timer::LockClaims, LOCK_CLAIM_MS);
            self.provide(underway, cx);
        }
    }

    /// How many requests could not be granted at once.
    pub(crate) const fn contentions(&self) -> u64 {
        self.contentions
    }

    /// Tells whether a connection holds a lock or waits for one.
    pub(crate) fn concern(&self, conn: ConnId) -> bool {
        self.table.held.contains_key(&conn)
            || self.table.waiting.contains_key(&conn)
            || self.grace.as_ref().is_some_and(|grace| {
                grace.early.iter().any(|(_, asking)| asking.conn == conn)
                    || grace.claims.iter().any(|claim| claim.asking.conn == conn)
            })
    }

    /// Takes a request about locks.
    #[expect(clippy::wildcard_enum_match_arm, reason = "the other requests are not about locks")]
    pub(crate) fn request(
        &mut self,
        caller: &Caller,
        request: Request,
        underway: &mut Underway,
        cx: &mut Cx,
    ) {
        let answer = match request {
            Request::LockAcquire(asked) => return self.acquire(caller, *asked, underway, cx),
            Request::LockRelease(asked) => self.release(caller, &asked, underway, cx),
            Request::LockStatus(asked) => Ok(self.status(&asked, cx)),
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
        let held = self.table.grants.get_mut(&token);
        if let Some(grant) =
            held.filter(|grant| grant.asking.conn == caller.conn && grant.asking.lock == asking.lock)
        {
            grant.asking.ttl_ms = asking.ttl_ms.or(grant.asking.ttl_ms);
            grant.expires_at = grant.asking.ttl_ms.map(|ttl| later(cx.now, ttl));
            if let Some(ttl) = grant.asking.ttl_ms {
                cx.arm(Timer::LockTtl(token), ttl);
            }
            let data = LockAcquireData { lock: asking.lock, token, expires_at: grant.expires_at };
            return cx.answer(caller, Ok(Data::LockAcquire(data)));
        }
        match &mut self.grace {
            Some(_) if waiting >= MAX_LOCK_PARTIES => {
                cx.answer(caller, Err(refusals::lock_busy("waiters")));
            }
            Some(grace) => grace.claims.push(Claim { token, asking }),
            None => cx.answer(caller, Err(refusals::lock_not_held(&asking.lock, token))),
        }
    }

    /// Has a request stand in its lock's line, and gives it the lock where it may have it.
    fn enter(&mut self, number: u64, asking: Asking, underway: &mut Underway, cx: &mut Cx) {
        let (conn, id, lock) = (asking.conn, asking.id.clone(), asking.lock.clone());
        let (since, timeout_ms) = (asking.since, asking.timeout_ms);
        if self.table.grants.len() >= MAX_LOCK_PARTIES {
            cx.timers.cancel(&Timer::LockWait(number));
            return cx.reply(conn, id, Err(refusals::lock_busy("holders")));
        }
        self.table.insert(number, asking);
        if let Some(cycle) = self.table.circle(number) {
            self.table.take_back(number);
            cx.timers.cancel(&Timer::LockWait(number));
            return cx.reply(conn, id, Err(refusals::lock_deadlock(&lock, &cycle)));
        }
        let mut limit = timeout_ms;
        if self.table.next_of(&lock) == Some(number) {
            self.advance(&lock, underway, cx);
            if !self.table.waits.contains_key(&number) {
                return;
            }
            limit = timeout_ms.map(|ms| ms.max(TOKEN_MS));
        } else {
            self.contentions += 1;
            self.table.contend(number);
            if timeout_ms == Some(0) {
                self.table.take_back(number);
                return cx.reply(conn, id, Err(self.timed_out(&lock, since, cx)));
            }
            let waiter = self.table.waiter(number, cx.now, &cx.setup.host).map(Box::new);
            if let Some(wait) = self.table.waits.get(&number) {
                let news = LockNews { waiter, ..LockNews::of(lock) };
                cx.publish_lock(EventKind::LockWaiting, actor_of(&wait.asking.who), news);
            }
        }
        if let (Some(ms), None) = (limit, cx.timers.at(&Timer::LockWait(number))) {
            cx.arm(Timer::LockWait(number), ms);
        }
    }

    /// Gives a lock to its next waiters, as far as they may have it.
    fn advance(&mut self, lock: &LockName, underway: &mut Underway, cx: &mut Cx) {
        while let Some(number) = self.table.next_of(lock) {
            let token = self.tokens.take(self.mark.up_to(), |token| self.table.grants.contains_key(&token));
            let Some(token) = token else {
                self.starved.insert(lock.clone());
                break;
            };
            self.grant(number, token, cx);
        }
        self.provide(underway, cx);
    }

    fn grant(&mut self, number: u64, token: u64, cx: &mut Cx) {
        cx.timers.cancel(&Timer::LockWait(number));
        if let Some(grant) = self.table.grant(number, token, cx.now) {
            tell_grant(grant, token, cx);
        }
    }

    /// Sees to it that there are tokens, and that the mark covers them, before they are needed.
    fn provide(&mut self, underway: &mut Underway, cx: &mut Cx) {
        let now = cx.now.mono_ms;
        if self.tokens.run_low(now) && !underway.awaits_tokens() {
            let question = Question::ReserveTokens { count: BLOCK, above: self.tokens.above() };
            cx.push(underway.asks(Asker::Tokens, question));
        }
        let is_urgent = !self.tokens.has_below(self.mark.up_to());
        if !self.tokens.is_empty()
            && let Some(up_to) = self.mark.extend(self.tokens.above(), is_urgent, now)
        {
            cx.push(Effect::MarkLocks { up_to });
        }
    }

    /// The store has answered about tokens, or does not.
    pub(crate) fn take_tokens(
        &mut self,
        answer: Result<Stored, NoAnswer>,
        underway: &mut Underway,
        cx: &mut Cx,
    ) {
        let why = match answer {
            Ok(Stored::Reserved { first, count }) => {
                self.tokens.reserved(first, count);
                NoAnswer::Silent
            }
            Ok(_) => NoAnswer::Silent,
            Err(why) => {
                self.tokens.failed(cx.now.mono_ms);
                why
            }
        };
        if self.tokens.is_empty() {
            self.refuse_starved(&refusals::lock_without_token(&why), cx);
        } else {
            self.feed_starved(underway, cx);
            self.provide(underway, cx);
        }
    }

    /// The mark has its higher number, or keeps the one that it had.
    pub(crate) fn marked(&mut self, done: Result<(), String>, underway: &mut Underway, cx: &mut Cx) {
        self.mark.written(done.is_ok(), cx.now.mono_ms);
        match done {
            Ok(()) => {
                self.feed_starved(underway, cx);
                self.provide(underway, cx);
            }
            // Starved locks lack a token that the mark covers.
            Err(why) => self.refuse_starved(&refusals::lock_without_mark(&why), cx),
        }
    }

    fn feed_starved(&mut self, underway: &mut Underway, cx: &mut Cx) {
        for lock in core::mem::take(&mut self.starved) {
            self.advance(&lock, underway, cx);
        }
    }

    /// Refuses the requests that may have their locks and can't be given a token.
    fn refuse_starved(&mut self, error: &WireError, cx: &mut Cx) {
        for lock in core::mem::take(&mut self.starved) {
            while let Some(number) = self.table.next_of(&lock) {
                let Some(wait) = self.table.leave(number) else { break };
                cx.timers.cancel(&Timer::LockWait(number));
                cx.reply(wait.asking.conn, wait.asking.id, Err(Box::new(error.clone())));
            }
        }
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

    /// Takes a lock from a holder.
    fn end(&mut self, token: u64, why: LockEnd, actor: Actor, cx: &mut Cx) {
        cx.timers.cancel(&Timer::LockTtl(token));
        if let Some(grant) = self.table.end(token, why == LockEnd::Broken) {
            let holder = Some(Box::new(grant.party(token, cx.now, &cx.setup.host)));
            let is_broken = why == LockEnd::Broken;
            let event = if is_broken { EventKind::LockBroken } else { EventKind::LockReleased };
            let (token, reason, lock) = (Some(token), Some(why), LockNews::of(grant.asking.lock));
            cx.publish_lock(event, actor, LockNews { holder, token, reason, ..lock });
        }
    }

    fn status(&self, asked: &LockStatus, cx: &Cx) -> Data {
        let early = self.grace.as_ref().map(|grace| &grace.early).into_iter().flatten();
        let names: BTreeSet<&LockName> = match &asked.lock {
            Some(lock) => BTreeSet::from([lock]),
            None => self.table.named.keys().chain(early.map(|(_, asking)| &asking.lock)).collect(),
        };
        let told = |lock: &LockName| -> Lock { self.table.told(lock, cx.now, &cx.setup.host) };
        Data::LockStatus(LockStatusData { locks: names.into_iter().map(told).collect() })
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
            return Err(refusals::lock_is_free(lock));
        }
        let (requester, forced) = (caller.owner(), &cx.setup.settings.force_owners);
        let is_own = |owner: &Owner| owner == requester && !requester.is_unknown();
        if let Some(other) = broken.iter().find(|holder| !is_own(&holder.owner))
            && !may_force(forced, requester)
        {
            return Err(refusals::lock_of_other(lock, other, requester, forced));
        }
        for token in broken.iter().filter_map(|holder| holder.token) {
            self.end(token, LockEnd::Broken, caller.actor(), cx);
        }
        self.advance(lock, underway, cx);
        Ok(Data::LockBreak(LockBreakData { broken }))
    }

    /// A connection is gone, and with it what it holds and waits for.
    pub(crate) fn gone(&mut self, conn: ConnId, actor: &Actor, underway: &mut Underway, cx: &mut Cx) {
        if let Some(grace) = &mut self.grace {
            grace.claims.retain(|claim| claim.asking.conn != conn);
            let gone = grace.early.extract_if(.., |(_, asking)| asking.conn == conn);
            gone.for_each(|(number, _)| cx.timers.cancel(&Timer::LockWait(number)));
        }
        let mut locks = BTreeSet::new();
        for number in self.table.waits_of(conn) {
            cx.timers.cancel(&Timer::LockWait(number));
            locks.extend(self.table.leave(number).map(|wait| wait.asking.lock));
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
        if let Some(wait) = self.table.leave(number) {
            let Asking { conn, id, lock, since, .. } = wait.asking;
            cx.reply(conn, id, Err(self.timed_out(&lock, since, cx)));
            // One that was behind it may go with the holders.
            self.advance(&lock, underway, cx);
        }
    }

    fn timed_out(&self, lock: &LockName, since: u64, cx: &Cx) -> Box<WireError> {
        let holders = self.table.holders(lock, cx.now, &cx.setup.host);
        refusals::lock_timeout(lock, cx.now.mono_ms.saturating_sub(since), &holders)
    }

    /// The TTL of a holder has passed.
    fn ttl_is_over(&mut self, token: u64, underway: &mut Underway, cx: &mut Cx) {
        let lock = self.table.grants.get(&token).map(|grant| grant.asking.lock.clone());
        self.end(token, LockEnd::Ttl, Actor::Supervisor, cx);
        if let Some(lock) = lock {
            self.advance(&lock, underway, cx);
        }
    }

    /// The holders of an earlier supervisor have had their time: those that claimed go on, and the line moves.
    fn claims_are_over(&mut self, underway: &mut Underway, cx: &mut Cx) {
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

    /// The supervisor ends: nobody waits any more, and where nobody holds a lock, the mark goes.
    pub(crate) fn finish(&mut self, cx: &mut Cx) {
        let grace = self.grace.take();
        // Holders that could not claim yet may live.
        let may_be_held = grace.is_some() || !self.table.grants.is_empty();
        let grace = grace.unwrap_or_default();
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

    /// The effects that are owed again to a supervisor that goes on with this state.
    pub(crate) fn owed(&self) -> Option<Effect> {
        self.mark.asked().map(|up_to| Effect::MarkLocks { up_to })
    }
}

fn asking(caller: &Caller, asked: LockAcquire, cx: &Cx) -> Asking {
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

/// Answers a request that has its lock, and tells of it.
fn tell_grant(grant: &table::Grant, token: u64, cx: &mut Cx) {
    let asking = &grant.asking;
    if let Some(ttl) = asking.ttl_ms {
        cx.arm(Timer::LockTtl(token), ttl);
    }
    let data = LockAcquireData { lock: asking.lock.clone(), token, expires_at: grant.expires_at };
    cx.reply(asking.conn, asking.id.clone(), Ok(Data::LockAcquire(data)));
    let holder = Some(Box::new(grant.party(token, cx.now, &cx.setup.host)));
    let news = LockNews { holder, token: Some(token), ..LockNews::of(asking.lock.clone()) };
    cx.publish_lock(EventKind::LockGranted, actor_of(&asking.who), news);
}
