//! `config.toml`: its kinds and graphs, reload, and files that can't be used (CLI, Configuration).

use gob_tests::Gob;
use gob_tests::process::Handle;
use gob_tests::wait::{self, DEADLINE};
use nix::sys::signal::Signal;
use serde_json::{Value, json};
use std::fs;
use std::os::unix::fs::PermissionsExt;

/// A kind whose worker is the fixture, under another name.
const OTHER: &str = r#"
[kind.other]
command = ["gob-graph-worker", "--root-dir", "{root_dir}", "--graph", "{graph}", "--socket", "{socket}", "--other"]
readiness = "handshake"
env = { KIND = "other" }
"#;

const BAD: &str = "[kind.other]\ncommand = [\"x\"]\nstop = { grace = \"soon\" }\ncolour = \"red\"\n";

fn write(gob: &Gob, text: &str) {
    let path = gob.dir().join("config.toml");
    fs::write(&path, text).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
}

fn has_other(worker: &Value) -> bool {
    worker["command"].as_array().unwrap().iter().any(|word| word == "--other")
}

#[test]
fn the_default_kind_and_the_settings_of_a_graph_take_effect() {
    let gob = Gob::new();
    let root = gob.dir().join("roots");
    fs::create_dir(&root).unwrap();
    let graph = format!("[graph.work]\nroot_dir = {root:?}\nenv = {{ EXTRA = \"of {{graph}}\" }}\n");
    write(&gob, &format!("default_kind = \"other\"\n{OTHER}{graph}"));
    let mut conn = gob.connect_as("cli");
    let worker = &conn.ok("start", json!({"graph": "plain"}))["worker"];
    assert_eq!(worker["kind"], "other");
    assert!(has_other(worker), "{worker}");
    assert_eq!(gob.facts("plain", 1).var("KIND"), Some("other"));
    assert_eq!(gob.facts("plain", 1).var("EXTRA"), None);
    let worker = &conn.ok("start", json!({"graph": "work"}))["worker"];
    assert_eq!(worker["root_dir"], root.to_str().unwrap());
    let facts: Value = serde_json::from_slice(&fs::read(root.join("work/facts.1.json")).unwrap()).unwrap();
    let env: Vec<&str> = facts["env"].as_array().unwrap().iter().filter_map(Value::as_str).collect();
    assert!(env.contains(&"KIND=other") && env.contains(&"EXTRA=of work"), "{env:?}");
    // A start can name another kind; the built-in one is always there.
    let worker = &conn.ok("start", json!({"graph": "builtin", "kind": "graph"}))["worker"];
    assert!(worker["kind"] == "graph" && !has_other(worker), "{worker}");
}

#[test]
fn a_reload_lists_the_changes_and_the_next_run_has_them() {
    let gob = Gob::new();
    let mut conn = gob.connect_as("cli");
    assert_eq!(conn.ok("reload", json!({})), json!({"changed": []}));
    let pid = conn.ok("start", json!({"graph": "g"}))["worker"]["pid"].clone();
    let message = conn.err("start", json!({"graph": "h", "kind": "other"}), "kind-not-found");
    assert!(message.to_string().contains("other"), "{message}");
    assert!(message["hint"].as_str().unwrap().ends_with("then gobctl config reload"), "{message}");
    write(&gob, &format!("{OTHER}[kind.graph]\nenv = {{ NEW = \"1\" }}\n"));
    let answer = conn.ok("reload", json!({}));
    assert_eq!((&answer["added"], &answer["removed"]), (&json!(["kind.other"]), &Value::Null), "{answer}");
    let changed = answer["changed"].clone();
    let changed: Vec<&str> = changed.as_array().unwrap().iter().filter_map(Value::as_str).collect();
    assert!(
        changed.contains(&"kind.graph.env.NEW") && changed.contains(&"kind.other.command"),
        "{changed:?}"
    );
    assert_eq!(conn.ok("get", json!({"name": "g"}))["worker"]["pid"], pid, "what runs goes on");
    assert_eq!(conn.ok("start", json!({"graph": "h", "kind": "other"}))["outcome"], "started");
    conn.ok("restart", json!({"name": "g"}));
    assert_eq!(gob.facts("g", 1).var("NEW"), None);
    assert_eq!(gob.facts("g", 2).var("NEW"), Some("1"));
}

#[test]
fn a_hang_up_reads_it_too() {
    let gob = Gob::new();
    let mut conn = gob.connect_as("cli");
    write(&gob, OTHER);
    Handle::open(gob.gobd_pid()).unwrap().signal(Signal::SIGHUP);
    let has_kind = || {
        let answer = gob.connect_as("cli").ask("start", json!({"graph": "g", "kind": "other"}));
        answer["success"] == true
    };
    assert!(wait::until(DEADLINE, has_kind), "{}", conn.ask("list", json!({})));
    assert_eq!(conn.ok("reload", json!({})), json!({"changed": []}), "it was read already");
}

#[test]
fn a_bad_file_changes_nothing_and_all_its_problems_are_reported() {
    let gob = Gob::new();
    write(&gob, OTHER);
    let mut conn = gob.connect_as("cli");
    let pid = conn.ok("start", json!({"graph": "g", "kind": "other"}))["worker"]["pid"].clone();
    for bad in [BAD, "default_kind = ", "\u{0}", "[kind]\nx = 1\n"] {
        write(&gob, bad);
        let error = conn.err("reload", json!({}), "config-invalid");
        let errors = error["details"]["errors"].as_array().unwrap();
        assert!(!errors.is_empty() && errors.iter().all(|error| error["line"].as_u64() > Some(0)), "{error}");
        assert_eq!(error["details"]["path"], gob.dir().join("config.toml").to_str().unwrap());
    }
    write(&gob, BAD);
    let error = conn.err("reload", json!({}), "config-invalid");
    let places: Vec<_> = error["details"]["errors"]
        .as_array()
        .unwrap()
        .iter()
        .map(|e| (&e["line"], &e["column"], &e["key"]))
        .collect();
    let (grace, colour) = (json!("kind.other.stop.grace"), json!("kind.other.colour"));
    assert_eq!(places, [(&json!(3), &json!(18), &grace), (&json!(4), &json!(1), &colour)]);
    assert_eq!(conn.ok("get", json!({"name": "g"}))["worker"]["pid"], pid);
    assert_eq!(conn.ok("start", json!({"graph": "h", "kind": "other"}))["outcome"], "started", "as before");
    let refused = gob.ctl(["config", "reload"]).run();
    assert_eq!(refused.code, 1, "{refused}");
    assert!(refused.stderr.contains("kind.other.stop.grace"), "{refused}");
}

#[test]
fn a_bad_file_at_the_start_stops_only_its_own_graphs() {
    let gob = Gob::new();
    write(&gob, &format!("default_kind = \"other\"\n{BAD}[graph.work]\n"));
    let mut conn = gob.connect_as("cli");
    for start in [
        json!({"graph": "g"}),
        json!({"graph": "g", "kind": "other"}),
        json!({"graph": "work", "kind": "graph"}),
    ] {
        let error = conn.err("start", start, "config-invalid");
        assert_eq!(error["details"]["errors"].as_array().unwrap().len(), 2, "{error}");
    }
    assert_eq!(conn.ok("start", json!({"graph": "g", "kind": "graph"}))["outcome"], "started");
    write(&gob, &format!("default_kind = \"other\"\n{OTHER}"));
    conn.ok("reload", json!({}));
    assert_eq!(conn.ok("start", json!({"graph": "h"}))["worker"]["kind"], "other");
}

#[test]
fn a_file_that_others_may_write_is_refused() {
    let gob = Gob::new();
    let path = gob.dir().join("config.toml");
    let mut conn = gob.connect_as("cli");
    for mode in [0o666, 0o620] {
        write(&gob, OTHER);
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
        let error = conn.err("reload", json!({}), "config-invalid");
        assert!(error["message"].as_str().unwrap().contains("others may write it"), "{error}");
        conn.err("start", json!({"graph": "g", "kind": "other"}), "config-invalid");
    }
    fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
    conn.ok("reload", json!({}));
    // A path that is no file delays no start.
    fs::remove_file(&path).unwrap();
    nix::unistd::mkfifo(&path, nix::sys::stat::Mode::S_IRUSR).unwrap();
    let error = conn.err("reload", json!({}), "config-invalid");
    assert!(error["message"].as_str().unwrap().contains("regular file"), "{error}");
    fs::remove_file(&path).unwrap();
    let error = conn.err("reload", json!({}), "config-invalid");
    assert!(error["message"].as_str().unwrap().contains("GOB_CONFIG names it"), "{error}");
    write(&gob, "");
    let changed = conn.ok("reload", json!({}))["changed"].clone();
    assert!(changed.as_array().unwrap().contains(&json!("kind.other.command")), "no kind: {changed}");
    write(&gob, OTHER);
    assert_eq!(gob.ctl(["config", "reload"]).ok(), "read the configuration again: kind other is new\n");
}

#[test]
fn autostart_begins_with_the_supervisor_also_after_it_was_killed() {
    let gob = Gob::new();
    write(
        &gob,
        &format!(
            "{OTHER}[graph.work]\nkind = \"other\"\nautostart = true\n[graph.quiet]\nkind = \"other\"\n"
        ),
    );
    let mut conn = gob.connect_as("desktop");
    let state = || gob.connect_as("cli").ask("get", json!({"name": "work"}))["data"]["worker"].clone();
    assert!(wait::until(DEADLINE, || state()["state"] == "ready"), "{}", state());
    assert_eq!((&state()["owner"], &state()["run"]), (&json!("unknown"), &json!(1)), "nobody asked for it");
    conn.ok("start", json!({"graph": "quiet"}));
    let instance = gob.status()["instance"].as_str().unwrap().to_owned();
    Handle::open(gob.gobd_pid()).unwrap().signal(Signal::SIGKILL);
    gob.wait_other_instance(&instance);
    assert!(wait::until(DEADLINE, || state()["state"] == "ready"), "{}", state());
    assert_eq!(state()["run"], 2);
    let workers = gob.connect_as("cli").ok("list", json!({}))["workers"].clone();
    let up = workers.as_array().unwrap().iter().filter(|worker| worker["state"] != "idle").count();
    assert_eq!(up, 1, "nothing else starts by itself: {workers}");
    assert_eq!(gob.connect_as("cli").ok("start", json!({"graph": "work"}))["outcome"], "taken-over");
}

#[test]
fn the_command_line_prints_the_place_of_each_problem() {
    let gob = Gob::new();
    write(&gob, BAD);
    let refused = gob.ctl(["config", "check"]).run();
    assert_eq!(refused.code, 1, "{refused}");
    for part in ["config.toml:3:18: kind.other.stop.grace: ", "config.toml:4:1: kind.other.colour: "] {
        assert!(refused.stderr.contains(part), "{refused}");
    }
    assert!(!gob.socket().exists(), "nothing was started for it");
}

#[test]
fn files_of_config_d_are_refused_alone_and_views_say_so() {
    let gob = Gob::new();
    let dir = gob.dir().join("config.d");
    fs::create_dir(&dir).unwrap();
    write(&gob, "default_kind = \"other\"\n");
    fs::write(dir.join("app.toml"), OTHER).unwrap();
    fs::write(dir.join("slip.toml"), BAD.replace("kind.other", "kind.slip")).unwrap();
    let mut conn = gob.connect_as("cli");
    assert_eq!(conn.ok("start", json!({"graph": "g"}))["worker"]["kind"], "other", "of another file");
    let error = conn.err("start", json!({"graph": "h", "kind": "slip"}), "config-invalid");
    let slip = dir.join("slip.toml").to_str().unwrap().to_owned();
    assert_eq!(error["details"]["path"], slip, "{error}");
    let status = gob.status();
    assert_eq!(status["config"]["invalid"][0]["path"], slip, "{status}");
    assert_eq!(status["config"]["files"].as_array().unwrap().len(), 2, "{status}");
    let list = gob.ctl(["list"]).run();
    assert!(list.stderr.contains(&format!("not in effect: {slip}; gobctl config check")), "{list}");
    let told = gob.ctl(["status"]).run();
    assert!(told.stdout.contains(&format!("not in effect: {slip}:3:18: kind.slip.stop.grace: ")), "{told}");
    let shown = gob.ctl(["config", "show"]).run();
    assert!(shown.stdout.contains(&format!("{}:3", dir.join("app.toml").display())), "{shown}");
    // A reload takes the good files and reports the bad ones.
    fs::write(dir.join("app.toml"), OTHER.replace("KIND = \"other\"", "KIND = \"new\"")).unwrap();
    let error = conn.err("reload", json!({}), "config-invalid");
    assert_eq!(error["details"]["changed"], json!(["kind.other.env.KIND"]), "{error}");
    fs::remove_file(&slip).unwrap();
    conn.ok("reload", json!({}));
    assert!(!gob.ctl(["list"]).run().stderr.contains("not in effect"), "it is gone");
    let twice = dir.join("b.toml");
    fs::write(&twice, OTHER).unwrap();
    let error = conn.err("reload", json!({}), "config-invalid");
    let want = format!(
        "{}:2:7: kind.other: it stands in {}:2 already",
        twice.display(),
        dir.join("app.toml").display()
    );
    assert!(error["message"].as_str().unwrap().contains(&want), "{error}");
}

#[test]
fn a_link_that_leads_nowhere_is_no_configuration_and_lets_nothing_start() {
    let gob = Gob::new();
    let path = gob.dir().join("config.toml");
    fs::remove_file(&path).unwrap();
    std::os::unix::fs::symlink(gob.dir().join("gone.toml"), &path).unwrap();
    let mut conn = gob.connect_as("cli");
    let error = conn.err("start", json!({"graph": "g"}), "config-invalid");
    assert!(error["message"].as_str().unwrap().contains("gone.toml, which is not there"), "{error}");
    fs::write(gob.dir().join("gone.toml"), OTHER).unwrap();
    conn.ok("reload", json!({}));
    assert_eq!(conn.ok("start", json!({"graph": "g", "kind": "other"}))["outcome"], "started");
}

#[test]
fn another_home_is_told_the_data_directory_and_ends_no_supervisor() {
    let gob = Gob::new();
    gob.connect_as("cli").ok("start", json!({"graph": "g"}));
    let state = gob.status()["dirs"]["state"].as_str().unwrap().to_owned();
    let data = gob.status()["dirs"]["data"].as_str().unwrap().to_owned();
    let elsewhere = |args: &[&str]| {
        let mut ctl = gob.ctl(args.iter().copied());
        let path = |name: &str| gob.dir().join("other").join(name).to_str().unwrap().to_owned();
        ctl.env("HOME", &path(""))
            .env("GOB_STATE_DIR", &path("state"))
            .env("GOB_DATA_DIR", &path("data"))
            .run()
    };
    let started = elsewhere(&["start", "h"]);
    assert_eq!((started.code, started.stderr.matches("keeps graphs in").count()), (0, 1), "{started}");
    assert!(started.stderr.contains(&data), "{started}");
    let note = format!("keeps its workers and logs in {state}, not in ");
    for answer in [&started, &elsewhere(&["start", "g"]), &elsewhere(&["list"])] {
        assert_eq!((answer.code, answer.stderr.matches(&note).count()), (0, 1), "{answer}");
    }
    assert!(!gob.ctl(["list"]).run().stderr.contains(&note), "its own home");
    for verb in [&["nuke"][..], &["shutdown"], &["daemon", "stop"], &["daemon", "restart"]] {
        let refused = elsewhere(verb);
        assert_eq!(refused.code, 1, "{refused}");
        assert!(
            refused.stderr.contains(&state) && refused.stderr.contains("nothing was touched"),
            "{refused}"
        );
    }
    let doctor = elsewhere(&["doctor"]);
    let warned = doctor.stdout.lines().filter(|line| line.starts_with("warn places: ")).count();
    assert_eq!(warned, 3, "data, state and home directory: {doctor}");
    assert!(gob.ctl(["ping"]).run().code == 0, "it goes on");
    assert_eq!(elsewhere(&["shutdown", "--force"]).code, 0, "who means it can");
}
