//! The end of an attempt, by its exit, by a client, with the supervisor or after one that was killed; and what is left of a job
//! that has ended.

use super::rig::{AGENT, CLI, World, add, beat, by_job, finish, id, lane};
use crate::Input;
use gob_protocol::queue::QueueStatus;
use gob_protocol::request::{ByName, Force, HandOver, QueueAdd, QueueWidth, Start, Stop};
use gob_protocol::{Data, ErrorCode, Exit, Request};
use std::string::ToString;
use std::vec;

#[test]
fn an_attempt_that_fails_is_followed_by_another_and_the_last_one_by_none() {
    let mut world = World::new();
    world.added(QueueAdd { max_attempts: Some(2), ..add("a") });
    world.ends(1, 3);
    assert_eq!((world.status(1), world.runs().len()), (QueueStatus::Pending, 0));
    world.pass(1_000);
    assert_eq!(world.runs(), ["j1"], "the delay is over");
    let spawned = world.processes[&id(1)].key.run;
    assert_eq!(spawned, 2, "each attempt is a run");
    world.ends(1, 3);
    let job = world.desk.store.job("j1");
    assert_eq!((job.status, job.error.as_deref()), (QueueStatus::Failed, Some("exited 3")));
    world.pass(100_000);
    assert!(world.runs().is_empty());
}

#[test]
fn a_job_that_was_stopped_by_a_client_is_cancelled_and_not_tried_again() {
    let mut world = World::new();
    world.added(add("a"));
    world.spawned(&id(1)).unwrap();
    world.ask(CLI, Request::Stop(Stop { name: id(1), force: false, grace_ms: None })).unwrap();
    assert!(world.processes[&id(1)].is_asked);
    world.exits(&id(1), Exit::Signal { signal: "SIGTERM".into(), core_dumped: false }).unwrap();
    assert_eq!(world.status(1), QueueStatus::Cancelled);
    let again = Request::Start(Start { name: Some(id(1)), ..Start::default() });
    assert_eq!(world.code(CLI, again), ErrorCode::GraphConflict, "its lane runs it, and nobody else");
}

#[test]
fn a_cancelled_job_ends_where_it_runs_and_its_dependants_fail() {
    let mut world = World::new();
    world.added(add("a"));
    world.added(QueueAdd { after: vec![id(1)], ..add("b") });
    world.spawned(&id(1)).unwrap();
    assert_eq!(world.code(AGENT, Request::QueueCancel(by_job(1))), ErrorCode::ServerOwnedByOther);
    assert_eq!(world.code(CLI, Request::QueueCancel(by_job(9))), ErrorCode::JobNotFound);
    world.told(CLI, Request::QueueCancel(by_job(1))).unwrap();
    assert_eq!((world.status(1), world.status(2)), (QueueStatus::Cancelled, QueueStatus::Failed));
    assert!(world.processes[&id(1)].is_asked, "it is stopped as by a stop");
    let retry = gob_protocol::request::QueueRetry { job_id: id(1), env: None };
    assert_eq!(world.code(CLI, Request::QueueRetry(retry.clone())), ErrorCode::ServerRunning, "it is held");
    world.ends(1, 0);
    assert_eq!(world.status(1), QueueStatus::Cancelled, "whatever its exit");
    world.told(CLI, Request::QueueRetry(retry)).unwrap();
    assert_eq!((world.runs(), world.processes[&id(1)].key.run), (vec!["j1".to_string()], 2));
}

#[test]
fn a_killed_supervisor_runs_its_jobs_again_and_leaves_those_of_claimants_outside() {
    let mut world = World::new();
    world.told(CLI, Request::QueueWidth(QueueWidth { lane: lane("out"), width: 0 })).unwrap();
    world.added(add("a"));
    world.added(add("out"));
    let claim = world.claims(AGENT, None);
    assert_eq!(world.got(claim), Some(Some(id(2))));
    world.restarts().unwrap();
    let job = world.desk.store.job("j1");
    assert_eq!(
        (job.status, job.error.as_deref()),
        (QueueStatus::Pending, Some("the supervisor ended while it ran"))
    );
    assert!(world.runs().is_empty(), "never at once");
    world.pass(1_000);
    assert_eq!((world.runs(), world.processes[&id(1)].key.run), (vec!["j1".to_string()], 2));
    assert_eq!(world.status(2), QueueStatus::Running, "its worker may live");
    world.pass(50_000);
    world.told(AGENT, beat(2, AGENT)).unwrap();
    world.pass(50_000);
    world.told(AGENT, finish(2, AGENT, true)).unwrap();
    assert_eq!(world.status(2), QueueStatus::Completed);
}

#[test]
fn an_end_in_order_gives_back_what_runs_and_waits_until_the_store_knows() {
    let mut world = World::new();
    world.added(add("a"));
    world.spawned(&id(1)).unwrap();
    world.is_prompt = false;
    world.feed(Input::Terminate).unwrap();
    world.exits(&id(1), Exit::Signal { signal: "SIGTERM".into(), core_dumped: false }).unwrap();
    assert!(!world.has_ended, "the store does not know yet");
    while !world.desk.asked.is_empty() {
        world.store_answers().unwrap();
    }
    assert!(world.has_ended);
    assert_eq!((world.status(1), world.desk.store.job("j1").attempts), (QueueStatus::Pending, 0));
}

#[test]
fn the_end_of_an_attempt_is_told_until_the_store_knows() {
    let mut world = World::new();
    world.added(add("a"));
    world.added(add("a"));
    world.spawned(&id(1)).unwrap();
    world.is_prompt = false;
    world.exits(&id(1), Exit::Code { code: 0 }).unwrap();
    world.store_fails().unwrap();
    assert!(world.desk.asked.is_empty() && world.runs().is_empty(), "the slot is kept so long");
    world.pass(2_000);
    world.is_prompt = true;
    world.store_answers().unwrap();
    assert_eq!((world.status(1), world.runs()), (QueueStatus::Completed, vec!["j2".to_string()]));
}

#[test]
fn nuke_keeps_jobs_that_are_not_finished_and_counts_them() {
    let mut world = World::new();
    world.added(add("a"));
    world.added(add("a"));
    world.spawned(&id(1)).unwrap();
    let nuke = world.ask(CLI, Request::Nuke(Force::default())).unwrap();
    world.exits(&id(1), Exit::Signal { signal: "SIGTERM".into(), core_dumped: false }).unwrap();
    let Some(Ok(Data::Nuke(data))) = world.answers.remove(&nuke) else { panic!("no answer") };
    assert_eq!(data.unfinished, 2);
}

#[test]
fn a_job_of_the_queue_is_not_handed_over() {
    let mut world = World::new();
    world.added(add("a"));
    let to = gob_protocol::Owner::new("agent").unwrap();
    let pass = Request::HandOver(HandOver { name: id(1), to });
    assert_eq!(world.code(CLI, pass), ErrorCode::GraphConflict);
    assert_eq!(world.core.views()[0].owner.as_str(), "cli");
}

#[test]
fn few_workers_of_jobs_that_have_ended_are_listed() {
    let mut world = World::new();
    for number in 1..=150 {
        world.added(add("a"));
        world.ends(number, 0);
    }
    assert_eq!(world.core.views().len(), 100);
    world.told(CLI, Request::Remove(ByName { name: id(150) })).unwrap();
    assert_eq!(world.core.views().len(), 99);
    world.told(CLI, Request::Cleanup).unwrap();
    assert_eq!(world.core.views().len(), 0);
}
