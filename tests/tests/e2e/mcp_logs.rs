//! Words for agents about logs that are out of the ordinary: of workers that never stop writing, on a full disk, of jobs that the
//! supervisor has forgotten, with lines that are cut.

use crate::mcp::session::Session;
use gob_tests::Gob;
use gob_tests::process::Handle;
use gob_tests::wait::{self, DEADLINE};
use nix::sys::signal::Signal;
use serde_json::json;

#[test]
fn a_worker_that_never_stops_writing_is_answered_of() {
    let gob = Gob::new();
    let mut agent = Session::open(&gob, &[]);
    // A moment may be in the middle of a line.
    let ends =
        |text: &str| text.lines().last().is_some_and(|line| !line.is_empty() && "flood".starts_with(line));
    let told = agent
        .ok("run", json!({"command": ["yes", "flood"], "name": "flood", "timeout_ms": 1_500, "tail": 2}));
    assert!(told.text.starts_with("flood is still running after 1.5s, silent for "), "{}", told.text);
    assert!(told.data["silent_ms"].as_u64().unwrap() < 1_000, "{}", told.text);
    assert!(told.text.contains("\nflood\n"), "{}", told.text);
    assert!(agent.ok("wait", json!({"name": "flood", "timeout_ms": 100})).text.contains("\nflood\n"));
    let text = agent.ok("logs", json!({"name": "flood"})).text;
    assert!(text.starts_with("run 1 of flood: ") && ends(&text), "{text}");
    // On a busy machine it may have written nothing in that time.
    let text = agent.ok("logs", json!({"name": "flood", "since": "20ms", "tail": 3})).text;
    assert!(text.starts_with("run 1 of flood: no line matches") || ends(&text), "{text}");
    let read = agent.request("resources/read", json!({"uri": "gob://workers/flood/log"}));
    assert!(read["result"]["contents"][0]["text"].as_str().is_some_and(ends), "{read}");
    let told = gob.ctl(["logs", "-n", "2", "flood"]).ok();
    assert!(told.starts_with("flood\n") && told.lines().count() == 2 && ends(&told), "{told}");
    let told = gob.ctl(["logs", "-n", "1", "--since", "1ms", "flood"]).ok();
    assert!(told.is_empty() || ends(&told), "{told}");
    assert!(agent.ok("stop", json!({"name": "flood", "force": true})).text.starts_with("stopped"));
    assert_eq!(agent.end().0, Some(0));
}

#[test]
fn what_was_cut_or_not_asked_for_is_said() {
    let gob = Gob::new();
    let mut agent = Session::open(&gob, &[]);
    let told = agent.ok("run", json!({"command": ["sh", "-c", "echo four; exit 1"], "name": "t", "tail": 0}));
    assert!(
        told.text.ends_with("its output of 5 bytes was not asked for (tail 0); logs has it"),
        "{}",
        told.text
    );
    let told = agent.ok("run", json!({"command": ["true"], "name": "silent", "tail": 0}));
    assert!(told.text.ends_with("it wrote nothing"), "{}", told.text);
    // One line, longer than what is read of a line, and longer than what is read at all.
    for (count, name) in [(3_000, "long"), (300_000, "longer")] {
        let command = ["sh", "-c", &format!("head -c {count} /dev/zero | tr '\\0' x")];
        let told = agent.ok("run", json!({"command": command, "name": name}));
        let cut = format!("its output ({count} bytes in all), lines longer than 2048 bytes are cut:\n");
        assert!(told.text.contains(&cut), "{}", told.text);
        assert_eq!(told.data["output_cut"], true);
        let text = agent.ok("logs", json!({"name": name})).text;
        let head =
            format!("run 1 of {name}: 1 line ({count} bytes in all), lines longer than 2048 bytes are cut\n");
        assert!(text.starts_with(&head), "{text}");
    }
    assert_eq!(agent.end().0, Some(0));
}

#[test]
fn the_files_of_a_job_that_the_supervisor_has_forgotten_are_read() {
    let gob = Gob::new();
    let mut agent = Session::open(&gob, &[]);
    let command = ["sh", "-c", "echo why; exit 1"];
    let told = agent.ok("queue_add", json!({"lane": "ci", "command": command, "max_attempts": 1}));
    let id = told.data["job"]["id"].as_str().unwrap().to_owned();
    let mut failed = || {
        let listed = agent.ok("queue_list", json!({"lane": "ci", "status": "failed"}));
        listed.data["jobs"][0]["id"] == id.as_str()
    };
    assert!(wait::until(DEADLINE, &mut failed), "the job of the queue does not end");
    let instance = gob.status()["instance"].as_str().unwrap().to_owned();
    Handle::open(gob.gobd_pid()).unwrap().signal(Signal::SIGKILL);
    gob.wait_other_instance(&instance);
    let text = agent.ok("logs", json!({"name": id})).text;
    assert!(text.contains(": 1 line, nothing left out\nwhy"), "{text}");
    let read = agent.request("resources/read", json!({"uri": format!("gob://workers/{id}/log")}));
    assert_eq!(read["result"]["contents"][0]["text"], "why\n", "{read}");
    assert!(agent.refused("logs", json!({"name": "none"})).starts_with("server-not-found: "));
    assert_eq!(agent.end().0, Some(0));
}
