//! Fencing tokens: numbers that only grow over the life of the store, which reserves them in blocks.
//!
//! Without a block no token is given: one that is made up might have been given before.

use alloc::collections::VecDeque;
use serde::{Deserialize, Serialize};

/// Tokens that are reserved at once.
pub(super) const BLOCK: u32 = 1_024;

/// Time after a failure in which no block is asked for while there are tokens.
const PAUSE_MS: u64 = 1_000;

/// The tokens that may be given.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Tokens {
    /// Each pair is the next one of a block, and the first that is not of it.
    blocks: VecDeque<(u64, u64)>,
    /// The highest token that is known.
    highest: u64,
    /// The highest one that the store had reserved before this supervisor's life; unknown until it answers.
    before: Option<u64>,
    failed_at: Option<u64>,
}

impl Tokens {
    /// Takes the next token.
    pub(super) fn take(&mut self) -> Option<u64> {
        let (next, end) = self.blocks.front_mut()?;
        let token = *next;
        *next += 1;
        if next >= end {
            self.blocks.pop_front();
        }
        self.highest = self.highest.max(token);
        Some(token)
    }

    /// Tells whether another block is to be asked for.
    pub(super) fn run_low(&self, now: u64) -> bool {
        let left: u64 = self.blocks.iter().map(|(next, end)| end - next).sum();
        let is_paused = self.failed_at.is_some_and(|at| now.saturating_sub(at) < PAUSE_MS);
        left == 0 || (left < u64::from(BLOCK / 2) && !is_paused)
    }

    /// Tells whether there is none.
    pub(super) fn is_empty(&self) -> bool {
        self.blocks.is_empty()
    }

    /// Takes a block. A part of it that is not above every known token is left out.
    pub(super) fn reserved(&mut self, first: u64, count: u32) {
        self.failed_at = None;
        self.before.get_or_insert(first.saturating_sub(1));
        let above = self.blocks.back().map_or(self.highest + 1, |(_, end)| *end);
        let (next, end) = (first.max(above), first.saturating_add(u64::from(count)));
        if next < end {
            self.blocks.push_back((next, end));
        }
    }

    /// Notes that there is no block to be had.
    pub(super) fn failed(&mut self, now: u64) {
        self.failed_at = Some(now);
    }

    /// A number that every new block is to be above.
    pub(super) fn above(&self) -> u64 {
        self.blocks.back().map_or(self.highest, |(_, end)| end - 1)
    }

    /// Tells whether an earlier supervisor may have given this token. As long as the store has not answered, it may have.
    pub(super) fn is_of_before(&self, token: u64) -> bool {
        self.before.is_none_or(|before| token <= before)
    }

    /// Notes a token that an earlier supervisor gave. None is given any more that is not above it.
    pub(super) fn knows(&mut self, token: u64) {
        self.highest = self.highest.max(token);
        for (next, end) in &mut self.blocks {
            *next = (*next).max(token + 1).min(*end);
        }
        self.blocks.retain(|(next, end)| next < end);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::vec::Vec;

    #[test]
    fn tokens_only_grow_whatever_the_store_says() {
        let mut tokens = Tokens::default();
        assert_eq!((tokens.take(), tokens.run_low(0), tokens.above()), (None, true, 0));
        tokens.reserved(41, 2);
        assert!(tokens.is_of_before(40) && !tokens.is_of_before(41));
        assert_eq!((tokens.take(), tokens.above()), (Some(41), 42));
        // A store that was put back.
        tokens.reserved(40, 4);
        let rest: Vec<u64> = core::iter::from_fn(|| tokens.take()).collect();
        assert_eq!(rest, [42, 43]);
        tokens.reserved(10, 3);
        assert!(tokens.is_empty(), "these were given");
        tokens.reserved(100, 10);
        tokens.knows(104);
        assert_eq!(tokens.take(), Some(105));
        tokens.knows(500);
        assert_eq!((tokens.take(), tokens.above()), (None, 500));
    }

    #[test]
    fn a_store_that_fails_is_asked_once_a_second_while_tokens_are_left() {
        let mut tokens = Tokens::default();
        tokens.reserved(1, 2);
        assert!(tokens.run_low(0));
        tokens.failed(5_000);
        assert!(!tokens.run_low(5_999) && tokens.run_low(6_000));
        assert_eq!((tokens.take(), tokens.take()), (Some(1), Some(2)));
        assert!(tokens.run_low(5_001), "nothing is left");
    }
}
