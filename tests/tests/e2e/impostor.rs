//! A process of this user that listens in the supervisor's place is not believed (PROTOCOL 1, Who may speak).

use crate::python::{client, python};
use gob_tests::process::Handle;
use gob_tests::require::{Need, root, skip};
use gob_tests::wait::{self, DEADLINE};
use gob_tests::{Ctl, Gob};
use nix::sys::signal::Signal;
use serde_json::{Value, json};
use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::os::unix::net::{UnixListener, UnixStream};
use std::process::Stdio;

/// Answers like a supervisor without workers.
fn answer(stream: UnixStream) {
    let mut out = stream.try_clone().unwrap();
    let server =
        json!({"version": "0.1.0", "pid": 1, "instance": "i", "started_at": "2026-11-20T10:00:00.000Z"});
    for line in BufReader::new(stream).lines() {
        let Ok(line) = line else { return };
        let request: Value = serde_json::from_str(&line).unwrap();
        let data = match request["type"].as_str() {
            Some("hello") => json!({"protocol": 1, "server": server, "owner": "cli", "features": []}),
            _ => json!({"workers": []}),
        };
        if writeln!(out, "{}", json!({"id": request["id"], "success": true, "data": data})).is_err() {
            return;
        }
    }
}

#[test]
fn an_impostor_is_refused_and_both_processes_are_named() {
    let gob = Gob::new();
    gob.ctl(["start", "g"]).ok();
    let gobd = gob.gobd_pid();
    // Moved by rename, so that the supervisor, which makes a missing socket again, finds one that answers.
    let false_socket = gob.runtime_dir().join("false.sock");
    let listener = UnixListener::bind(&false_socket).unwrap();
    fs::rename(&false_socket, gob.socket()).unwrap();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let stream = stream.unwrap();
            std::thread::spawn(move || answer(stream));
        }
    });
    let list = gob.ctl(["list", "--json"]).fails(7);
    let error: Value = serde_json::from_str(&list.stderr).unwrap();
    let own = format!("is served by pid {}, ", std::process::id());
    let said = format!("{own}and the supervisor that");
    let message = error["error"]["message"].as_str().unwrap();
    assert!(message.contains(&said) && message.ends_with(&format!("names is pid {gobd}")), "{list}");
    assert_eq!(error["error"]["code"], "supervisor-unreachable");
    let hint = error["error"]["hint"].as_str().unwrap();
    assert!(hint.contains(&format!("kill {}", std::process::id())), "{list}");
    if let Some(python) = python() {
        let example = client(&gob, &python, &["stop", "g"]).fails(1);
        assert!(example.stderr.starts_with("error: ") && example.stderr.contains(&own), "{example}");
    }
    // A socket that can't be compared is believed: another state directory has no supervisor.
    let elsewhere = gob.dir().join("elsewhere");
    let believed = gob.ctl(["list", "--json"]).env("GOB_STATE_DIR", elsewhere.to_str().unwrap()).json();
    assert_eq!(believed, json!({"workers": []}));
    fs::remove_file(gob.socket()).unwrap();
    assert!(wait::until(DEADLINE, || gob.ctl(["get", "g"]).run().code == 0), "its own socket is back");
}

#[test]
fn a_supervisor_in_a_namespace_of_its_own_is_known_by_its_number_there() {
    if !root("only root can make a namespace of processes") {
        return;
    }
    let gob = Gob::new();
    let mut inner = Ctl::new("/usr/bin/unshare".as_ref(), gob.env());
    let script = "gobctl start g >&2; echo up; exec sleep 1000";
    inner.args(["--pid", "--fork", "--kill-child", "/bin/sh", "-c", script]);
    let mut inner = inner.command().stdout(Stdio::piped()).spawn().unwrap();
    let mut up = String::new();
    BufReader::new(inner.stdout.take().unwrap()).read_line(&mut up).unwrap();
    if up == "up\n" {
        let lock = gob.lock_line().unwrap();
        let list = gob.ctl(["list", "--json"]).json();
        assert_eq!(
            (&list["workers"][0]["name"], &list["workers"][0]["state"]),
            (&json!("g"), &json!("ready"))
        );
        assert_ne!(lock["pid"].as_i64(), Some(i64::from(inner.id())));
    } else {
        skip(Need::Namespaces, "a namespace of processes can't be made here");
    }
    Handle::open(i32::try_from(inner.id()).unwrap()).unwrap().signal(Signal::SIGKILL);
    inner.wait().unwrap();
    assert_eq!(gob.wait_empty(DEADLINE), Vec::<i32>::new());
}
