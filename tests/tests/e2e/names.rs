//! Names: the allowed ones, and that no path is made of the others.

use gob_tests::wait::{self, DEADLINE};
use gob_tests::{Gob, Worker};
use serde_json::json;
use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

fn tree(dir: &Path) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    let mut folders = vec![dir.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
            if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
                folders.push(entry.path());
            }
            found.insert(entry.path().display().to_string());
        }
    }
    found
}

#[test]
fn bad_names_are_refused_before_any_path_is_made() {
    let gob = Gob::new();
    let mut conn = gob.connect_as("cli");
    conn.ok("status", json!({}));
    let before = (tree(&gob.data_dir()), tree(&gob.state_dir().join("logs")));
    let long = "x".repeat(201);
    let wide = "é".repeat(67);
    let bad =
        ["", ".", "..", "a\0b", "a\nb", "\u{1b}[31m", "\u{7f}", "\u{85}", &long, &"x".repeat(300), &wide];
    for name in bad {
        conn.err("start", json!({"graph": name}), "invalid-name");
        conn.err("start", json!({"graph": "fine", "name": name}), "invalid-name");
        for verb in ["get", "stop", "restart", "remove"] {
            conn.err(verb, json!({"name": name}), "invalid-name");
        }
    }
    // A job's number may name a worker, but never a graph.
    assert_eq!(conn.ask("start", json!({"graph": "j12"}))["success"], false);
    assert_eq!(conn.ok("list", json!({}))["workers"], json!([]));
    assert_eq!((tree(&gob.data_dir()), tree(&gob.state_dir().join("logs"))), before);
}

#[test]
fn unusual_names_work_and_stay_in_their_place() {
    let gob = Gob::new();
    let mut conn = gob.connect_as("cli");
    let long = "x".repeat(200);
    let names = [
        "../../escape",
        "/dev/null/x",
        "a/b",
        ".hidden",
        "...",
        "-rf",
        "~",
        "Nötes 2026",
        "😀",
        "a b'\"$(x)",
        &long,
        "j12a",
    ];
    for name in names {
        let data = conn.ok("start", json!({"graph": name}));
        assert_eq!(data["worker"]["name"], name);
        assert_eq!(data["worker"]["state"], "ready");
        let facts = gob.facts(name, 1);
        let at = facts.args.iter().position(|arg| arg == "--graph").unwrap();
        assert_eq!(facts.args[at + 1], name, "the worker is told the name as it is");
        assert_eq!(facts.var("GOB_NAME"), Some(name));
        let stdout = gob.log(name, 1, "stdout");
        assert_eq!(stdout.parent().unwrap().parent().unwrap(), gob.state_dir().join("logs"));
        assert!(wait::until(DEADLINE, || stdout.exists()), "{}", stdout.display());
        assert_eq!(gob.worker(name).ok("ping", json!({}))["pong"], true);
    }
    assert_eq!(conn.ok("list", json!({}))["workers"].as_array().unwrap().len(), names.len());
    let shown = gob.ctl(["list"]).ok();
    assert_eq!(shown.lines().count(), names.len() + 1);
    for name in names {
        conn.ok("stop", json!({"name": name}));
    }
    assert!(!gob.dir().join("escape").exists());
}

#[test]
fn over_long_texts_are_refused_in_few_words_without_delay() {
    let gob = Gob::new();
    let mut conn = gob.connect_as("cli");
    let long = "a".repeat(900_000);
    let deep = "/a".repeat(400_000);
    let refused = [
        ("start", json!({"graph": "g", "root_dir": format!("/{long}")})),
        ("start", json!({"graph": "g", "root_dir": deep})),
        ("start", json!({"graph": "g", "root_dir": format!("/{}", "a".repeat(256))})),
        ("start", json!({"graph": "g", "kind": long})),
        ("start", json!({"graph": "g", "wait": long})),
        ("start", json!({"graph": "g", long.as_str(): 1})),
        ("start", json!({"graph": "g", "env": {long.as_str(): 1}})),
        ("signal", json!({"name": "g", "signal": long})),
        ("list", json!({"cwd": deep})),
        ("list", json!({"state": long})),
        ("subscribe", json!({"events": [long]})),
        ("subscribe", json!({"instance": long})),
        ("get", json!({"name": long})),
        (long.as_str(), json!({})),
    ];
    for (verb, payload) in refused {
        let answer = conn.ask(verb, payload);
        assert_eq!(answer["success"], false);
        let text = answer.to_string();
        assert!(text.len() < 8_192, "{} bytes: {}", text.len(), &text[..200]);
    }
    // The deepest allowed path does not exist, and that is reported.
    let deepest = format!("{}{}", gob.dir().display(), "/a".repeat(1_900));
    conn.ask("start", json!({"graph": "deep", "root_dir": deepest}));
    let begun = std::time::Instant::now();
    conn.ok("start", json!({"graph": "g", "root_dir": gob.dir().join("root")}));
    assert!(begun.elapsed() < DEADLINE, "{:?}", begun.elapsed());
    let log = fs::metadata(gob.state_dir().join("gobd.log")).unwrap().len();
    assert!(log < 100_000, "{log} bytes");
}

#[test]
fn a_new_name_that_looks_like_another_is_reported() {
    let gob = Gob::with(Worker::Real);
    gob.ctl(["start", "caf\u{e9}", "g", "other"]).ok();
    for (name, told) in [
        ("cafe\u{301}", Some("cafe\\u{301} looks like caf\u{e9}, which is another graph")),
        ("g ", Some("g\\u{20} looks like g, which is another graph")),
        ("G", None),
        ("new", None),
    ] {
        let first = gob.ctl(["start", name]).run();
        assert_eq!(first.code, 0, "{first}");
        match told {
            Some(told) => assert!(first.stderr.contains(told), "{first}"),
            None => assert!(!first.stderr.contains("looks like"), "{first}"),
        }
        let again = gob.ctl(["start", name]).run();
        assert!(!again.stderr.contains("looks like"), "once: {again}");
    }
    // The name is remembered too, while it is down.
    gob.ctl(["shutdown"]).ok();
    let first = gob.ctl(["start", "other\u{200b}"]).run();
    assert!(first.stderr.contains("looks like other, which"), "{first}");
    gob.ctl(["nuke"]).ok();
}
