//! The supervisor is killed, ended, or loses its keeper: nothing is left, and it comes back (F2, D8).

use gob_tests::Gob;
use gob_tests::process::{self, Handle};
use gob_tests::script::{Child, Step, every_escape};
use gob_tests::wait::{self, DEADLINE};
use nix::sys::signal::Signal;
use serde_json::json;
use std::fs;
use std::process::{Command, Stdio};
use std::time::Duration;

/// Starts workers with trees that only their tag holds together; returns all their processes.
pub(crate) fn trees(gob: &Gob, count: usize) -> Vec<i32> {
    let mut conn = gob.connect_as("cli");
    let mut pids = Vec::new();
    for n in 0..count {
        let graph = format!("tree {n}");
        gob.script(&graph, &[every_escape(), vec![Step::Listen, Step::Handshake]].concat());
        let data = conn.ok("start", json!({"graph": graph}));
        pids.push(data["worker"]["pid"].as_i64().unwrap() as i32);
        let children = gob.children(&graph, data["worker"]["run"].as_u64().unwrap());
        assert_eq!(children.len(), 6);
        pids.extend(children);
    }
    assert!(pids.iter().all(|pid| process::is_alive(*pid)));
    pids
}

#[test]
fn a_killed_supervisor_leaves_nothing_and_comes_back_by_itself() {
    let gob = Gob::new();
    let pids = trees(&gob, 5);
    // Same program, same arguments, not gob's: it must live.
    let mut bystander = Command::new("/bin/sleep").arg("1000").stdin(Stdio::null()).spawn().unwrap();
    let status = gob.status();
    let instance = status["instance"].as_str().unwrap().to_owned();
    Handle::open(gob.gobd_pid()).unwrap().signal(Signal::SIGKILL);
    assert_eq!(process::survivors(&pids, Duration::from_secs(5)), Vec::<i32>::new());
    // Without any request the supervisor is back, without a process of a worker, with the same keeper.
    let pid = gob.wait_other_instance(&instance);
    assert!(process::is_alive(pid));
    let now = gob.status();
    assert_eq!(now["keeper_pid"], status["keeper_pid"]);
    let workers = gob.connect().ok("list", json!({}))["workers"].clone();
    assert!(workers.as_array().unwrap().iter().all(|worker| worker["state"] == "idle"), "{workers}");
    assert!(bystander.try_wait().unwrap().is_none(), "a bystander was ended");
    bystander.kill().unwrap();
    bystander.wait().unwrap();
    let data = gob.connect_as("cli").ok("start", json!({"graph": "after", "wait": "ready"}));
    assert_eq!(data["worker"]["state"], "ready");
    // The number of a run whose logs are still there is not used again.
    let data = gob.connect_as("cli").ok("start", json!({"graph": "tree 0"}));
    assert_eq!(data["worker"]["run"], 2);
    gob.connect_as("cli").ok("stop", json!({"name": "tree 0", "force": true}));
}

#[test]
fn stray_files_do_not_stop_the_next_supervisor() {
    let gob = Gob::new();
    let instance = gob.status()["instance"].as_str().unwrap().to_owned();
    let readme = gob.state_dir().join("logs/README");
    // The directory of logs comes with the first of them, which is written beside the start.
    gob.connect_as("cli").ok("start", json!({"graph": "before"}));
    assert!(wait::until(DEADLINE, || fs::write(&readme, "what lies here").is_ok()));
    // The pid file decides nothing, and can't be made again.
    let pid_file = gob.runtime_dir().join("daemon.pid");
    let occupy = || {
        fs::remove_file(&pid_file).ok();
        fs::create_dir(&pid_file).is_ok() || pid_file.is_dir()
    };
    assert!(wait::until(DEADLINE, occupy));
    fs::write(pid_file.join("in the way"), "").unwrap();
    Handle::open(gob.gobd_pid()).unwrap().signal(Signal::SIGKILL);
    gob.wait_other_instance(&instance);
    gob.connect_as("cli").ok("start", json!({"graph": "after", "wait": "ready"}));
    fs::remove_dir_all(&pid_file).unwrap();
}

#[test]
fn killed_again_and_again() {
    let gob = Gob::new();
    for _ in 0..5 {
        let pids = trees(&gob, 1);
        let instance = gob.status()["instance"].as_str().unwrap().to_owned();
        Handle::open(gob.gobd_pid()).unwrap().signal(Signal::SIGKILL);
        assert_eq!(process::survivors(&pids, Duration::from_secs(5)), Vec::<i32>::new());
        gob.wait_other_instance(&instance);
    }
}

#[test]
fn without_its_keeper_it_stops_in_order() {
    let gob = Gob::new();
    let mut conn = gob.connect_as("cli");
    let mut pids = Vec::new();
    for graph in ["a", "b"] {
        let data = conn.ok("start", json!({"graph": graph}));
        pids.push(data["worker"]["pid"].as_i64().unwrap() as i32);
    }
    let keeper = gob.status()["keeper_pid"].as_i64().unwrap() as i32;
    Handle::open(keeper).unwrap().signal(Signal::SIGKILL);
    assert_eq!(gob.wait_empty(DEADLINE), Vec::<i32>::new());
    assert!(pids.iter().all(|pid| !process::is_alive(*pid)));
    gob.ctl(["ping"]).ok();
}

#[test]
fn sigterm_ends_the_supervisor_in_order() {
    for signal in [Signal::SIGTERM, Signal::SIGINT] {
        let gob = Gob::new();
        let mut watcher = gob.events();
        gob.connect_as("cli").ok("start", json!({"graph": "g"}));
        Handle::open(gob.gobd_pid()).unwrap().signal(signal);
        let stopped = watcher.event("worker_stopped", "g");
        assert_eq!(stopped["worker"]["exit"], json!({"signal": "SIGTERM", "core_dumped": false}));
        assert_eq!(gob.wait_empty(DEADLINE), Vec::<i32>::new(), "the keeper has gone too");
        assert!(!gob.socket().exists(), "it takes its socket with it");
        assert_eq!(fs::read(gob.state_dir().join("gobd.lock")).unwrap(), b"");
    }
}

#[test]
fn a_worker_that_fails_is_started_again_until_gob_gives_up() {
    let gob = Gob::new();
    gob.script("g", &[Step::Exit(7)]);
    let mut watcher = gob.events();
    let mut conn = gob.connect_as("cli");
    conn.err("start", json!({"graph": "g"}), "server-start-failed");
    let event = watcher.find("failed", DEADLINE, |event| event["event"] == "worker_failed");
    let worker = &event["worker"];
    assert_eq!((&worker["state"], &worker["exit"]), (&json!("failed"), &json!({"code": 7})));
    assert_eq!(worker["run"], 5, "five failures: {worker}");
    assert!(worker["reason"].as_str().is_some_and(|reason| !reason.is_empty()), "{worker}");
    assert!(gob.ctl(["list"]).ok().contains("failed"));
    gob.script("g", &[Step::Listen, Step::Handshake]);
    let data = conn.ok("start", json!({"graph": "g"}));
    assert_eq!((&data["outcome"], &data["worker"]["restarts"]), (&json!("started"), &json!(0)));
}

#[test]
fn an_adopted_descendant_is_reaped() {
    let gob = Gob::new();
    let away = Child { detach: true, env_clear: true, close_fds: true, ..Default::default() };
    gob.script("g", &[Step::Child(away), Step::Listen, Step::Handshake]);
    gob.connect_as("cli").ok("start", json!({"graph": "g"}));
    let pid = gob.children("g", 1)[0];
    Handle::open(pid).unwrap().signal(Signal::SIGKILL);
    // A zombie has a stat file; a reaped process has none.
    let reaped = || process::stat_field(pid, 3).is_none();
    assert!(wait::until(DEADLINE, reaped), "{}", process::describe(pid));
}
