//! A small world around the core: clients, a shell that tells the truth, and time.
//!
//! [`World::step`] takes one step, feeds the core, carries out its effects, and checks everything that must hold. A step
//! that can't happen in the world as it is (a process that ends without having been spawned) does nothing.

use super::runs::Runs;
use super::shared::{Shared, is_shared};
use super::spec::{Expect, Spec};
use super::upgrading::Upgrading;
use super::watch::Watch;
use super::wish::Wish;
use crate::paths::Paths;
use crate::stage::Stage;
use crate::{Config, ConnId, Core, Effect, Input, NoAnswer, Now, Question, Stored, Unfit};
use gob_config::Config as Settings;
use gob_config::kind::{Check, Kind, Liveness, Readiness, RestartOn, RestartPolicy, StopWay};
use gob_protocol::answer::ServerInfo;
use gob_protocol::{Data, Env, Event, Id, Name, Outcome, Owner, Request, Timestamp, View, Wait, WireError};
use std::boxed::Box;
use std::collections::BTreeMap;
use std::format;
use std::rc::Rc;
use std::string::{String, ToString};
use std::vec::Vec;

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
    /// The request, where checking its answer needs it.
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
    /// The wishes as they were before the latest input.
    pub(super) wishes_before: BTreeMap<Name, Wish>,
    /// For each event, its worker's last owner before `unknown`.
    pub(super) lasts: Vec<Option<Owner>>,
    /// The core told the process to end.
    pub(super) ended: bool,
    /// The answers, where a test wants to see them.
    pub(super) answers: Option<BTreeMap<(ConnId, i64), Answer>>,
    pub(super) last_id: i64,
    /// The request whose signal is on its way.
    pub(super) signalling: Option<(ConnId, Option<Id>)>,
    /// Locks and lanes.
    pub(super) shared: Shared,
    pub(super) upgrading: Upgrading,
    pub(super) seen: Seen,
}

/// Counts of things that happened: a history that never has them could not fail for them.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Seen {
    pub(super) events: u64,
    pub(super) errors: u64,
    pub(super) outcomes: u64,
    pub(super) lagged: bool,
    pub(super) gap: bool,
    pub(super) replay: bool,
    pub(super) jump: bool,
    /// A subscriber's model was compared with the views.
    pub(super) models: bool,
}

impl Seen {
    pub(super) fn add(&mut self, other: Self) {
        self.events |= other.events;
        self.errors |= other.errors;
        self.outcomes |= other.outcomes;
        self.lagged |= other.lagged;
        self.gap |= other.gap;
        self.replay |= other.replay;
        self.jump |= other.jump;
        self.models |= other.models;
    }
}

/// Numbers that are small, unlike each other, and leave the backoff no room for jitter.
pub(crate) fn kind() -> Kind {
    Kind {
        readiness: Readiness { check: Check::Handshake, timeout_ms: 300 },
        stop: StopWay { signal: "SIGTERM".into(), grace_ms: 100, ..StopWay::default() },
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

/// The same, and looked at as long as it lives.
pub(super) fn watched_kind() -> Kind {
    let liveness = Liveness {
        check: Check::Connect { address: "unix:{socket}".into() },
        interval_ms: 400,
        timeout_ms: 50,
        failures: 1,
        successes: 1,
        restart: false,
    };
    Kind { liveness: Some(liveness), ..kind() }
}

pub(super) const LEASE_GRACE_MS: u64 = 200;
pub(super) const INSTANCE: &str = "this-life";

pub(super) fn settings(kind: Kind) -> Settings {
    let mut settings = Settings::default();
    settings.kinds.insert("graph".to_string(), kind);
    settings
}

pub(super) fn config(kind: Kind) -> Config {
    let dir = |name: &str| format!("/{name}");
    Config {
        server: ServerInfo {
            version: "0".into(),
            pid: 1,
            instance: INSTANCE.into(),
            started_at: Timestamp(0),
            dirs: None,
            config_invalid: Vec::new(),
        },
        settings: settings(kind),
        rejected: Vec::new(),
        paths: Paths {
            runtime_dir: dir("run"),
            state_dir: dir("state"),
            data_dir: dir("data"),
            socket: dir("s"),
        },
        base_env: Env::default(),
        lease_grace_ms: LEASE_GRACE_MS,
        leftovers: Vec::new(),
        orphans_recovered: 0,
        last_runs: BTreeMap::new(),
        remembered: crate::Remembered::default(),
        locks_mark: crate::LocksMark::Missing,
        host: "here".into(),
        seed: 1,
    }
}

impl World {
    pub(super) fn new(kind: Kind) -> Self {
        Self::of(config(kind))
    }

    pub(super) fn of(config: Config) -> Self {
        let spec = Spec::remembering(&config.remembered);
        let core = Core::new(config, Now { mono_ms: 0, wall: Timestamp(0) });
        let mut world = Self {
            core,
            now: 0,
            skew: 0,
            wake: None,
            runs: Runs::default(),
            clients: BTreeMap::new(),
            owed: BTreeMap::new(),
            spec,
            history: Vec::new(),
            lasts: Vec::new(),
            wishes_before: BTreeMap::new(),
            ended: false,
            answers: None,
            last_id: 0,
            signalling: None,
            shared: Shared::default(),
            upgrading: Upgrading::default(),
            seen: Seen::default(),
        };
        world.note_events();
        world
    }

    /// Applies one input, carries out what follows, and checks it all.
    pub(super) fn feed(&mut self, input: Input) -> Result<(), String> {
        let before = super::checks::Before::of(&self.core);
        self.wishes_before.clone_from(&self.spec.wishes);
        let expect = self.spec.expect(&self.core, &self.clients, &self.shared, self.now, &input);
        self.seen.jump |= expect.jumped > 0;
        self.note(&input, &expect);
        let now = Now { mono_ms: self.now, wall: self.wall() };
        let before_it = self.core.cx.now;
        let passed = now.mono_ms.saturating_sub(before_it.mono_ms);
        let was_set = now.wall != Timestamp(before_it.wall.0.saturating_add_unsigned(passed));
        let out = self.core.apply(input, now);
        let first = self.note_events();
        let mut spawned = Vec::new();
        for effect in &out {
            self.carry_out(effect, &expect, &mut spawned)?;
        }
        spawned.sort();
        ensure!(spawned == expect.spawns, "spawned {spawned:?}, not {:?}", expect.spawns);
        // The queue looks at its times again after the clock was set.
        if expect.refused && expect.jumped == 0 && !(was_set && self.core.lanes.is_used()) {
            let replies = out.iter().filter(|effect| matches!(effect, Effect::Reply { .. })).count();
            ensure!(replies == 1 && out.len() == 1, "a refused request does nothing but answer: {out:?}");
        }
        self.check(&before, &expect, first)?;
        self.check_shared(first)?;
        for effect in &out {
            if let (Effect::Signal { key, signal, asked_by: Some(_) }, Some((conn, id))) =
                (effect, self.signalling.take())
            {
                // Every other one is refused by the kernel.
                let errno = (self.last_id % 2 == 0).then(|| "EPERM".to_string());
                let (key, signal) = (key.clone(), signal.clone());
                self.feed(Input::SignalSent { key, signal, conn, id, errno })?;
            }
        }
        for effect in &out {
            if let Effect::Ask { ticket, question: Question::Durations(name) } = effect {
                let run = self.core.workers.get(name).map_or(0, |worker| worker.run);
                // The store can't be used now and then, or has nothing.
                let before = (1..run).rev().take(usize::try_from(*ticket % 7).unwrap_or_default());
                let durations = before.map(|run| (run, run % 3)).collect();
                let answer =
                    if ticket % 5 == 0 { Err(NoAnswer::Silent) } else { Ok(Stored::Durations(durations)) };
                self.feed(Input::Stored { ticket: *ticket, answer })?;
            }
        }
        if out.iter().any(|effect| matches!(effect, Effect::ReadConfig)) {
            // A file that is not there; its kinds are the world's own, which no text says.
            let same = self.core.cx.setup.settings.clone();
            self.feed(Input::Configured(Box::default()))?;
            self.core.cx.setup.settings = same;
        }
        Ok(())
    }

    /// Notes an input before the core gets it.
    fn note(&mut self, input: &Input, expect: &Expect) {
        self.runs.note(input);
        if let Input::Surviving { key, .. } = input
            && self.spec.ending
        {
            self.runs.abandon(key);
        }
        if let Input::ReadOut { key, .. } | Input::Freed { key } = input
            && super::spec::finishes(&self.core, input) == Some(true)
            && expect.spawns.contains(&key.name)
            && let Some(worker) = self.core.workers.get(&key.name)
        {
            // Requests that wait for the run that lost its port now wait for the next one.
            for waiter in worker.waiters().filter(|waiter| waiter.run == key.run) {
                let Some(Id::Number(id)) = waiter.id else { continue };
                self.owed.entry((waiter.conn, id)).and_modify(|owed| owed.run += 1);
            }
        }
        match input {
            Input::Unfit { key, why: Unfit::Kind(known) } => {
                let worker = self.core.workers.get(&key.name).filter(|worker| worker.run == key.run);
                let begins = worker.is_some_and(|worker| {
                    worker.spec.graph().is_some_and(|graph| graph.kind_is_open)
                        && worker.live().is_some_and(|run| matches!(run.stage(), Stage::Preparing))
                });
                let is_known = self.core.cx.setup.settings.kinds.contains_key(&known.kind);
                if begins && is_known && self.core.cx.past.left_of(&key.name).is_empty() {
                    self.runs.reopen(key);
                }
            }
            Input::Examined { key, .. } if expect.external => {
                // Requests that wait for a coming run of ours are answered with the holder.
                let Some(worker) = self.core.workers.get(&key.name) else { return };
                let begins = super::spec::looks_before(worker);
                for waiter in worker.waiters().filter(|waiter| begins || waiter.run > worker.run) {
                    let Some(Id::Number(id)) = waiter.id else { continue };
                    let owed = self.owed.get_mut(&(waiter.conn, id)).filter(|owed| owed.outcome.is_some());
                    owed.into_iter()
                        .for_each(|owed| (owed.outcome, owed.run) = (Some(Outcome::External), worker.run));
                }
            }
            Input::Connected { conn, .. } => {
                let client = Client { owner: Owner::unknown(), unread: 0, watch: None };
                self.clients.insert(*conn, client);
            }
            Input::Disconnected { conn } => {
                self.clients.remove(conn);
                self.owed.retain(|(asker, _), _| asker != conn);
                self.shared.holders.leaves(*conn);
                self.shared.desk.leaves(*conn);
            }
            Input::Request { conn, id: Some(Id::Number(id)), request } => {
                let Some(client) = self.clients.get(conn) else { return };
                let wait = match request {
                    Request::Start(start) => Some(start.wait.unwrap_or_default()),
                    Request::Restart(restart) => Some(restart.wait.unwrap_or_default()),
                    Request::Add(add) => Some(add.wait.unwrap_or_default()),
                    _other => None,
                };
                let owed = Owed {
                    requester: client.owner.clone(),
                    wait,
                    outcome: expect.outcome,
                    run: expect.run,
                    is_stop: matches!(request, Request::Stop(_)),
                    request: (matches!(request, Request::Subscribe(_) | Request::Unsubscribe)
                        || is_shared(request))
                    .then(|| request.clone()),
                };
                self.shared.asked(*conn, *id, request);
                self.owed.insert((*conn, *id), owed);
            }
            _other => {}
        }
    }

    /// The worker's last owner before `unknown`, at some moment of the latest input.
    pub(super) fn last_owner(&self, view: &View) -> Option<Owner> {
        if !view.owner.is_unknown() {
            return None;
        }
        // Before it was taken over, which may be a part of the same input, it was as it had been.
        let after = self.spec.wishes.get(&view.name).filter(|wish| wish.owner.is_unknown());
        after.or_else(|| self.wishes_before.get(&view.name))?.last.clone()
    }

    /// Takes the events that were published and gives the place of the first one.
    pub(super) fn note_events(&mut self) -> usize {
        let first = self.history.len();
        for seq in first as u64 + 1..=self.core.cx.news.seq() {
            let Some(event) = self.core.cx.news.get(seq).map(|kept| &kept.event) else { continue };
            for client in self.clients.values_mut() {
                if let Some(watch) = &mut client.watch {
                    watch.published(event);
                }
            }
            self.seen.events |= 1 << event.event as u32;
            let last = event.worker.as_ref().and_then(|view| self.last_owner(view));
            self.lasts.push(last);
            self.history.push(Rc::clone(event));
        }
        first
    }
}
