//! Directories of a test's own, gobctl run in them, and a scripted server of the protocol.
//!
//! The `tests/` crate has the tests with the real supervisor; here a script plays a misbehaving one.

#![allow(dead_code, reason = "each test file uses a part of it")]

use serde_json::{Value, json};
use std::ffi::OsStr;
use std::io::{BufRead, BufReader, Write};
use std::os::unix::fs::DirBuilderExt;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread;

/// Temporary gob directories, removed at the end.
pub(crate) struct World {
    pub(crate) dir: PathBuf,
}

impl World {
    pub(crate) fn new() -> Self {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let dir = std::env::temp_dir().join(format!("gobctl-{}-{number}", std::process::id()));
        let make = |name: &str| {
            let path = dir.join(name);
            std::fs::DirBuilder::new().recursive(true).mode(0o700).create(path).unwrap();
        };
        ["run", "state", "data", "libexec"].into_iter().for_each(make);
        // `GOB_CONFIG` names it, so it must exist.
        std::fs::write(dir.join("config.toml"), "").unwrap();
        Self { dir }
    }

    pub(crate) fn state(&self) -> PathBuf {
        self.dir.join("state")
    }

    pub(crate) fn socket(&self) -> PathBuf {
        self.dir.join("run/daemon.sock")
    }

    /// Returns gobctl with this world's directories.
    pub(crate) fn command(&self, args: &[&str]) -> Command {
        self.command_of(env!("CARGO_BIN_EXE_gobctl"), args)
    }

    /// Returns another copy of gobctl, which finds its siblings beside itself.
    pub(crate) fn command_of(&self, program: impl AsRef<OsStr>, args: &[&str]) -> Command {
        let mut command = Command::new(program);
        command.args(args).env_clear().stdin(Stdio::null());
        command.env("HOME", &self.dir).env("PATH", "/usr/bin:/bin");
        command.env("GOB_RUNTIME_DIR", self.dir.join("run")).env("GOB_STATE_DIR", self.state());
        command.env("GOB_DATA_DIR", self.dir.join("data")).env("GOB_CONFIG", self.dir.join("config.toml"));
        command
    }

    /// Makes a copy of gobctl with a keeper beside it that is this shell script; `$3` is the readiness
    /// descriptor.
    pub(crate) fn with_keeper(&self, script: &str) -> PathBuf {
        let (program, keeper) = (self.dir.join("libexec/gobctl"), self.dir.join("libexec/gob-keeper"));
        // Written by another process: a descriptor of ours, open for writing, would be in any fork of another
        // test meanwhile, and the kernel runs no file that is open for writing.
        let make = "cp \"$1\" \"$2\" && printf '#!/bin/sh\n%s\n' \"$4\" > \"$3\" && chmod 755 \"$3\"";
        let mut command = Command::new("sh");
        command.args(["-c", make, "sh", env!("CARGO_BIN_EXE_gobctl")]).arg(&program).arg(keeper).arg(script);
        assert!(command.status().unwrap().success());
        program
    }

    /// Runs gobctl to its end.
    pub(crate) fn run(&self, args: &[&str]) -> Ran {
        Ran::of(self.command(args).output().unwrap())
    }

    /// Serves this world's socket by a script: request type and payload in, frames out, `ID` standing for the
    /// id. An empty answer closes the connection.
    pub(crate) fn serve(&self, script: impl Fn(&str, &Value) -> Vec<String> + Send + Clone + 'static) {
        serve(&self.socket(), script);
    }
}

impl Drop for World {
    fn drop(&mut self) {
        std::fs::remove_dir_all(&self.dir).ok();
    }
}

/// The result of a run of gobctl.
#[derive(Debug)]
pub(crate) struct Ran {
    pub(crate) code: Option<i32>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Ran {
    pub(crate) fn of(output: Output) -> Self {
        Self {
            code: output.status.code(),
            stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
            stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
        }
    }

    /// Asserts the exit code and both streams.
    #[track_caller]
    pub(crate) fn is(&self, code: i32, stdout: &str, stderr: &str) {
        assert_eq!((self.code, self.stdout.as_str(), self.stderr.as_str()), (Some(code), stdout, stderr));
    }
}

pub(crate) fn serve(socket: &Path, script: impl Fn(&str, &Value) -> Vec<String> + Send + Clone + 'static) {
    let listener = UnixListener::bind(socket).unwrap();
    thread::spawn(move || {
        for stream in listener.incoming() {
            let script = script.clone();
            thread::spawn(move || answer(stream.unwrap(), script));
        }
    });
}

fn answer(stream: UnixStream, script: impl Fn(&str, &Value) -> Vec<String>) {
    let mut out = stream.try_clone().unwrap();
    for line in BufReader::new(stream).lines() {
        let Ok(line) = line else { return };
        let request: Value = serde_json::from_str(&line).unwrap();
        let kind = request["type"].as_str().unwrap();
        let frames = match kind {
            "hello" => script(kind, &request["payload"])
                .into_iter()
                .chain([hello(env!("CARGO_PKG_VERSION"))])
                .take(1)
                .collect(),
            _ => script(kind, &request["payload"]),
        };
        if frames.is_empty() {
            return;
        }
        for frame in frames {
            let frame = frame.replace("\"ID\"", &request["id"].to_string());
            if writeln!(out, "{frame}").is_err() {
                return;
            }
        }
    }
}

pub(crate) fn hello(version: &str) -> String {
    let server =
        json!({"version": version, "pid": 4200, "instance": "i", "started_at": "2026-11-20T10:00:00.000Z"});
    ok(json!({"protocol": 1, "server": server, "owner": "cli", "features": ["jobs"]}))
}

pub(crate) fn ok(data: Value) -> String {
    json!({"id": "ID", "success": true, "data": data}).to_string()
}

pub(crate) fn refused(code: &str, message: &str, hint: &str, details: Value) -> String {
    let error = json!({"code": code, "message": message, "hint": hint, "details": details});
    json!({"id": "ID", "success": false, "error": error}).to_string()
}

/// A job's view.
pub(crate) fn job(name: &str, command: &[&str], changes: Value) -> Value {
    let mut view = view(name, json!({"kind": "job", "graph": null, "endpoint": null, "command": command}));
    for (key, value) in changes.as_object().unwrap() {
        view[key] = value.clone();
    }
    view
}

pub(crate) fn view(name: &str, changes: Value) -> Value {
    let mut view = json!({
        "name": name, "kind": "graph", "graph": name, "description": null, "root_dir": "/g", "cwd": "/g",
        "command": ["gob-graph-worker"], "owner": "cli", "owned": true, "state": "ready", "pid": 4242, "pgid": 4242,
        "endpoint": format!("unix:/run/{name}.sock"), "meta": {}, "run": 1, "created_at": "2026-11-20T10:00:00.000Z",
        "started_at": "2026-11-20T10:00:00.000Z", "ready_at": "2026-11-20T10:00:00.038Z", "stopped_at": null,
        "exit": null, "restarts": 0, "next_restart_at": null, "leases": 0, "lease_holders": [], "stdout_path": null, "stderr_path": null,
        "reason": null,
    });
    for (key, value) in changes.as_object().unwrap() {
        view[key] = value.clone();
    }
    view
}
