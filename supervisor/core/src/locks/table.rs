//! The table of locks: who holds each of them, and who comes next.
//!
//! Waiters stand in a line. A new one comes before those of a lower priority, as far as none of them has been passed
//! `LOCK_PASSES` times; the head of the line gets the lock as soon as it goes with its holders, and nobody else does before.

use crate::ids::{ConnId, Now};
use alloc::collections::{BTreeMap, BTreeSet, VecDeque};
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;
use gob_protocol::lock::ask::place;
use gob_protocol::view::LeaseHolder;
use gob_protocol::{Id, Lock, LockMode, LockName, LockParty, Timestamp};
use serde::{Deserialize, Serialize};

/// Locks that nobody holds or waits for, and whose counters are kept.
const MAX_IDLE: usize = 1_000;

/// A request for a lock.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Asking {
    pub(super) conn: ConnId,
    pub(super) id: Option<Id>,
    pub(super) who: Arc<LeaseHolder>,
    pub(super) lock: LockName,
    pub(super) mode: LockMode,
    pub(super) priority: i32,
    pub(super) process: Option<String>,
    pub(super) ttl_ms: Option<u64>,
    pub(super) timeout_ms: Option<u64>,
    /// Tokens of the same party.
    pub(super) within: Vec<u64>,
    /// The time at which it came, on the clock that never goes back.
    pub(super) since: u64,
}

impl Asking {
    /// The waiter as clients see it.
    pub(super) fn party(&self, now: Now, host: &str) -> LockParty {
        LockParty {
            process: self.process.clone(),
            pid: self.who.pid,
            host: host.into(),
            owner: self.who.owner.clone(),
            mode: self.mode,
            priority: self.priority,
            age_ms: now.mono_ms.saturating_sub(self.since),
            token: None,
            expires_at: None,
        }
    }
}

/// A request in a line.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Wait {
    pub(super) asking: Asking,
    /// Its connection, and those that wait for what is done over it.
    pub(super) parties: BTreeSet<ConnId>,
    /// How often a later one came before it.
    pub(super) passed: u32,
    /// It could not be granted at once.
    pub(super) is_contended: bool,
}

/// A lock that is held.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Grant {
    pub(super) asking: Asking,
    pub(super) parties: BTreeSet<ConnId>,
    /// The time of the grant.
    pub(super) since: u64,
    pub(super) expires_at: Option<Timestamp>,
}

impl Grant {
    /// The holder as clients see it.
    pub(super) fn party(&self, token: u64, now: Now, host: &str) -> LockParty {
        let age_ms = now.mono_ms.saturating_sub(self.since);
        LockParty { age_ms, token: Some(token), expires_at: self.expires_at, ..self.asking.party(now, host) }
    }
}

/// A lock that somebody holds, waits for, or did so before.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Named {
    /// Tokens of its holders.
    pub(super) holders: BTreeSet<u64>,
    /// Numbers of its waiters, the next one first.
    pub(super) line: VecDeque<u64>,
    acquired: u64,
    contended: u64,
    broken: u64,
    waits: u64,
    longest_wait_ms: u64,
    /// Its place among the locks that nobody holds or waits for.
    idle: Option<u64>,
}

/// All locks.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Table {
    pub(super) named: BTreeMap<LockName, Named>,
    /// By token.
    pub(super) grants: BTreeMap<u64, Grant>,
    /// By number.
    pub(super) waits: BTreeMap<u64, Wait>,
    /// The tokens that each connection holds.
    pub(super) held: BTreeMap<ConnId, BTreeSet<u64>>,
    /// The waits that each connection waits for, by itself or through another one.
    pub(super) waiting: BTreeMap<ConnId, BTreeSet<u64>>,
    idle: BTreeMap<u64, LockName>,
    /// Numbers the waits, and the locks that become idle.
    numbers: u64,
}

impl Table {
    /// The number of the next request.
    pub(super) fn next_number(&mut self) -> u64 {
        self.numbers += 1;
        self.numbers
    }

    /// Puts a request into its lock's line.
    pub(super) fn insert(&mut self, number: u64, asking: Asking) {
        self.wake(&asking.lock);
        let parties = self.parties(&asking);
        for conn in &parties {
            self.waiting.entry(*conn).or_default().insert(number);
        }
        let named = self.named.entry(asking.lock.clone()).or_default();
        let waiters: Vec<_> = named.line.iter().filter_map(|number| self.waits.get(number)).collect();
        let place = place(waiters.iter().map(|wait| (wait.asking.priority, wait.passed)), asking.priority);
        for behind in named.line.iter().skip(place) {
            if let Some(wait) = self.waits.get_mut(behind) {
                wait.passed += 1;
            }
        }
        named.line.insert(place, number);
        self.waits.insert(number, Wait { asking, parties, passed: 0, is_contended: false });
    }

    /// The connections that a request keeps from going on: its own, and those whose tokens it is within.
    fn parties(&self, asking: &Asking) -> BTreeSet<ConnId> {
        let within = asking.within.iter().filter_map(|token| self.grants.get(token));
        let mut parties: BTreeSet<ConnId> = within.flat_map(|grant| grant.parties.iter().copied()).collect();
        parties.insert(asking.conn);
        parties
    }

    /// Takes a request out of the line as if it had never been in it.
    pub(super) fn take_back(&mut self, number: u64) -> Option<Asking> {
        let lock = self.waits.get(&number)?.asking.lock.clone();
        for behind in self.behind(&lock, number) {
            if let Some(wait) = self.waits.get_mut(&behind) {
                wait.passed = wait.passed.saturating_sub(1);
            }
        }
        self.leave(number).map(|wait| wait.asking)
    }

    /// The waiters behind one.
    pub(super) fn behind(&self, lock: &LockName, number: u64) -> Vec<u64> {
        let line = self.named.get(lock).map(|named| &named.line);
        let behind = line.into_iter().flatten().skip_while(|other| **other != number).skip(1);
        behind.copied().collect()
    }

    /// Takes a waiter out of the line.
    pub(super) fn leave(&mut self, number: u64) -> Option<Wait> {
        let wait = self.waits.remove(&number)?;
        for conn in &wait.parties {
            drop_from(&mut self.waiting, *conn, number);
        }
        if let Some(named) = self.named.get_mut(&wait.asking.lock) {
            named.line.retain(|other| *other != number);
        }
        self.rest(&wait.asking.lock);
        Some(wait)
    }

    /// The waiter that may have the lock now.
    pub(super) fn next_of(&self, lock: &LockName) -> Option<u64> {
        let named = self.named.get(lock)?;
        let number = *named.line.front()?;
        let mode = self.waits.get(&number)?.asking.mode;
        // Holders that are several are all shared.
        let holder = named.holders.first().and_then(|token| self.grants.get(token));
        holder.is_none_or(|holder| holder.asking.mode.goes_with(mode)).then_some(number)
    }

    /// Notes that a request was not granted at once.
    pub(super) fn contend(&mut self, number: u64) {
        if let Some(wait) = self.waits.get_mut(&number)
            && let Some(named) = self.named.get_mut(&wait.asking.lock)
        {
            wait.is_contended = true;
            named.contended += 1;
        }
    }

    /// Gives a waiter the lock.
    pub(super) fn grant(&mut self, number: u64, token: u64, now: Now) -> Option<&mut Grant> {
        self.wake(&self.waits.get(&number)?.asking.lock.clone());
        let Wait { asking, parties, is_contended, .. } = self.leave(number)?;
        let waited = now.mono_ms.saturating_sub(asking.since);
        if let Some(named) = self.named.get_mut(&asking.lock).filter(|_| is_contended) {
            named.waits += 1;
            named.longest_wait_ms = named.longest_wait_ms.max(waited);
        }
        Some(self.hold(asking, parties, token, now))
    }

    /// Gives a lock back to the party that held it under an earlier supervisor.
    pub(super) fn adopt(&mut self, asking: Asking, token: u64, now: Now) -> &mut Grant {
        let parties = self.parties(&asking);
        self.hold(asking, parties, token, now)
    }

    fn hold(&mut self, asking: Asking, parties: BTreeSet<ConnId>, token: u64, now: Now) -> &mut Grant {
        self.wake(&asking.lock);
        let named = self.named.entry(asking.lock.clone()).or_default();
        named.acquired += 1;
        named.holders.insert(token);
        self.held.entry(asking.conn).or_default().insert(token);
        let expires_at = asking.ttl_ms.map(|ttl| later(now, ttl));
        let grant = Grant { asking, parties, since: now.mono_ms, expires_at };
        self.grants.entry(token).or_insert(grant)
    }

    /// Takes a lock from its holder.
    pub(super) fn end(&mut self, token: u64, is_broken: bool) -> Option<Grant> {
        let grant = self.grants.remove(&token)?;
        drop_from(&mut self.held, grant.asking.conn, token);
        if let Some(named) = self.named.get_mut(&grant.asking.lock) {
            named.holders.remove(&token);
            named.broken += u64::from(is_broken);
        }
        self.rest(&grant.asking.lock);
        Some(grant)
    }

    /// The requests of a connection that are in a line.
    pub(super) fn waits_of(&self, conn: ConnId) -> Vec<u64> {
        let all = self.waiting.get(&conn).into_iter().flatten().copied();
        all.filter(|number| self.waits.get(number).is_some_and(|wait| wait.asking.conn == conn)).collect()
    }

    /// The tokens that a connection holds.
    pub(super) fn tokens_of(&self, conn: ConnId) -> Vec<u64> {
        self.held.get(&conn).into_iter().flatten().copied().collect()
    }

    /// The holders of a lock.
    pub(super) fn holders(&self, lock: &LockName, now: Now, host: &str) -> Vec<LockParty> {
        let tokens = self.named.get(lock).map(|named| &named.holders).into_iter().flatten();
        let grants = tokens.filter_map(|token| Some((*token, self.grants.get(token)?)));
        grants.map(|(token, grant)| grant.party(token, now, host)).collect()
    }

    /// A lock as clients see it; one that is not known is free.
    pub(super) fn told(&self, lock: &LockName, now: Now, host: &str) -> Lock {
        let fresh = Named::default();
        let named = self.named.get(lock).unwrap_or(&fresh);
        let waiters = named.line.iter().filter_map(|number| self.waits.get(number));
        Lock {
            lock: lock.clone(),
            holders: self.holders(lock, now, host),
            waiters: waiters.map(|wait| wait.asking.party(now, host)).collect(),
            acquired: named.acquired,
            contended: named.contended,
            broken: named.broken,
            waits: named.waits,
            longest_wait_ms: named.longest_wait_ms,
        }
    }

    /// The waiter as clients see it.
    pub(super) fn waiter(&self, number: u64, now: Now, host: &str) -> Option<LockParty> {
        self.waits.get(&number).map(|wait| wait.asking.party(now, host))
    }

    /// A lock is in use.
    fn wake(&mut self, lock: &LockName) {
        if let Some(place) = self.named.get_mut(lock).and_then(|named| named.idle.take()) {
            self.idle.remove(&place);
        }
    }

    /// A lock may be in use no more. The counters of those that were used last are kept.
    fn rest(&mut self, lock: &LockName) {
        let place = self.next_number();
        let named = self.named.get_mut(lock);
        let resting =
            named.filter(|named| named.holders.is_empty() && named.line.is_empty() && named.idle.is_none());
        match resting {
            Some(named) if *named == Named::default() => {
                self.named.remove(lock);
            }
            Some(named) => {
                named.idle = Some(place);
                self.idle.insert(place, lock.clone());
            }
            None => {}
        }
        if self.idle.len() > MAX_IDLE
            && let Some((_, oldest)) = self.idle.pop_first()
        {
            self.named.remove(&oldest);
        }
    }
}

/// The time for people that is so much later.
pub(super) fn later(now: Now, ms: u64) -> Timestamp {
    Timestamp(now.wall.0.saturating_add_unsigned(ms))
}

fn drop_from(all: &mut BTreeMap<ConnId, BTreeSet<u64>>, conn: ConnId, number: u64) {
    if let Some(of_conn) = all.get_mut(&conn) {
        of_conn.remove(&number);
        if of_conn.is_empty() {
            all.remove(&conn);
        }
    }
}
