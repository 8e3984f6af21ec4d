//! One attached run, as the drain thread sees it.

use crate::output::batch::RunId;
use crate::output::index::Stream;
use crate::output::pipe::Pipe;
use crate::output::poller::Poller;
use crate::output::tap::Tap;
use crate::output::watch::Watch;
use crate::output::{FromOutput, HandedRun, Pipes};
use gob_core::RunKey;
use gob_protocol::limits::MAX_HANDSHAKE_BYTES;
use std::io;
use std::os::fd::OwnedFd;
use std::sync::Arc;

use super::slots::Token;

/// Its pipes, who watches it, and who has asked for it.
pub(super) struct Run {
    pub(super) id: RunId,
    pub(super) key: RunKey,
    pub(super) tap: Arc<Tap>,
    /// Standard output and standard error.
    pub(super) pipes: [Option<Pipe>; 2],
    /// Somebody waits for [`FromOutput::Drained`].
    pub(super) asked: bool,
    watch: Option<Box<dyn Watch>>,
    unfinished: [Vec<u8>; 2],
}

impl Run {
    /// Takes a run in whose pipes are told by the tokens of `token`. A pipe that can't be watched counts as ended.
    pub(super) fn new(id: RunId, run: HandedRun, poller: &Poller, token: Token) -> Self {
        let [stdout, stderr] = token.both();
        let key = run.key;
        let pipe = |fd: Option<OwnedFd>, token: Token| {
            let made = Pipe::new(fd?).and_then(|mut pipe| pipe.arm(poller, token.0).map(|()| pipe));
            made.inspect_err(|error| tracing::warn!(?key, %error, "cannot read a worker's output")).ok()
        };
        let pipes = [pipe(run.pipes.stdout, stdout), pipe(run.pipes.stderr, stderr)];
        Self { id, key, tap: run.tap, pipes, asked: false, watch: run.watch, unfinished: run.unfinished }
    }

    /// Sees what was read, and tells what there is to report of it.
    pub(super) fn took(&mut self, stream: Stream, time: i64, bytes: &[u8]) -> Option<FromOutput> {
        self.tap.push(stream, time, bytes);
        let result = self.watch.as_mut()?.feed(stream, bytes);
        let [stdout, stderr] = &mut self.unfinished;
        let unfinished = if stream == Stream::Stdout { stdout } else { stderr };
        let Some(result) = result else {
            keep_unfinished(unfinished, bytes);
            return None;
        };
        self.watch = None;
        self.unfinished = [Vec::new(), Vec::new()];
        Some(FromOutput::Handshake { key: self.key.clone(), result })
    }

    /// Whether its output is looked at for readiness.
    pub(super) fn is_watched(&self) -> bool {
        self.watch.is_some()
    }

    /// Whether a pipe is still to be read before an answer.
    pub(super) fn owes(&self) -> bool {
        self.pipes.iter().flatten().any(|pipe| pipe.owes > 0)
    }

    /// The answer to who has asked, once it is due.
    pub(super) fn answer(&mut self) -> Option<FromOutput> {
        if !self.asked || self.owes() {
            return None;
        }
        self.asked = false;
        Some(FromOutput::Drained { key: self.key.clone() })
    }

    /// What the next program, or this one again, needs to go on.
    pub(super) fn hand_over(self) -> HandedRun {
        let told = |error: &io::Error| tracing::warn!(%error, "cannot hand a worker's output over");
        let [stdout, stderr] = self.pipes.map(|pipe| pipe?.into_fd().inspect_err(told).ok());
        HandedRun {
            key: self.key,
            pipes: Pipes { stdout, stderr },
            unfinished: self.unfinished,
            watch: self.watch,
            tap: self.tap,
        }
    }
}

/// Keeps what comes after the last newline, as far as it may matter.
fn keep_unfinished(unfinished: &mut Vec<u8>, bytes: &[u8]) {
    let mut rest = bytes;
    if let Some(at) = bytes.iter().rposition(|b| *b == b'\n') {
        unfinished.clear();
        rest = bytes.get(at + 1..).unwrap_or_default();
    }
    // One byte more than is allowed is enough to be refused for.
    let room = (MAX_HANDSHAKE_BYTES + 1).saturating_sub(unfinished.len());
    unfinished.extend_from_slice(rest.get(..room).unwrap_or(rest));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_unfinished() {
        let mut unfinished = Vec::new();
        for bytes in ["a", "b\nc", "d", "e\n", "f\ng\nhi"] {
            keep_unfinished(&mut unfinished, bytes.as_bytes());
        }
        assert_eq!(unfinished, b"hi");
        keep_unfinished(&mut unfinished, &[b'x'; 200_000]);
        assert_eq!(unfinished.len(), MAX_HANDSHAKE_BYTES + 1);
    }
}
