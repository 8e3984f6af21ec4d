//! The bounded queue between the supervisor and the thread.
//!
//! Its lock is held for a push or for a look at its front, never during work on the disk. What the thread
//! works on stays in the queue's account until it is written or given up.

use super::question::Question;
use super::records::Record;
use std::collections::VecDeque;
use std::fmt;
use std::time::Instant;

/// Records that may wait.
pub(super) const MAX_RECORDS: usize = 8192;
/// Bytes of texts in waiting records.
pub(super) const MAX_BYTES: usize = 8 << 20;
/// Bytes of texts in waiting questions.
const MAX_ASKED_BYTES: usize = 32 << 20;
/// Questions that may wait.
pub(super) const MAX_QUESTIONS: usize = 1024;

/// The queue has no room: the record is lost and counted, or the question is not asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Full;

impl fmt::Display for Full {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(
            "the history's queue is full: its disk is slow or its file is locked; gobctl status shows which",
        )
    }
}

impl std::error::Error for Full {}

/// One message to the thread.
#[derive(Debug)]
pub(super) enum Item {
    /// Something to write; `after_loss` tells that records before it were lost.
    Record { record: Record, after_loss: bool },
    /// Something to answer until the deadline.
    Ask { ticket: u64, question: Question, deadline: Instant },
}

impl Item {
    /// Returns whether it is a question about the queue of jobs.
    pub(super) fn is_of_queue(&self) -> bool {
        matches!(self, Self::Ask { question: Question::Queue { .. }, .. })
    }

    /// Wraps a record that follows no loss.
    pub(super) fn of(record: Record) -> Self {
        Self::Record { record, after_loss: false }
    }
}

/// Messages in their order, and the account of all that are not done.
#[derive(Debug, Default)]
pub(super) struct Queue {
    items: VecDeque<Item>,
    records: usize,
    bytes: usize,
    questions: usize,
    asked_bytes: usize,
}

impl Queue {
    /// Adds a message.
    ///
    /// # Errors
    /// When there is no room.
    pub(super) fn push(&mut self, item: Item) -> Result<(), Full> {
        let is_full = match &item {
            Item::Record { .. } => self.records >= MAX_RECORDS || self.bytes + size(&item) > MAX_BYTES,
            Item::Ask { .. } => {
                self.questions >= MAX_QUESTIONS || self.asked_bytes + size(&item) > MAX_ASKED_BYTES
            }
        };
        if is_full {
            return Err(Full);
        }
        self.adopt(&item);
        self.items.push_back(item);
        Ok(())
    }

    /// Takes a message that the thread made into the account, beyond the limits.
    pub(super) fn adopt(&mut self, item: &Item) {
        match item {
            Item::Record { .. } => {
                self.records += 1;
                self.bytes += size(item);
            }
            Item::Ask { .. } => {
                self.questions += 1;
                self.asked_bytes += size(item);
            }
        }
    }

    /// Takes at most `limit` messages, which stay in the account until [`Self::done`].
    pub(super) fn take(&mut self, limit: usize) -> VecDeque<Item> {
        let rest = self.items.split_off(limit.min(self.items.len()));
        std::mem::replace(&mut self.items, rest)
    }

    /// Takes a message that was taken off the account.
    pub(super) fn done(&mut self, item: &Item) {
        match item {
            Item::Record { .. } => {
                self.records = self.records.saturating_sub(1);
                self.bytes = self.bytes.saturating_sub(size(item));
            }
            Item::Ask { .. } => {
                self.questions = self.questions.saturating_sub(1);
                self.asked_bytes = self.asked_bytes.saturating_sub(size(item));
            }
        }
    }

    /// Returns whether no message waits to be taken.
    pub(super) fn is_empty(&self) -> bool {
        self.items.is_empty()
    }

    /// Returns the number of records that are not done.
    pub(super) fn records(&self) -> usize {
        self.records
    }
}

fn size(item: &Item) -> usize {
    match item {
        Item::Record { record, .. } => record.size(),
        Item::Ask { question, .. } => question.size(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use gob_protocol::Name;

    fn record() -> Item {
        Item::of(Record::Forgotten { name: Name::numbered(1), history: true })
    }

    fn ask() -> Item {
        Item::Ask { ticket: 1, question: Question::Highest { name: None }, deadline: Instant::now() }
    }

    #[test]
    fn room_is_given_back_when_a_message_is_done_and_not_when_it_is_taken() {
        let mut queue = Queue::default();
        for _ in 0..MAX_RECORDS {
            queue.push(record()).unwrap();
        }
        for _ in 0..MAX_QUESTIONS {
            queue.push(ask()).unwrap();
        }
        assert_eq!((queue.push(record()), queue.push(ask())), (Err(Full), Err(Full)));
        let taken = queue.take(MAX_RECORDS);
        assert_eq!(queue.push(record()), Err(Full));
        queue.done(&taken[0]);
        assert_eq!((queue.push(record()), queue.push(record())), (Ok(()), Err(Full)));
        assert_eq!(queue.take(usize::MAX).len(), MAX_QUESTIONS + 1);
        assert!(queue.is_empty());
        assert_eq!(queue.records(), MAX_RECORDS);
    }
}
