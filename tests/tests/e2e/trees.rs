//! Whole trees of processes: each member counts until all of it has ended, whatever it looks like meanwhile (F1, D8).

use crate::orphans::{away, kill_both, recover};
use gob_tests::Gob;
use gob_tests::process;
use gob_tests::script::{Child, Step};
use gob_tests::wait::{self, DEADLINE};
use serde_json::{Value, json};

/// Starts a worker with this child; answers the child's pid.
fn with_child(gob: &Gob, graph: &str, child: Child) -> i32 {
    gob.script(graph, &[Step::Child(child.clone()), Step::Listen, Step::Handshake]);
    gob.connect_as("cli").ok("start", json!({"graph": graph}));
    let pid = gob.children(graph, 1)[0];
    let is_as_told = || !child.end_main_thread || process::stat_field(pid, 3).as_deref() == Some("Z");
    assert!(wait::until(DEADLINE, is_as_told) && process::is_alive(pid), "{}", process::describe(pid));
    pid
}

/// Signals that a process got according to a receipt.
fn signals(data: &Value, pid: i32) -> Vec<&str> {
    let all = data["receipt"]["signalled"].as_array().unwrap().iter();
    let of_it =
        all.filter(|entry| entry["pid"] == pid).flat_map(|entry| entry["signals"].as_array().unwrap());
    of_it.map(|signal| signal.as_str().unwrap()).collect()
}

/// A process whose main thread has ended while another one goes on: in state Z, and alive.
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
