//! `gobctl wait` and `run` while the work goes on: signals, several waits, time limits, restarts and supervisors (D1, D3).

use crate::streams::Running;
use gob_tests::process::{Handle, is_alive};
use gob_tests::terminal::Terminal;
use gob_tests::wait::{self, DEADLINE};
use gob_tests::{Ctl, Gob};
use nix::sys::signal::Signal;
use serde_json::{Value, json};
use std::fs;

/// Makes a world in which the supervisor runs, so that no two clients start it.
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

fn worker(gob: &Gob, name: &str) -> Value {
    gob.connect().ok("get", json!({"name": name}))["worker"].clone()
}

/// Waits until `name` runs; returns its pid.
fn pid_of(gob: &Gob, name: &str) -> i32 {
    let mut client = gob.connect();
    let mut pid = None;
    let runs = || {
        let answer = client.ask("get", json!({"name": name}));
        pid = answer["data"]["worker"]["pid"].as_i64();
        pid.is_some()
    };
    assert!(wait::until(DEADLINE, runs), "{name} does not run");
    i32::try_from(pid.unwrap()).unwrap()
}

/// Waits until a client is told of events: it has everything that it waits with.
fn followed_by(gob: &Gob, clients: u64) {
    assert!(wait::until(DEADLINE, || gob.status()["subscribers"].as_u64() == Some(clients)));
}

fn signal(pid: i32, signal: Signal) {
    Handle::open(pid).unwrap().signal(signal);
}

const SLEEPS: [&str; 3] = ["run", "sleep", "1000"];
/// Says when its traps are set, and ignores TERM.
const STUBBORN: [&str; 4] =
    ["run", "--stream", "--shell", "trap '' TERM; echo up; while :; do sleep 1000 & wait; done"];
/// Waits for a file and fails.
const WAITS: [&str; 3] =
    ["run", "--shell", "echo up; until test -e go; do sleep 0.02; done; echo out; exit 5"];

#[test]
fn the_first_interrupt_stops_the_job_with_a_receipt() {
    for interrupt in [Signal::SIGINT, Signal::SIGTERM] {
        let gob = world();
        let run = Running::start(&mut ctl(&gob, SLEEPS));
        let pid = pid_of(&gob, "j1");
        followed_by(&gob, 1);
        signal(run.pid(), interrupt);
        let lines = run.ends(143);
        assert_eq!(
            lines[..2],
            ["stopping j1; interrupt again to kill it", &format!("stopped j1 (pid {pid})")]
        );
        assert!(lines[2].starts_with("j1 killed by SIGTERM after "), "{lines:?}");
        assert!(!is_alive(pid));
    }
}

#[test]
fn the_second_interrupt_kills_the_job() {
    let gob = world();
    let mut run = Running::start(&mut ctl(&gob, STUBBORN));
    run.says("up");
    signal(run.pid(), Signal::SIGINT);
    run.says("stopping j1; interrupt again to kill it");
    signal(run.pid(), Signal::SIGINT);
    run.says("killing j1");
    let lines = run.ends(137);
    assert!(lines.last().unwrap().starts_with("j1 killed by SIGKILL after "), "{lines:?}");
}

#[test]
fn keys_of_the_terminal_stop_the_job_and_its_end_leaves_it_running() {
    let gob = world();
    let mut terminal = Terminal::session(ctl(&gob, SLEEPS), 80);
    terminal.wait_for(|shown| shown.contains("waiting for j1 …"));
    terminal.type_in("\u{3}");
    let (code, shown) = terminal.end();
    assert_eq!(code, 143, "{shown}");
    let before = shown.split("stopped j1").next().unwrap();
    assert!(before.ends_with(['\n', '\r', 'K']), "the receipt is glued to the progress: {shown:?}");
    let mut terminal = Terminal::session(ctl(&gob, SLEEPS), 80);
    terminal.wait_for(|shown| shown.contains("waiting for j1 …"));
    let (own, pid) = (terminal.pid(), pid_of(&gob, "j1"));
    terminal.hang_up();
    assert!(Handle::open(own).is_none_or(|handle| handle.wait_gone(DEADLINE)), "it waits without a terminal");
    terminal.kill();
    assert!(is_alive(pid));
}

#[test]
fn the_summary_has_a_line_of_its_own_on_a_terminal() {
    let gob = world();
    for args in [&["run", "--shell", "printf half; exit 3"][..], &["wait", "--stream", "j1"]] {
        let (code, shown) = Terminal::open(ctl(&gob, args.iter().copied()), 80).end();
        assert_eq!(code, 3, "{shown}");
        assert!(shown.contains("half\nj1 exited 3 after "), "{shown:?}");
    }
}

#[test]
fn a_job_goes_on_without_its_client() {
    let gob = world();
    let run = Running::start(&mut ctl(&gob, SLEEPS));
    let pid = pid_of(&gob, "j1");
    followed_by(&gob, 1);
    run.end();
    followed_by(&gob, 0);
    let run = Running::start(&mut ctl(&gob, SLEEPS));
    followed_by(&gob, 1);
    signal(run.pid(), Signal::SIGHUP);
    let lines = run.ends(129);
    assert!(lines[0].starts_with(&format!("j1 is already running (pid {pid}, owner cli)")), "{lines:?}");
    assert_eq!(lines[1..], ["j1 goes on: gobctl wait j1"]);
    assert!(is_alive(pid));
}

#[test]
fn a_run_that_joined_another_owners_job_only_detaches() {
    let gob = world();
    ctl(&gob, ["--owner", "agent", "add", "sleep", "1000"]).ok();
    let pid = pid_of(&gob, "j1");
    let run = Running::start(&mut ctl(&gob, SLEEPS));
    followed_by(&gob, 1);
    signal(run.pid(), Signal::SIGINT);
    let lines = run.ends(130);
    assert!(lines[0].contains("owner agent; you don't own it"), "{lines:?}");
    assert_eq!(lines[1..], ["j1 goes on, as agent owns it: gobctl wait j1"]);
    assert!(is_alive(pid));
}

#[test]
fn all_who_wait_for_a_run_get_its_code_and_those_who_run_it_its_output() {
    let gob = world();
    let first = Running::start(&mut ctl(&gob, WAITS));
    pid_of(&gob, "j1");
    let mut second = Running::start(&mut ctl(&gob, WAITS));
    second.says("j1 is already running (pid ");
    let mut streams = Running::start(&mut ctl(&gob, ["await", "--stream", "j1"]));
    streams.says("up");
    followed_by(&gob, 3);
    fs::write(gob.dir().join("go"), "").unwrap();
    for lines in [first.ends(5), second.ends(5), streams.ends(5)] {
        assert!(lines.contains(&"up".to_owned()) && lines.contains(&"out".to_owned()), "{lines:?}");
        assert!(lines.iter().any(|line| line.starts_with("j1 exited 5 after ")), "{lines:?}");
    }
    assert_eq!(worker(&gob, "j1")["run"], 1);
    // It has ended before this wait.
    let out = ctl(&gob, ["wait", "-q", "j1"]).fails(5);
    assert_eq!((out.stdout.as_str(), out.stderr.as_str()), ("", ""));
}

#[test]
fn wait_exits_with_the_first_code_that_is_not_0_in_the_order_given() {
    let gob = world();
    for (name, code) in [("good", "0"), ("three", "3"), ("four", "4")] {
        ctl(&gob, ["add", "--name", name, "--shell", &format!("exit {code}")]).ok();
    }
    ctl(&gob, ["create", "--name", "fresh", "true"]).ok();
    let out = ctl(&gob, ["wait", "good", "four", "three"]).fails(4);
    let heads: Vec<&str> = out.stderr.lines().map(|line| line.split(" after").next().unwrap()).collect();
    assert_eq!(heads, ["good exited 0", "four exited 4", "three exited 3"]);
    ctl(&gob, ["wait", "three", "four", "fresh"]).fails(3);
    let never = ctl(&gob, ["wait", "fresh"]).fails(3);
    assert_eq!(never.stderr, "error: fresh has not run yet\nhint: gobctl start fresh\n");
    let unknown = ctl(&gob, ["wait", "good", "thee"]).fails(4);
    assert!(unknown.stderr.contains("there is no worker thee\nhint: did you mean three?"), "{unknown}");
    let data = ctl(&gob, ["wait", "--json", "four", "fresh"]).fails(4);
    let data: Value = serde_json::from_str(&data.stdout).unwrap();
    assert_eq!(data["results"][0]["data"]["exit_code"], 4);
    assert_eq!(data["results"][1]["error"]["code"], "server-not-running");
}

#[test]
fn the_end_of_the_time_ends_the_wait_and_not_the_work() {
    let gob = world();
    let out = ctl(&gob, ["run", "--timeout", "2s", "sleep", "1000"]).fails(124);
    let hint = "hint: wait on: gobctl wait j1; or end it: gobctl stop j1\n";
    assert_eq!(out.stderr, format!("error: j1 still runs after 2.0 s\n{hint}"));
    let pid = pid_of(&gob, "j1");
    ctl(&gob, ["wait", "j1", "--timeout", "100ms"]).fails(124);
    let waits = Running::start(&mut ctl(&gob, ["wait", "j1"]));
    followed_by(&gob, 1);
    signal(waits.pid(), Signal::SIGINT);
    assert_eq!(waits.ends(130), ["interrupted; j1 goes on running: gobctl wait j1"]);
    assert!(is_alive(pid));
}

#[test]
fn a_wait_lasts_until_there_is_no_further_run() {
    let gob = world();
    let script = "echo run $GOB_RUN; test $GOB_RUN -ge 3";
    let out = ctl(&gob, ["run", "--stream", "--restart", "on-failure", "--shell", script]).run();
    assert_eq!((out.code, out.stdout.as_str()), (0, "run 1\nrun 2\nrun 3\n"), "{out}");
    let waits = Running::start(&mut ctl(&gob, WAITS));
    pid_of(&gob, "j2");
    followed_by(&gob, 1);
    ctl(&gob, ["restart", "j2"]).ok();
    fs::write(gob.dir().join("go"), "").unwrap();
    let lines = waits.ends(5);
    assert!(lines.iter().any(|line| line.starts_with("j2 exited 5 after ")), "{lines:?}");
    assert_eq!(worker(&gob, "j2")["run"], 2);
}

#[test]
fn a_supervisor_that_goes_takes_the_run_with_it() {
    let gob = world();
    let run = Running::start(&mut ctl(&gob, SLEEPS));
    pid_of(&gob, "j1");
    followed_by(&gob, 1);
    let status = gob.status();
    signal(gob.gobd_pid(), Signal::SIGKILL);
    gob.wait_other_instance(status["instance"].as_str().unwrap());
    let lines = run.ends(125);
    assert!(lines[0].starts_with("the supervisor has gone"), "{lines:?}");
    assert_eq!(lines[1], "error: it is not known how j1 ended");
    let run = Running::start(&mut ctl(&gob, SLEEPS));
    pid_of(&gob, "j1");
    followed_by(&gob, 1);
    gob.ctl(["shutdown"]).ok();
    let lines = run.ends(143);
    assert!(lines.last().unwrap().starts_with("j1 killed by SIGTERM after "), "{lines:?}");
}

#[test]
fn output_without_a_reader_does_not_end_the_wait() {
    let gob = world();
    let script = "echo one; until test -e go; do sleep 0.02; done; echo two; exit 5";
    let mut call = ctl(&gob, ["run", "--stream", "-q", "--shell", script]);
    let mut child = call.spawn();
    let mut stdout = child.stdout.take().unwrap();
    let mut first = [0; 4];
    std::io::Read::read_exact(&mut stdout, &mut first).unwrap();
    assert_eq!(&first, b"one\n");
    drop(stdout);
    fs::write(gob.dir().join("go"), "").unwrap();
    let handle = Handle::open(child.id() as i32).unwrap();
    assert!(handle.wait_gone(DEADLINE));
    assert_eq!(child.wait().unwrap().code(), Some(5));
}
