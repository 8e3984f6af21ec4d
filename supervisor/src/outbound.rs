//! The queue to one client. Owns the connection's bytes until the kernel has them.
//!
//! The control loop appends frames and writes at once as much as the socket takes; the connection's own task
//! writes the rest. Nothing here waits, so a client that does not read costs only its own queue, which is
//! bounded: unanswered requests and queued bytes stop the reading, the core bounds the events.

use crate::sys::wire::Wire;
use crate::upgrade::Bytes;
use gob_protocol::limits::MAX_UNANSWERED;
use serde::{Deserialize, Serialize};
use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::future::poll_fn;
use std::io;
use std::rc::Rc;
use std::task::{Poll, Waker};

/// A connection with more than this many bytes to take is not read, so that it can't ask for more, and gets no further answers.
const MAX_BYTES_BEFORE_READING: usize = 4 << 20;

/// Replies are gathered into one buffer up to this size, to be written by one system call.
const GATHER_BYTES: usize = 64 * 1024;

/// Written event frames are reported to the core in lots of this size.
const REPORT_FRAMES: u32 = 64;

thread_local! {
    /// The buffer of the replies that were written last, for those that come next.
    static SPARE: Cell<Vec<u8>> = const { Cell::new(Vec::new()) };
}

/// Keeps an emptied buffer for other replies, unless it is too large to be kept.
fn keep(mut buffer: Vec<u8>) {
    if buffer.capacity() <= GATHER_BYTES {
        buffer.clear();
        SPARE.set(buffer);
    }
}

enum Chunk {
    /// Replies, whole frames.
    Own(Vec<u8>),
    /// One event frame, shared with other subscribers.
    Event(Rc<[u8]>),
}

impl Chunk {
    fn bytes(&self) -> &[u8] {
        match self {
            Self::Own(bytes) => bytes,
            Self::Event(bytes) => bytes,
        }
    }
}

/// A queue as data.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Unsent {
    pub(crate) chunks: Vec<UnsentChunk>,
    unanswered: usize,
    written: u32,
    at_end: bool,
}

/// Whole frames, of which the first one of all may have been sent in part.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct UnsentChunk {
    is_event: bool,
    pub(crate) bytes: Bytes,
}

/// Wakes the one task that drives a connection. It is cheaper than what tokio has for any number of tasks and threads, and is
/// waited for before each read.
#[derive(Default)]
pub(crate) struct Bell {
    has_rung: Cell<bool>,
    task: RefCell<Option<Waker>>,
}

impl Bell {
    /// Wakes the task, or has its next wait end at once.
    pub(crate) fn ring(&self) {
        self.has_rung.set(true);
        if let Some(task) = &*self.task.borrow() {
            task.wake_by_ref();
        }
    }

    /// Waits until it rings. Cancel safe.
    pub(crate) async fn rings(&self) {
        poll_fn(|cx| {
            if self.has_rung.take() {
                return Poll::Ready(());
            }
            let mut task = self.task.borrow_mut();
            if !task.as_ref().is_some_and(|task| task.will_wake(cx.waker())) {
                *task = Some(cx.waker().clone());
            }
            Poll::Pending
        })
        .await;
    }
}

/// The queue to one client.
pub(crate) struct Outbound {
    queue: RefCell<VecDeque<Chunk>>,
    /// Bytes of the first chunk that are written already.
    offset: Cell<usize>,
    bytes: Cell<usize>,
    unanswered: Cell<usize>,
    /// Event frames written since the last report.
    written: Cell<u32>,
    closed: Cell<bool>,
    /// The client will request no more and only waits for its answers.
    at_end: Cell<bool>,
    /// Wakes the connection's task after a change.
    pub(crate) changed: Bell,
}

impl Outbound {
    pub(crate) fn new() -> Self {
        Self {
            queue: RefCell::default(),
            offset: Cell::new(0),
            bytes: Cell::new(0),
            unanswered: Cell::new(0),
            written: Cell::new(0),
            closed: Cell::new(false),
            at_end: Cell::new(false),
            changed: Bell::default(),
        }
    }

    /// Returns whether the client may be read: one more request would not break a bound.
    pub(crate) fn may_read(&self) -> bool {
        !self.at_end.get() && self.unanswered.get() < MAX_UNANSWERED && self.may_answer()
    }

    /// Whether the client may be answered more: it takes what it gets.
    pub(crate) fn may_answer(&self) -> bool {
        self.bytes.get() <= MAX_BYTES_BEFORE_READING
    }

    /// Notes a request, which is owed an answer.
    pub(crate) fn asked(&self) {
        self.unanswered.set(self.unanswered.get() + 1);
    }

    /// Notes that the client will request no more.
    pub(crate) fn end_of_requests(&self) {
        self.at_end.set(true);
    }

    /// Returns whether the client has all its answers and will request no more.
    pub(crate) fn is_done(&self) -> bool {
        self.at_end.get() && self.unanswered.get() == 0 && self.is_empty()
    }

    /// Returns whether the client has all its answers.
    pub(crate) fn is_answered(&self) -> bool {
        self.unanswered.get() == 0 && self.is_empty()
    }

    /// Returns the bytes that wait for the client.
    pub(crate) fn bytes(&self) -> usize {
        self.bytes.get()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.bytes.get() == 0
    }

    pub(crate) fn is_closed(&self) -> bool {
        self.closed.get()
    }

    /// Drops the queue; nothing can be written any more.
    pub(crate) fn close(&self) {
        self.closed.set(true);
        self.queue.borrow_mut().clear();
        self.bytes.set(0);
        self.changed.ring();
    }

    /// Appends a reply by `write`, which adds one whole frame.
    pub(crate) fn reply(&self, write: impl FnOnce(&mut Vec<u8>)) {
        let was_full = !self.may_read();
        self.unanswered.set(self.unanswered.get().saturating_sub(1));
        if !self.closed.get() {
            let mut queue = self.queue.borrow_mut();
            if let Some(Chunk::Own(last)) = queue.back_mut()
                && last.len() < GATHER_BYTES
            {
                let before = last.len();
                write(last);
                self.bytes.set(self.bytes.get() + last.len() - before);
            } else {
                let mut own = SPARE.take();
                write(&mut own);
                self.bytes.set(self.bytes.get() + own.len());
                queue.push_back(Chunk::Own(own));
            }
        }
        if was_full || self.at_end.get() {
            self.changed.ring();
        }
    }

    /// Appends an event frame.
    pub(crate) fn event(&self, frame: Rc<[u8]>) {
        if !self.closed.get() {
            self.bytes.set(self.bytes.get() + frame.len());
            self.queue.borrow_mut().push_back(Chunk::Event(frame));
        }
    }

    /// Writes as much as the socket takes right now. Returns false when nothing is left or the client does
    /// not read any more.
    pub(crate) fn flush(&self, wire: &Wire) -> bool {
        let mut queue = self.queue.borrow_mut();
        while let Some(chunk) = queue.front() {
            let bytes = chunk.bytes().get(self.offset.get()..).unwrap_or_default();
            match wire.try_write(bytes) {
                Ok(written) if written == bytes.len() => {
                    if matches!(chunk, Chunk::Event(_)) {
                        self.written.set(self.written.get() + 1);
                    }
                    self.offset.set(0);
                    self.bytes.set(self.bytes.get() - written);
                    if let Some(Chunk::Own(own)) = queue.pop_front() {
                        keep(own);
                    }
                }
                Ok(written) => {
                    self.offset.set(self.offset.get() + written);
                    self.bytes.set(self.bytes.get() - written);
                }
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                Err(e) if e.kind() == io::ErrorKind::WouldBlock => return true,
                Err(_) => {
                    drop(queue);
                    self.close();
                    return false;
                }
            }
        }
        false
    }

    /// Returns the frames that the kernel has not taken, or not whole, and the counts of the others.
    pub(crate) fn hand_over(&self) -> Unsent {
        let queue = self.queue.borrow();
        let mut chunks: Vec<UnsentChunk> = queue
            .iter()
            .map(|chunk| UnsentChunk {
                is_event: matches!(chunk, Chunk::Event(_)),
                bytes: Bytes(chunk.bytes().to_vec()),
            })
            .collect();
        if let Some(first) = chunks.first_mut() {
            first.bytes.0.drain(..self.offset.get());
        }
        Unsent {
            chunks,
            unanswered: self.unanswered.get(),
            written: self.written.get(),
            at_end: self.at_end.get(),
        }
    }

    /// Goes on with the queue of another program.
    pub(crate) fn resume(unsent: Unsent) -> Self {
        let Unsent { chunks, unanswered, written, at_end } = unsent;
        let bytes = chunks.iter().map(|chunk| chunk.bytes.0.len()).sum();
        let chunks =
            chunks.into_iter().map(
                |UnsentChunk { is_event, bytes: Bytes(bytes) }| {
                    if is_event { Chunk::Event(bytes.into()) } else { Chunk::Own(bytes) }
                },
            );
        Self {
            queue: RefCell::new(chunks.collect()),
            bytes: Cell::new(bytes),
            unanswered: Cell::new(unanswered),
            written: Cell::new(written),
            at_end: Cell::new(at_end),
            ..Self::new()
        }
    }

    /// Takes a request back that was noted, and is read again.
    pub(crate) fn unasked(&self) {
        self.unanswered.set(self.unanswered.get().saturating_sub(1));
    }

    /// Returns the event frames written since the last report, once they fill a lot.
    pub(crate) fn take_written(&self) -> Option<u32> {
        (self.written.get() >= REPORT_FRAMES).then(|| self.written.take())
    }
}
