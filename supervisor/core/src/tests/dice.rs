//! Chance, made of a seed: what may happen next in a world, likely things more often.

mod shared;

use super::harness::World;
use super::steps::{Seen, Step};
use super::upgrading::Upgrading;
use super::words::killed;
use crate::restart::Dice as Throws;
use crate::{ConnId, Note};
use gob_protocol::request::{
    Add, ByName, Force, HandOver, Hello, List, Restart, RestartOn, Signal, Start, Stop, Subscribe, Upgrade,
};
use gob_protocol::{Env, EventKind, Exit, Name, Owner, Request, State, Wait};
use shared::Subject;
use std::string::ToString;
use std::vec;

/// Clients, each with its owner; some owners have two.
const CLIENTS: [(ConnId, &str); 7] = [
    (ConnId(1), "cli"),
    (ConnId(2), "desktop"),
    (ConnId(3), "unknown"),
    (ConnId(4), "electron"),
    (ConnId(5), "cli"),
    (ConnId(6), "desktop"),
    (ConnId(7), "agent"),
];
const NAMES: [&str; 5] = ["u", "v", "w", "p", "q"];
/// The names that jobs have too, where they are free.
const JOBS: [&str; 2] = ["p", "q"];

pub(super) struct Dice {
    throws: Throws,
    /// The supervisor may come to its end, after which little happens.
    ends: bool,
    subject: Subject,
}

impl Dice {
    pub(super) fn new(seed: u64) -> Self {
        // Seeds that follow each other must not give sequences that do.
        let mut dice =
            Self { throws: Throws::new(Throws::new(seed).throw()), ends: false, subject: Subject::Workers };
        dice.ends = dice.below(6) == 0;
        dice.subject = Subject::any(&mut dice);
        dice
    }

    pub(super) fn below(&mut self, bound: u64) -> u64 {
        self.throws.throw() % bound
    }

    pub(super) fn between(&mut self, low: u64, high: u64) -> u64 {
        low + self.below(high - low + 1)
    }

    pub(super) fn one<T: Clone>(&mut self, of: &[T]) -> T {
        of[self.below(of.len() as u64) as usize].clone()
    }

    pub(super) fn maybe<T>(&mut self, percent: u64, value: impl FnOnce(&mut Self) -> T) -> Option<T> {
        (self.below(100) < percent).then(|| value(self))
    }

    fn name(&mut self) -> Name {
        super::words::name(self.one(&NAMES))
    }

    fn conn(&mut self) -> ConnId {
        self.one(&CLIENTS).0
    }

    /// Any step; it may turn out that it can't happen.
    pub(super) fn step(&mut self, world: &World) -> Step {
        if let Some(step) = self.shared(world) {
            return step;
        }
        if world.upgrading != Upgrading::Nothing && self.below(8) == 0 {
            return Step::Upgrade(self.below(4) != 0);
        }
        match self.below(100) {
            0..10 => {
                let (conn, owner) = self.one(&CLIENTS);
                if world.clients.contains_key(&conn) { self.ask(world) } else { Step::Join(conn, owner) }
            }
            10 => Step::Leave(self.conn()),
            11..45 => self.ask(world),
            45..75 => self.process(world),
            75..84 => Step::Read(self.conn(), self.one(&[1, 5, 200, 2_000])),
            84..92 => Step::Due,
            92 => Step::Late(self.one(&[1, 1_999, 2_001, 60_000])),
            93..96 => Step::Pass(self.one(&[1, 10, 100, 5_000])),
            96 => Step::Skew(self.one(&[-3_600_000, 1, 86_400_000])),
            97 => Step::Stale(self.name(), self.below(13) as usize),
            98 => Step::HolderGone(self.name()),
            // A flood takes as long as several histories.
            _rare => match self.below(200) {
                7..13 => Step::Leftover(self.name(), self.below(3) == 0),
                0..2 => Step::Flood(self.conn(), self.name(), self.one(&[10, 600, 1_500])),
                2..7 if self.ends => Step::Terminate,
                13..23 => Step::Healed,
                23..43 => Step::SocketsLost(self.maybe(50, Self::name).into_iter().collect()),
                43..63 => Step::Program(self.name(), self.below(3) != 0),
                _more => Step::Ask(self.conn(), Request::Cleanup),
            },
        }
    }

    /// Something that the shell may have to say; most of it would come in the end.
    fn process(&mut self, world: &World) -> Step {
        let live = world.runs.iter().map(|(name, _)| name.clone());
        let live: vec::Vec<_> = live.collect();
        let name = if live.is_empty() { self.name() } else { self.one(&live) };
        let code = Exit::Code { code: self.one(&[0, 1]) };
        if let Some(name) = world.runs.all_evicting().next().filter(|_| self.below(2) == 0) {
            return Step::OrphanEnded(name.clone());
        }
        if let Some(name) = world.runs.all_looking().next().filter(|_| self.below(2) == 0) {
            return Step::Examined(name.clone(), self.seen());
        }
        match self.below(32) {
            26 => Step::Emptied(name),
            27 | 28 => Step::ReadOut(name, self.below(4) == 0),
            29 | 30 => Step::Freed(name),
            23 => Step::Busy(name),
            24 => Step::Gone(name),
            25 => Step::WasLast(name, "graph", "/data"),
            20 => Step::StopAnswered(self.name(), self.below(2) == 0),
            21 => Step::Held(name),
            22 => Step::CalledOff(name),
            16 => Step::PortTaken(name),
            17 => Step::Told(name),
            18 => Step::Notified(name, self.note()),
            19 => Step::StopAnswered(name, self.below(2) == 0),
            0..4 => Step::Spawned(name),
            4 => Step::SpawnFailed(name),
            5..8 => Step::Ready(name),
            8 => Step::Refused(name),
            9 => Step::Probed(name, self.below(2) == 0),
            10 => Step::Exited(name, code),
            11 => Step::Exited(name, killed()),
            12 => Step::Surviving(name),
            _most => Step::Swept(name),
        }
    }

    fn seen(&mut self) -> Seen {
        let held = Seen::Held(self.one(&CLIENTS).1);
        self.one(&[Seen::Nobody, Seen::Nobody, Seen::Nobody, held, Seen::Orphans, Seen::Unclear])
    }

    fn note(&mut self) -> Note {
        Note {
            ready: self.below(2) == 0,
            stopping: self.below(10) == 0,
            alive: self.below(2) == 0,
            failed: self.below(10) == 0,
            watchdog_ms: self.maybe(10, |dice| dice.one(&[0, 500])),
            extend_ms: self.maybe(20, |dice| dice.one(&[0, 100, u64::MAX])),
        }
    }

    fn ask(&mut self, world: &World) -> Step {
        let request = match self.below(44) {
            40..44 => self.add(),
            0..12 => self.start(),
            12..17 => Request::Stop(Stop {
                name: self.name(),
                force: self.below(4) == 0,
                grace_ms: self.maybe(30, |dice| dice.one(&[0, 50, 5_000])),
            }),
            17..21 => Request::Restart(Restart {
                name: self.name(),
                env: self.maybe(20, |_| Env::default()),
                grace_ms: self.maybe(30, |dice| dice.one(&[0, 50, 5_000])),
                wait: self.maybe(30, |_| Wait::Spawned),
                timeout_ms: self.maybe(20, |dice| dice.one(&[0, 20, 1_000])),
            }),
            21 => {
                let signal = self.one(&["HUP", "9", "nonsense"]).to_string();
                Request::Signal(Signal { name: self.name(), signal })
            }
            22..24 => {
                let to = self.one(&CLIENTS).1;
                Request::HandOver(HandOver { name: self.name(), to: Owner::new(to).unwrap() })
            }
            24..27 => Request::Lease(ByName { name: self.name() }),
            27 => Request::Release(ByName { name: self.name() }),
            28..30 => self.subscribe(world),
            30 => Request::Unsubscribe,
            31 => Request::Remove(ByName { name: self.name() }),
            32 => Request::Get(ByName { name: self.name() }),
            _other => self.rare(),
        };
        Step::Ask(self.conn(), request)
    }

    fn start(&mut self) -> Request {
        let name = Some(self.name());
        let by_graph = self.below(2) == 0;
        Request::Start(Start {
            graph: name.clone().filter(|_| by_graph),
            name: name.filter(|_| !by_graph),
            env: self.maybe(20, |_| Env::default()),
            wait: self.maybe(30, |_| Wait::Spawned),
            timeout_ms: self.maybe(20, |dice| dice.one(&[0, 20, 1_000])),
            lease: self.below(4) == 0,
            ..Start::default()
        })
    }

    /// A job has one command in these tests, so that its name is free or its own.
    fn add(&mut self) -> Request {
        let name = self.one(&JOBS);
        let mut add = Add {
            command: vec![name.into()],
            cwd: "/site".into(),
            env: self.maybe(50, |_| Env::default()),
            name: Some(super::words::name(name)),
            description: self.maybe(20, |dice| dice.one(&["", "a", "b"]).into()),
            restart: self
                .maybe(40, |dice| dice.one(&[RestartOn::Never, RestartOn::OnFailure, RestartOn::Always])),
            wait: self.maybe(30, |_| Wait::Spawned),
            ..Add::default()
        };
        // A change is told before the lease is taken, so that its event has one lease less.
        add.lease = add.description.is_none() && add.restart.is_none() && self.below(3) == 0;
        add.attached = self.below(3) == 0;
        if self.below(8) == 0 { Request::Create(add.into()) } else { Request::Add(add.into()) }
    }

    fn subscribe(&mut self, world: &World) -> Request {
        let seq = world.history.len() as u64;
        let events = [EventKind::LeaseGranted, EventKind::WorkerReady, EventKind::WorkerStopped];
        Request::Subscribe(Subscribe {
            since: self.maybe(60, |dice| match dice.below(4) {
                0 => seq,
                1 => seq + 1,
                _old => dice.below(seq + 1),
            }),
            instance: self.maybe(30, |dice| dice.one(&["this-life", "this-life", "another"]).into()),
            names: self.maybe(20, |dice| vec![dice.name()]),
            events: self.maybe(20, |_| events.to_vec()),
            owner: self.maybe(20, |dice| Owner::new(dice.one(&CLIENTS).1).unwrap()),
            cwd: self.maybe(5, |_| "/data/w".into()),
            snapshot: self.below(3) == 0,
        })
    }

    fn rare(&mut self) -> Request {
        match self.below(40) {
            0..2 if self.ends => Request::Shutdown(Force { force: self.below(2) == 0 }),
            2..4 if self.ends => Request::Nuke(Force { force: self.below(2) == 0 }),
            0..4 => Request::Reload,
            4..8 => {
                let owner = self.maybe(50, |dice| Owner::new(dice.one(&CLIENTS).1).unwrap());
                Request::Hello(Hello { protocol: self.one(&[1, 2]), client: None, owner })
            }
            8..16 => Request::List(List { state: self.maybe(50, |_| State::Ready), ..List::default() }),
            16..29 => Request::Status,
            29..30 => Request::Upgrade(Upgrade::default()),
            _often => Request::Ping,
        }
    }
}
