//! The last events, for replay (PROTOCOL 7). Owns `seq`.

use alloc::collections::VecDeque;
use alloc::rc::Rc;
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;
use gob_protocol::limits::{RING_BYTES, RING_EVENTS};
use gob_protocol::queue::QueueJob;
use gob_protocol::{Event, Owner, View};
use serde::{Deserialize, Serialize};

/// An event, and the worker's last owner at that time: by both it is told for whom the worker was `owned`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Kept {
    pub(crate) event: Rc<Event>,
    /// The owner before `unknown`.
    pub(crate) last_owner: Option<Owner>,
}

#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Ring {
    events: VecDeque<Kept>,
    bytes: usize,
    seq: u64,
}

impl Ring {
    /// The event last published; 0 before the first one.
    pub(crate) fn seq(&self) -> u64 {
        self.seq
    }

    /// Gives the event its place in the order and keeps it. Also gives the events that had to go for it, oldest first.
    pub(crate) fn push(&mut self, mut event: Event, last_owner: Option<Owner>) -> (Kept, Vec<Rc<Event>>) {
        self.seq += 1;
        event.seq = self.seq;
        self.bytes += weight(&event);
        let kept = Kept { event: Rc::new(event), last_owner };
        self.events.push_back(kept.clone());
        let mut gone = Vec::new();
        while self.events.len() > RING_EVENTS || self.bytes > RING_BYTES {
            let Some(oldest) = self.events.pop_front() else { break };
            self.bytes -= weight(&oldest.event);
            gone.push(oldest.event);
        }
        (kept, gone)
    }

    /// The event with this number; `None` when it is gone or still to come.
    pub(crate) fn get(&self, seq: u64) -> Option<&Kept> {
        let first = self.events.front()?.event.seq;
        self.events.get(usize::try_from(seq.checked_sub(first)?).ok()?)
    }

    /// Tells whether another event of 16 KiB would cost none of those that are kept.
    #[cfg(test)]
    pub(crate) fn has_room(&self) -> bool {
        self.events.len() < RING_EVENTS && self.bytes + (16 << 10) <= RING_BYTES
    }

    /// Tells whether every event after `since` can be replayed.
    pub(crate) fn reaches(&self, since: u64) -> bool {
        since == self.seq || (since < self.seq && self.get(since + 1).is_some())
    }
}

/// Estimates the event's bytes on the wire: exact enough for a bound, and much cheaper than writing the event.
fn weight(event: &Event) -> usize {
    const FIXED: usize = 640;
    let len = |text: &Option<Arc<str>>| text.as_ref().map_or(0, |text| text.len());
    let words = |text: &Option<String>| text.as_ref().map_or(0, String::len);
    let view = |view: &View| {
        let texts = [&view.graph, &view.root_dir, &view.cwd, &view.endpoint, &view.version];
        let texts = texts.into_iter().chain([&view.stdout_path, &view.stderr_path]).map(len);
        let texts: usize = texts.chain([&view.description, &view.reason, &view.blocked].map(words)).sum();
        let command: usize = view.command.iter().map(|arg| arg.len() + 3).sum();
        let meta: usize = view.meta.iter().map(|(key, value)| key.len() + json_weight(value)).sum();
        let holders = view.lease_holders.iter().map(|holder| {
            48 + holder.owner.as_str().len() + holder.client.as_ref().map_or(0, |name| name.len())
        });
        let meta = meta + holders.sum::<usize>();
        view.name.as_str().len() + texts + command + meta
    };
    let job = |job: &QueueJob| {
        let texts = [&job.locked_by, &job.error, &job.dedupe, &job.description].map(words);
        let command: usize = job.command.iter().map(|arg| arg.len() + 3).sum();
        let after: usize = job.after.iter().map(|id| id.as_str().len() + 3).sum();
        job.cwd.len() + texts.into_iter().sum::<usize>() + command + after
    };
    let parties = event.holder.iter().chain(&event.waiter).map(|party| party.about_bytes());
    let lock = event.lock.as_ref().map_or(0, |lock| lock.as_str().len());
    let locks = parties.sum::<usize>() + lock;
    FIXED + locks + event.worker.as_ref().map_or(0, view) + event.job.as_deref().map_or(0, job)
}

fn json_weight(value: &serde_json::Value) -> usize {
    use serde_json::Value;
    match value {
        Value::Null | Value::Bool(_) | Value::Number(_) => 8,
        Value::String(text) => text.len() + 3,
        Value::Array(items) => items.iter().map(json_weight).sum::<usize>() + items.len(),
        Value::Object(fields) => fields.iter().map(|(key, value)| key.len() + 4 + json_weight(value)).sum(),
    }
}
