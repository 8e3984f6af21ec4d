//! The thread: it takes messages in their order, and opens, writes, answers, trims and closes.
//!
//! It lives while there is work and for a while after, and owns the open file. Records that can't be written
//! wait and are tried again, as long as the queue has room for them; a question is answered by its deadline.

use super::asks::UNASKED;
use super::failure::RETRY_MOMENT;
use super::handle::Shared;
use super::open::{Db, Standpoint};
use super::queue::Item;
use super::settings::{Condition, Settings};
use super::told::Told;
use super::trim::{Bounds, Gone, Trimmer};
use crate::error::StoreError;
use std::collections::VecDeque;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Messages of one turn, and records of one transaction.
pub(super) const BATCH: usize = 512;
/// Damaged files that are replaced in one turn.
const REPLACEMENTS: u32 = 2;

/// The result of a wait for work.
enum Turn {
    Work,
    Trim,
    Finish(Instant),
    Idle,
    End,
}

/// The state of the thread.
pub(super) struct Worker<'a> {
    pub(super) shared: &'a Shared,
    pub(super) db: Option<Db>,
    pub(super) trimmer: Option<Trimmer>,
    /// Messages that are not done, oldest first.
    pub(super) pending: VecDeque<Item>,
    /// As `pending`, of questions about the queue.
    pub(super) asks: VecDeque<Item>,
    /// A store that was deleted while it was open, of which the queue is carried over to the next.
    pub(super) left: Option<Db>,
    /// The next try after a failure, and the wait before it.
    pub(super) retry: Option<(Instant, Duration)>,
    /// The last failure, until a success.
    pub(super) cause: Option<Arc<StoreError>>,
    /// There is a note beside the open file that it has a queue.
    pub(super) has_noted_queue: bool,
    /// The file was closed since the last work.
    was_closed: bool,
}

/// Marks the thread as ended by a defect, unless its end was marked before.
struct Running<'a> {
    shared: &'a Shared,
    is_marked: bool,
}

impl Running<'_> {
    /// Ends in order, if nothing is left to do: no message can come before the mark.
    fn end(&mut self) -> bool {
        let mut state = self.shared.lock();
        let is_end = state.queue.is_empty();
        if is_end {
            state.is_running = false;
            self.is_marked = true;
            self.shared.changed();
        }
        is_end
    }
}

impl Drop for Running<'_> {
    fn drop(&mut self) {
        if self.is_marked {
            return;
        }
        let mut state = self.shared.lock();
        let lost = std::mem::take(&mut state.queue).records();
        // Their questions are given up at once.
        state.asked.values_mut().for_each(|deadline| *deadline = Instant::now());
        state.dropped = state.dropped.saturating_add(u64::try_from(lost).unwrap_or_default());
        state.condition = Condition::Failed;
        state.reason = Some("the history's thread ended by a defect; gobd.log has its message".to_owned());
        state.is_running = false;
        self.shared.changed();
    }
}

/// Runs until nothing was asked for a while, or until the end.
pub(super) fn run(shared: &Shared) {
    let mut running = Running { shared, is_marked: false };
    let mut worker = Worker {
        shared,
        db: None,
        trimmer: None,
        has_noted_queue: false,
        pending: VecDeque::new(),
        asks: VecDeque::new(),
        left: None,
        retry: None,
        cause: None,
        was_closed: false,
    };
    loop {
        match worker.turn() {
            Turn::Work => worker.work(),
            Turn::Trim => worker.trim(),
            Turn::Finish(until) => worker.finish(until),
            Turn::Idle => {
                if shared.lock().is_hurried {
                    worker.close(Db::leave);
                } else {
                    worker.check();
                    worker.close(Db::close);
                }
                (shared.told)(Told::Closed);
            }
            Turn::End => {
                if running.end() {
                    return;
                }
            }
        }
    }
}

impl Worker<'_> {
    /// Waits for work.
    fn turn(&mut self) -> Turn {
        let mut state = self.shared.lock();
        let since = Instant::now();
        loop {
            // While records wait for the file, questions behind them are taken too: they have a deadline.
            let room = if self.retry.is_some() { usize::MAX } else { BATCH };
            let taken = state.queue.take(room);
            let has_question = taken.iter().any(|item| matches!(item, Item::Ask { .. }));
            self.accept(taken);
            let is_empty = self.has_nothing();
            let is_done = is_empty && self.db.is_none();
            if let Some(until) = state.finish_by {
                return if is_done { Turn::End } else { Turn::Finish(until) };
            }
            let now = Instant::now();
            if is_empty {
                self.retry = None;
                if let Some(trimmer) = self.trimmer.as_mut().filter(|_| state.has_other_bounds) {
                    state.has_other_bounds = false;
                    trimmer.begin_anew();
                }
                // A file that was closed for idleness is followed by the end of the thread, at once.
                let is_hurried = self.was_closed || state.is_hurried;
                if !is_hurried && self.trimmer.as_ref().is_some_and(Trimmer::is_due) {
                    return Turn::Trim;
                }
                let idle_at = if is_hurried { since } else { since + state.settings.idle };
                if now >= idle_at {
                    return if is_done { Turn::End } else { Turn::Idle };
                }
                state = self.shared.wait(state, idle_at);
                continue;
            }
            let Some((at, _)) = self.retry.filter(|(at, _)| *at > now && !has_question) else {
                return Turn::Work;
            };
            let deadlines = self.pending.iter().chain(&self.asks).filter_map(deadline);
            let until = deadlines.fold(at, Instant::min);
            if until <= now {
                return Turn::Work;
            }
            state = self.shared.wait(state, until);
        }
    }

    /// Takes messages over.
    fn accept(&mut self, items: VecDeque<Item>) {
        for item in items {
            if item.is_of_queue() { self.asks.push_back(item) } else { self.pending.push_back(item) }
        }
    }

    fn has_nothing(&self) -> bool {
        self.pending.is_empty() && self.asks.is_empty()
    }

    /// Does all that is pending, or as much as the file allows.
    fn work(&mut self) {
        self.was_closed = false;
        let mut replaced = 0;
        loop {
            match self.attempt() {
                Ok(()) => {
                    self.retry = None;
                    self.cause = None;
                    self.set_condition(Condition::Open, None);
                    return;
                }
                Err(StoreError::Damaged { why, .. }) if replaced < REPLACEMENTS => {
                    replaced += 1;
                    if let Err(e) = self.replace_damaged(why) {
                        return self.failed(e);
                    }
                }
                Err(e) => return self.failed(e),
            }
        }
    }

    fn trim(&mut self) {
        let bounds = {
            let state = self.shared.lock();
            let Settings { keep_runs, keep, keep_finished, .. } = state.settings;
            Bounds { keep_runs, keep, keep_finished }
        };
        let (Some(db), Some(trimmer)) = (&mut self.db, &mut self.trimmer) else { return };
        if db.standpoint() != Standpoint::InPlace {
            return trimmer.give_up();
        }
        match trimmer.step(&mut db.connection, bounds) {
            Ok(Gone { runs, jobs }) => {
                if !runs.is_empty() {
                    (self.shared.told)(Told::Trimmed(runs));
                }
                if !jobs.is_empty() {
                    (self.shared.told)(Told::JobsTrimmed(jobs));
                }
            }
            // The next message finds out, and says so.
            Err(_) => trimmer.give_up(),
        }
    }

    /// Searches for damage once in a supervisor's life, when nothing else is to be done.
    fn check(&mut self) {
        let Some(db) = self.db.as_ref().filter(|db| db.standpoint() == Standpoint::InPlace) else { return };
        if std::mem::replace(&mut self.shared.lock().is_checked, true) {
            return;
        }
        if let Err(StoreError::Damaged { why, .. }) = db.check() {
            match self.replace_damaged(why) {
                Ok(()) => self.set_condition(Condition::Closed, None),
                Err(error) => self.failed(error),
            }
        }
    }

    /// Notes the time of the last walk for the next trimmer.
    pub(super) fn end_trimmer(&mut self) {
        if let Some(trimmer) = self.trimmer.take() {
            self.shared.lock().walked = trimmer.walked();
        }
    }

    /// Writes what waits until the deadline, and closes.
    fn finish(&mut self, until: Instant) {
        loop {
            let taken = self.shared.lock().queue.take(usize::MAX);
            self.accept(taken);
            if self.has_nothing() {
                break;
            }
            self.work();
            let now = Instant::now();
            if now >= until {
                break;
            }
            if let Some((at, _)) = self.retry {
                let state = self.shared.lock();
                drop(self.shared.wait(state, at.min(until).min(now + RETRY_MOMENT.1)));
            }
        }
        let error = Arc::new(StoreError::Late { path: PathBuf::from(crate::files::FILE) });
        let asks = std::mem::take(&mut self.asks);
        for item in std::mem::take(&mut self.pending).into_iter().chain(asks) {
            if matches!(item, Item::Ask { .. }) {
                self.reply_to(&item, Err(Arc::clone(&error)));
            }
        }
        self.close(Db::close);
    }

    fn close(&mut self, how: impl FnOnce(Db)) {
        self.was_closed = true;
        self.end_trimmer();
        if let Some(db) = self.db.take() {
            how(db);
            self.set_condition(Condition::Closed, None);
        }
    }

    pub(super) fn set_condition(&self, condition: Condition, reason: Option<String>) {
        let mut state = self.shared.lock();
        state.condition = condition;
        state.reason = reason;
    }
}

fn deadline(item: &Item) -> Option<Instant> {
    match item {
        Item::Ask { deadline, ticket, .. } => Some(*deadline).filter(|_| *ticket != UNASKED),
        Item::Record { .. } => None,
    }
}
