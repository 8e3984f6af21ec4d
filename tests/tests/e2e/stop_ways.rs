//! The ways in which a kind's worker is asked to end: by HTTP, by a signal, by a second one (CLI,
//! Configuration).

use crate::readiness::gob;
use gob_tests::Gob;
use gob_tests::script::{Http, Step};
use serde_json::{Value, json};

const READY: &str = "readiness = { type = \"http\", path = \"/\" }\n";

/// Starts and stops the worker; returns its last view, and the signals that its leader got.
fn stopped(gob: &Gob, steps: &[Step]) -> (Value, Value) {
    gob.script("g", steps);
    let mut conn = gob.connect_as("cli");
    let pid = conn.ok("start", json!({"graph": "g"}))["worker"]["pid"].clone();
    let data = conn.ok("stop", json!({"name": "g"}));
    let signalled = data["receipt"]["signalled"].as_array().unwrap();
    let leader = signalled.iter().find(|entry| entry["pid"] == pid).unwrap();
    (data["worker"].clone(), leader["signals"].clone())
}

#[test]
fn a_worker_that_takes_the_request_needs_no_signal() {
    let gob = gob(true, &format!("{READY}stop = {{ http = \"POST /v1/shutdown\" }}"));
    let http = Step::Http(Http { takes_shutdown: true, ..Http::default() });
    let (worker, signals) = stopped(&gob, &[Step::Ignore(vec!["TERM".to_owned()]), http]);
    assert_eq!((&worker["state"], &worker["exit"]), (&json!("idle"), &json!({"code": 0})));
    assert_eq!(signals, json!([]));
}

#[test]
fn a_worker_that_refuses_the_request_gets_the_signal() {
    let gob = gob(true, &format!("{READY}stop = {{ http = \"POST /v1/shutdown\" }}"));
    let (worker, signals) = stopped(&gob, &[Step::Http(Http::default())]);
    assert_eq!(worker["exit"]["signal"], "SIGTERM");
    assert_eq!((&worker["state"], signals), (&json!("idle"), json!(["SIGTERM"])));
}

#[test]
fn the_second_signal_ends_what_the_first_one_does_not() {
    let gob = gob(true, &format!("{READY}stop = {{ signal = \"TERM\", then = \"INT\", grace = \"1s\" }}"));
    let (worker, signals) =
        stopped(&gob, &[Step::Ignore(vec!["TERM".to_owned()]), Step::Http(Http::default())]);
    assert_eq!(worker["exit"]["signal"], "SIGINT");
    assert_eq!((&worker["state"], signals), (&json!("idle"), json!(["SIGTERM", "SIGINT"])));
}

#[test]
fn a_worker_that_heeds_nothing_is_killed() {
    let gob = gob(true, &format!("{READY}stop = {{ then = \"INT\", grace = \"300ms\" }}"));
    let ignore = Step::Ignore(vec!["TERM".to_owned(), "INT".to_owned()]);
    let (worker, signals) = stopped(&gob, &[ignore, Step::Http(Http::default())]);
    assert_eq!(worker["exit"]["signal"], "SIGKILL");
    assert_eq!(signals, json!(["SIGTERM", "SIGINT", "SIGKILL"]));
}
