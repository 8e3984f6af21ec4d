//! The fixture worker itself, without a supervisor: its switches have the effects that the other tests rely
//! on.
#![allow(missing_docs, reason = "a test has no interface")]

use gob_tests::conn::Conn;
use gob_tests::process::{self, Handle};
use gob_tests::script::{Child, Facts, Flood, Step, Write};
use gob_tests::wait::{self, DEADLINE};
use nix::sys::signal::Signal;
use serde_json::{Value, json};
use std::fs;
use std::io::{BufRead, BufReader, Read};
use std::path::PathBuf;
use std::process::{Command, Stdio};

struct Fixture {
    gob: gob_tests::Gob,
    process: std::process::Child,
}

impl Fixture {
    fn start(steps: &[Step]) -> Self {
        let gob = gob_tests::Gob::new();
        gob.script("g", steps);
        gob.fifo("g", "go");
        let process = Command::new(gob.bin("gob-graph-worker"))
            .arg("--root-dir")
            .arg(gob.data_dir())
            .args(["--graph", "g", "--socket"])
            .arg(Self::socket(&gob))
            .envs(gob.env())
            .env("GOB_RUN", "1")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        Self { gob, process }
    }

    fn socket(gob: &gob_tests::Gob) -> PathBuf {
        gob.dir().join("g.sock")
    }

    fn first_line(&mut self) -> String {
        let mut line = String::new();
        BufReader::new(self.process.stdout.as_mut().unwrap()).read_line(&mut line).unwrap();
        line
    }

    fn end(mut self) {
        self.process.kill().unwrap();
        self.process.wait().unwrap();
        for handle in self.gob.children("g", 1).into_iter().filter_map(Handle::open) {
            handle.signal(Signal::SIGKILL);
            assert!(handle.wait_gone(DEADLINE));
        }
    }
}

#[test]
fn the_fixture_is_ready_and_answers_on_its_socket() {
    let mut fixture = Fixture::start(&[Step::Listen, Step::Handshake]);
    let line: Value = serde_json::from_str(&fixture.first_line()).unwrap();
    assert_eq!(line["ready"], true);
    let socket = Fixture::socket(&fixture.gob);
    assert_eq!(line["endpoint"], format!("unix:{}", socket.display()));
    let mut conn = Conn::open(&socket);
    assert_eq!(conn.ok("ping", json!({}))["pid"], fixture.process.id());
    conn.post("exit", json!({"code": 7}));
    assert_eq!(fixture.process.wait().unwrap().code(), Some(7));
}

#[test]
fn the_fixture_reports_its_surroundings() {
    let mut fixture = Fixture::start(&[Step::Handshake]);
    fixture.first_line();
    let facts: Facts = fixture.gob.facts("g", 1);
    assert_eq!(facts.pid, fixture.process.id() as i32);
    assert_eq!(facts.var("USER"), Some("tester"));
    assert_eq!(facts.fds.first(), Some(&(0, "/dev/null".to_owned())));
    // Neither SIGPIPE is ignored nor anything caught: the runtime of Rust had no chance to.
    assert_eq!(facts.status["SigCgt"].trim_start_matches('0'), "");
    assert!(facts.status.contains_key("Umask"), "{:?}", facts.status);
    fixture.end();
}

#[test]
fn makes_processes_of_every_sort() {
    let away =
        Child { detach: true, env_clear: true, close_fds: true, ignore_term: true, ..Default::default() };
    let steps = [
        Step::Child(Child::default()),
        Step::Child(Child { setsid: true, ..Default::default() }),
        Step::Child(away),
        Step::Child(Child { stop: true, ..Default::default() }),
        Step::Handshake,
    ];
    let mut fixture = Fixture::start(&steps);
    fixture.first_line();
    let leader = fixture.process.id() as i32;
    let children = fixture.gob.children("g", 1);
    let [plain, session, away, stopped] = children[..] else { panic!("{children:?}") };
    assert_eq!(process::parent(plain), Some(leader));
    let sid = |pid| process::stat_field(pid, 6);
    assert_eq!(sid(plain), sid(leader));
    assert_eq!(sid(session), Some(session.to_string()));
    assert!(wait::until(DEADLINE, || process::parent(away) != Some(leader)));
    assert_ne!(sid(away), sid(leader));
    assert_eq!(fs::read(format!("/proc/{away}/environ")).unwrap(), b"");
    assert_eq!(fs::read_dir(format!("/proc/{away}/fd")).unwrap().count(), 0);
    assert!(process::is_stopped(stopped));
    // The harness's search at the end of a test finds them all.
    let found = process::belonging_to(fixture.gob.dir());
    assert!(children.iter().all(|pid| found.contains(pid)), "{found:?} {children:?}");
    let away = Handle::open(away).unwrap();
    away.signal(Signal::SIGTERM);
    assert!(process::is_alive(away.pid), "it ignores TERM");
    fixture.end();
}

#[test]
fn waits_writes_and_exits() {
    let write = Write { text: "é{HANDSHAKE}\n".to_owned(), stderr: true, chunk: 1 };
    let mut fixture = Fixture::start(&[
        Step::Bytes(vec![0xff, 0, b'\n']),
        Step::Write(write),
        Step::Flood(Flood { bytes: 100_000, line: 100, stderr: false }),
        Step::WaitFor("go".to_owned()),
        Step::Exit(3),
    ]);
    let mut stdout = vec![0; 100_003];
    fixture.process.stdout.as_mut().unwrap().read_exact(&mut stdout).unwrap();
    assert_eq!(stdout.iter().filter(|byte| **byte == b'\n').count(), 1001);
    assert!(fixture.process.try_wait().unwrap().is_none(), "it waits");
    fixture.gob.release("g", "go");
    assert_eq!(fixture.process.wait().unwrap().code(), Some(3));
    let mut stderr = String::new();
    fixture.process.stderr.take().unwrap().read_to_string(&mut stderr).unwrap();
    assert!(stderr.starts_with("é{\"") && stderr.contains("\"ready\":true"), "{stderr}");
}

#[test]
fn a_process_that_is_left_behind_fails_the_test_and_is_ended() {
    let mut fixture = Fixture::start(&[Step::Ignore(vec!["TERM".to_owned()]), Step::Handshake]);
    fixture.first_line();
    let Fixture { gob, mut process } = fixture;
    let dropped = std::panic::catch_unwind(std::panic::AssertUnwindSafe(move || drop(gob)));
    let message = *dropped.expect_err("the drop panics").downcast::<String>().unwrap();
    assert!(message.contains(&format!("{} (state S", process.id())), "{message}");
    assert_eq!(process.wait().unwrap().code(), None, "it was killed");
}
