//! One worker's output as `logs` reads it: the latest run, and when following, the runs after it.

use crate::failure::Failure;
use crate::log_sieve::Sieve;
use crate::verbs::logs::unreadable;
use gob_client::Name;
use gob_client::logs::{self, Piece, Run, Stream, drop_first_lines};
use gob_client::protocol::Timestamp;
use std::collections::VecDeque;
use std::io;
use std::path::PathBuf;

/// The source of one worker's lines.
#[derive(Debug)]
pub(crate) struct Source {
    pub(crate) name: Name,
    dir: PathBuf,
    streams: Vec<Stream>,
    run: Option<Run>,
    /// Runs that follow it and are read with it.
    later: VecDeque<u64>,
    sieve: Sieve,
    ready: VecDeque<Line>,
    /// Each run is read to where it ended when it was opened: one that never stops writing would never be read whole.
    ends_here: bool,
    /// The run behind which nothing is followed.
    last: Option<u64>,
}

/// A piece of output, with the number of its run.
#[derive(Debug)]
pub(crate) struct Line {
    pub(crate) run: u64,
    pub(crate) piece: Piece,
}

impl AsRef<Piece> for Line {
    fn as_ref(&self) -> &Piece {
        &self.piece
    }
}

impl Source {
    /// Opens a run; without a number the worker has not run yet.
    pub(crate) fn open(
        name: Name,
        dir: PathBuf,
        number: Option<u64>,
        streams: &[Stream],
    ) -> io::Result<Self> {
        Self::open_runs(name, dir, number.as_slice(), streams, &Sieve::default(), false)
    }

    /// Opens runs that are read one after the other, and selects their lines. `ends_here` leaves out what is still to come.
    pub(crate) fn open_runs(
        name: Name,
        dir: PathBuf,
        runs: &[u64],
        streams: &[Stream],
        sieve: &Sieve,
        ends_here: bool,
    ) -> io::Result<Self> {
        let (run, later, ready) = (None, runs.iter().copied().collect(), VecDeque::new());
        let (streams, sieve) = (streams.to_vec(), sieve.clone());
        let mut source = Self { name, dir, streams, run, later, sieve, ready, ends_here, last: None };
        source.begin_later()?;
        Ok(source)
    }

    /// Opens the next of the runs that are read together; false after the last one.
    fn begin_later(&mut self) -> io::Result<bool> {
        let Some(number) = self.later.pop_front() else { return Ok(false) };
        let mut run = Run::open(&self.dir, number, &self.streams)?;
        if self.ends_here {
            run.end_here()?;
        }
        if let Some(since) = self.sieve.since {
            run.skip_to_time(since)?;
        }
        self.run = Some(run);
        Ok(true)
    }

    /// Returns the number of the present run.
    pub(crate) fn run(&self) -> u64 {
        self.run.as_ref().map_or(0, Run::number)
    }

    /// Follows up to this run, and no later one.
    pub(crate) const fn end_with(&mut self, last: u64) {
        self.last = Some(last);
    }

    /// Returns the time of the latest write that was read.
    pub(crate) fn written_until(&self) -> Option<Timestamp> {
        self.run.as_ref().and_then(Run::written_until)
    }

    /// Skips to the last selected lines.
    pub(crate) fn skip_to_last(&mut self, count: usize, goes_on: bool) -> Result<(), Failure> {
        if !self.sieve.selects() {
            let Some(run) = &mut self.run else { return Ok(()) };
            let last = run.last_lines(count).map_err(|error| unreadable(&self.dir, &error))?;
            for piece in last {
                self.take(piece);
            }
            return Ok(());
        }
        if self.ends_here {
            return self.keep_last(count, goes_on);
        }
        let ended = self.run.as_mut().map_or(Ok(()), Run::end_here);
        ended.map_err(|error| unreadable(&self.dir, &error))?;
        self.ends_here = true;
        self.keep_last(count, goes_on)?;
        self.ends_here = false;
        if let Some(run) = &mut self.run {
            run.go_on();
        }
        Ok(())
    }

    /// Reads all there is and keeps the last selected lines.
    fn keep_last(&mut self, count: usize, goes_on: bool) -> Result<(), Failure> {
        let (mut last, mut ended) = (VecDeque::new(), 0);
        while let Some(line) = self.next()? {
            ended += usize::from(line.piece.ends_line());
            last.push_back(line);
            drop_first_lines(&mut last, &mut ended, count);
        }
        let rest = self.rest(goes_on)?;
        let unfinished = rest.iter().rev().take_while(|line| !line.piece.ends_line()).count();
        ended += rest.len() - unfinished;
        last.extend(rest);
        drop_first_lines(&mut last, &mut ended, count.saturating_sub(unfinished));
        last.drain(..unfinished.saturating_sub(count).min(last.len()));
        self.ready = last;
        Ok(())
    }

    fn take(&mut self, piece: Piece) {
        let run = self.run.as_ref().map_or(0, Run::number);
        self.sieve.push(piece, &mut |piece| self.ready.push_back(Line { run, piece }));
    }

    /// Reads on until a line is ready, in this run and those that are read with it.
    fn fill(&mut self) -> io::Result<()> {
        while self.ready.is_empty() {
            let Some(run) = &mut self.run else { return Ok(()) };
            if let Some(piece) = run.next_piece()? {
                self.take(piece);
            } else if self.later.is_empty() {
                return Ok(());
            } else if !run.take_rest()? {
                self.take_unfinished(false);
                if self.ready.is_empty() {
                    self.begin_later()?;
                }
            }
        }
        Ok(())
    }

    /// Takes the unfinished lines as they are. A run that goes on may still finish them.
    fn take_unfinished(&mut self, goes_on: bool) {
        for piece in self.run.as_mut().map(Run::unfinished).unwrap_or_default() {
            self.take(piece);
        }
        let run = self.run();
        let out = &mut |piece| self.ready.push_back(Line { run, piece });
        if goes_on {
            self.sieve.pause(out);
        } else {
            self.sieve.finish(out);
        }
    }

    /// Returns the next piece without consuming it.
    pub(crate) fn peek(&mut self) -> Result<Option<&Piece>, Failure> {
        self.fill().map_err(|error| unreadable(&self.dir, &error))?;
        Ok(self.ready.front().map(|line| &line.piece))
    }

    /// Returns the next piece.
    pub(crate) fn next(&mut self) -> Result<Option<Line>, Failure> {
        self.peek()?;
        Ok(self.ready.pop_front())
    }

    /// Returns the unread rest of this run: bytes without a record, and unfinished lines.
    pub(crate) fn rest(&mut self, goes_on: bool) -> Result<Vec<Line>, Failure> {
        let mut lines = Vec::new();
        loop {
            while let Some(line) = self.next()? {
                lines.push(line);
            }
            let Some(run) = &mut self.run else { return Ok(lines) };
            if !run.take_rest().map_err(|error| unreadable(&self.dir, &error))? {
                self.take_unfinished(goes_on);
                lines.extend(self.ready.drain(..));
                return Ok(lines);
            }
        }
    }

    /// Returns the unfinished lines as they are.
    pub(crate) fn unfinished(&mut self) -> impl Iterator<Item = Line> {
        self.take_unfinished(true);
        self.ready.drain(..)
    }

    /// Returns the continuation of this run, if there is one: a later run, the first one after the worker was
    /// removed, or its own files that were made again. The last run has none.
    pub(crate) fn follow_up(&self) -> Result<Option<FollowUp>, Failure> {
        let unreadable = |error| unreadable(&self.dir, &error);
        let now = self.run();
        let last = self.last.unwrap_or(u64::MAX);
        if now >= last {
            return Ok(None);
        }
        let mut runs = logs::runs(&self.dir).map_err(unreadable)?;
        runs.retain(|run| *run <= last);
        let (Some(run), true) = (&self.run, self.is_removed()?) else {
            return Ok(runs.into_iter().find(|run| *run > now).map(FollowUp::Run));
        };
        if runs.contains(&now)
            && let Some(again) = run.made_again().map_err(unreadable)?
        {
            return Ok(Some(FollowUp::Again(Box::new(again))));
        }
        Ok(runs.first().copied().map(FollowUp::Run))
    }

    /// Continues with it.
    pub(crate) fn go_on(&mut self, follow_up: FollowUp) -> Result<(), Failure> {
        self.run = Some(match follow_up {
            FollowUp::Again(run) => *run,
            FollowUp::Run(next) => {
                Run::open(&self.dir, next, &self.streams).map_err(|error| unreadable(&self.dir, &error))?
            }
        });
        Ok(())
    }

    fn is_removed(&self) -> Result<bool, Failure> {
        let removed = self.run.as_ref().map_or(Ok(false), Run::is_removed);
        removed.map_err(|error| unreadable(&self.dir, &error))
    }
}

/// The continuation of a run.
pub(crate) enum FollowUp {
    /// The run of this number.
    Run(u64),
    /// The same run, in other files.
    Again(Box<Run>),
}
