//! Clients of this version and a supervisor of 0.1.0.

use crate::old::{OLD, ctl, install, install_new};
use gob_protocol::request::Request;
use gob_tests::gob::built_binaries;
use gob_tests::{Gob, Output};
use serde_json::json;

/// Starts a supervisor of 0.1.0 with one graph.
fn world() -> Gob {
    let gob = Gob::new();
    install(&gob);
    gob.ctl(["start", "g"]).ok();
    assert_eq!(gob.status()["version"], OLD);
    gob
}

fn new(gob: &Gob, words: &str) -> Output {
    ctl(gob, &built_binaries(), words).run()
}

#[test]
fn the_new_gobctl_works_and_says_how_to_get_one_version() {
    let gob = world();
    for words in
        "ping; list; list --json; status; status g; get g; who g; events --no-follow --since 0; logs g; \
        brief; signal g CONT; invoke g ping; restart g; stop g; start g; start h; stop h; remove h; \
        cleanup; config reload; doctor; daemon logs -n 1; with g -- true; export systemd g"
            .split("; ")
    {
        let output = new(&gob, words);
        assert_eq!(output.code, 0, "{output}");
        let notes = output.stderr.lines().filter(|line| line.contains("talks to a supervisor")).count();
        assert!(notes <= 1, "{output}");
    }
    for words in "add true; create true; ports; runs g; stats g; blame g; queue list; queue add lane true; \
        queue pause lane; lock status; lock break build; daemon upgrade"
        .split("; ")
    {
        let output = new(&gob, words);
        assert_eq!(output.code, 7, "{output}");
        assert!(output.stderr.contains(&format!("error: the supervisor (gobd {OLD}, pid ")), "{output}");
        assert!(output.stderr.contains("hint: gobctl daemon restart starts the installed one"), "{output}");
    }
    for words in ["run true", "lock run build -- true"] {
        let output = new(&gob, words);
        assert_eq!(output.code, 125, "a command that was not run: {output}");
        assert!(output.stderr.contains("is older than"), "{output}");
    }
}

#[test]
fn each_request_is_answered_by_a_supervisor_that_does_not_know_it() {
    let gob = world();
    let mut conn = gob.connect_as("cli");
    let mut unknown = Vec::new();
    for kind in Request::TYPES.iter().filter(|kind| !["hello", "shutdown", "nuke"].contains(kind)) {
        let answer = conn.ask(kind, json!({"lock": "l", "name": "g", "names": ["g"]}));
        if answer["error"]["code"] == "unknown-request" {
            unknown.push(*kind);
        } else {
            assert!(answer["success"] == true || answer["error"]["code"].is_string(), "{kind}: {answer}");
        }
    }
    for kind in ["add", "upgrade", "lock_acquire", "queue_add", "runs"] {
        assert!(unknown.contains(&kind), "{unknown:?}");
    }
    conn.ok("ping", json!({}));
}

#[test]
fn a_restart_is_the_way_from_the_old_supervisor_to_the_new_one() {
    let gob = world();
    install_new(&gob);
    let hinted = new(&gob, "daemon upgrade");
    assert!(hinted.stderr.contains("gobctl daemon restart"), "{hinted}");
    gob.ctl(["daemon", "restart", "--force"]).ok();
    assert_eq!(gob.status()["version"], env!("CARGO_PKG_VERSION"));
    gob.ctl(["start", "g"]).ok();
    gob.ctl(["run", "true"]).ok();
}

#[test]
fn a_new_supervisor_is_not_upgraded_to_an_old_program() {
    let gob = Gob::new();
    gob.ctl(["start", "g"]).ok();
    let before = gob.status();
    let exe = crate::old::programs().join("gobd");
    let refused = gob.ctl(["daemon", "upgrade", "--exe", exe.to_str().unwrap()]).fails(1);
    assert!(refused.stderr.contains("the supervisor was not upgraded"), "{refused}");
    let after = gob.status();
    assert_eq!((&after["pid"], &after["version"]), (&before["pid"], &before["version"]));
    gob.ctl(["stop", "g"]).ok();
}
