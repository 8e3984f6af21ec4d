//! `gobctl who` for graphs that gob's own workers hold: this supervisor's, also under other names, and
//! another one's.

use gob_tests::Gob;
use serde_json::json;
use std::fs;

#[test]
fn a_worker_of_another_supervisor_is_named_with_its_directory() {
    let (one, other) = (Gob::new(), Gob::new());
    let root = one.dir().join("shared root");
    fs::create_dir(&root).unwrap();
    let pid =
        one.connect_as("cli").ok("start", json!({"graph": "g", "root_dir": root}))["worker"]["pid"].clone();
    fs::write(other.dir().join("config.toml"), format!("[graph.g]\nroot_dir = {root:?}\n")).unwrap();
    let (state, gobd) = (one.state_dir(), one.gobd_pid());
    // Also without a supervisor: locks and processes tell it.
    for started in [false, true] {
        if started {
            other.ctl(["ping"]).ok();
        }
        let told = other.ctl(["who", "g"]).ok();
        let lock = root.join(".gob/g.lock");
        let first = format!(
            "g is held by a worker of another supervisor (pid {pid}, owner cli, {})\n",
            lock.display()
        );
        assert!(told.starts_with(&first), "{told}");
        let state = state.display();
        let line = format!(
            "\n  its supervisor is gobd (pid {gobd}) of the state directory {state}: GOB_STATE_DIR={state} gobctl list\n"
        );
        assert!(told.contains(&line), "{told}");
        let told = other.ctl(["who", "g", "--json"]).json();
        assert_eq!((&told["holder"], &told["pid"]), (&json!("external"), &pid), "{told}");
        assert_eq!(told["supervisor"], json!({"pid": gobd, "state_dir": one.state_dir()}), "{told}");
    }
    let own = one.ctl(["who", "g"]).ok();
    assert_eq!(own, format!("g is held by gob's worker (pid {pid}, owner cli), ready\n"));
}

#[test]
fn a_graph_that_is_served_under_another_name_is_found() {
    let gob = Gob::new();
    let start = json!({"graph": "notes", "name": "work"});
    let pid = gob.connect_as("cli").ok("start", start)["worker"]["pid"].clone();
    let want = format!("notes is held by gob's worker work (pid {pid}, owner cli), ready\n");
    assert_eq!(gob.ctl(["who", "notes"]).ok(), want);
    assert_eq!(
        gob.ctl(["who", "work"]).ok(),
        want.replace("notes is", "work is").replace("worker work", "worker")
    );
}
