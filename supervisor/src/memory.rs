//! Limits of the supervisor's memory in use by clients, and its return to the system.
//!
//! Owns two counts over all connections: bytes of requests that could not be served yet, and bytes of answers and events that
//! clients have not taken. A request may have a mebibyte and an answer eight, and hundreds of clients may each send half of
//! one, or ask and not read.

use crate::sys::fds;
use std::cell::Cell;
use std::rc::Rc;
use std::time::Duration;
use tokio::sync::Notify;

/// Limit of all connections' unfinished requests together.
const MAX_UNFINISHED_BYTES: usize = 64 << 20;
/// Bytes of a connection that is served even beyond the limit: enough for small requests.
const SMALL_BYTES: usize = 16 * 1024;

/// With so much waiting for all clients, one that has not taken its answers gets no more of them.
const MAX_UNTAKEN_BYTES: usize = 64 << 20;

/// Freed bytes that are worth a call to the allocator.
const WORTH_BYTES: usize = 4 << 20;
/// Pause before that call, since more may be freed meanwhile.
const CALM: Duration = Duration::from_secs(1);
/// Pause before the next call: it takes a moment in which no client is served.
const REST: Duration = Duration::from_secs(9);

/// The account of all connections.
#[derive(Debug, Default)]
pub(crate) struct Memory {
    unfinished: Cell<usize>,
    untaken: Cell<usize>,
    freed: Cell<usize>,
    worth: Notify,
}

impl Memory {
    /// Notes freed bytes.
    pub(crate) fn freed(&self, bytes: usize) {
        self.freed.set(self.freed.get().saturating_add(bytes));
        if self.freed.get() >= WORTH_BYTES {
            self.worth.notify_one();
        }
    }

    /// Gives freed memory back for as long as the supervisor lives. Wakes up only when there is some.
    pub(crate) async fn give_back(self: Rc<Self>) {
        loop {
            self.worth.notified().await;
            tokio::time::sleep(CALM).await;
            self.freed.set(0);
            fds::give_memory_back();
            tokio::time::sleep(REST).await;
        }
    }
}

/// One connection's part of the account.
#[derive(Debug)]
pub(crate) struct Share {
    of: Rc<Memory>,
    unfinished: usize,
    /// The bytes that wait for the client.
    untaken: usize,
    /// The most bytes that waited for the client since its queue was last empty.
    unwritten: usize,
}

impl Share {
    pub(crate) const fn new(of: Rc<Memory>) -> Self {
        Self { of, unfinished: 0, untaken: 0, unwritten: 0 }
    }

    /// Notes the size of the connection's unfinished requests; false when all together are too large and this
    /// one is not small.
    pub(crate) fn holds(&mut self, bytes: usize) -> bool {
        let before = std::mem::replace(&mut self.unfinished, bytes);
        let all = self.of.unfinished.get().saturating_sub(before).saturating_add(bytes);
        self.of.unfinished.set(all);
        if bytes < before {
            self.of.freed(before - bytes);
        }
        bytes <= SMALL_BYTES || all <= MAX_UNFINISHED_BYTES
    }

    /// Notes the bytes that wait for the client.
    pub(crate) fn waits(&mut self, bytes: usize) {
        let before = std::mem::replace(&mut self.untaken, bytes);
        self.of.untaken.set(self.of.untaken.get().saturating_sub(before).saturating_add(bytes));
        if bytes > 0 {
            self.unwritten = self.unwritten.max(bytes);
        } else if self.unwritten > 0 {
            self.of.freed(std::mem::take(&mut self.unwritten));
        }
    }

    /// Whether a client for which `waiting` bytes wait may be answered more: all clients together have taken enough of what
    /// they got, or this one has taken all.
    pub(crate) fn may_answer(&self, waiting: usize) -> bool {
        waiting == 0 || self.of.untaken.get() <= MAX_UNTAKEN_BYTES
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        self.holds(0);
        self.waits(0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn large_unfinished_requests_are_bounded_together_and_small_ones_are_not() {
        let memory = Rc::new(Memory::default());
        let mut shares: Vec<Share> = (0..64).map(|_| Share::new(Rc::clone(&memory))).collect();
        assert!(shares.iter_mut().all(|share| share.holds(1 << 20)));
        let (mut large, mut small) = (Share::new(Rc::clone(&memory)), Share::new(Rc::clone(&memory)));
        assert!(!large.holds(SMALL_BYTES + 1) && small.holds(SMALL_BYTES));
        drop((shares.pop(), large));
        assert!(small.holds(1 << 20), "there is room again");
        drop((shares, small));
        assert_eq!(memory.unfinished.get(), 0);
    }

    #[test]
    fn answers_that_are_not_taken_are_bounded_together_and_a_client_that_reads_is_served() {
        let memory = Rc::new(Memory::default());
        let mut lazy: Vec<Share> = (0..65).map(|_| Share::new(Rc::clone(&memory))).collect();
        assert!(lazy.iter_mut().all(|share| share.may_answer(1 << 20) && (share.waits(1 << 20), true).1));
        let reads = Share::new(Rc::clone(&memory));
        assert!(lazy.iter().all(|share| !share.may_answer(1 << 20)) && reads.may_answer(0));
        lazy.truncate(64);
        assert!(lazy.iter().all(|share| share.may_answer(1 << 20)), "one has gone");
        drop(lazy);
        assert_eq!(memory.untaken.get(), 0);
    }

    #[test]
    fn freed_memory_is_given_back_once_it_is_worth_it() {
        let memory = Rc::new(Memory::default());
        let mut share = Share::new(Rc::clone(&memory));
        share.waits(WORTH_BYTES - 1);
        share.waits(7);
        assert_eq!(memory.freed.get(), 0, "it waits");
        share.waits(0);
        share.waits(0);
        assert_eq!(memory.freed.get(), WORTH_BYTES - 1);
        share.holds(1);
        drop(share);
        assert_eq!(memory.freed.get(), WORTH_BYTES);
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(memory.worth.notified());
    }
}
