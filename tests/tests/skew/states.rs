//! Directories that one version has left, and a supervisor of the other one.

use crate::old::{OLD, install, install_new};
use gob_tests::process::{self, Handle};
use gob_tests::{Gob, wait};
use nix::sys::signal::Signal;
use serde_json::json;

/// Kills the supervisor and its keeper; returns the pid of a worker that they had.
fn kill_both(gob: &Gob) -> i32 {
    let status = gob.status();
    let pid = |field: &str| status[field].as_i64().unwrap() as i32;
    let worker = gob.connect().ok("get", json!({"name": "g"}))["worker"]["pid"].as_i64().unwrap() as i32;
    for pid in [pid("keeper_pid"), pid("pid")] {
        Handle::open(pid).unwrap().signal(Signal::SIGKILL);
    }
    worker
}

#[test]
fn each_version_goes_on_behind_a_killed_supervisor_of_the_other() {
    let gob = Gob::new();
    install(&gob);
    gob.ctl(["start", "g"]).ok();
    assert_eq!(gob.status()["version"], OLD);
    for version in [env!("CARGO_PKG_VERSION"), OLD, env!("CARGO_PKG_VERSION")] {
        let worker = kill_both(&gob);
        if version == OLD {
            install(&gob)
        } else {
            install_new(&gob)
        }
        let started = gob.connect_as("cli").ok("start", json!({"graph": "g"}));
        assert_eq!(started["worker"]["state"], "ready", "{started}");
        assert_eq!(gob.status()["version"], version);
        // Behind this answer the run is in the store.
        assert!(version == OLD || gob.ctl(["runs", "g"]).ok().contains("running"));
        assert_eq!(process::survivors(&[worker], wait::DEADLINE), Vec::<i32>::new());
    }
    // The history, which 0.1.0 does not know, was not lost while it served.
    gob.ctl(["run", "true"]).ok();
    let runs = gob.ctl(["runs", "g"]).ok();
    assert_eq!(runs.lines().count(), 3, "a head, and the runs of two lives of this version: {runs}");
}
