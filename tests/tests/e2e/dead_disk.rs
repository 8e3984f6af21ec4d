//! A disk that does not answer, such as a mount whose server is gone, delays only the graphs on it.
//!
//! `strace` plays it: a thread of the supervisor that opens one of these files hangs in that call until
//! strace releases it.

use crate::syscalls::{Failing, strace_works};
use gob_tests::require::{Need, skip};
use gob_tests::{Conn, Gob};
use serde_json::json;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// Longer than any test; strace ends sooner.
const HANGS: &str = "delay_enter=100000000";

/// A request that waited for the disk takes at least as long as the supervisor's own patience with one.
const AT_ONCE: Duration = Duration::from_millis(2_500);

fn asks_in_time(conn: &mut Conn, request: &str, payload: serde_json::Value) -> serde_json::Value {
    let begun = Instant::now();
    let answer = conn.ask(request, payload);
    assert!(begun.elapsed() < AT_ONCE, "{request} took {:?}: {answer}", begun.elapsed());
    answer
}

/// Starts a graph whose start touches a file that does not answer.
fn hangs(what: &str, file: impl FnOnce(&Gob) -> PathBuf, config: impl FnOnce(&Gob) -> String) {
    if !strace_works() {
        return skip(Need::Strace, &format!("strace is not here or may not trace; no disk hung at {what}"));
    }
    let gob = Gob::new();
    fs::write(gob.dir().join("config.toml"), config(&gob)).unwrap();
    let file = file(&gob);
    let mut conn = gob.connect_as("cli");
    let pid = gob.gobd_pid();
    // Some files are opened from their directory, by their name alone.
    let names = [file.clone(), file.file_name().unwrap().into()];
    let hung = Failing::attach(pid, "openat", HANGS, &names, Path::new("/dev/null"));

    // A start that hangs is stopped at once, and both are answered.
    let mut starter = gob.connect_as("cli");
    let start = json!({"id": 77, "type": "start", "payload": {"graph": "far"}});
    starter.try_send(format!("{start}\n").as_bytes()).unwrap();
    let worker = asks_in_time(&mut conn, "start", json!({"graph": "near"}));
    assert_eq!(worker["data"]["worker"]["state"], "ready", "{worker}");
    let far = asks_in_time(&mut conn, "get", json!({"name": "far"}));
    assert_eq!(far["data"]["worker"]["state"], "starting", "{far}");
    let stopped = asks_in_time(&mut conn, "stop", json!({"name": "far"}));
    assert_eq!(stopped["data"]["worker"]["state"], "idle", "{stopped}");
    let refused = starter.frame();
    assert_eq!((&refused["id"], &refused["error"]["code"]), (&json!(77), &json!("server-start-failed")));

    // A start that is left alone fails before long and names the place that does not answer; all others go on
    // meanwhile.
    starter.try_send(format!("{start}\n").as_bytes()).unwrap();
    assert_eq!(asks_in_time(&mut conn, "stop", json!({"name": "near"}))["success"], true);
    assert_eq!(asks_in_time(&mut conn, "start", json!({"graph": "near"}))["success"], true);
    let refused = starter.frame();
    let error = &refused["error"];
    assert_eq!(
        (&error["code"], &error["details"]["errno"]),
        (&json!("server-start-failed"), &json!("ETIMEDOUT"))
    );
    let message = error["message"].as_str().unwrap();
    assert!(message.contains("no answer for") && message.contains(file.to_str().unwrap()), "{message}");
    // The hang is known now, so a start is refused at once.
    let refused = asks_in_time(&mut conn, "start", json!({"graph": "far"}));
    assert_eq!(refused["error"]["code"], "server-start-failed", "{refused}");
    assert_eq!(asks_in_time(&mut conn, "stop", json!({"name": "far"}))["success"], true);
    let lock = File::open(gob.data_dir().join(".gob/far.lock"));

    // The disk is back, and the work that hung on it has left nothing behind.
    drop(hung);
    let deadline = Instant::now() + gob_tests::wait::DEADLINE;
    while conn.ask("start", json!({"graph": "far"}))["success"] != true {
        assert!(Instant::now() < deadline, "it does not start any more");
    }
    conn.ok("stop", json!({"name": "far"}));
    let lock = lock.or_else(|_| File::open(gob.data_dir().join(".gob/far.lock"))).unwrap();
    lock.try_lock().expect("the lock of a graph that nobody serves is free");
}

#[test]
fn the_lock_of_a_graph() {
    hangs("a lock", |gob| gob.data_dir().join(".gob/far.lock"), |_| String::new());
}

#[test]
fn the_directory_of_a_worker() {
    let far = |gob: &Gob| gob.dir().join("far");
    hangs("a directory", far, |gob| {
        fs::create_dir(far(gob)).unwrap();
        format!("[graph.far]\ncwd = {:?}\n", far(gob))
    });
}
