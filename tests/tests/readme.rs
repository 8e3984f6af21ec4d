//! The README's walk-through, line by line, with the real binaries.
#![allow(missing_docs, reason = "a test has no interface")]

use gob_tests::console::{self, Command, Session};
use gob_tests::wait::{self, DEADLINE};
use gob_tests::{Ctl, Gob, Worker};
use serde_json::json;
use std::io::Read;
use std::path::Path;
use std::process::{Child, Stdio};
use std::sync::{Arc, Mutex};

const README: &str = include_str!("../../README.md");

/// A command that goes on in a terminal of its own.
struct Terminal {
    command: Command,
    process: Child,
    shown: Arc<Mutex<String>>,
}

impl Terminal {
    fn open(gob: &Gob, command: &Command) -> Self {
        let pty = nix::pty::openpty(None, None).unwrap();
        let mut call = Ctl::new("/bin/sh".as_ref(), gob.env());
        call.args(["-c", &format!("exec {}", command.line)]).env("NO_COLOR", "1").env("TERM", "xterm");
        call.command().stdout(Stdio::from(pty.slave.try_clone().unwrap())).stderr(Stdio::from(pty.slave));
        let process = call.spawn();
        // The descriptors of the child that `call` still holds would keep the terminal open.
        drop(call);
        let shown = Arc::new(Mutex::new(String::new()));
        let (mut master, screen) = (std::fs::File::from(pty.master), Arc::clone(&shown));
        std::thread::spawn(move || {
            let mut chunk = [0; 4096];
            // The end of a terminal is an error.
            while let Ok(len @ 1..) = master.read(&mut chunk) {
                screen.lock().unwrap().push_str(&String::from_utf8_lossy(&chunk[..len]));
            }
        });
        Self { command: command.clone(), process, shown }
    }

    /// What it has shown begins as the document says; the document does not follow it to its end.
    fn check_and_close(mut self, places: &[(String, &str)]) {
        let expected = console::normalise(&self.command.expected, places);
        assert!(expected.lines().count() >= 3, "nothing is expected of $ {}", self.command.line);
        let shown = || console::normalise(&self.shown.lock().unwrap(), places);
        let same = wait::until(DEADLINE, || shown().starts_with(&expected));
        assert!(same, "$ {}\n--- expected\n{expected}\n--- shown\n{}", self.command.line, shown());
        self.process.kill().unwrap();
        self.process.wait().unwrap();
    }
}

/// The environment of a test, and what the examples need of the caller's: Python, and Cargo with its downloads.
fn equipped(gob: &Gob, call: &mut Ctl) {
    let own = |name| std::env::var(name).unwrap_or_default();
    let path = gob.env().into_iter().find(|(name, _)| name == "PATH").unwrap().1;
    call.env("PATH", &format!("{path}:{}", own("PATH")));
    for (name, below_home) in [("CARGO_HOME", ".cargo"), ("RUSTUP_HOME", ".rustup")] {
        let set = std::env::var(name).unwrap_or_else(|_| format!("{}/{below_home}", own("HOME")));
        call.env(name, &set);
    }
    call.cwd(&Path::new(env!("CARGO_MANIFEST_DIR")).join(".."));
}

fn has_python() -> bool {
    std::process::Command::new("python3")
        .arg("--version")
        .output()
        .is_ok_and(|output| output.status.success())
}

fn type_in(gob: &Gob, command: &Command, places: &[(String, &str)]) {
    let mut call = Ctl::new("/bin/sh".as_ref(), gob.env());
    equipped(gob, &mut call);
    let output = call.args(["-c", &format!("{{ {}\n}} 2>&1", command.line)]).run();
    let (shown, expected) =
        (console::normalise(&output.stdout, places), console::normalise(&command.expected, places));
    assert_eq!(shown, expected, "$ {}", command.line);
    let fails = command.expected.starts_with("error: ");
    assert_eq!(output.code != 0, fails, "$ {} exits {}", command.line, output.code);
}

#[test]
fn the_walk_through_works_line_by_line() {
    let gob = Gob::with(Worker::Real);
    let places = [
        (gob.runtime_dir().display().to_string(), "/run/user/1000/gob"),
        (gob.data_dir().display().to_string(), "~/.local/share/gob/graphs"),
        (gob.state_dir().display().to_string(), "~/.local/state/gob"),
    ];
    let sessions: Vec<Session> = console::sessions(README);
    assert!(sessions.iter().any(|session| session.second_terminal), "events are shown in a second terminal");
    let mut terminals = Vec::new();
    let mut typed = 0;
    for session in &sessions {
        // The walk through the crates needs Python; it stands behind all others and has a start and an end of its own.
        if session.commands.iter().any(|command| command.line.contains(" crates")) && !has_python() {
            eprintln!("SKIPPED: python3 is not here, so nobody tried the README's `crates`");
            continue;
        }
        for command in &session.commands {
            if session.second_terminal {
                terminals.push(Terminal::open(&gob, command));
                let open = terminals.len() as u64;
                let listening =
                    || gob.connect().ok("status", json!({}))["subscribers"].as_u64() == Some(open);
                assert!(wait::until(DEADLINE, listening), "$ {} does not listen", command.line);
            } else {
                type_in(&gob, command, &places);
                typed += 1;
            }
        }
    }
    assert!(typed >= 8, "only {typed} commands");
    for terminal in terminals {
        terminal.check_and_close(&places);
    }
}

#[test]
fn the_test_command_of_ci_is_in_the_readme() {
    let block = README.split("<!-- ci: test -->\n```sh\n").nth(1).and_then(|rest| rest.split("```").next());
    let command = block.expect("a block that .ci/run can extract");
    assert!(command.contains("cargo build --workspace --bins") && command.contains("cargo test --workspace"));
}
