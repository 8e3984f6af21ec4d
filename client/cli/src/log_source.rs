//! One worker's output as `logs` reads it: the latest run, and when following, the runs after it.

use crate::failure::Failure;
use crate::verbs::logs::unreadable;
use gob_client::Name;
use gob_client::logs::{self, Piece, Run, Stream};
use std::collections::VecDeque;
use std::io;
use std::path::PathBuf;

/// Where one worker's lines come from.
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

    /// The number of the run that is read.
    pub(crate) fn run(&self) -> u64 {
        self.run.as_ref().map_or(0, Run::number)
    }

    /// Skips to the last lines.
    pub(crate) fn skip_to_last(&mut self, count: usize) -> Result<(), Failure> {
        if let Some(run) = &mut self.run {
            self.ready.extend(run.last_lines(count).map_err(|error| unreadable(&self.dir, &error))?);
        }
        Ok(())
    }

    /// The next piece, left in place.
    pub(crate) fn peek(&mut self) -> Result<Option<&Piece>, Failure> {
        if self.ready.is_empty()
            && let Some(run) = &mut self.run
        {
            self.ready.extend(run.next_piece().map_err(|error| unreadable(&self.dir, &error))?);
        }
        Ok(self.ready.front())
    }

    /// The next piece.
    pub(crate) fn next(&mut self) -> Result<Option<Piece>, Failure> {
        self.peek()?;
        Ok(self.ready.pop_front())
    }

    /// All that has not been read of this run: what no record tells of, and the lines that are not ended.
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

    /// The lines that are not ended, as far as they go.
    pub(crate) fn unfinished(&mut self) -> Vec<Piece> {
        self.run.as_mut().map(Run::unfinished).unwrap_or_default()
    }

    /// Goes on to the next run that there is; false when this is the latest.
    pub(crate) fn next_run(&mut self) -> Result<bool, Failure> {
        let runs = logs::runs(&self.dir).map_err(|error| unreadable(&self.dir, &error))?;
        let now = self.run();
        let Some(next) = runs.into_iter().find(|run| *run > now) else { return Ok(false) };
        let run = Run::open(&self.dir, next, &self.streams).map_err(|error| unreadable(&self.dir, &error))?;
        self.run = Some(run);
        Ok(true)
    }

    /// Whether a later run has begun.
    pub(crate) fn is_over(&self) -> Result<bool, Failure> {
        let runs = logs::runs(&self.dir).map_err(|error| unreadable(&self.dir, &error))?;
        Ok(runs.last().is_some_and(|latest| *latest > self.run()))
    }
}
