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
//! | `requests` | requests: to acquire, release, show and break |
//! | `grace` | the time of the claims after a start |
//! | `ends` | lost connections, deadlines, the supervisor's end |
//! | `beyond` | locks that several machines share, as far as the table does not have them |
//! | `shared`, `told` | locks that several machines share: what the database is asked, and what it says |
//!
//! This file has the line: a request enters it, is granted its lock with a token, or is refused for want of one.

mod beyond;
mod circle;
mod claims;
mod ends;
mod grace;
#[cfg(test)]
mod invariants;
mod mark;
mod requests;
mod shared;
mod table;
mod tokens;
mod told;

use crate::chronicle::{NoAnswer, Question, Stored};
use crate::conns::actor_of;
use crate::cx::{Cx, LockNews};
use crate::ids::ConnId;
use crate::io::Effect;
use crate::parts::LocksMark;
use crate::refusals;
use crate::timers::Timer;
use crate::underway::{Asker, Underway};
use alloc::boxed::Box;
use alloc::collections::BTreeSet;
use alloc::string::String;
use beyond::SharedLocks;
use claims::Grace;
use gob_protocol::answer::LockAcquireData;
use gob_protocol::limits::MAX_LOCK_PARTIES;
use gob_protocol::lock::ask::{LockAsk, is_shared_lock};
use gob_protocol::{Actor, Data, EventKind, LockEnd, LockName, WireError};
use mark::Mark;
use serde::{Deserialize, Serialize};
use table::{Asking, Table};
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
    #[serde(default)]
    shared: SharedLocks,
}

impl Locks {
    /// No locks, after a supervisor that left this mark.
    pub(crate) fn new(found: LocksMark) -> Self {
        let grace = (found != LocksMark::Missing).then(Grace::default);
        Self { mark: Mark::left(found), tokens: Tokens::after(found), grace, ..Self::default() }
    }

    /// How many requests could not be granted at once.
    pub(crate) const fn contentions(&self) -> u64 {
        self.contentions
    }

    /// Tells whether a connection holds a lock or waits for one.
    pub(crate) fn concern(&self, conn: ConnId) -> bool {
        self.table.held.contains_key(&conn)
            || self.table.waiting.contains_key(&conn)
            || self.shared.adopting.values().any(|claim| claim.asking.conn == conn)
            || self.grace.as_ref().is_some_and(|grace| {
                grace.early.iter().any(|(_, asking)| asking.conn == conn)
                    || grace.claims.iter().any(|claim| claim.asking.conn == conn)
            })
    }

    /// Has a request stand in its lock's line, and gives it the lock where it may have it.
    fn enter(&mut self, number: u64, asking: Asking, underway: &mut Underway, cx: &mut Cx) {
        let lock = asking.lock.clone();
        if self.stand(number, asking, cx) {
            if self.table.next_of(&lock) == Some(number) {
                self.advance(&lock, underway, cx);
            }
            self.wait_on(number, cx);
        }
    }

    /// Puts a request into its lock's line; false where it is refused.
    fn stand(&mut self, number: u64, asking: Asking, cx: &mut Cx) -> bool {
        let (conn, id, lock) = (asking.conn, asking.id.clone(), asking.lock.clone());
        let refusal = if self.table.grants.len() >= MAX_LOCK_PARTIES {
            refusals::lock_busy("holders")
        } else {
            self.table.insert(number, asking);
            let Some(cycle) = self.table.circle(number) else { return true };
            self.table.take_back(number);
            refusals::lock_deadlock(&lock, &cycle)
        };
        cx.timers.cancel(&Timer::LockWait(number));
        cx.reply(conn, id, Err(refusal));
        false
    }

    /// Has a request wait that was put into a line, unless it was granted.
    fn wait_on(&mut self, number: u64, cx: &mut Cx) {
        if let Some(wait) = self.table.waits.get(&number) {
            let asking = wait.asking.clone();
            self.is_left_waiting(number, asking, cx);
        }
    }

    fn is_left_waiting(&mut self, number: u64, asking: Asking, cx: &mut Cx) {
        let Asking { conn, id, lock, since, timeout_ms, .. } = asking;
        let mut limit = timeout_ms;
        if self.table.next_of(&lock) == Some(number) {
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
        if is_shared_lock(lock) {
            // The database says who is next, and gives out the tokens.
            return;
        }
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

    /// Takes a lock from a holder.
    fn end(&mut self, token: u64, why: LockEnd, actor: Actor, cx: &mut Cx) {
        cx.timers.cancel(&Timer::LockTtl(token));
        if let Some(grant) = self.table.end(token, why == LockEnd::Broken) {
            let holder = Some(Box::new(grant.party(token, cx.now, &cx.setup.host)));
            let is_broken = why == LockEnd::Broken;
            let lock = grant.asking.lock.clone();
            if is_shared_lock(&lock) && !is_broken {
                self.shared.owed.push(LockAsk::End { token, lock });
            }
            let event = if is_broken { EventKind::LockBroken } else { EventKind::LockReleased };
            let (token, reason, lock) = (Some(token), Some(why), LockNews::of(grant.asking.lock));
            cx.publish_lock(event, actor, LockNews { holder, token, reason, ..lock });
        }
    }

    fn timed_out(&self, lock: &LockName, since: u64, cx: &Cx) -> Box<WireError> {
        let holders = self.known_holders(lock, cx);
        refusals::lock_timeout(lock, cx.now.mono_ms.saturating_sub(since), &holders)
    }

    /// The effects that are owed again to a supervisor that goes on with this state.
    pub(crate) fn owed(&self) -> Option<Effect> {
        self.mark.asked().map(|up_to| Effect::MarkLocks { up_to })
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
