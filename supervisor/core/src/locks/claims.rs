//! After an end at which locks were held: nothing is granted until the holders have had the time to claim what they hold.

use super::table::Asking;
use alloc::collections::BTreeSet;
use alloc::vec::Vec;
use core::cmp::Reverse;
use serde::{Deserialize, Serialize};

/// A holder under an earlier supervisor, by its token.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Claim {
    pub(super) token: u64,
    pub(super) asking: Asking,
}

/// The time of the claims.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Grace {
    pub(super) claims: Vec<Claim>,
    /// Other requests by their numbers, which wait until the time is over.
    pub(super) early: Vec<(u64, Asking)>,
}

impl Grace {
    /// How many requests wait.
    pub(super) fn len(&self) -> usize {
        self.claims.len() + self.early.len()
    }
}

/// Decides claims: of each lock the largest token has it, and with it all shared ones if it is shared. Returns those that have
/// what they claim, and those that don't. The former are in the order of their tokens: a lock within another one has the larger
/// token, and belongs to the party that the outer one is of, once that one is adopted.
pub(super) fn decide(claims: Vec<Claim>, is_valid: impl Fn(u64) -> bool) -> (Vec<Claim>, Vec<Claim>) {
    let mut claims = claims;
    // The first of two that are equal has come first.
    claims.sort_by(|one, other| {
        one.asking.lock.cmp(&other.asking.lock).then(Reverse(one.token).cmp(&Reverse(other.token)))
    });
    let (mut held, mut lost) = (Vec::<Claim>::new(), Vec::new());
    let mut tokens = BTreeSet::new();
    for claim in claims {
        let first = held.iter().rev().take_while(|other| other.asking.lock == claim.asking.lock).last();
        let fits = first.is_none_or(|first| first.asking.mode.goes_with(claim.asking.mode));
        if is_valid(claim.token) && fits && tokens.insert(claim.token) {
            held.push(claim);
        } else {
            lost.push(claim);
        }
    }
    held.sort_unstable_by_key(|claim| claim.token);
    (held, lost)
}
