//! The lock of a graph: one worker, across all starters and after every death (FEATURES A8).

use crate::cgroups::leave_groups;
use crate::orphans::{away, kill_both};
use gob_tests::Gob;
use gob_tests::process;
use gob_tests::script::{Child, Step};
use gob_tests::wait::{self, DEADLINE};
use serde_json::{Value, json};
use std::fs;
use std::path::Path;

/// Starts a graph in a root that both supervisors know.
fn start_in(gob: &Gob, root: &Path) -> Value {
    gob.connect_as("cli").ask("start", json!({"graph": "g", "root_dir": root}))
}

/// Returns the lock's note about this worker, whose start does not wait for the write.
fn noted(lock: &Path, worker: &Value) -> Value {
    let mut note = Value::Null;
    let is_there = wait::until(DEADLINE, || {
        note = fs::read(lock).ok().and_then(|text| serde_json::from_slice(&text).ok()).unwrap_or_default();
        note["pid"] == worker["pid"]
    });
    assert!(is_there, "{note} is not of {worker}");
    note
}

fn shared_root(gob: &Gob) -> std::path::PathBuf {
    let root = gob.dir().join("shared");
    fs::create_dir(&root).unwrap();
    root
}

#[test]
fn two_supervisors_never_make_two_workers_on_one_graph() {
    let (one, other) = (Gob::new(), Gob::new());
    let root = shared_root(&one);
    let worker = start_in(&one, &root)["data"]["worker"].clone();
    let lock = root.join(".gob/g.lock");
    noted(&lock, &worker);
    for _ in 0..2 {
        let refused = start_in(&other, &root);
        let error = &refused["error"];
        assert_eq!(error["code"], "server-locked-by-external", "{refused}");
        assert_eq!(
            error["details"],
            json!({"pid": worker["pid"], "owner": "cli", "path": lock}),
            "{refused}"
        );
        // Where the note is garbage, the process that has the file open is found.
        fs::write(&lock, "garbage").unwrap();
        let refused = start_in(&other, &root);
        let details = &refused["error"]["details"];
        assert_eq!((&details["pid"], &details["owner"]), (&worker["pid"], &json!("unknown")), "{refused}");
        let note = json!({"pid": worker["pid"], "owner": "cli",
            "start_time": process::start_time(worker["pid"].as_i64().unwrap() as i32)});
        fs::write(&lock, note.to_string()).unwrap();
    }
    assert!(process::is_alive(worker["pid"].as_i64().unwrap() as i32));
    one.connect_as("cli").ok("stop", json!({"name": "g"}));
    let started = start_in(&other, &root);
    assert_eq!(started["data"]["outcome"], "started", "{started}");
    let note = noted(&lock, &started["data"]["worker"]);
    assert_eq!(note["socket"], other.socket().to_str().unwrap());
    let refused = start_in(&one, &root);
    assert_eq!(refused["error"]["details"]["pid"], note["pid"], "{refused}");
    other.connect_as("cli").ok("stop", json!({"name": "g"}));
}

#[test]
fn a_remaining_process_of_a_worker_keeps_its_graph() {
    let (mut one, other) = (Gob::new(), Gob::new());
    one.without_leftover_check();
    let root = shared_root(&one);
    let graph_dir = one.graph_dir("g");
    fs::create_dir_all(&graph_dir).unwrap();
    // The child neither closes its descriptors nor keeps its tag or its environment: only its own next supervisor knows, by
    // the lock, that it is one of its processes.
    let child = Child { close_fds: false, reset_limits: true, env_clear: true, ..away() };
    let steps = serde_json::to_vec(&[Step::Child(child), Step::Listen, Step::Handshake]).unwrap();
    fs::create_dir_all(root.join("g")).unwrap();
    fs::write(root.join("g/fixture.json"), &steps).unwrap();
    let started = start_in(&one, &root);
    assert_eq!(started["success"], true, "{started}");
    let pid: i32 = fs::read_to_string(root.join("g/pids.1")).unwrap().trim().parse().unwrap();
    leave_groups(&[pid]);
    kill_both(&one);
    assert!(process::is_alive(pid));
    fs::write(root.join("g/fixture.json"), serde_json::to_vec(&[Step::Listen, Step::Handshake]).unwrap())
        .unwrap();
    let refused = start_in(&other, &root);
    assert_eq!(refused["error"]["code"], "server-locked-by-external", "{refused}");
    assert_eq!(refused["error"]["details"]["pid"], pid, "{refused}");
    assert!(process::is_alive(pid), "another supervisor ends none of its processes");
    assert_eq!(start_in(&one, &root)["data"]["outcome"], "started");
    assert_eq!(process::survivors(&[pid], DEADLINE), Vec::<i32>::new());
    one.connect_as("cli").ok("stop", json!({"name": "g"}));
    assert_eq!(start_in(&other, &root)["data"]["outcome"], "started");
    other.connect_as("cli").ok("stop", json!({"name": "g"}));
}

#[test]
fn a_worker_that_closes_everything_keeps_its_graph() {
    let (one, other) = (Gob::new(), Gob::new());
    let root = shared_root(&one);
    fs::create_dir_all(root.join("g")).unwrap();
    let steps = [Step::CloseOthers, Step::Listen, Step::Handshake];
    fs::write(root.join("g/fixture.json"), serde_json::to_vec(&steps).unwrap()).unwrap();
    let worker = start_in(&one, &root)["data"]["worker"].clone();
    assert_eq!(worker["state"], "ready");
    let refused = start_in(&other, &root);
    assert_eq!(refused["error"]["code"], "server-locked-by-external", "{refused}");
    assert_eq!(refused["error"]["details"]["pid"], worker["pid"], "{refused}");
    one.connect_as("cli").ok("stop", json!({"name": "g"}));
    assert_eq!(start_in(&other, &root)["data"]["outcome"], "started");
    other.connect_as("cli").ok("stop", json!({"name": "g"}));
}

#[test]
fn a_lock_that_was_deleted_is_made_anew_for_the_next_run() {
    let gob = Gob::new();
    let root = shared_root(&gob);
    let lock = root.join(".gob/g.lock");
    for garbage in [Some(""), None, Some("{\"pid\":1}"), Some("\u{0}")] {
        assert_eq!(start_in(&gob, &root)["data"]["outcome"], "started");
        match garbage {
            Some(text) => fs::write(&lock, text).unwrap(),
            None => fs::remove_file(&lock).unwrap(),
        }
        gob.connect_as("cli").ok("stop", json!({"name": "g"}));
    }
    let started = start_in(&gob, &root);
    let note = noted(&lock, &started["data"]["worker"]);
    assert_eq!((&note["name"], &note["run"]), (&json!("g"), &json!(5)));
}

#[test]
fn a_graph_whose_lock_cannot_be_made_does_not_start() {
    let gob = Gob::new();
    let root = shared_root(&gob);
    // A file in the way of the directory: root may write everywhere, so that taking rights away would show
    // nothing.
    fs::write(root.join(".gob"), "").unwrap();
    let refused = start_in(&gob, &root);
    let error = &refused["error"];
    assert_eq!(error["code"], "server-start-failed", "{refused}");
    assert!(error["details"]["errno"].is_string(), "{refused}");
    let message = error["message"].as_str().unwrap();
    assert!(message.contains(".gob/g.lock") && message.contains("open"), "{message}");
    gob.connect_as("cli").ok("stop", json!({"name": "g"}));
}

/// Restarts a graph this often, and returns the answers that were no success.
fn restarts(gob: &Gob, graph: &str, times: usize) -> Vec<Value> {
    let mut conn = gob.connect_as("cli");
    conn.ok("start", json!({"graph": graph}));
    (0..times)
        .map(|_| conn.ask("restart", json!({"name": graph})))
        .filter(|answer| answer["success"] != true)
        .collect()
}

#[test]
fn graphs_that_restart_at_the_same_moment_are_always_held() {
    let times = std::env::var("GOB_TEST_RESTARTS").ok().and_then(|times| times.parse().ok()).unwrap_or(150);
    let gob = Gob::new();
    let failed = std::thread::scope(|scope| {
        let one = scope.spawn(|| restarts(&gob, "one", times));
        let other = scope.spawn(|| restarts(&gob, "other", times));
        [one, other].map(|thread| thread.join().unwrap()).concat()
    });
    assert!(failed.is_empty(), "{} of {} failed, such as {}", failed.len(), 2 * times, failed[0]);
    assert_eq!(gob.status()["spawn_failures"], 0);
}
