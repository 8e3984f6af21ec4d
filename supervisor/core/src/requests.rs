//! The meaning of each request. Reads answer at once; what takes time leaves a waiter with its worker.

use crate::blocked;
use crate::conns::Caller;
use crate::history;
use crate::io::Effect;
use crate::owner::may_force;
use crate::ports;
use crate::queue;
use crate::refusals;
use crate::state::Core;
use crate::worker::Worker;
use alloc::boxed::Box;
use alloc::vec::Vec;
use gob_protocol::State;
use gob_protocol::answer::{EmptyData, HelloData, PingData, RemovedData, ServerInfo};
use gob_protocol::limits::PROTOCOL;
use gob_protocol::request::{Force, HandOver, Hello, Restart, Signal, Stop};
use gob_protocol::{Data, Name, Owner, Request, WireError};

/// Additions to version 1.0 of the protocol, by name.
const FEATURES: [&str; 4] = ["jobs", "locks", "queue", "upgrade"];
/// The addition that is there where a database is configured that several machines share.
const SHARED: &str = "shared";

type Answer = Result<Data, Box<WireError>>;

/// Matches requests about the queue that a supervisor on its way out does not take any more.
macro_rules! queue_change {
    () => {
        Request::QueueAdd(_)
            | Request::QueueClaim(_)
            | Request::QueueCancel(_)
            | Request::QueueRetry(_)
            | Request::QueuePause(_)
            | Request::QueueResume(_)
            | Request::QueueClear(_)
            | Request::QueueWidth(_)
            | Request::ScheduleAdd(_)
            | Request::ScheduleRemove(_)
    };
}

/// Matches the other requests about the queue: a worker outside may say to the last what became of its job.
macro_rules! queue_report {
    () => {
        Request::QueueHeartbeat(_)
            | Request::QueueFinish(_)
            | Request::QueueGet(_)
            | Request::QueueList(_)
            | Request::ScheduleList(_)
    };
}

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
            Request::Runs(_)
            | Request::RunsDelete(_)
            | Request::Stats(_)
            | Request::Blame(_)
            | Request::History(_) => return self.ask(caller, request),
            queue_change!() | queue_report!() => return queue::request(self, caller, request),
            Request::Ports(which) => {
                return ports::ask(caller, which, &self.workers, &mut self.underway, &mut self.cx);
            }
            Request::LockAcquire(_)
            | Request::LockRelease(_)
            | Request::LockStatus(_)
            | Request::LockBreak(_) => {
                return self.locks.request(caller, request, &mut self.underway, &mut self.cx);
            }
            Request::Stop(stop) => return self.stop(caller, &stop),
            Request::Restart(restart) => return self.restart(caller, restart),
            Request::Nuke(force) => return self.end_all(caller, force, true),
            Request::Shutdown(force) => return self.end_all(caller, force, false),
            Request::Upgrade(to) => return self.upgrade.ask(caller, to, &self.workers, &mut self.cx),
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
            Request::Get(which) => {
                history::look_for_durations(&which.name, &mut self.workers, &mut self.underway, &mut self.cx);
                self.view_of(caller, &which.name)
            }
            Request::Remove(which) => self.remove(caller, &which.name),
            Request::Cleanup => Ok(self.cleanup(caller)),
        };
        self.cx.answer(caller, answer);
    }

    fn stop(&mut self, caller: &Caller, stop: &Stop) {
        match self.managed(caller, &stop.name) {
            Ok((worker, cx)) => worker.stop(caller, stop, cx),
            Err(error) => self.cx.answer(caller, Err(error)),
        }
    }

    fn restart(&mut self, caller: &Caller, restart: Restart) {
        let name = restart.name.clone();
        match self.managed(caller, &name) {
            Ok((worker, cx)) if worker.spec.queued().is_some() => {
                cx.answer(caller, Err(refusals::of_the_queue(&worker.name)));
            }
            Ok((worker, cx)) => {
                worker.restart(caller, restart, cx);
                history::has_begun(&name, &mut self.workers, &mut self.underway, &mut self.cx);
            }
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
        let mut features = FEATURES.to_vec();
        if self.cx.setup.settings.shared.is_some() {
            features.push(SHARED);
            features.sort_unstable();
        }
        Ok(Data::Hello(Box::new(HelloData {
            protocol: PROTOCOL,
            server,
            owner,
            features: features.into_iter().map(Into::into).collect(),
        })))
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
        // The store knows the job's owner, who would stay the one to cancel it.
        if worker.spec.queued().is_some() {
            return Err(refusals::stays_with_its_owner(&name));
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
            // The logs of a job of the queue stay with it.
            if self.lanes.has_ended(name) {
                self.lanes.rises(name);
                queue::is_not_listed(self, name, caller.actor());
            } else {
                self.forget(name, caller.actor());
            }
        }
        Data::Removed(RemovedData { removed })
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
        if nuke && !force.force {
            queue::counts_unfinished(self);
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
        Request::Upgrade(_) => true,
        queue_change!() => true,
        queue_report!() => false,
        // What is held is held until the end.
        Request::LockAcquire(asked) => asked.token.is_none(),
        Request::LockRelease(_) | Request::LockStatus(_) | Request::LockBreak(_) => false,
        Request::Hello(_) | Request::Ping | Request::Stop(_) | Request::Signal(_) | Request::Release(_) => {
            false
        }
        Request::List(_)
        | Request::Get(_)
        | Request::Runs(_)
        | Request::Stats(_)
        | Request::Blame(_)
        | Request::History(_)
        | Request::Ports(_)
        | Request::Graphs
        | Request::Subscribe(_)
        | Request::Unsubscribe
        | Request::Status => false,
    }
}
