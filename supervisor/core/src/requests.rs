//! The meaning of each request. Reads answer at once; what takes time leaves a waiter with its worker.

use crate::adds;
use crate::blocked;
use crate::chronicle::{NoAnswer, Question, Stored};
use crate::conns::Caller;
use crate::history;
use crate::ids::RunKey;
use crate::io::Effect;
use crate::news::wants_worker;
use crate::owner::may_force;
use crate::refusals;
use crate::starts::resolve;
use crate::state::Core;
use crate::underway::{Adding, Asker};
use crate::worker::Worker;
use alloc::boxed::Box;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use gob_protocol::answer::{
    CreateData, EmptyData, HelloData, ListData, PingData, RemovedData, ServerInfo, SubscribeData, WorkerData,
};
use gob_protocol::limits::{MAX_SURVIVORS, PAGE_BYTES, PROTOCOL, SNAPSHOT_BYTES};
use gob_protocol::request::{Add, Force, HandOver, Hello, List, Restart, Signal, Start, Stop, Subscribe};
use gob_protocol::view::State;
use gob_protocol::{
    Data, EventKind, Lagged, Leftover, Name, Owner, Request, Status, Survivor, View, WireError,
};

type Answer = Result<Data, Box<WireError>>;

impl Core {
    /// Takes a request.
    pub(crate) fn request(&mut self, caller: &Caller, request: Request) {
        self.cx.tally.requests += 1;
        if self.cx.leaving.is_on() && changes_workers(&request) {
            return self.cx.answer(caller, Err(refusals::shutting_down()));
        }
        let ban = self.conns.take_ban(caller.conn);
        let judged = ban.map(|ban| blocked::judge(&ban, caller, &request, &mut self.workers, &mut self.cx));
        if let Some(Err(error)) = judged {
            return self.cx.answer(caller, Err(error));
        }
        let answer = match request {
            Request::Start(start) => return self.start(caller, start),
            Request::Add(add) => return self.add(caller, *add, true),
            Request::Create(add) => return self.add(caller, *add, false),
            Request::Runs(_) | Request::RunsDelete(_) | Request::Stats(_) | Request::Blame(_) => {
                return self.ask(caller, request);
            }
            Request::Stop(stop) => return self.stop(caller, &stop),
            Request::Restart(restart) => return self.restart(caller, restart),
            Request::Nuke(force) => return self.end_all(caller, force, true),
            Request::Shutdown(force) => return self.end_all(caller, force, false),
            Request::Subscribe(filter) => return self.subscribe(caller, filter),
            Request::Unsubscribe => {
                self.cx.news.unsubscribe(caller.conn);
                Ok(Data::Empty(EmptyData {}))
            }
            Request::Graphs => return self.find_graphs(caller, None),
            Request::GraphDelete(which) => return self.find_graphs(caller, Some(which)),
            Request::Reload => return self.reload(Some((caller.conn, caller.id.clone()))),
            Request::Status => {
                let (conn, id, status) = (caller.conn, caller.id.clone(), Box::new(self.status()));
                return self.cx.push(Effect::ReplyStatus { conn, id, status });
            }
            Request::Hello(hello) => self.hello(caller, hello),
            Request::Ping => Ok(Data::Ping(PingData { pong: true, uptime_ms: self.cx.uptime_ms() })),
            // The shell sends it, and says whether it could.
            Request::Signal(signal) => match self.signal(caller, &signal) {
                Ok(effect) => return self.cx.push(effect),
                Err(error) => Err(error),
            },
            Request::HandOver(to) => self.hand_over(caller, to),
            Request::Lease(which) => self.lease(caller, &which.name),
            Request::Release(which) => self.release(caller, &which.name),
            Request::List(filter) => Ok(self.list(caller.owner(), &filter)),
            Request::Get(which) => self.view_of(caller, &which.name),
            Request::Remove(which) => self.remove(caller, &which.name),
            Request::Cleanup => Ok(self.cleanup(caller)),
        };
        self.cx.answer(caller, answer);
    }

    fn start(&mut self, caller: &Caller, start: Start) {
        match resolve(&start, caller.owner(), &caller.actor(), &mut self.workers, &mut self.cx) {
            Err(error) => self.cx.answer(caller, Err(error)),
            Ok(name) => {
                self.conns.involve(caller.conn, &name);
                if let Some(worker) = self.workers.get_mut(&name) {
                    worker.start(caller, start, &mut self.cx);
                }
            }
        }
    }

    /// `add`, which `runs` the job too, and `create`. One that needs a number waits where none is left.
    fn add(&mut self, caller: &Caller, add: Add, runs: bool) {
        if adds::needs_number(&add, &self.workers) {
            history::look_for_numbers(&mut self.underway, &mut self.cx);
            if self.cx.past.numbers_left() == 0 {
                let (conn, id) = (caller.conn, caller.id.clone());
                return self.underway.waits(Adding { conn, id, add, runs });
            }
        }
        let job = adds::resolve(&add, caller.owner(), &caller.actor(), &mut self.workers, &mut self.cx);
        let (name, created) = match job {
            Ok(found) => found,
            Err(error) => return self.cx.answer(caller, Err(error)),
        };
        self.conns.involve(caller.conn, &name);
        let Add { env, wait, lease, .. } = add;
        match self.workers.get_mut(&name) {
            Some(worker) if runs => {
                worker.start(caller, Start { env, wait, lease, ..Start::default() }, &mut self.cx);
            }
            Some(worker) => {
                let worker = worker.view_for(caller.owner());
                let data = Data::Create(Box::new(CreateData { worker, created }));
                self.cx.answer(caller, Ok(data));
            }
            None => {}
        }
    }

    /// Asks the store what a request asks.
    #[expect(clippy::wildcard_enum_match_arm, reason = "the other requests are not about the history")]
    fn ask(&mut self, caller: &Caller, request: Request) {
        let question = match request {
            Request::Runs(runs) => history::runs(runs, &self.workers),
            Request::RunsDelete(delete) => history::delete(delete, caller, &self.workers),
            Request::Stats(which) => history::stats(which.name, &self.workers),
            Request::Blame(blame) => history::blame(blame, &self.workers),
            _other => return,
        };
        match question {
            Err(error) => self.cx.answer(caller, Err(error)),
            Ok(question) => {
                let asker = Asker::Client(caller.conn, caller.id.clone());
                let effect = self.underway.asks(asker, question);
                self.cx.push(effect);
            }
        }
    }

    /// The store has answered, or does not.
    pub(crate) fn stored(&mut self, ticket: u64, answer: Result<Stored, NoAnswer>) {
        let Some(asked) = self.underway.answered(ticket) else { return };
        match asked.asker {
            Asker::Client(conn, id) => {
                if let (Question::DeleteRun { name, run }, Ok(Stored::Deleted(true))) =
                    (&asked.question, &answer)
                {
                    self.cx.push(Effect::ForgetRun(RunKey { name: name.clone(), run: *run }));
                }
                if let Some(caller) = self.conns.caller(conn, id) {
                    self.cx.answer(&caller, history::told(&asked.question, answer));
                }
            }
            Asker::Numbers => {
                history::take_numbers(&answer, &mut self.cx);
                for Adding { conn, id, add, runs } in self.underway.take_adds() {
                    if let Some(caller) = self.conns.caller(conn, id) {
                        self.add(&caller, add, runs);
                    }
                }
            }
        }
    }

    fn stop(&mut self, caller: &Caller, stop: &Stop) {
        match self.managed(caller, &stop.name) {
            Ok((worker, cx)) => worker.stop(caller, stop, cx),
            Err(error) => self.cx.answer(caller, Err(error)),
        }
    }

    fn restart(&mut self, caller: &Caller, restart: Restart) {
        match self.managed(caller, &restart.name.clone()) {
            Ok((worker, cx)) => worker.restart(caller, restart, cx),
            Err(error) => self.cx.answer(caller, Err(error)),
        }
    }

    fn hello(&mut self, caller: &Caller, hello: Hello) -> Answer {
        let server = &self.cx.setup.server;
        if hello.protocol != PROTOCOL {
            return Err(refusals::version_mismatch(hello.protocol, server));
        }
        let owner = hello.owner.unwrap_or_else(Owner::unknown);
        if !self.conns.hello(caller.conn, owner.clone(), hello.client.map(|client| client.name)) {
            return Err(refusals::hello_twice());
        }
        self.cx.news.speaks_for(caller.conn, &owner);
        let config_invalid = self.cx.setup.rejected.iter().map(|file| file.path.clone()).collect();
        let server = ServerInfo { config_invalid, ..server.clone() };
        Ok(Data::Hello(Box::new(HelloData {
            protocol: PROTOCOL,
            server,
            owner,
            features: alloc::vec!["jobs".into()],
        })))
    }

    fn list(&self, requester: &Owner, filter: &List) -> Data {
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

    fn view_of(&self, caller: &Caller, name: &Name) -> Answer {
        let worker = self.workers.get(name).ok_or_else(|| refusals::not_found(name))?;
        Ok(Data::Worker(Box::new(WorkerData { worker: worker.view_for(caller.owner()) })))
    }

    fn signal(&mut self, caller: &Caller, signal: &Signal) -> Result<Effect, Box<WireError>> {
        let (worker, _) = self.managed(caller, &signal.name)?;
        let word = gob_protocol::signal::parse(&signal.signal)
            .ok_or_else(|| refusals::not_a_signal(&signal.signal))?;
        if let Some(holder) = worker.holder() {
            return Err(refusals::not_ours(&worker.name, holder));
        }
        if worker.pid().is_none() {
            return Err(refusals::not_running(&worker.name, worker.state()));
        }
        let key = worker.key();
        Ok(self.underway.signals(key, word, caller.conn, caller.id.clone()))
    }

    /// The shell has sent a signal, or could not.
    pub(crate) fn signal_sent(&mut self, caller: &Caller, name: &Name, signal: &str, errno: Option<&str>) {
        let pid = self.workers.get(name).and_then(Worker::pid).unwrap_or(0);
        let answer = match errno {
            None => self.view_of(caller, name),
            Some(errno) => Err(refusals::signal_refused(name, pid, signal, errno)),
        };
        self.cx.answer(caller, answer);
    }

    fn hand_over(&mut self, caller: &Caller, HandOver { name, to }: HandOver) -> Answer {
        let (worker, cx) = self.managed(caller, &name)?;
        if let Some(holder) = worker.holder() {
            return Err(refusals::not_ours(&name, holder));
        }
        worker.pass_to(to, caller.actor(), cx);
        self.view_of(caller, &name)
    }

    fn lease(&mut self, caller: &Caller, name: &Name) -> Answer {
        let worker = self.workers.get_mut(name).ok_or_else(|| refusals::not_found(name))?;
        self.conns.involve(caller.conn, name);
        worker.lease(caller, &mut self.cx);
        self.view_of(caller, name)
    }

    fn release(&mut self, caller: &Caller, name: &Name) -> Answer {
        let worker = self.workers.get_mut(name).ok_or_else(|| refusals::not_found(name))?;
        worker.give_back(caller.conn, caller.actor(), &mut self.cx);
        self.view_of(caller, name)
    }

    fn remove(&mut self, caller: &Caller, name: &Name) -> Answer {
        let state = self.managed(caller, name)?.0.state();
        if state.is_live() {
            return Err(refusals::cannot_remove(name, state));
        }
        self.forget(name, caller.actor());
        Ok(Data::Removed(RemovedData { removed: alloc::vec![name.clone()] }))
    }

    fn cleanup(&mut self, caller: &Caller) -> Data {
        let down = self.workers.values().filter(|worker| {
            let state = worker.state();
            !state.is_live() && state != State::Backoff && worker.title().may_manage(caller.owner())
        });
        let removed: Vec<Name> = down.map(|worker| worker.name.clone()).collect();
        for name in &removed {
            self.forget(name, caller.actor());
        }
        Data::Removed(RemovedData { removed })
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
            survivors: self.survivors(),
            dirs: server.dirs.clone(),
            config: cx.setup.config_status(),
            ..Status::default()
        }
    }

    /// Processes that could not be ended so far, as far as they are named.
    fn survivors(&self) -> Vec<Leftover> {
        let of_workers = self.workers.values().flat_map(|worker| {
            let of_it =
                |process: &Survivor| Leftover { worker: Some(worker.name.clone()), process: process.clone() };
            worker.stuck().iter().map(of_it)
        });
        self.cx.past.leftovers().iter().cloned().chain(of_workers).take(MAX_SURVIVORS).collect()
    }

    fn subscribe(&mut self, caller: &Caller, filter: Subscribe) {
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

    /// `nuke` and `shutdown`.
    fn end_all(&mut self, caller: &Caller, force: Force, nuke: bool) {
        let requester = caller.owner();
        let forced = &self.cx.setup.settings.force_owners;
        let live = self.workers.values().filter(|worker| worker.is_running());
        let others: Vec<&Worker> = live.filter(|worker| !worker.title().may_manage(requester)).collect();
        if let Some(first) = others.first()
            && !(force.force && may_force(forced, requester))
        {
            let first = *refusals::owned_by_other(&first.claimed(), requester);
            let all: Vec<_> = others.iter().map(|worker| (&worker.name, worker.owner())).collect();
            let verb = if nuke { "nuke" } else { "shutdown" };
            let error = refusals::others_live(first, &all, verb, requester, forced);
            return self.cx.answer(caller, Err(error));
        }
        self.begin_end(Some((caller.conn, caller.id.clone())), nuke, &caller.actor());
    }
}

/// Requests that a supervisor on its way out does not take any more.
fn changes_workers(request: &Request) -> bool {
    match request {
        Request::Start(_)
        | Request::Add(_)
        | Request::Create(_)
        | Request::Restart(_)
        | Request::Lease(_)
        | Request::Remove(_)
        | Request::GraphDelete(_)
        | Request::RunsDelete(_)
        | Request::Cleanup => true,
        Request::Nuke(_) | Request::Shutdown(_) | Request::Reload | Request::HandOver(_) => true,
        Request::Hello(_) | Request::Ping | Request::Stop(_) | Request::Signal(_) | Request::Release(_) => {
            false
        }
        Request::List(_)
        | Request::Get(_)
        | Request::Runs(_)
        | Request::Stats(_)
        | Request::Blame(_)
        | Request::Graphs
        | Request::Subscribe(_)
        | Request::Unsubscribe
        | Request::Status => false,
    }
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
