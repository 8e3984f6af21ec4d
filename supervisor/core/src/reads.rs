//! Requests that show: workers, the supervisor's health, and subscriptions with their snapshots.

use crate::conns::Caller;
use crate::io::Effect;
use crate::news::wants_worker;
use crate::refusals;
use crate::state::Core;
use crate::worker::Worker;
use alloc::boxed::Box;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use gob_protocol::answer::{ListData, SubscribeData, WorkerData};
use gob_protocol::limits::{MAX_SURVIVORS, PAGE_BYTES, PROTOCOL, SNAPSHOT_BYTES};
use gob_protocol::request::{List, Subscribe};
use gob_protocol::{Data, EventKind, Lagged, Leftover, Name, Owner, Status, Survivor, View, WireError};

impl Core {
    pub(crate) fn list(&self, requester: &Owner, filter: &List) -> Data {
        let wanted = |worker: &&Worker| {
            filter.owner.as_ref().is_none_or(|owner| owner == worker.title_now().owner)
                && filter.kind.as_ref().is_none_or(|kind| **kind == *worker.spec.kind_name)
                && filter.state.is_none_or(|state| state == worker.state())
                && (filter.cwd.is_none() || filter.cwd.as_deref() == worker.shown().cwd.as_deref())
        };
        let after = |worker: &&Worker| filter.after.as_ref().is_none_or(|after| worker.name > *after);
        let views = self.workers.values().filter(after).filter(wanted);
        let views = views.map(|worker| worker.view_for(requester));
        let most = filter.limit.and_then(|limit| usize::try_from(limit).ok()).unwrap_or(usize::MAX);
        let (workers, next) = page(views, most, PAGE_BYTES);
        Data::List(ListData { workers, next })
    }

    pub(crate) fn view_of(&self, caller: &Caller, name: &Name) -> Result<Data, Box<WireError>> {
        let worker = self.workers.get(name).ok_or_else(|| refusals::not_found(name))?;
        Ok(Data::Worker(Box::new(WorkerData { worker: worker.view_for(caller.owner()) })))
    }

    pub(crate) fn status(&self) -> Status {
        let mut workers = alloc::collections::BTreeMap::<String, u64>::new();
        for worker in self.workers.values() {
            *workers.entry(worker.state().as_str().to_string()).or_default() += 1;
        }
        let cx = &self.cx;
        let server = &cx.setup.server;
        Status {
            version: server.version.clone(),
            pid: server.pid,
            instance: server.instance.clone(),
            uptime_ms: cx.uptime_ms(),
            protocol: PROTOCOL,
            workers,
            connections: self.conns.len() as u64,
            subscribers: cx.news.subscribers() as u64,
            requests: cx.tally.requests,
            events_seq: cx.news.seq(),
            lagged_events: cx.news.lagged(),
            spawn_failures: cx.tally.spawn_failures,
            restarts: cx.tally.restarts,
            orphans_recovered: cx.past.orphans_recovered(),
            healed: cx.tally.healed,
            queue_claims: cx.tally.queue_claims,
            queue_stale_recoveries: cx.tally.stale_recoveries,
            queue_heartbeat_failures: cx.tally.heartbeat_failures,
            lock_contentions: self.locks.contentions(),
            survivors: survivors(self),
            dirs: server.dirs.clone(),
            config: cx.setup.config_status(),
            ..Status::default()
        }
    }

    pub(crate) fn subscribe(&mut self, caller: &Caller, filter: Subscribe) {
        let server = &self.cx.setup.server;
        let same_life = filter.instance.as_ref().is_none_or(|life| *life == server.instance);
        let (conn, owner) = (caller.conn, caller.owner().clone());
        let Some(begun) = self.cx.news.subscribe(conn, owner, filter, same_life) else {
            return self.cx.answer(caller, Err(refusals::subscribed_already()));
        };
        let instance = self.cx.setup.server.instance.clone();
        let snapshot = if begun.with_snapshot { self.snapshot(caller) } else { None };
        let (workers, next) = snapshot.map_or((None, None), |(workers, next)| (Some(workers), next));
        let data = SubscribeData { seq: self.cx.news.seq(), instance, gap: begun.gap, workers, next };
        self.cx.answer(caller, Ok(Data::Subscribe(data)));
        self.cx.news.replay(conn, &mut self.cx.out);
    }

    /// Every worker that a subscription is about, as far as one frame has room.
    fn snapshot(&self, caller: &Caller) -> Option<(Vec<View>, Option<Name>)> {
        let filter = self.cx.news.subscription(caller.conn)?;
        let views = self.workers.values().map(|worker| worker.view_for(caller.owner()));
        Some(page(views.filter(|view| wants_worker(filter, view)), usize::MAX, SNAPSHOT_BYTES))
    }

    /// The shell wrote event frames of a connection.
    pub(crate) fn written(&mut self, caller: &Caller, frames: u32) {
        let missed = self.cx.news.written(caller.conn, frames, &mut self.cx.out);
        if let Some((missed, (workers, next))) = missed.zip(self.snapshot(caller)) {
            let frame = Lagged { event: EventKind::Lagged, missed, seq: self.cx.news.seq(), workers, next };
            self.cx.push(Effect::Lagged { conn: caller.conn, frame: Box::new(frame) });
        }
    }
}

/// Processes that could not be ended so far, as far as they are named.
fn survivors(core: &Core) -> Vec<Leftover> {
    let of_workers = core.workers.values().flat_map(|worker| {
        let of_it =
            |process: &Survivor| Leftover { worker: Some(worker.name.clone()), process: process.clone() };
        worker.stuck().iter().map(of_it)
    });
    core.cx.past.leftovers().iter().cloned().chain(of_workers).take(MAX_SURVIVORS).collect()
}

/// As many views as may be in one frame, one at least, and the name of the last one where there are more.
pub(crate) fn page(
    views: impl Iterator<Item = View>,
    most: usize,
    most_bytes: usize,
) -> (Vec<View>, Option<Name>) {
    let (mut workers, mut bytes) = (Vec::<View>::new(), 0_usize);
    for view in views {
        bytes = bytes.saturating_add(view.about_bytes());
        let is_full = workers.len() >= most.max(1) || bytes > most_bytes;
        if let Some(last) = workers.last().filter(|_| is_full) {
            let next = Some(last.name.clone());
            return (workers, next);
        }
        workers.push(view);
    }
    (workers, None)
}
