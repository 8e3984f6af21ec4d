//! A core with clients that only lock, a shell that answers about the store and the mark, and time.

use super::super::harness::config;
use super::shell::Shell;
use crate::{ConnId, Core, Effect, Input, LocksMark, Now};
use gob_config::kind::Kind;
use gob_protocol::answer::{LockAcquireData, LockStatusData};
use gob_protocol::request::{Hello, LockAcquire, LockBreak, LockRelease, LockStatus};
use gob_protocol::{
    Data, ErrorCode, Event, Id, Lock, LockMode, LockName, Owner, Request, Timestamp, WireError,
};
use std::boxed::Box;
use std::collections::BTreeMap;
use std::rc::Rc;
use std::vec::Vec;

pub(super) type Answer = Result<Data, Box<WireError>>;

/// The shell's part: what it answers, and when.
#[derive(Debug, Clone)]
pub(super) struct Rig {
    pub(super) core: Core,
    pub(super) now: u64,
    pub(super) wake: Option<u64>,
    pub(super) shell: Shell,
    /// Answers come only when [`Rig::tells`] is called.
    pub(super) is_slow: bool,
    pub(super) answers: BTreeMap<(ConnId, i64), Answer>,
    pub(super) events: Vec<Rc<Event>>,
    pub(super) ids: i64,
    pub(super) ended: bool,
}

pub(super) fn lock(text: &str) -> LockName {
    LockName::new(text).unwrap()
}

pub(super) fn wants(text: &str) -> LockAcquire {
    LockAcquire::new(lock(text))
}

pub(super) fn shared(text: &str) -> LockAcquire {
    LockAcquire { mode: Some(LockMode::Shared), ..wants(text) }
}

impl Rig {
    /// A supervisor with the clients 1 to 9 of `cli`, the first one of its directories.
    pub(super) fn new() -> Self {
        Self::after(0, LocksMark::Missing, 9)
    }

    /// The store has reserved the tokens up to this one, and the supervisor before this one has left this mark.
    pub(super) fn after(reserved: u64, mark: LocksMark, clients: u64) -> Self {
        Self::with_store(reserved, true, mark, clients)
    }

    /// The store can be written or not.
    pub(super) fn with_store(reserved: u64, store: bool, mark: LocksMark, clients: u64) -> Self {
        let config = crate::Config { locks_mark: mark, ..config(Kind::graph()) };
        let core = Core::new(config, Now { mono_ms: 0, wall: Timestamp(0) });
        let mut rig = Self {
            core,
            now: 0,
            wake: None,
            shell: Shell::new(reserved, store, mark),
            is_slow: false,
            answers: BTreeMap::new(),
            events: Vec::new(),
            ids: 0,
            ended: false,
        };
        rig.feed(Input::Begin);
        for conn in 1..=clients {
            rig.joins(conn, "cli");
        }
        let watch = ConnId(1_000);
        rig.feed(Input::Connected { conn: watch, pid: None });
        rig.send(watch.0, Request::Subscribe(gob_protocol::request::Subscribe::default()));
        rig.events.clear();
        rig
    }

    pub(super) fn joins(&mut self, conn: u64, owner: &str) {
        self.feed(Input::Connected { conn: ConnId(conn), pid: Some(conn as i32) });
        let owner = Some(Owner::new(owner).unwrap());
        self.send(conn, Request::Hello(Hello { protocol: 1, client: None, owner }));
    }

    pub(super) fn leaves(&mut self, conn: u64) {
        self.feed(Input::Disconnected { conn: ConnId(conn) });
    }

    pub(super) fn feed(&mut self, input: Input) {
        let now = Now { mono_ms: self.now, wall: Timestamp(i64::try_from(self.now).unwrap()) };
        for effect in self.core.apply(input, now) {
            match effect {
                Effect::Reply { conn, id: Some(Id::Number(id)), result } => {
                    let before = self.answers.insert((conn, id), result);
                    assert!(before.is_none(), "{conn:?} {id} is answered twice");
                }
                Effect::Publish { event, .. } => {
                    let frames = Input::Written { conn: ConnId(1_000), frames: 1 };
                    drop(self.core.apply(frames, now));
                    self.events.push(event);
                }
                Effect::WakeAt(at) => self.wake = at,
                Effect::Exit { .. } => self.ended = true,
                other => {
                    self.shell.takes(&other);
                }
            }
        }
        while !self.is_slow && self.tells() {}
    }

    /// Answers the oldest question.
    pub(super) fn tells(&mut self) -> bool {
        let input = self.shell.tells();
        let has_told = input.is_some();
        input.into_iter().for_each(|input| self.feed(input));
        has_told
    }

    /// Sends a request, and returns its id.
    pub(super) fn send(&mut self, conn: u64, request: Request) -> i64 {
        self.ids += 1;
        let id = Some(Id::Number(self.ids));
        self.feed(Input::Request { conn: ConnId(conn), id, request });
        self.ids
    }

    pub(super) fn asks(&mut self, conn: u64, asked: LockAcquire) -> i64 {
        self.send(conn, Request::LockAcquire(Box::new(asked)))
    }

    pub(super) fn answer(&self, conn: u64, id: i64) -> Option<&Answer> {
        self.answers.get(&(ConnId(conn), id))
    }

    /// The token of a request that was granted.
    pub(super) fn token(&self, conn: u64, id: i64) -> Option<u64> {
        match self.answer(conn, id)? {
            Ok(Data::LockAcquire(LockAcquireData { token, .. })) => Some(*token),
            other => panic!("{other:?}"),
        }
    }

    pub(super) fn code(&self, conn: u64, id: i64) -> Option<ErrorCode> {
        self.answer(conn, id)?.as_ref().err().map(|error| error.code)
    }

    /// Takes a lock that is free.
    pub(super) fn takes(&mut self, conn: u64, asked: LockAcquire) -> u64 {
        let id = self.asks(conn, asked);
        self.token(conn, id).expect("a grant at once")
    }

    pub(super) fn gives(&mut self, conn: u64, text: &str, token: u64) {
        let id = self.send(conn, Request::LockRelease(LockRelease { lock: lock(text), token }));
        assert!(self.answer(conn, id).unwrap().is_ok(), "{:?}", self.answer(conn, id));
    }

    pub(super) fn breaks(&mut self, conn: u64, text: &str) -> Option<ErrorCode> {
        let id = self.send(conn, Request::LockBreak(LockBreak { lock: lock(text) }));
        self.code(conn, id)
    }

    pub(super) fn status(&mut self, text: &str) -> Lock {
        self.status_of(Some(text)).locks[0].clone()
    }

    /// The answer about a lock, or about all of them.
    pub(super) fn status_of(&mut self, text: Option<&str>) -> LockStatusData {
        let id = self.send(1_000, Request::LockStatus(LockStatus { lock: text.map(lock) }));
        match self.answer(1_000, id) {
            Some(Ok(Data::LockStatus(data))) => data.clone(),
            other => panic!("{other:?}"),
        }
    }

    /// Time passes, and the core is woken whenever it wants to be.
    pub(super) fn passes(&mut self, ms: u64) {
        let until = self.now + ms;
        while let Some(at) = self.wake.filter(|at| *at <= until) {
            self.now = at.max(self.now);
            self.wake = None;
            self.feed(Input::Due);
        }
        self.now = until;
    }

    /// The events since the last call, as `event lock reason`.
    pub(super) fn told(&mut self) -> Vec<std::string::String> {
        let events = std::mem::take(&mut self.events);
        let told = events.iter().map(|event| {
            let lock = event.lock.as_ref().map_or("", |lock| lock.as_str());
            let reason = event.reason.map_or("", |reason| reason.as_str());
            std::format!("{} {lock} {reason}", event.event).trim_end().into()
        });
        told.collect()
    }
}
