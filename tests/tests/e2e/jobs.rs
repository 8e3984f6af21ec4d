//! Jobs on the socket: their environment, umask and directory, their numbers over crashes, and their history.

use gob_tests::process::Handle;
use gob_tests::program;
use gob_tests::wait::{self, DEADLINE};
use gob_tests::{Conn, Gob};
use nix::sys::signal::Signal;
use serde_json::{Value, json};
use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};

fn add(gob: &Gob, command: &[&str]) -> Value {
    json!({"command": command, "cwd": gob.dir(), "env": {"PATH": std::env::var("PATH").unwrap()}})
}

/// Adds a job and waits for its end; returns its view.
fn run(conn: &mut Conn, payload: Value) -> Value {
    let name = conn.ok("add", payload)["worker"]["name"].clone();
    ended(conn, name.as_str().unwrap())
}

fn ended(conn: &mut Conn, name: &str) -> Value {
    let mut view = Value::Null;
    assert!(wait::until(DEADLINE, || {
        view = conn.ok("get", json!({"name": name}))["worker"].clone();
        view["state"] == "idle" && !view["exit"].is_null()
    }));
    view
}

fn kill(gob: &Gob) {
    let instance = gob.status()["instance"].as_str().unwrap().to_owned();
    Handle::open(gob.gobd_pid()).unwrap().signal(Signal::SIGKILL);
    gob.wait_other_instance(&instance);
}

fn store(gob: &Gob) -> std::path::PathBuf {
    gob.state_dir().join("store.sqlite3")
}

#[test]
fn a_job_has_the_environment_umask_and_directory_of_its_client() {
    let gob = Gob::new();
    let bin = gob.dir().join("programs");
    fs::create_dir(&bin).unwrap();
    // Found on the PATH in the request, of which the supervisor knows nothing.
    let script = "#!/bin/sh\necho \"$WORD $GOB_NAME ${GOB_OWNER-none} $(pwd -P) $(umask)\"\nexit 7\n";
    program::write(&bin.join("say"), script, 0o755);
    let dir = gob.dir().join("real");
    fs::create_dir(&dir).unwrap();
    symlink(&dir, gob.dir().join("link")).unwrap();
    let mut conn = gob.connect_as("cli");
    let path = format!("{}:/usr/bin:/bin", bin.display());
    let env = json!({"PATH": path, "WORD": "spoken", "GOB_OWNER": "desktop"});
    let payload = |cwd: &str| json!({"command": ["say"], "cwd": gob.dir().join(cwd), "env": env});
    let view = run(&mut conn, payload("link"));
    assert_eq!((&view["exit"], &view["kind"]), (&json!({"code": 7}), &json!("job")), "{view}");
    // An end is told when all output is read, which is soon in the file.
    let told = || fs::read_to_string(view["stdout_path"].as_str().unwrap()).unwrap_or_default();
    assert!(wait::until(DEADLINE, || told().ends_with('\n')));
    let told = told();
    let umask = fs::read_to_string("/proc/self/status").unwrap();
    let umask = umask.lines().find_map(|line| line.strip_prefix("Umask:\t")).unwrap().to_owned();
    assert_eq!(told.trim(), format!("spoken j1 none {} {umask}", dir.canonicalize().unwrap().display()));
    let again = conn.ok("add", payload("real"));
    assert_eq!(again["worker"]["name"], "j1", "the link leads to the same directory");
    let text = fs::read(gob.state_dir().join("last.json")).unwrap_or_default();
    assert!(!String::from_utf8_lossy(&text).contains("spoken"), "no environment is on a disk");
}

#[test]
fn a_job_that_can_not_run_says_what_where_and_what_to_do() {
    let gob = Gob::new();
    let mut conn = gob.connect_as("cli");
    let mut fails = |payload: Value| {
        let error = conn.err("add", payload, "server-start-failed");
        (error["message"].as_str().unwrap().to_owned(), error["hint"].as_str().unwrap_or_default().to_owned())
    };
    let (message, hint) = fails(add(&gob, &["no-such-program"]));
    assert_eq!(message, "j1 could not be started: no-such-program is not on PATH");
    assert!(hint.starts_with("install no-such-program, or correct the command"), "{hint}");
    let (message, _) =
        fails(json!({"command": ["true"], "cwd": gob.dir().join("gone"), "env": {"PATH": "/usr/bin:/bin"}}));
    assert!(message.contains("chdir") && message.contains("No such file"), "{message}");
    let (message, _) = fails(add(&gob, &["/"]));
    assert!(message.contains("exec /"), "{message}");
    let error = conn.err("add", json!({"command": ["true"], "cwd": "here"}), "invalid-request");
    assert_eq!(error["details"]["field"], "payload.cwd");
    // Each attempt is in the history.
    let runs = conn.ok("runs", json!({"name": "j1"}));
    assert_eq!(runs["runs"][0]["exit"], json!({"spawn_error": "ENOENT", "step": "exec"}), "{runs}");
}

#[test]
fn a_number_is_never_given_twice() {
    let gob = Gob::new();
    let name = |gob: &Gob, words: &str| {
        let data = gob.connect_as("cli").ok("create", add(gob, &["echo", words]));
        data["worker"]["name"].as_str().unwrap().to_owned()
    };
    assert_eq!(name(&gob, "a"), "j1");
    gob.connect_as("cli").ok("remove", json!({"name": "j1"}));
    assert_eq!(name(&gob, "a"), "j2");
    let number = |name: String| name.strip_prefix('j').unwrap().parse::<u64>().unwrap();
    gob.connect_as("cli").ok("remove", json!({"name": "j2"}));
    kill(&gob);
    let third = number(name(&gob, "b"));
    assert!(third > 2, "j{third}");
    gob.connect_as("cli").ok("cleanup", json!({}));
    gob.ctl(["shutdown"]).ok();
    let fourth = number(name(&gob, "c"));
    assert_eq!(fourth, third + 1, "an orderly end gives back what is left of a block");
}

#[test]
fn jobs_are_listed_after_a_crash_and_do_not_run_by_themselves() {
    let gob = Gob::new();
    let mut conn = gob.connect_as("agent");
    let mut payload = add(&gob, &["sleep", "1000"]);
    (payload["name"], payload["description"], payload["restart"]) =
        (json!("web"), json!("dev server"), json!("always"));
    conn.ok("add", payload.clone());
    let written = || fs::read_to_string(gob.state_dir().join("last.json")).unwrap_or_default();
    assert!(wait::until(DEADLINE, || written().contains("\"web\"")));
    // Nothing waits for the history but who asks for it.
    assert_eq!(conn.ok("runs", json!({"name": "web"}))["runs"][0]["run"], 1);
    kill(&gob);
    let mut conn = gob.connect_as("agent");
    let view = conn.ok("get", json!({"name": "web"}))["worker"].clone();
    assert_eq!((&view["state"], &view["description"]), (&json!("idle"), &json!("dev server")), "{view}");
    let runs = conn.ok("runs", json!({"name": "web"}))["runs"].clone();
    assert_eq!((&runs[0]["cut"], &runs[0]["exit"]), (&json!(true), &Value::Null), "{runs}");
    // The policy that it had is still its own, and its command the same job.
    let data = conn.ok("add", add(&gob, &["sleep", "1000"]));
    assert_eq!((&data["worker"]["name"], &data["worker"]["run"]), (&json!("web"), &json!(2)), "{data}");
    let pid = data["worker"]["pid"].as_i64().unwrap();
    Handle::open(i32::try_from(pid).unwrap()).unwrap().signal(Signal::SIGKILL);
    assert!(wait::until(DEADLINE, || conn.ok("get", json!({"name": "web"}))["worker"]["run"] == 3));
    conn.ok("stop", json!({"name": "web"}));
}

#[test]
fn the_history_tells_runs_statistics_and_causes_over_supervisors() {
    let gob = Gob::new();
    let mut conn = gob.connect_as("cli");
    for code in ["0", "0", "3", "0"] {
        let script = format!("exit $CODE # {}", "job");
        let mut payload = add(&gob, &["sh", "-c", &script]);
        payload["env"]["CODE"] = json!(code);
        payload["name"] = json!("tests");
        run(&mut conn, payload);
    }
    gob.connect_as("agent").err("stop", json!({"name": "tests"}), "server-owned-by-other");
    gob.ctl(["shutdown"]).ok();
    let mut conn = gob.connect_as("cli");
    let runs = conn.ok("runs", json!({"name": "tests", "limit": 3}));
    let outcomes: Vec<&str> =
        runs["runs"].as_array().unwrap().iter().map(|run| run["outcome"].as_str().unwrap()).collect();
    assert_eq!((outcomes, &runs["more"]), (vec!["success", "failure", "success"], &json!(true)), "{runs}");
    assert!(runs["runs"][0]["duration_ms"].is_u64() && runs["runs"][0]["actor"]["owner"] == "cli", "{runs}");
    let older = conn.ok("runs", json!({"name": "tests", "before": 2}));
    assert_eq!((&older["runs"][0]["run"], &older["more"]), (&json!(1), &json!(false)), "{older}");
    let stats = conn.ok("stats", json!({"name": "tests"}));
    assert_eq!((&stats["runs"], &stats["success_rate"]), (&json!(4), &json!(0.75)), "{stats}");
    assert!(stats["expected_ms"].is_u64(), "{stats}");
    let blame = conn.ok("blame", json!({"name": "tests"}))["entries"].clone();
    let first = blame.as_array().unwrap().last().unwrap();
    assert_eq!(
        (&first["event"], &first["actor"]["owner"]),
        (&json!("worker_added"), &json!("cli")),
        "{blame}"
    );
    gob.connect_as("agent").err("runs_delete", json!({"name": "tests", "run": 1}), "server-owned-by-other");
    assert_eq!(conn.ok("runs_delete", json!({"name": "tests", "run": 1}))["removed"], json!([1]));
    let log = gob.log("tests", 1, "stdout");
    assert!(wait::until(DEADLINE, || !log.exists()), "{}", log.display());
    assert!(gob.log("tests", 2, "stdout").exists());
    conn.err("runs_delete", json!({"name": "tests", "run": 1}), "server-not-found");
    assert_eq!(conn.ok("stats", json!({"name": "tests"}))["runs"], 3);
    conn.ok("remove", json!({"name": "tests"}));
    conn.err("runs", json!({"name": "tests"}), "server-not-found");
    let mode = fs::metadata(store(&gob)).unwrap().permissions().mode();
    assert_eq!(mode & 0o7777, 0o600);
    gob.ctl(["nuke"]).ok();
    let left: Vec<_> = fs::read_dir(gob.state_dir())
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .filter(|name| name.starts_with("store"))
        .collect();
    assert!(left.is_empty(), "{left:?}");
}

#[test]
fn a_history_that_can_not_be_used_takes_nothing_from_supervision() {
    let gob = Gob::new();
    run(&mut gob.connect_as("cli"), add(&gob, &["true"]));
    gob.ctl(["shutdown"]).ok();
    // A store of a later version is left alone.
    let later = rusqlite::Connection::open(store(&gob)).unwrap();
    later.execute_batch("PRAGMA journal_mode = DELETE; PRAGMA user_version = 99").unwrap();
    drop(later);
    let before = fs::read(store(&gob)).unwrap();
    let mut conn = gob.connect_as("cli");
    let view = run(&mut conn, add(&gob, &["echo", "on"]));
    assert_eq!((&view["name"], &view["exit"]), (&json!("j2"), &json!({"code": 0})), "{view}");
    assert_eq!(run(&mut conn, add(&gob, &["false"]))["name"], "j3");
    let error = conn.err("runs", json!({"name": "j2"}), "internal");
    assert!(error["message"].as_str().unwrap().contains("version"), "{error}");
    let history = gob.status()["history"].clone();
    assert_eq!(history["state"], "failed", "{history}");
    assert!(history["reason"].as_str().unwrap().contains("99"), "{history}");
    assert!(fs::read(store(&gob)).unwrap() == before, "it is untouched");
}

#[test]
fn a_history_that_is_locked_for_long_delays_no_request() {
    let gob = Gob::new();
    let mut conn = gob.connect_as("cli");
    run(&mut conn, add(&gob, &["true"]));
    conn.ok("runs", json!({"name": "j1"}));
    let other = rusqlite::Connection::open(store(&gob)).unwrap();
    other.busy_timeout(DEADLINE).unwrap();
    other.execute_batch("BEGIN EXCLUSIVE").unwrap();
    for round in 0..5 {
        let view = run(&mut conn, add(&gob, &["echo", &round.to_string()]));
        assert_eq!(view["exit"], json!({"code": 0}));
    }
    let begun = std::time::Instant::now();
    let id = conn.post("stats", json!({"name": "j1"}));
    conn.ok("ping", json!({}));
    let answer = conn.response(id);
    assert!(answer["success"] == false || answer["data"]["runs"] == 1, "{answer}");
    assert!(begun.elapsed() < DEADLINE);
    other.execute_batch("ROLLBACK").unwrap();
    drop(other);
    assert!(wait::until(DEADLINE, || conn.ask("runs", json!({"name": "j6"}))["data"]["runs"][0]["run"] == 1));
}
