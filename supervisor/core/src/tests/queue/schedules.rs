//! Schedules, and the jobs that they add.

use super::rig::{AGENT, CLI, World, lane};
use gob_protocol::queue::ScheduleName;
use gob_protocol::request::{ScheduleAdd, ScheduleRemove};
use gob_protocol::{ErrorCode, Request};
use std::boxed::Box;
use std::vec;

#[test]
fn a_schedule_adds_a_job_at_each_of_its_times_until_its_owner_removes_it() {
    let mut world = World::new();
    let schedule = |interval_ms, cron| ScheduleAdd {
        lane: lane("a"),
        command: vec!["make".into()],
        cwd: "/site".into(),
        env: None,
        cron,
        interval_ms,
        timezone: None,
        name: None,
    };
    let both = Request::ScheduleAdd(Box::new(schedule(Some(5_000), Some("* * * * *".into()))));
    assert_eq!(world.code(CLI, both), ErrorCode::InvalidRequest);
    world.told(CLI, Request::ScheduleAdd(Box::new(schedule(Some(5_000), None)))).unwrap();
    world.pass(5_000);
    assert_eq!(world.runs(), ["j1"]);
    world.ends(1, 0);
    world.pass(5_000);
    assert_eq!(world.runs(), ["j2"], "no number is lost");
    let remove = || Request::ScheduleRemove(ScheduleRemove { name: ScheduleName::new("a").unwrap() });
    assert_eq!(world.code(AGENT, remove()), ErrorCode::ServerOwnedByOther);
    world.told(CLI, remove()).unwrap();
    world.ends(2, 0);
    world.pass(60_000);
    assert!(world.runs().is_empty());
}
