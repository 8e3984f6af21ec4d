//! Clocks that are set, and machines that sleep, while locks are held and jobs are due.

use super::super::harness::World;
use super::super::shared::Word;
use super::super::steps::Step;
use super::super::words::{CLI, DESKTOP, world};
use super::rig::wants;
use gob_protocol::request::{LockAcquire, QueueAdd, QueueClaim};
use gob_protocol::{Data, ErrorCode, Request};
use std::boxed::Box;
use std::vec;
use std::vec::Vec;

const HOUR_MS: i64 = 3_600_000;

fn acquire(asked: LockAcquire) -> Request {
    Request::LockAcquire(Box::new(asked))
}

/// Everything that the store was asked is answered.
fn answers(world: &mut World) {
    while world.shared.tokens.owes() {
        world.takes(&Step::Store(Word::Tokens(true)));
    }
    while !world.shared.desk.asked.is_empty() {
        world.takes(&Step::Store(Word::Answers));
    }
}

/// The clock is set, which the next input shows.
fn set(world: &mut World, by_ms: i64) {
    world.takes(&Step::Skew(by_ms));
    world.takes(&Step::Ask(CLI, Request::Ping));
}

#[test]
fn a_clock_that_is_set_moves_no_deadline_of_a_lock() {
    for by_ms in [-HOUR_MS, 24 * HOUR_MS] {
        let mut world = world();
        let held = world.asks(CLI, acquire(LockAcquire { ttl_ms: Some(1_000), ..wants("l") }));
        answers(&mut world);
        assert!(matches!(world.answer(CLI, held), Some(Ok(Data::LockAcquire(_)))));
        let waits = world.asks(DESKTOP, acquire(LockAcquire { timeout_ms: Some(500), ..wants("l") }));
        set(&mut world, by_ms);
        world.takes(&Step::Pass(499));
        set(&mut world, by_ms);
        assert!(world.answer(DESKTOP, waits).is_none());
        world.takes(&Step::Due);
        let timed_out = world.answer(DESKTOP, waits).unwrap().as_ref().unwrap_err();
        assert_eq!((timed_out.code, world.now), (ErrorCode::LockTimeout, 500));
        assert_eq!(world.shared.holders.held.len(), 1);
        world.takes(&Step::Due);
        assert_eq!((world.shared.holders.held.len(), world.now), (0, 1_000), "its own time is over");
    }
}

fn add(delay_ms: u64) -> Request {
    let add = QueueAdd {
        lane: gob_protocol::queue::LaneName::new("a").unwrap(),
        command: vec!["make".into()],
        cwd: "/site".into(),
        env: None,
        priority: None,
        delay_ms: Some(delay_ms),
        max_attempts: None,
        after: Vec::new(),
        dedupe: None,
        description: None,
    };
    Request::QueueAdd(Box::new(add))
}

#[test]
fn a_delayed_job_goes_by_the_clock_on_the_wall_and_a_claim_by_the_other_one() {
    let mut world = world();
    world.takes(&Step::Ask(CLI, add(2 * HOUR_MS as u64)));
    answers(&mut world);
    let lane = gob_protocol::queue::LaneName::new("a").unwrap();
    let claim = QueueClaim { lane, worker_id: "host".into(), wait_ms: Some(10_000) };
    let claim = world.asks(DESKTOP, Request::QueueClaim(claim));
    set(&mut world, -HOUR_MS);
    answers(&mut world);
    assert!(
        world.answer(DESKTOP, claim).is_none(),
        "three hours are left of the delay, ten seconds of the wait"
    );
    set(&mut world, 3 * HOUR_MS + 1);
    answers(&mut world);
    let Some(Ok(Data::QueueClaim(data))) = world.answer(DESKTOP, claim) else { panic!("no answer") };
    assert!(data.job.is_some(), "it is due by the clock");
}
