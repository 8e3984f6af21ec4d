//! Stop, restart and signal: stopped means that nothing is left (D8, F1 as far as the group goes).

use crate::orphans::{away, is_child};
use gob_tests::Gob;
use gob_tests::process::{self, Handle};
use gob_tests::require::root;
use gob_tests::script::{Child, Step};
use gob_tests::wait::{self, DEADLINE};
use nix::sys::signal::Signal;
use serde_json::{Value, json};
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::time::{Duration, Instant};

fn pid(data: &Value) -> i32 {
    data["worker"]["pid"].as_i64().expect("a pid") as i32
}

fn stubborn() -> [Step; 3] {
    [Step::Ignore(vec!["TERM".to_owned()]), Step::Listen, Step::Handshake]
}

/// Returns the signals sent to one process according to a receipt.
fn signals(data: &Value, pid: i32) -> Vec<String> {
    let signalled = data["receipt"]["signalled"].as_array().unwrap();
    let entry = signalled.iter().find(|entry| entry["pid"] == pid);
    let signals = entry.unwrap_or_else(|| panic!("{pid} is not in {data}"))["signals"].as_array().unwrap();
    signals.iter().map(|signal| signal.as_str().unwrap().to_owned()).collect()
}

#[test]
fn a_stop_is_answered_when_the_worker_is_gone_and_proves_it() {
    let gob = Gob::new();
    let mut conn = gob.connect_as("cli");
    let pid = pid(&conn.ok("start", json!({"graph": "g"})));
    let start_time = process::start_time(pid).unwrap();
    let data = conn.ok("stop", json!({"name": "g"}));
    assert!(!process::is_alive(pid));
    let worker = &data["worker"];
    assert_eq!(
        (&worker["state"], &worker["pid"], &worker["endpoint"]),
        (&json!("idle"), &Value::Null, &Value::Null)
    );
    assert_eq!(worker["exit"], json!({"signal": "SIGTERM", "core_dumped": false}));
    assert!(worker["stopped_at"].is_string());
    let entry = &data["receipt"]["signalled"][0];
    assert_eq!((&entry["pid"], &entry["start_time"]), (&json!(pid), &json!(start_time)));
    assert!(entry["ended_ms"].is_u64(), "{data}");
    assert_eq!(signals(&data, pid), ["SIGTERM"]);
    assert_eq!(data["receipt"]["survivors"], json!([]));
    let again = conn.ok("stop", json!({"name": "g"}));
    assert_eq!(again["receipt"], json!({"signalled": [], "survivors": []}));
    conn.err("stop", json!({"name": "nobody"}), "server-not-found");
}

#[test]
fn a_worker_that_ignores_term_is_killed_after_the_grace_and_others_are_served() {
    let gob = Gob::new();
    gob.script("g", &stubborn());
    let mut conn = gob.connect_as("cli");
    let pid = pid(&conn.ok("start", json!({"graph": "g"})));
    let begun = Instant::now();
    let stop = conn.post("stop", json!({"name": "g", "grace_ms": 3_000}));
    let mut other = gob.connect_as("desktop");
    assert_eq!(other.ok("get", json!({"name": "g"}))["worker"]["state"], "stopping");
    other.ok("start", json!({"graph": "h"}));
    assert!(process::is_alive(pid), "the other start did not wait for the stop");
    let data = conn.response(stop)["data"].clone();
    assert!(begun.elapsed().as_millis() >= 3_000);
    assert!(!process::is_alive(pid));
    assert_eq!(signals(&data, pid), ["SIGTERM", "SIGKILL"]);
    assert_eq!(data["worker"]["exit"]["signal"], "SIGKILL");
    assert_eq!(data["worker"]["state"], "idle");
}

#[test]
fn force_means_no_grace() {
    let gob = Gob::new();
    gob.script("g", &stubborn());
    let mut conn = gob.connect_as("cli");
    let pid = pid(&conn.ok("start", json!({"graph": "g"})));
    let data = conn.ok("stop", json!({"name": "g", "force": true, "grace_ms": 3_600_000}));
    assert!(!process::is_alive(pid));
    assert_eq!(signals(&data, pid).last().map(String::as_str), Some("SIGKILL"));
}

#[test]
fn a_second_stop_can_only_bring_the_end_forward() {
    let gob = Gob::new();
    gob.script("g", &stubborn());
    let (mut one, mut two) = (gob.connect_as("cli"), gob.connect_as("cli"));
    one.ok("start", json!({"graph": "g"}));
    let begun = Instant::now();
    let first = one.post("stop", json!({"name": "g", "grace_ms": 600}));
    let second = two.post("stop", json!({"name": "g", "grace_ms": 3_600_000}));
    assert_eq!(one.response(first)["success"], true);
    assert_eq!(two.response(second)["success"], true);
    assert!(begun.elapsed() < DEADLINE);
    one.ok("start", json!({"graph": "g"}));
    let first = one.post("stop", json!({"name": "g", "grace_ms": 3_600_000}));
    assert_eq!(two.ok("get", json!({"name": "g"}))["worker"]["state"], "stopping");
    two.ok("stop", json!({"name": "g", "grace_ms": 1}));
    assert_eq!(one.response(first)["success"], true);
}

#[test]
fn children_of_the_group_go_with_their_leader() {
    let gob = Gob::new();
    let stubborn_child = Child { ignore_term: true, ..Default::default() };
    let stopped_child = Child { stop: true, ..Default::default() };
    let steps = [Step::Child(stubborn_child), Step::Child(stopped_child), Step::Listen, Step::Handshake];
    gob.script("g", &steps);
    let mut conn = gob.connect_as("cli");
    conn.ok("start", json!({"graph": "g"}));
    let children = gob.children("g", 1);
    assert_eq!(children.len(), 2);
    assert!(children.iter().all(|pid| process::is_alive(*pid)));
    let data = conn.ok("stop", json!({"name": "g", "grace_ms": 200}));
    assert!(children.iter().all(|pid| !process::is_alive(*pid)), "{data}");
    assert_eq!(data["receipt"]["survivors"], json!([]));
}

#[test]
fn a_leader_that_ends_by_itself_leaves_no_group_behind() {
    let gob = Gob::new();
    let child = Child { ignore_term: true, ..Default::default() };
    gob.script_of_run("g", 1, &[Step::Child(child), Step::Listen, Step::Handshake]);
    let mut events = gob.events();
    let mut conn = gob.connect_as("cli");
    conn.ok("start", json!({"graph": "g"}));
    let children = gob.children("g", 1);
    let child = Handle::open(children[0]).unwrap();
    gob.worker("g").post("exit", json!({"code": 0}));
    let event = events.event("worker_stopped", "g");
    assert_eq!(event["worker"]["exit"], json!({"code": 0}));
    assert_eq!(event["actor"], "supervisor");
    assert!(child.wait_gone(DEADLINE));
}

#[test]
fn a_stopped_leader_can_be_stopped() {
    let gob = Gob::new();
    let mut conn = gob.connect_as("cli");
    let pid = pid(&conn.ok("start", json!({"graph": "g"})));
    Handle::open(pid).unwrap().signal(Signal::SIGSTOP);
    let data = conn.ok("stop", json!({"name": "g", "grace_ms": 20_000}));
    assert_eq!(data["worker"]["exit"]["signal"], "SIGTERM", "TERM came with a CONT");
}

#[test]
fn a_worker_can_be_stopped_while_it_starts() {
    let gob = Gob::new();
    gob.script("g", &[Step::Hang]);
    let mut conn = gob.connect_as("cli");
    let start = conn.post("start", json!({"graph": "g"}));
    assert_eq!(conn.ok("get", json!({"name": "g"}))["worker"]["state"], "starting");
    let data = conn.ok("stop", json!({"name": "g"}));
    assert_eq!(data["worker"]["state"], "idle");
    let start = conn.response(start);
    assert_eq!(start["error"]["code"], "server-start-failed", "{start}");
}

#[test]
fn a_restart_is_a_new_run_with_the_receipt_of_the_old_one() {
    let gob = Gob::new();
    let mut conn = gob.connect_as("cli");
    let old = pid(&conn.ok("start", json!({"graph": "g"})));
    let data = conn.ok("restart", json!({"name": "g"}));
    assert_eq!((&data["worker"]["run"], &data["worker"]["state"]), (&json!(2), &json!("ready")));
    assert_ne!(pid(&data), old);
    assert!(!process::is_alive(old));
    assert_eq!(signals(&data, old), ["SIGTERM"]);
    conn.ok("stop", json!({"name": "g"}));
    let data = conn.ok("restart", json!({"name": "g"}));
    assert_eq!(data["worker"]["run"], 3, "a worker that is down is only started");
    assert_eq!(data["receipt"], json!({"signalled": [], "survivors": []}));
    conn.err("restart", json!({"name": "nobody"}), "server-not-found");
}

#[test]
fn a_signal_reaches_the_leader() {
    let gob = Gob::new();
    let mut events = gob.events();
    let mut conn = gob.connect_as("cli");
    let first = pid(&conn.ok("start", json!({"graph": "g"})));
    for bad in ["", "SIGNOTHING", "0", "-9", "999", "KILL; true"] {
        conn.err("signal", json!({"name": "g", "signal": bad}), "invalid-request");
    }
    assert!(process::is_alive(first));
    for (spelling, shown) in [("USR1", "SIGUSR1"), ("SIGHUP", "SIGHUP"), ("14", "SIGALRM")] {
        let worker = conn.ok("start", json!({"graph": "g"}));
        conn.ok("signal", json!({"name": "g", "signal": spelling}));
        let ended = events.find("the end", DEADLINE, |event| {
            event["worker"]["run"] == worker["worker"]["run"] && !event["worker"]["exit"].is_null()
        });
        assert_eq!(ended["worker"]["exit"], json!({"signal": shown, "core_dumped": false}));
        conn.ok("stop", json!({"name": "g"}));
    }
    conn.err("signal", json!({"name": "g", "signal": "HUP"}), "server-not-running");
}

#[test]
fn a_real_time_signal_is_named_and_its_worker_reaped() {
    let gob = Gob::new();
    let mut events = gob.events();
    let mut conn = gob.connect_as("cli");
    conn.ok("start", json!({"graph": "g"}));
    conn.ok("signal", json!({"name": "g", "signal": "SIGRTMIN+1"}));
    let ended = events.find("the end", DEADLINE, |event| !event["worker"]["exit"].is_null());
    assert_eq!(ended["worker"]["exit"]["signal"], "SIGRTMIN+1");
}

#[test]
fn a_process_that_became_another_user_is_found_too() {
    if !root("only root can become another user") {
        return;
    }
    let gob = Gob::new();
    // Started like servers that root starts. In a container root may not read such a process's limits with
    // prlimit.
    let nobody = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", "sh", "-c"];
    let command: Vec<&str> = nobody.into_iter().chain(["setsid sleep 600 & wait"]).collect();
    let config = gob.dir().join("config.toml");
    fs::write(&config, format!("[kind.other]\ncommand = {command:?}\n")).unwrap();
    fs::set_permissions(&config, fs::Permissions::from_mode(0o600)).unwrap();
    let mut conn = gob.connect_as("cli");
    let leader = pid(&conn.ok("start", json!({"graph": "g", "kind": "other"})));
    let child = || process::tree(leader).into_iter().find(|handle| runs_sleep(handle.pid));
    assert!(wait::until(DEADLINE, || child().is_some()), "it has no child");
    let child = child().unwrap();
    let data = conn.ok("stop", json!({"name": "g"}));
    assert_eq!(signals(&data, leader), ["SIGTERM"]);
    assert_eq!(
        signals(&data, child.pid),
        ["SIGTERM"],
        "in a session of its own, so asked when its leader is gone"
    );
    assert!(child.wait_gone(Duration::ZERO), "left behind");
}

fn runs_sleep(pid: i32) -> bool {
    process::exe(pid).is_some_and(|exe| exe.ends_with("sleep"))
        && process::stat_field(pid, 6) == Some(pid.to_string())
}

#[test]
fn a_process_that_keeps_going_on_as_its_child_does_not_get_away() {
    let gob = Gob::new();
    for round in 0..5 {
        let graph = format!("g{round}");
        gob.script(&graph, &[Step::Child(Child { hops: 100_000, ..away() }), Step::Listen, Step::Handshake]);
        let mut conn = gob.connect_as("cli");
        conn.ok("start", json!({"graph": graph}));
        conn.ok("stop", json!({"name": graph, "grace_ms": 50}));
        let hopping = || process::belonging_to(gob.dir()).into_iter().any(is_child);
        assert!(!hopping(), "{:#?}", gob.processes().into_iter().map(process::describe).collect::<Vec<_>>());
    }
}
