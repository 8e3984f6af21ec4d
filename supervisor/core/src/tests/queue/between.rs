//! A supervisor that is killed between the end of a job's process and the moment at which the store knows of it.

use super::rig::{World, add, id};
use gob_protocol::Exit;
use gob_protocol::queue::QueueStatus;
use std::vec;

/// A job whose process has ended, while the store has not answered that it knows.
fn ended_untold() -> World {
    let mut world = World::new();
    world.added(add("a"));
    world.is_prompt = false;
    world.exits(&id(1), Exit::Code { code: 0 }).unwrap();
    assert_eq!((world.desk.asked.len(), world.status(1)), (1, QueueStatus::Running));
    world
}

#[test]
fn a_job_whose_end_the_store_never_heard_of_runs_again_and_not_at_once() {
    let mut world = ended_untold();
    world.is_prompt = true;
    world.restarts().unwrap();
    assert_eq!(
        (world.status(1), world.runs()),
        (QueueStatus::Pending, vec![]),
        "after the delay of a failure"
    );
    world.pass(2_000);
    assert_eq!((world.desk.begun[&id(1)], world.runs()), (2, vec!["j1".into()]));
    world.ends(1, 0);
    assert_eq!(world.status(1), QueueStatus::Completed);
}

#[test]
fn a_job_whose_end_only_the_store_knows_does_not_run_again() {
    let mut world = ended_untold();
    let told = world.desk.answers(world.time().wall).unwrap();
    assert!(told.is_some(), "on the disk, and the answer was lost with the supervisor");
    world.is_prompt = true;
    world.restarts().unwrap();
    world.pass(600_000);
    assert_eq!((world.status(1), world.desk.begun[&id(1)]), (QueueStatus::Completed, 1));
    assert!(world.runs().is_empty());
}
