//! Short words for tests: requests, clients, and what they were told.

use super::harness::{Answer, World, kind};
use super::steps::Step;
use crate::ConnId;
use gob_protocol::request::{ByName, HandOver, Restart, Start, Stop};
use gob_protocol::{Data, ErrorCode, Exit, Name, Outcome, Owner, Request, State, View};
use std::collections::BTreeMap;

pub(super) const OWNERS: [(ConnId, &str); 4] =
    [(ConnId(1), "cli"), (ConnId(2), "desktop"), (ConnId(3), "electron"), (ConnId(4), "unknown")];
pub(super) const CLI: ConnId = ConnId(1);
pub(super) const DESKTOP: ConnId = ConnId(2);
pub(super) const ELECTRON: ConnId = ConnId(3);
pub(super) const NOBODY: ConnId = ConnId(4);

pub(super) fn world() -> World {
    let mut world = World::new(kind());
    for (conn, owner) in OWNERS {
        world.takes(&Step::Join(conn, owner));
    }
    world
}

/// A ready worker `w` that this client started.
pub(super) fn started_by(conn: ConnId) -> World {
    let mut world = world();
    world.takes(&Step::Ask(conn, start("w")));
    world.settles();
    world
}

pub(super) fn name(text: &str) -> Name {
    Name::graph(text).unwrap()
}

pub(super) fn start(text: &str) -> Request {
    Request::Start(Start { graph: Some(name(text)), ..Start::default() })
}

pub(super) fn start_leased(text: &str) -> Request {
    Request::Start(Start { graph: Some(name(text)), lease: true, ..Start::default() })
}

pub(super) fn stop(text: &str) -> Request {
    Request::Stop(Stop { name: name(text), force: false, grace_ms: None })
}

pub(super) fn stop_within(text: &str, grace_ms: u64) -> Request {
    Request::Stop(Stop { name: name(text), force: false, grace_ms: Some(grace_ms) })
}

pub(super) fn stop_force(text: &str) -> Request {
    Request::Stop(Stop { name: name(text), force: true, grace_ms: None })
}

pub(super) fn restart(text: &str) -> Request {
    Request::Restart(Restart { name: name(text), env: None, grace_ms: None, wait: None, timeout_ms: None })
}

pub(super) fn by_name(text: &str) -> ByName {
    ByName { name: name(text) }
}

pub(super) fn killed() -> Exit {
    Exit::Signal { signal: "SIGKILL".into(), core_dumped: false }
}

pub(super) fn hand_over(text: &str, to: &str) -> Request {
    Request::HandOver(HandOver { name: name(text), to: Owner::new(to).unwrap() })
}

pub(super) fn code(answer: Option<&Answer>) -> Option<ErrorCode> {
    answer.and_then(|answer| answer.as_ref().err()).map(|error| error.code)
}

pub(super) fn outcome(answer: Option<&Answer>) -> Option<Outcome> {
    match answer {
        Some(Ok(Data::Start(data))) => Some(data.outcome),
        _other => None,
    }
}

pub(super) fn view(world: &World) -> View {
    world.core.workers[&name("w")].view(false)
}

impl World {
    /// Takes a step that can happen.
    pub(super) fn takes(&mut self, step: &Step) {
        match self.step(step) {
            Ok(true) => {}
            Ok(false) => panic!("{step:?} can't happen"),
            Err(why) => panic!("{why}\nat {step:?}"),
        }
    }

    pub(super) fn asks(&mut self, conn: ConnId, request: Request) -> i64 {
        self.answers.get_or_insert_with(BTreeMap::new);
        self.ask(conn, request.clone()).unwrap_or_else(|why| panic!("{why}\nat {request:?}"))
    }

    pub(super) fn settles(&mut self) {
        self.settle(true).unwrap_or_else(|why| panic!("{why}"));
    }

    /// The answer to a request, if there is one yet.
    pub(super) fn answer(&self, conn: ConnId, id: i64) -> Option<&Answer> {
        self.answers.as_ref()?.get(&(conn, id))
    }

    pub(super) fn state(&self, text: &str) -> State {
        self.core.workers[&name(text)].state()
    }
}
