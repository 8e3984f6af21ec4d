//! `gobctl lock run`, `lock status` and `lock break`: the supervisor's locks, for people (C1 to C5).

use crate::streams::Running;
use gob_tests::process::{self, Handle, is_alive};
use gob_tests::terminal::Terminal;
use gob_tests::wait::{self, DEADLINE};
use gob_tests::{Ctl, Gob};
use nix::sys::signal::Signal;
use serde_json::{Value, json};
use std::fs;
use std::time::{Duration, Instant};

/// Makes a world in which the supervisor runs.
fn world() -> Gob {
    let gob = Gob::new();
    gob.ctl(["ping"]).ok();
    gob
}

fn ctl<'a>(gob: &Gob, args: impl IntoIterator<Item = &'a str>) -> Ctl {
    let mut call = gob.ctl(args);
    call.cwd(gob.dir());
    call
}

fn run(gob: &Gob, script: &str) -> Ctl {
    ctl(gob, ["lock", "run", "build", "--", "sh", "-c", script])
}

fn status(gob: &Gob) -> Value {
    let locks = ctl(gob, ["lock", "status", "build", "--json"]).json();
    locks["locks"][0].clone()
}

fn count(value: &Value) -> usize {
    value.as_array().map_or(0, Vec::len)
}

/// Waits until so many wait in line.
fn waiters(gob: &Gob, many: usize) {
    assert!(wait::until(DEADLINE, || count(&status(gob)["waiters"]) == many), "{}", status(gob));
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

fn kill(pid: i32) {
    Handle::open(pid).unwrap().signal(Signal::SIGKILL);
}

const HOLDS: &str = "echo $$ > pid; exec sleep 1000";

#[test]
fn a_command_has_a_token_that_grows_and_its_code_is_passed_on() {
    let gob = world();
    let token = |gob: &Gob| run(gob, "echo $GOB_LOCK_TOKEN").ok().trim().parse::<u64>().unwrap();
    let first = token(&gob);
    assert!(token(&gob) > first);
    for (script, code) in [("exit 7", 7), ("kill -9 $$", 137)] {
        run(&gob, script).fails(code);
    }
    ctl(&gob, ["lock", "run", "build", "--", "no-such-program"]).fails(127);
    ctl(&gob, ["lock", "run", "build", "--", "/etc/passwd"]).fails(126);
    assert_eq!(run(&gob, "cat").stdin("through\n").ok(), "through\n");
    assert_eq!(count(&status(&gob)["holders"]), 0);
}

#[test]
fn a_lock_is_tried_once_and_its_command_needs_no_dashes() {
    let gob = world();
    let said = ctl(&gob, ["lock", "run", "--timeout", "0", "build", "sh", "-c", "echo got --json"]).ok();
    assert_eq!(said, "got --json\n");
    let held = Running::start(&mut run(&gob, HOLDS));
    number_in(&gob, "pid");
    let refused = ctl(&gob, ["lock", "run", "build", "--timeout", "0", "true"]).fails(124);
    assert!(refused.stderr.starts_with("error: build was not granted "), "{refused}");
    assert!(refused.stderr.contains(&format!("pid {}", held.pid())), "{refused}");
    held.end();
}

#[test]
fn the_connection_is_the_guards_alone() {
    let gob = world();
    let fds = run(&gob, "ls -l /proc/self/fd").stdin("").ok();
    assert!(!fds.contains("socket:"), "{fds}");
}

#[test]
fn waiters_are_served_in_their_order_and_are_told_who_holds_it() {
    let gob = world();
    nix::unistd::mkfifo(&gob.dir().join("go"), nix::sys::stat::Mode::S_IRWXU).unwrap();
    let mut held = Running::start(&mut run(&gob, "echo has; read line < go; exit 0"));
    held.says("has");
    let mut waiting = Vec::new();
    for number in 1..=3 {
        let mut next = Running::start(&mut run(&gob, &format!("echo {number} >> order")));
        next.says(&format!("waiting for build: held by gobctl (pid {}, owner cli) for ", held.pid()));
        waiters(&gob, number);
        waiting.push(next);
    }
    let holder = &status(&gob)["holders"][0];
    assert_eq!((&holder["pid"], &holder["process"]), (&json!(held.pid()), &json!("gobctl")));
    let shown = ctl(&gob, ["lock", "status"]).ok();
    assert_eq!(shown.lines().count(), 5, "{shown}");
    let refused = ctl(&gob, ["lock", "run", "build", "--timeout", "50ms", "--", "true"]).fails(124);
    assert!(refused.stderr.contains(&format!("pid {}", held.pid())), "{refused}");
    fs::write(gob.dir().join("go"), "\n").unwrap();
    held.ends(0);
    waiting.into_iter().for_each(|waiting| drop(waiting.ends(0)));
    assert_eq!(fs::read_to_string(gob.dir().join("order")).unwrap(), "1\n2\n3\n");
    let shown = ctl(&gob, ["-v", "lock", "status", "build"]).ok();
    assert!(shown.contains("ACQUIRED") && shown.starts_with("build is free\n"), "{shown}");
}

#[test]
fn shared_holders_hold_it_together() {
    let gob = world();
    let mut shared = ctl(&gob, ["lock", "run", "build", "--shared", "--", "sh", "-c", HOLDS]);
    let one = Running::start(&mut shared);
    number_in(&gob, "pid");
    ctl(&gob, ["lock", "run", "build", "--shared", "--timeout", "20s", "--", "true"]).ok();
    run(&gob, "true").args(["unused"]);
    ctl(&gob, ["lock", "run", "build", "--timeout", "50ms", "--", "true"]).fails(124);
    one.end();
}

#[test]
fn the_tree_of_a_killed_gobctl_is_gone_before_the_next_has_the_lock() {
    let gob = world();
    let tree = "trap '' TERM; echo $$ > pid; setsid sleep 1000 & echo $! > away; wait; sleep 1000";
    let held = Running::start(&mut run(&gob, tree));
    let (pid, away) = (number_in(&gob, "pid"), number_in(&gob, "away"));
    kill(held.pid());
    let said = run(&gob, &format!("kill -0 {pid} 2>&1; kill -0 {away} 2>&1; true")).ok();
    assert_eq!(said.matches("No such process").count(), 2, "{said}");
    held.end();
}

#[test]
fn a_command_keeps_its_lock_when_the_supervisor_is_killed() {
    let gob = world();
    let held = Running::start(&mut run(&gob, HOLDS));
    let pid = number_in(&gob, "pid");
    let token = status(&gob)["holders"][0]["token"].clone();
    let instance = gob.status()["instance"].as_str().unwrap().to_owned();
    let began = Instant::now();
    kill(gob.gobd_pid());
    gob.wait_other_instance(&instance);
    let waiting = Running::start(&mut run(&gob, "true"));
    assert!(wait::until(DEADLINE, || count(&status(&gob)["holders"]) == 1), "{}", status(&gob));
    assert!(began.elapsed() >= Duration::from_secs(5), "the others have their time to claim");
    assert_eq!(status(&gob)["holders"][0]["token"], token);
    assert!(is_alive(pid));
    waiters(&gob, 1);
    Handle::open(held.pid()).unwrap().signal(Signal::SIGTERM);
    held.ends(143);
    waiting.ends(0);
}

#[test]
fn without_a_supervisor_the_command_is_ended_in_time() {
    let mut gob = world();
    gob.without_leftover_check();
    let mut held =
        Running::start(&mut run(&gob, "trap '' TERM; echo $$ > pid; while :; do sleep 1000 & wait; done"));
    let pid = number_in(&gob, "pid");
    let gobd = gob.gobd_pid();
    let keeper = process::parent(gobd).unwrap();
    let began = Instant::now();
    kill(keeper);
    kill(gobd);
    held.says("the supervisor has gone, and with it the lock; the command is ended");
    held.ends(125);
    assert!(!is_alive(pid));
    assert!(began.elapsed() < Duration::from_secs(10), "a busy machine may be late, but not for ever");
}

/// The guard of a command that runs under a lock, and whatever else of it is to be ended at last.
fn guard_of(pid: i32) -> Handle {
    Handle::open(process::parent(pid).unwrap()).unwrap()
}

fn token(gob: &Gob) -> u64 {
    status(gob)["holders"][0]["token"].as_u64().unwrap_or_default()
}

#[test]
fn the_lock_of_a_killed_guard_is_the_next_ones_and_its_token_is_the_smaller_one() {
    let gob = world();
    let held = Running::start(&mut run(&gob, HOLDS));
    let command = Handle::open(number_in(&gob, "pid")).unwrap();
    let before = token(&gob);
    let next = Running::start(&mut ctl(&gob, ["lock", "run", "build", "--", "sleep", "1000"]));
    waiters(&gob, 1);
    guard_of(number_in(&gob, "pid")).signal(Signal::SIGKILL);
    let is_next = || count(&status(&gob)["waiters"]) == 0 && token(&gob) > before;
    assert!(wait::until(DEADLINE, is_next), "{}", status(&gob));
    // Without its guard the command lives on beside the next holder, with a token that is to be refused.
    command.signal(Signal::SIGKILL);
    assert!(command.wait_gone(DEADLINE));
    held.end();
    next.end();
}

#[test]
fn a_holder_that_was_stopped_when_the_supervisor_died_has_lost_its_lock() {
    let gob = world();
    let held = Running::start(&mut run(&gob, HOLDS));
    let pid = number_in(&gob, "pid");
    let (guard, before) = (guard_of(pid), token(&gob));
    guard.signal(Signal::SIGSTOP);
    let instance = gob.status()["instance"].as_str().unwrap().to_owned();
    kill(gob.gobd_pid());
    gob.wait_other_instance(&instance);
    let after = run(&gob, "echo $GOB_LOCK_TOKEN").ok().trim().parse::<u64>().unwrap();
    assert!(after > before, "{after} after {before}");
    assert!(is_alive(pid), "nobody could end it so long");
    guard.signal(Signal::SIGCONT);
    held.ends(125);
    assert!(!is_alive(pid));
}

#[test]
fn a_broken_lock_ends_its_command() {
    let gob = world();
    let mut held = Running::start(&mut run(&gob, HOLDS));
    number_in(&gob, "pid");
    let broken = ctl(&gob, ["lock", "break", "build"]).ok();
    assert_eq!(broken, format!("broke build, which cli (gobctl, pid {}) held\n", held.pid()));
    held.says("broke the lock build; the command is ended");
    held.ends(125);
    ctl(&gob, ["lock", "break", "build"]).fails(4);
    assert_eq!(ctl(&gob, ["lock", "status", "build", "--force"]).ok(), "build is free\n");
}

#[test]
fn nested_runs_are_one_party() {
    let gob = world();
    let program = gob.bin("gobctl");
    let program = program.to_str().unwrap();
    run(&gob, &format!("{program} lock run other -- true")).ok();
    let refused = run(&gob, &format!("{program} lock run build -- true")).fails(125);
    assert!(refused.stderr.contains("error: "), "{refused}");
}

#[test]
fn an_interrupt_of_the_terminal_is_the_commands() {
    let gob = world();
    let mut call = run(&gob, "trap 'echo caught; exit 5' INT; echo it runs; sleep 1000 & wait");
    call.env("NO_COLOR", "1");
    let mut terminal = Terminal::session(call, 100);
    terminal.wait_for(|shown| shown.contains("it runs"));
    terminal.type_in("\u{3}");
    terminal.wait_for(|shown| shown.contains("caught"));
    assert_eq!(terminal.end().0, 5);
}

#[test]
fn a_holder_with_a_time_renews_it() {
    let gob = world();
    let mut call = ctl(&gob, ["lock", "run", "build", "--ttl", "3s", "--", "sh", "-c", HOLDS]);
    let held = Running::start(&mut call);
    number_in(&gob, "pid");
    let first = status(&gob)["holders"][0]["expires_at"].clone();
    assert!(first.is_string(), "{}", status(&gob));
    let later = || {
        let holder = &status(&gob)["holders"][0];
        holder["age_ms"].as_u64().is_some_and(|age| age > 4_000) && holder["expires_at"] != first
    };
    assert!(wait::until(DEADLINE, later), "{}", status(&gob));
    held.end();
}
