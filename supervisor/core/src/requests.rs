//! What each request means. Reads answer at once; what takes time leaves a waiter with its worker.

use crate::io::{ConnId, Effect, RunKey};
use crate::owner::owned_by_other;
use crate::worker::{Phase, Worker};
use crate::{ConnId as Conn, Core};
use alloc::boxed::Box;
use alloc::format;
use alloc::string::{String, ToString};
use alloc::sync::Arc;
use alloc::vec::Vec;
use gob_protocol::answer::{HelloData, ListData, PingData, RemovedData, ServerInfo, WorkerData};
use gob_protocol::limits::{PAGE_BYTES, PROTOCOL};
use gob_protocol::request::{Hello, List, Signal};
use gob_protocol::view::{LeaseHolder, State};
use gob_protocol::{Data, ErrorCode, EventKind, Id, Name, Owner, Request, Status, View, WireError};

impl Core {
    pub(crate) fn request(&mut self, conn: ConnId, id: Option<Id>, request: Request) {
        self.counters.requests += 1;
        if self.ending.is_some() && changes_workers(&request) {
            let error = WireError::new(ErrorCode::ShuttingDown, "the supervisor is on its way out")
                .hint("try again in a moment: the next request starts a new one");
            return self.reply(conn, id, Err(Box::new(error)));
        }
        let answer = match request {
            Request::Start(start) => return self.start(conn, id, start),
            Request::Stop(stop) => return self.stop(conn, id, &stop),
            Request::Restart(restart) => return self.restart(conn, id, restart),
            Request::Nuke(force) => return self.end(conn, id, force.force, true),
            Request::Shutdown(force) => return self.end(conn, id, force.force, false),
            Request::Subscribe(filter) => return self.subscribe(conn, id, filter),
            Request::Unsubscribe => return self.unsubscribe(conn, id),
            Request::Graphs => return self.find_graphs(conn, id, None),
            Request::GraphDelete(which) => return self.find_graphs(conn, id, Some(which)),
            Request::Reload => return self.reload(Some((conn, id))),
            Request::Status => {
                let status = Box::new(self.status());
                return self.out.push(Effect::ReplyStatus { conn, id, status });
            }
            Request::Hello(hello) => self.hello(conn, hello),
            Request::Ping => Ok(Data::Ping(PingData { pong: true, uptime_ms: self.now.mono_ms })),
            Request::Signal(signal) => match self.signal(conn, &signal) {
                // The shell sends it, and says whether it could.
                Ok((key, signal)) => {
                    let asked_by = Some((conn, id));
                    return self.out.push(Effect::Signal { key, signal, asked_by });
                }
                Err(error) => Err(error),
            },
            Request::HandOver(to) => self.hand_over(conn, &to.name, to.to),
            Request::Lease(which) => self.lease(conn, &which.name),
            Request::Release(which) => self.release(conn, &which.name),
            Request::List(filter) => Ok(self.list(conn, &filter)),
            Request::Get(which) => self.answer_view(conn, &which.name),
            Request::Remove(which) => self.remove(conn, &which.name),
            Request::Cleanup => Ok(self.cleanup(conn)),
        };
        self.reply(conn, id, answer);
    }

    fn hello(&mut self, conn: Conn, hello: Hello) -> Result<Data, Box<WireError>> {
        if hello.protocol != PROTOCOL {
            let message = format!("you speak protocol {}, this supervisor speaks {PROTOCOL}", hello.protocol);
            // What would mend it speaks another protocol too, and would be refused as this is.
            let server = &self.config.server;
            let hint = format!(
                "use the gobctl of its version, {}, or end it in order, its workers too: kill -TERM {}; the next command starts the gobd that is installed",
                server.version, server.pid
            );
            let details = serde_json::json!({"client": hello.protocol, "server": PROTOCOL});
            return Err(Box::new(
                WireError::new(ErrorCode::VersionMismatch, message).hint(hint).details(details),
            ));
        }
        let state = self.conns.get_mut(&conn).ok_or_else(gone)?;
        if state.said_hello {
            let message = "hello was said already; it binds a connection once";
            let details = serde_json::json!({"field": "type", "position": 0});
            return Err(Box::new(WireError::new(ErrorCode::InvalidRequest, message).details(details)));
        }
        state.said_hello = true;
        let owner = hello.owner.unwrap_or_else(Owner::unknown);
        let client = hello.client.map(|client| client.name.into());
        state.who = Arc::new(LeaseHolder { owner: owner.clone(), client, pid: state.who.pid });
        let config_invalid = self.config.rejected.iter().map(|file| file.path.clone()).collect();
        let server = ServerInfo { config_invalid, ..self.config.server.clone() };
        Ok(Data::Hello(Box::new(HelloData { protocol: PROTOCOL, server, owner, features: Vec::new() })))
    }

    fn list(&self, conn: Conn, filter: &List) -> Data {
        let requester = self.requester(conn);
        let wanted = |worker: &&Worker| {
            filter.owner.as_ref().is_none_or(|owner| owner == worker.title_now().owner)
                && filter.kind.as_ref().is_none_or(|kind| **kind == *worker.kind_name)
                && filter.state.is_none_or(|state| state == worker.state())
                && (filter.cwd.is_none() || filter.cwd.as_deref() == worker.shown.cwd.as_deref())
        };
        let after = |worker: &&Worker| filter.after.as_ref().is_none_or(|after| worker.name > *after);
        let views = self.workers.values().filter(after).filter(wanted);
        let views = views.map(|worker| worker.view(self.owns(&requester, worker)));
        let most = filter.limit.and_then(|limit| usize::try_from(limit).ok()).unwrap_or(usize::MAX);
        let (workers, next) = page(views, most, PAGE_BYTES);
        Data::List(ListData { workers, next })
    }

    /// The run that is meant, and the signal's name.
    fn signal(&self, conn: Conn, signal: &Signal) -> Result<(RunKey, String), Box<WireError>> {
        let worker = self.managed(conn, &signal.name)?;
        let name = gob_protocol::signal::parse(&signal.signal).ok_or_else(|| {
            let message = format!("{:?} is not a signal", signal.signal);
            let details = serde_json::json!({"field": "payload.signal", "position": 0});
            Box::new(
                WireError::new(ErrorCode::InvalidRequest, message)
                    .hint("such as HUP, SIGUSR1 or 15")
                    .details(details),
            )
        })?;
        if matches!(worker.phase, Phase::External(_)) {
            return Err(not_ours(worker));
        }
        if worker.pid().is_none() {
            return Err(not_running(worker));
        }
        Ok((worker.key(), name))
    }

    /// What the client is told of its signal.
    pub(crate) fn signal_sent(
        &self,
        key: &RunKey,
        signal: &str,
        conn: Conn,
        errno: Option<String>,
    ) -> Result<Data, Box<WireError>> {
        let Some(errno) = errno else { return self.answer_view(conn, &key.name) };
        let pid = self.workers.get(&key.name).and_then(Worker::pid).unwrap_or(0);
        let message =
            format!("{signal} could not be sent to {} (pid {pid}): {errno}, it is another user's", key.name);
        Err(Box::new(
            WireError::new(ErrorCode::PermissionDenied, message)
                .hint(format!("sudo kill -{} {pid}", signal.trim_start_matches("SIG")))
                .details(serde_json::json!({"pid": pid, "errno": errno})),
        ))
    }

    fn hand_over(&mut self, conn: Conn, name: &Name, to: Owner) -> Result<Data, Box<WireError>> {
        let worker = self.managed(conn, name)?;
        if matches!(worker.phase, Phase::External(_)) {
            return Err(not_ours(worker));
        }
        self.change_owner(name, to, self.actor(conn));
        self.answer_view(conn, name)
    }

    /// Makes somebody the owner and says so.
    pub(crate) fn change_owner(&mut self, name: &Name, to: Owner, actor: gob_protocol::Actor) {
        let Some(worker) = self.workers.get_mut(name) else { return };
        if worker.set_owner(to) {
            // The new owner has lost no lease yet: it may never have had one.
            self.timers.cancel(&crate::Timer::Lease(name.clone()));
            self.publish(EventKind::WorkerOwnerChanged, actor, Some(name));
        }
    }

    fn remove(&mut self, conn: Conn, name: &Name) -> Result<Data, Box<WireError>> {
        let worker = self.managed(conn, name)?;
        if worker.state().is_live() {
            let message = format!("cannot remove {name}: it is up ({})", worker.state());
            let hint = format!("stop it first: gobctl stop {}", name.as_argument());
            let error = WireError::new(ErrorCode::ServerRunning, message).hint(hint).details(about(name));
            return Err(Box::new(error));
        }
        self.forget(name, conn);
        Ok(Data::Removed(RemovedData { removed: alloc::vec![name.clone()] }))
    }

    fn cleanup(&mut self, conn: Conn) -> Data {
        let requester = self.requester(conn);
        let down = self.workers.values().filter(|worker| {
            !worker.state().is_live()
                && !matches!(worker.phase, Phase::Backoff)
                && worker.title().may_manage(&requester)
        });
        let removed: Vec<Name> = down.map(|worker| worker.name.clone()).collect();
        for name in &removed {
            self.forget(name, conn);
        }
        Data::Removed(RemovedData { removed })
    }

    pub(crate) fn forget(&mut self, name: &Name, conn: Conn) {
        let actor = self.actor(conn);
        self.rest(name, &actor);
        self.publish(EventKind::WorkerRemoved, actor, Some(name));
        self.timers.cancel(&crate::Timer::Lease(name.clone()));
        if let Some(gone) = self.workers.remove(name) {
            self.graphs.remove(&(gone.graph, gone.root_dir));
            // Somebody may still be looking at its last run; what they find must not be taken for another one's.
            self.config.last_runs.insert(gone.name, gone.run);
        }
        self.out.push(Effect::Forget { name: name.clone() });
    }

    pub(crate) fn status(&self) -> Status {
        let mut workers = alloc::collections::BTreeMap::<String, u64>::new();
        for worker in self.workers.values() {
            *workers.entry(worker.state().as_str().to_string()).or_default() += 1;
        }
        let server = &self.config.server;
        Status {
            version: server.version.clone(),
            pid: server.pid,
            instance: server.instance.clone(),
            uptime_ms: self.now.mono_ms,
            protocol: PROTOCOL,
            workers,
            connections: self.conns.len() as u64,
            subscribers: self.subscriptions.len() as u64,
            requests: self.counters.requests,
            events_seq: self.ring.seq(),
            lagged_events: self.counters.lagged_events,
            spawn_failures: self.counters.spawn_failures,
            restarts: self.counters.restarts,
            orphans_recovered: self.config.orphans_recovered,
            healed: self.counters.healed,
            dirs: server.dirs.clone(),
            config: self.config_status(),
            ..Status::default()
        }
    }

    pub(crate) fn requester(&self, conn: Conn) -> Owner {
        self.conns.get(&conn).map_or_else(Owner::unknown, |conn| conn.who.owner.clone())
    }

    /// Whether this requester may manage this worker, as `owned` says it. What is not ours nobody owns.
    pub(crate) fn owns(&self, requester: &Owner, worker: &Worker) -> bool {
        !matches!(worker.phase, Phase::External(_)) && worker.title().may_manage(requester)
    }

    pub(crate) fn view_for(&self, conn: Conn, worker: &Worker) -> View {
        worker.view(self.owns(&self.requester(conn), worker))
    }

    pub(crate) fn answer_view(&self, conn: Conn, name: &Name) -> Result<Data, Box<WireError>> {
        let worker = self.workers.get(name).ok_or_else(|| not_found(name))?;
        Ok(Data::Worker(Box::new(WorkerData { worker: self.view_for(conn, worker) })))
    }

    /// The worker, if it exists and the requester may manage it.
    pub(crate) fn managed(&self, conn: Conn, name: &Name) -> Result<&Worker, Box<WireError>> {
        let worker = self.workers.get(name).ok_or_else(|| not_found(name))?;
        let requester = self.requester(conn);
        if worker.title_now().may_manage(&requester) {
            Ok(worker)
        } else {
            Err(owned_by_other(worker, &requester))
        }
    }
}

/// Requests that a supervisor on its way out does not take any more.
fn changes_workers(request: &Request) -> bool {
    match request {
        Request::Start(_)
        | Request::Restart(_)
        | Request::Lease(_)
        | Request::Remove(_)
        | Request::GraphDelete(_)
        | Request::Cleanup => true,
        Request::Nuke(_) | Request::Shutdown(_) | Request::Reload | Request::HandOver(_) => true,
        Request::Hello(_) | Request::Ping | Request::Stop(_) | Request::Signal(_) | Request::Release(_) => {
            false
        }
        Request::List(_)
        | Request::Get(_)
        | Request::Graphs
        | Request::Subscribe(_)
        | Request::Unsubscribe
        | Request::Status => false,
    }
}

pub(crate) fn not_found(name: &Name) -> Box<WireError> {
    let error = WireError::new(ErrorCode::ServerNotFound, format!("there is no worker {name}"));
    Box::new(error.hint("see what there is: gobctl list").details(about(name)))
}

fn not_running(worker: &Worker) -> Box<WireError> {
    let name = &worker.name;
    let message = format!("cannot signal {name}: it is {}", worker.state());
    let error = WireError::new(ErrorCode::ServerNotRunning, message).details(about(name));
    let name = name.as_argument();
    let hint = if worker.state() == State::Backoff {
        format!("it is started again by itself; at once with gobctl start {name}")
    } else {
        format!("start it: gobctl start {name}")
    };
    Box::new(error.hint(hint))
}

/// The details of a refusal that is about one worker.
fn about(name: &Name) -> serde_json::Value {
    serde_json::json!({"worker": name})
}

pub(crate) fn not_ours(worker: &Worker) -> Box<WireError> {
    let name = &worker.name;
    let Phase::External(holder) = &worker.phase else { return not_running(worker) };
    let message = format!("{name} is held by pid {} ({}), which gob did not start", holder.pid, holder.path);
    let hint = format!("ask the program that started it to stop it; see gobctl who {}", name.as_argument());
    let details = serde_json::json!({"pid": holder.pid, "owner": holder.owner.as_str(), "path": holder.path});
    Box::new(WireError::new(ErrorCode::ServerLockedByExternal, message).hint(hint).details(details))
}

fn gone() -> Box<WireError> {
    Box::new(WireError::new(ErrorCode::Internal, "the connection is not known to the supervisor"))
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
