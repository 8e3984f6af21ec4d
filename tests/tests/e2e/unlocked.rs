//! Workers that live without their lock file, by Logseq's kind and a stand-in for its worker (FEATURES A9).

use crate::external::{logseq, reporting};
use gob_tests::logseq::{Logseq, Outside, WORKER};
use gob_tests::wait::{self, DEADLINE};
use nix::sys::signal::Signal;
use serde_json::json;
use std::os::unix::fs::symlink;
use std::os::unix::process::CommandExt;
use std::process::Command;

#[test]
fn a_worker_without_its_lock_file_is_reported_and_nothing_is_started_beside_it() {
    let Some(logseq) = reporting() else { return };
    let mut holders = [logseq.holder("work", &["--no-lock"]), logseq.holder("work", &["--no-lock"])];
    let mut conn = logseq.gob.connect_as("cli");
    let error = conn.err("start", json!({"graph": "work"}), "server-locked-by-external");
    let mut pids: Vec<i32> = holders.iter().map(Outside::pid).collect();
    pids.sort_unstable();
    assert_eq!(error["details"]["pids"], json!(pids), "{error}");
    let worker = conn.ok("get", json!({"name": "work"}))["worker"].clone();
    assert_eq!(worker["state"], "failed");
    assert!(worker["reason"].as_str().unwrap().contains(&pids[0].to_string()), "{worker}");
    assert!(!logseq.lock("work").exists(), "nothing was started");
    for holder in &mut holders {
        holder.signal(Signal::SIGTERM);
        assert_eq!(holder.end(), Some(0));
    }
    assert_eq!(conn.ok("start", json!({"graph": "work"}))["outcome"], "started");
}

#[test]
fn workers_without_a_lock_file_are_ended_where_the_kind_says_so_and_lookalikes_live() {
    let Some(logseq) = logseq() else { return };
    let root = logseq.root();
    let root = root.to_str().unwrap();
    let link = logseq.gob.dir().join("link");
    symlink(root, &link).unwrap();
    let data_dir = format!("--data-dir={}", link.to_str().unwrap());
    // One that heeds SIGTERM, one that does not, one by another spelling of the same directory.
    let mut ours = vec![
        logseq.holder("work", &["--no-lock"]),
        logseq.holder("work", &["--no-lock", "--ignore-shutdown"]),
        logseq.outside(&["--repo=work", &data_dir, "--no-lock", "--slow", "60000"]),
    ];
    // A shell under another name, with all the words behind it.
    let named = |name: &str| {
        let mut command = Command::new("/bin/sh");
        command.arg0(name).args(["-c", "read line", "node", WORKER, "--repo", "work", "--root-dir", root]);
        Outside::start(command.env_clear().envs(logseq.gob.env()))
    };
    let idle = "setInterval(() => {}, 60000)";
    let elsewhere = logseq.gob.dir().to_str().unwrap().to_owned();
    let decoys = [
        logseq.holder("work2", &["--no-lock"]),
        logseq.outside(&["--repo", "work", "--root-dir", &elsewhere, "--no-lock"]),
        logseq.node(&["-e", idle, WORKER, "--repo", "work", "--root-dir", root]),
        named("vim"),
        named("grep"),
        named("sh"),
    ];
    let data = logseq.gob.connect_as("cli").ok("start", json!({"graph": "work"}));
    assert_eq!((&data["outcome"], &data["worker"]["state"]), (&json!("started"), &json!("ready")));
    for one in &mut ours {
        one.end();
    }
    let asked = logseq.asked("work");
    assert!(asked.contains(&format!("SIGTERM {}", ours[0].pid())), "politely first: {asked:?}");
    for decoy in &decoys {
        assert!(decoy.is_alive(), "{}", gob_tests::process::describe(decoy.pid()));
    }
    assert_eq!(logseq.lock_note("work")["pid"], data["worker"]["pid"]);
}

#[test]
fn a_worker_without_its_lock_file_is_searched_for_again_after_a_failed_start() {
    let slow = |kind: &str| format!("{kind}\nenv = {{ DB_WORKER_SWITCHES = \"--slow 60000\" }}\n");
    let report = |kind: &str| kind.replace("\"end\"", "\"report\"").replace("\"30s\"", "\"1s\"");
    let Some(logseq) = Logseq::new(|kind| slow(&report(kind))) else { return };
    let mut conn = logseq.gob.connect_as("cli");
    let id = conn.post("start", json!({"graph": "work"}));
    let state = || logseq.gob.connect_as("cli").ok("get", json!({"name": "work"}))["worker"].clone();
    assert!(wait::until(DEADLINE, || state()["pid"].is_i64()));
    let root = logseq.root();
    let other = logseq.outside(&[
        "--repo",
        "work",
        "--root-dir",
        root.to_str().unwrap(),
        "--no-lock",
        "--slow",
        "60000",
    ]);
    let error = conn.response(id)["error"].clone();
    assert_eq!(error["code"], "server-locked-by-external", "{error}");
    assert_eq!(error["details"]["pids"], json!([other.pid()]));
    assert!(other.is_alive());
}
