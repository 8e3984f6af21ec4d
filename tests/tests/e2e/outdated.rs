//! Workers that run an older program than the one on disk are shown as such, until they are restarted (F3).

use crate::replaced::install;
use gob_tests::wait::DEADLINE;
use gob_tests::{Conn, Gob, program};
use serde_json::{Value, json};
use std::fs;
use std::os::unix::fs::symlink;

/// Waits for the event that tells whether a worker's program was replaced.
fn told(events: &mut Conn, name: &str, changed: bool) {
    let fits = |event: &Value| {
        let worker = &event["worker"];
        let is_old = worker.get("program_changed") == Some(&json!(true));
        event["event"] == "worker_updated" && worker["name"] == name && is_old == changed
    };
    let event = events.find(name, DEADLINE, fits);
    assert_eq!(event["actor"], "supervisor");
}

/// Installs another program, as a new version is.
fn replace(gob: &Gob) {
    let ours = fs::read(gob.bin("gob-graph-worker")).unwrap();
    // Behind its end the kernel reads nothing of a program.
    install(gob, "gob-graph-worker", &[ours, b"newer".to_vec()].concat());
}

fn is_old(conn: &mut Conn, name: &str) -> bool {
    conn.ok("get", json!({"name": name}))["worker"].get("program_changed") == Some(&json!(true))
}

#[test]
fn a_worker_whose_program_is_replaced_is_listed_as_old_until_its_restart() {
    let gob = Gob::new();
    let (mut conn, mut events) = (gob.connect_as("cli"), gob.events());
    conn.ok("start", json!({"graph": "g"}));
    let list = gob.ctl(["list"]).run();
    assert!(!list.stdout.contains("(old)") && !list.stderr.contains("older"), "{list}");
    replace(&gob);
    told(&mut events, "g", true);
    let list = gob.ctl(["list"]).run();
    assert!(list.stdout.contains("ready (old)"), "{list}");
    let note = "g runs an older program than the one on disk; gobctl restart g";
    assert!(list.stderr.contains(note), "{list}");
    let status = gob.ctl(["status", "g"]).ok();
    assert!(status.contains("its program was replaced on disk since it started"), "{status}");
    // Another program of the supervisor knows it too, and hears of the next replacement.
    conn.ok("upgrade", json!({}));
    assert!(is_old(&mut conn, "g"));
    gob.ctl(["restart", "g"]).ok();
    assert!(!is_old(&mut conn, "g"));
    replace(&gob);
    told(&mut events, "g", true);
    conn.ok("upgrade", json!({}));
    assert!(is_old(&mut conn, "g"));
}

#[test]
fn scripts_that_are_written_anew_removed_or_linked_elsewhere_are_noticed() {
    let gob = Gob::new();
    let (mut conn, mut events) = (gob.connect_as("cli"), gob.events());
    let path = |name: &str| gob.dir().join(name);
    for name in ["written", "removed", "one", "two"] {
        program::write(&path(name), format!("#!/bin/sh\nsleep 1000 # {name}\n"), 0o755);
    }
    symlink("one", path("linked")).unwrap();
    for name in ["written", "removed", "linked"] {
        let command = path(name);
        conn.ok("add", json!({"name": name, "command": [command], "cwd": gob.dir()}));
    }
    let link = |to: &str| {
        symlink(to, path("new")).unwrap();
        fs::rename(path("new"), path("linked")).unwrap();
    };
    fs::remove_file(path("removed")).unwrap();
    fs::write(path("written"), "#!/bin/sh\nsleep 1000 # another time\n").unwrap();
    told(&mut events, "written", true);
    link("two");
    told(&mut events, "linked", true);
    link("one");
    told(&mut events, "linked", false);
    assert!(!is_old(&mut conn, "removed"), "nothing newer lies there");
    program::write(&path("removed"), "#!/bin/sh\nsleep 1000 # it is back\n", 0o755);
    told(&mut events, "removed", true);
    let list = gob.ctl(["list"]).run();
    assert!(list.stderr.contains("2 workers run older programs"), "{list}");
}
