//! Graphs that a foreign process holds, by Logseq's kind and a stand-in for its worker (FEATURES A9, FIELD).

use gob_tests::logseq::{Logseq, http};
use gob_tests::process::is_alive;
use gob_tests::wait::{self, DEADLINE};
use nix::sys::signal::Signal;
use serde_json::{Value, json};
use std::fs;
use std::os::unix::fs::symlink;
use std::process::Command;
use std::time::{Duration, Instant};

pub(crate) fn logseq() -> Option<Logseq> {
    Logseq::new(str::to_owned)
}

/// Makes a world whose kind reports workers that live without their lock file.
pub(crate) fn reporting() -> Option<Logseq> {
    Logseq::new(|kind| kind.replace("orphans = \"end\"", "orphans = \"report\""))
}

/// Makes a world whose kind has misbehaving workers.
fn with_switches(switches: &str) -> Option<Logseq> {
    Logseq::new(|kind| format!("{kind}\nenv = {{ DB_WORKER_SWITCHES = {switches:?} }}\n"))
}

pub(crate) fn pid(worker: &Value) -> i32 {
    worker["pid"].as_i64().unwrap() as i32
}

#[test]
fn logseqs_worker_runs_under_gob_from_configuration_alone() {
    let Some(logseq) = logseq() else { return };
    let gob = &logseq.gob;
    let data = gob.connect_as("desktop").ok("start", json!({"graph": "my notes/100%"}));
    let (worker, dir) = (&data["worker"], "my notes~2F100~25");
    assert_eq!((&data["outcome"], &worker["state"]), (&json!("started"), &json!("ready")));
    let endpoint = worker["endpoint"].as_str().unwrap();
    let port = logseq.port(pid(worker)).unwrap();
    assert_eq!(endpoint, format!("http://127.0.0.1:{port}"));
    let note = logseq.lock_note(dir);
    assert_eq!((&note["pid"], &note["owner-source"]), (&worker["pid"], &json!("electron")));
    let invoke = |body: Value| http(endpoint, "POST /v1/invoke", &body.to_string());
    let (status, answer) = invoke(json!({"method": "thread-api/q", "args": ["my notes/100%", 1]}));
    assert_eq!((status, &answer["ok"]), (200, &json!(true)), "{answer}");
    assert_eq!(invoke(json!({"method": "q", "args": []})), (400, json!({"error": "missing-repo"})));
    assert_eq!(invoke(json!({"method": "q", "args": ["other"]})), (409, json!({"error": "repo-mismatch"})));

    let stopped = gob.connect_as("desktop").ok("stop", json!({"name": "my notes/100%"}));
    assert_eq!(
        (&stopped["worker"]["state"], &stopped["worker"]["exit"]),
        (&json!("idle"), &json!({"code": 0}))
    );
    assert_eq!(logseq.asked(dir), [format!("shutdown {}", pid(worker))], "and no signal");
    assert!(!logseq.lock(dir).exists());
}

#[test]
fn owners_are_told_in_the_words_of_the_kind() {
    let Some(logseq) = logseq() else { return };
    for (owner, word) in [("desktop", "electron"), ("electron", "electron"), ("cli", "cli"), ("agent", "cli")]
    {
        let worker = logseq.gob.connect_as(owner).ok("start", json!({"graph": owner}))["worker"].clone();
        assert_eq!(worker["owner"], owner);
        assert_eq!(logseq.lock_note(owner)["owner-source"], word, "{owner}");
    }
}

#[test]
fn a_living_holder_is_external_and_its_owner_may_ask_it_to_stop() {
    let Some(logseq) = logseq() else { return };
    let gob = &logseq.gob;
    let mut holder = logseq.holder("work", &["--owner-source", "electron"]);
    let mut events = gob.events();
    let data = gob.connect_as("cli").ok("start", json!({"graph": "work"}));
    let worker = &data["worker"];
    assert_eq!((&data["outcome"], &worker["state"]), (&json!("external"), &json!("external")));
    assert_eq!((pid(worker), &worker["owned"]), (holder.pid(), &json!(false)));
    assert_eq!((&worker["owner"], &worker["pgid"]), (&json!("electron"), &Value::Null));
    let port = logseq.port(holder.pid()).unwrap();
    assert_eq!(worker["endpoint"], format!("http://127.0.0.1:{port}"));
    assert_eq!(gob.connect_as("agent").ok("start", json!({"graph": "work"}))["outcome"], "external");
    assert_eq!(gob.connect_as("electron").ok("get", json!({"name": "work"}))["worker"]["owned"], false);
    let lock = logseq.lock_note("work");

    // The holder is never signalled, and asked to end only by its owner.
    for owner in ["cli", "desktop", "agent"] {
        let error = gob.connect_as(owner).err("stop", json!({"name": "work"}), "server-owned-by-other");
        assert_eq!(error["details"]["owner"], "electron", "{error}");
        gob.connect_as(owner).err("restart", json!({"name": "work"}), "server-owned-by-other");
    }
    let signal = json!({"name": "work", "signal": "TERM"});
    gob.connect_as("electron").err("signal", signal, "server-locked-by-external");
    assert_eq!((logseq.asked("work"), logseq.lock_note("work")), (vec![], lock), "nobody touched it");
    let stopped = gob.connect_as("electron").ok("stop", json!({"name": "work"}));
    assert_eq!((holder.end(), &stopped["worker"]["state"]), (Some(0), &json!("idle")));
    assert_eq!(stopped["receipt"]["signalled"][0]["signals"], json!([]));
    assert_eq!(logseq.asked("work"), [format!("shutdown {}", holder.pid())]);
    assert_eq!(events.event("worker_updated", "work")["worker"]["state"], "external");
    assert_eq!(events.event("worker_stopped", "work")["worker"]["state"], "idle");
    assert_eq!(gob.connect_as("cli").ok("start", json!({"graph": "work"}))["outcome"], "started");
}

#[test]
fn the_command_line_asks_a_holder_that_names_no_owner_and_restarts_in_its_place() {
    let Some(logseq) = logseq() else { return };
    let mut holder = logseq.holder("work", &["--no-owner"]);
    let mut conn = logseq.gob.connect_as("cli");
    assert_eq!(conn.ok("start", json!({"graph": "work"}))["worker"]["owner"], "unknown");
    let error =
        logseq.gob.connect_as("desktop").err("stop", json!({"name": "work"}), "server-owned-by-other");
    assert_eq!(error["details"]["owner"], "unknown");
    let data = conn.ok("restart", json!({"name": "work"}));
    assert_eq!(holder.end(), Some(0));
    assert_eq!(data["worker"]["state"], "ready");
    assert_eq!(logseq.lock_note("work")["pid"], data["worker"]["pid"]);
}

#[test]
fn a_holder_that_refuses_lives_and_the_requester_is_told() {
    let Some(logseq) = Logseq::new(|kind| kind.replace("\"8s\"", "\"300ms\"")) else { return };
    let holder = logseq.holder("work", &["--owner-source", "cli", "--ignore-shutdown"]);
    let mut conn = logseq.gob.connect_as("cli");
    conn.ok("start", json!({"graph": "work"}));
    for stop in [json!({"name": "work"}), json!({"name": "work", "force": true})] {
        let error = conn.err("stop", stop, "server-stop-timeout");
        assert_eq!(error["details"]["receipt"]["survivors"][0]["pid"], holder.pid(), "{error}");
    }
    assert!(holder.is_alive());
    let asked = logseq.asked("work");
    assert!(asked.iter().all(|asked| asked.starts_with("shutdown")), "{asked:?}");
    assert_eq!(conn.ok("get", json!({"name": "work"}))["worker"]["state"], "external");
}

#[test]
fn a_holder_that_ends_by_itself_is_seen_at_once() {
    let Some(logseq) = logseq() else { return };
    let mut holder = logseq.holder("work", &[]);
    let mut events = logseq.gob.events();
    let mut conn = logseq.gob.connect_as("cli");
    conn.ok("start", json!({"graph": "work"}));
    holder.signal(Signal::SIGKILL);
    holder.end();
    let ended = Instant::now();
    let event = events.event("worker_stopped", "work");
    assert!(ended.elapsed() < Duration::from_secs(2), "{:?}", ended.elapsed());
    assert_eq!((&event["worker"]["state"], &event["actor"]), (&json!("idle"), &json!("supervisor")));
    // It left its lock file, whose process is dead.
    assert!(logseq.lock("work").exists());
    let data = conn.ok("start", json!({"graph": "work"}));
    assert_eq!((&data["outcome"], &data["worker"]["run"]), (&json!("started"), &json!(2)));
    assert_eq!(logseq.lock_note("work")["pid"], data["worker"]["pid"]);
}

#[test]
fn a_holder_that_is_only_starting_is_waited_for() {
    let Some(logseq) = logseq() else { return };
    let root = logseq.root();
    let args =
        ["--repo", "work", "--root-dir", root.to_str().unwrap(), "--slow", "400", "--starting", "60000"];
    let holder = logseq.outside(&args);
    assert!(wait::until(DEADLINE, || fs::read(logseq.lock("work")).is_ok_and(|lock| lock.ends_with(b"}"))));
    let worker = logseq.gob.connect_as("cli").ok("start", json!({"graph": "work"}))["worker"].clone();
    assert_eq!((pid(&worker), &worker["state"]), (holder.pid(), &json!("external")));
    let port = logseq.port(holder.pid()).unwrap();
    assert_eq!(worker["endpoint"], format!("http://127.0.0.1:{port}"), "it answers 503, as itself");
}

#[test]
fn only_a_port_that_answers_as_the_holder_is_its_endpoint() {
    let Some(logseq) = logseq() else { return };
    // The lock of this graph names a process that serves another.
    let other = logseq.holder("other", &[]);
    logseq.write_lock("work", &json!({"repo": "work", "pid": other.pid(), "lock-id": "x"}).to_string());
    let worker = logseq.gob.connect_as("cli").ok("start", json!({"graph": "work"}))["worker"].clone();
    assert_eq!((pid(&worker), &worker["endpoint"]), (other.pid(), &Value::Null));
    let mut conn = logseq.gob.connect_as("cli");
    let error = conn.err("stop", json!({"name": "work"}), "server-locked-by-external");
    let lock = logseq.lock("work");
    assert_eq!(error["details"]["path"], lock.to_str().unwrap(), "{error}");
    assert_eq!(logseq.asked("other"), Vec::<String>::new(), "a stranger is not asked to end");
}

#[test]
fn the_lock_of_a_dead_process_is_taken_away_and_no_other() {
    let Some(logseq) = logseq() else { return };
    let mut conn = logseq.gob.connect_as("cli");
    let mut dead = Command::new("/bin/true").spawn().unwrap();
    dead.wait().unwrap();
    logseq.write_lock("work", &json!({"repo": "work", "pid": dead.id(), "lock-id": "old"}).to_string());
    let worker = conn.ok("start", json!({"graph": "work"}))["worker"].clone();
    assert_eq!((&logseq.lock_note("work")["pid"], &worker["state"]), (&worker["pid"], &json!("ready")));

    // An unreadable lock file may be half written, and its holder is unknown then.
    for (graph, text) in
        [("empty", ""), ("cut", "{\"repo\":\"cut\",\"pid\":12"), ("pidless", "{\"repo\":\"x\"}")]
    {
        logseq.write_lock(graph, text);
        let begun = Instant::now();
        let error = conn.err("start", json!({"graph": graph}), "server-start-failed");
        assert!(begun.elapsed() >= Duration::from_secs(1), "{:?}", begun.elapsed());
        assert!(error["message"].as_str().unwrap().contains("says nothing"), "{error}");
        conn.ok("stop", json!({"name": graph}));
        assert_eq!(fs::read_to_string(logseq.lock(graph)).unwrap(), text, "it stays as it is");
    }
    // A link is not followed either: its target is not read and stays as it is.
    let target = logseq.gob.dir().join("target");
    fs::write(&target, "{\"repo\":\"link\",\"pid\":1}").unwrap();
    logseq.write_lock("link", "");
    fs::remove_file(logseq.lock("link")).unwrap();
    symlink(&target, logseq.lock("link")).unwrap();
    conn.err("start", json!({"graph": "link"}), "server-start-failed");
    conn.ok("stop", json!({"name": "link"}));
    assert!(logseq.lock("link").is_symlink());
    assert_eq!(fs::read_to_string(&target).unwrap(), "{\"repo\":\"link\",\"pid\":1}");
}

#[test]
fn a_lock_that_is_being_written_is_waited_for() {
    let Some(logseq) = logseq() else { return };
    let holder = logseq.holder("other", &[]);
    logseq.write_lock("work", "{\"repo\":\"wo");
    let mut conn = logseq.gob.connect_as("cli");
    let id = conn.post("start", json!({"graph": "work"}));
    let state = || logseq.gob.connect_as("cli").ok("get", json!({"name": "work"}))["worker"]["state"].clone();
    assert!(wait::until(DEADLINE, || state() == "starting"));
    logseq
        .write_lock("work", &json!({"repo": "work", "pid": holder.pid(), "owner-source": "cli"}).to_string());
    let worker = conn.response(id)["data"]["worker"].clone();
    assert_eq!((pid(&worker), &worker["owner"]), (holder.pid(), &json!("cli")));
}

#[test]
fn losing_the_race_for_the_lock_is_no_crash() {
    let Some(logseq) = with_switches("--before-lock go") else { return };
    let gob = &logseq.gob;
    gob.fifo("work", "go");
    let mut conn = gob.connect_as("cli");
    let id = conn.post("start", json!({"graph": "work"}));
    let state = || gob.connect_as("cli").ok("get", json!({"name": "work"}))["worker"].clone();
    assert!(wait::until(DEADLINE, || state()["pid"].is_i64()));
    // gob's own worker is about to take the lock when another process does.
    let holder = logseq.holder("work", &["--owner-source", "electron"]);
    gob.release("work", "go");
    let error = conn.response(id)["error"].clone();
    assert_eq!(error["code"], "server-locked-by-external", "{error}");
    assert_eq!(error["details"]["pid"], holder.pid());
    let worker = state();
    assert_eq!(
        (&worker["state"], &worker["run"], &worker["restarts"]),
        (&json!("external"), &json!(1), &json!(0))
    );
    assert_eq!(conn.ok("start", json!({"graph": "work"}))["outcome"], "external");
}

#[test]
fn an_unasked_exit_0_is_ceded() {
    let Some(logseq) = with_switches("--yield-on-hup") else { return };
    let mut events = logseq.gob.events();
    let worker = logseq.gob.connect_as("cli").ok("start", json!({"graph": "work"}))["worker"].clone();
    gob_tests::process::Handle::open(pid(&worker)).unwrap().signal(Signal::SIGHUP);
    let event = events.event("worker_ceded", "work");
    assert_eq!((&event["worker"]["state"], &event["worker"]["exit"]), (&json!("ceded"), &json!({"code": 0})));
    assert!(!is_alive(pid(&worker)));
    assert_eq!(logseq.gob.connect_as("cli").ok("start", json!({"graph": "work"}))["worker"]["run"], 2);
}

#[test]
fn the_newer_way_with_a_database_as_its_lock_cedes_too() {
    let Some(logseq) = Logseq::new(|kind| {
        // The newer ones have no lock file, and are not searched for.
        let lines =
            kind.lines().filter(|line| !line.starts_with("lock_file") && !line.starts_with("orphans"));
        let kind = lines.collect::<Vec<_>>().join("\n");
        format!("{kind}\nenv = {{ DB_WORKER_SWITCHES = \"--sqlite-lock\" }}\n")
    }) else {
        return;
    };
    let holder = logseq.holder("work", &["--sqlite-lock"]);
    let mut conn = logseq.gob.connect_as("cli");
    let answer = conn.ask("start", json!({"graph": "work"}));
    assert_eq!(answer["success"], false, "{answer}");
    let worker = conn.ok("get", json!({"name": "work"}))["worker"].clone();
    assert_eq!((&worker["state"], &worker["restarts"]), (&json!("ceded"), &json!(0)), "{worker}");
    assert!(holder.is_alive());
}

#[test]
fn gobctl_names_the_holder_of_a_graph_and_the_refusal_of_a_start() {
    let Some(logseq) = reporting() else { return };
    let gob = &logseq.gob;
    let holder = logseq.holder("work", &["--owner-source", "electron"]);
    let said = gob.ctl(["start", "work"]).ok();
    assert!(said.contains("already running, held by a process that is not gob's"), "{said}");
    assert!(said.contains(&format!("http://127.0.0.1:{}", logseq.port(holder.pid()).unwrap())), "{said}");
    gob.ctl(["stop", "work"]).fails(5);
    let other = logseq.holder("other", &["--no-lock"]);
    let refused = gob.ctl(["start", "other"]).fails(6);
    assert!(refused.stderr.contains(&other.pid().to_string()), "{refused}");
}
