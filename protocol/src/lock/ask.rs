//! Questions of the supervisor's core about locks that several machines share, and their answers. They never are on the wire.
//!
//! The database alone decides who is next: each question is one transaction. A party is known by the life of its supervisor and the number
//! of its request there, a holder also by its token. Questions can be serialized for the state that one supervisor hands to the next.

use super::{LockName, LockParty};
use crate::limits::LOCK_PASSES;
use serde::{Deserialize, Serialize};

/// The prefix of locks that several machines share.
pub const SHARED_LOCK: &str = "shared/";
/// The first token of such a lock. The tokens of a machine's own locks are lower.
pub const FIRST_SHARED_TOKEN: u64 = 1_000_000_000_001;

/// Returns whether several machines share the lock of this name.
#[must_use]
pub fn is_shared_lock(lock: &LockName) -> bool {
    lock.as_str().starts_with(SHARED_LOCK)
}

/// Returns the place of a request of this priority in a line of waiters, of each of which the priority is given and how often it was passed.
/// All behind that place are passed once more.
#[must_use]
pub fn place(line: impl DoubleEndedIterator<Item = (i32, u32)> + ExactSizeIterator, priority: i32) -> usize {
    let len = line.len();
    let passed = line.rev().take_while(|(other, passed)| *other < priority && *passed < LOCK_PASSES);
    len.saturating_sub(passed.count())
}

/// A request for a lock, as the database keeps it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LockEntry {
    /// The number of the request.
    pub number: u64,
    /// The lock.
    pub lock: LockName,
    /// The party, for people, and by its mode and priority for the line.
    pub party: LockParty,
}

/// A question.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum LockAsk {
    /// A request stands in line; one that only tries leaves where it is not granted.
    Enter {
        /// The request.
        entry: Box<LockEntry>,
        /// It does not wait.
        tries: bool,
    },
    /// A request leaves the line, or gives back what it was granted meanwhile.
    Leave {
        /// Its number.
        number: u64,
        /// The lock.
        lock: LockName,
    },
    /// A holder has ended.
    End {
        /// Its token.
        token: u64,
        /// The lock.
        lock: LockName,
    },
    /// A holder under an earlier supervisor of this machine goes on.
    Adopt {
        /// Its token.
        token: u64,
        /// The request by which it claims.
        entry: Box<LockEntry>,
    },
    /// The parties of these locks are looked at.
    Look {
        /// The locks.
        locks: Vec<LockName>,
    },
    /// This supervisor holds and waits for these, and nothing else.
    Sync {
        /// Tokens.
        holds: Vec<u64>,
        /// Numbers of requests.
        waits: Vec<u64>,
        /// Holders of earlier supervisors of this machine may still claim what they hold.
        spares: bool,
    },
    /// All parties of one lock or of all.
    Status {
        /// The lock.
        lock: Option<LockName>,
    },
    /// These holders lose the lock.
    Break {
        /// The lock.
        lock: LockName,
        /// Their tokens.
        tokens: Vec<u64>,
    },
}

/// A party of the supervisor that asks.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LockRow {
    /// The lock.
    pub lock: LockName,
    /// The number of its request.
    pub number: u64,
    /// Its token, where it holds.
    pub token: Option<u64>,
}

/// An answer: how the locks are that the question is about.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct LockTold {
    /// The parties of the supervisor that asks.
    pub own: Vec<LockRow>,
    /// All parties, holders first, then the line; of each lock.
    pub parties: Vec<(LockName, Vec<LockParty>)>,
    /// The claim of a holder, or the end of one, was true.
    pub is_done: bool,
}

impl LockTold {
    /// Returns the holders of a lock.
    #[must_use]
    pub fn holders(&self, lock: &LockName) -> Vec<LockParty> {
        let of = self.parties.iter().filter(|(name, _)| name == lock).flat_map(|(_, parties)| parties);
        of.filter(|party| party.token.is_some()).cloned().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_passes_those_of_lower_priority_that_were_not_passed_too_often() {
        let at = |line: &[(i32, u32)], priority| place(line.iter().copied(), priority);
        assert_eq!(at(&[], 0), 0);
        assert_eq!(at(&[(0, 0), (0, 0)], 0), 2);
        assert_eq!(at(&[(5, 0), (0, 0), (0, 3)], 1), 1);
        assert_eq!(at(&[(0, 0), (0, LOCK_PASSES), (0, 0)], 9), 2);
    }
}
