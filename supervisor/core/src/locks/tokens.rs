//! Fencing tokens: numbers that only grow over the life of the store, which reserves them in blocks.
//!
//! Without a block no token is given: one that is made up might have been given before. A claim tells nothing about the numbers
//! that were given: what is known of them comes from the mark and from the store.

use crate::parts::LocksMark;
use alloc::collections::VecDeque;
use serde::{Deserialize, Serialize};

/// Tokens that are reserved at once.
pub(super) const BLOCK: u32 = 1_024;

/// Time after a failure in which neither a block nor a mark that covers one is asked for while there are tokens.
const PAUSE_MS: u64 = 1_000;

/// Tells whether a failure is too recent for another attempt that is not urgent.
pub(super) fn is_paused(failed_at: Option<u64>, now: u64) -> bool {
    failed_at.is_some_and(|at| now.saturating_sub(at) < PAUSE_MS)
}

/// The tokens that may be given.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Tokens {
    /// Each pair is the next one of a block, and the first that is not of it.
    blocks: VecDeque<(u64, u64)>,
    /// The highest token that was given, or may have been given by an earlier supervisor.
    highest: u64,
    /// The highest one that an earlier supervisor may have given, by its mark and by what the store had reserved; unknown until
    /// either is.
    before: Option<u64>,
    /// The store has answered in this supervisor's life.
    is_heard: bool,
    failed_at: Option<u64>,
}

impl Tokens {
    /// No tokens; those up to the mark's number may have been given.
    pub(super) fn after(found: LocksMark) -> Self {
        let before = match found {
            LocksMark::Missing | LocksMark::Unreadable => None,
            LocksMark::UpTo(up_to) => Some(up_to),
        };
        Self { highest: before.unwrap_or_default(), before, ..Self::default() }
    }

    /// Takes the next token, up to the one that the mark covers. One that is held is left out: a holder whose claim could not be
    /// judged may have made it up.
    pub(super) fn take(&mut self, up_to: u64, is_held: impl Fn(u64) -> bool) -> Option<u64> {
        loop {
            let (next, end) = self.blocks.front_mut().filter(|(next, _)| *next <= up_to)?;
            let token = *next;
            *next += 1;
            if next >= end {
                self.blocks.pop_front();
            }
            self.highest = self.highest.max(token);
            if !is_held(token) {
                return Some(token);
            }
        }
    }

    /// Tells whether another block is to be asked for.
    pub(super) fn run_low(&self, now: u64) -> bool {
        let left: u64 = self.blocks.iter().map(|(next, end)| end - next).sum();
        left == 0 || (left < u64::from(BLOCK / 2) && !is_paused(self.failed_at, now))
    }

    /// Tells whether there is none.
    pub(super) fn is_empty(&self) -> bool {
        self.blocks.is_empty()
    }

    /// Tells whether the next one is covered by the mark.
    pub(super) fn has_below(&self, up_to: u64) -> bool {
        self.blocks.front().is_some_and(|(next, _)| *next <= up_to)
    }

    /// Takes a block. A part of it that is not above every known token is left out.
    pub(super) fn reserved(&mut self, first: u64, count: u32) {
        self.failed_at = None;
        if !core::mem::replace(&mut self.is_heard, true) {
            self.before = self.before.max(Some(first.saturating_sub(1)));
        }
        let (next, end) = (first.max(self.above().saturating_add(1)), first.saturating_add(u64::from(count)));
        if next < end {
            self.blocks.push_back((next, end));
        }
    }

    /// Notes that there is no block to be had.
    pub(super) fn failed(&mut self, now: u64) {
        self.failed_at = Some(now);
    }

    /// The number that every new block is to be above: the end of the last one.
    pub(super) fn above(&self) -> u64 {
        self.blocks.back().map_or(self.highest, |(_, end)| end - 1)
    }

    /// Tells whether an earlier supervisor may have given this token. Where neither its mark nor the store tells what was given,
    /// it may have: a holder keeps its lock on a full disk. A new token does not depend on that.
    pub(super) fn is_of_before(&self, token: u64) -> bool {
        token > 0 && self.before.is_none_or(|before| token <= before)
    }

    /// The highest token that was given.
    #[cfg(test)]
    pub(super) fn highest(&self) -> u64 {
        self.highest
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::vec::Vec;

    fn take(tokens: &mut Tokens) -> Option<u64> {
        tokens.take(u64::MAX, |_| false)
    }

    #[test]
    fn tokens_only_grow_whatever_the_store_says() {
        let mut tokens = Tokens::default();
        assert_eq!((take(&mut tokens), tokens.run_low(0), tokens.above()), (None, true, 0));
        tokens.reserved(41, 2);
        assert!(tokens.is_of_before(40) && !tokens.is_of_before(41) && !tokens.is_of_before(0));
        assert_eq!((take(&mut tokens), tokens.above()), (Some(41), 42));
        // A store that was put back.
        tokens.reserved(40, 4);
        let rest: Vec<u64> = core::iter::from_fn(|| take(&mut tokens)).collect();
        assert_eq!(rest, [42, 43]);
        tokens.reserved(10, 3);
        assert!(tokens.is_empty(), "these were given");
        tokens.reserved(100, 10);
        assert_eq!(tokens.take(u64::MAX, |token| token < 105), Some(105), "the others are held");
        assert!(!tokens.is_of_before(41), "the first answer tells of earlier lives");
    }

    #[test]
    fn the_mark_and_the_store_say_which_tokens_were_given() {
        let mut tokens = Tokens::after(LocksMark::UpTo(100));
        assert!(tokens.is_of_before(100) && !tokens.is_of_before(101) && !tokens.is_of_before(0));
        // A store that was lost: its numbers begin again, and nothing is given twice.
        tokens.reserved(1, 50);
        assert!(tokens.is_empty() && tokens.is_of_before(100) && tokens.above() == 100);
        let mut tokens = Tokens::after(LocksMark::UpTo(100));
        tokens.reserved(501, 10);
        assert!(tokens.is_of_before(500) && !tokens.is_of_before(501));
        let mut tokens = Tokens::after(LocksMark::Unreadable);
        assert!(tokens.is_of_before(u64::MAX) && tokens.above() == 0);
        tokens.reserved(7, 10);
        assert!(tokens.is_of_before(6) && !tokens.is_of_before(7));
    }

    #[test]
    fn no_token_is_given_that_the_mark_does_not_cover() {
        let mut tokens = Tokens::default();
        tokens.reserved(1, 3);
        assert!(!tokens.has_below(0) && tokens.has_below(1));
        let mut take = || tokens.take(2, |_| false);
        assert_eq!((take(), take(), take()), (Some(1), Some(2), None));
        assert!(!tokens.is_empty() && !tokens.has_below(2));
    }

    #[test]
    fn a_store_that_fails_is_asked_once_a_second_while_tokens_are_left() {
        let mut tokens = Tokens::default();
        tokens.reserved(1, 2);
        assert!(tokens.run_low(0));
        tokens.failed(5_000);
        assert!(!tokens.run_low(5_999) && tokens.run_low(6_000));
        assert_eq!((take(&mut tokens), take(&mut tokens)), (Some(1), Some(2)));
        assert!(tokens.run_low(5_001), "nothing is left");
    }
}
