//! `gobctl logs` and `events` for jobs: which lines are shown, of which workers and runs, and in which form (D5, D6).

use crate::streams::Running;
use gob_tests::process::Handle;
use gob_tests::terminal::Terminal;
use gob_tests::wait::{self, DEADLINE};
use gob_tests::{Ctl, Gob};
use nix::sys::signal::Signal;
use serde_json::Value;
use std::fs;
use std::path::PathBuf;
use std::process::Stdio;

/// A call of gobctl in a directory of the world.
fn ctl<'a>(gob: &Gob, place: &str, args: impl IntoIterator<Item = &'a str>) -> Ctl {
    let dir: PathBuf = gob.dir().join(place);
    fs::create_dir_all(&dir).unwrap();
    let mut call = gob.ctl(args);
    call.cwd(&dir);
    call
}

/// Runs a job of this name to its end; its output is in its files then.
fn ran(gob: &Gob, place: &str, name: &str, script: &str) {
    ctl(gob, place, ["run", "-q", "--stream", "--name", name, "--shell", script]).run();
}

fn objects(text: &str) -> Vec<Value> {
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// Moves the times of a run back by an hour: those of its index, and those of its files.
fn make_old(gob: &Gob, name: &str, run: u64) {
    let dir = gob.state_dir().join("logs").join(name);
    let index = dir.join(format!("{run}.idx"));
    let mut bytes = fs::read(&index).unwrap();
    for record in bytes.chunks_mut(24) {
        let time = i64::from_le_bytes(record[..8].try_into().unwrap()) - 3_600_000;
        record[..8].copy_from_slice(&time.to_le_bytes());
    }
    fs::write(&index, bytes).unwrap();
    let before = std::time::SystemTime::now() - std::time::Duration::from_secs(3600);
    for kind in ["idx", "stdout.log", "stderr.log"] {
        let file = fs::File::options().append(true).open(dir.join(format!("{run}.{kind}"))).unwrap();
        file.set_modified(before).unwrap();
    }
}

#[test]
fn workers_of_this_directory_or_named_ones_or_all() {
    let gob = Gob::new();
    ran(&gob, "a", "one", "echo first");
    ran(&gob, "a", "two", "echo second; printf unfinished");
    ran(&gob, "b", "other", "echo elsewhere");
    let here = ctl(&gob, "a", ["logs", "--here"]).ok();
    assert_eq!(here, "one | first\ntwo | second\ntwo | unfinished\n", "{here}");
    assert!(ctl(&gob, "a", ["logs"]).ok().contains("other | elsewhere\n"));
    assert_eq!(ctl(&gob, "b", ["logs", "two"]).ok(), "second\nunfinished", "byte for byte");
    let several = ctl(&gob, "b", ["logs", "two", "one", "-n", "1"]).ok();
    assert_eq!(several, "one | first\ntwo | unfinished\n");
    let nobody = ctl(&gob, "c", ["logs", "--here"]).run();
    assert!(nobody.code == 0 && nobody.stderr.contains("no worker has this working directory"), "{nobody}");
    ctl(&gob, "a", ["logs", "--here", "one"]).fails(2);
    gob.ctl(["shutdown"]).ok();
    let down = ctl(&gob, "a", ["--no-autostart", "logs", "--here"]).run();
    assert_eq!(down.stdout, here, "{down}");
    assert!(down.stderr.contains("no supervisor answers"), "{down}");
}

#[test]
fn only_lines_with_a_pattern() {
    let gob = Gob::new();
    ran(&gob, "a", "j", "for n in 1 2 3; do echo out $n; echo err $n >&2; done; printf 'out last'");
    let shown = gob.ctl(["logs", "j", "--grep", "t [12]$"]).run();
    assert_eq!((shown.stdout.as_str(), shown.stderr.as_str()), ("out 1\nout 2\n", ""), "{shown}");
    let both = gob.ctl(["logs", "j", "--grep", "3"]).run();
    assert_eq!((both.stdout.as_str(), both.stderr.as_str()), ("out 3\n", "err 3\n"), "{both}");
    assert_eq!(gob.ctl(["stdout", "j", "-n", "2", "--grep", "^OUT|(?i)^out"]).ok(), "out 3\nout last");
    assert_eq!(gob.ctl(["stderr", "j", "-n", "1", "--grep", "e"]).run().stderr, "err 3\n");
    let bad = gob.ctl(["logs", "j", "--grep", "out(1"]).fails(2);
    assert!(bad.stderr.contains("at character 4: (1"), "{bad}");
}

#[test]
fn only_lines_since_a_time_of_all_runs_in_it() {
    let gob = Gob::new();
    ran(&gob, "a", "j", "echo run 1");
    make_old(&gob, "j", 1);
    for _ in 0..2 {
        gob.ctl(["start", "-q", "j"]).run();
        gob.ctl(["wait", "j"]).ok();
    }
    let runs = |args: &[&str]| -> Vec<u64> {
        let shown = gob.ctl(["logs", "j", "--json"].iter().chain(args).copied()).ok();
        objects(&shown).iter().map(|line| line["run"].as_u64().unwrap()).collect()
    };
    assert!(wait::until(DEADLINE, || runs(&[]) == [3]));
    assert_eq!(runs(&["--since", "10m"]), [2, 3]);
    assert_eq!(runs(&["--since", "2h"]), [1, 2, 3]);
    assert_eq!(runs(&["--since", "2h", "-n", "2"]), [2, 3]);
    assert_eq!(runs(&["--since", "10m", "--run", "1"]), [0_u64; 0]);
    assert_eq!(runs(&["--run", "1"]), [1]);
    let bad = gob.ctl(["logs", "j", "--since", "yesterday"]).fails(2);
    assert!(bad.stderr.contains("not a duration"), "{bad}");
    gob.ctl(["runs", "delete", "j", "2"]).ok();
    // The answer does not wait for the disk.
    assert!(wait::until(DEADLINE, || gob.ctl(["logs", "j", "--run", "2"]).run().code != 0));
    let gone = gob.ctl(["logs", "j", "--run", "2"]).fails(1);
    assert!(gone.stderr.contains("there are: 1, 3"), "{gone}");
    assert_eq!(runs(&["--since", "2h"]), [1, 3]);
}

#[test]
fn each_object_is_a_whole_line_with_its_time() {
    let gob = Gob::new();
    // A line above 64 KiB comes from the files in parts.
    ran(&gob, "a", "j", "head -c 200000 /dev/zero | tr '\\0' x; echo; printf 'no \\377 end' >&2");
    let shown = gob.ctl(["logs", "j", "--json"]).ok();
    assert!(shown.starts_with("{\"time\":\"20"), "{}", &shown[..100]);
    let lines = objects(&shown);
    assert_eq!(lines.len(), 2);
    assert_eq!((&lines[0]["text"], &lines[0]["partial"]), (&"x".repeat(200_000).into(), &Value::Null));
    assert_eq!((&lines[1]["text"], &lines[1]["stream"]), (&"no \u{fffd} end".into(), &"stderr".into()));
    assert_eq!((&lines[1]["partial"], &lines[1]["name"]), (&true.into(), &"j".into()));
    assert!(lines.iter().all(|line| line["time"].is_string() && line["run"] == 1), "{}", lines[1]);
}

#[test]
fn a_terminal_gets_control_characters_only_when_asked() {
    let gob = Gob::new();
    ran(&gob, "a", "j", "printf '\\033[31mred\\033[0m\\n'");
    let (_, shown) = Terminal::open(gob.ctl(["logs", "j"]), 80).end();
    assert!(shown.contains("\\x1b[31mred") && !shown.contains('\u{1b}'), "{shown:?}");
    let (_, shown) = Terminal::open(gob.ctl(["logs", "j", "--raw"]), 80).end();
    assert!(shown.contains("\u{1b}[31mred\u{1b}[0m"), "{shown:?}");
    assert_eq!(gob.ctl(["logs", "j"]).ok(), "\u{1b}[31mred\u{1b}[0m\n");
    let shown = gob.ctl(["logs", "j", "--prefix", "--color", "always"]).ok();
    assert!(shown.starts_with("\u{1b}[36mj |\u{1b}[0m "), "{shown:?}");
}

#[test]
fn following_shows_whole_lines_of_workers_that_come_later() {
    let gob = Gob::new();
    fs::write(gob.dir().join("config.toml"), "[logs]\nrotate = \"64KiB\"\n").unwrap();
    ran(&gob, "a", "first", "echo early");
    let mut lines = Running::start(&mut ctl(&gob, "a", ["logs", "--here", "-f", "--json"]));
    let mut found =
        Running::start(&mut gob.ctl(["logs", "-f", "--since", "1h", "--grep", "begin.*end|last"]));
    lines.says("early");
    assert!(wait::until(DEADLINE, || gob.status()["subscribers"] == 2));
    ran(&gob, "b", "other", "echo elsewhere");
    fs::create_dir_all(gob.dir().join("a")).unwrap();
    let gate = gob.dir().join("a/gate");
    let script = "printf begin; until test -e gate; do sleep 0.02; done; echo ' and end'; head -c 300000 /dev/zero | tr '\\0' = | fold -w 1000; echo; echo the last";
    ctl(&gob, "a", ["add", "--name", "later", "--shell", script]).ok();
    assert!(wait::until(DEADLINE, || fs::read(gob.log("later", 1, "stdout")).is_ok_and(|t| t == b"begin")));
    fs::write(gate, "").unwrap();
    let line: Value = serde_json::from_str(&lines.says("begin and")).unwrap();
    assert_eq!(line["text"], "begin and end");
    assert!(line["time"].is_string(), "{line}");
    assert!(found.says("begin and").ends_with("| begin and end"));
    lines.says("the last");
    found.says("the last");
    ctl(&gob, "a", ["remove", "later"]).ok();
    lines.says("later was removed");
    lines.end();
    found.end();
}

#[test]
fn a_reader_that_has_seen_enough_ends_logs_quietly() {
    let gob = Gob::new();
    ran(&gob, "a", "j", "seq 100000");
    let mut call = gob.ctl(["logs", "j"]);
    let mut child = call.command().stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    drop(child.stdout.take());
    let output = child.wait_with_output().unwrap();
    assert_eq!((output.status.code(), output.stderr.as_slice()), (Some(0), &b""[..]));
}

#[test]
fn events_of_the_jobs_of_a_directory_go_on_after_a_killed_supervisor() {
    let gob = Gob::new();
    ran(&gob, "a", "first", "true");
    let mut here = Running::start(&mut ctl(&gob, "a", ["events", "--here", "--json", "--type", "stopped"]));
    let mut named = Running::start(&mut gob.ctl(["events", "other", "--format", "text"]));
    assert!(wait::until(DEADLINE, || gob.status()["subscribers"] == 2));
    ran(&gob, "b", "other", "true");
    ran(&gob, "a", "second", "exit 3");
    named.says("other");
    let event: Value = serde_json::from_str(&here.says("worker_stopped")).unwrap();
    assert_eq!(event["worker"]["name"], "second", "{event}");
    assert_eq!(event["worker"]["exit"]["code"], 3, "{event}");
    let status = gob.status();
    // A start does not wait for it.
    let written = || fs::read_to_string(gob.state_dir().join("last.json")).unwrap_or_default();
    assert!(wait::until(DEADLINE, || written().contains("\"second\"")));
    Handle::open(gob.gobd_pid()).unwrap().signal(Signal::SIGKILL);
    gob.wait_other_instance(status["instance"].as_str().unwrap());
    here.says("the supervisor has gone");
    here.says("what happened in between is not known");
    let snapshot = here.says("\"gap\":true");
    assert!(snapshot.contains("\"second\"") && !snapshot.contains("\"other\""), "{snapshot}");
    ran(&gob, "a", "third", "exit 0");
    let event: Value = serde_json::from_str(&here.says("worker_stopped")).unwrap();
    assert_eq!(event["worker"]["name"], "third", "{event}");
    here.end();
    named.end();
}
