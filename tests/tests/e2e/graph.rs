//! gob's own graph worker under the supervisor: used by several clients, durable, one per file.

use gob_tests::process::Handle;
use gob_tests::wait::{self, DEADLINE};
use gob_tests::{Conn, Ctl, Gob, Worker};
use nix::sys::signal::Signal;
use serde_json::{Value, json};
use std::fs;

fn node(id: &str) -> Value {
    json!({"id": id, "label": "page", "properties": {"title": format!("é {id}")}})
}

#[test]
fn a_worker_started_by_one_client_is_used_by_another() {
    let gob = Gob::with(Worker::Real);
    let data = gob.connect_as("cli").ok("start", json!({"graph": "notes"}));
    assert_eq!(data["worker"]["state"], "ready");
    assert!(data["worker"]["version"].is_string(), "{data}");
    assert!(gob.graph_dir("notes").join("graph.sqlite").exists());
    let mut one = gob.worker("notes");
    let edge = json!({"from": "a", "to": "b", "type": "links", "properties": {"n": 1}});
    one.ok("put", json!({"nodes": [node("a"), node("b")], "edges": [edge]}));
    let mut two = gob.worker("notes");
    assert_eq!(two.ok("get", json!({"id": "a"}))["node"], node("a"));
    let stats = two.ok("stats", json!({}));
    assert_eq!((&stats["nodes"], &stats["edges"]), (&json!(2), &json!(1)));
    two.ok("ping", json!({}));
}

#[test]
fn from_the_shell() {
    let gob = Gob::with(Worker::Real);
    gob.ctl(["start", "notes"]).ok();
    let put = json!({"nodes": [node("a")]}).to_string();
    gob.ctl(["invoke", "notes", "put", &put]).ok();
    let more = json!({"nodes": [node("b")]}).to_string();
    gob.ctl(["invoke", "notes", "put", "-", "--owner", "desktop"]).stdin(&more).ok();
    for id in ["a", "b"] {
        let payload = json!({"id": id}).to_string();
        let got = gob.ctl(["invoke", "notes", "get", &payload, "--json"]).json();
        assert_eq!(got["node"], node(id));
    }
    let output = gob.ctl(["invoke", "notes", "dance"]).fails(2);
    assert!(output.stderr.starts_with("error: "), "{output}");
    gob.ctl(["invoke", "notes", "put", "{not json"]).fails(2);
    gob.ctl(["invoke", "nobody", "ping"]).fails(4);
    gob.ctl(["stop", "notes"]).ok();
    gob.ctl(["invoke", "notes", "ping"]).fails(3);
}

#[test]
fn the_command_line_lists_the_requests_of_a_graph() {
    let gob = Gob::with(Worker::Real);
    let output = gob.ctl(["invoke", "notes", "--help"]).ok();
    assert!(output.contains("gobctl start notes"), "{output}");
    gob.ctl(["start", "notes"]).ok();
    let output = gob.ctl(["invoke", "notes", "--help"]).ok();
    for text in ["Usage: gobctl invoke", "Requests of notes:", "search", "text, limit?"] {
        assert!(output.contains(text), "{text}: {output}");
    }
    let data = gob.ctl(["invoke", "notes", "--help", "--json"]).json();
    let listed = data["requests"].as_array().unwrap();
    assert!(
        listed.iter().any(|entry| entry["type"] == "put" && entry["fields"] == json!(["nodes", "edges"]))
    );
    let output = gob.ctl(["invoke", "notes", "serch"]).fails(2);
    assert!(output.stderr.contains("did you mean `search`? There are: ping, put"), "{output}");
}

#[test]
fn the_loss_of_a_graph_is_reported_and_no_more_writes_are_acknowledged() {
    let gob = Gob::with(Worker::Real);
    let mut watcher = gob.events();
    gob.connect_as("cli").ok("start", json!({"graph": "notes"}));
    watcher.event("worker_ready", "notes");
    let put = json!({"nodes": [node("a")]}).to_string();
    gob.ctl(["invoke", "notes", "put", &put]).ok();
    fs::rename(gob.graph_dir("notes"), gob.graph_dir("aside")).unwrap();
    let output = gob.ctl(["invoke", "notes", "put", &put]).fails(1);
    assert!(output.stderr.contains("is not where it was: it is gone"), "{output}");
    let ended = watcher.find("the end", DEADLINE, |event| !event["worker"]["exit"].is_null());
    assert_eq!(ended["worker"]["exit"], json!({"code": 1}), "{ended}");
    // The files are written beside all else.
    let said = || fs::read_to_string(gob.log("notes", 1, "stderr")).unwrap();
    let is_said = || ["graph-gone: ", "put the file back"].iter().all(|words| said().contains(words));
    assert!(wait::until(DEADLINE, is_said), "{}", said());
}

#[test]
fn a_batch_is_all_or_nothing() {
    let gob = Gob::with(Worker::Real);
    gob.connect_as("cli").ok("start", json!({"graph": "g"}));
    let mut worker = gob.worker("g");
    let dangling = json!({"from": "a", "to": "nowhere", "type": "links"});
    let refused = worker.ask("put", json!({"nodes": [node("a")], "edges": [dangling]}));
    assert_eq!(refused["success"], false, "{refused}");
    assert!(refused["error"]["message"].as_str().unwrap().contains("nowhere"), "{refused}");
    assert_eq!(worker.ok("stats", json!({}))["nodes"], 0);
}

#[test]
fn acknowledged_writes_survive_a_kill() {
    let gob = Gob::with(Worker::Real);
    let mut watcher = gob.events();
    let mut conn = gob.connect_as("cli");
    conn.ok("start", json!({"graph": "g"}));
    watcher.event("worker_ready", "g");
    let mut written = 0;
    for round in 0..3 {
        let pid = conn.ok("get", json!({"name": "g"}))["worker"]["pid"].as_i64().unwrap() as i32;
        let mut worker = gob.worker("g");
        let target = written + 50;
        // The kill comes while requests are under way.
        let mut sent = Vec::new();
        while written < target {
            sent.push(worker.post("put", json!({"nodes": [node(&format!("{round}-{written}"))]})));
            written += 1;
        }
        for id in sent {
            assert_eq!(worker.response(id)["success"], true);
        }
        worker.post("put", json!({"nodes": [node(&format!("unanswered {round}"))]}));
        Handle::open(pid).unwrap().signal(Signal::SIGKILL);
        watcher.event("worker_ready", "g");
        let stats = gob.worker("g").ok("stats", json!({}));
        assert!(stats["nodes"].as_u64().unwrap() >= written, "{stats}: {written} were acknowledged");
    }
}

#[test]
fn a_second_worker_on_the_same_file_names_the_holder() {
    let gob = Gob::with(Worker::Real);
    let data = gob.connect_as("cli").ok("start", json!({"graph": "g"}));
    let pid = data["worker"]["pid"].to_string();
    let data_dir = gob.data_dir();
    let socket = gob.dir().join("second.sock");
    let mut second = Ctl::new(&gob.bin("gob-graph-worker"), gob.env());
    second.args([
        "--root-dir",
        data_dir.to_str().unwrap(),
        "--graph",
        "g",
        "--socket",
        socket.to_str().unwrap(),
    ]);
    let output = second.run();
    assert_ne!(output.code, 0, "{output}");
    let line: Value = serde_json::from_str(output.stdout.lines().next().unwrap()).unwrap();
    assert_eq!(line["ready"], false);
    assert!(line["error"].as_str().unwrap().contains(&pid), "{output}");
    assert!(output.stderr.contains(&pid), "{output}");
    assert!(!socket.exists());
    assert_eq!(gob.worker("g").ok("stats", json!({}))["nodes"], 0);
}

#[test]
fn the_same_file_under_two_supervisors() {
    let (gob, other) = (Gob::with(Worker::Real), Gob::with(Worker::Real));
    gob.connect_as("cli").ok("start", json!({"graph": "g"}));
    let mut conn = other.connect_as("cli");
    let root = gob.data_dir();
    let answer = conn.ask("start", json!({"graph": "g", "root_dir": root}));
    let code = answer["error"]["code"].as_str().unwrap_or_default();
    assert!(["server-start-failed", "server-locked-by-external"].contains(&code), "{answer}");
    assert_eq!(gob.worker("g").ok("ping", json!({}))["pong"], true);
    conn.ok("stop", json!({"name": "g", "force": true}));
}

#[test]
fn the_graph_worker_stops_in_order_and_removes_its_socket() {
    let gob = Gob::with(Worker::Real);
    let mut conn = gob.connect_as("cli");
    let data = conn.ok("start", json!({"graph": "g"}));
    let socket = data["worker"]["endpoint"].as_str().unwrap().strip_prefix("unix:").unwrap().to_owned();
    gob.worker("g").ok("put", json!({"nodes": [node("a")]}));
    let stopped = conn.ok("stop", json!({"name": "g"}));
    assert_eq!(stopped["worker"]["exit"], json!({"code": 0}), "{stopped}");
    assert!(!fs::exists(&socket).unwrap());
    conn.ok("start", json!({"graph": "g"}));
    assert_eq!(gob.worker("g").ok("get", json!({"id": "a"}))["node"], node("a"));
}

#[test]
fn the_graph_workers_socket_has_the_same_framing() {
    let gob = Gob::with(Worker::Real);
    gob.connect_as("cli").ok("start", json!({"graph": "g"}));
    let mut worker: Conn = gob.worker("g");
    for (line, code) in [
        ("not json", "invalid-request"),
        ("{\"id\":1,\"type\":\"ping\",\"extra\":1}", "invalid-request"),
        ("{\"id\":1,\"type\":\"dance\"}", "unknown-request"),
    ] {
        for byte in format!("{line}\n").bytes() {
            worker.send(&[byte]);
        }
        let answer = worker.find("an answer", DEADLINE, |_| true);
        assert_eq!(answer["error"]["code"], code, "{answer}");
    }
    worker.ok("ping", json!({}));
}
