//! Locks that several machines share: what is asked of the database, and what follows from its answers.

use super::super::harness::config;
use super::super::queue::rig::{AGENT, CLI, World};
use crate::{ConnId, Input, SharedChange, SharedNews, Stored};
use gob_config::Shared;
use gob_config::kind::Kind;
use gob_protocol::lock::ask::{FIRST_SHARED_TOKEN, LockAsk, LockRow, LockTold};
use gob_protocol::request::{LockAcquire, LockBreak, LockRelease, LockStatus};
use gob_protocol::{Data, ErrorCode, LockMode, LockName, LockParty, Owner, Request};
use std::boxed::Box;
use std::vec;
use std::vec::Vec;

const TOKEN: u64 = FIRST_SHARED_TOKEN;

fn world() -> World {
    let mut config = config(Kind::graph());
    config.settings.shared = Some(Shared { url: "postgres://ada@db/gob".into(), password_file: None });
    let mut world = World::with(config);
    world.feed(Input::Shared(SharedNews::Up)).unwrap();
    assert!(matches!(world.lock_asked(), LockAsk::Sync { spares: true, .. }));
    world.locks_told(LockTold::default());
    world
}

fn name() -> LockName {
    LockName::new("shared/build").unwrap()
}

fn acquire(timeout_ms: Option<u64>) -> Request {
    Request::LockAcquire(Box::new(LockAcquire { timeout_ms, ..LockAcquire::new(name()) }))
}

/// A holder on another machine.
fn bob() -> LockParty {
    LockParty {
        process: Some("make".into()),
        pid: Some(7),
        host: "bob".into(),
        owner: Owner::new("bob").unwrap(),
        mode: LockMode::Exclusive,
        priority: 0,
        age_ms: 5,
        token: Some(TOKEN + 7),
        expires_at: None,
    }
}

impl World {
    /// The question about locks that was asked first.
    fn lock_asked(&self) -> LockAsk {
        self.lock_asks.front().expect("a question").1.clone()
    }

    fn locks_told(&mut self, told: LockTold) {
        let (ticket, _) = self.lock_asks.pop_front().expect("a question");
        self.feed(Input::Stored { ticket, answer: Ok(Stored::Lock(Box::new(told))) }).unwrap();
    }

    /// The number of the request that stands in line by the question asked first.
    fn entered(&self) -> u64 {
        match self.lock_asked() {
            LockAsk::Enter { entry, .. } => entry.number,
            other => panic!("{other:?}"),
        }
    }

    fn is_held_by(&mut self, number: u64, token: u64) {
        let own = vec![LockRow { lock: name(), number, token: Some(token) }];
        self.locks_told(LockTold { own, parties: vec![(name(), Vec::new())], is_done: false });
    }

    fn holds(&mut self, conn: ConnId, token: u64) {
        let id = self.ask(conn, acquire(None)).unwrap();
        let number = self.entered();
        self.is_held_by(number, token);
        match self.answers.remove(&id).unwrap() {
            Ok(Data::LockAcquire(data)) => assert_eq!(data.token, token),
            other => panic!("{other:?}"),
        }
    }
}

#[test]
fn a_request_stands_in_the_databases_line_and_has_the_lock_when_that_says_so() {
    let mut world = world();
    let id = world.ask(CLI, acquire(None)).unwrap();
    let number = world.entered();
    world.locks_told(LockTold {
        own: vec![LockRow { lock: name(), number, token: None }],
        parties: vec![(name(), vec![bob()])],
        is_done: false,
    });
    assert!(!world.answers.contains_key(&id));
    let change = SharedChange { locks: vec![name()], ..SharedChange::default() };
    world.feed(Input::Shared(SharedNews::Changed(Box::new(change)))).unwrap();
    assert!(matches!(world.lock_asked(), LockAsk::Look { .. }));
    world.is_held_by(number, TOKEN);
    assert!(matches!(world.answers.remove(&id), Some(Ok(Data::LockAcquire(data))) if data.token == TOKEN));
    world.told(CLI, Request::LockRelease(LockRelease { lock: name(), token: TOKEN })).unwrap();
    assert_eq!(world.lock_asked(), LockAsk::End { token: TOKEN, lock: name() });
}

#[test]
fn a_wait_that_is_over_leaves_the_line_and_names_the_holder_elsewhere() {
    let mut world = world();
    let id = world.ask(CLI, acquire(Some(1_000))).unwrap();
    let number = world.entered();
    let waits = LockTold {
        own: vec![LockRow { lock: name(), number, token: None }],
        parties: vec![(name(), vec![bob()])],
        is_done: false,
    };
    world.locks_told(waits.clone());
    world.pass(1_000);
    let error = world.answers.remove(&id).unwrap().unwrap_err();
    assert_eq!(
        (error.code, error.message.contains("bob")),
        (ErrorCode::LockTimeout, true),
        "{}",
        error.message
    );
    assert_eq!(world.lock_asked(), LockAsk::Leave { number, lock: name() });
    world.locks_told(LockTold { parties: vec![(name(), vec![bob()])], ..LockTold::default() });
    // One that only tries is not in the line afterwards.
    let id = world.ask(CLI, acquire(Some(0))).unwrap();
    let number = world.entered();
    world.locks_told(LockTold { own: vec![LockRow { lock: name(), number, token: None }], ..waits });
    let error = world.answers.remove(&id).unwrap().unwrap_err();
    assert_eq!((error.code, error.message.contains("bob")), (ErrorCode::LockTimeout, true), "{error:?}");
    assert!(world.lock_asks.is_empty());
}

#[test]
fn connections_take_what_they_hold_and_wait_for_with_them() {
    let mut world = world();
    world.holds(AGENT, TOKEN);
    world.ask(AGENT, acquire(None)).unwrap();
    assert!(world.lock_asks.is_empty(), "a party does not wait for itself");
    world.leaves(AGENT).unwrap();
    assert_eq!(world.lock_asked(), LockAsk::End { token: TOKEN, lock: name() });
}

#[test]
fn a_lost_lease_takes_the_locks_and_an_absence_the_waits() {
    let mut world = world();
    world.holds(CLI, TOKEN);
    let id = world.ask(AGENT, acquire(None)).unwrap();
    let number = world.entered();
    world.locks_told(LockTold {
        own: vec![
            LockRow { lock: name(), number: number - 1, token: Some(TOKEN) },
            LockRow { lock: name(), number, token: None },
        ],
        parties: vec![(name(), Vec::new())],
        is_done: false,
    });
    world.feed(Input::Shared(SharedNews::Away("the cable is out".into()))).unwrap();
    assert_eq!(world.answers.remove(&id).unwrap().unwrap_err().code, ErrorCode::Busy);
    assert_eq!(world.core.locks.grants().count(), 1, "the lease goes on");
    assert_eq!(world.code(AGENT, acquire(None)), ErrorCode::Busy);
    world.feed(Input::Shared(SharedNews::Lost("the lease is over".into()))).unwrap();
    assert_eq!(world.core.locks.grants().count(), 0);
    assert!(world.lock_asks.is_empty(), "nobody is there to be told");
    world.feed(Input::Shared(SharedNews::Up)).unwrap();
    assert!(
        matches!(world.lock_asked(), LockAsk::Sync { holds, waits, .. } if holds.is_empty() && waits.is_empty())
    );
}

#[test]
fn what_the_database_does_not_know_is_lost() {
    let mut world = world();
    world.holds(CLI, TOKEN);
    world.feed(Input::Shared(SharedNews::Away("away".into()))).unwrap();
    world.feed(Input::Shared(SharedNews::Up)).unwrap();
    assert!(matches!(world.lock_asked(), LockAsk::Sync { holds, .. } if holds == [TOKEN]));
    world.locks_told(LockTold::default());
    assert_eq!(world.core.locks.grants().count(), 0);
}

#[test]
fn a_holder_of_an_earlier_supervisor_goes_on_where_the_database_says_so() {
    let mut world = world();
    let claim =
        Request::LockAcquire(Box::new(LockAcquire { token: Some(TOKEN), ..LockAcquire::new(name()) }));
    for is_done in [true, false] {
        let id = world.ask(if is_done { CLI } else { AGENT }, claim.clone()).unwrap();
        let LockAsk::Adopt { token: TOKEN, entry } = world.lock_asked() else {
            panic!("{:?}", world.lock_asks)
        };
        let token = Some(TOKEN);
        let own = vec![LockRow { lock: name(), number: entry.number, token }];
        world.locks_told(LockTold { own, parties: vec![(name(), Vec::new())], is_done });
        let answer = world.answers.remove(&id).unwrap();
        assert_eq!(answer.is_ok(), is_done, "{answer:?}");
    }
}

#[test]
fn a_claim_that_is_under_way_when_the_two_are_compared_is_not_given_up() {
    let mut world = world();
    let claim =
        Request::LockAcquire(Box::new(LockAcquire { token: Some(TOKEN), ..LockAcquire::new(name()) }));
    let id = world.ask(CLI, claim).unwrap();
    world.feed(Input::Shared(SharedNews::Up)).unwrap();
    let LockAsk::Adopt { entry, .. } = world.lock_asked() else { panic!("{:?}", world.lock_asks) };
    let own = vec![LockRow { lock: name(), number: entry.number, token: Some(TOKEN) }];
    let told = LockTold { own, parties: vec![(name(), Vec::new())], is_done: true };
    world.locks_told(told.clone());
    assert!(matches!(world.lock_asked(), LockAsk::Sync { holds, .. } if holds == [TOKEN]));
    world.locks_told(LockTold { is_done: false, ..told });
    assert!(matches!(world.answers.remove(&id), Some(Ok(Data::LockAcquire(_)))));
    assert_eq!(world.core.locks.grants().count(), 1);
}

#[test]
fn another_owners_lock_is_broken_by_those_who_may() {
    let mut world = world();
    let told = LockTold { parties: vec![(name(), vec![bob()])], ..LockTold::default() };
    let broken = Request::LockBreak(LockBreak { lock: name() });
    let id = world.ask(AGENT, broken.clone()).unwrap();
    world.locks_told(told.clone());
    assert_eq!(world.answers.remove(&id).unwrap().unwrap_err().code, ErrorCode::ServerOwnedByOther);
    let id = world.ask(CLI, broken.clone()).unwrap();
    world.locks_told(told.clone());
    assert_eq!(world.lock_asked(), LockAsk::Break { lock: name(), tokens: vec![TOKEN + 7] });
    world.locks_told(LockTold { is_done: true, ..LockTold::default() });
    assert!(matches!(world.answers.remove(&id), Some(Ok(Data::LockBreak(data))) if data.broken == [bob()]));
    let id = world.ask(CLI, broken).unwrap();
    world.locks_told(LockTold::default());
    assert_eq!(world.answers.remove(&id).unwrap().unwrap_err().code, ErrorCode::ServerNotFound);
    let id = world.ask(AGENT, Request::LockStatus(LockStatus { lock: None })).unwrap();
    world.locks_told(told);
    assert!(
        matches!(world.answers.remove(&id), Some(Ok(Data::LockStatus(data))) if data.locks[0].holders == [bob()])
    );
}

#[test]
fn without_a_database_no_lock_is_shared() {
    assert_eq!(World::new().code(CLI, acquire(None)), ErrorCode::InvalidRequest);
}
