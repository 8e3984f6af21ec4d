//! Faults in the middle of an upgrade: whatever happens, there is one supervisor, the old one or the new one (F3).

use crate::syscalls::{Failing, strace_works};
use gob_tests::process::{self, Handle};
use gob_tests::require::{Need, skip};
use gob_tests::wait::{self, DEADLINE};
use gob_tests::{Conn, Gob};
use nix::sys::signal::Signal;
use serde_json::json;
use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

/// The steps at which a supervisor of the tests can be killed, in their order.
const STEPS: [&str; 9] =
    ["tried", "paused", "rested", "sealed", "tried-again", "named", "begun", "taken", "resumed"];

#[test]
fn an_upgrade_that_is_killed_at_any_step_is_swept_and_followed_by_one_supervisor() {
    for step in STEPS {
        let gob = Gob::new();
        let mut conn = gob.connect_as("cli");
        conn.ok("start", json!({"graph": "g"}));
        let before = gob.status();
        let worker = conn.ok("get", json!({"name": "g"}))["worker"]["pid"].as_i64().unwrap() as i32;
        let worker = Handle::open(worker).unwrap();
        let fault = gob.state_dir().join("upgrade.fault");
        fs::write(&fault, step).unwrap();
        conn.post("upgrade", json!({}));
        gob.wait_other_instance(before["instance"].as_str().unwrap());
        fs::remove_file(fault).unwrap();
        assert!(worker.wait_gone(DEADLINE), "{step}: a worker of the killed one lives");
        assert_eq!(gob.running("gobd").len(), 1, "{step}");
        assert_eq!(gob.status()["keeper_pid"], before["keeper_pid"], "{step}");
        let mut conn = gob.connect_as("cli");
        conn.ok("start", json!({"graph": "g"}));
        gob.ctl(["daemon", "upgrade"]).ok();
        assert_eq!(conn.ok("get", json!({"name": "g"}))["worker"]["state"], "ready", "{step}");
    }
}

/// Upgrades while a disk does not answer: that is told within the time, and nothing is lost.
fn fails_in_time(gob: &Gob, conn: &mut Conn, what: &str) {
    let begun = Instant::now();
    let error = conn.err("upgrade", json!({}), "upgrade-failed");
    assert!(begun.elapsed() < Duration::from_secs(3), "{what}: {:?}", begun.elapsed());
    let message = error["message"].as_str().unwrap();
    assert!(message.contains(what), "{message}");
    assert_eq!(conn.ok("ping", json!({}))["pong"], true);
    assert_eq!(gob.connect_as("cli").ok("ping", json!({}))["pong"], true, "new clients are served");
}

#[test]
fn a_disk_that_hangs_under_the_logs_fails_the_upgrade_and_loses_no_line() {
    if !strace_works() {
        return skip(Need::Strace, "strace is not here or may not trace; no disk hung during an upgrade");
    }
    let gob = Gob::new();
    let mut conn = gob.connect_as("cli");
    let lines = "i=0; while ! test -e stop; do i=$((i+1)); echo $i; sleep 0.01; done; exec sleep 1000";
    conn.ok("add", json!({"command": ["/bin/sh", "-c", lines], "cwd": gob.dir(), "name": "w", "env": {"PATH": "/usr/bin:/bin"}}));
    let log = gob.log("w", 1, "stdout");
    assert!(wait::until(DEADLINE, || fs::metadata(&log).is_ok_and(|log| log.len() > 0)));
    let hung = Failing::attach(
        gob.gobd_pid(),
        "write",
        "delay_enter=100000000",
        std::slice::from_ref(&log),
        Path::new("/dev/null"),
    );
    let written = fs::metadata(&log).unwrap().len();
    fails_in_time(&gob, &mut conn, "logs");
    drop(hung);
    assert!(wait::until(DEADLINE, || fs::metadata(&log).unwrap().len() > written), "it is written again");
    fs::write(gob.dir().join("stop"), "").unwrap();
    conn.ok("upgrade", json!({}));
    conn.ok("stop", json!({"name": "w", "force": true}));
    let text = fs::read_to_string(&log).unwrap();
    for (at, line) in text.lines().enumerate() {
        assert_eq!(line, (at + 1).to_string(), "a line is lost or doubled");
    }
}

#[test]
fn a_signal_that_comes_in_the_middle_is_not_lost() {
    let gob = Gob::new();
    let mut conn = gob.connect_as("cli");
    conn.ok("start", json!({"graph": "g"}));
    let gobd = Handle::open(gob.gobd_pid()).unwrap();
    let keeper = Handle::open(process::parent(gobd.pid).unwrap()).unwrap();
    for _ in 0..20 {
        conn.post("upgrade", json!({}));
    }
    wait::while_time_passes(Duration::from_millis(40));
    gobd.signal(Signal::SIGTERM);
    assert!(keeper.wait_gone(DEADLINE), "it ends, and in order");
    assert!(gob.lock_line().is_none(), "{}", gob.logs());
}

#[test]
fn an_execution_that_fails_itself_is_told_and_everything_goes_on() {
    if !strace_works() {
        return skip(Need::Strace, "strace is not here or may not trace; no execution failed");
    }
    let gob = Gob::new();
    let mut conn = gob.connect_as("cli");
    conn.ok("start", json!({"graph": "g"}));
    let lock = conn.ok("lock_acquire", json!({"lock": "l"}));
    let before = gob.status();
    let worker = conn.ok("get", json!({"name": "g"}))["worker"].take();
    let gobd = gob.gobd_pid();
    // Of the first image the thread of the loop executes, of all later ones the main thread.
    for executes in [process::thread(gobd, "loop").unwrap(), gobd] {
        // Both trials are executed by children, which are left alone.
        let fails = Failing::attach_to_thread(executes, "execveat", "error=ENOMEM");
        let error = conn.err("upgrade", json!({}), "upgrade-failed");
        let message = error["message"].as_str().unwrap();
        assert!(message.contains("can't be executed: ") && message.contains("emory"), "{message}");
        assert_eq!(gob.connect_as("cli").ok("ping", json!({}))["pong"], true, "new clients are served");
        drop(fails);
        let now = gob.status();
        assert_eq!((&now["instance"], &now["pid"]), (&before["instance"], &before["pid"]));
        conn.ok("restart", json!({"name": "g"}));
        conn.ok("upgrade", json!({}));
    }
    let again = conn.ok("get", json!({"name": "g"}))["worker"].take();
    assert_ne!(again["pid"], worker["pid"], "it was restarted");
    conn.ok("lock_release", json!({"lock": "l", "token": lock["token"]}));
}

/// A worker that writes all the time, and whose disk takes so long for each write: the supervisor takes as long to come to rest.
fn with_a_slow_disk(gob: &Gob, conn: &mut Conn, delay: Duration) -> Failing {
    let lines = "while :; do echo line; sleep 0.01; done";
    conn.ok("add", json!({"command": ["/bin/sh", "-c", lines], "cwd": gob.dir(), "name": "w", "env": {"PATH": "/usr/bin:/bin"}}));
    let log = gob.log("w", 1, "stdout");
    assert!(wait::until(DEADLINE, || fs::metadata(&log).is_ok_and(|log| log.len() > 0)));
    let delay = format!("delay_enter={}", delay.as_micros());
    Failing::attach(gob.gobd_pid(), "write", &delay, std::slice::from_ref(&log), Path::new("/dev/null"))
}

#[test]
fn starts_that_are_called_off_while_it_comes_to_rest_are_answered() {
    if !strace_works() {
        return skip(Need::Strace, "strace is not here or may not trace; no disk was slow during an upgrade");
    }
    for (delay, is_upgraded) in [(Duration::from_millis(100), true), (Duration::from_secs(100), false)] {
        let gob = Gob::new();
        let mut conn = gob.connect_as("cli");
        let mut other = gob.connect_as("cli");
        let slow = with_a_slow_disk(&gob, &mut conn, delay);
        let upgrade = conn.post("upgrade", json!({}));
        let mut asked = Vec::new();
        let upgraded = loop {
            let graph = format!("g{}", asked.len());
            let start = other.post("start", json!({"graph": graph}));
            asked.push((graph.clone(), start, other.post("stop", json!({"name": graph}))));
            if let Some(frame) = conn.frame_within(Duration::from_millis(15)) {
                break frame;
            }
        };
        drop(slow);
        assert_eq!(
            (&upgraded["id"], &upgraded["success"]),
            (&json!(upgrade), &json!(is_upgraded)),
            "{upgraded}"
        );
        for (graph, start, stop) in asked {
            let started = other.response(start);
            let stopped = other.response(stop);
            assert!(
                stopped["success"] == true || stopped["error"]["code"] == "not-found",
                "{graph}: {started} {stopped}"
            );
        }
        conn.ok("start", json!({"graph": "last"}));
    }
}

#[test]
fn a_shutdown_that_is_asked_for_while_it_comes_to_rest_is_done() {
    if !strace_works() {
        return skip(Need::Strace, "strace is not here or may not trace; no disk was slow during an upgrade");
    }
    for pause in [0, 100, 200, 300, 400] {
        let gob = Gob::new();
        let mut conn = gob.connect_as("cli");
        let mut other = gob.connect_as("cli");
        let keeper = Handle::open(process::parent(gob.gobd_pid()).unwrap()).unwrap();
        let slow = with_a_slow_disk(&gob, &mut conn, Duration::from_millis(100));
        let upgrade = conn.post("upgrade", json!({}));
        wait::while_time_passes(Duration::from_millis(pause));
        let shutdown = other.post("shutdown", json!({}));
        assert_eq!(other.response(shutdown)["success"], true, "after {pause} ms");
        assert!(conn.response(upgrade)["success"].is_boolean(), "after {pause} ms");
        assert!(keeper.wait_gone(DEADLINE), "after {pause} ms: {}", gob.logs());
        drop(slow);
    }
}
