//! Two names of one directory: never two workers on it, and the second start is told which worker has it.

use crate::orphans::kill_both;
use gob_tests::wait::{self, DEADLINE};
use gob_tests::{Gob, process};
use serde_json::json;
use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};

/// Configures a server whose data is in its own directory, and one that names directories in Logseq's way.
fn with_kinds(gob: &Gob) {
    let text = r#"
[kind.store]
command = ["sh", "-c", "echo 1 > {data_dir}/dump; exec sleep 1000"]

[kind.logseq]
command = ["sh", "-c", "mkdir -p {root_dir}/graphs/{graph_dir}; exec sleep 1000"]
graph_dir_encoding = "logseq"
lock_file = "{root_dir}/graphs/{graph_dir}/db-worker.lock"

[kind.plain]
command = ["sh", "-c", "exec sleep 1000"]
graph_dir_encoding = "logseq"
"#;
    let path = gob.dir().join("config.toml");
    fs::write(&path, text).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
}

#[test]
fn a_second_name_of_a_directory_is_refused_and_its_worker_named() {
    let gob = Gob::new();
    with_kinds(&gob);
    let (one, two) = (gob.dir().join("one"), gob.dir().join("two"));
    for dir in [&one, &two] {
        fs::create_dir(dir).unwrap();
    }
    fs::create_dir(gob.graph_dir("a")).unwrap();
    symlink("a", gob.graph_dir("b")).unwrap();
    let mut conn = gob.connect_as("cli");
    for (first, second) in [
        // The directory of one is a link to that of the other.
        (json!({"graph": "a", "kind": "store"}), json!({"graph": "b", "kind": "store"})),
        (json!({"graph": "b", "kind": "store"}), json!({"graph": "a", "kind": "store"})),
        // Two names that Logseq encodes alike.
        (
            json!({"graph": "notes", "kind": "logseq", "root_dir": one}),
            json!({"graph": "logseq_db_notes", "kind": "logseq", "root_dir": one}),
        ),
        // The same, of a kind that does not say where its directory is: only the lock is the same.
        (
            json!({"graph": "notes", "kind": "plain", "root_dir": two}),
            json!({"graph": "logseq_db_notes", "kind": "plain", "root_dir": two}),
        ),
        // The directory of one has the lock of the other.
        (
            json!({"graph": "logseq_db_logseq_db_q", "kind": "plain"}),
            json!({"graph": "logseq_db_q", "kind": "plain"}),
        ),
        (
            json!({"graph": "logseq_db_r", "kind": "plain"}),
            json!({"graph": "logseq_db_logseq_db_r", "kind": "plain"}),
        ),
        // Two roots, and a kind that keeps its data in gob's own directory.
        (
            json!({"graph": "g", "kind": "store", "root_dir": one}),
            json!({"graph": "g", "name": "h", "kind": "store", "root_dir": two}),
        ),
    ] {
        let has_it = conn.ok("start", first.clone())["worker"]["name"].clone();
        let refused = conn.ask("start", second.clone());
        let error = &refused["error"];
        assert_eq!(error["code"], "graph-conflict", "{refused}");
        assert_eq!(error["details"]["worker"], has_it, "{refused}");
        assert!(error["message"].as_str().unwrap().contains(has_it.as_str().unwrap()), "{refused}");
        conn.ok("stop", json!({"name": has_it}));
        // Once that worker is down the directory is free.
        let started = conn.ok("start", second);
        conn.ok("stop", json!({"name": started["worker"]["name"]}));
        for name in [&has_it, &started["worker"]["name"]] {
            conn.ok("remove", json!({"name": name}));
        }
    }
    gob.ctl(["nuke"]).ok();
}

#[test]
fn a_link_to_the_graph_of_another_supervisor_is_held_by_it() {
    let (one, other) = (Gob::new(), Gob::new());
    with_kinds(&one);
    with_kinds(&other);
    let started = one.connect_as("cli").ok("start", json!({"graph": "a", "kind": "store"}));
    symlink(one.graph_dir("a"), other.graph_dir("b")).unwrap();
    let refused = other.connect_as("cli").ask("start", json!({"graph": "b", "kind": "store"}));
    assert_eq!(refused["error"]["code"], "server-locked-by-external", "{refused}");
    assert_eq!(refused["error"]["details"]["pid"], started["worker"]["pid"], "{refused}");
    one.connect_as("cli").ok("stop", json!({"name": "a"}));
    other.connect_as("cli").ok("start", json!({"graph": "b", "kind": "store"}));
    for gob in [&one, &other] {
        gob.ctl(["nuke"]).ok();
    }
}

#[test]
fn a_linked_graph_stays_locked_while_a_process_of_a_killed_supervisor_lives() {
    let (mut one, other) = (Gob::new(), Gob::new());
    one.without_leftover_check();
    with_kinds(&one);
    with_kinds(&other);
    other.connect_as("cli").ok("start", json!({"graph": "b", "kind": "store"}));
    other.connect_as("cli").ok("stop", json!({"name": "b"}));
    symlink(other.graph_dir("b"), one.graph_dir("a")).unwrap();
    let child = one.dir().join("child");
    let text = format!(
        "\n[kind.forks]\ncommand = [\"sh\", \"-c\", \"setsid sh -c 'echo $$ > {0}.new; mv {0}.new {0}; exec sleep 1000' & exec sleep 1000\"]\n",
        child.display()
    );
    let path = one.dir().join("config.toml");
    let config = fs::read_to_string(&path).unwrap();
    fs::write(&path, config + &text).unwrap();
    one.connect_as("cli").ok("start", json!({"graph": "a", "kind": "forks"}));
    assert!(wait::until(DEADLINE, || child.exists()));
    let left: i32 = fs::read_to_string(&child).unwrap().trim().parse().unwrap();
    kill_both(&one);
    let refused = other.connect_as("cli").ask("start", json!({"graph": "b", "kind": "store"}));
    assert_eq!(refused["error"]["code"], "server-locked-by-external", "{refused}");
    assert_eq!(refused["error"]["details"]["pid"], left, "{refused}");
    one.ctl(["ping"]).ok();
    assert!(process::survivors(&[left], DEADLINE).is_empty());
    other.connect_as("cli").ok("start", json!({"graph": "b", "kind": "store"}));
    for gob in [&one, &other] {
        gob.ctl(["nuke"]).ok();
    }
}
