//! The loop's view of a run's output: the time of the last write, and the last lines.

use crate::upgrade::Bytes;
use gob_protocol::Timestamp;
use serde::{Deserialize, Serialize};
use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};

use super::index::Stream;

/// Bytes kept of the last output.
const TAIL_BYTES: usize = 4096;
/// Lines made of them.
const TAIL_LINES: usize = 10;

/// A window on one run's output, shared with the threads. The one lock in it is held for copies of a few KiB.
#[derive(Debug, Default)]
pub(crate) struct Tap {
    last_output: AtomicI64,
    seen: AtomicBool,
    ended: AtomicBool,
    tail: Mutex<Tail>,
    /// Bytes read and not yet written or dropped.
    pub(super) backlog: AtomicUsize,
}

impl Tap {
    /// Returns the time of the run's last output.
    pub(crate) fn last_output_at(&self) -> Option<Timestamp> {
        Some(Timestamp(self.last_output.load(Ordering::Relaxed))).filter(|time| time.0 != 0)
    }

    /// Returns the last lines of both streams, in the order in which they were read, invalid UTF-8 replaced:
    /// 10 lines and 4 KiB at most.
    pub(crate) fn last_lines(&self) -> Vec<String> {
        self.tail.lock().unwrap_or_else(PoisonError::into_inner).lines()
    }

    /// Takes whether a sign of life was seen since the last call.
    pub(crate) fn take_seen(&self) -> bool {
        self.seen.swap(false, Ordering::Relaxed)
    }

    /// Returns whether both streams have ended: all of the output is in this tap.
    pub(crate) fn has_ended(&self) -> bool {
        self.ended.load(Ordering::Acquire)
    }

    /// Returns what another program needs to go on with it.
    pub(crate) fn hand_over(&self) -> TapState {
        let tail = self.tail.lock().unwrap_or_else(PoisonError::into_inner);
        TapState {
            last_output: self.last_output.load(Ordering::Relaxed),
            seen: self.seen.load(Ordering::Relaxed),
            ended: self.has_ended(),
            tail: Bytes(tail.bytes.iter().copied().collect()),
            last_is_stderr: tail.last.map(|last| last == Stream::Stderr),
            cut: tail.cut,
        }
    }

    /// Goes on with a tap.
    pub(crate) fn resume(state: TapState) -> Self {
        let TapState { last_output, seen, ended, tail, last_is_stderr, cut } = state;
        let last = last_is_stderr.map(|is_stderr| if is_stderr { Stream::Stderr } else { Stream::Stdout });
        Self {
            last_output: AtomicI64::new(last_output),
            seen: AtomicBool::new(seen),
            ended: AtomicBool::new(ended),
            tail: Mutex::new(Tail { bytes: tail.0.into(), last, cut }),
            backlog: AtomicUsize::new(0),
        }
    }

    /// Notes that both streams have ended.
    pub(super) fn end(&self) {
        self.ended.store(true, Ordering::Release);
    }

    /// Notes a sign of life.
    pub(super) fn saw(&self) {
        self.seen.store(true, Ordering::Relaxed);
    }

    /// Adds bytes that were read.
    pub(super) fn push(&self, stream: Stream, time: i64, bytes: &[u8]) {
        self.last_output.store(time, Ordering::Relaxed);
        self.tail.lock().unwrap_or_else(PoisonError::into_inner).push(stream, bytes);
    }
}

/// A tap as data; nothing waits for the disk then.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct TapState {
    last_output: i64,
    seen: bool,
    ended: bool,
    tail: Bytes,
    last_is_stderr: Option<bool>,
    cut: bool,
}

/// The last bytes of both streams.
#[derive(Debug, Default)]
struct Tail {
    // Grows with the output, so that a quiet worker costs nothing.
    bytes: VecDeque<u8>,
    last: Option<Stream>,
    /// Older bytes were cut off, so the first line may be incomplete.
    cut: bool,
}

impl Tail {
    fn push(&mut self, stream: Stream, bytes: &[u8]) {
        let kept = bytes.len().min(TAIL_BYTES);
        let (before, bytes) = bytes.split_at(bytes.len() - kept);
        self.cut |= !before.is_empty();
        // The other stream's unfinished line must not run into this one.
        if self.last.is_some_and(|last| last != stream) && self.bytes.back().is_some_and(|b| *b != b'\n') {
            self.bytes.push_back(b'\n');
        }
        self.last = Some(stream);
        let excess = (self.bytes.len() + kept).saturating_sub(TAIL_BYTES);
        self.cut |= excess > 0;
        self.bytes.drain(..excess.min(self.bytes.len()));
        self.bytes.extend(bytes);
    }

    fn lines(&self) -> Vec<String> {
        let bytes: Vec<u8> = self.bytes.iter().copied().collect();
        let mut lines: Vec<&[u8]> = bytes.split(|b| *b == b'\n').collect();
        if self.cut && lines.len() > 1 {
            lines.remove(0);
        }
        lines.retain(|line| !line.is_empty());
        let from = lines.len().saturating_sub(TAIL_LINES);
        lines.split_off(from).into_iter().map(|line| String::from_utf8_lossy(line).into_owned()).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_lines_of_both_streams() {
        let tap = Tap::default();
        assert_eq!((tap.last_lines().len(), tap.last_output_at()), (0, None));
        tap.push(Stream::Stdout, 1, b"one\ntw");
        tap.push(Stream::Stdout, 2, b"o\nthree");
        tap.push(Stream::Stderr, 3, b"four\n\xff\n");
        assert_eq!(tap.last_lines(), ["one", "two", "three", "four", "\u{fffd}"]);
        assert_eq!(tap.last_output_at(), Some(Timestamp(3)));
        for n in 0..20 {
            tap.push(Stream::Stdout, 4, format!("line {n}\n").as_bytes());
        }
        assert_eq!(tap.last_lines()[0], "line 10");
        assert_eq!(tap.last_lines().len(), 10);
    }

    #[test]
    fn a_flood_is_cut_to_whole_lines() {
        let tap = Tap::default();
        tap.push(Stream::Stdout, 1, &[b"x".repeat(5000), b"\nshort\n".to_vec()].concat());
        assert_eq!(tap.last_lines(), ["short"]);
        tap.push(Stream::Stdout, 1, &b"y".repeat(9000));
        assert_eq!(tap.last_lines(), ["y".repeat(4096)]);
    }
}
