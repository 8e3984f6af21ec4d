//! Jobs of a lane: which run, and when.

use super::rig::{AGENT, CLI, World, add, id, lane};
use crate::Input;
use gob_protocol::queue::QueueStatus;
use gob_protocol::request::{ByLane, QueueAdd, QueueWidth};
use gob_protocol::{Data, Name, Owner, Request, State};
use std::boxed::Box;
use std::collections::BTreeSet;
use std::format;
use std::vec;
use std::vec::Vec;

#[test]
fn a_lane_runs_as_many_jobs_as_it_is_wide_and_the_next_one_when_one_ends() {
    let mut world = World::new();
    for _ in 0..4 {
        world.added(add("a"));
    }
    assert_eq!(world.runs(), ["j1"], "one at first");
    world.told(AGENT, Request::QueueWidth(QueueWidth { lane: lane("a"), width: 3 })).unwrap();
    assert_eq!(world.runs(), ["j1", "j2", "j3"]);
    world.ends(2, 0);
    assert_eq!(
        (world.status(2), world.runs()),
        (QueueStatus::Completed, vec!["j1".into(), "j3".into(), "j4".into()])
    );
    let view = world.core.views().into_iter().find(|view| view.name == id(2)).unwrap();
    assert_eq!((view.state, view.run, view.owner), (State::Idle, 1, Owner::cli()));
}

#[test]
fn a_delayed_job_runs_when_its_time_has_come_and_a_paused_lane_runs_none() {
    let mut world = World::new();
    world.added(QueueAdd { delay_ms: Some(5_000), ..add("a") });
    world.pass(4_999);
    assert!(world.runs().is_empty());
    world.told(AGENT, Request::QueuePause(ByLane { lane: lane("a") })).unwrap();
    world.pass(10);
    assert!(world.runs().is_empty());
    world.told(AGENT, Request::QueueResume(ByLane { lane: lane("a") })).unwrap();
    assert_eq!(world.runs(), ["j1"]);
}

#[test]
fn a_lane_keeps_its_width_that_a_client_names_before_the_store_has_told_of_it() {
    let mut world = World::new();
    world.told(CLI, Request::QueueWidth(QueueWidth { lane: lane("out"), width: 0 })).unwrap();
    world.is_prompt = false;
    world.restarts().unwrap();
    world.claims(AGENT, Some(1_000));
    while !world.desk.asked.is_empty() {
        world.store_answers().unwrap();
    }
    world.is_prompt = true;
    world.leaves(AGENT).unwrap();
    let added = world.added(add("out"));
    let status = world.desk.store.job(added.id.as_str()).status;
    assert_eq!(status, QueueStatus::Pending, "the supervisor has no slot in this lane");
}

#[test]
fn more_jobs_at_once_than_a_block_has_numbers_all_get_one() {
    let mut world = World::new();
    world.is_prompt = false;
    let asked: Vec<i64> =
        (0..200).map(|_| world.ask(CLI, Request::QueueAdd(Box::new(add("ci")))).unwrap()).collect();
    while !world.desk.asked.is_empty() {
        world.store_answers().unwrap();
    }
    let given: BTreeSet<Name> = asked
        .iter()
        .map(|id| match &world.answers[id] {
            Ok(Data::QueueAdd(data)) => data.job.id.clone(),
            other => panic!("{other:?}"),
        })
        .collect();
    assert_eq!(given.len(), 200);
}

#[test]
fn a_job_that_has_no_descriptors_waits_for_them() {
    let mut world = World::new();
    world.feed(Input::Room(false)).unwrap();
    world.added(add("a"));
    assert!(world.runs().is_empty());
    world.feed(Input::Room(true)).unwrap();
    world.pass(2_000);
    assert_eq!(world.runs(), ["j1"]);
}

#[test]
fn the_environment_of_a_job_is_in_no_event() {
    let mut world = World::new();
    world.added(add("a"));
    world.ends(1, 0);
    let told = format!("{:?}", world.events);
    assert!(world.events.len() == 3 && !told.contains("SECRET"), "{told}");
}

#[test]
fn a_lane_that_becomes_narrower_while_a_job_is_claimed_runs_no_more_than_it_is_wide() {
    let mut world = World::new();
    let width = |width| Request::QueueWidth(QueueWidth { lane: lane("a"), width });
    world.told(AGENT, width(2)).unwrap();
    world.added(add("a"));
    world.is_prompt = false;
    world.ask(CLI, Request::QueueAdd(Box::new(add("a")))).unwrap();
    // The store hears of the width, and then claims a job that nobody may run any more.
    let narrower = world.ask(AGENT, width(1)).unwrap();
    while !world.desk.asked.is_empty() {
        world.store_answers().unwrap();
    }
    assert!(world.answers[&narrower].is_ok());
    assert_eq!((world.runs(), world.status(2)), (vec!["j1".into()], QueueStatus::Pending));
    assert_eq!(world.desk.store.job("j2").attempts, 0, "it does not count");
    world.is_prompt = true;
    world.ends(1, 0);
    assert_eq!((world.status(1), world.runs()), (QueueStatus::Completed, vec!["j2".into()]));
}
