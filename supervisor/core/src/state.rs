//! The supervisor's whole state of mind, and what can be read of it from outside.

use crate::ban::Begins;
use crate::blocked;
use crate::chronicle::Recorded;
use crate::conns::{Caller, Conns};
use crate::cx::Cx;
use crate::ids::{ConnId, Now};
use crate::io::Effect;
use crate::lanes::Lanes;
use crate::locks::Locks;
use crate::parts::LocksMark;
use crate::past::Past;
use crate::paths::Paths;
use crate::refusals;
use crate::reloads::Reloads;
use crate::remembered::{Remembered, ToRemember, left_over, remember};
use crate::restart::Dice;
use crate::setup::Setup;
use crate::underway::Underway;
use crate::upgrade::Upgrading;
use crate::worker::Worker;
use crate::workers::Workers;
use alloc::boxed::Box;
use alloc::collections::BTreeMap;
use alloc::string::String;
use alloc::vec::Vec;
use gob_config::{Config as Settings, Rejected};
use gob_protocol::answer::ServerInfo;
use gob_protocol::{Actor, Env, EventKind, Leftover, Name, Request, View, WireError};
use serde::{Deserialize, Serialize};

/// Facts about the core's surroundings. In a supervisor's life only the settings change.
#[derive(Debug, Clone)]
pub struct Config {
    /// The supervisor's part of the answer to `hello`.
    pub server: ServerInfo,
    /// The configuration.
    pub settings: Settings,
    /// Files whose current text has problems and is not in force.
    pub rejected: Vec<Rejected>,
    /// gob's directories.
    pub paths: Paths,
    /// The environment of a graph whose start carried none: HOME, USER, PATH, LANG.
    pub base_env: Env,
    /// Time between the end of an owner's last lease and its consequence.
    pub lease_grace_ms: u64,
    /// Processes of earlier supervisors that are still there.
    pub leftovers: Vec<Leftover>,
    /// Number of processes of an earlier supervisor that were ended.
    pub orphans_recovered: u64,
    /// Highest run of each worker that left logs, so that a new run never writes into them.
    pub last_runs: BTreeMap<Name, u64>,
    /// The workers of the supervisor before this one.
    pub remembered: Remembered,
    /// The mark by which the supervisor before this one said that locks may be held.
    pub locks_mark: LocksMark,
    /// The machine's name, for people.
    pub host: String,
    /// Seed of the backoff's jitter.
    pub seed: u64,
}

/// Facts about the core's surroundings, as they are now.
#[derive(Debug, Clone, Copy)]
pub struct Surroundings<'a> {
    /// The supervisor's part of the answer to `hello`.
    pub server: &'a ServerInfo,
    /// gob's directories.
    pub paths: &'a Paths,
    /// The configuration that is in effect.
    pub settings: &'a Settings,
    /// The machine's name, for people.
    pub host: &'a str,
}

/// The workers in numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Roster {
    /// How often a worker came, went, began a run or changed its owner: what the supervisor after this one has to know.
    pub changes: u64,
    /// How many there are.
    pub workers: usize,
}

/// The form of the state that this version writes and reads.
pub const STATE_VERSION: u32 = 1;

/// Stands for [`STATE_VERSION`] in the state; a state of another form is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "u32", into = "u32")]
struct Schema;

impl From<Schema> for u32 {
    fn from(_schema: Schema) -> Self {
        STATE_VERSION
    }
}

impl TryFrom<u32> for Schema {
    type Error = String;

    fn try_from(version: u32) -> Result<Self, String> {
        if version == STATE_VERSION {
            return Ok(Self);
        }
        Err(refusals::state_of_another(version, STATE_VERSION))
    }
}

/// The supervisor's whole state of mind, as plain data: one supervisor may hand it to the next, which goes on with
/// [`Core::resume`](crate::Core::resume).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Core {
    schema: Schema,
    pub(crate) workers: Workers,
    pub(crate) conns: Conns,
    pub(crate) reloads: Reloads,
    #[serde(default)]
    pub(crate) underway: Underway,
    #[serde(default)]
    pub(crate) lanes: Lanes,
    #[serde(default)]
    pub(crate) locks: Locks,
    #[serde(default)]
    pub(crate) upgrade: Upgrading,
    pub(crate) cx: Cx,
}

impl Core {
    /// A supervisor that was just started and has no worker but those that it remembers.
    #[must_use]
    pub fn new(config: Config, now: Now) -> Self {
        let Config { server, settings, rejected, paths, base_env, lease_grace_ms, host, .. } = config;
        let setup = Setup { server, settings, rejected, paths, base_env, lease_grace_ms, host };
        let past = Past::new(config.last_runs, config.orphans_recovered, config.remembered.highest_job);
        let lanes = Lanes::new(config.remembered.has_queue);
        let mut cx = Cx::new(setup, past, Dice::new(config.seed), now);
        let mut workers = Workers::default();
        remember(config.remembered, &mut workers, &mut cx);
        cx.publish(EventKind::SupervisorStarted, Actor::Supervisor, None);
        left_over(config.leftovers, &mut workers, &mut cx);
        // There is no subscriber yet.
        drop(cx.out.take());
        let (conns, reloads, underway) = (Conns::default(), Reloads::default(), Underway::default());
        let locks = Locks::new(config.locks_mark);
        let upgrade = Upgrading::default();
        Self { schema: Schema, workers, conns, reloads, underway, lanes, locks, upgrade, cx }
    }

    /// The facts of [`Config`] that the program after this one begins with.
    #[must_use]
    pub fn surroundings(&self) -> Surroundings<'_> {
        let Setup { server, paths, settings, host, .. } = &self.cx.setup;
        Surroundings { server, paths, settings, host }
    }

    /// The event last published.
    #[must_use]
    pub fn seq(&self) -> u64 {
        self.cx.news.seq()
    }

    /// The workers in numbers.
    #[must_use]
    pub fn roster(&self) -> Roster {
        Roster { changes: self.cx.tally.roster, workers: self.workers.len() }
    }

    /// Whether the end of a connection would take something from its client: a subscription, a lease or a lock.
    #[must_use]
    pub fn holds(&self, conn: ConnId) -> bool {
        self.cx.news.subscription(conn).is_some()
            || self.lanes.holds(conn)
            || self.locks.concern(conn)
            || self.workers.values().any(|worker| worker.is_leased_by(conn))
    }

    /// Facts of the workers that the supervisor after this one has to know, beside their views.
    #[must_use]
    pub fn to_remember(&self) -> ToRemember {
        let mut all = ToRemember { highest_job: self.cx.past.highest_job(), ..ToRemember::default() };
        for worker in self.workers.values() {
            let name = || worker.name.clone();
            all.last_owners.extend(worker.last_owner().map(|owner| (name(), owner.clone())));
            all.last_ports.extend(worker.last_port().map(|port| (name(), port)));
            all.served.extend(worker.spec.graph().filter(|graph| graph.was_served).map(|_| name()));
            all.queued.extend(worker.spec.queued().map(|_| name()));
            all.restarts.extend(worker.spec.job().map(|_| (name(), worker.spec.policy.restart.on)));
        }
        all
    }

    /// The job that a request may begin, and the process whose umask its run gets.
    #[must_use]
    pub fn begins(&self, conn: ConnId, request: &Request) -> Option<(Begins, Option<i32>)> {
        let job = blocked::begins(request, &self.workers)?;
        Some((job, self.conns.caller(conn, None)?.who.pid))
    }

    /// Every worker as it is now, as one sees it who owns nothing.
    #[must_use]
    pub fn views(&self) -> Vec<View> {
        self.workers.values().map(|worker| worker.view(false)).collect()
    }

    /// The worker, if it exists and the caller may manage it. It may hold something of the caller's from here on.
    pub(crate) fn managed(
        &mut self,
        caller: &Caller,
        name: &Name,
    ) -> Result<(&mut Worker, &mut Cx), Box<WireError>> {
        let worker = self.workers.get_mut(name).ok_or_else(|| refusals::not_found(name))?;
        if worker.title_now().may_manage(caller.owner()) {
            self.conns.involve(caller.conn, name);
            Ok((worker, &mut self.cx))
        } else {
            Err(refusals::owned_by_other(&worker.claimed(), caller.owner()))
        }
    }

    /// Forgets a worker that is down, and its logs.
    pub(crate) fn forget(&mut self, name: &Name, actor: Actor) {
        if let Some(worker) = self.workers.get_mut(name) {
            worker.forgotten(actor, &mut self.cx);
        }
        if let Some(gone) = self.workers.remove(name) {
            // Answers about its last run may be under way; they must not be taken for another one's.
            self.cx.past.gone(gone.name, gone.run);
            self.conns.forget(name);
            self.underway.forget_job(name);
        }
        self.lanes.rises(name);
        self.cx.push(Effect::Record(Recorded::Forgotten(name.clone())));
        self.cx.push(Effect::Forget { name: name.clone() });
    }
}
