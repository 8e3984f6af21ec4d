//! One attached run, on the drain thread's side.

use crate::output::batch::RunId;
use crate::output::index::Stream;
use crate::output::pipe::Pipe;
use crate::output::poller::Poller;
use crate::output::tap::Tap;
use crate::output::watch::{Watch, WatchState, Watches};
use crate::output::{Attached, FromOutput, Pipes};
use crate::upgrade::{Fd, Inherited, Named, Unfit};
use gob_core::RunKey;
use serde::{Deserialize, Serialize};
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::time::Instant;

use super::slots::Token;

/// Its pipes, its watches, and its waiting callers.
pub(super) struct Run {
    pub(super) id: RunId,
    pub(super) key: RunKey,
    pub(super) tap: Arc<Tap>,
    /// Standard output and standard error.
    pub(super) pipes: [Option<Pipe>; 2],
    /// A caller waits for [`FromOutput::Drained`].
    pub(super) asked: bool,
    /// The time at which its unfinished lines are examined, if nothing more comes.
    pub(super) settles_at: Option<Instant>,
    watches: Watches,
}

/// A run as data.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct RunState {
    id: RunId,
    key: RunKey,
    /// The read end of each pipe, and whether it was enlarged.
    pipes: [Option<(Fd, bool)>; 2],
    ready: Option<WatchState>,
    well: Option<WatchState>,
}

impl RunState {
    pub(super) const fn key(&self) -> &RunKey {
        &self.key
    }

    /// Checks that this program knows its watches.
    pub(super) fn check(&self) -> Result<(), Unfit> {
        self.ready.iter().chain(&self.well).try_for_each(|watch| Ok(watch.resume().map(drop)?))
    }
}

impl Run {
    /// Creates a run whose pipes report under the tokens of `token`. A pipe that can't be watched counts as
    /// ended.
    pub(super) fn new(id: RunId, run: Attached, poller: &Poller, token: Token) -> Self {
        let [stdout, stderr] = token.both();
        let key = run.key;
        let pipe = |fd: Option<OwnedFd>, token: Token| {
            let made = Pipe::new(fd?).and_then(|mut pipe| pipe.arm(poller, token.0).map(|()| pipe));
            made.inspect_err(|error| tracing::warn!(?key, %error, "cannot read a worker's output")).ok()
        };
        let pipes = [pipe(run.pipes.stdout, stdout), pipe(run.pipes.stderr, stderr)];
        Self { id, key, tap: run.tap, pipes, asked: false, settles_at: None, watches: run.watches }
    }

    /// Returns what another program needs to go on with it.
    pub(super) fn hand_over(&self, named: &mut Named) -> RunState {
        let [stdout, stderr] = self.pipes.each_ref().map(Option::as_ref);
        let watch = |watch: &Option<Box<dyn Watch>>| watch.as_ref().map(|watch| watch.hand_over());
        RunState {
            id: self.id,
            key: self.key.clone(),
            pipes: [stdout, stderr].map(|pipe| pipe.map(|pipe| (named.name(pipe.fd()), pipe.big))),
            ready: watch(&self.watches.ready),
            well: watch(&self.watches.well),
        }
    }

    /// Goes on with a run whose pipes another program read. A caller that waits for its output asks again.
    pub(super) fn resume(
        state: RunState,
        tap: Arc<Tap>,
        poller: &Poller,
        token: Token,
        inherited: &mut Inherited,
    ) -> Result<Self, Unfit> {
        let RunState { id, key, pipes: [stdout, stderr], ready, well } = state;
        let watch = |state: Option<WatchState>| state.map(|state| state.resume()).transpose();
        let watches = Watches { ready: watch(ready)?, well: watch(well)? };
        let mut taken = |pipe: Option<(Fd, bool)>| pipe.map(|(fd, _)| inherited.take(fd)).transpose();
        let pipes = Pipes { stdout: taken(stdout)?, stderr: taken(stderr)? };
        let mut run = Self::new(id, Attached { key, pipes, watches, tap }, poller, token);
        for (pipe, state) in run.pipes.iter_mut().zip([stdout, stderr]) {
            pipe.iter_mut().for_each(|pipe| pipe.big = state.is_some_and(|(_, big)| big));
        }
        Ok(run)
    }

    /// Shows new bytes to the watches, and returns the report, if there is one.
    pub(super) fn took(&mut self, stream: Stream, time: i64, bytes: &[u8]) -> Option<FromOutput> {
        self.tap.push(stream, time, bytes);
        if let Some(well) = &mut self.watches.well
            && well.is_sign(stream, bytes)
        {
            self.tap.saw();
        }
        let result = self.watches.ready.as_mut()?.feed(stream, bytes)?;
        self.watches.ready = None;
        Some(FromOutput::Handshake { key: self.key.clone(), result })
    }

    /// Returns whether an unfinished line may be the sign of readiness.
    pub(super) fn is_unsettled(&self) -> bool {
        self.watches.ready.as_ref().is_some_and(|ready| ready.is_unsettled())
    }

    /// Examines unfinished lines, and returns the report, if there is one.
    pub(super) fn settle(&mut self) -> Option<FromOutput> {
        self.settles_at = None;
        let result = self.watches.ready.as_mut()?.settle()?;
        self.watches.ready = None;
        Some(FromOutput::Handshake { key: self.key.clone(), result })
    }

    /// Returns whether its output has a watch.
    pub(super) fn is_watched(&self) -> bool {
        self.watches.ready.is_some() || self.watches.well.is_some()
    }

    /// Returns whether a pipe must still be read before an answer.
    pub(super) fn owes(&self) -> bool {
        self.pipes.iter().flatten().any(|pipe| pipe.owes > 0)
    }

    /// Returns the answer to waiting callers, once it is due.
    pub(super) fn answer(&mut self) -> Option<FromOutput> {
        if !self.asked || self.owes() {
            return None;
        }
        self.asked = false;
        Some(FromOutput::Drained { key: self.key.clone() })
    }
}
