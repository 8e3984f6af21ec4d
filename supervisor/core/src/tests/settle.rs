//! The world cooperates: what was asked of it happens, until nothing moves any more. Also short words for tests.

use super::harness::{Answer, World};
use super::runs::Stage;
use super::spec::{Stand, stand};
use super::steps::Step;
use crate::ConnId;
use crate::worker::Phase;
use gob_protocol::request::{ByName, Restart, Start, Stop};
use gob_protocol::{Exit, Name, Request};
use std::collections::BTreeMap;
use std::format;
use std::string::String;

/// Enough for every worker to fail as often as it may; whatever takes longer goes round in circles.
const STEPS: usize = 500;

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

impl World {
    /// Takes steps until nothing moves, then checks that all is well. Workers that do not obey end only when killed.
    pub(super) fn settle(&mut self, obey: bool) -> Result<(), String> {
        for _ in 0..STEPS {
            match self.next_step(obey) {
                Some(step) => {
                    let taken =
                        self.step(&step).map_err(|why| format!("{why}\nwhen settling with {step:?}"))?;
                    ensure!(taken, "{step:?} can't happen");
                }
                None => return self.check_settled(),
            }
        }
        Err(format!("does not settle: {:?}", self.core.workers))
    }

    fn next_step(&self, obey: bool) -> Option<Step> {
        for (name, run) in self.runs.iter() {
            let name = name.clone();
            match run.stage {
                Stage::Spawning => return Some(Step::Spawned(name)),
                Stage::Exited => return Some(Step::Swept(name)),
                Stage::Alive { .. } if run.sweeping => return Some(Step::Exited(name, killed())),
                Stage::Alive { .. } if run.terminated && obey => {
                    return Some(Step::Exited(name, Exit::Code { code: 0 }));
                }
                Stage::Alive { .. } if !run.told && !run.terminated => return Some(Step::Ready(name)),
                Stage::Alive { .. } => {}
            }
        }
        let waiting = !self.owed.is_empty()
            || self.core.workers.values().any(|worker| match stand(worker) {
                Stand::Rest | Stand::External | Stand::Up => false,
                Stand::Backoff | Stand::Starting | Stand::Ending => true,
            });
        (waiting && self.wake.is_some()).then_some(Step::Due)
    }

    fn check_settled(&self) -> Result<(), String> {
        ensure!(self.owed.is_empty(), "nothing moves and {:?} are owed", self.owed);
        for worker in self.core.workers.values() {
            let stand = stand(worker);
            let down = matches!(stand, Stand::Rest | Stand::External);
            ensure!(down || stand == Stand::Up, "nothing moves and {worker:?}");
            ensure!(down || !self.spec.is_down(&worker.name), "it was stopped: {worker:?}");
        }
        ensure!(self.ended == self.spec.ending, "the end came: {}", self.ended);
        Ok(())
    }

    // ── short words ─────────────────────────────────────────────────────────────────────────────────────────────

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

    pub(super) fn phase(&self, text: &str) -> &Phase {
        &self.core.workers[&name(text)].phase
    }
}
