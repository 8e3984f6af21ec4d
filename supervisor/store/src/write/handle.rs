//! The supervisor's end of the store: it never waits, but for [`Handle::finish`].

use super::question::Question;
use super::queue::{Full, Item, Queue};
use super::records::Record;
use super::settings::{Condition, Health, Settings};
use super::thread;
use super::told::Told;
use crate::files::FILE;
use crate::schema::{STEPS, Step};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// Time after its deadline at which a question without an answer is given up: the thread hangs.
const STUCK: Duration = Duration::from_secs(1);
/// Stack of the thread.
const STACK_BYTES: usize = 512 * 1024;

/// Records were not written by the deadline of [`Handle::finish`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "{left} records of the history were not written in time; its disk is slow or full, or its file is locked"
)]
pub struct Unfinished {
    /// Records that were lost.
    pub left: usize,
}

/// The part of the store that the handle and the thread share.
pub(super) struct Shared {
    state: Mutex<State>,
    changed: Condvar,
    pub(super) told: Box<dyn Fn(Told) + Send + Sync>,
    pub(super) steps: &'static [Step],
}

/// The state behind the lock.
pub(super) struct State {
    pub(super) queue: Queue,
    pub(super) settings: Settings,
    pub(super) is_running: bool,
    /// The time by which the thread has to end.
    pub(super) finish_by: Option<Instant>,
    /// The thread closes the file as it is and ends as soon as nothing is to be done.
    pub(super) is_hurried: bool,
    pub(super) condition: Condition,
    pub(super) reason: Option<String>,
    pub(super) dropped: u64,
    /// Records were lost before the next one that is pushed.
    is_loss: bool,
    /// Records were lost before the next one that is written.
    pub(super) is_gap: bool,
    /// The highest number of a job that is known to be in use.
    pub(super) floor: u64,
    /// The highest token of a lock that was reserved in this life, or that a file had which is gone.
    pub(super) tokens: u64,
    /// Questions without an answer, and the time at which each is given up.
    pub(super) asked: BTreeMap<u64, Instant>,
    /// All pages were checked.
    pub(super) is_checked: bool,
    /// The end of the last walk over the whole history.
    pub(super) walked: Option<Instant>,
    /// The bounds were changed since the last walk began.
    pub(super) has_other_bounds: bool,
}

impl State {
    /// Counts records that the thread lost.
    pub(super) fn lose(&mut self, count: u64) {
        self.dropped = self.dropped.saturating_add(count);
        self.is_gap |= count > 0;
    }

    /// Forgets numbers of jobs that were given back.
    pub(super) fn lower_floor(&mut self, first: u64, count: u32) {
        if self.floor == first.saturating_add(u64::from(count)).saturating_sub(1) {
            self.floor = first.saturating_sub(1);
        }
    }
}

impl Shared {
    pub(super) fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits for a change, at most until `until`.
    pub(super) fn wait<'a>(&self, state: MutexGuard<'a, State>, until: Instant) -> MutexGuard<'a, State> {
        let left = until.saturating_duration_since(Instant::now());
        self.changed.wait_timeout(state, left).unwrap_or_else(PoisonError::into_inner).0
    }

    pub(super) fn changed(&self) {
        self.changed.notify_all();
    }
}

/// Begins the store of a supervisor.
#[derive(Debug)]
pub struct Store;

impl Store {
    /// Returns a handle. Nothing is opened or started before the first record or question; answers and
    /// notices are given to `told` on the store's thread.
    #[must_use]
    pub fn spawn(settings: Settings, told: impl Fn(Told) + Send + Sync + 'static) -> Handle {
        Self::with_steps(settings, STEPS, told)
    }

    pub(crate) fn with_steps(
        settings: Settings,
        steps: &'static [Step],
        told: impl Fn(Told) + Send + Sync + 'static,
    ) -> Handle {
        let state = State {
            queue: Queue::default(),
            floor: settings.job_floor,
            tokens: 0,
            settings,
            is_running: false,
            finish_by: None,
            is_hurried: false,
            condition: Condition::Closed,
            reason: None,
            dropped: 0,
            is_loss: false,
            is_gap: false,
            asked: BTreeMap::new(),
            is_checked: false,
            walked: None,
            has_other_bounds: false,
        };
        let told = Box::new(told);
        Handle { shared: Arc::new(Shared { state: Mutex::new(state), changed: Condvar::new(), told, steps }) }
    }
}

/// The facts that the thread of one program of a supervisor leaves to that of the next, beside the file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StoreState {
    dropped: u64,
    is_loss: bool,
    is_gap: bool,
    floor: u64,
    tokens: u64,
    is_checked: bool,
}

/// The store, for the thread that supervises.
pub struct Handle {
    shared: Arc<Shared>,
}

impl Handle {
    /// Records a change.
    ///
    /// # Errors
    /// When the queue is full: the record is lost and counted.
    pub fn record(&self, record: Record) -> Result<(), Full> {
        let mut state = self.shared.lock();
        let after_loss = state.is_loss;
        let recorded = self.push(&mut state, Item::Record { record, after_loss });
        state.is_loss = recorded.is_err();
        if recorded.is_err() {
            state.dropped = state.dropped.saturating_add(1);
        }
        recorded
    }

    /// Asks a question, the answer of which carries `ticket`, a number that no other question under way has.
    /// Records that came before are part of it.
    ///
    /// # Errors
    /// When the queue is full: there will be no answer.
    pub fn ask(&self, ticket: u64, question: Question) -> Result<(), Full> {
        let mut state = self.shared.lock();
        let deadline = Instant::now() + state.settings.answer_within;
        self.push(&mut state, Item::Ask { ticket, question, deadline })?;
        state.asked.insert(ticket, deadline + STUCK);
        Ok(())
    }

    /// Returns the tickets of questions that a disk that hangs keeps from their answer, beyond their deadline
    /// by a second. They get none any more.
    #[must_use]
    pub fn overdue(&self) -> Vec<u64> {
        let now = Instant::now();
        let mut state = self.shared.lock();
        let overdue = state.asked.iter().filter(|(_, deadline)| **deadline <= now);
        let overdue: Vec<_> = overdue.map(|(ticket, _)| *ticket).collect();
        state.asked.retain(|ticket, _| !overdue.contains(ticket));
        overdue
    }

    fn push(&self, state: &mut State, item: Item) -> Result<(), Full> {
        if state.finish_by.is_some() {
            return Err(Full);
        }
        state.queue.push(item)?;
        if state.is_running {
            self.shared.changed();
            return Ok(());
        }
        let shared = Arc::clone(&self.shared);
        let thread = std::thread::Builder::new().name("gob-store".to_owned()).stack_size(STACK_BYTES);
        match thread.spawn(move || thread::run(&shared)) {
            Ok(_) => {
                state.is_running = true;
                Ok(())
            }
            Err(e) => {
                state.condition = Condition::Failed;
                state.reason = Some(format!("cannot start the history's thread: {e}"));
                for item in state.queue.take(usize::MAX) {
                    state.queue.done(&item);
                }
                Err(Full)
            }
        }
    }

    /// Changes the bounds of history, and the age at which jobs of the queue that have ended go, as a new configuration does.
    /// Runs and jobs beyond them go at once from an open file, and from a closed one when it is next opened.
    pub fn set_bounds(&self, keep_runs: u32, keep: Duration, keep_finished: Duration) {
        let mut state = self.shared.lock();
        let settings = &mut state.settings;
        (settings.keep_runs, settings.keep, settings.keep_finished) = (keep_runs, keep, keep_finished);
        state.has_other_bounds = true;
        self.shared.changed();
    }

    /// Returns the state of the store.
    #[must_use]
    pub fn health(&self) -> Health {
        let state = self.shared.lock();
        Health {
            condition: state.condition,
            reason: state.reason.clone(),
            dropped: state.dropped,
            waiting: state.queue.records(),
            path: state.settings.directory.join(FILE),
        }
    }

    /// Has the thread close the file as it is and end as soon as nothing is to be done: the next opening merges the log. Or has it
    /// go on as usual.
    pub fn hurry(&self, is_hurried: bool) {
        self.shared.lock().is_hurried = is_hurried;
        self.shared.changed();
    }

    /// Returns what another program needs to go on with the store of this life, once the thread has ended.
    #[must_use]
    pub fn hand_over(&self) -> StoreState {
        let state = self.shared.lock();
        StoreState {
            dropped: state.dropped,
            is_loss: state.is_loss,
            is_gap: state.is_gap,
            floor: state.floor,
            tokens: state.tokens,
            is_checked: state.is_checked,
        }
    }

    /// Goes on with the store of this life, which another program had.
    pub fn resume(&self, state: &StoreState) {
        let own = &mut *self.shared.lock();
        own.dropped = state.dropped;
        own.is_loss = state.is_loss;
        own.is_gap = state.is_gap;
        own.floor = own.floor.max(state.floor);
        own.tokens = state.tokens;
        own.is_checked = state.is_checked;
    }

    /// Returns whether a question has no answer yet.
    #[must_use]
    pub fn is_asked(&self) -> bool {
        !self.shared.lock().asked.is_empty()
    }

    /// Returns whether the thread lives.
    #[must_use]
    pub fn is_running(&self) -> bool {
        self.shared.lock().is_running
    }

    /// Gives up all questions, as [`Self::overdue`] does later.
    #[cfg(test)]
    pub(crate) fn give_up(&self) {
        self.shared.lock().asked.clear();
    }

    /// Writes what waits, merges the log and closes the file. Later records and questions are refused.
    ///
    /// # Errors
    /// When not all was written by the deadline; the thread is left to itself then.
    pub fn finish(&self, deadline: Duration) -> Result<(), Unfinished> {
        let until = Instant::now() + deadline;
        let mut state = self.shared.lock();
        state.finish_by = Some(until);
        self.shared.changed();
        while state.is_running && Instant::now() < until {
            state = self.shared.wait(state, until);
        }
        match state.queue.records() {
            0 => Ok(()),
            left => Err(Unfinished { left }),
        }
    }
}

impl fmt::Debug for Handle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Handle").field(&self.health()).finish()
    }
}
