//! The treatment of a file that can't be used: records wait or go, and each question gets its answer.

use super::asks::UNASKED;
use super::open::Standpoint;
use super::question::{Answer, Question};
use super::queue::Item;
use super::settings::Condition;
use super::thread::Worker;
use crate::error::{Lasts, StoreError};
use crate::read::{Reader, Supervisor};
use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// First and longest wait before a failed step is tried again, while another process has a lock.
pub(super) const RETRY_MOMENT: (Duration, Duration) = (Duration::from_millis(50), Duration::from_secs(1));
/// As [`RETRY_MOMENT`], after a failure of another kind.
const RETRY_UNKNOWN: (Duration, Duration) = (Duration::from_millis(250), Duration::from_secs(15));

impl Worker<'_> {
    /// Puts off, drops or answers what is pending, by the kind of failure.
    pub(super) fn failed(&mut self, error: StoreError) {
        let lasts = error.lasts();
        self.set_condition(condition(&error), Some(error.to_string()));
        let error = Arc::new(error);
        self.cause = Some(Arc::clone(&error));
        let pending = std::mem::take(&mut self.pending);
        self.pending = self.sort_out(pending, lasts, &error);
        let asks = std::mem::take(&mut self.asks);
        self.asks = self.sort_out(asks, lasts, &error);
        let (first, longest) = match lasts {
            Lasts::Moment => RETRY_MOMENT,
            Lasts::Unknown | Lasts::File => RETRY_UNKNOWN,
        };
        let wait = self.retry.map_or(first, |(_, wait)| wait.saturating_mul(2).clamp(first, longest));
        self.retry = Some((Instant::now() + wait, wait));
    }

    /// Drops or answers messages, and returns those that wait.
    fn sort_out(&self, items: VecDeque<Item>, lasts: Lasts, error: &Arc<StoreError>) -> VecDeque<Item> {
        let now = Instant::now();
        let mut kept = VecDeque::new();
        for item in items {
            match (&item, lasts) {
                (Item::Record { .. } | Item::Ask { ticket: UNASKED, .. }, Lasts::Moment | Lasts::Unknown) => {
                    kept.push_back(item);
                }
                (Item::Record { .. }, Lasts::File) => {
                    let mut state = self.shared.lock();
                    state.queue.done(&item);
                    state.lose(1);
                }
                (Item::Ask { deadline, .. }, Lasts::Moment) if *deadline > now => kept.push_back(item),
                (Item::Ask { question, .. }, _) => {
                    let reply = self.answer_as_it_is(question, error);
                    self.reply_to(&item, reply);
                }
            }
        }
        kept
    }

    /// Answers from what is in the file, without the records that wait; else with the failure.
    fn answer_as_it_is(
        &self,
        question: &Question,
        error: &Arc<StoreError>,
    ) -> Result<Answer, Arc<StoreError>> {
        let failed = || Err(Arc::clone(error));
        if !question.only_reads() {
            return failed();
        }
        let read = |db: &rusqlite::Connection| question.read(db).ok().flatten();
        let found = match &self.db {
            Some(db) if db.standpoint() == Standpoint::InPlace => read(&db.connection),
            // Nothing is known of a file that another process has for itself.
            None if matches!(**error, StoreError::Locked(_)) => None,
            Some(_) | None => {
                let directory = self.shared.lock().settings.directory.clone();
                let reader = Reader::open(&directory, Supervisor::Lives).ok();
                reader.and_then(|reader| read(reader.connection()))
            }
        };
        found.map_or_else(failed, Ok)
    }
}

fn condition(error: &StoreError) -> Condition {
    match error {
        StoreError::Locked(_) => Condition::Locked,
        StoreError::Full { .. } => Condition::Full,
        StoreError::ReadOnly { .. } => Condition::ReadOnly,
        StoreError::Missing(_)
        | StoreError::Newer { .. }
        | StoreError::Older { .. }
        | StoreError::Unfit(_)
        | StoreError::Damaged { .. }
        | StoreError::Unmerged(_)
        | StoreError::Io { .. }
        | StoreError::Sqlite { .. }
        | StoreError::Late { .. } => Condition::Failed,
    }
}
