//! `gobctl who`: the holder of a graph, with a supervisor and without (FEATURES A9).

use crate::external::logseq;
use gob_tests::wait::{self, DEADLINE};
use serde_json::{Value, json};
use std::fs;

#[test]
fn who_names_the_holder_with_a_supervisor_and_without() {
    let Some(logseq) = logseq() else { return };
    let gob = &logseq.gob;
    let who = |args: &[&'static str]| gob.ctl(["who", "work"].into_iter().chain(args.iter().copied()));
    let lock = logseq.lock("work");
    let shown = lock.to_str().unwrap();
    assert_eq!(who(&[]).ok(), "work is held by nobody\n", "a lock file would tell");

    let holder = logseq.holder("work", &["--owner-source", "electron"]);
    let line = format!("(pid {}, owner electron, {shown})\n", holder.pid());
    let text = who(&[]).ok();
    assert!(
        text.starts_with(&format!("work is held by a process that is not a worker of gob's {line}")),
        "{text}"
    );
    assert!(text.contains("db-worker-node.js --repo work"), "{text}");
    assert!(!gob.socket().exists(), "nothing was started for it");
    gob.ctl(["start", "work"]).ok();
    let told = who(&["--json"]).json();
    assert_eq!((&told["holder"], &told["pid"]), (&json!("external"), &json!(holder.pid())));
    assert_eq!((&told["owner"], &told["path"]), (&json!("electron"), &json!(shown)));
    assert_eq!(told["endpoint"], format!("http://127.0.0.1:{}", logseq.port(holder.pid()).unwrap()));
    let listed = gob.ctl(["list"]).ok();
    assert!(listed.contains("external") && listed.contains(&holder.pid().to_string()), "{listed}");
    drop(holder);
    assert!(wait::until(DEADLINE, || who(&[]).ok().starts_with("work is held by nobody\n")));
    assert!(who(&[]).ok().contains("which is dead"), "its lock file is still there");
    assert!(lock.exists(), "and only looked at");

    let worker = gob.connect_as("cli").ok("start", json!({"graph": "work"}))["worker"].clone();
    let told = format!("work is held by gob's worker (pid {}, owner cli), ready\n", worker["pid"]);
    assert_eq!(who(&[]).ok(), told);
    gob.ctl(["stop", "work"]).ok();
    let one = logseq.holder("work", &["--no-lock"]);
    let told = who(&["--json"]).json();
    assert_eq!(
        (&told["holder"], &told["pid"], &told["path"]),
        (&json!("external"), &json!(one.pid()), &Value::Null)
    );
    assert_eq!(told["processes"].as_array().unwrap().len(), 1, "{told}");
}

#[test]
fn who_searches_the_places_of_every_kind_when_none_is_named() {
    let Some(logseq) = logseq() else { return };
    let gob = &logseq.gob;
    let config = gob.dir().join("config.toml");
    let text = fs::read_to_string(&config).unwrap().replace("default_kind = \"logseq\"", "");
    fs::write(&config, &text).unwrap();
    let who = || gob.ctl(["who", "work"]).ok();
    assert_eq!(who(), "work is held by nobody\n");
    let holder = logseq.holder("work", &["--owner-source", "electron"]);
    let held = format!(
        "work is held by a process that is not a worker of gob's (pid {}, owner electron",
        holder.pid()
    );
    assert!(who().starts_with(&held), "without a supervisor: {}", who());
    gob.ctl(["ping"]).ok();
    assert!(who().starts_with(&held), "with one that never heard of it: {}", who());
    fs::write(&config, format!("{text}\n[graph.work]\nkind = \"graph\"\n")).unwrap();
    assert_eq!(who(), "work is held by nobody\n", "the file says that it is another kind's");
}
