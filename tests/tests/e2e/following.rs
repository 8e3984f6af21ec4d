//! `logs -f` follows names: across runs, removals and supervisors, and names that come later (F8).

use crate::streams::Running;
use gob_tests::Gob;
use gob_tests::process::Handle;
use gob_tests::wait::{self, DEADLINE};
use nix::sys::signal::Signal;
use serde_json::{Value, json};

fn write(text: &str) -> Value {
    json!({"text": text, "stderr": false})
}

fn listened_to(gob: &Gob, subscribers: u64) {
    assert!(wait::until(DEADLINE, || gob.status()["subscribers"].as_u64() == Some(subscribers)));
}

#[test]
fn a_name_is_followed_through_runs_removals_and_supervisors() {
    let gob = Gob::new();
    gob.ctl(["start", "g"]).ok();
    gob.worker("g").ok("write", write("one\n"));
    let mut logs = Running::start(&mut gob.ctl(["logs", "-f", "g"]));
    logs.says("one");
    listened_to(&gob, 1);
    gob.ctl(["restart", "g"]).ok();
    logs.says("--- g: run 1 ended: ");
    logs.says("--- g: run 2 begins");
    gob.worker("g").ok("write", write("two\n"));
    logs.says("two");
    gob.ctl(["stop", "g"]).ok();
    logs.says("--- g: run 2 ended: ");
    gob.ctl(["remove", "g"]).ok();
    logs.says("--- g was removed, with its logs; going on with the next g");
    gob.ctl(["start", "g"]).ok();
    logs.says(" begins");
    gob.worker("g").ok("write", write("after the removal\n"));
    logs.says("after the removal");
    // The first run of another supervisor has a number, and names of files, that existed before.
    gob.ctl(["nuke"]).ok();
    logs.says("the supervisor has gone");
    gob.ctl(["start", "g"]).ok();
    logs.says("--- g: run 1 begins");
    gob.worker("g").ok("write", write("after the end of everything\n"));
    logs.says("after the end of everything");
    listened_to(&gob, 1);
    let status = gob.status();
    Handle::open(status["pid"].as_i64().unwrap() as i32).unwrap().signal(Signal::SIGKILL);
    gob.wait_other_instance(status["instance"].as_str().unwrap());
    logs.says("the supervisor has gone");
    gob.ctl(["start", "g"]).ok();
    logs.says("--- g: run 2 begins");
    gob.worker("g").ok("write", write("and of a killed one\n"));
    logs.says("and of a killed one");
    logs.end();
}

#[test]
fn later_workers_are_shown_where_all_are_followed() {
    let gob = Gob::new();
    let mut logs = Running::start(&mut gob.ctl(["logs", "-f"]));
    listened_to(&gob, 1);
    gob.ctl(["start", "first"]).ok();
    logs.says("--- first: run 1 begins");
    gob.worker("first").ok("write", write("I am here\n"));
    let line = logs.says("I am here");
    assert!(line.starts_with("first | "), "{line}");
    gob.ctl(["start", "second"]).ok();
    gob.worker("second").ok("write", write("so am I\n"));
    let line = logs.says("so am I");
    assert!(line.starts_with("second | "), "{line}");
    logs.end();
}
