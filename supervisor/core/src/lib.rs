//! Everything that gob decides, as a pure state machine.
//!
//! [`Core::apply`] takes what happened and when, changes the state, and returns what is to be done. It is the only
//! place where state changes: workers, owners, leases, deadlines, the event ring, who gets which reply. There is no
//! clock here, no file, no thread, no process, and `no_std` keeps it so.
//!
//! | file | decides |
//! |---|---|
//! | `remembered` | what becomes of the workers of an earlier supervisor |
//! | `requests` | what each request means; who may ask for it |
//! | `start` | which worker a start means, and how it is satisfied |
//! | `lifecycle` | how a worker moves from phase to phase (the table in ARCHITECTURE.md) |
//! | `owner` | whose a worker is, and who may manage it |
//! | `restart` | whether and when an ended run is followed by another |
//! | `lease` | what happens when the last lease of an owner is gone |
//! | `subscribers` | who gets which event, and what a slow one gets instead |
//! | `ending` | how the supervisor itself comes to its end |
//! | `config` | what a start takes from the configuration, and what becomes of a new one |
//! | `sockets` | who is told that a socket is gone |
//! | `plan` | program, arguments, environment and directories of a run |
//! | `graphs` | which graphs there are on disk; which of them is deleted |
//! | `record` | whether a run may begin on what is known of its graph on disk |

#![no_std]
extern crate alloc;
#[cfg(test)]
extern crate std;

mod config;
mod ending;
mod graphs;
mod io;
mod lease;
mod lifecycle;
mod owner;
mod parts;
mod plan;
mod record;
mod remembered;
mod requests;
mod restart;
mod ring;
mod shared;
mod sockets;
mod start;
mod subscribers;
#[cfg(test)]
mod tests;
mod timers;
mod worker;
mod workers;

pub use graphs::{DeletePlan, FindGraphs, GraphSearch, NotDeleted, OnDisk};
pub use io::{ConnId, Effect, Input, Now, Read, RunKey};
pub use parts::{
    ExaminePlan, Examined, GraphLock, Holder, Lost, Note, Orphan, PORT_MARK, PortWish, SpawnPlan, Target,
};
pub use plan::{INTERPRETER, Paths, SOCKET_SUFFIX, notify_socket, sockets_dir};
pub use record::{Keep, MAX_RECORD_BYTES, New, Place, RECORD_VERSION, Record, Unfit};
pub use remembered::{Remembered, RememberedWorker};

use alloc::boxed::Box;
use alloc::collections::{BTreeMap, BTreeSet};
use alloc::sync::Arc;
use alloc::vec::Vec;
use gob_protocol::answer::ServerInfo;
use gob_protocol::config::{Config as Settings, Rejected};
use gob_protocol::kind::Kind;
use gob_protocol::view::LeaseHolder;
use gob_protocol::{Actor, Data, Env, Event, EventKind, Id, Name, Owner, Timestamp, WireError};
use timers::{Timer, Timers};
use workers::Workers;

/// What the core has to know about its surroundings; none of it changes in a supervisor's life but the settings.
#[derive(Debug, Clone)]
pub struct Config {
    /// Who answers.
    pub server: ServerInfo,
    /// What the configuration file says.
    pub settings: Settings,
    /// The files that are not used as they are now.
    pub rejected: Vec<Rejected>,
    /// Where things are.
    pub paths: Paths,
    /// The environment of a graph whose start carried none: HOME, USER, PATH, LANG.
    pub base_env: Env,
    /// Time between an owner's last lease and what follows from it.
    pub lease_grace_ms: u64,
    /// What is left of processes that an earlier supervisor started, by the worker's name.
    pub leftovers: BTreeMap<Name, Vec<i32>>,
    /// How many processes of an earlier supervisor were ended.
    pub orphans_recovered: u64,
    /// Highest run of each worker that left logs, so that a new run never writes into them; and of each that was removed.
    pub last_runs: BTreeMap<Name, u64>,
    /// What the supervisor before this one has written down.
    pub remembered: Remembered,
    /// Seed of the backoff's jitter.
    pub seed: u64,
}

/// The supervisor's whole state of mind.
#[derive(Debug, Clone)]
pub struct Core {
    config: Config,
    workers: Workers,
    kinds: shared::Shared<Kind>,
    kind_names: shared::Shared<str>,
    root_dirs: shared::Shared<str>,
    envs: shared::Shared<Env>,
    /// Which worker serves a graph: (graph, real path of its root) is a worker's identity.
    graphs: BTreeMap<(Name, Arc<str>), Name>,
    conns: BTreeMap<ConnId, Conn>,
    subscriptions: BTreeMap<ConnId, subscribers::Subscription>,
    timers: Timers,
    ring: ring::Ring,
    ending: Option<ending::Ending>,
    reloads: config::Reloads,
    counters: Counters,
    /// Counts what the supervisor after this one has to know.
    roster: u64,
    /// There are no descriptors for another run.
    no_room: bool,
    /// Numbers the waiters.
    waiters: u64,
    /// Effects of the input that is being applied.
    out: Vec<Effect>,
    now: Now,
}

/// What the core knows of a connection.
#[derive(Debug, Clone)]
struct Conn {
    who: Arc<LeaseHolder>,
    said_hello: bool,
    /// Event frames in the shell's queue, as far as reported. They outlive the subscription that they were for.
    queued: u32,
    /// Workers that may hold a waiter or a lease of this connection.
    involved: BTreeSet<Name>,
}

impl Conn {
    /// Who it speaks for, as events name it.
    fn actor(&self) -> Actor {
        let LeaseHolder { owner, client, pid } = &*self.who;
        Actor::Client { owner: owner.clone(), client: client.as_deref().map(Into::into), pid: *pid }
    }
}

#[derive(Debug, Clone, Default)]
struct Counters {
    requests: u64,
    lagged_events: u64,
    spawn_failures: u64,
    restarts: u64,
    healed: u64,
}

impl Core {
    /// A supervisor that was just started and has no worker but those that it remembers.
    #[must_use]
    pub fn new(config: Config, now: Now) -> Self {
        let mut core = Self {
            config,
            workers: Workers::default(),
            kinds: shared::Shared::default(),
            kind_names: shared::Shared::default(),
            root_dirs: shared::Shared::default(),
            envs: shared::Shared::default(),
            graphs: BTreeMap::new(),
            conns: BTreeMap::new(),
            subscriptions: BTreeMap::new(),
            timers: Timers::default(),
            ring: ring::Ring::default(),
            ending: None,
            reloads: config::Reloads::default(),
            counters: Counters::default(),
            roster: 0,
            no_room: false,
            waiters: 0,
            out: Vec::new(),
            now,
        };
        let remembered = core::mem::take(&mut core.config.remembered);
        core.remember(remembered);
        core.publish(EventKind::SupervisorStarted, Actor::Supervisor, None);
        core.out.clear();
        core
    }

    /// Takes one input and returns what is to be done about it, in order.
    pub fn apply(&mut self, input: Input, now: Now) -> Vec<Effect> {
        self.timers.skip_jump(self.now.mono_ms, now.mono_ms);
        self.now = now;
        match input {
            Input::Connected { conn, pid } => self.connected(conn, pid),
            Input::Request { conn, id, request } => self.request(conn, id, request),
            Input::Written { conn, frames } => self.written(conn, frames),
            Input::Disconnected { conn } => self.disconnected(conn),
            Input::Spawned { key, pid, port, new } => self.spawned(&key, pid, port, new),
            Input::SpawnFailed { key, errno, message } => self.spawn_failed(&key, errno, &message),
            Input::CalledOff { key } => self.called_off(&key),
            Input::Ready { key, handshake, ports } => self.ready(&key, handshake, ports),
            Input::NeverReady { key, error, last_lines } => self.never_ready(&key, &error, last_lines),
            Input::Told { key, status } => self.told(&key, status),
            Input::Room(is_left) => self.no_room = !is_left,
            Input::Held { key, holder } => self.held(&key, &holder),
            Input::Unfit { key, why } => self.unfit(&key, why),
            Input::GraphsFound { search, found } => self.graphs_found(search, found),
            Input::GraphDeleted { search, plan, result } => self.graph_deleted(search, *plan, result),
            Input::Examined { key, found } => self.examined(&key, found),
            Input::Leftover { name, pids } => self.left_over(name, pids),
            Input::Notified { key, note } => self.notified(&key, note),
            Input::StopAnswered { key, taken } => self.stop_answered(&key, taken),
            Input::Probed { key, failure } => self.probed(&key, failure),
            Input::Exited { key, exit } => self.exited(&key, exit),
            Input::Swept { key, receipt, last_lines, port_taken } => {
                self.swept(&key, receipt, last_lines, port_taken);
            }
            Input::Surviving { key, receipt } => self.surviving(&key, &receipt),
            Input::SignalSent { key, signal, conn, id, errno } => {
                let answer = self.signal_sent(&key, &signal, conn, errno);
                self.reply(conn, id, answer);
            }
            Input::External { name, holder } => self.external(&name, holder),
            Input::Due => self.due(),
            Input::Begin => self.begin_life(),
            Input::Reread => self.reload(None),
            Input::Configured(read) => self.configured(*read),
            Input::Healed => self.healed(),
            Input::SocketsLost(lost) => self.sockets_lost(&lost),
            Input::Terminate => self.terminate(),
        }
        self.finish_ending();
        if let Some(wake) = self.timers.changed_wake() {
            self.out.push(Effect::WakeAt(wake));
        }
        core::mem::take(&mut self.out)
    }

    /// The event last published.
    #[must_use]
    pub fn seq(&self) -> u64 {
        self.ring.seq()
    }

    /// How often a worker came, went, began a run or changed its owner: what the supervisor after this one has to know.
    #[must_use]
    pub fn roster(&self) -> u64 {
        self.roster
    }

    /// How many workers there are.
    #[must_use]
    pub fn count(&self) -> usize {
        self.workers.len()
    }

    /// The owners that workers of `unknown` had last.
    #[must_use]
    pub fn last_owners(&self) -> BTreeMap<Name, Owner> {
        let lost =
            self.workers.values().filter_map(|worker| Some((&worker.name, worker.last_owner.as_ref()?)));
        lost.map(|(name, owner)| (name.clone(), owner.clone())).collect()
    }

    /// The ports of the workers' last runs that were ready, where they were given one.
    #[must_use]
    pub fn last_ports(&self) -> BTreeMap<Name, u16> {
        let had = self.workers.values().filter_map(|worker| Some((worker.name.clone(), worker.last_port?)));
        had.collect()
    }

    /// The workers of which a run was ready, so that their graphs are known to have had data.
    #[must_use]
    pub fn served(&self) -> Vec<Name> {
        let served = self.workers.values().filter(|worker| worker.was_served);
        served.map(|worker| worker.name.clone()).collect()
    }

    /// Every worker as it is now, as somebody sees it who owns nothing.
    #[must_use]
    pub fn views(&self) -> Vec<gob_protocol::View> {
        self.workers.values().map(|worker| worker.view(false)).collect()
    }

    fn healed(&mut self) {
        self.counters.healed += 1;
        self.publish(EventKind::SupervisorHealed, Actor::Supervisor, None);
    }

    fn connected(&mut self, conn: ConnId, pid: Option<i32>) {
        let who = Arc::new(LeaseHolder { owner: Owner::unknown(), client: None, pid });
        self.conns.insert(conn, Conn { who, said_hello: false, queued: 0, involved: BTreeSet::new() });
    }

    fn disconnected(&mut self, conn: ConnId) {
        let Some(gone) = self.conns.remove(&conn) else { return };
        self.subscriptions.remove(&conn);
        self.forget_asker(conn);
        self.forget_reloads(conn);
        self.drop_waiters(conn, &gone);
        self.drop_leases(conn, &gone);
    }

    /// Notes that the connection has something of the worker's that ends with it.
    fn involve(&mut self, conn: ConnId, name: &Name) {
        if let Some(conn) = self.conns.get_mut(&conn) {
            conn.involved.insert(name.clone());
        }
    }

    fn drop_waiters(&mut self, conn: ConnId, gone: &Conn) {
        for name in &gone.involved {
            let Some(worker) = self.workers.get_mut(name) else { continue };
            let (gone, kept) = core::mem::take(&mut worker.waiters).into_iter().partition(|w| w.conn == conn);
            worker.waiters = kept;
            for waiter in Vec::into_iter(gone) {
                self.timers.cancel(&Timer::Waiter(worker.name.clone(), conn, waiter.number));
            }
        }
    }

    fn due(&mut self) {
        self.timers.woken();
        while let Some(timer) = self.timers.pop_due(self.now.mono_ms) {
            match timer {
                Timer::Start(name) => self.start_timed_out(&name),
                Timer::Delay(name) => self.delay_passed(&name),
                Timer::Then(name) => self.half_of_grace_passed(&name),
                Timer::Kill(name) => self.grace_ended(&name),
                Timer::Sweep(name) => self.sweep_is_late(&name),
                Timer::Backoff(name) => self.retry(&name),
                Timer::Liveness(name) => self.liveness_is_due(&name),
                Timer::Idle(name) => self.idle_for_long(&name),
                Timer::Polite(name) => self.holder_took_too_long(&name),
                Timer::Lease(name) => self.lease_grace_ended(&name),
                Timer::Waiter(name, conn, number) => self.waiter_timed_out(&name, conn, number),
            }
        }
    }

    fn reply(&mut self, conn: ConnId, id: Option<Id>, result: Result<Data, Box<WireError>>) {
        self.out.push(Effect::Reply { conn, id, result });
    }

    /// Publishes an event of a worker, as it is now, or of the supervisor itself.
    fn publish(&mut self, kind: EventKind, actor: Actor, name: Option<&Name>) {
        self.roster += u64::from(matches!(
            kind,
            EventKind::WorkerAdded
                | EventKind::WorkerStarted
                | EventKind::WorkerReady
                | EventKind::WorkerOwnerChanged
                | EventKind::WorkerRemoved
        ));
        let worker = name.and_then(|name| self.workers.get(name));
        let last_owner = worker.and_then(|worker| worker.last_owner.clone());
        let worker = worker.map(|worker| worker.view(false));
        let event = Event { event: kind, seq: 0, time: self.now.wall, actor, worker };
        let (kept, oldest) = self.ring.push(event, last_owner);
        self.overtake(&oldest);
        self.fan_out(&kept);
    }

    /// Who this connection speaks for.
    fn actor(&self, conn: ConnId) -> Actor {
        self.conns.get(&conn).map_or(Actor::Supervisor, Conn::actor)
    }

    fn wall_in(&self, ms: u64) -> Timestamp {
        Timestamp(self.now.wall.0.saturating_add_unsigned(ms))
    }
}
