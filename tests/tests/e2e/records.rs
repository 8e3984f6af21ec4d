//! The record of a graph beside its data: the kind that served it last, and that there was data (FEATURES
//! A13).

use crate::orphans::kill_both;
use gob_tests::wait::{self, DEADLINE};
use gob_tests::{Gob, Worker};
use serde_json::{Value, json};
use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};

/// Configures a kind whose data is in its own directory, and that has written a file there by the time it is
/// ready; and one whose graphs lie in a root of their own.
fn with_kinds(gob: &Gob) {
    let roots = gob.dir().join("roots");
    let text = format!(
        r#"
[kind.store]
command = ["sh", "-c", "cd {{data_dir}} && {{ [ -e kept ] && exit 0 || echo 1 > dump; }}; exec sleep 1000"]
readiness = {{ type = "delay", for = "300ms" }}

[kind.far]
command = ["sh", "-c", "mkdir -p {{root_dir}}/{{graph_dir}} && echo 1 > {{root_dir}}/{{graph_dir}}/dump; exec sleep 1000"]
root_dir = {roots:?}
readiness = {{ type = "delay", for = "300ms" }}
"#
    );
    let path = gob.dir().join("config.toml");
    fs::write(&path, text).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
}

fn record(gob: &Gob, graph: &str) -> Value {
    let path = gob.data_dir().join(".gob").join(format!("{graph}.json"));
    fs::read(path).map(|text| serde_json::from_slice(&text).unwrap()).unwrap_or_default()
}

/// The record is written beside the answer of the start.
fn wait_recorded(gob: &Gob, graph: &str) {
    assert!(wait::until(DEADLINE, || record(gob, graph) != Value::Null), "{graph} is not remembered");
}

#[test]
fn a_graph_stays_of_the_kind_that_served_it_last() {
    let mut gob = Gob::with(Worker::Real);
    gob.without_leftover_check();
    with_kinds(&gob);
    gob.ctl(["start", "papers", "--kind", "store"]).ok();
    wait_recorded(&gob, "papers");
    let kept = record(&gob, "papers");
    assert_eq!((&kept["kind"], &kept["owner"]), (&json!("store"), &json!("cli")));
    let forgets: [&dyn Fn(); 4] = [
        &|| drop(gob.ctl(["shutdown"]).ok()),
        &|| kill_both(&gob),
        &|| {
            gob.ctl(["stop", "papers"]).ok();
            gob.ctl(["remove", "papers"]).ok();
        },
        &|| drop(gob.ctl(["nuke"]).ok()),
    ];
    for forget in forgets {
        forget();
        let refused = gob.ctl(["start", "papers", "--kind", "graph", "--json"]).fails(1);
        let error: Value = serde_json::from_str(&refused.stderr).unwrap();
        let error = &error["error"];
        assert_eq!(error["code"], "graph-conflict", "{refused}");
        assert!(error["hint"].as_str().unwrap().contains("gobctl graphs delete papers"), "{refused}");
        assert!(error["message"].as_str().unwrap().contains("kind store"), "{refused}");
        assert!(!gob.graph_dir("papers").join("graph.sqlite").exists());
        drop(gob.ctl(["remove", "papers"]).run());
        let started = gob.ctl(["start", "papers", "--json"]).json();
        assert_eq!((&started["worker"]["kind"], &started["outcome"]), (&json!("store"), &json!("started")));
        assert_eq!(started["created"], Value::Null);
    }
    gob.ctl(["nuke"]).ok();
}

#[test]
fn a_kind_with_a_root_of_its_own_is_found_by_the_name_alone() {
    let gob = Gob::with(Worker::Real);
    with_kinds(&gob);
    gob.ctl(["start", "papers", "--kind", "far"]).ok();
    gob.ctl(["shutdown"]).ok();
    let started = gob.ctl(["start", "papers", "--json"]).json();
    let roots = gob.dir().join("roots");
    assert_eq!(started["worker"]["kind"], "far");
    assert_eq!(started["worker"]["root_dir"], roots.to_str().unwrap());
    // A kind that the configuration names for it comes before the record, and does not fit it.
    let path = gob.dir().join("config.toml");
    let text = fs::read_to_string(&path).unwrap();
    gob.ctl(["shutdown"]).ok();
    fs::write(&path, format!("{text}\n[graph.papers]\nkind = \"store\"\nroot_dir = {roots:?}\n")).unwrap();
    let refused = gob.ctl(["start", "papers"]).fails(1);
    assert!(refused.stderr.contains("papers was last of the kind far"), "{refused}");
    gob.ctl(["nuke"]).ok();
}

#[test]
fn data_that_is_gone_fails_restart_and_start_until_it_is_back() {
    let gob = Gob::with(Worker::Real);
    gob.ctl(["start", "g"]).ok();
    gob.ctl(["invoke", "g", "put", r#"{"nodes":[{"id":"ada"}]}"#]).ok();
    wait_recorded(&gob, "g");
    let (dir, away) = (gob.graph_dir("g"), gob.dir().join("away"));
    fs::rename(&dir, &away).unwrap();
    let file = dir.join("graph.sqlite");
    for line in [&["restart", "g"][..], &["start", "g"], &["shutdown"], &["start", "g"]] {
        let output = gob.ctl(line.iter().copied()).run();
        if line == ["shutdown"] {
            assert_eq!(output.code, 0, "{output}");
            continue;
        }
        assert_eq!(output.code, 1, "{output}");
        assert!(output.stderr.contains(file.to_str().unwrap()), "{output}");
        assert!(output.stderr.contains("gobctl graphs delete g"), "{output}");
        assert!(!file.exists(), "no empty graph is begun: {output}");
        let view = &gob.connect().ok("get", json!({"name": "g"}))["worker"];
        assert_eq!(view["state"], "failed", "{view}");
    }
    drop(fs::remove_dir_all(&dir));
    fs::rename(&away, &dir).unwrap();
    gob.ctl(["start", "g"]).ok();
    assert!(gob.ctl(["invoke", "g", "get", r#"{"id":"ada"}"#]).ok().contains("ada"));
    // The root itself goes, with the record in it, as when a disk is unmounted.
    gob.ctl(["stop", "g"]).ok();
    fs::rename(gob.data_dir(), &away).unwrap();
    let gone = gob.ctl(["start", "g", "--json"]).fails(1);
    assert!(gone.stderr.contains("graph-gone"), "{gone}");
    // A supervisor that begins meanwhile knows it by its predecessor's list.
    gob.ctl(["shutdown"]).ok();
    drop(fs::remove_dir_all(gob.data_dir()));
    let gone = gob.ctl(["start", "g", "--json"]).fails(1);
    assert!(gone.stderr.contains("graph-gone"), "{gone}");
    drop(fs::remove_dir_all(gob.data_dir()));
    fs::rename(&away, gob.data_dir()).unwrap();
    gob.ctl(["start", "g"]).ok();
    // A start that asks for it begins anew, whatever the record.
    gob.ctl(["shutdown"]).ok();
    fs::remove_dir_all(gob.data_dir()).unwrap();
    gob.ctl(["start", "g"]).fails(1);
    gob.ctl(["graphs", "delete", "g", "--yes"]).ok();
    gob.ctl(["start", "g"]).ok();
    gob.ctl(["nuke"]).ok();
}

#[test]
fn a_root_that_is_not_mounted_is_missed_by_the_next_supervisor_too() {
    let mut gob = Gob::with(Worker::Real);
    gob.without_leftover_check();
    let (root, away) = (gob.dir().join("disk"), gob.dir().join("away"));
    fs::create_dir(&root).unwrap();
    let start = ["start", "g", "--root-dir", root.to_str().unwrap()];
    gob.ctl(start).ok();
    gob.ctl(["invoke", "g", "put", r#"{"nodes":[{"id":"ada"}]}"#]).ok();
    let forgets: [&dyn Fn(); 3] = [&|| drop(gob.ctl(["shutdown"]).ok()), &|| kill_both(&gob), &|| {
        gob.ctl(["nuke"]).ok();
    }];
    for forget in forgets {
        forget();
        fs::rename(&root, &away).unwrap();
        fs::create_dir(&root).unwrap();
        let refused = gob.ctl(start.into_iter().chain(["--json"])).fails(1);
        let error: Value = serde_json::from_str(&refused.stderr).unwrap();
        assert_eq!(error["error"]["code"], "graph-gone", "{refused}");
        assert!(error["error"]["hint"].as_str().unwrap().contains("gobctl graphs delete g"), "{refused}");
        assert!(!root.join("g/graph.sqlite").exists(), "no empty graph is begun: {refused}");
        fs::remove_dir_all(&root).unwrap();
        fs::rename(&away, &root).unwrap();
        gob.ctl(start).ok();
        assert!(gob.ctl(["invoke", "g", "get", r#"{"id":"ada"}"#]).ok().contains("ada"));
    }
    // A start that asks for it begins anew.
    gob.ctl(["shutdown"]).ok();
    fs::remove_dir_all(&root).unwrap();
    fs::create_dir(&root).unwrap();
    gob.ctl(start).fails(1);
    gob.ctl(["graphs", "delete", "g", "--yes"]).ok();
    gob.ctl(start).ok();
    gob.ctl(["nuke"]).ok();
}

#[test]
fn an_empty_directory_where_a_program_kept_data_is_gone_too() {
    let gob = Gob::with(Worker::Real);
    with_kinds(&gob);
    gob.ctl(["start", "s", "--kind", "store"]).ok();
    let data = gob.graph_dir("s").join("dump");
    assert!(wait::until(DEADLINE, || data.exists()));
    gob.ctl(["stop", "s"]).ok();
    fs::rename(&data, gob.dir().join("kept")).unwrap();
    let gone = gob.ctl(["start", "s", "--json"]).fails(1);
    let error: Value = serde_json::from_str(&gone.stderr).unwrap();
    assert_eq!(error["error"]["details"]["path"], gob.graph_dir("s").to_str().unwrap(), "{gone}");
    fs::rename(gob.dir().join("kept"), &data).unwrap();
    gob.ctl(["start", "s"]).ok();
    gob.ctl(["nuke"]).ok();
}

#[test]
fn a_new_graph_is_reported_as_new_once() {
    let gob = Gob::with(Worker::Real);
    let output = gob.ctl(["start", "dmeo"]).run();
    assert!(
        output.stdout.starts_with("started dmeo (pid ") && output.stdout.lines().count() == 2,
        "{output}"
    );
    assert!(output.stderr.contains("dmeo is a new, empty graph"), "{output}");
    assert!(output.stderr.contains("gobctl graphs delete dmeo"), "{output}");
    gob.ctl(["stop", "dmeo"]).ok();
    assert_eq!(gob.ctl(["start", "dmeo"]).run().stderr, "");
    gob.ctl(["nuke"]).ok();
    assert_eq!(gob.ctl(["start", "dmeo"]).run().stderr, "");
    assert_eq!(gob.ctl(["-q", "start", "other"]).run().stderr, "");
    gob.ctl(["nuke"]).ok();
}

#[test]
fn foreign_links_beside_a_graph_are_not_written_through() {
    let gob = Gob::new();
    let (root, project) = (gob.dir().join("shared"), gob.dir().join("project"));
    for dir in [&root, &project] {
        fs::create_dir(dir).unwrap();
    }
    let own = project.join("Cargo.lock");
    fs::write(&own, "# the user's own\n").unwrap();
    let start = || gob.connect_as("cli").ask("start", json!({"graph": "Cargo", "root_dir": root}));
    let untouched = |refused: &Value, word: &str| {
        assert_eq!(refused["error"]["code"], "server-start-failed", "{refused}");
        let message = refused["error"]["message"].as_str().unwrap();
        assert!(message.contains(word) && message.contains("/.gob"), "{message}");
        assert_eq!(fs::read_to_string(&own).unwrap(), "# the user's own\n");
        assert_eq!(fs::read_dir(&project).unwrap().count(), 1);
        gob.connect_as("cli").ok("stop", json!({"name": "Cargo"}));
    };
    symlink(&project, root.join(".gob")).unwrap();
    untouched(&start(), "symbolic link");
    fs::remove_file(root.join(".gob")).unwrap();
    fs::create_dir(root.join(".gob")).unwrap();
    fs::set_permissions(root.join(".gob"), fs::Permissions::from_mode(0o777)).unwrap();
    untouched(&start(), "others may write");
    fs::set_permissions(root.join(".gob"), fs::Permissions::from_mode(0o700)).unwrap();
    symlink(&own, root.join(".gob/Cargo.lock")).unwrap();
    untouched(&start(), "symbolic link");
    fs::remove_file(root.join(".gob/Cargo.lock")).unwrap();
    if nix::unistd::geteuid().is_root() {
        std::os::unix::fs::chown(root.join(".gob"), Some(65_534), None).unwrap();
        untouched(&start(), "uid 65534");
        std::os::unix::fs::chown(root.join(".gob"), Some(0), None).unwrap();
    }
    // A file of the user's in the lock's very place serves as the lock, and keeps its content.
    fs::rename(&own, root.join(".gob/Cargo.lock")).unwrap();
    assert_eq!(start()["data"]["outcome"], "started");
    gob.connect_as("cli").ok("stop", json!({"name": "Cargo"}));
    assert_eq!(fs::read_to_string(root.join(".gob/Cargo.lock")).unwrap(), "# the user's own\n");
}
