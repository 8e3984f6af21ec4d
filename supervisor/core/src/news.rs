//! Events: their order, the last of them for replay, and which subscriber gets which (PROTOCOL 7).
//!
//! A subscriber owns at most [`SUBSCRIBER_QUEUE_FRAMES`] frames of the shell's queue; they are counted here, the shell
//! reports what it wrote. One that falls behind misses events and later gets one `lagged` frame; the others do not wait.

use crate::ids::ConnId;
use crate::io::{Effect, Out};
use crate::owner::Title;
use crate::ring::{Kept, Ring};
use alloc::collections::BTreeMap;
use alloc::rc::Rc;
use alloc::vec;
use alloc::vec::Vec;
use gob_protocol::limits::SUBSCRIBER_QUEUE_FRAMES;
use gob_protocol::request::Subscribe;
use gob_protocol::{Event, Owner, State, View};
use serde::{Deserialize, Serialize};

const WINDOW: u32 = SUBSCRIBER_QUEUE_FRAMES as u32;

/// The ring and its readers.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct News {
    ring: Ring,
    subscribers: BTreeMap<ConnId, Subscriber>,
    /// Frames in the queues of connections that unsubscribed: they outlive the subscription that they were for.
    unread: BTreeMap<ConnId, u32>,
    lagged: u64,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Subscriber {
    owner: Owner,
    filter: Subscribe,
    mode: Mode,
    /// Event frames in the shell's queue, as far as reported.
    queued: u32,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
enum Mode {
    /// Gets events as they happen.
    Live,
    /// Gets events from the ring, this one next, as its queue has room.
    Replaying(u64),
    /// Its queue was full; so many events did not fit.
    Lagging(u64),
}

/// The begin of a subscription.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Begun {
    /// Events since the one that was named are not there any more.
    pub(crate) gap: bool,
    pub(crate) with_snapshot: bool,
}

/// Tells whether a subscription covers this worker.
pub(crate) fn wants_worker(filter: &Subscribe, view: &View) -> bool {
    filter.names.as_ref().is_none_or(|names| names.contains(&view.name))
        && filter.owner.as_ref().is_none_or(|owner| *owner == view.owner)
        && (filter.cwd.is_none() || filter.cwd.as_deref() == view.cwd.as_deref())
}

fn wants(filter: &Subscribe, event: &Event) -> bool {
    if filter.events.as_ref().is_some_and(|events| !events.contains(&event.event)) {
        return false;
    }
    if let Some(job) = &event.job {
        return filter.names.as_ref().is_none_or(|names| names.contains(&job.id))
            && filter.owner.as_ref().is_none_or(|owner| *owner == job.owner)
            && filter.cwd.as_ref().is_none_or(|cwd| *cwd == job.cwd);
    }
    match &event.worker {
        Some(view) => wants_worker(filter, view),
        None => filter.names.is_none() && filter.owner.is_none() && filter.cwd.is_none(),
    }
}

/// Tells whether the requester may manage the event's worker as it was then.
fn is_owned(kept: &Kept, requester: &Owner) -> bool {
    kept.event.worker.as_ref().is_some_and(|view| {
        let title = Title { owner: &view.owner, last: kept.last_owner.as_ref() };
        view.state != State::External && title.may_manage(requester)
    })
}

impl News {
    /// The event last published; 0 before the first one.
    pub(crate) fn seq(&self) -> u64 {
        self.ring.seq()
    }

    pub(crate) fn subscribers(&self) -> usize {
        self.subscribers.len()
    }

    /// How many events subscribers missed.
    pub(crate) const fn lagged(&self) -> u64 {
        self.lagged
    }

    /// Begins a subscription; `None` when the connection has one already. `same_life` says whether the events that the
    /// filter counts by are this supervisor's.
    pub(crate) fn subscribe(
        &mut self,
        conn: ConnId,
        owner: Owner,
        filter: Subscribe,
        same_life: bool,
    ) -> Option<Begun> {
        if self.subscribers.contains_key(&conn) {
            return None;
        }
        let gap = !(same_life && filter.since.is_none_or(|since| self.ring.reaches(since)));
        let mode = match filter.since {
            Some(since) if !gap => Mode::Replaying(since + 1),
            Some(_) | None => Mode::Live,
        };
        let with_snapshot = gap || filter.snapshot;
        let queued = self.unread.remove(&conn).unwrap_or(0);
        self.subscribers.insert(conn, Subscriber { owner, filter, mode, queued });
        Some(Begun { gap, with_snapshot })
    }

    pub(crate) fn unsubscribe(&mut self, conn: ConnId) {
        if let Some(gone) = self.subscribers.remove(&conn) {
            self.unread.insert(conn, gone.queued);
        }
    }

    /// Forgets a connection that is gone.
    pub(crate) fn forget(&mut self, conn: ConnId) {
        self.subscribers.remove(&conn);
        self.unread.remove(&conn);
    }

    /// Notes for whom a connection speaks from here on.
    pub(crate) fn speaks_for(&mut self, conn: ConnId, owner: &Owner) {
        if let Some(subscriber) = self.subscribers.get_mut(&conn) {
            subscriber.owner.clone_from(owner);
        }
    }

    /// The filter of a subscriber.
    pub(crate) fn subscription(&self, conn: ConnId) -> Option<&Subscribe> {
        self.subscribers.get(&conn).map(|subscriber| &subscriber.filter)
    }

    /// Gives the event its place in the order, keeps it, and hands it to its subscribers.
    pub(crate) fn publish(&mut self, event: Event, last_owner: Option<Owner>, out: &mut Out) {
        let (kept, oldest) = self.ring.push(event, last_owner);
        self.overtake(&oldest);
        self.fan_out(&kept, out);
    }

    fn fan_out(&mut self, kept: &Kept, out: &mut Out) {
        let event = &kept.event;
        let (mut owned, mut others) = (Vec::new(), Vec::new());
        for (conn, subscriber) in &mut self.subscribers {
            if !wants(&subscriber.filter, event) {
                continue;
            }
            match &mut subscriber.mode {
                Mode::Live if subscriber.queued < WINDOW => {
                    subscriber.queued += 1;
                    let group = if is_owned(kept, &subscriber.owner) { &mut owned } else { &mut others };
                    group.push(*conn);
                }
                Mode::Live => {
                    subscriber.mode = Mode::Lagging(1);
                    self.lagged += 1;
                }
                Mode::Lagging(missed) => {
                    *missed += 1;
                    self.lagged += 1;
                }
                Mode::Replaying(_) => {}
            }
        }
        if !(owned.is_empty() && others.is_empty()) {
            out.push(Effect::Publish { event: Rc::clone(event), owned, others });
        }
    }

    /// Lets the subscribers lag that are replaying and still need one of these events, which left the ring. The newest event
    /// counts as missed by none of them: it is still to be published.
    fn overtake(&mut self, gone: &[Rc<Event>]) {
        let Some(last) = gone.last().map(|event| event.seq) else { return };
        for subscriber in self.subscribers.values_mut() {
            let Mode::Replaying(next) = subscriber.mode else { continue };
            if next > last {
                continue;
            }
            let newest = self.ring.seq();
            let kept = (last + 1..newest).filter_map(|seq| self.ring.get(seq)).map(|kept| &kept.event);
            let missed = gone.iter().filter(|event| (next..newest).contains(&event.seq)).chain(kept);
            let missed = missed.filter(|event| wants(&subscriber.filter, event)).count() as u64;
            self.lagged += missed;
            subscriber.mode = Mode::Lagging(missed);
        }
    }

    /// Notes that the shell wrote event frames of this connection. Returns how many events it missed when it is to get a
    /// `lagged` frame now, which is counted already.
    pub(crate) fn written(&mut self, conn: ConnId, frames: u32, out: &mut Out) -> Option<u64> {
        if let Some(unread) = self.unread.get_mut(&conn) {
            *unread = unread.saturating_sub(frames);
        }
        let subscriber = self.subscribers.get_mut(&conn)?;
        subscriber.queued = subscriber.queued.saturating_sub(frames);
        match subscriber.mode {
            Mode::Live => None,
            Mode::Replaying(_) => {
                self.replay(conn, out);
                None
            }
            // The snapshot may be large: only a queue that was read to its end gets one.
            Mode::Lagging(missed) if subscriber.queued < WINDOW / 16 => {
                subscriber.mode = Mode::Live;
                subscriber.queued += 1;
                Some(missed)
            }
            Mode::Lagging(_) => None,
        }
    }

    /// Fills the queue of a subscriber that still gets old events.
    pub(crate) fn replay(&mut self, conn: ConnId, out: &mut Out) {
        let Some(subscriber) = self.subscribers.get_mut(&conn) else { return };
        while let Mode::Replaying(next) = subscriber.mode {
            let Some(kept) = self.ring.get(next) else {
                // `overtake` sees to it that what is not there is still to come.
                subscriber.mode = Mode::Live;
                break;
            };
            if wants(&subscriber.filter, &kept.event) {
                if subscriber.queued >= WINDOW {
                    break;
                }
                subscriber.queued += 1;
                let owns = is_owned(kept, &subscriber.owner);
                let (owned, others) = if owns { (vec![conn], vec![]) } else { (vec![], vec![conn]) };
                out.push(Effect::Publish { event: Rc::clone(&kept.event), owned, others });
            }
            subscriber.mode = Mode::Replaying(next + 1);
        }
    }

    /// The event with this number, as long as it is kept.
    #[cfg(test)]
    pub(crate) fn get(&self, seq: u64) -> Option<&Kept> {
        self.ring.get(seq)
    }

    /// Tells whether the ring has room for more without losing what it keeps.
    #[cfg(test)]
    pub(crate) fn has_room(&self) -> bool {
        self.ring.has_room()
    }
}
