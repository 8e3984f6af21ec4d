//! Workers of an earlier supervisor: listed as `idle` until they are started or removed (A14).

use gob_tests::Gob;
use gob_tests::process::Handle;
use gob_tests::wait::{self, DEADLINE};
use nix::sys::signal::Signal;
use serde_json::{Value, json};
use std::fs;

fn kill(gob: &Gob) {
    let instance = gob.status()["instance"].as_str().unwrap().to_owned();
    Handle::open(gob.gobd_pid()).unwrap().signal(Signal::SIGKILL);
    gob.wait_other_instance(&instance);
}

fn workers(gob: &Gob) -> Vec<Value> {
    gob.connect_as("cli").ok("list", json!({}))["workers"].as_array().unwrap().clone()
}

fn states(gob: &Gob) -> Vec<(String, String)> {
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    workers(gob).iter().map(|worker| (text(&worker["name"]), text(&worker["state"]))).collect()
}

fn idle(names: &[&str]) -> Vec<(String, String)> {
    names.iter().map(|name| ((*name).to_owned(), "idle".to_owned())).collect()
}

#[test]
fn a_killed_supervisors_workers_are_idle_with_a_reason() {
    let gob = Gob::new();
    let root = gob.dir().join("roots");
    fs::create_dir(&root).unwrap();
    let mut events = gob.connect_as("desktop");
    let before = events.ok("subscribe", json!({}));
    let mut desktop = gob.connect_as("desktop");
    let was = desktop.ok("start", json!({"graph": "here", "root_dir": root}))["worker"].clone();
    gob.connect_as("cli").ok("start", json!({"graph": "mine"}));
    // Written soon, whatever other writes wait.
    let written = || fs::read_to_string(gob.state_dir().join("last.json")).unwrap_or_default();
    assert!(wait::until(DEADLINE, || written().contains("\"mine\"") && written().contains("\"here\"")));
    kill(&gob);
    assert_eq!(states(&gob), idle(&["here", "mine"]));
    let now = workers(&gob).remove(0);
    assert_eq!(now["reason"], "the supervisor was killed, and this worker with it");
    for field in ["owner", "kind", "root_dir", "run", "created_at", "stdout_path"] {
        assert_eq!(now[field], was[field], "{field}");
    }
    let told = gob.ctl(["list"]).ok();
    assert!(told.contains("the supervisor was killed"), "{told}");
    // A subscriber with an event of the earlier life gets them, too.
    let since = json!({"since": before["seq"], "instance": before["instance"]});
    let again = gob.connect_as("desktop").ok("subscribe", since);
    assert_eq!((&again["gap"], again["workers"].as_array().unwrap().len()), (&json!(true), 2));
    gob.ctl(["restart", "here"]).fails(5);
    let mut desktop = gob.connect_as("desktop");
    let data = desktop.ok("restart", json!({"name": "here"}));
    let worker = &data["worker"];
    assert_eq!(
        (&worker["state"], &worker["run"], &worker["root_dir"]),
        (&json!("ready"), &json!(2), &was["root_dir"])
    );
    desktop.ok("stop", json!({"name": "here", "force": true}));
}

#[test]
fn an_owner_that_lost_a_worker_before_has_it_still() {
    let gob = Gob::new();
    let mut events = gob.events();
    gob.connect_as("desktop").ok("start", json!({"graph": "g", "lease": true}));
    let changed = events.event("worker_owner_changed", "g");
    assert_eq!(changed["worker"]["owner"], "unknown");
    let written = || fs::read_to_string(gob.state_dir().join("last.json")).unwrap_or_default();
    assert!(
        wait::until(DEADLINE, || written().contains("\"last_owners\":{\"g\":\"desktop\"}")),
        "{}",
        written()
    );
    kill(&gob);
    gob.connect_as("electron").err("restart", json!({"name": "g"}), "server-owned-by-other");
    let data = gob.connect_as("desktop").ok("restart", json!({"name": "g"}));
    assert_eq!(data["worker"]["owner"], "desktop");
}

#[test]
fn after_a_shutdown_workers_are_listed_until_they_are_removed() {
    let gob = Gob::new();
    gob.ctl(["start", "a", "b", "c"]).ok();
    gob.ctl(["shutdown"]).ok();
    for _ in 0..2 {
        // A list starts a supervisor, and costs nothing of the remembered workers.
        assert_eq!(states(&gob), idle(&["a", "b", "c"]));
        assert!(workers(&gob).iter().all(|worker| worker["reason"].is_null()));
        let report = gob.ctl(["doctor", "--json"]).json();
        let logs = report["checks"]
            .as_array()
            .unwrap()
            .iter()
            .find(|check| check["check"] == "logs")
            .unwrap()
            .clone();
        assert_eq!(logs["level"], "ok", "their logs are not offered to be deleted: {logs}");
        gob.ctl(["shutdown"]).ok();
    }
    gob.ctl(["remove", "a"]).ok();
    gob.ctl(["shutdown"]).ok();
    assert_eq!(states(&gob), idle(&["b", "c"]));
    gob.ctl(["start", "b"]).ok();
    gob.ctl(["cleanup"]).ok();
    gob.ctl(["shutdown"]).ok();
    assert_eq!(states(&gob), idle(&["b"]));
    gob.ctl(["nuke"]).ok();
    assert_eq!(states(&gob), idle(&[]));
}

#[test]
fn a_damaged_file_is_reported_and_stops_no_start() {
    let gob = Gob::new();
    gob.ctl(["start", "a"]).ok();
    gob.ctl(["shutdown"]).ok();
    let path = gob.state_dir().join("last.json");
    let text = fs::read_to_string(&path).unwrap();
    fs::write(&path, &text[..text.len() / 2]).unwrap();
    assert_eq!(states(&gob), idle(&[]));
    let log = gob.ctl(["daemon", "logs"]).ok();
    assert!(log.contains("workers of the supervisor before this one are not known"), "{log}");
    gob.ctl(["start", "a"]).ok();
}
