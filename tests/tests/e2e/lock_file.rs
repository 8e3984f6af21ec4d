//! `gobctl lock … --file`: lock files, without a supervisor (C6).

use crate::streams::Running;
use gob_tests::process::{Handle, is_alive};
use gob_tests::wait::{self, DEADLINE};
use gob_tests::{Ctl, Gob};
use nix::sys::signal::Signal;
use serde_json::{Value, json};
use std::fs;
use std::path::PathBuf;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

fn ctl<'a>(gob: &Gob, args: impl IntoIterator<Item = &'a str>) -> Ctl {
    let mut call = gob.ctl(args);
    call.cwd(gob.dir());
    call
}

fn lock(gob: &Gob) -> PathBuf {
    gob.dir().join("a.lock")
}

fn run<'a>(gob: &Gob, command: impl IntoIterator<Item = &'a str>) -> Ctl {
    let mut call = ctl(gob, ["lock", "run", "--file", "a.lock", "--"]);
    call.args(command);
    call
}

/// A record as another program writes it.
fn record(pid: i32, age: Duration, host: &str) -> String {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    let timestamp = u64::try_from((now - age).as_millis()).unwrap();
    json!({"pid": pid, "timestamp": timestamp, "host": host, "process": "psql"}).to_string()
}

fn host() -> String {
    nix::unistd::gethostname().unwrap().into_string().unwrap()
}

/// Waits for a file that a command writes, and reads the number in it.
fn number_in(gob: &Gob, name: &str) -> i32 {
    let mut number = None;
    let written = || {
        number = fs::read_to_string(gob.dir().join(name)).ok().and_then(|text| text.trim().parse().ok());
        number.is_some()
    };
    assert!(wait::until(DEADLINE, written), "{name} is not written");
    number.unwrap()
}

#[test]
fn a_command_has_the_lock_and_its_code_is_passed_on() {
    let gob = Gob::new();
    let shown = run(&gob, ["cat", "a.lock"]).ok();
    let holder: Value = serde_json::from_str(&shown).unwrap();
    assert_eq!((&holder["process"], &holder["host"]), (&json!("gobctl"), &json!(host())));
    for (command, code) in [("exit 7", 7), ("kill -9 $$", 137)] {
        run(&gob, ["sh", "-c", command]).fails(code);
    }
    run(&gob, ["no-such-program"]).fails(127);
    run(&gob, ["/etc/passwd"]).fails(126);
    assert_eq!(run(&gob, ["cat"]).stdin("through\n").ok(), "through\n");
    assert!(!lock(&gob).exists());
    assert!(!gob.socket().exists(), "a lock file needs no supervisor");
}

#[test]
fn a_wait_names_the_holder_and_ends_by_time_or_retries() {
    let gob = Gob::new();
    fs::write(lock(&gob), record(1, Duration::ZERO, &host())).unwrap();
    for more in [&["--timeout", "100ms"][..], &["--retries", "1", "--retry-delay", "10ms"]] {
        let mut call = ctl(&gob, ["lock", "run", "--file", "a.lock"]);
        call.args(more.iter().copied()).args(["--", "true"]);
        let refused = call.fails(124);
        let said = refused.stderr;
        assert!(said.contains("waiting for the lock: held by psql (pid 1 on "), "{said}");
        assert!(said.contains("error: a.lock is held by psql (pid 1 on "), "{said}");
    }
    let status = ctl(&gob, ["lock", "status", "--file", "a.lock", "--json"]).json();
    assert_eq!((&status["state"], &status["holder"]["pid"]), (&json!("held"), &json!(1)));
}

#[test]
fn a_time_limit_without_a_number_of_retries_rules_alone() {
    let gob = Gob::new();
    fs::write(lock(&gob), record(1, Duration::ZERO, &host())).unwrap();
    // The 50 retries that are the default are over within 500 ms here.
    let quick = ["lock", "run", "--file", "a.lock", "--retry-delay", "1ms", "--timeout"];
    let waited = |more: &[&str], code: i32| {
        let began = Instant::now();
        ctl(&gob, quick.iter().chain(more).copied()).fails(code);
        began.elapsed()
    };
    assert!(waited(&["2s", "--", "true"], 124) >= Duration::from_secs(2));
    assert!(waited(&["600s", "--retries", "3", "--", "true"], 124) < DEADLINE);
}

#[test]
fn no_time_is_one_try_and_the_name_is_nothing_beside_a_file() {
    let gob = Gob::new();
    let once = ["lock", "run", "deploy", "--file", "a.lock", "--timeout", "0", "--", "cat", "a.lock"];
    assert!(ctl(&gob, once).ok().contains("gobctl"));
    fs::write(lock(&gob), record(1, Duration::ZERO, &host())).unwrap();
    let refused = ctl(&gob, once).fails(124);
    assert!(refused.stderr.starts_with("error: a.lock is held by psql (pid 1 on "), "{refused}");
    let dashes = ctl(&gob, ["lock", "run", "--file", "a.lock", "make", "all"]).fails(2);
    assert!(dashes.stderr.contains("gobctl lock run --file PATH -- CMD"), "{dashes}");
    assert!(!gob.socket().exists(), "the name asks no supervisor");
}

#[test]
fn dead_silent_and_broken_holders_give_way() {
    let gob = Gob::new();
    let mut child = std::process::Command::new("true").spawn().unwrap();
    child.wait().unwrap();
    let dead = i32::try_from(child.id()).unwrap();
    let (now, old) = (Duration::ZERO, Duration::from_secs(31));
    for text in
        [record(dead, now, &host()), record(1, old, &host()), record(1, old, "elsewhere"), "{".to_owned()]
    {
        fs::write(lock(&gob), &text).unwrap();
        run(&gob, ["true"]).ok();
    }
    fs::write(lock(&gob), record(1, Duration::from_secs(3), "elsewhere")).unwrap();
    ctl(&gob, ["lock", "run", "--file", "a.lock", "--stale-after", "2s", "--", "true"]).ok();
}

#[test]
fn the_tree_of_a_killed_gobctl_ends_before_the_next_has_the_lock() {
    let gob = Gob::new();
    let tree = "trap '' TERM; echo $$ > pid; setsid sleep 1000 & echo $! > away; wait; sleep 1000";
    let held = Running::start(&mut run(&gob, ["sh", "-c", tree]));
    let (pid, away) = (number_in(&gob, "pid"), number_in(&gob, "away"));
    Handle::open(held.pid()).unwrap().signal(Signal::SIGKILL);
    let alive = format!("kill -0 {pid} 2>&1; kill -0 {away} 2>&1; true");
    let said = run(&gob, ["sh", "-c", &alive]).ok();
    assert_eq!(said.matches("No such process").count(), 2, "{said}");
}

#[test]
fn what_the_command_leaves_behind_is_ended_with_it() {
    let gob = Gob::new();
    run(&gob, ["sh", "-c", "setsid sleep 1000 & echo $! > away; exit 3"]).fails(3);
    assert!(!is_alive(number_in(&gob, "away")));
}

#[test]
fn signals_are_the_commands() {
    let gob = Gob::new();
    let held =
        Running::start(&mut run(&gob, ["sh", "-c", "trap 'exit 9' TERM; echo $$ > pid; sleep 1000 & wait"]));
    number_in(&gob, "pid");
    Handle::open(held.pid()).unwrap().signal(Signal::SIGTERM);
    held.ends(9);
}

#[test]
fn a_broken_lock_ends_its_command() {
    let gob = Gob::new();
    let mut held = Running::start(&mut run(&gob, ["sh", "-c", "echo $$ > pid; exec sleep 1000"]));
    number_in(&gob, "pid");
    let broken = ctl(&gob, ["lock", "break", "--file", "a.lock"]).ok();
    assert!(broken.starts_with("broke a.lock, which was held by gobctl (pid "), "{broken}");
    held.says("a.lock is lost: another program has taken it, or it can't be renewed; the command is ended");
    held.ends(125);
    ctl(&gob, ["lock", "break", "--file", "a.lock"]).fails(4);
    assert_eq!(ctl(&gob, ["lock", "status", "--force", "--file", "a.lock"]).ok(), "a.lock: free\n");
}

#[test]
fn a_command_ends_when_something_else_lies_in_the_place_of_its_lock() {
    for makes in ["mkdir a.lock", "ln -s nowhere a.lock", "mkfifo a.lock"] {
        let gob = Gob::new();
        let script = format!("echo $$ > pid; rm a.lock; {makes}; exec sleep 1000");
        let mut held = Running::start(&mut run(&gob, ["sh", "-c", &script]));
        held.says(
            "a.lock is lost: another program has taken it, or it can't be renewed; the command is ended",
        );
        held.ends(125);
        assert!(fs::symlink_metadata(lock(&gob)).is_ok(), "{makes}: it is left alone");
    }
}

#[test]
fn a_place_that_cannot_be_locked_is_named() {
    let gob = Gob::new();
    let said = |call: &mut Ctl, code| call.fails(code).stderr;
    let missing = said(&mut ctl(&gob, ["lock", "run", "--file", "none/a.lock", "--", "true"]), 125);
    assert!(missing.contains("cannot make none/a.lock") && missing.contains("mkdir -p none"), "{missing}");
    let directory = said(&mut ctl(&gob, ["lock", "run", "--file", ".", "--", "true"]), 125);
    assert!(directory.contains("it is a directory"), "{directory}");
    said(&mut ctl(&gob, ["lock", "run", "--", "true"]), 2);
    said(&mut ctl(&gob, ["lock", "run", "--file", "a.lock"]), 2);
    said(&mut ctl(&gob, ["lock", "run", "--file", "a.lock", "--stale-after", "0s", "--", "true"]), 2);
}

/// Both implementations at once, some of them killed; `gob-locks file` is the long form.
#[test]
fn another_implementation_never_has_it_at_the_same_time() {
    if crate::python::python().is_none() {
        return;
    }
    let proof = std::process::Command::new(gob_tests::gob::built_binaries().join("gob-locks"))
        .args(["file", "--clients", "6", "--rounds", "120"])
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&proof.stdout);
    assert!(proof.status.success(), "{said}");
    assert!(said.contains("0 violations"), "{said}");
}
