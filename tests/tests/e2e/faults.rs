//! Short runs of the fault harness, and the faults that it has found.

use gob_tests::gob::built_binaries;
use gob_tests::process::{self, Handle};
use gob_tests::require::root;
use gob_tests::script::{Child, Step};
use gob_tests::wait::DEADLINE;
use gob_tests::{Ctl, Gob};
use serde_json::json;
use std::time::Duration;

/// Runs the harness in a world of its own, which it makes itself.
fn harness(args: &[&str]) -> String {
    let path = ("PATH".to_owned(), "/usr/bin:/bin".to_owned());
    let mut call = Ctl::new(&built_binaries().join("gob-faults"), vec![path]);
    let output = call.args(args.iter().copied()).run_within(Duration::from_secs(150));
    assert_eq!(output.code, 0, "{output}");
    // The output tells which faults were left out, and how much was done.
    eprintln!("{}", output.stderr);
    output.stdout
}

#[test]
fn a_short_run_of_the_harness() {
    // Only root has a disk of its own to fill.
    let without: &[&str] = if nix::unistd::geteuid().is_root() { &[] } else { &["--without", "full-disk"] };
    let said = harness(&[&["--seconds", "20"], without].concat());
    assert!(said.contains(" 0  violations"), "{said}");
}

#[test]
fn nothing_survives_a_killed_supervisor() {
    let said = harness(&["kill-trees", "--times", "3", "--trees", "10"]);
    assert!(said.contains("\n0 survivors"), "{said}");
}

#[test]
fn nothing_survives_a_supervisor_that_is_killed_with_its_keeper() {
    let said = harness(&["kill-both", "--times", "3", "--trees", "10"]);
    assert!(said.contains("\n0 survivors"), "{said}");
}

#[test]
fn the_pid_of_a_dead_process_is_no_reason() {
    if !root("only root can choose the next number") {
        return;
    }
    let said = harness(&["reuse", "--times", "3"]);
    assert!(said.contains(" 0 of them signalled"), "{said}");
}

/// As many as the limits allow.
#[test]
fn ten_thousand_connections_are_served_or_answered_busy() {
    let said = harness(&["crowd", "--connections", "10000"]);
    assert!(said.contains(" 0 neither"), "{said}");
}

#[test]
fn a_supervisor_without_a_descriptor_left_still_sees_living_processes() {
    let gob = Gob::new();
    let away = Child { detach: true, env_clear: true, close_fds: true, ..Default::default() };
    gob.script("g", &[Step::Child(away), Step::Listen, Step::Handshake]);
    let gobd = gob.gobd_pid();
    let mut conn = gob.connect_as("cli");
    for spare in 0..4 {
        let data = conn.ok("start", json!({"graph": "g"}));
        let child = *gob.children("g", data["worker"]["run"].as_u64().unwrap()).last().unwrap();
        let open = process::open_files(gobd);
        let before = process::limit_files(gobd, open + spare).unwrap();
        let leader = Handle::open(data["worker"]["pid"].as_i64().unwrap() as i32).unwrap();
        leader.signal(nix::sys::signal::Signal::SIGKILL);
        assert!(leader.wait_gone(DEADLINE));
        conn.ok("stop", json!({"name": "g"}));
        assert!(!process::is_alive(child), "with {spare} more than {open}: {}", process::describe(child));
        process::limit_files(gobd, before).unwrap();
    }
}

#[test]
fn a_start_without_a_descriptor_left_takes_no_graph_for_gone() {
    let gob = Gob::new();
    let gobd = gob.gobd_pid();
    let mut conn = gob.connect_as("cli");
    conn.ok("start", json!({"graph": "g"}));
    conn.ok("stop", json!({"name": "g"}));
    let open = process::open_files(gobd);
    for spare in 0..24 {
        let before = process::limit_files(gobd, open + spare).unwrap();
        let answer = conn.ask("start", json!({"graph": "g"}));
        process::limit_files(gobd, before).unwrap();
        let code = answer["error"]["code"].as_str().unwrap_or("ok");
        assert!(["ok", "busy", "server-start-failed"].contains(&code), "with {spare} more: {answer}");
        conn.ok("stop", json!({"name": "g"}));
    }
    conn.ok("start", json!({"graph": "g"}));
}
