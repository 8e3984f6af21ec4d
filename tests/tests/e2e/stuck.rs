//! Jobs that seem stuck by the limits in `[jobs]`: `run` and `wait` leave them, running, and nothing else does.

use gob_tests::process::is_alive;
use gob_tests::{Ctl, Gob};
use serde_json::json;
use std::fs;

/// A world with short limits.
fn world() -> Gob {
    with_limits("1s", "2s")
}

fn with_limits(over: &str, without_history: &str) -> Gob {
    let gob = Gob::new();
    fs::create_dir_all(gob.dir().join("config")).unwrap();
    let limits =
        format!("[jobs]\nsilent = \"1s\"\nover = \"{over}\"\nwithout_history = \"{without_history}\"\n");
    fs::write(gob.dir().join("config/jobs.toml"), limits).unwrap();
    call(&gob, ["ping"]).ok();
    gob
}

fn call<'a>(gob: &Gob, args: impl IntoIterator<Item = &'a str>) -> Ctl {
    let mut call = gob.ctl(args);
    call.cwd(gob.dir()).env("GOB_CONFIG", gob.dir().join("config/jobs.toml").to_str().unwrap());
    call
}

#[test]
fn a_silent_job_that_takes_too_long_is_left_running_with_what_to_type() {
    let gob = world();
    for args in [&["run", "sleep", "1000"][..], &["wait", "j1"]] {
        let out = call(&gob, args.iter().copied()).fails(124);
        let error = out.stderr.lines().find(|line| line.starts_with("error: ")).unwrap_or_default();
        assert_eq!(error, "error: j1 seems stuck, and goes on", "{out}");
        for command in ["gobctl logs j1", "gobctl wait j1", "gobctl stop j1"] {
            assert!(out.stderr.contains(command), "{command}: {out}");
        }
    }
    let pid = gob.connect().ok("get", json!({"name": "j1"}))["worker"]["pid"].as_i64().unwrap();
    assert!(is_alive(i32::try_from(pid).unwrap()));
}

#[test]
fn a_job_that_prints_or_is_within_its_time_is_waited_for() {
    // A busy machine may add a second to each run.
    let gob = with_limits("3s", "4s");
    let prints = "for i in 1 2 3 4 5 6 7 8 9; do echo $i; sleep 0.5; done";
    call(&gob, ["run", "-q", "--shell", prints]).ok();
    // It is silent for longer than the limit, as it always is.
    for _ in 0..3 {
        call(&gob, ["run", "-q", "sleep", "1.8"]).ok();
    }
    // A run, and one that takes longer than without a history it might.
    let takes = "sleep $(cat time)";
    fs::write(gob.dir().join("time"), "3").unwrap();
    call(&gob, ["run", "-q", "--shell", takes]).ok();
    fs::write(gob.dir().join("time"), "4.5").unwrap();
    call(&gob, ["run", "-q", "--shell", takes]).ok();
    fs::write(gob.dir().join("time"), "1000").unwrap();
    call(&gob, ["run", "-q", "--shell", takes]).fails(124);
}

#[test]
fn the_limits_are_shown_checked_and_positive() {
    let gob = world();
    let shown = call(&gob, ["config", "show"]).ok();
    let line = shown.lines().find(|line| line.contains("jobs.without_history")).unwrap_or_default();
    assert!(line.contains("2s") && line.contains("jobs.toml:4"), "{line}");
    fs::write(gob.dir().join("config/jobs.toml"), "[jobs]\nsilent = \"0s\"\nover = \"-1s\"\n").unwrap();
    let out = call(&gob, ["config", "check"]).fails(1);
    assert!(out.stderr.contains("jobs.silent") && out.stderr.contains("jobs.over"), "{out}");
}
