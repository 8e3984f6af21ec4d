//! The drain thread: reads pipes, in turns, into batches.
//!
//! Owns the attached runs. Everything is bounded: a turn, a run's backlog, the batches. It waits in the
//! poller alone, and has a deadline there only while a pipe waits for the disk or a report for the main
//! thread.

mod handing;
mod lending;
mod orders;
mod run;
mod settling;
mod slots;

use super::batch::{Batch, READ_BYTES, RunId, Segment};
use super::exchange::{Exchange, Job};
use super::pipe::Read;
use super::poller::{Happened, Poller};
use super::reports::Reports;
use super::stall::Stall;
use super::{Command, FromOutput, RUN_BACKLOG};
use crate::mailbox::Post;
pub(super) use handing::DrainState;
use settling::SETTLED;
use slots::{Slots, Token};
use std::collections::VecDeque;
use std::io;
use std::sync::atomic::Ordering;
use std::sync::{Arc, mpsc};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// Reads of one pipe before the next one has its turn.
const READS_PER_TURN: usize = 4;
/// Limit of big pipes: the kernel bounds all pipes of a user, and beyond that bound all new pipes of the user
/// are tiny.
const BIG_PIPES: usize = 64;

/// The result of one read of a pipe.
enum Step {
    /// The pipe may have more.
    More,
    /// The pipe is empty, or has ended.
    Dry,
    /// The pipe must wait for the disk.
    Wait,
}

/// The thread's state.
pub(super) struct Drain {
    exchange: Arc<Exchange>,
    orders: mpsc::Receiver<Command>,
    poller: Poller,
    reports: Reports,
    slots: Slots,
    /// Pipes with something to read.
    ready: VecDeque<Token>,
    /// Pipes that wait for the disk.
    waiting: Vec<Token>,
    /// Runs whose unfinished lines must be examined.
    unsettled: Vec<Token>,
    batch: Option<Batch>,
    stall: Stall,
    hung: bool,
    /// The buffer for bytes that are dropped; made when first needed.
    sink: Vec<u8>,
    big_pipes: usize,
    /// The number of pipes that the writer has.
    lent: usize,
    flushes: Vec<mpsc::SyncSender<()>>,
    next_id: RunId,
    /// Nothing is read any more.
    rests: bool,
}

impl Drain {
    pub(super) fn new(
        exchange: Arc<Exchange>,
        orders: mpsc::Receiver<Command>,
        to_main: Post<FromOutput>,
    ) -> io::Result<Self> {
        Ok(Self {
            poller: Poller::new(&exchange.bell)?,
            exchange,
            orders,
            reports: Reports::new(to_main),
            slots: Slots::default(),
            ready: VecDeque::new(),
            waiting: Vec::new(),
            unsettled: Vec::new(),
            batch: None,
            stall: Stall::new(),
            hung: false,
            sink: Vec::new(),
            big_pipes: 0,
            lent: 0,
            flushes: Vec::new(),
            next_id: 0,
            rests: false,
        })
    }

    /// Runs until the handle is dropped, or until it is told to rest: then all that was read is the writer's, and it returns
    /// itself.
    pub(super) fn run(mut self: Box<Self>) -> Option<Box<Self>> {
        loop {
            let limit = self.limit();
            let mut rang = false;
            for happened in self.poller.wait(limit) {
                match happened {
                    Happened::Rang => rang = true,
                    Happened::Readable { token, ended } => {
                        let token = Token(token);
                        if let Some(pipe) = self.slots.pipe(token) {
                            pipe.ended |= ended;
                            if !std::mem::replace(&mut pipe.queued, true) {
                                self.ready.push_back(token);
                            }
                        }
                    }
                }
            }
            if rang {
                while let Ok(command) = self.orders.try_recv() {
                    if !self.obey(command) {
                        self.send_batch(true);
                        self.exchange.submit(Job::Stop);
                        return None;
                    }
                }
                self.take_back();
            }
            if self.rests {
                if self.lent > 0 {
                    continue;
                }
                self.send_batch(true);
                if self.exchange.rest() {
                    return Some(self);
                }
                self.rests = false;
            }
            let was_hung = self.hung;
            self.hung = self.look_at_disk(Instant::now());
            if self.hung && !was_hung {
                // Bytes that the stuck writer can't take are read here, and dropped.
                self.read_lent();
            }
            self.ready.extend(self.waiting.drain(..));
            for _ in 0..self.ready.len() {
                if let Some(token) = self.ready.pop_front() {
                    self.turn(token);
                }
            }
            self.settle(Instant::now());
            self.send_batch(false);
            self.pass_flushes_on();
            self.reports.retry();
        }
    }

    /// Returns the time limit of the poller's wait.
    fn limit(&mut self) -> Option<Duration> {
        if self.rests {
            // For the pipes that the writer has.
            return (self.lent == 0).then_some(Duration::ZERO);
        }
        if !self.ready.is_empty() {
            return Some(Duration::ZERO);
        }
        let now = Instant::now();
        self.look_at_disk(now);
        [self.stall.due(now), self.reports.due(), self.settling_due(now)].into_iter().flatten().min()
    }

    /// Returns whether the disk hangs while a pipe waits for it.
    fn look_at_disk(&mut self, now: Instant) -> bool {
        let waiting = !self.waiting.is_empty() || self.lent > 0;
        self.stall.look(self.exchange.progress(), waiting, now)
    }

    /// Reads a pipe a few times.
    fn turn(&mut self, token: Token) {
        let time = now();
        for _ in 0..READS_PER_TURN {
            match self.read(token, time) {
                Step::More => {}
                Step::Dry => return self.unqueue(token),
                Step::Wait => return self.waiting.push(token),
            }
        }
        self.ready.push_back(token);
    }

    fn read(&mut self, token: Token, time: i64) -> Step {
        let Some(run) = self.slots.run(token) else { return Step::Dry };
        let Some(pipe) = run.pipes.get_mut(token.side()).and_then(Option::as_mut) else { return Step::Dry };
        let stream = token.stream();
        let lent = pipe.loan.is_some();
        if lent && !self.hung {
            return Step::Dry;
        }
        let has_room = !lent && self.exchange.has_room(&run.tap, RUN_BACKLOG);
        let mut batch = self.batch.take();
        if has_room && batch.as_mut().is_none_or(|batch| batch.room().is_none()) {
            if let Some(full) = batch.take() {
                self.exchange.submit(Job::Write(full));
            }
            batch = self.exchange.empty_batch();
        }
        let got = match batch.as_mut().filter(|_| has_room).and_then(Batch::room) {
            Some(room) => pipe.read(room),
            None if self.hung => {
                self.sink.resize(READ_BYTES, 0);
                pipe.read(&mut self.sink)
            }
            None => {
                self.batch = batch;
                return Step::Wait;
            }
        };
        let (len, step) = match got {
            Read::Some(len) => (len, Step::More),
            Read::Last(len) => (len, Step::Dry),
            Read::End => (0, Step::Dry),
        };
        let flood = len == READ_BYTES && has_room && pipe.owes == 0;
        if flood && !pipe.big && self.big_pipes < BIG_PIPES && pipe.enlarge() {
            self.big_pipes += 1;
        }
        if len > 0 {
            let bytes = match &mut batch {
                Some(batch) if has_room => {
                    run.tap.backlog.fetch_add(len, Ordering::AcqRel);
                    batch.push(Segment { run: run.id, stream, time, len })
                }
                Some(_) | None => {
                    self.exchange.counters.dropped.fetch_add(len as u64, Ordering::Relaxed);
                    self.sink.get(..len).unwrap_or_default()
                }
            };
            if let Some(report) = run.took(stream, time, bytes) {
                self.reports.send(report);
            } else if run.is_unsettled() && run.settles_at.replace(Instant::now() + SETTLED).is_none() {
                self.unsettled.push(token);
            }
        }
        self.batch = batch;
        if got == Read::End {
            self.end(token);
        } else if let Some(report) = run.answer() {
            self.reports.send(report);
        } else if flood && !self.hung && !run.is_watched() {
            self.lend(token);
            return Step::Dry;
        }
        step
    }

    fn queue(&mut self, token: Token) {
        if let Some(pipe) = self.slots.pipe(token)
            && !std::mem::replace(&mut pipe.queued, true)
        {
            self.ready.push_back(token);
        }
    }

    fn unqueue(&mut self, token: Token) {
        if let Some(pipe) = self.slots.pipe(token) {
            pipe.queued = false;
        }
    }

    /// Ends a stream and, if it was the last one, its run.
    fn end(&mut self, token: Token) {
        let Some(run) = self.slots.run(token) else { return };
        if let Some(mut pipe) = run.pipes.get_mut(token.side()).and_then(Option::take) {
            pipe.disarm(&self.poller);
            self.big_pipes -= usize::from(pipe.big);
            self.lent -= usize::from(pipe.loan.is_some());
        }
        if let Some(report) = run.answer() {
            self.reports.send(report);
        }
        if run.pipes.iter().all(Option::is_none)
            && let Some(run) = self.slots.remove(token)
        {
            run.tap.end();
            self.send_batch(true);
            self.exchange.submit(Job::Close(run.id));
        }
    }

    /// Hands the batch to the writer; without `now` only if the writer is idle.
    fn send_batch(&mut self, now: bool) {
        if self.batch.as_ref().is_some_and(|batch| !batch.is_empty())
            && (now || !self.exchange.is_behind())
            && let Some(batch) = self.batch.take()
        {
            self.exchange.submit(Job::Write(batch));
        }
    }

    fn pass_flushes_on(&mut self) {
        if !self.flushes.is_empty() && self.slots.iter().all(|run| !run.owes()) {
            self.send_batch(true);
            for done in self.flushes.drain(..) {
                self.exchange.submit(Job::Flush(done));
            }
        }
    }
}

/// Returns the milliseconds since the Unix epoch.
pub(super) fn now() -> i64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(now.as_millis()).unwrap_or(i64::MAX)
}
