//! `docs/examples/client.py`, against the real supervisor.

use gob_tests::require::{Need, skip};
use gob_tests::wait::{self, DEADLINE};
use gob_tests::{Ctl, Gob};
use serde_json::json;
use std::path::{Path, PathBuf};
use std::process::Stdio;

/// Finds Python; `None`, with a message, when it is not installed.
pub(crate) fn python() -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    let found = std::env::split_paths(&path).map(|dir| dir.join("python3")).find(|program| program.is_file());
    if found.is_none() {
        skip(Need::Python, "python3 is not here, so nobody tried docs/examples/client.py");
    }
    found
}

pub(crate) fn client(gob: &Gob, python: &Path, args: &[&str]) -> Ctl {
    example(gob, python, "client.py", args)
}

/// A call of one of the examples.
pub(crate) fn example(gob: &Gob, python: &Path, script: &str, args: &[&str]) -> Ctl {
    let mut call = Ctl::new(python, gob.env());
    call.env("PATH", &std::env::var("PATH").unwrap());
    call.env("HOME", &std::env::var("HOME").unwrap_or_default());
    let script = format!("{}/../docs/examples/{script}", env!("CARGO_MANIFEST_DIR"));
    call.args([script.as_str()]).args(args.iter().copied());
    call
}

#[test]
fn the_example_finds_the_supervisor_as_gobctl_does() {
    let Some(python) = python() else { return };
    let gob = Gob::new();
    gob.ctl(["start", "demo"]).ok();
    // Another runtime directory, as in a cron job: the lock file names the supervisor's socket.
    let elsewhere = gob.dir().join("elsewhere");
    let mut call = client(&gob, &python, &["start", "demo"]);
    call.env("GOB_RUNTIME_DIR", elsewhere.to_str().unwrap());
    assert!(call.ok().starts_with("reused demo of cli"));
    // An empty variable counts as unset.
    let mut call = client(&gob, &python, &["start", "demo"]);
    call.env("GOB_RUNTIME_DIR", "").env("XDG_RUNTIME_DIR", elsewhere.to_str().unwrap());
    assert!(call.ok().starts_with("reused demo of cli"));
    let relative = client(&gob, &python, &["start", "demo"]).env("GOB_RUNTIME_DIR", "run").fails(1);
    assert_eq!(relative.stderr, "error: GOB_RUNTIME_DIR must be an absolute path\n");
    gob.ctl(["shutdown"]).ok();
    let nobody = client(&gob, &python, &["start", "demo"]).fails(1);
    assert!(nobody.stderr.starts_with("error: "), "{nobody}");
}

#[test]
fn the_example_starts_stops_is_refused_and_hears_events_across_two_supervisors() {
    let Some(python) = python() else { return };
    let gob = Gob::new();
    gob.ctl(["ping"]).ok();
    let seen = gob.dir().join("events.txt");
    let mut listening = client(&gob, &python, &["events"]);
    listening.command().stdout(Stdio::from(std::fs::File::create(&seen).unwrap()));
    let mut listener = listening.spawn();
    let subscribed = || gob.connect().ok("status", json!({}))["subscribers"] == 1;
    assert!(wait::until(DEADLINE, subscribed), "it does not listen");

    assert!(client(&gob, &python, &["start", "demo"]).ok().starts_with("started demo of python at unix:/"));
    assert!(client(&gob, &python, &["start", "demo"]).ok().starts_with("reused demo of python"));
    gob.ctl(["start", "other"]).ok();
    let refused = client(&gob, &python, &["stop", "other"]).fails(1);
    assert_eq!(refused.stderr, "error: other is owned by cli, you are python (server-owned-by-other)\n");
    assert_eq!(client(&gob, &python, &["stop", "demo"]).ok(), "stopped demo signalled 1\n");

    // Another supervisor is another instance: the events in between are gone, and the client reports it.
    gob.ctl(["shutdown", "--force"]).ok();
    gob.ctl(["ping"]).ok();
    assert!(wait::until(DEADLINE, subscribed), "it does not come back");
    gob.ctl(["start", "late"]).ok();
    let shown = || std::fs::read_to_string(&seen).unwrap();
    let complete = wait::until(DEADLINE, || shown().contains("worker_ready late ready"));
    listener.kill().unwrap();
    listener.wait().unwrap();
    assert!(
        complete && shown().contains("worker_stopped demo idle\n") && shown().contains("\ngap\n"),
        "{}",
        shown()
    );
}

#[test]
fn the_example_holds_a_lock_and_gives_it_back() {
    let Some(python) = python() else { return };
    let gob = Gob::new();
    gob.ctl(["ping"]).ok();
    let gobctl = gob.bin("gobctl");
    let asks = format!("{} lock status build --json; echo $GOB_LOCK_TOKEN; exit 5", gobctl.display());
    let held = client(&gob, &python, &["lock", "build", "sh", "-c", &asks]).fails(5);
    let (status, token) = held.stdout.trim().split_once('\n').unwrap();
    let status: serde_json::Value = serde_json::from_str(status).unwrap();
    let holder = &status["locks"][0]["holders"][0];
    assert_eq!((holder["process"].as_str(), &*holder["token"].to_string()), (Some("client.py"), token));
    let free = gob.connect().ok("lock_status", json!({"lock": "build"}));
    assert_eq!(free["locks"][0]["holders"], json!([]));
}
