//! The work of the thread on the file: open it, write records, answer questions.

use super::open::{self, Db, Notices, Place, Standpoint};
use super::question::{Answer, Question};
use super::queue::Item;
use super::records::{self, Record};
use super::settings::Condition;
use super::thread::{BATCH, Worker};
use super::told::{Notice, Told};
use super::trim::Trimmer;
use crate::error::StoreError;
use crate::queries;
use crate::rows;
use rusqlite::{ErrorCode, TransactionBehavior};
use std::path::PathBuf;
use std::sync::Arc;

impl Worker<'_> {
    pub(super) fn attempt(&mut self) -> Result<(), StoreError> {
        self.open()?;
        // Questions about the queue and the rest take turns: a flood of the ones does not keep the others waiting.
        loop {
            if !self.asks.is_empty() {
                self.answer_asks()?;
            }
            match self.pending.front() {
                Some(Item::Record { .. }) => self.write()?,
                Some(Item::Ask { question, .. }) => {
                    let answer = self.answer(&question.clone())?;
                    self.reply(Ok(answer));
                }
                None if self.asks.is_empty() => return Ok(()),
                None => {}
            }
        }
    }

    /// Writes the records at the front in one transaction.
    fn write(&mut self) -> Result<(), StoreError> {
        let Some(db) = &mut self.db else { return Ok(()) };
        let mut is_gap = self.shared.lock().is_gap;
        let of = |path: &PathBuf, e| StoreError::of(path, e);
        let transaction = db.connection.transaction_with_behavior(TransactionBehavior::Immediate);
        let transaction = transaction.map_err(|e| of(&db.path, e))?;
        let (mut count, mut refused) = (0, 0);
        for item in self.pending.iter().take(BATCH) {
            let Item::Record { record, after_loss } = item else { break };
            count += 1;
            is_gap |= *after_loss;
            match records::write(&transaction, db.life, record) {
                Ok(()) => {}
                Err(e) if is_refusal(&e) => refused += 1,
                Err(e) => return Err(of(&db.path, e)),
            }
            if let (true, Record::Entry(entry)) = (is_gap, record) {
                let before = rows::signed(entry.seq.saturating_sub(1));
                let sql = "UPDATE life SET lost_seq = max(lost_seq, ?2) WHERE id = ?1";
                transaction.execute(sql, [db.life, before]).map_err(|e| of(&db.path, e))?;
                is_gap = false;
            }
        }
        transaction.commit().map_err(|e| of(&db.path, e))?;
        if db.standpoint() != Standpoint::InPlace {
            // They went with a file that was deleted meanwhile, and are written again.
            return self.open();
        }
        let mut state = self.shared.lock();
        state.is_gap = is_gap;
        state.lose(refused);
        for item in self.pending.drain(..count) {
            state.queue.done(&item);
            match (&item, &mut self.trimmer) {
                (Item::Record { record: Record::Run { name, run }, .. }, Some(trimmer))
                    if run.outcome.is_none() =>
                {
                    trimmer.note(name);
                }
                (Item::Record { record: Record::Unused { first, count }, .. }, _) => {
                    state.lower_floor(*first, *count);
                }
                _ => {}
            }
        }
        Ok(())
    }

    /// Answers a question from the open file.
    fn answer(&mut self, question: &Question) -> Result<Answer, StoreError> {
        let Some(db) = &mut self.db else { return Err(StoreError::Missing(PathBuf::new())) };
        let path = db.path.clone();
        let of = |e| StoreError::of(&path, e);
        if let Some(answer) = question.read(&db.connection).map_err(of)? {
            return Ok(answer);
        }
        match question {
            Question::DeleteRun { name, run } => {
                let sql =
                    "DELETE FROM run WHERE name = ?1 AND run = ?2 AND (outcome IS NOT NULL OR life <> ?3)";
                let values = (name.as_str(), rows::signed(*run), db.life);
                let deleted = db.connection.execute(sql, values).map_err(of)?;
                Ok(Answer::RunDeleted(deleted > 0))
            }
            Question::Reserve { count, above } => {
                let count = (*count).max(1);
                let above = (*above).max(self.shared.lock().floor);
                let first = reserve(db, records::JOBS, count, above).map_err(of)?;
                self.shared.lock().floor = first.saturating_add(u64::from(count)).saturating_sub(1);
                // A file that was deleted meanwhile is followed by one whose counter begins above.
                self.open()?;
                Ok(Answer::Reserved { first, count })
            }
            Question::ReserveTokens { count, above } => {
                let count = (*count).max(1);
                let above = (*above).max(self.shared.lock().tokens);
                let first = reserve(db, records::TOKENS, count, above).map_err(of)?;
                self.shared.lock().tokens = first.saturating_add(u64::from(count)).saturating_sub(1);
                // As for the numbers of jobs.
                self.open()?;
                Ok(Answer::Reserved { first, count })
            }
            Question::Runs { .. }
            | Question::Stats { .. }
            | Question::Durations { .. }
            | Question::Blame { .. }
            | Question::Since { .. }
            | Question::Definitions { .. }
            | Question::Queue { .. }
            | Question::Highest { .. } => Err(StoreError::Missing(path)),
        }
    }

    /// Answers the question at the front.
    fn reply(&mut self, reply: Result<Answer, Arc<StoreError>>) {
        if let Some(item) = self.pending.pop_front() {
            self.reply_to(&item, reply);
        }
    }

    /// Answers a question, and returns whether somebody still waited for that.
    pub(super) fn reply_to(&self, item: &Item, answer: Result<Answer, Arc<StoreError>>) -> bool {
        let mut state = self.shared.lock();
        state.queue.done(item);
        let is_asked = matches!(item, Item::Ask { ticket, .. } if state.asked.remove(ticket).is_some());
        drop(state);
        if let (Item::Ask { ticket, .. }, true) = (item, is_asked) {
            (self.shared.told)(Told::Answer { ticket: *ticket, answer });
        }
        is_asked
    }

    /// Opens the file, unless it is open and in its place.
    pub(super) fn open(&mut self) -> Result<(), StoreError> {
        let mut notices = Notices::new();
        if let Some(db) = self.db.take_if(|db| db.standpoint() != Standpoint::InPlace) {
            self.end_trimmer();
            self.leave(&db, &mut notices);
            self.left = Some(db).filter(|db| db.standpoint() == Standpoint::Gone);
        }
        if self.db.is_none() {
            let opened = self.place().and_then(|place| open::open(&place, &mut notices));
            for notice in notices {
                (self.shared.told)(Told::Notice(notice));
            }
            let mut db = opened?;
            self.has_noted_queue = false;
            if let Some(left) = &self.left {
                super::rescue::carry(&left.connection, &mut db.connection)
                    .map_err(|e| StoreError::of(&db.path, e))?;
            }
            self.left = None;
            let tokens = self.shared.lock().tokens;
            if tokens > 0 {
                let raised = records::raise(&db.connection, records::TOKENS, tokens);
                raised.map_err(|e| StoreError::of(&db.path, e))?;
            }
            self.trimmer = Some(Trimmer::of(db.life, self.shared.lock().walked));
            self.db = Some(db);
            self.set_condition(Condition::Open, None);
        }
        Ok(())
    }

    fn place(&self) -> Result<Place, StoreError> {
        let state = self.shared.lock();
        let (directory, instance) = (state.settings.directory.clone(), state.settings.instance.clone());
        let floor = state.floor;
        drop(state);
        Place::find(&directory, &instance, floor, self.shared.steps)
    }

    /// Leaves a file that is not where it was. The definitions of one that was deleted are records again.
    fn leave(&mut self, db: &Db, notices: &mut Notices) {
        let path = db.path.clone();
        // The open file is still whole, whatever became of its name.
        if let Ok(job) = records::last_job(&db.connection) {
            let mut state = self.shared.lock();
            state.floor = state.floor.max(job);
        }
        if let Ok(token) = records::last(&db.connection, records::TOKENS) {
            let mut state = self.shared.lock();
            state.tokens = state.tokens.max(token);
        }
        match db.standpoint() {
            Standpoint::InPlace | Standpoint::LogGone => {
                notices.push(Notice::LogDeleted { path });
                // A log that is there and was not merged is merged by the next opening.
                if db.merge_all().is_ok_and(|merged| merged) {
                    db.remove_own_log();
                }
            }
            Standpoint::Replaced => {
                notices.push(Notice::Replaced { path });
                db.remove_own_log();
            }
            Standpoint::Gone => {
                notices.push(Notice::Deleted { path });
                db.remove_own_log();
                for definition in all_definitions(db).into_iter().rev() {
                    let item = Item::of(Record::Definition(Box::new(definition)));
                    self.shared.lock().queue.adopt(&item);
                    self.pending.push_front(item);
                }
            }
        }
    }

    pub(super) fn replace_damaged(&mut self, why: String) -> Result<(), StoreError> {
        self.end_trimmer();
        // Nothing of a damaged file is merged, and its log stays for the salvage.
        drop(self.db.take());
        let place = self.place()?;
        let notice = super::salvage::replace(&place, why)?;
        (self.shared.told)(Told::Notice(notice));
        Ok(())
    }
}

/// Reserves numbers; they are on the disk, and in the file itself, before this returns. A log that is lost
/// takes none back.
fn reserve(db: &mut Db, of: &str, count: u32, above: u64) -> rusqlite::Result<u64> {
    db.connection.execute_batch("PRAGMA synchronous=FULL")?;
    let first = db
        .connection
        .transaction_with_behavior(TransactionBehavior::Immediate)
        .and_then(|transaction| {
            let first = records::reserve(&transaction, of, count, above)?;
            transaction.commit()?;
            Ok(first)
        })
        .and_then(|first| db.merge().map(|()| first));
    db.connection.execute_batch("PRAGMA synchronous=NORMAL")?;
    first
}

fn all_definitions(db: &Db) -> Vec<crate::Definition> {
    let (mut all, mut after) = (Vec::new(), None);
    while let Ok(page) = queries::definitions(&db.connection, after.as_ref(), queries::MAX_ROWS) {
        all.extend(page.known.into_iter().map(|known| known.definition));
        after = page.next;
        if after.is_none() {
            break;
        }
    }
    all
}

/// Returns whether only this one record can't be written.
pub(super) fn is_refusal(error: &rusqlite::Error) -> bool {
    if matches!(error, rusqlite::Error::ToSqlConversionFailure(_)) {
        return true;
    }
    matches!(
        error.sqlite_error_code(),
        Some(ErrorCode::ConstraintViolation | ErrorCode::TooBig | ErrorCode::TypeMismatch)
    )
}
