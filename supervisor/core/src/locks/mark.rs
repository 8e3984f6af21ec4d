//! The mark outside of this process that locks may be held, with the highest token that may have been given.
//!
//! A token is given only once the mark covers it, so that the next supervisor knows which claims can be true, and begins above
//! them even if the store was put back. Blocks are marked when they are reserved, which is ahead of their use.

use super::tokens::is_paused;
use crate::parts::LocksMark;
use serde::{Deserialize, Serialize};

/// The mark, as far as it is known.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Mark {
    /// It may lie there, with or without a number.
    is_there: bool,
    /// Its number; 0 without one.
    up_to: u64,
    /// The number that is being written.
    asked: Option<u64>,
    failed_at: Option<u64>,
}

impl Mark {
    /// The mark that an earlier supervisor left.
    pub(super) fn left(found: LocksMark) -> Self {
        let (is_there, up_to) = match found {
            LocksMark::Missing => (false, 0),
            LocksMark::Unreadable => (true, 0),
            LocksMark::UpTo(up_to) => (true, up_to),
        };
        Self { is_there, up_to, ..Self::default() }
    }

    /// The highest token that may be given.
    pub(super) const fn up_to(&self) -> u64 {
        self.up_to
    }

    /// The number that is being written.
    pub(super) const fn asked(&self) -> Option<u64> {
        self.asked
    }

    /// Tells whether the file may lie there, now or soon.
    pub(super) const fn may_lie(&self) -> bool {
        self.is_there || self.asked.is_some()
    }

    /// Begins to write a higher number, where that is needed and no other is being written. After a failure it is tried again at
    /// once only if it is `urgent`: no token is left that the mark covers.
    pub(super) fn extend(&mut self, end: u64, urgent: bool, now: u64) -> Option<u64> {
        let waits = !urgent && is_paused(self.failed_at, now);
        if end <= self.up_to || self.asked.is_some() || waits {
            return None;
        }
        self.asked = Some(end);
        self.asked
    }

    /// The number that was being written is written, or is not; then the earlier one stays.
    pub(super) fn written(&mut self, is_done: bool, now: u64) {
        match self.asked.take() {
            Some(asked) if is_done => (self.is_there, self.up_to, self.failed_at) = (true, asked, None),
            // One that was given up may be written all the same.
            Some(_) => (self.is_there, self.failed_at) = (true, Some(now)),
            // Nothing was asked for.
            None => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_mark_grows_and_a_failure_leaves_its_number() {
        let mut mark = Mark::left(LocksMark::Missing);
        assert!(!mark.may_lie());
        assert_eq!((mark.extend(0, true, 0), mark.extend(1_024, true, 0)), (None, Some(1_024)));
        assert_eq!((mark.up_to(), mark.may_lie(), mark.extend(2_048, true, 0)), (0, true, None));
        mark.written(true, 0);
        assert_eq!((mark.up_to(), mark.extend(1_024, true, 0)), (1_024, None));
        assert_eq!(mark.extend(2_048, false, 5_000), Some(2_048));
        mark.written(false, 5_000);
        assert_eq!((mark.up_to(), mark.extend(2_048, false, 5_999)), (1_024, None));
        assert_eq!(mark.extend(2_048, true, 5_999), Some(2_048));
        mark.written(true, 5_999);
        assert_eq!((mark.up_to(), mark.asked()), (2_048, None));
    }

    #[test]
    fn a_mark_without_a_number_covers_nothing() {
        let mark = Mark::left(LocksMark::Unreadable);
        assert_eq!((mark.up_to(), mark.may_lie()), (0, true));
    }
}
