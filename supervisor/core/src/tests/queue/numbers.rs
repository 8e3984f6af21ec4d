//! Numbers of jobs while the store is out of reach.

use super::super::harness::config;
use super::rig::{AGENT, CLI, World, add, id, lane};
use crate::{Core, Effect, Input, NoAnswer, Now, Stored};
use gob_config::kind::Kind;
use gob_protocol::queue::QueueStatus;
use gob_protocol::request::{Add, ByLane, ByName, QueueRetry};
use gob_protocol::{Request, Timestamp};
use std::boxed::Box;
use std::string::ToString;
use std::vec;
use std::vec::Vec;

fn create(word: &str) -> Request {
    Request::Create(Box::new(Add { command: vec![word.into()], cwd: "/site".into(), ..Add::default() }))
}

#[test]
fn each_number_is_marked_before_a_job_has_it_with_and_without_a_store() {
    let mut core = Core::new(config(Kind::graph()), Now { mono_ms: 0, wall: Timestamp(0) });
    core.cx.past.knows(&id(7));
    let mut marks = Vec::new();
    for answer in [Ok(Stored::Reserved { first: 10, count: 64 }), Err(NoAnswer::Silent)] {
        crate::history::take_numbers(&answer, &mut core.cx);
        marks.extend(core.cx.out.take().into_iter().filter_map(|effect| match effect {
            Effect::MarkJobs { up_to } => Some(up_to),
            _other => None,
        }));
    }
    assert_eq!(marks, [73, 137]);
    let mut given = core.cx.past.next_job().unwrap().number();
    while let Some(next) = core.cx.past.next_job() {
        given = next.number();
    }
    assert_eq!(given, Some(137));
}

#[test]
fn a_job_whose_number_another_one_has_is_not_taken_for_it() {
    let mut world = World::new();
    world.told(CLI, Request::QueuePause(ByLane { lane: lane("a") })).unwrap();
    world.added(add("a"));
    // The next supervisor can't read the store, and knows of no number.
    let mut config = config(Kind::graph());
    world.desk.restarts(&mut config);
    (config.remembered.highest_job, config.last_runs) = (0, Default::default());
    world.core = Core::new(config, world.time());
    world.conns.clear();
    world.is_prompt = false;
    world.feed(Input::Begin).unwrap();
    world.joins(CLI, "cli").unwrap();
    world.joins(AGENT, "agent").unwrap();
    let asked = world.ask(CLI, create("other")).unwrap();
    while !world.answers.contains_key(&asked) {
        world.store_fails().unwrap();
    }
    world.is_prompt = true;
    world.pass(10_000);
    world.told(CLI, Request::QueueResume(ByLane { lane: lane("a") })).unwrap();
    world.pass(60_000);
    let command = |world: &World| world.core.views().first().map(|view| view.command[0].to_string());
    assert_eq!((command(&world).as_deref(), world.runs()), (Some("other"), vec![]));
    let job = world.desk.store.job("j1");
    assert_eq!((job.status, job.attempts), (QueueStatus::Failed, job.max_attempts));
    assert!(job.error.is_some_and(|error| error.contains("another job was given its number")));
    // Without the other one it can run.
    world.told(CLI, Request::Remove(ByName { name: id(1) })).unwrap();
    world.told(CLI, Request::QueueRetry(QueueRetry { job_id: id(1), env: None })).unwrap();
    assert_eq!((command(&world).as_deref(), world.runs()), (Some("make"), vec!["j1".into()]));
}
