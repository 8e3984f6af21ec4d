//! One worker's output as `logs` reads it: the latest run, and when following, the runs after it.

use crate::failure::Failure;
use crate::verbs::logs::unreadable;
use gob_client::Name;
use gob_client::logs::{self, Piece, Run, Stream};
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
    ready: VecDeque<Piece>,
}

impl Source {
    /// Opens a run; without a number the worker has not run yet.
    pub(crate) fn open(
        name: Name,
        dir: PathBuf,
        number: Option<u64>,
        streams: &[Stream],
    ) -> io::Result<Self> {
        let run = number.map(|number| Run::open(&dir, number, streams)).transpose()?;
        Ok(Self { name, dir, streams: streams.to_vec(), run, ready: VecDeque::new() })
    }

    /// Returns the number of the present run.
    pub(crate) fn run(&self) -> u64 {
        self.run.as_ref().map_or(0, Run::number)
    }

    /// Returns the time of the latest write that was read.
    pub(crate) fn written_until(&self) -> Option<Timestamp> {
        self.run.as_ref().and_then(Run::written_until)
    }

    /// Skips to the last lines.
    pub(crate) fn skip_to_last(&mut self, count: usize) -> Result<(), Failure> {
        if let Some(run) = &mut self.run {
            self.ready.extend(run.last_lines(count).map_err(|error| unreadable(&self.dir, &error))?);
        }
        Ok(())
    }

    /// Returns the next piece without consuming it.
    pub(crate) fn peek(&mut self) -> Result<Option<&Piece>, Failure> {
        if self.ready.is_empty()
            && let Some(run) = &mut self.run
        {
            self.ready.extend(run.next_piece().map_err(|error| unreadable(&self.dir, &error))?);
        }
        Ok(self.ready.front())
    }

    /// Returns the next piece.
    pub(crate) fn next(&mut self) -> Result<Option<Piece>, Failure> {
        self.peek()?;
        Ok(self.ready.pop_front())
    }

    /// Returns the unread rest of this run: bytes without a record, and unfinished lines.
    pub(crate) fn rest(&mut self) -> Result<Vec<Piece>, Failure> {
        let mut pieces = Vec::new();
        loop {
            while let Some(piece) = self.next()? {
                pieces.push(piece);
            }
            let Some(run) = &mut self.run else { return Ok(pieces) };
            if !run.take_rest().map_err(|error| unreadable(&self.dir, &error))? {
                pieces.extend(run.unfinished());
                return Ok(pieces);
            }
        }
    }

    /// Returns the unfinished lines as they are.
    pub(crate) fn unfinished(&mut self) -> Vec<Piece> {
        self.run.as_mut().map(Run::unfinished).unwrap_or_default()
    }

    /// Returns the continuation of this run, if there is one: a later run, the first one after the worker was
    /// removed, or its own files that were made again.
    pub(crate) fn follow_up(&self) -> Result<Option<FollowUp>, Failure> {
        let unreadable = |error| unreadable(&self.dir, &error);
        let runs = logs::runs(&self.dir).map_err(unreadable)?;
        let now = self.run();
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
