//! Questions about the queue: many that wait are answered from one transaction, which is on the disk before the first of them is told.

use super::open::Standpoint;
use super::question::{Answer, Question};
use super::queue::Item;
use super::thread::Worker;
use super::work::is_refusal;
use crate::error::StoreError;
use crate::files::note_queue;
use crate::jobs::{self, Ask};
use gob_protocol::Timestamp;
use gob_protocol::queue::{QueueAsk, QueueTold};
use rusqlite::{Connection, TransactionBehavior};
use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Instant;

/// Questions that share a transaction.
const GROUP: usize = 256;

/// The ticket of a question of the thread's own, which is not answered.
pub(super) const UNASKED: u64 = u64::MAX;

/// The answer of each question of a group, or the reason why just this one has none.
type Answers = Vec<rusqlite::Result<QueueTold>>;

impl Worker<'_> {
    /// Answers the first questions about the queue.
    pub(super) fn answer_asks(&mut self) -> Result<(), StoreError> {
        self.refuse_late();
        let group: Vec<_> = self.asks.iter().filter_map(question).take(group_size(&self.asks)).collect();
        let Some(db) = self.db.as_mut().filter(|_| !group.is_empty()) else { return Ok(()) };
        let path = db.path.clone();
        let instance = self.shared.lock().settings.instance.clone();
        // Before the change: the next supervisor opens the store at its start only where this note is.
        if !self.has_noted_queue && group.iter().any(|(_, ask)| !ask.only_reads()) {
            note_queue(&path).map_err(StoreError::io("note the queue beside", &path))?;
            self.has_noted_queue = true;
        }
        let answers = answer(&mut db.connection, &instance, &group).map_err(|e| StoreError::of(&path, e))?;
        let standpoint = db.standpoint();
        if standpoint != Standpoint::InPlace {
            // A deleted file's part of the queue is carried over to the next one, with these answers.
            self.open()?;
            if standpoint == Standpoint::Replaced {
                return Ok(());
            }
        }
        let items: Vec<_> = self.asks.drain(..answers.len().min(self.asks.len())).collect();
        for (item, answer) in items.iter().zip(answers) {
            self.tell(item, answer.map_err(|e| StoreError::of(&path, e)));
        }
        Ok(())
    }

    /// Tells an answer. A claim that nobody waits for any more is given back.
    fn tell(&mut self, item: &Item, answer: Result<QueueTold, StoreError>) {
        let claim = match &answer {
            Ok(QueueTold::Claimed { claim: Some(claim), .. }) => Some(jobs::give_back(claim)),
            Ok(_) | Err(_) => None,
        };
        let answer = answer.map(|told| Answer::Queue(Box::new(told))).map_err(Arc::new);
        let was_asked = self.reply_to(item, answer);
        if let (false, Some(ask), Some((now, _))) = (was_asked, claim, question(item)) {
            let question = Question::Queue { now, ask: Box::new(ask) };
            let deadline = Instant::now() + self.shared.lock().settings.answer_within;
            let item = Item::Ask { ticket: UNASKED, question, deadline };
            self.shared.lock().queue.adopt(&item);
            // The next claim of its lane finds it.
            self.asks.push_front(item);
        }
    }

    /// Refuses changes of which the deadline has passed, and questions that were given up: nothing is done that nobody learns of.
    fn refuse_late(&mut self) {
        let now = Instant::now();
        let state = self.shared.lock();
        let is_late = |item: &Item| {
            let Item::Ask { deadline, ticket, .. } = item else { return false };
            let is_change = question(item).is_some_and(|(_, ask)| !ask.only_reads());
            *ticket != UNASKED && (is_change && *deadline <= now || !state.asked.contains_key(ticket))
        };
        let (late, asks): (VecDeque<_>, _) = std::mem::take(&mut self.asks).into_iter().partition(is_late);
        drop(state);
        self.asks = asks;
        if late.is_empty() {
            return;
        }
        let path = self.db.as_ref().map(|db| db.path.clone()).unwrap_or_default();
        let error = self.cause.clone().unwrap_or_else(|| Arc::new(StoreError::Late { path }));
        for item in late {
            self.reply_to(&item, Err(Arc::clone(&error)));
        }
    }
}

fn question(item: &Item) -> Option<(Timestamp, &QueueAsk)> {
    match item {
        Item::Ask { question: Question::Queue { now, ask }, .. } => Some((*now, ask)),
        Item::Ask { .. } | Item::Record { .. } => None,
    }
}

/// Returns whether the answer to a question is long: it is told before the next one is made.
fn is_long(ask: &QueueAsk) -> bool {
    ask.only_reads() && !matches!(ask, QueueAsk::Get { .. } | QueueAsk::Unfinished)
}

/// Returns how many of the first questions are answered at once.
fn group_size(asks: &VecDeque<Item>) -> usize {
    let short = asks.iter().filter_map(question).take(GROUP).take_while(|(_, ask)| !is_long(ask)).count();
    short.max(1)
}

/// Answers questions in one transaction; each by itself, all or nothing.
fn answer(db: &mut Connection, instance: &str, asks: &[(Timestamp, &QueueAsk)]) -> rusqlite::Result<Answers> {
    if asks.iter().all(|(_, ask)| ask.only_reads()) {
        let one = |(now, ask): &(Timestamp, &QueueAsk)| jobs::answer(&Ask { db, instance, now: *now }, ask);
        return asks.iter().map(|ask| Ok(Ok(one(ask)?))).collect();
    }
    let is_durable = asks.iter().any(|(_, ask)| !ask.only_reads() && !matches!(ask, QueueAsk::Heartbeat(_)));
    if is_durable {
        db.execute_batch("PRAGMA synchronous=FULL")?;
    }
    let answers = in_transaction(db, instance, asks);
    if is_durable {
        db.execute_batch("PRAGMA synchronous=NORMAL")?;
    }
    answers
}

fn in_transaction(
    db: &mut Connection,
    instance: &str,
    asks: &[(Timestamp, &QueueAsk)],
) -> rusqlite::Result<Answers> {
    let transaction = db.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let mut answers = Answers::with_capacity(asks.len());
    for (now, ask) in asks {
        transaction.prepare_cached("SAVEPOINT one")?.execute([])?;
        let told = jobs::answer(&Ask { db: &*transaction, instance, now: *now }, ask);
        let told = told.map_err(rusqlite::Error::from);
        match &told {
            Ok(QueueTold::Refused(_)) => transaction.execute_batch("ROLLBACK TO one")?,
            Ok(_) => {}
            Err(e) if is_refusal(e) => transaction.execute_batch("ROLLBACK TO one")?,
            Err(_) => return told.map(|_| answers),
        }
        transaction.prepare_cached("RELEASE one")?.execute([])?;
        answers.push(told);
    }
    transaction.commit()?;
    Ok(answers)
}
