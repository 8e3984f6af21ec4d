//! Output in files: every byte, both streams, an index beside them, and no client delayed by it (D5, E3).

use gob_protocol::logindex::{RECORD_BYTES, Record, Stream};
use gob_tests::Gob;
use gob_tests::process::Handle;
use gob_tests::script::{Child, Flood, Step, Write};
use gob_tests::wait::{self, DEADLINE};
use nix::sys::signal::Signal;
use serde_json::json;
use std::fs;
use std::io::{BufRead, BufReader};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

fn write(text: &str, stderr: bool) -> serde_json::Value {
    json!(Write { text: text.to_owned(), stderr, chunk: 0 })
}

fn len(path: &Path) -> u64 {
    fs::metadata(path).map_or(0, |meta| meta.len())
}

fn index(path: &Path) -> Vec<Record> {
    let bytes = fs::read(path).unwrap_or_default();
    assert_eq!(bytes.len() % RECORD_BYTES, 0, "whole records");
    let records = bytes.as_chunks::<RECORD_BYTES>().0.iter();
    records.map(|bytes| Record::from_bytes(bytes).expect("a record")).collect()
}

#[test]
fn both_streams_are_in_their_files_byte_for_byte() {
    let gob = Gob::new();
    let noise: Vec<u8> = (0..=255).collect();
    gob.script("g", &[Step::Listen, Step::Handshake, Step::Bytes(noise.clone())]);
    let data = gob.connect_as("cli").ok("start", json!({"graph": "g"}));
    let (out, err) = (gob.log("g", 1, "stdout"), gob.log("g", 1, "stderr"));
    assert_eq!(data["worker"]["stdout_path"], json!(out));
    assert_eq!(data["worker"]["stderr_path"], json!(err));
    let ends_with = |end: &[u8]| wait::until(DEADLINE, || fs::read(&out).is_ok_and(|all| all.ends_with(end)));
    // The worker listens before it makes noise, and does both at once.
    assert!(ends_with(&noise));
    let mut worker = gob.worker("g");
    worker.ok("write", write("to stdout é\n", false));
    worker.ok("write", write("to stderr\n", true));
    assert!(ends_with(&[noise.as_slice(), "to stdout é\n".as_bytes()].concat()));
    assert!(wait::until(DEADLINE, || fs::read(&err).is_ok_and(|bytes| bytes == b"to stderr\n")));
    for path in [&out, &err] {
        assert_eq!(fs::metadata(path).unwrap().permissions().mode() & 0o777, 0o600);
    }
    assert_eq!(fs::metadata(out.parent().unwrap()).unwrap().permissions().mode() & 0o077, 0);
}

#[test]
fn the_index_has_the_time_of_each_write() {
    let gob = Gob::new();
    gob.connect_as("cli").ok("start", json!({"graph": "g"}));
    let mut worker = gob.worker("g");
    let file = gob.state_dir().join("logs/g/1.idx");
    let (out, err) = (gob.log("g", 1, "stdout"), gob.log("g", 1, "stderr"));
    assert!(wait::until(DEADLINE, || len(&out) > 0), "the handshake is in the log");
    for round in 0..3 {
        for (stderr, path) in [(false, &out), (true, &err)] {
            let before = len(path);
            worker.ok("write", write(&format!("line {round}\n"), stderr));
            assert!(wait::until(DEADLINE, || len(path) == before + 7), "{}", path.display());
        }
    }
    gob.connect_as("cli").ok("stop", json!({"name": "g"}));
    for (stream, path) in [(Stream::Stdout, &out), (Stream::Stderr, &err)] {
        let covered = || {
            index(&file)
                .iter()
                .filter(|r| r.stream == stream)
                .filter_map(|r| r.len)
                .map(u64::from)
                .sum::<u64>()
        };
        assert!(wait::until(DEADLINE, || covered() == len(path)), "{} of {}", covered(), len(path));
        let mut next = 0;
        for record in index(&file).into_iter().filter(|r| r.stream == stream) {
            if let Some(len) = record.len {
                assert_eq!(record.offset, next, "no hole and no overlap");
                next += u64::from(len);
            }
        }
    }
    let lines: Vec<Stream> = index(&file).iter().filter(|r| r.len == Some(7)).map(|r| r.stream).collect();
    let expected = [Stream::Stdout, Stream::Stderr].repeat(3);
    assert_eq!(lines, expected, "the order in which the two streams were written");
    assert!(index(&file).windows(2).all(|pair| pair[0].time <= pair[1].time));
}

#[test]
fn a_flood_on_stderr_before_the_handshake_does_not_block_it() {
    let gob = Gob::new();
    let flood = Flood { bytes: 32 << 20, line: 100, stderr: true };
    gob.script("g", &[Step::Flood(flood), Step::Listen, Step::Handshake]);
    let data = gob.connect_as("cli").ok("start", json!({"graph": "g"}));
    assert_eq!(data["worker"]["state"], "ready");
}

#[test]
fn a_flooding_worker_delays_no_other_and_loses_nothing() {
    let gob = Gob::new();
    let mut conn = gob.connect_as("cli");
    conn.ok("start", json!({"graph": "loud"}));
    let mut loud = gob.worker("loud");
    let flood = Flood { bytes: 8 << 20, line: 80, stderr: false };
    let id = loud.post("flood", json!(flood));
    for n in 0..5 {
        let graph = format!("quiet {n}");
        conn.ok("start", json!({"graph": graph}));
        conn.ok("stop", json!({"name": graph}));
    }
    assert_eq!(loud.response(id)["success"], true);
    let out = gob.log("loud", 1, "stdout");
    assert!(wait::until(DEADLINE, || len(&out) > 1000), "the handshake is in the log");
    let handshake = fs::read(&out).unwrap().iter().position(|byte| *byte == b'\n').unwrap() as u64 + 1;
    assert!(wait::until(DEADLINE, || len(&out) == handshake + (8 << 20)), "{}", len(&out));
    let status = gob.status();
    assert_eq!(status["log_bytes_dropped"], 0, "{status}");
}

#[test]
fn the_end_of_a_worker_does_not_wait_for_a_holder_of_its_output() {
    let gob = Gob::new();
    let holder = Child { detach: true, hold_output: true, ..Default::default() };
    gob.script_of_run("g", 1, &[Step::Child(holder), Step::Listen, Step::Handshake]);
    let mut events = gob.events();
    gob.connect_as("cli").ok("start", json!({"graph": "g"}));
    let holder = Handle::open(gob.children("g", 1)[0]).unwrap();
    gob.worker("g").post("exit", json!({"code": 0}));
    let event = events.event("worker_stopped", "g");
    assert_eq!(event["worker"]["exit"], json!({"code": 0}));
    holder.signal(Signal::SIGKILL);
    assert!(holder.wait_gone(DEADLINE));
}

#[test]
fn every_run_has_its_own_files() {
    let gob = Gob::new();
    let mut conn = gob.connect_as("cli");
    for run in 1..=2 {
        conn.ok("start", json!({"graph": "g/h"}));
        gob.worker("g/h").ok("write", write(&format!("run {run}\n"), false));
        conn.ok("stop", json!({"name": "g/h"}));
        let out = gob.log("g/h", run, "stdout");
        let text = || fs::read_to_string(&out).unwrap_or_default();
        assert!(wait::until(DEADLINE, || text().ends_with(&format!("\nrun {run}\n"))), "{}", text());
    }
    assert!(gob.state_dir().join("logs/g~2Fh/1.stdout.log").exists());
    let shown = gob.ctl(["logs", "g/h"]).ok();
    assert!(shown.contains("run 2") && !shown.contains("run 1"), "{shown}");
}

#[test]
fn logs_shows_the_last_lines_and_keeps_the_streams_apart() {
    let gob = Gob::new();
    gob.connect_as("cli").ok("start", json!({"graph": "g"}));
    let mut worker = gob.worker("g");
    // Lines of two streams that are read at once have no order; these come one after the other.
    for n in 0..5 {
        for (stream, stderr) in [("out", false), ("err", true)] {
            let line = format!("{stream} {n}\n");
            worker.ok("write", write(&line, stderr));
            let log = gob.log("g", 1, if stderr { "stderr" } else { "stdout" });
            assert!(wait::until(DEADLINE, || fs::read_to_string(&log).is_ok_and(|all| all.ends_with(&line))));
        }
    }
    gob.connect_as("cli").ok("stop", json!({"name": "g"}));
    let all = || gob.ctl(["logs", "g"]).run();
    assert!(wait::until(DEADLINE, || {
        let output = all();
        output.stdout.contains("out 4\n") && output.stderr.contains("err 4\n")
    }));
    let output = all();
    assert!(!output.stdout.contains("err") && !output.stderr.contains("out "), "{output}");
    let output = gob.ctl(["logs", "g", "-n", "4"]).run();
    let lines = output.stdout.lines().count() + output.stderr.lines().count();
    assert_eq!(lines, 4, "{output}");
    assert!(output.stdout.ends_with("out 4\n") && output.stderr.ends_with("err 4\n"), "{output}");
    gob.ctl(["logs", "nobody"]).fails(4);
}

/// A `gobctl … -f` and the lines that it prints.
struct Follower {
    process: std::process::Child,
    lines: std::sync::mpsc::Receiver<String>,
}

impl Follower {
    fn of<const N: usize>(gob: &Gob, args: [&str; N]) -> Self {
        let mut process = gob.ctl(args).spawn();
        let (sender, lines) = std::sync::mpsc::channel();
        let stdout = BufReader::new(process.stdout.take().unwrap());
        let send = move |line| sender.send(line);
        std::thread::spawn(move || stdout.lines().map_while(Result::ok).try_for_each(send));
        Self { process, lines }
    }

    fn waits_for(&self, wanted: &str) {
        let mut seen = Vec::new();
        while let Ok(line) = self.lines.recv_timeout(DEADLINE) {
            if line.contains(wanted) {
                return;
            }
            seen.push(line);
        }
        panic!("no {wanted:?} in {seen:?}");
    }
}

impl Drop for Follower {
    fn drop(&mut self) {
        self.process.kill().unwrap();
        self.process.wait().unwrap();
    }
}

#[test]
fn following_shows_new_lines_and_goes_on_with_the_next_run() {
    let gob = Gob::new();
    let mut conn = gob.connect_as("cli");
    conn.ok("start", json!({"graph": "g"}));
    gob.worker("g").ok("write", write("before\n", false));
    let follower = Follower::of(&gob, ["logs", "g", "-f"]);
    follower.waits_for("before");
    gob.worker("g").ok("write", write("live\n", false));
    follower.waits_for("live");
    conn.ok("restart", json!({"name": "g"}));
    gob.worker("g").ok("write", write("of the next run\n", false));
    follower.waits_for("of the next run");
}

#[test]
fn following_goes_on_when_the_state_directory_was_moved_away() {
    let gob = Gob::new();
    let mut conn = gob.connect_as("cli");
    conn.ok("start", json!({"graph": "g"}));
    gob.worker("g").ok("write", write("before\n", false));
    let (worker, own) =
        (Follower::of(&gob, ["logs", "g", "-f"]), Follower::of(&gob, ["daemon", "logs", "-f"]));
    worker.waits_for("before");
    own.waits_for("serving");
    let mut events = gob.events();
    fs::rename(gob.state_dir(), gob.dir().join("aside")).unwrap();
    events.find("healing", DEADLINE, |event| event["event"] == "supervisor_healed");
    gob.worker("g").ok("write", write("after\n", false));
    worker.waits_for("after");
    own.waits_for("healed");
    gob.worker("g").ok("write", write("and later\n", false));
    worker.waits_for("and later");
}

#[test]
fn hundreds_of_runs_leave_the_logs_of_the_newest_ones() {
    let gob = Gob::new();
    fs::write(gob.dir().join("config.toml"), "[logs]\nruns = 20\n").unwrap();
    let mut conn = gob.connect_as("cli");
    conn.ok("start", json!({"graph": "g"}));
    for _ in 0..300 {
        conn.ok("restart", json!({"name": "g", "grace_ms": 0}));
    }
    let logs = gob.state_dir().join("logs/g");
    let runs = || {
        let names = fs::read_dir(&logs).unwrap().map(|file| file.unwrap().file_name().into_string().unwrap());
        let mut runs: Vec<u64> = names.map(|name| name.split('.').next().unwrap().parse().unwrap()).collect();
        runs.sort_unstable();
        runs.dedup();
        runs
    };
    assert!(wait::until(DEADLINE, || runs() == (281..=301).collect::<Vec<u64>>()), "{:?}", runs());
    assert!(fs::read_dir(&logs).unwrap().count() <= 3 * 21);
}
