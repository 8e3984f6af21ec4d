//! The shell's part in locks: the store that reserves tokens, and the mark that they are held.

use crate::{Effect, Input, LocksMark, NoAnswer, Question, Stored};
use std::collections::VecDeque;

/// The store and the mark, with what was asked of them and is not answered.
#[derive(Debug, Clone)]
pub(in crate::tests) struct Shell {
    /// The highest token that the store has reserved.
    pub(in crate::tests) reserved: u64,
    /// The store has answered in the life of this core.
    pub(in crate::tests) is_heard: bool,
    /// The store can be written.
    pub(in crate::tests) store: bool,
    /// The mark can be made.
    pub(in crate::tests) markable: bool,
    /// The content of the runtime directory.
    pub(in crate::tests) mark: LocksMark,
    owed: VecDeque<Effect>,
}

impl Shell {
    /// The store has reserved the tokens up to this one, and an earlier supervisor has left this mark.
    pub(in crate::tests) fn new(reserved: u64, store: bool, mark: LocksMark) -> Self {
        Self { reserved, is_heard: false, store, markable: true, mark, owed: VecDeque::new() }
    }

    /// Takes an effect that is about it; false for any other.
    pub(in crate::tests) fn takes(&mut self, effect: &Effect) -> bool {
        let is_its = matches!(
            effect,
            Effect::MarkLocks { .. } | Effect::Ask { question: Question::ReserveTokens { .. }, .. }
        );
        if is_its {
            self.owed.push_back(effect.clone());
        } else if matches!(effect, Effect::UnmarkLocks) {
            self.mark = LocksMark::Missing;
        }
        is_its || matches!(effect, Effect::UnmarkLocks)
    }

    /// Answers what was asked first.
    pub(in crate::tests) fn tells(&mut self) -> Option<Input> {
        Some(match self.owed.pop_front()? {
            Effect::Ask { ticket, question: Question::ReserveTokens { count, above } } => {
                let answer = if self.store {
                    let first = self.reserved.max(above) + 1;
                    self.reserved = first + u64::from(count) - 1;
                    self.is_heard = true;
                    Ok(Stored::Reserved { first, count })
                } else {
                    Err(NoAnswer::Failed("the disk is full".into()))
                };
                Input::Stored { ticket, answer }
            }
            Effect::MarkLocks { up_to } => Input::LocksMarked(if self.markable {
                assert!(self.number() < up_to, "{:?} is to be lowered to {up_to}", self.mark);
                self.mark = LocksMark::UpTo(up_to);
                Ok(())
            } else {
                Err("it is read-only".into())
            }),
            other => unreachable!("{other:?} was not taken"),
        })
    }

    /// The number of the mark; 0 without one.
    pub(in crate::tests) fn number(&self) -> u64 {
        match self.mark {
            LocksMark::UpTo(up_to) => up_to,
            LocksMark::Missing | LocksMark::Unreadable => 0,
        }
    }

    pub(in crate::tests) fn owes(&self) -> bool {
        !self.owed.is_empty()
    }

    /// The number of the question about tokens that is not answered, and whether the mark is being written.
    pub(in crate::tests) fn asked(&self) -> (Option<u64>, bool) {
        let ticket = |effect: &Effect| match effect {
            Effect::Ask { ticket, .. } => Some(*ticket),
            _mark => None,
        };
        let marks = self.owed.iter().any(|effect| matches!(effect, Effect::MarkLocks { .. }));
        (self.owed.iter().find_map(ticket), marks)
    }
}
