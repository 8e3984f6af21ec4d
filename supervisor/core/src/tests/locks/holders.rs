//! The locks as their holders believe them, from answers and events alone; and what must hold of them after each step.

use super::shell::Shell;
use crate::locks::Locks;
use crate::timers::Timers;
use crate::{ConnId, LocksMark};
use gob_protocol::limits::{LOCK_CLAIM_MS, LOCK_PASSES};
use gob_protocol::request::LockAcquire;
use gob_protocol::{Event, EventKind, LockMode, LockName};
use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;
use std::string::String;
use std::vec::Vec;

/// A request that was sent and is not answered.
#[derive(Debug, Clone)]
pub(in crate::tests) struct Sent {
    conn: ConnId,
    lock: LockName,
    mode: LockMode,
    is_claim: bool,
    within: Vec<u64>,
    passed: u32,
}

/// A lock as its holder believes it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::tests) struct Held {
    pub(in crate::tests) conn: ConnId,
    pub(in crate::tests) lock: LockName,
    pub(in crate::tests) token: u64,
    pub(in crate::tests) mode: LockMode,
    /// Tokens of the same party.
    pub(in crate::tests) within: Vec<u64>,
}

/// All that clients know of locks.
#[derive(Debug, Clone)]
pub(in crate::tests) struct Holders {
    pub(in crate::tests) sent: BTreeMap<i64, Sent>,
    /// The grants of the answers, until a loss or an event of another end.
    pub(in crate::tests) held: Vec<Held>,
    /// Grants of which the answers came since the last step, each with the request and its token.
    granted: Vec<(u64, i64)>,
    /// The highest token that was granted.
    pub(in crate::tests) highest: u64,
    /// When the claims are over, if the supervisor before the present one left its mark.
    claims_until: Option<u64>,
    /// The highest token that a claim may have, by the mark and the store.
    pub(in crate::tests) credible: u64,
    /// The mark has told it, or the store before this step; else every claim is credible.
    pub(in crate::tests) is_told: bool,
}

impl Default for Holders {
    fn default() -> Self {
        Self {
            sent: BTreeMap::new(),
            held: Vec::new(),
            granted: Vec::new(),
            highest: 0,
            claims_until: None,
            credible: 0,
            is_told: true,
        }
    }
}

impl Holders {
    /// A client asks for a lock.
    pub(in crate::tests) fn sends(&mut self, conn: ConnId, id: i64, asked: &LockAcquire) {
        let (lock, mode) = (asked.lock.clone(), asked.mode.unwrap_or_default());
        let (is_claim, within) = (asked.token.is_some(), asked.within.clone());
        let sent = Sent { conn, lock, mode, is_claim, within, passed: 0 };
        self.sent.insert(id, sent);
    }

    /// A request for a lock is answered: with a token, or refused.
    pub(in crate::tests) fn is_answered(&mut self, id: i64, token: Option<u64>) {
        match token {
            Some(token) => self.granted.push((token, id)),
            None => drop(self.sent.remove(&id)),
        }
    }

    /// The requests that are not answered.
    pub(in crate::tests) fn waiting(&self) -> Vec<(ConnId, i64)> {
        self.sent.iter().map(|(id, sent)| (sent.conn, *id)).collect()
    }

    /// A connection is gone, and with it all that it held and waited for.
    pub(in crate::tests) fn leaves(&mut self, conn: ConnId) {
        self.sent.retain(|_, sent| sent.conn != conn);
        self.held.retain(|held| held.conn != conn);
    }

    /// Another supervisor follows one that ended. Returns what was held under that one.
    pub(in crate::tests) fn restarts(&mut self, shell: &Shell, now: u64) -> Vec<Held> {
        (self.credible, self.is_told) =
            (shell.reserved.max(shell.number()), shell.mark != LocksMark::Unreadable);
        self.claims_until = (shell.mark != LocksMark::Missing).then_some(now + LOCK_CLAIM_MS);
        self.sent.clear();
        self.granted.clear();
        std::mem::take(&mut self.held)
    }

    /// Takes the answers of a step, and the ends of which its events tell.
    pub(in crate::tests) fn hear(
        &mut self,
        ends: &[Rc<Event>],
        shell: &Shell,
        now: u64,
    ) -> Result<(), String> {
        let ended =
            |token: u64| ends.iter().any(|event| event.reason.is_some() && event.token == Some(token));
        self.held.retain(|held| !ended(held.token));
        // A token that a client made up, and that was believed without mark and store, may be given after its end.
        let ended_since = |token: u64| {
            let is_grant =
                |event: &Rc<Event>| event.event == EventKind::LockGranted && event.token == Some(token);
            let grant = ends.iter().rposition(is_grant).map_or(0, |at| at + 1);
            ends.iter().skip(grant).any(|event| event.reason.is_some() && event.token == Some(token))
        };
        let mut granted = std::mem::take(&mut self.granted);
        granted.sort_unstable();
        for (token, id) in granted {
            let Some(sent) = self.sent.remove(&id) else { continue };
            let Sent { conn, lock, mode, is_claim, within, .. } = sent;
            let is_renewed = self.held.iter().any(|held| held.token == token);
            if is_claim {
                let is_credible = (1..=self.credible).contains(&token) || !self.is_told;
                ensure!(is_renewed || is_credible, "{token} is believed, above {}", self.credible);
            } else {
                ensure!(token > self.highest, "{token} after {}", self.highest);
                ensure!(token <= shell.number(), "{token} is given, marked is {:?}", shell.mark);
                ensure!(!is_renewed, "{token} is held twice");
                self.highest = token;
                ensure!(self.claims_until.is_none_or(|until| now >= until), "granted before the claims");
                for other in self.sent.iter_mut().filter(|(other, sent)| **other < id && sent.lock == lock) {
                    other.1.passed += u32::from(!other.1.is_claim);
                    ensure!(other.1.passed <= LOCK_PASSES, "{other:?} was passed too often");
                }
            }
            if !ended_since(token) && !is_renewed {
                self.held.push(Held { conn, lock, token, mode, within });
            }
        }
        Ok(())
    }

    /// Everything that must hold after a step: what the holders believe is what the supervisor has.
    pub(in crate::tests) fn check(
        &self,
        locks: &Locks,
        timers: &Timers,
        shell: &Shell,
    ) -> Result<(), String> {
        locks.check(shell.owes(), timers)?;
        for (at, one) in self.held.iter().enumerate() {
            for other in self.held.iter().skip(at + 1).filter(|other| other.lock == one.lock) {
                ensure!(one.mode.goes_with(other.mode), "{one:?} and {other:?} hold one lock");
            }
        }
        let held: BTreeSet<_> = self.held.iter().map(|held| (held.token, held.conn, &held.lock)).collect();
        let granted: BTreeSet<_> = locks.grants().collect();
        ensure!(held == granted, "held are {held:?}, not {granted:?}");
        for inner in &self.held {
            // A larger token than the own one was made up, or is another grant by now.
            let outer = |held: &&Held| inner.within.contains(&held.token) && held.token < inner.token;
            for outer in self.held.iter().filter(outer) {
                ensure!(
                    locks.is_party_of(inner.token, outer.conn),
                    "{inner:?} is not of the party of {outer:?}"
                );
            }
        }
        let (sent, waits) = (self.sent.len(), locks.unanswered());
        ensure!(sent == waits, "{sent} are not answered, and {waits} wait: {:?}", self.sent);
        let is_marked = shell.mark != LocksMark::Missing;
        ensure!(self.held.is_empty() || is_marked, "locks are held and nothing says so");
        Ok(())
    }
}
