//! The words of an `add` about the run that it begins: readiness, limits, and the end of its last lease.

use super::*;
use gob_config::kind::{Check, OnLastLease};
use serde_json::json;

fn checked(check: serde_json::Value) -> Add {
    Add { readiness: Some(check), ..add(&["a", "{port}"]) }
}

#[test]
fn a_job_with_a_check_is_starting_until_it_passes() {
    let mut small = Small::new();
    small.send(CLI, Request::Add(Box::new(checked(json!({"type": "log", "pattern": "up"})))));
    let plan = small.plan().unwrap();
    assert_eq!(plan.command, ["a", "{port}"], "a job gets no port");
    assert_eq!(plan.check, Check::Log { pattern: "up".into(), stream: None });
    assert_eq!(plan.port, None);
    small.spawned("j1");
    assert_eq!((small.view("j1").state, small.answer(CLI).is_none()), (State::Starting, true));
    let key = small.key("j1");
    small.feed(Input::Ready {
        key,
        handshake: gob_protocol::handshake::Handshake::default(),
        ports: Vec::new(),
    });
    assert_eq!(small.view("j1").state, State::Ready);
    assert_eq!(outcome(small.answer(CLI)), ("j1".into(), Outcome::Started));
}

#[test]
fn check_and_limits_stay_until_they_are_named_again_and_hold_from_the_next_run() {
    let mut small = Small::new();
    let limits = |open: u64| Some([("nofile".to_string(), open)].into_iter().collect());
    small.runs(Add { rlimits: limits(64), ..add(&["a"]) });
    small.send(CLI, Request::Add(Box::new(Add { rlimits: limits(32), ..add(&["a"]) })));
    assert_eq!(outcome(small.answer(CLI)).1, Outcome::Reused);
    small.ends("j1", 0);
    small.send(CLI, Request::Add(Box::new(add(&["a"]))));
    assert_eq!(small.plan().unwrap().rlimits, [("nofile".to_string(), 64)], "it was up");
    small.spawned("j1");
    small.ends("j1", 0);
    small.send(CLI, Request::Add(Box::new(Add { rlimits: limits(32), ..add(&["a"]) })));
    assert_eq!(small.plan().unwrap().rlimits, [("nofile".to_string(), 32)]);
}

#[test]
fn the_end_of_the_last_lease_is_the_runs_own() {
    let mut small = Small::new();
    let leased = Add { on_last_lease: Some(OnLastLease::Stop), lease: true, ..add(&["a"]) };
    small.runs(leased);
    let policy = |small: &Small| small.core.workers[&Name::any("j1").unwrap()].spec.policy.on_last_lease;
    assert_eq!(policy(&small), Some(OnLastLease::Stop));
    small.ends("j1", 0);
    small.runs(add(&["a"]));
    assert_eq!(policy(&small), None);
}

#[test]
fn a_check_or_a_limit_that_cannot_be_used_makes_no_job() {
    let mut small = Small::new();
    let limit = |name: &str, value: u64| Add {
        rlimits: Some([(name.to_string(), value)].into_iter().collect()),
        ..add(&["a"])
    };
    for (add, part) in [
        (checked(json!("htp")), "readiness: \"htp\" is none of"),
        (checked(json!({"type": "http", "port": "{port}"})), "a job gets no {port}"),
        (checked(json!(["log"])), "it has to be a word, or a table"),
        (limit("nofiles", 1), "the limit \"nofiles\" can't be used"),
        (limit("nofile", 0), "the limit \"nofile\" can't be used"),
    ] {
        let refusal = small.ask(CLI, Request::Add(Box::new(add))).unwrap_err();
        assert_eq!(refusal.code, ErrorCode::InvalidRequest);
        assert!(refusal.message.contains(part), "{part}: {}", refusal.message);
    }
    assert_eq!(small.core.views().len(), 0);
}
