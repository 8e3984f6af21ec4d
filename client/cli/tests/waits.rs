//! `gobctl wait` and `run` against a scripted supervisor: the order of its news, and its refusals.

#[cfg(test)]
mod support;

use serde_json::{Value, json};
use std::process::Stdio;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};
use support::{Ran, World, job, ok, refused, view};

fn running(name: &str) -> Value {
    job(name, &["make"], json!({}))
}

fn ended(name: &str, code: i32) -> Value {
    let times = json!({"state": "idle", "pid": null, "exit": {"code": code}, "stopped_at": "2026-11-20T10:00:02.000Z"});
    job(name, &["make"], times)
}

fn event(kind: &str, worker: Value) -> String {
    let time = "2026-11-20T10:00:00.000Z";
    json!({"event": kind, "seq": 9, "time": time, "actor": "supervisor", "worker": worker}).to_string()
}

fn snapshot(workers: &[Value]) -> String {
    ok(json!({"seq": 1, "instance": "i", "workers": workers}))
}

fn of(worker: Value) -> String {
    ok(json!({"worker": worker}))
}

#[test]
fn news_that_comes_beside_an_answer_is_not_waited_for() {
    let world = World::new();
    world.serve(|kind, payload| match (kind, payload["name"].as_str()) {
        ("subscribe", _) => {
            assert_eq!(payload, &json!({"names": ["a", "b"], "snapshot": true}));
            vec![snapshot(&[running("a"), running("b")]), event("worker_stopped", ended("a", 3))]
        }
        ("get", Some("a")) => vec![event("worker_stopped", ended("b", 4)), of(ended("a", 3))],
        ("get", _) => vec![of(ended("b", 4))],
        _ => vec![],
    });
    world.run(&["wait", "a", "b"]).is(3, "", "a exited 3 after 2.0s\nb exited 4 after 2.0s\n");
}

#[test]
fn a_run_that_another_follows_at_once_is_not_the_end() {
    let world = World::new();
    let asked = Arc::new(AtomicU32::new(0));
    world.serve(move |kind, _| match kind {
        "subscribe" => vec![snapshot(&[running("a")]), event("worker_stopped", ended("a", 1))],
        "get" if asked.fetch_add(1, Ordering::Relaxed) == 0 => {
            vec![
                of(running("a")),
                event("worker_started", running("a")),
                event("worker_stopped", ended("a", 0)),
            ]
        }
        "get" => vec![of(ended("a", 0))],
        _ => vec![],
    });
    world.run(&["wait", "a"]).is(0, "", "a exited 0 after 2.0s\n");
}

#[test]
fn missed_events_are_made_up_for_by_their_snapshot() {
    let world = World::new();
    world.serve(|kind, _| match kind {
        "subscribe" => {
            let lagged = json!({"event": "lagged", "missed": 9, "seq": 9, "workers": [ended("a", 6)]});
            vec![snapshot(&[running("a"), running("b")]), lagged.to_string()]
        }
        _ => vec![],
    });
    let ran = world.run(&["wait", "a", "b"]);
    let told = "a exited 6 after 2.0s\nerror: it is not known how b ended\n  it was removed\n";
    ran.is(6, "", told);
}

#[test]
fn the_last_news_of_a_supervisor_that_goes_counts() {
    let world = World::new();
    world.serve(|kind, _| match kind {
        "subscribe" => vec![snapshot(&[running("a")]), event("worker_stopped", ended("a", 1))],
        // The end of the connection.
        _ => vec![],
    });
    world.run(&["wait", "a"]).is(1, "", "a exited 1 after 2.0s\n");
    world.run(&["run", "make"]).is(
        125,
        "",
        "error: the connection was lost before `add` was answered\nhint: see gobctl daemon logs\n",
    );
}

#[test]
fn the_next_supervisor_tells_what_became_of_a_run() {
    let world = World::new();
    let times = Arc::new(AtomicU32::new(0));
    world.serve(move |kind, _| match (kind, times.load(Ordering::Relaxed)) {
        ("subscribe", 0) => {
            vec![snapshot(&[running("a"), running("b")]), event("worker_stopped", ended("a", 0))]
        }
        ("get", 0) => {
            times.store(1, Ordering::Relaxed);
            vec![]
        }
        ("subscribe", _) => {
            let changes = json!({"state": "idle", "pid": null, "reason": "the supervisor was killed"});
            vec![snapshot(&[job("b", &["make"], changes)])]
        }
        _ => vec![],
    });
    let told = "the supervisor has gone; waiting for another one, which gobctl daemon start starts\n\
                a exited 0 after 2.0s\nerror: it is not known how b ended\n  the supervisor was killed\n";
    world.run(&["wait", "a", "b"]).is(125, "", told);
}

#[test]
fn a_stop_that_is_refused_is_told_and_the_wait_goes_on() {
    let world = World::new();
    world.serve(|kind, _| match kind {
        "add" => vec![ok(json!({"worker": running("a"), "outcome": "started"}))],
        "subscribe" => vec![snapshot(&[running("a")])],
        "stop" => {
            let refusal =
                refused("server-owned-by-other", "a is owned by x, you are cli", "ask x", json!({"pid": 1}));
            vec![refusal, event("worker_stopped", ended("a", 7))]
        }
        "get" => vec![of(ended("a", 7))],
        _ => vec![],
    });
    let mut command = world.command(&["run", "make"]);
    let child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    // Blocked as soon as it runs; before that, it has no job.
    let status = format!("/proc/{}/status", child.id());
    let blocks = |status: &str| {
        let line = status.lines().find_map(|line| line.strip_prefix("SigBlk:")).unwrap_or_default();
        u64::from_str_radix(line.trim(), 16).is_ok_and(|mask| mask & 0b10 != 0)
    };
    let deadline = Instant::now() + Duration::from_secs(30);
    while Instant::now() < deadline && !blocks(&std::fs::read_to_string(&status).unwrap()) {
        std::thread::yield_now();
    }
    let pid = nix::unistd::Pid::from_raw(i32::try_from(child.id()).unwrap());
    nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGINT).unwrap();
    let want = "stopping a; interrupt again to kill it\nerror: a is owned by x, you are cli\n  \
                its worker (pid 1) was not touched\nhint: ask x\na exited 7 after 2.0s\n";
    Ran::of(child.wait_with_output().unwrap()).is(7, "", want);
}

#[test]
fn a_graph_can_be_waited_for_too() {
    let world = World::new();
    world.serve(|kind, _| match kind {
        "subscribe" => {
            let changes = json!({"state": "failed", "pid": null, "exit": {"spawn_error": "ENOENT"}});
            vec![snapshot(&[view("demo", changes)])]
        }
        _ => vec![],
    });
    world.run(&["wait", "demo"]).is(127, "", "demo could not be spawned: ENOENT\n");
    world.run(&["wait", "-q", "demo"]).is(127, "", "");
}
