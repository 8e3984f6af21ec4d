//! Locks that several machines share, in a PostgreSQL of the test's own (F17).

use crate::locks::kill;
use crate::shared_lanes::{Database, is_open};
use gob_tests::Gob;
use gob_tests::wait::{self, DEADLINE};
use serde_json::{Value, json};
use std::fs;

const LOCK: &str = "shared/deploy";

fn state(gob: &Gob) -> Value {
    gob.connect_as("cli").ask("lock_status", json!({"lock": LOCK}))["data"]["locks"][0].take()
}

/// A command keeps its lock when its supervisor is killed, and the other machine has it afterwards, not before.
fn goes_on_after_a_kill(ada: &Gob, bob: &Gob) {
    let (gate, begun) = (ada.dir().join("gate"), ada.dir().join("held"));
    let script = format!("touch {}; until test -e {}; do sleep 0.02; done", begun.display(), gate.display());
    let mut run = ada.ctl(["lock", "run", LOCK, "--", "sh", "-c", &script]).spawn();
    assert!(wait::until(DEADLINE, || begun.exists()));
    let held = state(bob)["holders"][0].take();
    let mut of_bob = bob.connect_as("cli");
    let waits = of_bob.post("lock_acquire", json!({"lock": LOCK}));
    kill(ada);
    is_open(&mut ada.connect_as("cli"));
    let is_claimed = || {
        let lock = state(ada);
        lock["acquired"] == 1 && lock["holders"][0]["token"] == held["token"]
    };
    assert!(wait::until(DEADLINE, is_claimed), "{held} is held by {}", state(ada));
    fs::write(&gate, "").unwrap();
    assert!(run.wait().unwrap().success());
    let token = of_bob.response(waits)["data"]["token"].as_u64().unwrap();
    assert!(token > held["token"].as_u64().unwrap());
    of_bob.ok("lock_release", json!({"lock": LOCK, "token": token}));
}

#[test]
fn one_machine_at_a_time_has_a_shared_lock_and_one_that_loses_the_database_gives_it_up() {
    let Some(mut database) = Database::start("locks") else { return };
    let (ada, bob) = (database.machine_with_lease("8s"), database.machine_with_lease("8s"));
    let (mut of_ada, mut of_bob) = (ada.connect_as("cli"), bob.connect_as("cli"));
    is_open(&mut of_ada);
    is_open(&mut of_bob);
    let first =
        of_ada.ok("lock_acquire", json!({"lock": LOCK, "process": "first"}))["token"].as_u64().unwrap();
    let error = of_bob.err("lock_acquire", json!({"lock": LOCK, "timeout_ms": 0}), "lock-timeout");
    assert_eq!(error["details"]["holders"][0]["process"], "first");
    let waits = of_bob.post("lock_acquire", json!({"lock": LOCK, "process": "second"}));
    assert!(wait::until(DEADLINE, || state(&ada)["waiters"][0]["process"] == "second"));
    let shown = bob.ctl(["lock", "status", LOCK]).ok();
    assert!(shown.contains("first") && shown.contains("second"), "{shown}");
    of_ada.ok("lock_release", json!({"lock": LOCK, "token": first}));
    let second = of_bob.response(waits)["data"]["token"].as_u64().unwrap();
    assert!(second > first && first > 1_000_000_000_000, "{second} after {first}");
    // A connection takes its locks with it.
    drop(of_bob);
    let third = of_ada.ok("lock_acquire", json!({"lock": LOCK}))["token"].as_u64().unwrap();
    assert!(third > second);
    of_ada.ok("lock_release", json!({"lock": LOCK, "token": third}));

    goes_on_after_a_kill(&ada, &bob);
    let mut of_ada = ada.connect_as("cli");

    let begun = ada.dir().join("begun");
    let script = format!("touch {}; exec sleep 60", begun.display());
    let mut run = ada.ctl(["lock", "run", LOCK, "--", "sh", "-c", &script]).spawn();
    assert!(wait::until(DEADLINE, || begun.exists()));
    database.server().kill().unwrap();
    assert_eq!(run.wait().unwrap().code(), Some(125), "it could not renew in time");
    let error = of_ada.err("lock_acquire", json!({"lock": LOCK}), "busy");
    assert_eq!(error["details"]["limit"], "shared");
    of_ada.ok("lock_acquire", json!({"lock": "deploy"}));
    database.server().run().unwrap();
    is_open(&mut bob.connect_as("cli"));
    assert!(
        bob.connect_as("cli").ok("lock_acquire", json!({"lock": LOCK}))["token"].as_u64().unwrap() > third
    );
    assert!(fs::read_dir(ada.dir()).is_ok());
}
