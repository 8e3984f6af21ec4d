//! Claims of workers outside: in their order, kept by heartbeats, given back with a connection or by an answer that is too late.

use super::rig::{AGENT, CLI, World, add, beat, finish, id, lane};
use crate::{ConnId, Input, Now, Question};
use gob_protocol::queue::{QueueAsk, QueueStatus};
use gob_protocol::request::QueueWidth;
use gob_protocol::{ErrorCode, EventKind, Request, Timestamp};
use std::boxed::Box;

#[test]
fn a_claimant_outside_waits_for_a_job_and_gets_none_of_another() {
    let mut world = World::new();
    world.told(CLI, Request::QueueWidth(QueueWidth { lane: lane("out"), width: 0 })).unwrap();
    let hasty = world.claims(AGENT, None);
    assert_eq!(world.got(hasty), Some(None));
    let (first, second) = (world.claims(AGENT, Some(1_000)), world.claims(CLI, Some(1_000)));
    world.added(add("out"));
    assert_eq!((world.got(first), world.got(second)), (Some(Some(id(1))), None), "first come, first served");
    world.pass(1_000);
    assert_eq!(world.got(second), Some(None), "its time is over");
    assert_eq!(world.code(CLI, beat(1, CLI)), ErrorCode::JobNotClaimed);
    assert_eq!(world.code(CLI, finish(1, CLI, true)), ErrorCode::JobNotClaimed);
    world.told(AGENT, beat(1, AGENT)).unwrap();
    world.told(AGENT, finish(1, AGENT, true)).unwrap();
    assert_eq!(world.status(1), QueueStatus::Completed);
    assert_eq!(world.code(AGENT, finish(1, AGENT, true)), ErrorCode::JobNotClaimed, "it is over");
}

#[test]
fn a_claim_goes_back_with_its_connection_and_does_not_count() {
    let mut world = World::new();
    world.told(CLI, Request::QueueWidth(QueueWidth { lane: lane("out"), width: 0 })).unwrap();
    world.added(add("out"));
    let claim = world.claims(AGENT, None);
    assert_eq!(world.got(claim), Some(Some(id(1))));
    world.leaves(AGENT).unwrap();
    let job = world.desk.store.job("j1");
    assert_eq!((job.status, job.attempt, job.attempts), (QueueStatus::Pending, 1, 0));
    assert_eq!(world.events.last().map(|(event, _)| *event), Some(EventKind::QueueJobRecovered));
    // One whose connection ends while the store claims.
    world.joins(AGENT, "agent").unwrap();
    world.is_prompt = false;
    world.claims(AGENT, Some(1_000));
    world.leaves(AGENT).unwrap();
    while !world.desk.asked.is_empty() {
        world.store_answers().unwrap();
    }
    assert_eq!((world.status(1), world.desk.store.job("j1").attempts), (QueueStatus::Pending, 0));
}

#[test]
fn a_claimant_that_is_not_heard_loses_its_job_and_a_jump_of_the_clock_counts_as_a_word() {
    let mut world = World::new();
    world.told(CLI, Request::QueueWidth(QueueWidth { lane: lane("out"), width: 0 })).unwrap();
    world.added(add("out"));
    let claim = world.claims(AGENT, None);
    assert_eq!(world.got(claim), Some(Some(id(1))));
    world.pass(50_000);
    world.told(AGENT, beat(1, AGENT)).unwrap();
    world.pass(59_000);
    assert_eq!(world.status(1), QueueStatus::Running);
    // The machine sleeps: nobody could say a word.
    world.now += 3_600_000;
    world.told(CLI, Request::Ping).unwrap();
    world.pass(59_000);
    assert_eq!(world.status(1), QueueStatus::Running);
    world.pass(2_000);
    let job = world.desk.store.job("j1");
    assert_eq!((job.status, job.attempts), (QueueStatus::Pending, 1), "this one counts");
    assert!(job.error.unwrap().contains("host-2 was not heard of for 60 s"));
    assert_eq!(world.core.status().queue_stale_recoveries, 1);
    assert_eq!(world.code(AGENT, beat(1, AGENT)), ErrorCode::JobNotClaimed);
}

#[test]
fn what_the_store_claims_too_late_goes_back() {
    let mut world = World::new();
    world.told(CLI, Request::QueueWidth(QueueWidth { lane: lane("out"), width: 0 })).unwrap();
    world.added(add("out"));
    world.is_prompt = false;
    let claim = world.claims(AGENT, Some(60_000));
    world.store_is_slow().unwrap();
    let error = world.answers.remove(&claim).unwrap().unwrap_err();
    assert_eq!(error.code, ErrorCode::Busy);
    while !world.desk.asked.is_empty() {
        world.store_answers().unwrap();
    }
    assert_eq!((world.status(1), world.desk.store.job("j1").attempts), (QueueStatus::Pending, 0));
}

#[test]
fn a_claim_that_the_store_refused_is_tried_again_also_when_the_clock_is_set() {
    let mut world = World::new();
    world.is_prompt = false;
    world.ask(CLI, Request::QueueAdd(Box::new(add("a")))).unwrap();
    let is_claim = |question: &Question| matches!(question, Question::Queue(ask) if matches!(**ask, QueueAsk::Claim { .. }));
    while !world.desk.asked.front().is_some_and(|(_, question)| is_claim(question)) {
        world.store_answers().unwrap();
    }
    world.store_fails().unwrap();
    assert!(world.desk.asked.is_empty() && world.runs().is_empty(), "the claim was refused");
    // The clock is set, and set back.
    let set = Now { mono_ms: world.now, wall: Timestamp(3_600_000) };
    for effect in world.core.apply(Input::Disconnected { conn: ConnId(99) }, set) {
        world.carry_out(effect).unwrap();
    }
    world.is_prompt = true;
    world.pass(3_000);
    assert_eq!(world.runs(), ["j1"]);
}
