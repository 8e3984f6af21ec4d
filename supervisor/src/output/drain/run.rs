//! One attached run, on the drain thread's side.

use crate::output::batch::RunId;
use crate::output::index::Stream;
use crate::output::pipe::Pipe;
use crate::output::poller::Poller;
use crate::output::tap::Tap;
use crate::output::watch::Watches;
use crate::output::{Attached, FromOutput};
use gob_core::RunKey;
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
