//! Reports of `gobctl doctor`, and programs for it to find.

use crate::support::{Ran, World};
use gob_protocol::build::{VERSION, version_of};
use serde_json::{Value, json};
use std::io::{Read, Write};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

/// Makes a copy of gobctl whose siblings are scripts of gob's version.
pub(crate) fn installed(world: &World) -> PathBuf {
    let program = world.with_keeper(&format!(
        "[ \"$1\" = --version ] && echo '{}' && exit; exit 1",
        version_of("gob-keeper")
    ));
    for name in ["gobd", "gob-graph-worker"] {
        script(&world.dir.join("libexec").join(name), &format!("echo '{}'", version_of(name)));
    }
    program
}

/// Makes a shell script. Another process writes it: no test may fork while it is open for writing here.
pub(crate) fn script(path: &Path, text: &str) {
    let make = "printf '#!/bin/sh\n%s\n' \"$2\" > \"$1\" && chmod 755 \"$1\"";
    let status = Command::new("sh").args(["-c", make, "sh"]).arg(path).arg(text).status();
    assert!(status.unwrap().success());
}

/// Returns the data of a status with these changes.
pub(crate) fn status(changes: Value) -> Value {
    let mut status = json!({"version": VERSION, "pid": 4200, "instance": "i", "uptime_ms": 5, "protocol": 1,
        "socket": "/s", "workers": {}, "connections": 1, "subscribers": 0, "requests": 1, "events_seq": 0,
        "lagged_events": 0, "spawn_failures": 0, "restarts": 0, "orphans_recovered": 0, "healed": 0,
        "instance_lock_failures": 0, "lock_contentions": 0, "queue_claims": 0, "queue_stale_recoveries": 0,
        "queue_heartbeat_failures": 0, "log_bytes": 0, "log_bytes_dropped": 0, "rss_bytes": 0, "keeper_pid": 0,
        "cgroup": false});
    for (key, value) in changes.as_object().unwrap() {
        status[key] = value.clone();
    }
    status
}

pub(crate) fn doctor(world: &World, program: &Path, args: &[&str]) -> Ran {
    let mut all = vec!["doctor"];
    all.extend(args);
    Ran::of(world.command_of(program, &all).output().unwrap())
}

/// Returns every check of this name.
pub(crate) fn checks(world: &World, program: &Path, args: &[&str], what: &str) -> (i32, Vec<Value>) {
    let mut all = vec!["--json"];
    all.extend(args);
    let ran = doctor(world, program, &all);
    let mut report: Value = serde_json::from_str(&ran.stdout).unwrap_or_else(|e| panic!("{e}: {ran:?}"));
    assert_eq!(ran.stderr, "", "{ran:?}");
    let Value::Array(found) = report["checks"].take() else { panic!("{ran:?}") };
    for check in &found {
        assert_eq!(
            check["level"] != "ok",
            check["hint"].is_string(),
            "a hint where there is something to do: {check}"
        );
        let keys: Vec<&String> = check.as_object().unwrap().keys().collect();
        assert_eq!(keys, ["check", "fixed", "found", "hint", "level"]);
    }
    let fails = found.iter().any(|check| check["level"] == "fail");
    assert_eq!(ran.code, Some(i32::from(fails)), "{ran:?}");
    (i32::from(fails), found.into_iter().filter(|check| check["check"] == what).collect())
}

/// Returns the one check of this name.
#[track_caller]
pub(crate) fn check(world: &World, program: &Path, args: &[&str], what: &str) -> Value {
    let (_, mut found) = checks(world, program, args, what);
    assert_eq!(found.len(), 1, "{what}: {found:?}");
    found.remove(0)
}

#[track_caller]
pub(crate) fn says(check: &Value, level: &str, parts: &[&str]) {
    assert_eq!(check["level"], level, "{check}");
    for part in parts {
        assert!(check["found"].as_str().unwrap().contains(part), "{part}: {check}");
    }
}

pub(crate) fn serve_bytes(world: &World, bytes: &'static [u8]) {
    let listener = UnixListener::bind(world.socket()).unwrap();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream: UnixStream = stream.unwrap();
            std::thread::spawn(move || {
                let mut buf = [0; 4096];
                // The first bytes of doctor, unless it has gone already.
                while stream.read(&mut buf).is_ok_and(|count| count > 0) {
                    stream.write_all(bytes).ok();
                }
            });
        }
    });
}

/// Returns the one check of this name, once it has this finding. A file that a test has closed stays open for
/// a moment in a fork of another test.
pub(crate) fn check_until(
    world: &World,
    program: &Path,
    args: &[&str],
    what: &str,
    is: impl Fn(&Value) -> bool,
) -> Value {
    let deadline = Instant::now() + Duration::from_secs(30);
    loop {
        let found = check(world, program, args, what);
        if is(&found) || Instant::now() >= deadline {
            return found;
        }
    }
}
