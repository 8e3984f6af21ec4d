//! `graphs` and `graphs delete`: the graphs on disk, and the end of one (FEATURES A13).

use gob_tests::wait::{self, DEADLINE};
use gob_tests::{Ctl, Gob, Worker};
use serde_json::{Value, json};
use std::fs::{self, File};
use std::io::{Read, Write};
use std::os::unix::fs::symlink;
use std::process::Stdio;

fn graphs(gob: &Gob) -> Vec<Value> {
    gob.ctl(["graphs", "--json"]).json()["graphs"].as_array().unwrap().clone()
}

/// The record is written beside the answer of the start.
fn wait_listed(gob: &Gob, graph: &str) -> Value {
    let mut found = None;
    let is_there = wait::until(DEADLINE, || {
        found = graphs(gob).into_iter().find(|known| known["graph"] == graph && known["kind"] == "graph");
        found.is_some()
    });
    assert!(is_there, "{graph} is not listed");
    found.unwrap()
}

#[test]
fn graphs_of_all_roots_are_listed_running_or_not() {
    let gob = Gob::with(Worker::Real);
    assert_eq!(gob.ctl(["graphs"]).ok(), "");
    let root = gob.dir().join("elsewhere");
    fs::create_dir(&root).unwrap();
    gob.ctl(["start", "near"]).ok();
    gob.ctl(["start", "far", "--root-dir", root.to_str().unwrap()]).ok();
    let near = wait_listed(&gob, "near");
    assert_eq!((&near["state"], &near["root_dir"]), (&json!("ready"), &json!(gob.data_dir())));
    assert_eq!(near["path"], json!(gob.graph_dir("near")));
    assert!(near["size_bytes"].as_u64() > Some(0) && near["last_used_at"].is_string(), "{near}");
    let far = wait_listed(&gob, "far");
    assert_eq!((&far["root_dir"], &far["path"]), (&json!(root), &json!(root.join("far"))));
    // After nuke only the disk has them.
    gob.ctl(["nuke"]).ok();
    fs::create_dir(gob.graph_dir("older")).unwrap();
    fs::write(gob.graph_dir("older").join("graph.sqlite"), "x").unwrap();
    let all = graphs(&gob);
    let told: Vec<_> = all.iter().map(|graph| (&graph["graph"], &graph["kind"], &graph["state"])).collect();
    let (far, near, older) = (json!("far"), json!("near"), json!("older"));
    let (kind, none) = (json!("graph"), Value::Null);
    assert_eq!(told, [(&far, &kind, &none), (&near, &kind, &none), (&older, &none, &none)]);
    let table = gob.ctl(["graphs"]).ok();
    assert!(table.starts_with("GRAPH  KIND ") && table.lines().count() == 4, "{table}");
    // A root that is gone costs only its own graphs, and hides no others.
    fs::rename(&root, gob.dir().join("unmounted")).unwrap();
    let all = graphs(&gob);
    assert_eq!((all.len(), &all[0]["size_bytes"]), (3, &Value::Null), "{all:?}");
    gob.ctl(["nuke"]).ok();
}

#[test]
fn a_graph_is_deleted_by_its_owner_when_it_is_down_and_may_be_anything_then() {
    let gob = Gob::with(Worker::Real);
    gob.ctl(["start", "papers", "--owner", "desktop"]).ok();
    wait_listed(&gob, "papers");
    let delete = |args: &[&str]| {
        let line = ["graphs", "delete", "papers", "--yes"].iter().chain(args).copied();
        gob.ctl(line).run()
    };
    let refused = delete(&["--owner", "desktop"]);
    assert!(refused.code == 1 && refused.stderr.contains("is up (ready)"), "{refused}");
    gob.ctl(["stop", "papers", "--owner", "desktop"]).ok();
    let refused = delete(&[]);
    assert!(refused.code == 5 && refused.stderr.contains("owned by desktop"), "{refused}");
    gob.ctl(["remove", "papers", "--owner", "desktop"]).ok();
    gob.ctl(["shutdown"]).ok();
    // No supervisor has a worker of it any more, and its owner is remembered all the same.
    let refused = delete(&[]);
    assert!(refused.code == 5 && refused.stderr.contains("last owned by desktop"), "{refused}");
    assert!(gob.graph_dir("papers").join("graph.sqlite").exists());
    let done = delete(&["--owner", "desktop", "--json"]);
    let data: Value = serde_json::from_str(&done.stdout).unwrap();
    assert_eq!(data, json!({"deleted": gob.graph_dir("papers")}), "{done}");
    assert!(!gob.graph_dir("papers").exists() && graphs(&gob).is_empty());
    let nothing = delete(&[]);
    assert!(nothing.code == 4 && nothing.stderr.contains("there is no graph papers"), "{nothing}");
    // A graph that is begun anew may be of another kind, and is new.
    let config = "[kind.other]\ncommand = [\"sleep\", \"1000\"]\n";
    fs::write(gob.dir().join("config.toml"), config).unwrap();
    gob.ctl(["config", "reload"]).ok();
    let started = gob.ctl(["start", "papers", "--kind", "other", "--json"]).json();
    assert_eq!((&started["worker"]["kind"], &started["created"]), (&json!("other"), &json!(true)));
    // A worker that is down is forgotten with its graph.
    gob.ctl(["stop", "papers"]).ok();
    gob.ctl(["graphs", "delete", "papers", "--yes"]).ok();
    assert_eq!(gob.connect().ok("list", json!({}))["workers"], json!([]));
    gob.ctl(["nuke"]).ok();
}

#[test]
fn a_deletion_asks_on_a_terminal_and_needs_yes_off_one() {
    let gob = Gob::with(Worker::Real);
    gob.ctl(["start", "g"]).ok();
    wait_listed(&gob, "g");
    gob.ctl(["stop", "g"]).ok();
    let refused = gob.ctl(["graphs", "delete", "g"]).fails(2);
    assert!(refused.stderr.contains("gobctl graphs delete g --yes"), "{refused}");
    for (answer, deletes) in [("n\n", false), ("\n", false), ("y\n", true)] {
        let pty = nix::pty::openpty(None, None).unwrap();
        let mut call = Ctl::new(&gob.bin("gobctl"), gob.env());
        call.args(["graphs", "delete", "g"]);
        let side = || Stdio::from(pty.slave.try_clone().unwrap());
        call.command().stdin(side()).stdout(side()).stderr(side());
        let mut child = call.spawn();
        let mut terminal = File::from(pty.master);
        let (mut shown, mut byte) = (Vec::new(), [0]);
        while !shown.ends_with(b"[y/N] ") {
            assert_eq!(terminal.read(&mut byte).unwrap(), 1);
            shown.push(byte[0]);
        }
        let asked = String::from_utf8_lossy(&shown).into_owned();
        assert!(asked.contains(gob.graph_dir("g").to_str().unwrap()), "{asked}");
        terminal.write_all(answer.as_bytes()).unwrap();
        assert_eq!(child.wait().unwrap().code(), Some(i32::from(!deletes)), "{answer:?}");
        assert_eq!(gob.graph_dir("g").exists(), !deletes, "{answer:?}");
    }
    gob.ctl(["nuke"]).ok();
}

#[test]
fn a_graph_with_a_foreign_holder_is_not_deleted() {
    let gob = Gob::with(Worker::Real);
    gob.ctl(["start", "g"]).ok();
    wait_listed(&gob, "g");
    gob.ctl(["stop", "g"]).ok();
    gob.ctl(["remove", "g"]).ok();
    let lock = gob.data_dir().join(".gob/g.lock");
    let held = File::open(&lock).unwrap();
    let is_held = wait::until(DEADLINE, || held.try_lock().is_ok());
    assert!(is_held, "its run lets go of it");
    let refused = gob.ctl(["graphs", "delete", "g", "--yes"]).fails(6);
    assert!(refused.stderr.contains(lock.to_str().unwrap()), "{refused}");
    assert!(gob.graph_dir("g").join("graph.sqlite").exists());
    // A child that another test is starting may have a copy of the descriptor for a moment.
    held.unlock().unwrap();
    gob.ctl(["graphs", "delete", "g", "--yes"]).ok();
    gob.ctl(["nuke"]).ok();
}

#[test]
fn nothing_outside_of_a_graphs_own_directory_is_deleted() {
    let gob = Gob::with(Worker::Real);
    let outside = gob.dir().join("outside");
    fs::create_dir(&outside).unwrap();
    fs::write(outside.join("mine"), "mine").unwrap();
    gob.ctl(["start", "g"]).ok();
    wait_listed(&gob, "g");
    gob.ctl(["stop", "g"]).ok();
    symlink(&outside, gob.graph_dir("g").join("link")).unwrap();
    gob.ctl(["graphs", "delete", "g", "--yes"]).ok();
    assert!(!gob.graph_dir("g").exists() && outside.join("mine").exists());
    // The directory itself is a link: nothing is deleted, and the error names the way out.
    gob.ctl(["start", "h"]).ok();
    wait_listed(&gob, "h");
    gob.ctl(["stop", "h"]).ok();
    fs::rename(gob.graph_dir("h"), outside.join("h")).unwrap();
    symlink(outside.join("h"), gob.graph_dir("h")).unwrap();
    let refused = gob.ctl(["graphs", "delete", "h", "--yes"]).fails(1);
    assert!(refused.stderr.contains("symbolic link"), "{refused}");
    assert!(outside.join("h/graph.sqlite").exists());
    fs::remove_file(gob.graph_dir("h")).unwrap();
    let gone = gob.ctl(["start", "h"]).fails(1);
    assert!(gone.stderr.contains("gobctl graphs delete h"), "{gone}");
    gob.ctl(["graphs", "delete", "h", "--yes"]).ok();
    gob.ctl(["start", "h"]).ok();
    gob.ctl(["nuke"]).ok();
}

#[test]
fn each_way_out_of_an_unfit_file_leads_to_a_served_graph() {
    let mut gob = Gob::with(Worker::Real);
    gob.without_leftover_check();
    let file = gob.graph_dir("g").join("graph.sqlite");
    let log = file.with_file_name("graph.sqlite-wal");
    let spoils: [&dyn Fn(); 5] = [
        &|| fs::write(&file, "").unwrap(),
        &|| fs::write(&file, "no database").unwrap(),
        &|| fs::remove_file(&file).and_then(|()| fs::create_dir(&file)).unwrap(),
        &|| fs::remove_file(&file).and_then(|()| symlink("nowhere", &file)).unwrap(),
        &|| fs::remove_file(&file).and_then(|()| fs::write(&log, "x")).unwrap(),
    ];
    for is_known in [true, false] {
        for spoil in spoils {
            gob.ctl(["start", "g"]).ok();
            wait_listed(&gob, "g");
            gob.ctl(["stop", "g"]).ok();
            if !is_known {
                gob.ctl(["remove", "g"]).ok();
                fs::remove_file(gob.data_dir().join(".gob/g.json")).unwrap();
            }
            spoil();
            let refused = gob.ctl(["start", "g"]).run();
            assert_ne!(refused.code, 0, "{refused}");
            assert!(refused.stderr.contains("gobctl graphs delete g"), "{refused}");
            // Also after the failed worker is forgotten.
            gob.ctl(["stop", "g"]).run();
            gob.ctl(["remove", "g"]).run();
            gob.ctl(["graphs", "delete", "g", "--yes"]).ok();
        }
    }
    gob.ctl(["start", "g"]).ok();
}
