//! Everything that must hold of the locks after each input, for the tests.

use super::Locks;
use crate::ids::ConnId;
use crate::timers::{Timer, Timers};
use alloc::collections::BTreeSet;
use alloc::format;
use alloc::string::String;
use gob_protocol::limits::LOCK_PASSES;
use gob_protocol::lock::ask::is_shared_lock;
use gob_protocol::{LockMode, LockName};

macro_rules! holds {
    ($holds:expr, $($why:tt)+) => {
        if !$holds {
            return Err(format!($($why)+));
        }
    };
}

impl Locks {
    /// Checks all of it; `owes` tells that the shell has still to answer about tokens or the mark.
    pub(crate) fn check(&self, owes: bool, timers: &Timers) -> Result<(), String> {
        let table = &self.table;
        let mut lined = 0;
        for (lock, named) in &table.named {
            let modes = named.holders.iter().map(|token| table.grants[token].asking.mode);
            let exclusive = modes.filter(|mode| *mode == LockMode::Exclusive).count();
            holds!(exclusive == 0 || named.holders.len() == 1, "{lock} has holders beside an exclusive one");
            let next = table.next_of(lock);
            let is_fed = owes && self.starved.contains(lock);
            holds!(
                next.is_none() || is_fed || is_shared_lock(lock),
                "{next:?} waits for {lock} and could have it"
            );
            holds!(
                named.line.iter().all(|wait| table.waits[wait].asking.lock == *lock),
                "the line of {lock}"
            );
            lined += named.line.len();
        }
        holds!(lined == table.waits.len(), "{lined} of {} are in a line", table.waits.len());
        let passed = table.waits.values().map(|wait| wait.passed).max().unwrap_or_default();
        holds!(passed <= LOCK_PASSES, "one was passed {passed} times");
        let stuck = table.stuck();
        holds!(stuck.is_empty(), "{stuck:?} wait for each other: {table:?}");
        for (conn, tokens) in &table.held {
            let fits = |token: &u64| table.grants.get(token).is_some_and(|grant| grant.asking.conn == *conn);
            holds!(!tokens.is_empty() && tokens.iter().all(fits), "{conn:?} holds {tokens:?}");
        }
        let held: usize = table.held.values().map(BTreeSet::len).sum();
        holds!(held == table.grants.len(), "{held} tokens of {} are somebody's", table.grants.len());
        for (conn, waits) in &table.waiting {
            let fits = |wait: &u64| table.waits.get(wait).is_some_and(|wait| wait.parties.contains(conn));
            holds!(!waits.is_empty() && waits.iter().all(fits), "{conn:?} waits for {waits:?}");
        }
        let (given, marked) = (self.tokens.highest(), self.mark.up_to());
        holds!(given <= marked, "{given} is given, and the mark says {marked}");
        self.check_timers(timers)
    }

    fn check_timers(&self, timers: &Timers) -> Result<(), String> {
        let early = self.grace.iter().flat_map(|grace| &grace.early).map(|(number, early)| (number, early));
        let waits = self.table.waits.iter().map(|(number, wait)| (number, &wait.asking));
        let waits = waits.chain(early).filter(|(_, asking)| asking.timeout_ms.is_some());
        let ttls = self.table.grants.iter().filter(|(_, grant)| grant.asking.ttl_ms.is_some());
        let mut expected: BTreeSet<Timer> = waits.map(|(number, _)| Timer::LockWait(*number)).collect();
        expected.extend(ttls.map(|(token, _)| Timer::LockTtl(*token)));
        expected.extend(self.grace.as_ref().map(|_| Timer::LockClaims));
        let is_ours =
            |timer: &&Timer| matches!(timer, Timer::LockWait(_) | Timer::LockTtl(_) | Timer::LockClaims);
        let armed: BTreeSet<Timer> = timers.all().map(|(_, timer)| timer).filter(is_ours).cloned().collect();
        holds!(armed == expected, "armed are {armed:?}, not {expected:?}");
        Ok(())
    }

    /// Every holder: its token, its connection and the lock.
    pub(crate) fn grants(&self) -> impl Iterator<Item = (u64, ConnId, &LockName)> {
        self.table.grants.iter().map(|(token, grant)| (*token, grant.asking.conn, &grant.asking.lock))
    }

    /// Tells whether what this token's holder does keeps a connection from going on.
    pub(crate) fn is_party_of(&self, token: u64, conn: ConnId) -> bool {
        self.table.grants.get(&token).is_some_and(|grant| grant.parties.contains(&conn))
    }

    /// How many requests are not answered yet.
    pub(crate) fn unanswered(&self) -> usize {
        self.table.waits.len() + self.grace.as_ref().map_or(0, super::Grace::len)
    }
}
