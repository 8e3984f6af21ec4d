//! Programs that are replaced on disk while they run, and programs of two versions at once (FAULTS): running
//! ones are unharmed, later ones are new, and both work together.

use gob_tests::process::{self, Handle};
use gob_tests::program;
use gob_tests::{Gob, Output};
use nix::sys::signal::Signal;
use serde_json::{Value, json};
use std::fs;

const OURS: &[u8] = env!("CARGO_PKG_VERSION").as_bytes();
/// Of the same length, so that it can be written over the other one.
pub(crate) const OTHER: &str = "9.9.9";

/// Returns the program of another version: the same, except for its version.
pub(crate) fn of_other_version(gob: &Gob, name: &str) -> Vec<u8> {
    let mut bytes = fs::read(gob.bin(name)).unwrap();
    assert_eq!(OURS.len(), OTHER.len(), "a version of another length");
    let places: Vec<usize> =
        (0..bytes.len() - OURS.len()).filter(|at| bytes[*at..].starts_with(OURS)).collect();
    assert!(!places.is_empty(), "{name} does not hold its version");
    for at in places {
        bytes[at..at + OTHER.len()].copy_from_slice(OTHER.as_bytes());
    }
    bytes
}

/// Puts a program in the place of another one, as an installer does.
pub(crate) fn install(gob: &Gob, name: &str, bytes: &[u8]) {
    let new = gob.dir().join("new");
    program::write(&new, bytes, 0o755);
    fs::rename(new, gob.bin(name)).unwrap();
}

fn is_replaced(pid: i32) -> bool {
    process::exe(pid).is_some_and(|exe| exe.to_str().is_some_and(|exe| exe.ends_with(" (deleted)")))
}

fn notes(output: &Output) -> Vec<&str> {
    output.stderr.lines().filter(|line| line.contains("talks to a supervisor")).collect()
}

#[test]
fn running_programs_are_unharmed_and_later_ones_are_new() {
    let gob = Gob::new();
    let ours: Vec<(&str, Vec<u8>)> = ["gobd", "gob-keeper", "gob-graph-worker"]
        .map(|name| (name, fs::read(gob.bin(name)).unwrap()))
        .into();
    install(&gob, "gobd", &of_other_version(&gob, "gobd"));
    let mut conn = gob.connect_as("cli");
    let worker = conn.ok("start", json!({"graph": "g"}))["worker"].take();
    let status = gob.status();
    assert_eq!(status["version"], OTHER, "an older supervisor");
    let pid = |value: &Value| value.as_i64().unwrap() as i32;
    let pids = [pid(&worker["pid"]), pid(&status["pid"]), pid(&status["keeper_pid"])];
    for (name, bytes) in &ours {
        install(&gob, name, bytes);
    }
    assert!(pids.iter().all(|pid| is_replaced(*pid)));

    // Running programs go on, as one: neither a command nor a keeper of the new version makes a second
    // supervisor.
    let second = gob_tests::Ctl::new(&gob.bin("gob-keeper"), gob.env()).run();
    assert!(second.code == 0 && second.stderr.contains("already running"), "{second}");
    conn.ok("start", json!({"graph": "h"}));
    let next = conn.ok("get", json!({"name": "h"}))["worker"].take();
    assert!(!is_replaced(pid(&next["pid"])), "who comes next is new");
    assert_eq!(conn.ok("get", json!({"name": "g"}))["worker"]["pid"], worker["pid"]);
    assert!(pids.iter().all(|pid| process::is_alive(*pid)));

    // A killed supervisor is followed by the new one, and nothing of the old one is left.
    Handle::open(pids[1]).unwrap().signal(Signal::SIGKILL);
    gob.wait_other_instance(status["instance"].as_str().unwrap());
    assert_eq!(gob.status()["version"].as_str().unwrap().as_bytes(), OURS);
    assert_eq!(process::survivors(&pids[..1], gob_tests::wait::DEADLINE), Vec::<i32>::new());
    let started = gob.connect_as("cli").ok("start", json!({"graph": "g"}));
    assert_eq!((&started["outcome"], &started["worker"]["state"]), (&json!("started"), &json!("ready")));
}

#[test]
fn a_gobctl_of_another_version_works_and_notes_it_once() {
    let gob = Gob::new();
    gob.ctl(["ping"]).ok();
    install(&gob, "gobctl", &of_other_version(&gob, "gobctl"));
    for args in [&["start", "g"][..], &["list"], &["list", "--json"], &["restart", "g"], &["stop", "g"]] {
        let output = gob.ctl(args.iter().copied()).run();
        assert_eq!((output.code, notes(&output).len()), (0, 1), "{output}");
        assert!(notes(&output)[0].contains(OTHER), "{output}");
        assert!(!output.stdout.contains(OTHER), "{output}");
    }
    let quiet = gob.ctl(["list", "--quiet"]).run();
    assert_eq!((quiet.code, notes(&quiet).len()), (0, 0), "{quiet}");
}
