//! One worker: what is wanted of it, where it stands, and how others see it. Plain state; `lifecycle` moves it.

use crate::io::{ConnId, RunKey};
use crate::lifecycle::Looking;
use crate::parts::Holder;
use crate::restart::Failures;
use alloc::boxed::Box;
use alloc::collections::BTreeMap;
use alloc::string::{String, ToString};
use alloc::sync::Arc;
use alloc::vec::Vec;
use gob_protocol::kind::{Kind, OnLastLease};
use gob_protocol::limits::LEASE_HOLDERS_SHOWN;
use gob_protocol::view::{LeaseHolder, Port};
use gob_protocol::{Actor, Env, Exit, Id, Name, Outcome, Owner, Receipt, State, Timestamp, View, Wait};
use serde_json::{Map, Value};

/// Where a worker stands.
#[derive(Debug, Clone)]
pub(crate) enum Phase {
    /// Never started, or stopped.
    Idle,
    /// Gave up; `reason` says why.
    Failed,
    /// Exited 0 because a peer took over.
    Ceded,
    /// Held by a process that is not ours.
    External(Holder),
    /// A spawn is under way, or its process is not ready yet.
    Starting { pid: Option<i32> },
    /// Ready for use.
    Ready { pid: i32 },
    /// Its liveness probe fails.
    Unhealthy { pid: i32 },
    /// On its way down: asked to end, being killed, or dead and being swept.
    Ending(Box<Ending>),
    /// Down until the restart policy's next try.
    Backoff,
}

/// A run on its way down.
#[derive(Debug, Clone)]
pub(crate) struct Ending {
    /// The leader, while it is not reaped. `None` also while the spawn of a run that is to end is under way.
    pub(crate) pid: Option<i32>,
    /// How it was asked to end.
    pub(crate) asked: Asked,
    /// Killing has begun; before, it was only asked.
    pub(crate) killing: bool,
    /// It is ended because it was not ready in time.
    pub(crate) timed_out: bool,
    /// How the leader ended.
    pub(crate) exit: Option<Exit>,
    /// What follows.
    pub(crate) then: Then,
    /// Who caused it.
    pub(crate) actor: Actor,
    /// Why, where the supervisor itself had a reason to stop it.
    pub(crate) why: Option<String>,
    /// What could not be ended so far.
    pub(crate) stuck: Option<String>,
}

impl Ending {
    /// A run that was asked to end, or did by itself.
    pub(crate) fn asked(pid: Option<i32>, then: Then, actor: Actor) -> Self {
        Self {
            pid,
            asked: Asked::Not,
            killing: false,
            timed_out: false,
            exit: None,
            then,
            actor,
            why: None,
            stuck: None,
        }
    }

    /// Whether the leader is gone and what is left of its tree has the rest of the grace.
    pub(crate) const fn lingers(&self) -> bool {
        self.exit.is_some() && !self.killing
    }
}

/// How far a run was asked to end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Asked {
    /// Not at all: it ended by itself, or has no process yet.
    Not,
    /// By its HTTP request, which has no answer yet.
    Http,
    /// By its HTTP request, which it took.
    TakenHttp,
    /// By its signal.
    Signal,
    /// By its second signal.
    Twice,
}

/// What follows the end of a run.
#[derive(Debug, Clone)]
pub(crate) enum Then {
    /// It stays down, as somebody asked.
    Rest,
    /// The next run.
    Start(Box<Next>),
    /// The restart policy decides.
    Policy {
        /// How long the run had been ready.
        was_ready_ms: Option<u64>,
        /// It was asked to end, having said that it never will be ready: its exit 0 cedes nothing.
        asked: bool,
    },
    /// It is failed: it was not ready in time.
    Fail,
}

/// A run that somebody asked for.
#[derive(Debug, Clone)]
pub(crate) struct Next {
    /// Who owns it, if not whoever owns the worker when it begins: until then its owner manages what is ending.
    pub(crate) owner: Option<Owner>,
    /// Whether it was asked for together with a lease; `None` leaves what happens with the last one as it was.
    pub(crate) lease: Option<bool>,
    pub(crate) actor: Actor,
    /// The environment to run in; `None`: the one of the last run.
    pub(crate) env: Option<Env>,
}

/// A request that waits for a worker.
#[derive(Debug, Clone)]
pub(crate) struct Waiter {
    pub(crate) conn: ConnId,
    pub(crate) id: Option<Id>,
    pub(crate) requester: Owner,
    pub(crate) what: Waiting,
    /// Tells waiters of one connection apart: ids are the client's and may repeat.
    pub(crate) number: u64,
    /// The run that it waits for, to come up or to end.
    pub(crate) run: u64,
}

/// What it waits for.
#[derive(Debug, Clone)]
pub(crate) enum Waiting {
    Start { outcome: Outcome, wait: Wait },
    Restart { receipt: Receipt, wait: Wait },
    Stop,
}

#[derive(Debug, Clone)]
pub(crate) struct Worker {
    pub(crate) name: Name,
    pub(crate) kind_name: Arc<str>,
    pub(crate) kind: Arc<Kind>,
    pub(crate) graph: Name,
    pub(crate) root_dir: Arc<str>,
    /// Neither its start nor the configuration says of which kind the graph is: what is known of it on disk does.
    pub(crate) kind_is_open: bool,
    /// The same of its root.
    pub(crate) root_is_open: bool,
    /// Its graph was served in this supervisor's life.
    pub(crate) was_served: bool,
    /// An earlier supervisor had it.
    pub(crate) is_remembered: bool,
    /// As much of its starter's environment as its kind lets through.
    pub(crate) env: Option<Arc<Env>>,
    pub(crate) owner: Owner,
    /// The owner that it had before it came to be `unknown`.
    pub(crate) last_owner: Option<Owner>,
    /// The client that took it over, while that is whose it is.
    pub(crate) taken_by: Option<Box<Actor>>,
    pub(crate) phase: Phase,
    pub(crate) run: u64,
    pub(crate) restarts: u32,
    pub(crate) failures: Failures,
    pub(crate) waiters: Vec<Waiter>,
    pub(crate) leases: BTreeMap<ConnId, Arc<LeaseHolder>>,
    pub(crate) on_last_lease: OnLastLease,
    /// Who caused the latest run.
    pub(crate) actor: Actor,
    pub(crate) ready_mono_ms: Option<u64>,
    /// The port that its latest run was given.
    pub(crate) port: Option<u16>,
    /// The port of its last run that was ready, if no run since then has failed to be.
    pub(crate) last_port: Option<u16>,
    /// Its latest run has told its endpoint itself, or was seen to listen there.
    pub(crate) endpoint_is_its_own: bool,
    /// How many runs in a row lost their port to somebody else.
    pub(crate) lost_ports: u32,
    /// How often its latest run found the graph's lock busy without a process that has it.
    pub(crate) busy_locks: usize,
    /// A probe looks whether its latest run is ready.
    pub(crate) probing: bool,
    /// What waits to hear who holds the graph without gob.
    pub(crate) looking: Option<Looking>,
    /// The process that holds the graph without gob was asked to end.
    pub(crate) polite: Option<Polite>,
    /// What is known of its latest run's health.
    pub(crate) live: Live,
    /// When an event last told what a starting run says of itself.
    pub(crate) told_mono_ms: Option<u64>,
    pub(crate) shown: Shown,
}

/// Whoever holds the graph without gob was asked to end.
#[derive(Debug, Clone)]
pub(crate) struct Polite {
    /// When.
    pub(crate) began_ms: u64,
    /// By whom.
    pub(crate) actor: Actor,
    /// The run that is to follow.
    pub(crate) next: Option<Box<Next>>,
}

/// Health of a ready run.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Live {
    /// Failures in a row.
    pub(crate) failures: u32,
    /// Successes in a row.
    pub(crate) successes: u32,
    /// It was heard of since the last look.
    pub(crate) heard: bool,
    /// Its own idea of how often it is to be heard of.
    pub(crate) watchdog_ms: Option<u64>,
}

/// What others see of the latest run and is not needed to decide.
#[derive(Debug, Clone, Default)]
pub(crate) struct Shown {
    pub(crate) command: Arc<[String]>,
    pub(crate) cwd: Option<Arc<str>>,
    pub(crate) endpoint: Option<Arc<str>>,
    pub(crate) version: Option<Arc<str>>,
    pub(crate) ports: Vec<Port>,
    pub(crate) meta: Arc<Map<String, Value>>,
    pub(crate) created_at: Timestamp,
    pub(crate) started_at: Option<Timestamp>,
    pub(crate) ready_at: Option<Timestamp>,
    pub(crate) stopped_at: Option<Timestamp>,
    pub(crate) next_restart_at: Option<Timestamp>,
    pub(crate) exit: Option<Exit>,
    pub(crate) reason: Option<String>,
    pub(crate) stdout_path: Option<Arc<str>>,
    pub(crate) stderr_path: Option<Arc<str>>,
    pub(crate) last_lines: Vec<String>,
    /// There was nothing of its graph before.
    pub(crate) new: bool,
}

impl Shown {
    /// Puts the run's port where its plan left room for it.
    pub(crate) fn fill_port(&mut self, port: Option<u16>) {
        let port = port.map_or_else(|| "{port}".into(), |port| port.to_string());
        let fill = |text: &str| text.replace(crate::parts::PORT_MARK, &port);
        let is_marked = |text: &str| text.contains(crate::parts::PORT_MARK);
        if self.command.iter().any(|arg| is_marked(arg)) {
            self.command = self.command.iter().map(|arg| fill(arg)).collect();
        }
        if let Some(cwd) = self.cwd.as_mut().filter(|cwd| is_marked(cwd)) {
            *cwd = fill(cwd).into();
        }
    }
}

/// What a worker is, whatever becomes of it.
pub(crate) struct Identity {
    pub(crate) name: Name,
    pub(crate) graph: Name,
    pub(crate) root_dir: Arc<str>,
    pub(crate) kind_name: Arc<str>,
    pub(crate) kind: Arc<Kind>,
}

impl Worker {
    /// A worker at rest.
    pub(crate) fn new(identity: Identity, owner: Owner, run: u64, actor: Actor, shown: Shown) -> Self {
        let Identity { name, graph, root_dir, kind_name, kind } = identity;
        Self {
            name,
            kind_name,
            kind,
            graph,
            root_dir,
            kind_is_open: false,
            root_is_open: false,
            was_served: false,
            is_remembered: false,
            env: None,
            owner,
            last_owner: None,
            taken_by: None,
            phase: Phase::Idle,
            run,
            restarts: 0,
            failures: Failures::default(),
            waiters: Vec::new(),
            leases: BTreeMap::new(),
            on_last_lease: OnLastLease::Keep,
            actor,
            ready_mono_ms: None,
            port: None,
            last_port: None,
            endpoint_is_its_own: false,
            lost_ports: 0,
            busy_locks: 0,
            probing: false,
            looking: None,
            polite: None,
            live: Live::default(),
            told_mono_ms: None,
            shown,
        }
    }

    pub(crate) fn key(&self) -> RunKey {
        RunKey { name: self.name.clone(), run: self.run }
    }

    pub(crate) fn pid(&self) -> Option<i32> {
        match &self.phase {
            Phase::Idle | Phase::Failed | Phase::Ceded | Phase::Backoff => None,
            Phase::External(holder) => Some(holder.pid),
            Phase::Starting { pid } => *pid,
            Phase::Ready { pid } | Phase::Unhealthy { pid } => Some(*pid),
            Phase::Ending(ending) => ending.pid,
        }
    }

    pub(crate) fn state(&self) -> State {
        match &self.phase {
            Phase::Idle => State::Idle,
            Phase::Failed => State::Failed,
            Phase::Ceded => State::Ceded,
            Phase::External(_) => State::External,
            Phase::Starting { .. } => State::Starting,
            Phase::Ready { .. } => State::Ready,
            Phase::Unhealthy { .. } => State::Unhealthy,
            Phase::Ending(_) => State::Stopping,
            Phase::Backoff => State::Backoff,
        }
    }

    /// Whether a process of ours is alive or about to be: what keeps the supervisor from ending.
    pub(crate) fn is_running(&self) -> bool {
        match &self.phase {
            Phase::Idle | Phase::Failed | Phase::Ceded | Phase::External(_) | Phase::Backoff => false,
            Phase::Starting { .. } | Phase::Ready { .. } | Phase::Unhealthy { .. } | Phase::Ending(_) => true,
        }
    }

    /// Whether its latest run has no process yet and may still get one.
    pub(crate) fn awaits_spawn(&self) -> bool {
        match &self.phase {
            Phase::Starting { pid } => pid.is_none(),
            Phase::Ending(ending) => ending.pid.is_none() && ending.exit.is_none(),
            Phase::Idle | Phase::Failed | Phase::Ceded | Phase::External(_) => false,
            Phase::Ready { .. } | Phase::Unhealthy { .. } | Phase::Backoff => false,
        }
    }

    /// The worker as this requester sees it; an event's view is completed per subscriber.
    pub(crate) fn view(&self, owned: bool) -> View {
        let shown = &self.shown;
        let ours = self.pid().filter(|_| !matches!(self.phase, Phase::External(_)));
        let endpoint = match &self.phase {
            Phase::External(holder) => holder.endpoint.as_deref().map(Into::into),
            Phase::Ready { .. } | Phase::Unhealthy { .. } => shown.endpoint.clone(),
            Phase::Idle | Phase::Failed | Phase::Ceded | Phase::Starting { .. } => None,
            Phase::Ending(_) | Phase::Backoff => None,
        };
        let endpoint_is_live = matches!(self.phase, Phase::Ready { .. } | Phase::Unhealthy { .. });
        View {
            name: self.name.clone(),
            kind: self.kind_name.clone(),
            graph: Some(self.graph.shared()),
            description: None,
            root_dir: Some(self.root_dir.clone()),
            cwd: shown.cwd.clone(),
            command: shown.command.clone(),
            owner: self.title_now().owner.clone(),
            owned,
            state: self.state(),
            pid: self.pid(),
            pgid: ours,
            endpoint,
            meta: shown.meta.clone(),
            run: self.run,
            created_at: shown.created_at,
            started_at: shown.started_at,
            ready_at: shown.ready_at,
            stopped_at: shown.stopped_at,
            exit: shown.exit.clone(),
            restarts: self.restarts,
            next_restart_at: shown.next_restart_at,
            leases: u32::try_from(self.leases.len()).unwrap_or(u32::MAX),
            lease_holders: self.leases.values().take(LEASE_HOLDERS_SHOWN).cloned().collect(),
            stdout_path: shown.stdout_path.clone(),
            stderr_path: shown.stderr_path.clone(),
            reason: self.stuck().or(shown.reason.as_ref()).cloned(),
            version: shown.version.clone(),
            ports: if endpoint_is_live { shown.ports.clone() } else { Vec::new() },
            blocked: None,
            last_output_at: None,
        }
    }

    /// What of its ending run could not be ended so far.
    fn stuck(&self) -> Option<&String> {
        match &self.phase {
            Phase::Ending(ending) => ending.stuck.as_ref(),
            Phase::Idle | Phase::Failed | Phase::Ceded | Phase::External(_) | Phase::Backoff => None,
            Phase::Starting { .. } | Phase::Ready { .. } | Phase::Unhealthy { .. } => None,
        }
    }

    pub(crate) fn has_owner_lease(&self) -> bool {
        self.leases.values().any(|holder| holder.owner == self.owner)
    }

    /// Takes the waiters that wait for a run up to this one to come up.
    pub(crate) fn take_starters(&mut self, run: u64) -> Vec<Waiter> {
        let (starters, rest) = core::mem::take(&mut self.waiters).into_iter().partition(|waiter| {
            waiter.run <= run && matches!(waiter.what, Waiting::Start { .. } | Waiting::Restart { .. })
        });
        self.waiters = rest;
        starters
    }

    /// The run that somebody who asks now is to get: the one after a run that is ending.
    pub(crate) fn run_to_come(&self) -> u64 {
        if matches!(self.phase, Phase::Ending(_)) { self.run + 1 } else { self.run }
    }
}
