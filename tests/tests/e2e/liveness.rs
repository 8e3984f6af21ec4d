//! Every liveness check of a kind, a worker's own reports by sd_notify(3), and idle workers (F10, F6, A7).

use crate::readiness::gob;
use gob_tests::Gob;
use gob_tests::conn::Conn;
use gob_tests::process::Handle;
use gob_tests::script::{Child, Http, Step, Write};
use gob_tests::wait::{DEADLINE, until, while_time_passes};
use nix::sys::signal::Signal;
use serde_json::{Value, json};
use std::fs;
use std::time::Duration;

fn say(text: &str) -> Step {
    Step::Notify(text.to_owned())
}

fn go(name: &str) -> Step {
    Step::WaitFor(name.to_owned())
}

/// Makes a world in which the worker `g` plays these steps; returns it with a subscriber, and the worker once
/// it is ready.
fn started(lines: &str, fifos: &[&str], steps: &[Step]) -> (Gob, Conn, Value) {
    let gob = gob(true, lines);
    fifos.iter().for_each(|fifo| gob.fifo("g", fifo));
    gob.script("g", steps);
    let mut watcher = gob.connect_as("desktop");
    watcher.ok("subscribe", json!({"names": ["g"]}));
    let worker = gob.connect_as("cli").ok("start", json!({"graph": "g"}))["worker"].clone();
    (gob, watcher, worker)
}

#[test]
fn http_that_fails_so_often_is_unhealthy_and_may_recover() {
    let lines = "readiness = { type = \"http\", path = \"/healthz\" }\n\
                 liveness = { type = \"http\", path = \"/healthz\", interval = \"20ms\", failures = 2, successes = 2 }";
    let http = Http { sick_while: Some("sick".to_owned()), ..Http::default() };
    let (gob, mut watcher, worker) = started(lines, &[], &[Step::Http(http)]);
    fs::write(gob.graph_dir("g").join("sick"), "").unwrap();
    let event = watcher.event("worker_unhealthy", "g");
    assert!(event["worker"]["reason"].as_str().unwrap().contains("answered 503, not 200"), "{event}");
    assert_eq!(event["actor"], "supervisor");
    // A later requester gets the worker as it is, and nothing stops it.
    let again = gob.connect_as("desktop").ok("start", json!({"graph": "g"}));
    assert_eq!((&again["outcome"], &again["worker"]["pid"]), (&json!("reused"), &worker["pid"]));
    fs::remove_file(gob.graph_dir("g").join("sick")).unwrap();
    let event = watcher.event("worker_ready", "g");
    assert_eq!((&event["worker"]["pid"], &event["worker"]["reason"]), (&worker["pid"], &Value::Null));
}

#[test]
fn an_unhealthy_worker_is_restarted_where_its_kind_says_so() {
    let lines = "readiness = { type = \"http\", path = \"/\" }\n\
                 liveness = { type = \"http\", path = \"/\", interval = \"20ms\", failures = 1, restart = true }";
    let http = Http { sick_while: Some("sick".to_owned()), ..Http::default() };
    let (gob, mut watcher, _) = started(lines, &[], &[Step::Http(http)]);
    let sick = gob.graph_dir("g").join("sick");
    fs::write(&sick, "").unwrap();
    watcher.event("worker_unhealthy", "g");
    fs::remove_file(&sick).unwrap();
    watcher.event("worker_stopping", "g");
    let event = watcher.event("worker_backoff", "g");
    assert!(event["worker"]["next_restart_at"].is_string(), "{event}");
    let event = watcher.event("worker_ready", "g");
    assert_eq!((&event["worker"]["run"], &event["worker"]["restarts"]), (&json!(2), &json!(1)), "{event}");
}

#[test]
fn a_worker_without_its_socket_is_unhealthy() {
    let lines = "readiness = { type = \"connect\", address = \"unix:{socket}\" }\n\
                 liveness = { type = \"connect\", address = \"unix:{socket}\", interval = \"20ms\", failures = 1 }";
    let (gob, mut watcher, worker) = started(lines, &[], &[Step::Listen]);
    fs::remove_file(worker["endpoint"].as_str().unwrap().trim_start_matches("unix:")).unwrap();
    let event = watcher.event("worker_unhealthy", "g");
    assert!(event["worker"]["reason"].as_str().unwrap().contains("No such file"), "{event}");
    gob.connect_as("cli").ok("stop", json!({"name": "g"}));
}

#[test]
fn a_missed_watchdog_makes_the_worker_unhealthy() {
    let lines =
        "readiness = \"notify\"\nliveness = { type = \"notify\", interval = \"300ms\", failures = 1 }";
    let steps = [say("READY=1"), go("alive"), say("WATCHDOG=1"), go("sick"), say("WATCHDOG=trigger")];
    let (gob, mut watcher, _) = started(lines, &["alive", "sick"], &steps);
    assert_eq!(gob.facts("g", 1).var("WATCHDOG_USEC"), Some("300000"));
    let event = watcher.event("worker_unhealthy", "g");
    assert_eq!(event["worker"]["reason"], "did not say WATCHDOG=1 within 300 ms");
    gob.release("g", "alive");
    watcher.event("worker_ready", "g");
    gob.release("g", "sick");
    // The worker reports it, or is silent for too long, whichever comes first on a busy machine.
    watcher.event("worker_unhealthy", "g");
}

#[test]
fn missing_lines_make_the_worker_unhealthy() {
    let checks = ["{ type = \"log\", pattern = \"^alive$\", ", "{ type = \"handshake\", "];
    let words = ["alive\n", "{HANDSHAKE}\n"];
    for (check, text) in checks.into_iter().zip(words) {
        let lines = format!("liveness = {check}interval = \"300ms\", failures = 1 }}");
        let write = |text: &str| Step::Write(Write { text: text.to_owned(), ..Write::default() });
        let steps = [Step::Listen, Step::Handshake, go("on"), write("still\n"), write(text)];
        let (gob, mut watcher, _) = started(&lines, &["on"], &steps);
        let event = watcher.event("worker_unhealthy", "g");
        assert_eq!(event["worker"]["reason"], "wrote no line that says it is well", "{check}");
        gob.release("g", "on");
        watcher.event("worker_ready", "g");
    }
}

#[test]
fn a_worker_that_reports_stopping_is_stopping() {
    let lines = "readiness = \"notify\"\nexit_zero = \"ceded\"";
    let steps = [say("READY=1"), go("end"), say("STOPPING=1"), go("exit"), Step::Exit(0)];
    let (gob, mut watcher, _) = started(lines, &["end", "exit"], &steps);
    gob.release("g", "end");
    assert_eq!(watcher.event("worker_stopping", "g")["actor"], "supervisor");
    gob.release("g", "exit");
    watcher.event("worker_ceded", "g");
}

#[test]
fn a_worker_that_daemonises_is_not_ceded() {
    let lines = "readiness = \"notify\"\nexit_zero = \"ceded\"";
    let daemon = Step::Child(Child { detach: true, env_clear: true, ..Child::default() });
    let (gob, mut watcher, _) = started(lines, &["end"], &[daemon, say("READY=1"), go("end"), Step::Exit(0)]);
    gob.release("g", "end");
    let ended = watcher.event("worker_stopped", "g");
    assert_eq!(ended["worker"]["state"], "idle");
    let reason = ended["worker"]["reason"].as_str().unwrap();
    assert!(reason.starts_with("its leader exited 0 and left pid "), "{reason}");
    assert!(reason.ends_with("have the program stay in the foreground"), "{reason}");
}

#[test]
fn a_start_may_be_extended_by_the_worker() {
    let lines = "readiness = { type = \"notify\", timeout = \"3s\" }";
    let gob = gob(true, lines);
    gob.fifo("g", "go");
    gob.script("g", &[say("EXTEND_TIMEOUT_USEC=60000000\nSTATUS=migrating"), go("go"), say("READY=1")]);
    gob.fifo("other", "go");
    gob.script("other", &[go("go"), say("READY=1")]);
    let mut events = gob.events();
    let mut conn = gob.connect_as("cli");
    let id = conn.post("start", json!({"graph": "g"}));
    let worker = || gob.connect_as("desktop").ok("get", json!({"name": "g"}))["worker"].clone();
    assert!(until(DEADLINE, || worker()["reason"] == "migrating"));
    // A start that began later and is not extended is over its time already.
    gob.connect_as("cli").err("start", json!({"graph": "other"}), "server-start-timeout");
    events.event("worker_failed", "other");
    let view = worker();
    assert_eq!((&view["state"], &view["reason"]), (&json!("starting"), &json!("migrating")));
    gob.release("g", "go");
    assert_eq!(conn.response(id)["data"]["worker"]["state"], "ready");
}

#[test]
fn a_supervisor_that_was_suspended_expires_nobody() {
    let lines = "readiness = { type = \"notify\", timeout = \"3s\" }";
    let gob = gob(true, lines);
    gob.fifo("g", "go");
    gob.script("g", &[go("go"), say("READY=1")]);
    let mut conn = gob.connect_as("cli");
    let id = conn.post("start", json!({"graph": "g"}));
    assert!(until(DEADLINE, || gob.graph_dir("g").join("facts.1.json").exists()));
    let gobd = Handle::open(gob.gobd_pid()).unwrap();
    gobd.signal(Signal::SIGSTOP);
    // Longer than the start may take, and than the limit of being late.
    while_time_passes(Duration::from_secs(6));
    gobd.signal(Signal::SIGCONT);
    let view = gob.connect_as("desktop").ok("get", json!({"name": "g"}))["worker"].clone();
    assert_eq!(view["state"], "starting", "{view}");
    gob.release("g", "go");
    assert_eq!(conn.response(id)["data"]["worker"]["state"], "ready");
}

#[test]
fn an_unused_worker_is_stopped_and_a_leased_one_is_not() {
    let lines = "readiness = \"notify\"\nidle_stop = \"300ms\"";
    let (gob, mut watcher, _) = started(lines, &[], &[say("READY=1")]);
    assert_eq!(watcher.event("worker_stopped", "g")["actor"], "supervisor");
    let mut user = gob.connect_as("desktop");
    user.ok("start", json!({"graph": "g", "lease": true}));
    // A worker that was started later, without a lease, is stopped before this one is checked.
    let mut events = gob.events();
    gob.script("other", &[say("READY=1")]);
    gob.connect_as("cli").ok("start", json!({"graph": "other"}));
    events.event("worker_stopped", "other");
    assert_eq!(user.ok("get", json!({"name": "g"}))["worker"]["state"], "ready");
    drop(user);
    watcher.event("lease_released", "g");
    watcher.event("worker_stopped", "g");
}
