//! The attached runs by number, so that an event finds its pipe at once.

use super::run::Run;
use crate::output::index::Stream;
use crate::output::pipe::Pipe;
use gob_core::RunKey;
use std::collections::HashMap;

/// A stream of the run in a slot. A token that outlives its run is harmless: it causes one needless read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Token(pub(super) u64);

impl Token {
    fn of(slot: usize) -> Self {
        Self(slot as u64 * 2)
    }

    fn slot(self) -> usize {
        usize::try_from(self.0 / 2).unwrap_or(usize::MAX)
    }

    /// Returns the index of the pipe.
    pub(super) fn side(self) -> usize {
        usize::from(self.0 % 2 == 1)
    }

    /// Returns the stream.
    pub(super) fn stream(self) -> Stream {
        if self.side() == 0 { Stream::Stdout } else { Stream::Stderr }
    }

    /// Returns the tokens of both streams of the run.
    pub(super) fn both(self) -> [Self; 2] {
        let stdout = self.0 - self.0 % 2;
        [Self(stdout), Self(stdout + 1)]
    }
}

/// All slots.
#[derive(Default)]
pub(super) struct Slots {
    runs: Vec<Option<Run>>,
    free: Vec<usize>,
    by_key: HashMap<RunKey, usize>,
}

impl Slots {
    /// Returns the token of the next run.
    pub(super) fn next(&self) -> Token {
        Token::of(self.free.last().copied().unwrap_or(self.runs.len()))
    }

    /// Inserts a run.
    pub(super) fn insert(&mut self, run: Run) -> Token {
        let slot = self.free.pop().unwrap_or(self.runs.len());
        self.by_key.insert(run.key.clone(), slot);
        match self.runs.get_mut(slot) {
            Some(place) => *place = Some(run),
            None => self.runs.push(Some(run)),
        }
        Token::of(slot)
    }

    /// Removes a run.
    pub(super) fn remove(&mut self, token: Token) -> Option<Run> {
        let run = self.runs.get_mut(token.slot())?.take()?;
        self.free.push(token.slot());
        if self.by_key.get(&run.key) == Some(&token.slot()) {
            self.by_key.remove(&run.key);
        }
        Some(run)
    }

    pub(super) fn run(&mut self, token: Token) -> Option<&mut Run> {
        self.runs.get_mut(token.slot())?.as_mut()
    }

    pub(super) fn pipe(&mut self, token: Token) -> Option<&mut Pipe> {
        self.run(token)?.pipes.get_mut(token.side())?.as_mut()
    }

    /// Returns the slot of a run.
    pub(super) fn find(&self, key: &RunKey) -> Option<Token> {
        self.by_key.get(key).copied().map(Token::of)
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &Run> {
        self.runs.iter().flatten()
    }

    /// Returns the pipes of all runs.
    pub(super) fn pipes(&mut self) -> impl Iterator<Item = &mut Pipe> {
        self.runs.iter_mut().flatten().flat_map(|run| run.pipes.iter_mut().flatten())
    }

    /// Returns the tokens of all runs.
    pub(super) fn tokens(&self) -> Vec<Token> {
        let slots = self.runs.iter().enumerate();
        slots.filter(|(_, run)| run.is_some()).map(|(slot, _)| Token::of(slot)).collect()
    }
}
