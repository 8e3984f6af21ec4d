//! One worker: what is wanted of it, where it stands, and which run it has.
//!
//! Here is its state, and what can be read of it. How it changes, lower files first:
//!
//! | file | |
//! |---|---|
//! | `start`, `ready`, `live`, `ask`, `end`, `sweep`, `examine` | decisions about its run: functions of the run, facts and [`Cx`](crate::cx::Cx). They return a `Step` and know no worker, and nothing of each other |
//! | `policy` | its fate after a run that ended by itself |
//! | `view` | the worker as others see it |
//! | `history` | its latest run as it is recorded |
//! | `answers` | events and answers |
//! | `owning` | its owner and its leases |
//! | `transitions` | the one interpreter of steps: it enters phases, begins and ends runs |
//! | `external` | its graph is held by a process that gob did not start |
//! | `wishes` | start, stop, restart |

pub(crate) mod ask;
pub(crate) mod end;
pub(crate) mod examine;
pub(crate) mod live;
pub(crate) mod ready;
pub(crate) mod start;
pub(crate) mod sweep;

mod answers;
mod external;
mod history;
mod owning;
mod policy;
mod transitions;
mod view;
mod wishes;

use crate::expects::Expects;
use crate::ids::{ConnId, RunKey};
use crate::leases::Leases;
use crate::making::Subject;
use crate::owner::{Ownership, Title};
use crate::parts::Holder;
use crate::restart::Failures;
use crate::run::{Run, Shown};
use crate::spec::Spec;
use crate::waiters::Waiters;
use alloc::boxed::Box;
use alloc::string::String;
use gob_protocol::{Actor, Env, Name, Owner, State, Timestamp};
use serde::{Deserialize, Serialize};

/// A worker.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Worker {
    pub(crate) name: Name,
    pub(crate) spec: Spec,
    /// The number of its latest run, from 1.
    pub(crate) run: u64,
    ownership: Ownership,
    want: Want,
    /// The run that waits for the end of the one there is, or of a holder that was asked to end.
    next: Option<Box<Next>>,
    phase: Phase,
    waiters: Waiters,
    leases: Leases,
    /// The party that caused the latest run.
    actor: Actor,
    failures: Failures,
    /// How often the restart policy began a run since one was asked for.
    restarts: u32,
    /// The port of its last run that was ready, if no run since then has failed to be.
    last_port: Option<u16>,
    /// How many runs in a row lost their port to another program.
    lost_ports: u32,
    created_at: Timestamp,
    /// Its latest run as it is shown at rest; a living one has its own.
    last: Shown,
    /// The connection of the client that began its run and stays until it is at rest.
    #[serde(default)]
    attached: Option<ConnId>,
    /// The words about that client, where it has left and the worker goes on.
    #[serde(default)]
    left: Option<String>,
    /// How long its runs take.
    #[serde(default)]
    pub(crate) expects: Expects,
}

/// The latest wish, whatever became of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Want {
    Down,
    Up,
}

/// Where a worker stands.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) enum Phase {
    /// Never started, or stopped.
    Idle,
    /// Gave up, for the reason that is shown.
    Failed,
    /// Exited 0 because a peer took over.
    Ceded,
    /// Down until the restart policy's next try, at this time.
    Backoff(Timestamp),
    /// Held by a process that is not ours; it may have been asked to end.
    External(Box<Holder>, Option<Box<Polite>>),
    /// It has a run.
    Live(Box<Run>),
}

/// The process that holds the graph without gob was asked to end.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Polite {
    began_ms: u64,
    actor: Actor,
    /// It took the request.
    taken: bool,
}

/// A run that was asked for.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Next {
    /// Its owner, where that is not the worker's. Until the run begins, the worker's owner manages the run that is ending.
    pub(crate) owner: Option<Owner>,
    /// True if it was requested together with a lease; `None` keeps the rule about the last lease as it was.
    pub(crate) lease: Option<bool>,
    pub(crate) actor: Actor,
    /// The environment to run in; `None`: the one of the last run.
    #[serde(serialize_with = "Env::serialize_in_state")]
    pub(crate) env: Option<Env>,
    /// The umask of the requester, where it is known.
    #[serde(default)]
    pub(crate) umask: Option<u32>,
    /// The connection of a requester that stays until it is at rest.
    #[serde(default)]
    pub(crate) attached: Option<ConnId>,
}

/// The begin of a worker's life, whatever becomes of it.
#[derive(Debug)]
pub(crate) struct Origins {
    pub(crate) ownership: Ownership,
    /// The last run that a worker of this name had.
    pub(crate) run: u64,
    pub(crate) actor: Actor,
    pub(crate) created_at: Timestamp,
    /// The port of its last run that was ready.
    pub(crate) last_port: Option<u16>,
    pub(crate) shown: Shown,
    pub(crate) expects: Expects,
}

impl Worker {
    /// A worker at rest.
    pub(crate) fn new(name: Name, spec: Spec, origins: Origins) -> Self {
        let Origins { ownership, run, actor, created_at, last_port, shown, expects } = origins;
        Self {
            name,
            spec,
            run,
            ownership,
            want: Want::Down,
            next: None,
            phase: Phase::Idle,
            waiters: Waiters::default(),
            leases: Leases::default(),
            actor,
            failures: Failures::default(),
            restarts: 0,
            last_port,
            lost_ports: 0,
            created_at,
            last: shown,
            attached: None,
            left: None,
            expects,
        }
    }

    /// Becomes another job of its name, while it is down.
    pub(crate) fn becomes(&mut self, spec: Spec) {
        self.last = Shown::of_job(&spec);
        self.spec = spec;
    }

    pub(crate) fn key(&self) -> RunKey {
        RunKey { name: self.name.clone(), run: self.run }
    }

    /// Its run, if it has one.
    pub(crate) const fn live(&self) -> Option<&Run> {
        match &self.phase {
            Phase::Live(run) => Some(run),
            Phase::Idle | Phase::Failed | Phase::Ceded | Phase::Backoff(_) | Phase::External(..) => None,
        }
    }

    const fn live_mut(&mut self) -> Option<&mut Run> {
        match &mut self.phase {
            Phase::Live(run) => Some(run),
            Phase::Idle | Phase::Failed | Phase::Ceded | Phase::Backoff(_) | Phase::External(..) => None,
        }
    }

    /// The process that holds its graph without gob.
    pub(crate) fn holder(&self) -> Option<&Holder> {
        match &self.phase {
            Phase::External(holder, _) => Some(holder),
            Phase::Idle | Phase::Failed | Phase::Ceded | Phase::Backoff(_) | Phase::Live(_) => None,
        }
    }

    /// The process that serves it, ours or not.
    pub(crate) fn pid(&self) -> Option<i32> {
        self.holder().map(|holder| holder.pid).or_else(|| self.live().and_then(Run::pid))
    }

    pub(crate) const fn state(&self) -> State {
        match &self.phase {
            Phase::Idle => State::Idle,
            Phase::Failed => State::Failed,
            Phase::Ceded => State::Ceded,
            Phase::Backoff(_) => State::Backoff,
            Phase::External(..) => State::External,
            Phase::Live(run) => run.state(),
        }
    }

    /// Tells whether it has a run, with or without a process yet; such a worker keeps the supervisor from ending.
    pub(crate) const fn is_running(&self) -> bool {
        self.live().is_some()
    }

    /// Tells whether it is down and could have a run at once.
    pub(crate) const fn is_at_rest(&self) -> bool {
        match &self.phase {
            Phase::Idle | Phase::Failed | Phase::Ceded | Phase::Backoff(_) => true,
            Phase::External(..) | Phase::Live(_) => false,
        }
    }

    /// Tells whether its run serves clients.
    pub(crate) fn is_up(&self) -> bool {
        self.live().is_some_and(Run::is_up)
    }

    pub(crate) const fn owner(&self) -> &Owner {
        self.ownership.owner()
    }

    pub(crate) const fn last_owner(&self) -> Option<&Owner> {
        self.ownership.last()
    }

    pub(crate) const fn last_port(&self) -> Option<u16> {
        self.last_port
    }

    /// The title to the worker.
    pub(crate) const fn title(&self) -> Title<'_> {
        self.ownership.title()
    }

    /// The title to the process that serves it now, which may be a holder of another owner.
    pub(crate) fn title_now(&self) -> Title<'_> {
        self.holder().map_or_else(|| self.title(), |holder| Title { owner: &holder.owner, last: None })
    }

    /// Tells whether this requester may manage it: `owned` on the wire. A process that is not ours is owned by no requester.
    pub(crate) fn is_owned_by(&self, requester: &Owner) -> bool {
        self.holder().is_none() && self.title().may_manage(requester)
    }

    /// Its latest run as others see it.
    pub(crate) fn shown(&self) -> &Shown {
        self.live().map_or(&self.last, |run| &run.shown)
    }

    /// It and its latest run as a plan sees them.
    pub(crate) fn subject(&self) -> Subject<'_> {
        Subject {
            name: &self.name,
            run: self.run,
            port: self.live().and_then(|run| run.port),
            last_port: self.last_port,
            spec: &self.spec,
            owner: self.owner(),
        }
    }
}

#[cfg(test)]
impl Worker {
    pub(crate) const fn phase(&self) -> &Phase {
        &self.phase
    }

    pub(crate) fn waiters(&self) -> impl Iterator<Item = &crate::waiters::Waiter> {
        self.waiters.iter()
    }

    pub(crate) const fn leases(&self) -> &Leases {
        &self.leases
    }

    pub(crate) fn next(&self) -> Option<&Next> {
        self.next.as_deref()
    }

    pub(crate) fn is_asked_to_go(&self) -> bool {
        matches!(&self.phase, Phase::External(_, Some(_)))
    }

    pub(crate) const fn failures(&self) -> &Failures {
        &self.failures
    }

    pub(crate) const fn lost_ports(&self) -> u32 {
        self.lost_ports
    }
}
