//! The frames that each subscriber must get (PROTOCOL 7), and the contents of each answer.

use super::harness::{Answer, Client, INSTANCE, World};
use super::shared::is_shared;
use super::wish::may_manage;
use crate::ConnId;
use gob_protocol::answer::SubscribeData;
use gob_protocol::limits::{RING_EVENTS, SUBSCRIBER_QUEUE_FRAMES};
use gob_protocol::queue::QueueJob;
use gob_protocol::request::Subscribe;
use gob_protocol::{
    Data, ErrorCode, Event, EventKind, Id, Lagged, Name, Outcome, Owner, Request, State, Status, View, Wait,
};
use std::collections::{BTreeMap, VecDeque};
use std::string::String;
use std::vec::Vec;
use std::{format, vec};

/// A subscription from the subscriber's side.
#[derive(Debug, Clone)]
pub(super) struct Watch {
    filter: Subscribe,
    /// Events that it must get next, in this order, or be told to have missed.
    due: VecDeque<u64>,
    /// How many it was told to have missed, ever.
    pub(super) missed: u64,
    /// How many it got, ever.
    pub(super) got: u64,
    /// Every worker as it knows it from a snapshot and the events since; nothing where it got no snapshot or not all events.
    model: Option<BTreeMap<Name, View>>,
}

fn by_name(views: &[View]) -> BTreeMap<Name, View> {
    views.iter().map(|view| (view.name.clone(), view.clone())).collect()
}

impl Watch {
    /// Takes an event as the client library's model does.
    fn learn(&mut self, event: &Event, owns: bool) {
        let (Some(model), Some(view)) = (&mut self.model, &event.worker) else { return };
        if event.event == EventKind::WorkerRemoved {
            model.remove(&view.name);
        } else {
            model.insert(view.name.clone(), View { owned: owns, ..view.clone() });
        }
    }

    pub(super) fn published(&mut self, event: &Event) {
        if wants(&self.filter, event) {
            self.due.push_back(event.seq);
        }
    }
}

fn wants(filter: &Subscribe, event: &Event) -> bool {
    let about_workers = filter.names.is_some() || filter.owner.is_some() || filter.cwd.is_some();
    filter.events.as_ref().is_none_or(|kinds| kinds.contains(&event.event))
        && match (&event.worker, &event.job) {
            (Some(view), _) => wants_view(filter, view),
            (None, Some(job)) => wants_job(filter, job),
            (None, None) => !about_workers,
        }
}

fn wants_view(filter: &Subscribe, view: &View) -> bool {
    filter.names.as_ref().is_none_or(|names| names.contains(&view.name))
        && filter.owner.as_ref().is_none_or(|owner| *owner == view.owner)
        && filter.cwd.as_ref().is_none_or(|cwd| Some(&**cwd) == view.cwd.as_deref())
}

fn wants_job(filter: &Subscribe, job: &QueueJob) -> bool {
    filter.names.as_ref().is_none_or(|names| names.contains(&job.id))
        && filter.owner.as_ref().is_none_or(|owner| *owner == job.owner)
        && filter.cwd.as_ref().is_none_or(|cwd| *cwd == job.cwd)
}

fn is_owned(view: &View, last: Option<&Owner>, requester: &Owner) -> bool {
    view.state != State::External && may_manage(&view.owner, last, requester)
}

impl World {
    pub(super) fn published(
        &mut self,
        event: &Event,
        owned: &[ConnId],
        others: &[ConnId],
    ) -> Result<(), String> {
        let groups = owned.iter().map(|conn| (conn, true)).chain(others.iter().map(|conn| (conn, false)));
        for (conn, owns) in &groups.collect::<Vec<_>>() {
            let client = self.clients.get_mut(conn).ok_or("an event for an ended connection")?;
            let due = client.watch.as_mut().and_then(|watch| {
                watch.got += 1;
                watch.learn(event, *owns);
                watch.due.pop_front()
            });
            ensure!(due == Some(event.seq), "{conn:?} gets event {}, its next one is {due:?}", event.seq);
            let last = usize::try_from(event.seq - 1).ok().and_then(|at| self.lasts.get(at)?.as_ref());
            let really = event.worker.as_ref().is_some_and(|view| is_owned(view, last, &client.owner));
            ensure!(*owns == really, "event {} says owned {owns} to {}", event.seq, client.owner);
            queue_frame(client)?;
        }
        Ok(())
    }

    pub(super) fn lagged(&mut self, conn: ConnId, frame: &Lagged) -> Result<(), String> {
        let seq = self.core.cx.news.seq();
        let client = self.clients.get_mut(&conn).ok_or("a lagged frame for an ended connection")?;
        let requester = client.owner.clone();
        queue_frame(client)?;
        let watch = client.watch.as_mut().ok_or("a lagged frame without a subscription")?;
        let missed = watch.due.len() as u64;
        ensure!(frame.missed == missed && missed > 0, "lagged says {}, missed {missed}", frame.missed);
        ensure!(frame.seq == seq, "lagged is as of {}, now is {seq}", frame.seq);
        watch.due.clear();
        self.seen.lagged = true;
        watch.missed += missed;
        if watch.model.is_some() {
            watch.model = Some(by_name(&frame.workers));
        }
        let filter = watch.filter.clone();
        self.check_snapshot(&filter, &requester, &frame.workers)
    }

    fn check_snapshot(&self, filter: &Subscribe, requester: &Owner, views: &[View]) -> Result<(), String> {
        let all = self.core.workers.values().map(|worker| worker.view(false));
        let wanted: Vec<_> = all.filter(|view| wants_view(filter, view)).map(|view| view.name).collect();
        let got: Vec<_> = views.iter().map(|view| view.name.clone()).collect();
        ensure!(got == wanted, "the snapshot has {got:?}, not {wanted:?}");
        views.iter().try_for_each(|view| self.check_view(view, Some(requester)))
    }

    /// One that has read nearly all has nothing to wait for.
    pub(super) fn check_watches(&self) -> Result<(), String> {
        for (conn, client) in &self.clients {
            let due = client.watch.as_ref().map_or(0, |watch| watch.due.len());
            let idle = (client.unread as usize) < SUBSCRIBER_QUEUE_FRAMES / 16;
            ensure!(due == 0 || !idle, "{conn:?} has read all but {} and waits for {due}", client.unread);
        }
        Ok(())
    }

    /// A subscriber that has got all events since its snapshot knows what `list` would tell it.
    pub(super) fn check_models(&self) -> Result<(), String> {
        for (conn, client) in &self.clients {
            let Some(watch) = client.watch.as_ref().filter(|watch| watch.due.is_empty()) else { continue };
            let Some(model) = &watch.model else { continue };
            for worker in self.core.workers.values() {
                let (view, known) = (worker.view_for(&client.owner), model.get(&worker.name));
                ensure!(known == Some(&view), "{conn:?} knows\n{known:?}\nnot\n{view:?}");
            }
            let count = self.core.workers.keys().count();
            ensure!(model.len() == count, "{conn:?} knows {} workers of {count}", model.len());
        }
        Ok(())
    }

    /// Begins to watch as the answer to a subscribe says.
    pub(super) fn begin_watch(
        &mut self,
        conn: ConnId,
        filter: Subscribe,
        data: &SubscribeData,
    ) -> Result<(), String> {
        let seq = self.core.cx.news.seq();
        ensure!(data.seq == seq && data.instance == INSTANCE, "subscribed as of {}, now is {seq}", data.seq);
        let other_life = filter.instance.as_ref().is_some_and(|life| life != INSTANCE);
        let kept = |event: u64| self.core.cx.news.get(event).is_some();
        let lost = filter.since.is_some_and(|since| since > seq || (since < seq && !kept(since + 1)));
        let is_near = |since: u64| seq - since < 500 || self.core.cx.news.has_room();
        let surely_kept = filter.since.is_some_and(|since| since <= seq && is_near(since));
        ensure!(
            !(lost && surely_kept),
            "the ring of {RING_EVENTS} forgot one of the last 500 events, or has room"
        );
        ensure!(data.gap == (other_life || lost), "gap is {} for {filter:?}", data.gap);
        ensure!(data.workers.is_some() == (data.gap || filter.snapshot), "a snapshot there or not");
        self.seen.gap |= data.gap;
        self.seen.replay |= !data.gap && filter.since.is_some_and(|since| since < seq);
        let mut watch =
            Watch { filter: filter.clone(), due: VecDeque::new(), missed: 0, got: 0, model: None };
        if let Some(since) = filter.since.filter(|_| !data.gap) {
            self.history.iter().filter(|event| event.seq > since).for_each(|event| watch.published(event));
        }
        let client = self.clients.get_mut(&conn).ok_or("subscribed without a connection")?;
        let is_whole = filter.names.is_none()
            && filter.events.is_none()
            && filter.owner.is_none()
            && filter.cwd.is_none()
            && data.next.is_none();
        // A later hello changes the `owned` of this connection's views without an event, so only one after hello is modelled.
        let said_hello = !client.owner.is_unknown();
        watch.model = data.workers.as_deref().filter(|_| is_whole && said_hello).map(by_name);
        self.seen.models |= watch.model.is_some();
        ensure!(client.watch.is_none(), "a second subscription of {conn:?}");
        client.watch = Some(watch);
        let requester = client.owner.clone();
        data.workers.as_ref().map_or(Ok(()), |views| self.check_snapshot(&filter, &requester, views))
    }

    pub(super) fn replied(&mut self, conn: ConnId, id: Option<&Id>, result: &Answer) -> Result<(), String> {
        ensure!(self.clients.contains_key(&conn), "a reply to the ended {conn:?}: {result:?}");
        let Some(Id::Number(id)) = id else { return Err(format!("a reply to {id:?}")) };
        let owed = self.owed.remove(&(conn, *id));
        let owed = owed.ok_or_else(|| format!("a reply too many to {conn:?}, {id}: {result:?}"))?;
        if let Some(request) = owed.request.as_ref().filter(|request| is_shared(request)) {
            self.shared_answer(conn, *id, request, result)?;
        }
        match result {
            Ok(Data::Start(data)) => {
                self.seen.outcomes |= 1 << data.outcome as u32;
                ensure!(Some(data.outcome) == owed.outcome, "{:?} is not {:?}", data.outcome, owed.outcome);
                ensure!(came_up(&data.worker, owed.wait), "started: {:?}", data.worker);
                ensure!(
                    data.worker.run == owed.run,
                    "run {} is not the awaited {}",
                    data.worker.run,
                    owed.run
                );
                let first =
                    data.outcome != Outcome::Started || self.runs.mark_started(&data.worker.name, owed.run);
                ensure!(first, "two are told that they started {:?}", data.worker);
            }
            Ok(Data::Stop(data)) => {
                let down =
                    matches!(data.worker.state, State::Idle | State::Failed | State::Ceded | State::External);
                let up = came_up(&data.worker, owed.wait) && data.worker.run == owed.run;
                let fits = if owed.is_stop { down } else { up };
                ensure!(fits, "answered with {:?}", data.worker);
                ensure!(data.receipt.survivors.is_empty(), "survivors of a success");
            }
            Ok(Data::Hello(data)) => {
                let client = self.clients.get_mut(&conn).ok_or("hello without a connection")?;
                client.owner = data.owner.clone();
            }
            Ok(_other) => {}
            Err(error) => {
                self.seen.errors |= 1 << error.code as u32;
                let codes = [ErrorCode::Internal, ErrorCode::Unrecognised];
                let is_able = !self.shared.may_be_unable(owed.request.as_ref());
                ensure!(!(is_able && codes.contains(&error.code)), "{error:?}");
            }
        }
        if let Ok(data) = result {
            views(data).into_iter().try_for_each(|view| self.check_view(view, Some(&owed.requester)))?;
        }
        if let (Some(Request::Subscribe(filter)), Ok(Data::Subscribe(data))) = (&owed.request, result) {
            self.begin_watch(conn, filter.clone(), data)?;
        }
        if let (Some(Request::Unsubscribe), Some(client)) = (&owed.request, self.clients.get_mut(&conn)) {
            client.watch = None;
        }
        if let Some(answers) = &mut self.answers {
            answers.insert((conn, *id), result.clone());
        }
        Ok(())
    }

    pub(super) fn told_status(
        &mut self,
        conn: ConnId,
        id: Option<&Id>,
        status: &Status,
    ) -> Result<(), String> {
        ensure!(status.connections == self.clients.len() as u64, "{} connections", status.connections);
        let watching = self.clients.values().filter(|client| client.watch.is_some()).count() as u64;
        ensure!(status.subscribers == watching, "{} subscribers", status.subscribers);
        ensure!(status.events_seq == self.history.len() as u64, "{} events", status.events_seq);
        let workers: u64 = status.workers.values().sum();
        ensure!(workers == self.core.workers.keys().count() as u64, "{workers} workers");
        let healed = self.history.iter().filter(|event| event.event == EventKind::SupervisorHealed).count();
        ensure!(status.healed == healed as u64, "healed {} times, not {healed}", status.healed);
        self.replied(conn, id, &Ok(Data::Empty(gob_protocol::answer::EmptyData {})))
    }
}

fn queue_frame(client: &mut Client) -> Result<(), String> {
    client.unread += 1;
    let bound = SUBSCRIBER_QUEUE_FRAMES;
    ensure!(client.unread as usize <= bound, "more than {bound} unread frames of a subscriber");
    Ok(())
}

fn came_up(view: &View, wait: Option<Wait>) -> bool {
    match view.state {
        State::Ready | State::Unhealthy | State::External => true,
        State::Starting => wait == Some(Wait::Spawned) && view.pid.is_some(),
        State::Idle | State::Stopping | State::Backoff | State::Failed | State::Ceded => false,
    }
}

fn views(data: &Data) -> Vec<&View> {
    match data {
        Data::Start(data) => vec![&data.worker],
        Data::Create(data) => vec![&data.worker],
        Data::Stop(data) => vec![&data.worker],
        Data::Worker(data) => vec![&data.worker],
        Data::List(data) => data.workers.iter().collect(),
        Data::Subscribe(data) => data.workers.iter().flatten().collect(),
        Data::Hello(_) | Data::Ping(_) | Data::Removed(_) | Data::Nuke(_) | Data::Shutdown(_) => vec![],
        Data::Reload(_) | Data::Status(_) | Data::Empty(_) | Data::Upgrade(_) => vec![],
        Data::Graphs(_) | Data::GraphDelete(_) => vec![],
        Data::Runs(_) | Data::RunsDelete(_) | Data::Stats(_) | Data::Blame(_) | Data::History(_) => vec![],
        Data::QueueAdd(_) | Data::QueueJob(_) | Data::QueueClaim(_) | Data::QueueList(_) => vec![],
        Data::QueueLane(_) | Data::Schedule(_) | Data::ScheduleList(_) | Data::ScheduleRemove(_) => vec![],
        Data::Ports(_) => vec![],
        Data::LockAcquire(_) | Data::LockStatus(_) | Data::LockBreak(_) => vec![],
    }
}
