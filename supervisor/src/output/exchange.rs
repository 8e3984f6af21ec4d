//! The exchange between the two threads: jobs one way, used batches, pipes and endings the other.
//!
//! Owns the queue, the spare batches and the counters. The one lock is held for a push or a pop, never over
//! I/O.

use super::MAX_BATCHES;
use super::batch::{Batch, RunId};
use super::loan::Loan;
use super::poller::Bell;
use super::tap::Tap;
use gob_core::RunKey;
use gob_protocol::Name;
use std::collections::VecDeque;
use std::io;
use std::os::fd::OwnedFd;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, mpsc};
use std::time::Duration;

/// Spare batches kept for the next flood.
const SPARE_BATCHES: usize = 8;
/// Jobs in the queue at which the writer is behind, so that filling a batch is better than sending it.
const BEHIND: usize = 2;

/// A job of the writer; jobs are done in order.
#[derive(Debug)]
pub(super) enum Job {
    Open {
        id: RunId,
        key: RunKey,
        tap: Arc<Tap>,
    },
    Write(Batch),
    Copy(Loan),
    Close(RunId),
    Forget(Name),
    FindAgain,
    Flush(mpsc::SyncSender<()>),
    /// Stop, and give the runs back.
    Rest,
    Stop,
}

/// Whether the threads are to rest.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
enum Rest {
    #[default]
    Unwanted,
    Wanted,
    /// The drain thread ends.
    Begun,
}

/// The threads that end.
#[derive(Debug, Clone, Copy)]
pub(super) struct Ending {
    pub(super) drain: bool,
    pub(super) writer: bool,
}

#[derive(Debug, Default)]
struct State {
    /// Bounded by [`MAX_BATCHES`] and, for the rest, by the loop's orders.
    jobs: VecDeque<Job>,
    spare: Vec<Batch>,
    /// The number of all batches.
    batches: usize,
    /// Loans given back.
    returned: Vec<Loan>,
    /// The writer sleeps.
    idle: bool,
    /// The drain thread waits for the writer's progress.
    hungry: bool,
    rest: Rest,
}

/// Counts since the start.
#[derive(Debug, Default)]
pub(super) struct Counters {
    /// Bytes.
    pub(super) written: AtomicU64,
    /// Bytes.
    pub(super) dropped: AtomicU64,
    /// Orders to find files again. The writer compares it before each write, so that no byte that is read
    /// after an order goes into a deleted file, although the order itself waits behind other jobs.
    pub(super) losses: AtomicU64,
}

/// The state that both threads share.
#[derive(Debug)]
pub(super) struct Exchange {
    state: Mutex<State>,
    progress: AtomicU64,
    /// Wakes the drain thread.
    pub(super) bell: Bell,
    /// Wakes the writer.
    desk: Bell,
    pub(super) counters: Counters,
}

impl Exchange {
    pub(super) fn new() -> io::Result<Self> {
        Ok(Self {
            state: Mutex::default(),
            progress: AtomicU64::new(0),
            bell: Bell::new()?,
            desk: Bell::new()?,
            counters: Counters::default(),
        })
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// For the drain thread: returns an empty batch, or `None` at the limit of batches; the thread is then
    /// woken once one is free.
    pub(super) fn empty_batch(&self) -> Option<Batch> {
        let mut state = self.state();
        if let Some(batch) = state.spare.pop() {
            return Some(batch);
        }
        if state.batches >= MAX_BATCHES {
            state.hungry = true;
            return None;
        }
        state.batches += 1;
        drop(state);
        Some(Batch::new())
    }

    /// For the drain thread: returns whether a run has room, by its backlog; if not, the thread is woken at
    /// the writer's next progress.
    pub(super) fn has_room(&self, tap: &Tap, limit: usize) -> bool {
        if tap.backlog.load(Ordering::Acquire) < limit {
            return true;
        }
        // Checked again under the lock: the writer takes it after every change.
        let mut state = self.state();
        state.hungry = true;
        tap.backlog.load(Ordering::Acquire) < limit
    }

    /// For the drain thread: queues a job.
    pub(super) fn submit(&self, job: Job) {
        let mut state = self.state();
        state.jobs.push_back(job);
        let idle = std::mem::take(&mut state.idle);
        drop(state);
        if idle {
            self.desk.ring();
        }
    }

    /// For the drain thread: returns whether the writer has enough work; the thread is then woken when it has
    /// less.
    pub(super) fn is_behind(&self) -> bool {
        let mut state = self.state();
        let behind = state.jobs.len() >= BEHIND;
        state.hungry |= behind;
        behind
    }

    /// For the drain thread: takes the loans that were given back.
    pub(super) fn take_returned(&self) -> Vec<Loan> {
        std::mem::take(&mut self.state().returned)
    }

    /// Returns the writer's progress; the number itself has no meaning.
    pub(super) fn progress(&self) -> u64 {
        self.progress.load(Ordering::Relaxed)
    }

    /// For the writer: waits for the next job, or, without `wait`, takes one if there is one.
    pub(super) fn next_job(&self, wait: bool) -> Option<Job> {
        let mut state = self.state();
        loop {
            if let Some(job) = state.jobs.pop_front() {
                let wake = state.hungry && state.jobs.len() < BEHIND;
                self.release(state, wake);
                return Some(job);
            }
            if !wait {
                return None;
            }
            state.idle = true;
            drop(state);
            self.desk.wait(None, None);
            state = self.state();
        }
    }

    /// For the writer: notes progress.
    pub(super) fn advance(&self) {
        self.progress.fetch_add(1, Ordering::Relaxed);
    }

    /// For the writer: gives back a batch that is done. The backlogs of its runs are lowered before.
    pub(super) fn give_back(&self, mut batch: Batch) {
        batch.clear();
        let mut state = self.state();
        let surplus = if state.spare.len() < SPARE_BATCHES {
            state.spare.push(batch);
            None
        } else {
            state.batches -= 1;
            Some(batch)
        };
        let wake = state.hungry;
        self.release(state, wake);
        drop(surplus);
    }

    /// For the writer: puts a job that is not done yet behind the others.
    pub(super) fn put_off(&self, job: Job) {
        self.state().jobs.push_back(job);
    }

    /// For the loop: has both threads rest.
    pub(super) fn want_rest(&self) {
        self.state().rest = Rest::Wanted;
    }

    /// For the drain thread: begins to rest, and has the writer rest; false when that is not wanted any more.
    pub(super) fn rest(&self) -> bool {
        let mut state = self.state();
        if state.rest != Rest::Wanted {
            return false;
        }
        state.rest = Rest::Begun;
        drop(state);
        self.submit(Job::Rest);
        true
    }

    /// For the loop: wants no rest any more. Returns the threads that end all the same, and at once.
    pub(super) fn want_no_rest(&self) -> Ending {
        let mut state = self.state();
        let drain = std::mem::replace(&mut state.rest, Rest::Unwanted) == Rest::Begun;
        let jobs = state.jobs.len();
        state.jobs.retain(|job| !matches!(job, Job::Rest));
        Ending { drain, writer: drain && state.jobs.len() == jobs }
    }

    /// For the writer: waits for more in a pipe as long as there is no other job. False when there is one, or
    /// after `limit`.
    pub(super) fn linger(&self, pipe: &OwnedFd, limit: Duration) -> bool {
        let mut state = self.state();
        if !state.jobs.is_empty() {
            return false;
        }
        state.idle = true;
        drop(state);
        let came = self.desk.wait(Some(pipe), Some(limit));
        self.state().idle = false;
        came
    }

    /// For the writer: gives a pipe back.
    pub(super) fn give_pipe_back(&self, loan: Loan) {
        let mut state = self.state();
        state.returned.push(loan);
        self.release(state, true);
    }

    fn release(&self, mut state: MutexGuard<'_, State>, wake: bool) {
        if wake {
            state.hungry = false;
        }
        drop(state);
        if wake {
            self.bell.ring();
        }
    }
}
