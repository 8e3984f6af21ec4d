//! Subscriptions: who gets which event, and what a slow subscriber gets instead (PROTOCOL 7).
//!
//! A subscriber owns at most [`SUBSCRIBER_QUEUE_FRAMES`] frames of the shell's queue; the core counts them, the shell
//! reports what it wrote. One that falls behind misses events and later gets one `lagged` frame; nobody else waits.

use crate::Core;
use crate::io::{ConnId, Effect};
use crate::owner::Title;
use crate::requests::page;
use crate::ring::Kept;
use alloc::boxed::Box;
use alloc::rc::Rc;
use alloc::vec;
use alloc::vec::Vec;
use gob_protocol::answer::{EmptyData, SubscribeData};
use gob_protocol::limits::{SNAPSHOT_BYTES, SUBSCRIBER_QUEUE_FRAMES};
use gob_protocol::request::Subscribe;
use gob_protocol::{Data, ErrorCode, Event, EventKind, Id, Lagged, Name, Owner, View, WireError};

const WINDOW: u32 = SUBSCRIBER_QUEUE_FRAMES as u32;

#[derive(Debug, Clone)]
pub(crate) struct Subscription {
    filter: Subscribe,
    mode: Mode,
}

#[derive(Debug, Clone)]
enum Mode {
    /// Gets events as they happen.
    Live,
    /// Gets events from the ring, this one next, as its queue has room.
    Replaying(u64),
    /// Its queue was full; so many events did not fit.
    Lagging(u64),
}

impl Subscription {
    fn wants(&self, event: &Event) -> bool {
        let filter = &self.filter;
        if filter.events.as_ref().is_some_and(|events| !events.contains(&event.event)) {
            return false;
        }
        match &event.worker {
            Some(view) => self.wants_worker(view),
            None => filter.names.is_none() && filter.owner.is_none() && filter.cwd.is_none(),
        }
    }

    fn wants_worker(&self, view: &View) -> bool {
        let filter = &self.filter;
        filter.names.as_ref().is_none_or(|names| names.contains(&view.name))
            && filter.owner.as_ref().is_none_or(|owner| *owner == view.owner)
            && (filter.cwd.is_none() || filter.cwd.as_deref() == view.cwd.as_deref())
    }
}

impl Core {
    pub(crate) fn subscribe(&mut self, conn: ConnId, id: Option<Id>, filter: Subscribe) {
        let ring_reaches = filter.since.is_none_or(|since| self.ring.reaches(since));
        if self.subscriptions.contains_key(&conn) {
            let error = WireError::new(ErrorCode::Busy, "this connection has a subscription already")
                .hint("unsubscribe first, or open another connection")
                .details(serde_json::json!({"limit": 1}));
            return self.reply(conn, id, Err(Box::new(error)));
        }
        let same_life = filter.instance.as_ref().is_none_or(|life| *life == self.config.server.instance);
        let gap = !(same_life && ring_reaches);
        let mode = match filter.since {
            Some(since) if !gap => Mode::Replaying(since + 1),
            Some(_) | None => Mode::Live,
        };
        let with_snapshot = gap || filter.snapshot;
        let owner = self.requester(conn);
        let subscription = Subscription { filter, mode };
        let snapshot = with_snapshot.then(|| self.snapshot(&owner, &subscription));
        let (workers, next) = snapshot.map_or((None, None), |(workers, next)| (Some(workers), next));
        self.subscriptions.insert(conn, subscription);
        let instance = self.config.server.instance.clone();
        let data = SubscribeData { seq: self.ring.seq(), instance, gap, workers, next };
        self.reply(conn, id, Ok(Data::Subscribe(data)));
        self.replay(conn);
    }

    pub(crate) fn unsubscribe(&mut self, conn: ConnId, id: Option<Id>) {
        self.subscriptions.remove(&conn);
        self.reply(conn, id, Ok(Data::Empty(EmptyData {})));
    }

    fn snapshot(&self, requester: &Owner, subscription: &Subscription) -> (Vec<View>, Option<Name>) {
        let views = self.workers.values().map(|worker| worker.view(self.owns(requester, worker)));
        page(views.filter(|view| subscription.wants_worker(view)), usize::MAX, SNAPSHOT_BYTES)
    }

    pub(crate) fn fan_out(&mut self, kept: &Kept) {
        let event = &kept.event;
        let (mut owned, mut others) = (Vec::new(), Vec::new());
        for (id, subscription) in &mut self.subscriptions {
            let Some(conn) = self.conns.get_mut(id).filter(|_| subscription.wants(event)) else { continue };
            match &mut subscription.mode {
                Mode::Live if conn.queued < WINDOW => {
                    conn.queued += 1;
                    let group = if is_owned(kept, &conn.who.owner) { &mut owned } else { &mut others };
                    group.push(*id);
                }
                Mode::Live => {
                    subscription.mode = Mode::Lagging(1);
                    self.counters.lagged_events += 1;
                }
                Mode::Lagging(missed) => {
                    *missed += 1;
                    self.counters.lagged_events += 1;
                }
                Mode::Replaying(_) => {}
            }
        }
        if !(owned.is_empty() && others.is_empty()) {
            self.out.push(Effect::Publish { event: Rc::clone(event), owned, others });
        }
    }

    /// Events left the ring: who still had to get one of them misses that one and all that followed it, the newest
    /// event excepted, which is still to be fanned out.
    pub(crate) fn overtake(&mut self, gone: &[Rc<Event>]) {
        let Some(last) = gone.last().map(|event| event.seq) else { return };
        for subscription in self.subscriptions.values_mut() {
            let Mode::Replaying(next) = subscription.mode else { continue };
            if next > last {
                continue;
            }
            let newest = self.ring.seq();
            let kept = (last + 1..newest).filter_map(|seq| self.ring.get(seq)).map(|kept| &kept.event);
            let missed = gone.iter().filter(|event| (next..newest).contains(&event.seq)).chain(kept);
            let missed = missed.filter(|event| subscription.wants(event)).count() as u64;
            self.counters.lagged_events += missed;
            subscription.mode = Mode::Lagging(missed);
        }
    }

    /// The shell wrote event frames of this connection.
    pub(crate) fn written(&mut self, conn: ConnId, frames: u32) {
        let owner = self.requester(conn);
        let Some(state) = self.conns.get_mut(&conn) else { return };
        state.queued = state.queued.saturating_sub(frames);
        let Some(subscription) = self.subscriptions.get_mut(&conn) else { return };
        match subscription.mode {
            Mode::Live => {}
            Mode::Replaying(_) => self.replay(conn),
            // The snapshot may be large: only a queue that was read to its end gets one.
            Mode::Lagging(missed) if state.queued < WINDOW / 16 => {
                subscription.mode = Mode::Live;
                state.queued += 1;
                let subscription = subscription.clone();
                let (workers, next) = self.snapshot(&owner, &subscription);
                let frame = Lagged { event: EventKind::Lagged, missed, seq: self.ring.seq(), workers, next };
                self.out.push(Effect::Lagged { conn, frame: Box::new(frame) });
            }
            Mode::Lagging(_) => {}
        }
    }

    /// Fills the queue of a subscriber that still gets old events.
    fn replay(&mut self, conn: ConnId) {
        let Some(state) = self.conns.get_mut(&conn) else { return };
        let Some(subscription) = self.subscriptions.get_mut(&conn) else { return };
        while let Mode::Replaying(next) = subscription.mode {
            let Some(kept) = self.ring.get(next) else {
                // `overtake` sees to it that what is not there is still to come.
                subscription.mode = Mode::Live;
                break;
            };
            if subscription.wants(&kept.event) {
                if state.queued >= WINDOW {
                    break;
                }
                state.queued += 1;
                let owns = is_owned(kept, &state.who.owner);
                let (owned, others) = if owns { (vec![conn], vec![]) } else { (vec![], vec![conn]) };
                self.out.push(Effect::Publish { event: Rc::clone(&kept.event), owned, others });
            }
            subscription.mode = Mode::Replaying(next + 1);
        }
    }
}

/// Whether the requester may manage the event's worker as it was then.
fn is_owned(kept: &Kept, requester: &Owner) -> bool {
    kept.event.worker.as_ref().is_some_and(|view| {
        let title = Title { owner: &view.owner, last: kept.last_owner.as_ref() };
        view.state != gob_protocol::State::External && title.may_manage(requester)
    })
}
