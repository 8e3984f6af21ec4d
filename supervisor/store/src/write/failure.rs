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
/// The wait from which on a lock lasts: the fourth one, half a second after the first try at the least.
const LASTING: Duration = Duration::from_millis(400);
/// As [`RETRY_MOMENT`], after a failure of another kind.
const RETRY_UNKNOWN: (Duration, Duration) = (Duration::from_millis(250), Duration::from_secs(15));

impl Worker<'_> {
    /// Puts off, drops or answers what is pending, by the kind of failure.
    pub(super) fn failed(&mut self, error: StoreError) {
        let lasts = error.lasts();
        self.set_condition(condition(&error), Some(error.to_string()));
        let error = Arc::new(error);
        self.cause = Some(Arc::clone(&error));
        let (first, longest) = match lasts {
            Lasts::Moment => RETRY_MOMENT,
            Lasts::Unknown | Lasts::File => RETRY_UNKNOWN,
        };
        let wait = self.retry.map_or(first, |(_, wait)| wait.saturating_mul(2).clamp(first, longest));
        self.retry = Some((Instant::now() + wait, wait));
        let mut can_read = true;
        let pending = std::mem::take(&mut self.pending);
        self.pending = self.sort_out(pending, lasts, &error, &mut can_read);
        let asks = std::mem::take(&mut self.asks);
        self.asks = self.sort_out(asks, lasts, &error, &mut can_read);
    }

    /// Drops or answers messages, and returns those that wait. A file that one question could not be answered from is read for
    /// no other.
    fn sort_out(
        &self,
        items: VecDeque<Item>,
        lasts: Lasts,
        error: &Arc<StoreError>,
        can_read: &mut bool,
    ) -> VecDeque<Item> {
        let now = Instant::now();
        let is_lasting = self.retry.is_some_and(|(_, wait)| wait >= LASTING);
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
                (Item::Ask { deadline, question, .. }, Lasts::Moment) if *deadline > now => {
                    // A lock that lasts delays no question that only shows something.
                    let is_early = is_lasting && question.is_shown();
                    match is_early.then(|| self.answer_as_it_is(question, error, can_read)) {
                        Some(Ok(answer)) => drop(self.reply_to(&item, Ok(answer))),
                        Some(Err(_)) | None => kept.push_back(item),
                    }
                }
                (Item::Ask { question, .. }, _) => {
                    let reply = self.answer_as_it_is(question, error, can_read);
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
        can_read: &mut bool,
    ) -> Result<Answer, Arc<StoreError>> {
        let failed = || Err(Arc::clone(error));
        if !question.only_reads() || !*can_read {
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
        *can_read = found.is_some();
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
