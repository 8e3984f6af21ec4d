//! A small world around the core: clients, a shell that tells the truth, and time.
//!
//! [`World::step`] takes one step, feeds the core, carries out its effects, and checks everything that must hold. A step
//! that can't happen in the world as it is (a process that ends without having been spawned) does nothing.

use super::runs::{Run, Runs, Stage};
use super::spec::{Expect, Spec};
use super::watch::Watch;
use crate::plan::Paths;
use crate::{Config, ConnId, Core, Effect, Holder, Input, Now};
use gob_protocol::handshake::{Handshake, HandshakeError};
use gob_protocol::kind::{Check, Kind, Readiness, RestartOn, RestartPolicy, StopWay};
use gob_protocol::request::{Hello, ServerInfo};
use gob_protocol::{
    Data, Env, Event, Exit, Id, Name, Outcome, Owner, ProcessId, Receipt, Request, Timestamp, Wait, WireError,
};
use std::boxed::Box;
use std::collections::BTreeMap;
use std::rc::Rc;
use std::string::{String, ToString};
use std::vec::Vec;
use std::{format, vec};

/// What happens next.
#[derive(Debug, Clone)]
pub(super) enum Step {
    /// Somebody connects and says hello, `unknown` only the former.
    Join(ConnId, &'static str),
    Leave(ConnId),
    Ask(ConnId, Request),
    Spawned(Name),
    SpawnFailed(Name),
    Ready(Name),
    Refused(Name),
    /// A liveness probe finds the worker well or not.
    Probed(Name, bool),
    Exited(Name, Exit),
    Swept(Name),
    /// A census finds a survivor.
    Surviving(Name),
    /// A process of this owner holds the graph, or nobody does.
    External(Name, Option<&'static str>),
    /// A subscriber reads at most so many frames.
    Read(ConnId, u32),
    /// Time passes up to the wake-up that the core asked for.
    Due,
    /// The wake-up comes so much too late.
    Late(u64),
    /// Time passes, but not beyond the wake-up.
    Pass(u64),
    /// Somebody sets the clock on the wall.
    Skew(i64),
    Terminate,
}

#[derive(Debug, Clone)]
pub(super) struct Client {
    pub(super) owner: Owner,
    /// Event frames that it has not read.
    pub(super) unread: u32,
    pub(super) watch: Option<Watch>,
}

/// A request without its answer.
#[derive(Debug, Clone)]
pub(super) struct Owed {
    pub(super) requester: Owner,
    pub(super) wait: Option<Wait>,
    pub(super) outcome: Option<Outcome>,
    pub(super) run: u64,
    pub(super) is_stop: bool,
    /// What was asked, where the answer needs it.
    pub(super) request: Option<Request>,
}

pub(super) type Answer = Result<Data, Box<WireError>>;

#[derive(Debug, Clone)]
pub(super) struct World {
    pub(super) core: Core,
    pub(super) now: u64,
    pub(super) skew: i64,
    /// When the shell will wake the core.
    pub(super) wake: Option<u64>,
    pub(super) runs: Runs,
    pub(super) clients: BTreeMap<ConnId, Client>,
    pub(super) owed: BTreeMap<(ConnId, i64), Owed>,
    pub(super) spec: Spec,
    /// Every event since the beginning.
    pub(super) history: Vec<Rc<Event>>,
    /// The core told the process to end.
    pub(super) ended: bool,
    /// The answers, where a test wants to see them.
    pub(super) answers: Option<BTreeMap<(ConnId, i64), Answer>>,
    pub(super) last_id: i64,
}

/// Numbers that are small, unlike each other, and leave the backoff no room for jitter.
pub(super) fn kind() -> Kind {
    Kind {
        readiness: Readiness { check: Check::Handshake, timeout_ms: 300 },
        stop: StopWay { signal: "SIGTERM".into(), grace_ms: 100 },
        restart: RestartPolicy {
            on: RestartOn::OnFailure,
            backoff_ms: (2, 3),
            give_up_failures: 3,
            give_up_within_ms: 1_000,
            healthy_after_ms: 500,
        },
        exit_zero_ceded: true,
        ..Kind::graph()
    }
}

pub(super) const LEASE_GRACE_MS: u64 = 200;
pub(super) const INSTANCE: &str = "this-life";

pub(super) fn config(kind: Kind) -> Config {
    let dir = |name: &str| format!("/{name}");
    Config {
        server: ServerInfo {
            version: "0".into(),
            pid: 1,
            instance: INSTANCE.into(),
            started_at: Timestamp(0),
        },
        kinds: BTreeMap::from([("graph".to_string(), kind)]),
        default_kind: "graph".into(),
        paths: Paths {
            runtime_dir: dir("run"),
            state_dir: dir("state"),
            data_dir: dir("data"),
            socket: dir("s"),
        },
        base_env: Env::default(),
        lease_grace_ms: LEASE_GRACE_MS,
        last_runs: BTreeMap::new(),
        seed: 1,
    }
}

impl World {
    pub(super) fn new(kind: Kind) -> Self {
        let core = Core::new(config(kind), Now { mono_ms: 0, wall: Timestamp(0) });
        let mut world = Self {
            core,
            now: 0,
            skew: 0,
            wake: None,
            runs: Runs::default(),
            clients: BTreeMap::new(),
            owed: BTreeMap::new(),
            spec: Spec::default(),
            history: Vec::new(),
            ended: false,
            answers: None,
            last_id: 0,
        };
        world.note_events();
        world
    }

    /// Takes one step; `false` when it can't happen.
    pub(super) fn step(&mut self, step: &Step) -> Result<bool, String> {
        match step {
            Step::Pass(ms) => self.now = (self.now + ms).min(self.wake.unwrap_or(u64::MAX)),
            Step::Skew(ms) => self.skew += ms,
            Step::Join(conn, owner) => {
                if self.clients.contains_key(conn) {
                    return Ok(false);
                }
                self.feed(Input::Connected { conn: *conn, pid: Some(7) })?;
                if *owner != "unknown" {
                    let owner = Owner::new(owner).ok();
                    let hello = Request::Hello(Hello { protocol: 1, client: None, owner });
                    self.ask(*conn, hello)?;
                }
            }
            Step::Ask(conn, request) => {
                if !self.clients.contains_key(conn) {
                    return Ok(false);
                }
                self.ask(*conn, request.clone())?;
            }
            other => match self.input(other) {
                Some(input) => self.feed(input)?,
                None => return Ok(false),
            },
        }
        Ok(true)
    }

    /// Asks and gives the request's number.
    pub(super) fn ask(&mut self, conn: ConnId, request: Request) -> Result<i64, String> {
        self.last_id += 1;
        let id = self.last_id;
        self.feed(Input::Request { conn, id: Some(Id::Number(id)), request })?;
        Ok(id)
    }

    /// What the core is told of a step, if it can happen.
    fn input(&mut self, step: &Step) -> Option<Input> {
        let alive = |run: &&Run| matches!(run.stage, Stage::Alive { .. });
        let runs = &mut self.runs;
        Some(match step {
            Step::Join(..) | Step::Ask(..) | Step::Pass(_) | Step::Skew(_) => return None,
            Step::Leave(conn) => Input::Disconnected { conn: *self.clients.get_key_value(conn)?.0 },
            Step::Spawned(name) => {
                let run = runs.get(name).filter(|run| run.stage == Stage::Spawning)?;
                Input::Spawned { key: run.key(name), pid: runs.next_pid() }
            }
            Step::SpawnFailed(name) => {
                let run = runs.get(name).filter(|run| run.stage == Stage::Spawning)?;
                Input::SpawnFailed {
                    key: run.key(name),
                    errno: "ENOENT".into(),
                    message: "no program".into(),
                }
            }
            Step::Ready(name) => {
                let run = runs.get(name).filter(alive).filter(|run| !run.told)?;
                Input::Ready { key: run.key(name), result: Ok(Handshake::default()) }
            }
            Step::Refused(name) => {
                let run = runs.get(name).filter(alive).filter(|run| !run.told)?;
                let result = Err(HandshakeError::Refused("no disk".into()));
                Input::Ready { key: run.key(name), result }
            }
            Step::Probed(name, well) => {
                let run = runs.get(name).filter(alive).filter(|run| run.told)?;
                Input::Probed { key: run.key(name), failure: (!well).then(|| "no answer".into()) }
            }
            Step::Exited(name, exit) => {
                Input::Exited { key: runs.get(name).filter(alive)?.key(name), exit: exit.clone() }
            }
            Step::Swept(name) => {
                let run = runs.get(name).filter(|run| run.stage == Stage::Exited)?;
                Input::Swept {
                    key: run.key(name),
                    receipt: Receipt::default(),
                    last_lines: vec!["bye".into()],
                }
            }
            Step::Surviving(name) => {
                let run = runs.get(name).filter(|run| run.census)?;
                let survivors = vec![ProcessId { pid: 9, start_time: 9 }];
                Input::Surviving { key: run.key(name), receipt: Receipt { survivors, ..Receipt::default() } }
            }
            Step::External(name, owner) => {
                let holder = owner.map(|owner| Holder {
                    pid: 77,
                    owner: Owner::new(owner).unwrap_or_else(|_| Owner::unknown()),
                    path: "/lock".into(),
                    endpoint: None,
                });
                Input::External { name: self.core.workers.get_key_value(name)?.0.clone(), holder }
            }
            Step::Read(conn, frames) => {
                let client = self.clients.get_mut(conn).filter(|client| client.unread > 0)?;
                let frames = client.unread.min(*frames);
                client.unread -= frames;
                Input::Written { conn: *conn, frames }
            }
            Step::Due => self.wake_at(0)?,
            Step::Late(ms) => self.wake_at(*ms)?,
            Step::Terminate => Input::Terminate,
        })
    }

    fn wake_at(&mut self, late_ms: u64) -> Option<Input> {
        self.now = self.now.max(self.wake? + late_ms);
        self.wake = None;
        Some(Input::Due)
    }

    /// Applies one input, carries out what follows, and checks it all.
    pub(super) fn feed(&mut self, input: Input) -> Result<(), String> {
        let before = super::checks::Before::of(&self.core);
        let expect = self.spec.expect(&self.core, &self.clients, self.now, &input);
        self.note(&input, &expect);
        let now = Now { mono_ms: self.now, wall: Timestamp(self.skew.saturating_add_unsigned(self.now)) };
        let out = self.core.apply(input, now);
        let first = self.note_events();
        let mut spawned = Vec::new();
        for effect in &out {
            self.carry_out(effect, &expect, &mut spawned)?;
        }
        ensure!(spawned == expect.spawns, "spawned {spawned:?}, not {:?}", expect.spawns);
        if expect.refused {
            let replies = out.iter().filter(|effect| matches!(effect, Effect::Reply { .. })).count();
            ensure!(replies == 1 && out.len() == 1, "a refused request does nothing but answer: {out:?}");
        }
        self.check(&before, &expect, first)
    }

    /// What the world knows of an input before the core does.
    fn note(&mut self, input: &Input, expect: &Expect) {
        self.runs.note(input);
        match input {
            Input::Connected { conn, .. } => {
                let client = Client { owner: Owner::unknown(), unread: 0, watch: None };
                self.clients.insert(*conn, client);
            }
            Input::Disconnected { conn } => {
                self.clients.remove(conn);
                self.owed.retain(|(asker, _), _| asker != conn);
            }
            Input::Request { conn, id: Some(Id::Number(id)), request } => {
                let Some(client) = self.clients.get(conn) else { return };
                let wait = match request {
                    Request::Start(start) => Some(start.wait.unwrap_or_default()),
                    Request::Restart(restart) => Some(restart.wait.unwrap_or_default()),
                    _other => None,
                };
                let owed = Owed {
                    requester: client.owner.clone(),
                    wait,
                    outcome: expect.outcome,
                    run: expect.run,
                    is_stop: matches!(request, Request::Stop(_)),
                    request: matches!(request, Request::Subscribe(_) | Request::Unsubscribe)
                        .then(|| request.clone()),
                };
                self.owed.insert((*conn, *id), owed);
            }
            _other => {}
        }
    }

    /// Takes the events that were published and gives the place of the first one.
    pub(super) fn note_events(&mut self) -> usize {
        let first = self.history.len();
        for seq in first as u64 + 1..=self.core.ring.seq() {
            let Some(event) = self.core.ring.get(seq) else { continue };
            for client in self.clients.values_mut() {
                if let Some(watch) = &mut client.watch {
                    watch.published(event);
                }
            }
            self.history.push(Rc::clone(event));
        }
        first
    }
}
