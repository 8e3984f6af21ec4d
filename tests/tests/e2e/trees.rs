//! Whole trees of processes: each member counts until all of it has ended, in any disguise (F1, D8).

use crate::orphans::{away, kill_both, recover};
use gob_tests::Gob;
use gob_tests::process::{self, Handle};
use gob_tests::script::{Child, Step};
use gob_tests::wait::{self, DEADLINE};
use serde_json::{Value, json};
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::time::{Duration, Instant};

/// Starts a worker with this child; returns the child's pid.
fn with_child(gob: &Gob, graph: &str, child: Child) -> i32 {
    gob.script(graph, &[Step::Child(child.clone()), Step::Listen, Step::Handshake]);
    gob.connect_as("cli").ok("start", json!({"graph": graph}));
    let pid = gob.children(graph, 1)[0];
    let is_as_told = || !child.end_main_thread || process::stat_field(pid, 3).as_deref() == Some("Z");
    assert!(wait::until(DEADLINE, is_as_told) && process::is_alive(pid), "{}", process::describe(pid));
    pid
}

/// Returns the signals that a process got according to a receipt.
fn signals(data: &Value, pid: i32) -> Vec<&str> {
    let all = data["receipt"]["signalled"].as_array().unwrap().iter();
    let of_it =
        all.filter(|entry| entry["pid"] == pid).flat_map(|entry| entry["signals"].as_array().unwrap());
    of_it.map(|signal| signal.as_str().unwrap()).collect()
}

/// Returns a process whose main thread has ended while another one goes on: in state Z, and alive.
fn headless() -> Child {
    Child { end_main_thread: true, ..away() }
}

#[test]
fn a_process_without_its_main_thread_is_stopped_too() {
    let gob = Gob::new();
    let pid = with_child(&gob, "g", headless());
    let data = gob.connect_as("cli").ok("stop", json!({"name": "g", "grace_ms": 100}));
    assert!(!process::is_alive(pid), "{data}");
    assert_eq!(signals(&data, pid).last(), Some(&"SIGKILL"), "{data}");
}

#[test]
fn a_process_without_its_main_thread_is_found_after_a_double_kill() {
    let gob = Gob::new();
    let tagged = with_child(&gob, "tagged", headless());
    let marked = with_child(&gob, "marked", Child { reset_limits: true, ..headless() });
    crate::cgroups::leave_groups(&[tagged, marked]);
    kill_both(&gob);
    assert_eq!(recover(&gob, &[tagged, marked]), 2);
}

/// A server that takes a second to save its data, behind a shell that ends at once on its signal: `npm run`,
/// in short. A child of the shell loses a signal that comes before it is `sleep`, so the pid is written after
/// that.
const SERVER: &str = "trap 'sleep 3; echo all >saved; exit' TERM; while :; do sleep 1000 & \
until read -r name </proc/$!/comm && [ $name = sleep ]; do :; done; echo $$ >pid; wait; done";

/// Configures a kind `wrapped` for the graph `g`: a shell that starts this script, and waits for it.
fn wrapped(gob: &Gob, script: &str) {
    fs::create_dir_all(gob.graph_dir("g")).unwrap();
    fs::write(gob.graph_dir("g").join("server"), script).unwrap();
    let command = ["sh", "-c", "sh server & wait"];
    let config = gob.dir().join("config.toml");
    let text =
        format!("[kind.wrapped]\ncommand = {command:?}\ncwd = \"{{data_dir}}\"\nreadiness = \"none\"\n");
    fs::write(&config, text).unwrap();
    fs::set_permissions(&config, fs::Permissions::from_mode(0o600)).unwrap();
}

/// Returns the pid that a script has written into the graph's directory.
fn pid_in(gob: &Gob, graph: &str) -> i32 {
    let file = gob.graph_dir(graph).join("pid");
    let read = || fs::read_to_string(&file).ok().and_then(|text| text.strip_suffix('\n')?.parse().ok());
    assert!(wait::until(DEADLINE, || read().is_some()), "no pid");
    read().unwrap()
}

#[test]
fn a_server_behind_a_shell_has_the_grace() {
    let gob = Gob::new();
    wrapped(&gob, SERVER);
    let mut conn = gob.connect_as("cli");
    let shell = conn.ok("start", json!({"graph": "g", "kind": "wrapped"}))["worker"]["pid"].clone();
    let server = pid_in(&gob, "g");
    // Its pid may be another process's as soon as it has ended.
    let handle = Handle::open(server).unwrap();
    let begun = Instant::now();
    let stop = conn.post("stop", json!({"name": "g"}));
    let mut other = gob.connect_as("cli");
    let shell = shell.as_i64().unwrap() as i32;
    assert!(wait::until(DEADLINE, || !process::is_alive(shell)) && process::is_alive(server));
    assert_eq!(other.ok("get", json!({"name": "g"}))["worker"]["state"], "stopping");
    let data = conn.response(stop)["data"].clone();
    assert!((Duration::from_secs(1)..DEADLINE).contains(&begun.elapsed()), "{:?}", begun.elapsed());
    assert_eq!(fs::read_to_string(gob.graph_dir("g").join("saved")).unwrap(), "all\n");
    for entry in data["receipt"]["signalled"].as_array().unwrap() {
        assert_eq!(entry["signals"], json!(["SIGTERM"]), "{data}");
    }
    assert!(data["receipt"]["signalled"].as_array().unwrap().iter().any(|entry| entry["pid"] == shell));
    assert_eq!(signals(&data, server), ["SIGTERM"]);
    assert!(handle.wait_gone(Duration::ZERO), "{}", process::describe(server));
}

#[test]
fn a_server_that_outlasts_the_grace_is_killed_and_force_ends_the_grace() {
    let gob = Gob::new();
    wrapped(&gob, "trap '' TERM; echo $$ >pid; while :; do sleep 1000; done");
    let (mut conn, mut other) = (gob.connect_as("cli"), gob.connect_as("cli"));
    conn.ok("start", json!({"graph": "g", "kind": "wrapped"}));
    let server = pid_in(&gob, "g");
    let begun = Instant::now();
    let data = conn.ok("stop", json!({"name": "g", "grace_ms": 400}));
    assert!((Duration::from_millis(400)..DEADLINE).contains(&begun.elapsed()), "{:?}", begun.elapsed());
    assert!(!process::is_alive(server));
    assert_eq!(signals(&data, server), ["SIGTERM", "SIGKILL"], "{data}");

    let shell = conn.ok("start", json!({"graph": "g"}))["worker"]["pid"].as_i64().unwrap() as i32;
    let stop = conn.post("stop", json!({"name": "g", "grace_ms": 3_600_000}));
    assert!(wait::until(DEADLINE, || !process::is_alive(shell)));
    other.ok("stop", json!({"name": "g", "force": true}));
    assert_eq!(conn.response(stop)["success"], true);
}

#[test]
fn a_process_outside_the_session_gets_a_signal_when_its_leader_is_gone() {
    let gob = Gob::new();
    let pid = with_child(&gob, "g", Child { setsid: true, ..Default::default() });
    let begun = Instant::now();
    let data = gob.connect_as("cli").ok("stop", json!({"name": "g", "grace_ms": 60_000}));
    assert_eq!((signals(&data, pid), process::is_alive(pid)), (vec!["SIGTERM"], false), "{data}");
    assert!(begun.elapsed() < DEADLINE);
}

#[test]
fn workers_are_children_of_the_loop_and_what_they_leave_is_the_main_threads() {
    let gob = Gob::new();
    let left = with_child(&gob, "g", away());
    let view = gob.connect_as("cli").ok("get", json!({"name": "g"}))["worker"].clone();
    let (gobd, leader) = (gob.gobd_pid(), view["pid"].as_i64().unwrap() as i32);
    let thread = process::thread(gobd, "loop").unwrap();
    assert_eq!(process::children(gobd, thread), [leader], "the cost of a stop does not depend on these");
    // The process that has detached it ends a moment later.
    let lefts = || process::children(gobd, gobd);
    assert!(wait::until(DEADLINE, || lefts() == [left]), "this list is read at each stop: {:?}", lefts());
}

/// Returns a descendant that has reset its limits, and kept nothing else that identifies its run.
fn nameless() -> Child {
    Child { reset_limits: true, env_clear: true, ..away() }
}

#[test]
fn a_process_that_reset_its_mark_is_ended_with_its_run() {
    let gob = Gob::new();
    let marked = with_child(&gob, "marked", Child { reset_limits: true, ..away() });
    let locked = with_child(&gob, "locked", Child { close_fds: false, ..nameless() });
    crate::cgroups::leave_groups(&[marked, locked]);
    let mut conn = gob.connect_as("cli");
    for (graph, pid, other) in [("marked", marked, Some(locked)), ("locked", locked, None)] {
        let data = conn.ok("stop", json!({"name": graph, "grace_ms": 50}));
        assert_eq!(signals(&data, pid), ["SIGTERM", "SIGKILL"], "{data}");
        assert!(!process::is_alive(pid) && other.is_none_or(process::is_alive), "{data}");
    }
}

#[test]
fn a_receipt_has_the_signal_that_came_with_the_group() {
    let gob = Gob::new();
    let pid = with_child(&gob, "g", Child { reset_limits: true, ignore_term: true, ..Default::default() });
    let data = gob.connect_as("cli").ok("stop", json!({"name": "g", "grace_ms": 50}));
    assert_eq!((signals(&data, pid), process::is_alive(pid)), (vec!["SIGTERM", "SIGKILL"], false), "{data}");
}

#[test]
fn a_process_of_an_unknown_run_is_listed_and_ends_with_the_last_possible_one() {
    let gob = Gob::new();
    gob.connect_as("cli").ok("start", json!({"graph": "older"}));
    let pid = with_child(&gob, "g", nameless());
    crate::cgroups::leave_groups(&[pid]);
    let mut conn = gob.connect_as("cli");
    let doctor = gob.ctl(["doctor"]).run().stdout;
    assert!(doctor.contains("nothing tells of which") && doctor.contains(&format!("{pid} (")), "{doctor}");
    conn.ok("stop", json!({"name": "g", "grace_ms": 50}));
    assert!(process::is_alive(pid), "it may be the other one's");
    let data = conn.ok("stop", json!({"name": "older", "grace_ms": 50}));
    assert_eq!((signals(&data, pid).last(), process::is_alive(pid)), (Some(&"SIGKILL"), false), "{data}");
}

#[test]
fn an_orderly_end_leaves_nothing_that_has_lost_its_mark() {
    let gob = Gob::new();
    gob.connect_as("cli").ok("start", json!({"graph": "older"}));
    let pids = [with_child(&gob, "g", nameless()), with_child(&gob, "h", nameless())];
    crate::cgroups::leave_groups(&pids);
    let mut conn = gob.connect_as("cli");
    for graph in ["g", "h", "older"] {
        conn.post("stop", json!({"name": graph, "force": true}));
    }
    conn.ok("shutdown", json!({}));
    assert_eq!(process::survivors(&pids, DEADLINE), Vec::<i32>::new());
    assert_eq!(gob.wait_empty(DEADLINE), Vec::<i32>::new());
}
