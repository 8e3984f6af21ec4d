//! `start` is *ensure*: one process, one `started`, however many clients ask (A1, A2, A11, E4).

use gob_tests::script::Step;
use gob_tests::wait::{self, DEADLINE};
use gob_tests::{Gob, process};
use serde_json::{Value, json};

#[test]
fn many_starters_get_one_process_and_one_is_told_started() {
    let gob = Gob::new();
    let owners: Vec<String> = (0..32).map(|n| format!("agent-{n}")).collect();
    let mut conns: Vec<_> = owners.iter().map(|owner| gob.connect_as(owner)).collect();
    let ids: Vec<u64> = conns.iter_mut().map(|conn| conn.post("start", json!({"graph": "g"}))).collect();
    let answers: Vec<Value> = conns.iter_mut().zip(ids).map(|(conn, id)| conn.response(id)).collect();
    assert!(answers.iter().all(|answer| answer["success"] == true), "{answers:#?}");
    let pids: Vec<&Value> = answers.iter().map(|answer| &answer["data"]["worker"]["pid"]).collect();
    assert!(pids.iter().all(|pid| pid.is_i64() && *pid == pids[0]), "{pids:?}");
    let starters: Vec<usize> = (0..32).filter(|n| answers[*n]["data"]["outcome"] == "started").collect();
    let [starter] = starters[..] else { panic!("{} have started it", starters.len()) };
    for (n, answer) in answers.iter().enumerate() {
        let data = &answer["data"];
        assert_eq!(data["outcome"], if n == starter { "started" } else { "reused" });
        assert_eq!(data["worker"]["owner"], owners[starter]);
        assert_eq!(data["worker"]["owned"], n == starter);
        assert_eq!(data["worker"]["state"], "ready");
        assert_eq!(data["worker"]["run"], 1);
        assert!(data["worker"]["endpoint"].as_str().is_some_and(|e| e.starts_with("unix:/")));
    }
}

#[test]
fn the_command_line_and_the_desktop_race_a_hundred_times() {
    let gob = Gob::new();
    let mut cli = gob.connect_as("cli");
    let mut desktop = gob.connect_as("desktop");
    for round in 0..100 {
        let graph = format!("race {round}");
        let (a, b) = if round % 2 == 0 { (&mut cli, &mut desktop) } else { (&mut desktop, &mut cli) };
        let first = a.post("start", json!({"graph": graph, "wait": "spawned"}));
        let second = b.post("start", json!({"graph": graph, "wait": "spawned"}));
        let (first, second) = (a.response(first), b.response(second));
        let (first, second) = (&first["data"], &second["data"]);
        let mut outcomes = [first["outcome"].as_str(), second["outcome"].as_str()];
        outcomes.sort_unstable();
        assert_eq!(outcomes, [Some("reused"), Some("started")]);
        assert_eq!(first["worker"]["pid"], second["worker"]["pid"]);
        assert_eq!(first["worker"]["owner"], second["worker"]["owner"]);
        let stopped = if first["worker"]["owned"] == true { a } else { b };
        stopped.ok("stop", json!({"name": graph, "force": true}));
    }
}

#[test]
fn ten_shells_start_one_graph_cold() {
    let gob = Gob::new();
    let mut calls: Vec<_> = (0..10).map(|_| gob.ctl(["start", "g", "--json"])).collect();
    let outputs: Vec<_> = std::thread::scope(|scope| {
        let threads: Vec<_> = calls.iter_mut().map(|call| scope.spawn(|| call.run())).collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    let answers: Vec<Value> = outputs
        .iter()
        .map(|output| {
            assert_eq!(output.code, 0, "{output}");
            serde_json::from_str(&output.stdout).unwrap()
        })
        .collect();
    assert!(answers.iter().all(|answer| answer["worker"]["pid"] == answers[0]["worker"]["pid"]));
    assert_eq!(answers.iter().filter(|answer| answer["outcome"] == "started").count(), 1);
}

#[test]
fn a_start_of_a_starting_worker_waits_for_it() {
    let gob = Gob::new();
    gob.fifo("g", "go");
    gob.script("g", &[Step::Listen, Step::WaitFor("go".to_owned()), Step::Handshake]);
    let mut events = gob.events();
    let (mut one, mut two) = (gob.connect_as("cli"), gob.connect_as("desktop"));
    let first = one.post("start", json!({"graph": "g"}));
    events.event("worker_started", "g");
    let spawned = two.ok("start", json!({"graph": "g", "wait": "spawned"}));
    assert_eq!((&spawned["outcome"], &spawned["worker"]["state"]), (&json!("reused"), &json!("starting")));
    let second = two.post("start", json!({"graph": "g"}));
    // The supervisor answers in order, so that a later answer shows that the starts wait.
    assert_eq!(two.ok("get", json!({"name": "g"}))["worker"]["state"], "starting");
    gob.release("g", "go");
    let (first, second) = (one.response(first), two.response(second));
    assert_eq!(first["data"]["outcome"], "started");
    assert_eq!(second["data"]["outcome"], "reused");
    assert_eq!(first["data"]["worker"]["pid"], second["data"]["worker"]["pid"]);
    assert!(first["data"]["worker"]["ready_at"].is_string());
}

#[test]
fn a_start_that_times_out_is_answered_and_the_worker_goes_on() {
    let gob = Gob::new();
    gob.fifo("g", "go");
    gob.script("g", &[Step::Listen, Step::WaitFor("go".to_owned()), Step::Handshake]);
    let mut events = gob.events();
    let mut conn = gob.connect_as("cli");
    conn.err("start", json!({"graph": "g", "timeout_ms": 50}), "server-start-timeout");
    let mut pid = Value::Null;
    assert!(wait::until(DEADLINE, || {
        pid = conn.ok("get", json!({"name": "g"}))["worker"]["pid"].clone();
        pid.is_number()
    }));
    let output = gob.ctl(["start", "g", "--timeout", "50ms"]).fails(8);
    assert!(output.stderr.starts_with("error: "), "{output}");
    gob.release("g", "go");
    assert_eq!(events.event("worker_ready", "g")["worker"]["pid"], pid);
}

#[test]
fn a_start_of_a_stopping_worker_waits_and_starts_it_anew() {
    let gob = Gob::new();
    gob.script("g", &[Step::Ignore(vec!["TERM".to_owned()]), Step::Listen, Step::Handshake]);
    let mut conn = gob.connect_as("cli");
    let first = conn.ok("start", json!({"graph": "g"}))["worker"].clone();
    let stop = conn.post("stop", json!({"name": "g", "grace_ms": 300}));
    let start = conn.post("start", json!({"graph": "g"}));
    let (stop, start) = (conn.response(stop), conn.response(start));
    assert_eq!(stop["success"], true, "{stop}");
    assert_eq!(start["data"]["outcome"], "started");
    assert_eq!(start["data"]["worker"]["run"], 2);
    assert_ne!(start["data"]["worker"]["pid"], first["pid"]);
    assert!(!process::is_alive(first["pid"].as_i64().unwrap() as i32));
    conn.ok("stop", json!({"name": "g", "force": true}));
}

#[test]
fn a_worker_that_is_down_starts_again_under_its_name_alone() {
    let gob = Gob::new();
    let mut conn = gob.connect_as("cli");
    conn.ok("start", json!({"graph": "g", "name": "other"}));
    conn.ok("stop", json!({"name": "other"}));
    let data = conn.ok("start", json!({"name": "other"}));
    assert_eq!(data["outcome"], "started");
    assert_eq!((&data["worker"]["graph"], &data["worker"]["run"]), (&json!("g"), &json!(2)));
    assert_eq!(data["worker"]["name"], "other");
}

#[test]
fn a_name_stands_for_one_graph_in_one_real_directory() {
    let gob = Gob::new();
    let mut conn = gob.connect_as("cli");
    let (one, two, link) = (gob.dir().join("one"), gob.dir().join("two"), gob.dir().join("link"));
    std::fs::create_dir(&one).unwrap();
    std::fs::create_dir(&two).unwrap();
    std::os::unix::fs::symlink(&one, &link).unwrap();
    let first = conn.ok("start", json!({"graph": "g", "root_dir": one}));
    assert_eq!(first["worker"]["root_dir"], json!(one));
    let again = conn.ok("start", json!({"graph": "g", "root_dir": link}));
    assert_eq!((&again["outcome"], &again["worker"]["pid"]), (&json!("reused"), &first["worker"]["pid"]));
    let error = conn.err("start", json!({"graph": "g", "root_dir": two}), "graph-conflict");
    assert!(error["hint"].as_str().unwrap().contains("--name"), "{error}");
    let other = conn.ok("start", json!({"graph": "g", "root_dir": two, "name": "g2"}));
    assert_ne!(other["worker"]["pid"], first["worker"]["pid"]);
    let error = conn.err("start", json!({"graph": "h", "kind": "nothing"}), "kind-not-found");
    assert!(error["message"].as_str().unwrap().contains("nothing"), "{error}");
    conn.err("start", json!({"graph": "h", "root_dir": "relative"}), "invalid-request");
    conn.err("start", json!({}), "invalid-request");
}
