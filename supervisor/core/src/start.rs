//! `start`: which worker it means, and how it is satisfied (PROTOCOL 5, *ensure*).

use crate::io::ConnId;
use crate::plan::{graph_env, listens_anywhere, takes_socket};
use crate::requests::not_found;
use crate::worker::{Identity, Next, Phase, Shown, Then, Waiter, Waiting, Worker};
use crate::{Core, Timer};
use alloc::boxed::Box;
use alloc::format;
use alloc::sync::Arc;
use alloc::vec::Vec;
use gob_protocol::answer::StartData;
use gob_protocol::foreign::is_safe_dir;
use gob_protocol::kind::OnLastLease;
use gob_protocol::request::Start;
use gob_protocol::{Actor, Data, ErrorCode, EventKind, Id, Name, Outcome, Owner, Wait, WireError};

/// Where and how a requester waits.
pub(crate) struct Patience {
    pub(crate) wait: Wait,
    pub(crate) timeout_ms: Option<u64>,
}

impl Core {
    pub(crate) fn start(&mut self, conn: ConnId, id: Option<Id>, start: Start) {
        let (requester, actor) = (self.requester(conn), self.actor(conn));
        let name = match self.resolve(&start, &requester, &actor) {
            Ok(name) => name,
            Err(error) => return self.reply(conn, id, Err(error)),
        };
        if let Err(error) = self.find_kind(&name) {
            return self.reply(conn, id, Err(error));
        }
        if let Some(error) = self.lacks_room(&name) {
            return self.reply(conn, id, Err(error));
        }
        if start.lease {
            self.grant_lease(conn, &name);
        }
        let next = Next { owner: Some(requester.clone()), lease: Some(start.lease), actor, env: start.env };
        let outcome = self.ensure(&name, &requester, next);
        let patience = Patience { wait: start.wait.unwrap_or_default(), timeout_ms: start.timeout_ms };
        self.wait_for_run(conn, id, &name, Waiting::Start { outcome, wait: patience.wait }, &patience);
    }

    /// Why a worker that is down can't have a run now: what is left of the descriptors is kept for requests.
    pub(crate) fn lacks_room(&self, name: &Name) -> Option<Box<WireError>> {
        let worker = self.workers.get(name).filter(|_| self.no_room)?;
        let is_down = match worker.phase {
            Phase::Idle | Phase::Failed | Phase::Ceded | Phase::Backoff => true,
            Phase::External(_) | Phase::Ending(_) | Phase::Starting { .. } => false,
            Phase::Ready { .. } | Phase::Unhealthy { .. } => false,
        };
        is_down.then(|| {
            let message = format!("the supervisor has no descriptors left for a run of {name}");
            Box::new(
                WireError::new(ErrorCode::Busy, message)
                    .hint("stop some workers, or raise the hard limit of open files, then gobctl daemon stop")
                    .details(serde_json::json!({"limit": "open files"})),
            )
        })
    }

    /// Finds the worker that a start means, or adds it.
    pub(crate) fn resolve(
        &mut self,
        start: &Start,
        requester: &Owner,
        actor: &Actor,
    ) -> Result<Name, Box<WireError>> {
        let Some(name) = start.name.as_ref().or(start.graph.as_ref()) else {
            let message = "start needs a graph or a name";
            let details = serde_json::json!({"field": "payload.graph", "position": 0});
            return Err(Box::new(WireError::new(ErrorCode::InvalidRequest, message).details(details)));
        };
        let graph = start.graph.as_ref().unwrap_or(name);
        let root_dir = self.root_for(graph, start);
        let root_dir = &self.root_dirs.of(root_dir);
        let serving = self.graphs.get(&(graph.clone(), root_dir.clone()));
        // Whoever names no worker means the one that serves the graph, if it is of the kind that was asked for.
        let meant = serving.filter(|other| {
            let known = self.workers.get(other).map(|other| &*other.kind_name);
            start.name.is_none() && (start.kind.is_none() || start.kind.as_deref() == known)
        });
        // That there is no such kind comes before what else does not fit: it would not fit under another name either.
        if let Some(kind) = &start.kind
            && self.workers.get(name).is_none_or(|known| *known.kind_name != **kind)
        {
            self.kind_for(graph, Some(kind))?;
        }
        if let Some(known) = self.workers.get(name) {
            // A start that names neither graph nor root means this very worker, wherever its graph is.
            let fits = start.graph.as_ref().is_none_or(|graph| *graph == known.graph)
                && start.root_dir.as_ref().is_none_or(|root| **root == *known.root_dir)
                && start.kind.as_ref().is_none_or(|kind| **kind == *known.kind_name);
            if fits {
                return Ok(name.clone());
            }
            return meant.cloned().ok_or_else(|| conflict(known, start));
        }
        if let Some(other) = meant {
            return Ok(other.clone());
        }
        if let Some(other) = serving {
            let message = format!("the graph {graph} in {root_dir} is served by the worker {other} already");
            let hint = format!("use that one: gobctl start {}", other.as_argument());
            let details =
                serde_json::json!({"worker": other.as_str(), "graph": graph.as_str(), "root_dir": root_dir});
            return Err(Box::new(
                WireError::new(ErrorCode::GraphConflict, message).hint(hint).details(details),
            ));
        }
        if Name::graph(name.as_str()).is_err() {
            return Err(not_found(name));
        }
        self.add(name.clone(), start, root_dir.clone(), requester, actor)
    }

    fn add(
        &mut self,
        name: Name,
        start: &Start,
        root_dir: Arc<str>,
        requester: &Owner,
        actor: &Actor,
    ) -> Result<Name, Box<WireError>> {
        let graph = start.graph.as_ref().unwrap_or(&name).clone();
        let (kind_name, kind) = self.kind_for(&graph, start.kind.as_ref())?;
        let settings = &self.config.settings;
        let kind_is_open = start.kind.is_none() && settings.own_kind(graph.as_str()).is_none();
        let root_is_open = start.root_dir.is_none() && settings.own_root(graph.as_str()).is_none();
        let dir = kind.foreign.graph_dir_encoding.dir_of(&graph);
        if !is_safe_dir(&dir) {
            return Err(no_dir(&graph, &kind_name, &dir));
        }
        if takes_socket(&kind) && !listens_anywhere(&kind) && !self.config.paths.has_room_for(&name) {
            return Err(no_room(&name, &self.config.paths.runtime_dir));
        }
        let kind = self.kinds.of(kind);
        let run = self.config.last_runs.get(&name).copied().unwrap_or(0);
        let kind_name = self.kind_names.of(kind_name);
        let identity = Identity { name: name.clone(), graph, root_dir, kind_name, kind };
        let shown = Shown { created_at: self.now.wall, ..Shown::default() };
        let mut worker = Worker::new(identity, requester.clone(), run, actor.clone(), shown);
        (worker.kind_is_open, worker.root_is_open) = (kind_is_open, root_is_open);
        self.graphs.insert((worker.graph.clone(), worker.root_dir.clone()), name.clone());
        self.workers.insert(worker);
        self.publish(EventKind::WorkerAdded, actor.clone(), Some(&name));
        Ok(name)
    }

    /// Sees to it that the worker runs, and says how.
    pub(crate) fn ensure(&mut self, name: &Name, requester: &Owner, mut next: Next) -> Outcome {
        let Some(worker) = self.workers.get_mut(name) else { return Outcome::Reused };
        match &mut worker.phase {
            Phase::External(_) => Outcome::External,
            Phase::Idle | Phase::Failed | Phase::Ceded | Phase::Backoff => {
                self.begin(name, next);
                Outcome::Started
            }
            Phase::Ending(ending) => match &mut ending.then {
                Then::Start(queued) => {
                    if next.lease.is_none() && next.env.is_some() {
                        queued.env = next.env;
                    }
                    let of_next = queued.owner.clone();
                    self.reuse_next(name, of_next, requester, &next.actor)
                }
                Then::Rest | Then::Policy { .. } | Then::Fail => {
                    next.owner = next.owner.filter(|owner| *owner != worker.owner);
                    ending.then = Then::Start(Box::new(next));
                    Outcome::Started
                }
            },
            Phase::Starting { .. } | Phase::Ready { .. } | Phase::Unhealthy { .. } => {
                self.heed_idleness(name);
                self.reuse(name, requester, &next.actor)
            }
        }
    }

    /// Begins a run of a worker at rest for whoever asked for it, who owns it from here on.
    pub(crate) fn begin(&mut self, name: &Name, next: Next) {
        self.renew_kind(name);
        let Some(worker) = self.workers.get_mut(name) else { return };
        worker.actor = next.actor;
        worker.restarts = 0;
        worker.failures.clear();
        worker.lost_ports = 0;
        if let Some(owner) = next.owner
            && worker.set_owner(owner)
        {
            // The new owner has lost no lease yet: it may never have had one.
            self.timers.cancel(&Timer::Lease(name.clone()));
        }
        if let Some(env) = &next.env {
            worker.env = Some(self.envs.of(graph_env(env, &worker.kind.pass_env)));
        }
        if let Some(lease) = next.lease {
            let without_a_word = if lease { OnLastLease::Release } else { OnLastLease::Keep };
            worker.on_last_lease = worker.kind.on_last_lease.unwrap_or(without_a_word);
            if lease {
                self.heed_leases(name);
            } else {
                // Its owner has lost no lease: it never asked for one.
                self.timers.cancel(&Timer::Lease(name.clone()));
            }
        }
        self.spawn(name);
    }

    /// A reuse changes no owner, but that what nobody owns is taken over by who may.
    pub(crate) fn reuse(&mut self, name: &Name, requester: &Owner, actor: &Actor) -> Outcome {
        if self.workers.get(name).is_some_and(|worker| worker.title().may_take_over(requester)) {
            self.take_over(name, requester, actor);
            return Outcome::TakenOver;
        }
        Outcome::Reused
    }

    /// The same of a run that waits for the end of the one before it, and may have been asked for by somebody else.
    fn reuse_next(
        &mut self,
        name: &Name,
        of_next: Option<Owner>,
        requester: &Owner,
        actor: &Actor,
    ) -> Outcome {
        let Some(owner) = of_next else { return self.reuse(name, requester, actor) };
        let Some(worker) = self.workers.get_mut(name) else { return Outcome::Reused };
        if !worker.title_of_next(&owner).may_take_over(requester) {
            return Outcome::Reused;
        }
        if let Phase::Ending(ending) = &mut worker.phase
            && let Then::Start(queued) = &mut ending.then
        {
            queued.owner = Some(requester.clone());
        }
        Outcome::TakenOver
    }

    /// Makes the requester the owner of what nobody owns, says so, and remembers which client it was.
    pub(crate) fn take_over(&mut self, name: &Name, requester: &Owner, actor: &Actor) {
        self.change_owner(name, requester.clone(), actor.clone());
        if let Some(worker) = self.workers.get_mut(name) {
            worker.taken_by = Some(Box::new(actor.clone()));
        }
    }

    /// Answers at once when the worker is there already, else waits for it.
    pub(crate) fn wait_for_run(
        &mut self,
        conn: ConnId,
        id: Option<Id>,
        name: &Name,
        what: Waiting,
        patience: &Patience,
    ) {
        let number = self.waiters;
        self.waiters += 1;
        let requester = self.requester(conn);
        self.involve(conn, name);
        let Some(worker) = self.workers.get_mut(name) else { return };
        let run = worker.run_to_come();
        worker.waiters.push(Waiter { conn, id, requester, what, number, run });
        let at_rest = !worker.is_running();
        if let Some(ms) = patience.timeout_ms {
            let timer = Timer::Waiter(name.clone(), conn, number);
            self.timers.arm(timer, self.now.mono_ms.saturating_add(ms));
        }
        if at_rest {
            self.answer_at_rest(name, number);
        } else {
            self.answer_waiters_of_run(name);
        }
    }

    /// Answers those whose wait the run has fulfilled.
    pub(crate) fn answer_waiters_of_run(&mut self, name: &Name) {
        let Some(worker) = self.workers.get_mut(name) else { return };
        let reached = |wait: Wait| match &worker.phase {
            Phase::Ready { .. } | Phase::Unhealthy { .. } => true,
            Phase::Starting { pid: Some(_) } => wait == Wait::Spawned,
            Phase::Starting { pid: None } | Phase::Ending(_) | Phase::Idle | Phase::Failed => false,
            Phase::Ceded | Phase::External(_) | Phase::Backoff => false,
        };
        let fulfilled = |waiter: &Waiter| match &waiter.what {
            Waiting::Start { wait, .. } | Waiting::Restart { wait, .. } => reached(*wait),
            Waiting::Stop => false,
        };
        let (done, rest) = core::mem::take(&mut worker.waiters).into_iter().partition(fulfilled);
        worker.waiters = rest;
        for waiter in Vec::into_iter(done) {
            self.answer_with_view(name, waiter);
        }
    }

    /// Answers a waiter with the worker as it is now.
    pub(crate) fn answer_with_view(&mut self, name: &Name, waiter: Waiter) {
        let Some(worker) = self.workers.get(name) else { return };
        let view = worker.view(self.owns(&waiter.requester, worker));
        let data = match waiter.what {
            Waiting::Start { outcome, .. } => {
                let created = outcome == Outcome::Started && worker.shown.new;
                Data::Start(Box::new(StartData { worker: view, outcome, created }))
            }
            Waiting::Restart { receipt, .. } => {
                Data::Stop(Box::new(gob_protocol::answer::StopData { worker: view, receipt }))
            }
            Waiting::Stop => {
                let receipt = gob_protocol::Receipt::default();
                Data::Stop(Box::new(gob_protocol::answer::StopData { worker: view, receipt }))
            }
        };
        self.timers.cancel(&Timer::Waiter(name.clone(), waiter.conn, waiter.number));
        self.reply(waiter.conn, waiter.id, Ok(data));
    }

    /// A worker that is down and not coming up now: an external one, or one of which an old process is left.
    fn answer_at_rest(&mut self, name: &Name, number: u64) {
        let error = self.leftover_error(name);
        let Some(worker) = self.workers.get_mut(name) else { return };
        let Some(at) = worker.waiters.iter().position(|waiter| waiter.number == number) else { return };
        let (waiter, external) = (worker.waiters.remove(at), matches!(worker.phase, Phase::External(_)));
        match error.filter(|_| !external) {
            Some(error) => self.fail(name, waiter, &error),
            None => self.answer_with_view(name, waiter),
        }
    }

    pub(crate) fn waiter_timed_out(&mut self, name: &Name, conn: ConnId, number: u64) {
        let Some(worker) = self.workers.get_mut(name) else { return };
        let found = worker.waiters.iter().position(|waiter| waiter.conn == conn && waiter.number == number);
        let Some(waiter) = found.map(|at| worker.waiters.remove(at)) else { return };
        let message = format!("{name} is not ready yet; it goes on starting");
        let hint = format!("watch it: gobctl events {0}, gobctl logs -f {0}", name.as_argument());
        let error = WireError::new(ErrorCode::ServerStartTimeout, message).hint(hint);
        self.reply(waiter.conn, waiter.id, Err(Box::new(error)));
    }
}

fn no_dir(graph: &Name, kind: &str, dir: &str) -> Box<WireError> {
    let message =
        format!("the graph {graph} has no directory of its own in the kind {kind}: it would be {dir:?}");
    let details = serde_json::json!({"field": "payload.graph", "position": 0});
    Box::new(WireError::new(ErrorCode::InvalidName, message).hint("choose another name").details(details))
}

fn conflict(known: &Worker, start: &Start) -> Box<WireError> {
    let name = &known.name;
    let message = format!(
        "{name} is the graph {} in {} of kind {} already",
        known.graph, known.root_dir, known.kind_name
    );
    let graph = start.graph.as_ref().unwrap_or(&known.graph);
    let same_place = start.root_dir.as_ref().is_none_or(|root| **root == *known.root_dir);
    // What an earlier supervisor had was served in its life.
    let was_served = known.was_served || known.is_remembered;
    let hint = if *graph == known.graph && same_place && was_served {
        crate::lifecycle::to_begin_anew(&known.graph)
    } else {
        let mut hint =
            format!("give the other one a name of its own: gobctl start --name NAME {}", graph.as_argument());
        if !known.state().is_live() {
            let forget = format!("; or forget this one, which is down: gobctl remove {}", name.as_argument());
            hint.push_str(&forget);
        }
        hint
    };
    let details = serde_json::json!({
        "worker": name.as_str(), "graph": known.graph.as_str(), "root_dir": known.root_dir, "kind": known.kind_name,
    });
    Box::new(WireError::new(ErrorCode::GraphConflict, message).hint(hint).details(details))
}

/// A socket's address is too short for the path of this worker's.
fn no_room(name: &Name, runtime_dir: &str) -> Box<WireError> {
    let message = format!(
        "{name} cannot have a socket: the runtime directory {runtime_dir} has {} bytes, and no name fits behind it into the \
         107 that a socket's path may have",
        runtime_dir.len()
    );
    let hint = "choose a shorter GOB_RUNTIME_DIR, or a kind that listens on a {port}";
    let details = serde_json::json!({"exit": null, "errno": "ENAMETOOLONG", "last_lines": []});
    Box::new(WireError::new(ErrorCode::ServerStartFailed, message).hint(hint).details(details))
}
