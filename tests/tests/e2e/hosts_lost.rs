//! `--host` when the connection dies, or there is no sign of life.

use gob_tests::there::There;
use gob_tests::wait::{self, DEADLINE};
use std::io::{BufRead, BufReader, Read};
use std::process::Stdio;
use std::time::{Duration, Instant};

#[test]
fn a_connection_that_is_cut_ends_what_waits_on_it() {
    let Some(mut there) = There::new() else { return };
    there.ctl(["start", "g"]).ok();
    let lock = there.here.dir().join("ran");
    let script = format!("echo x >{}; exec sleep 60", lock.display());
    let mut run = there.ctl(["lock", "run", "deploy", "--", "sh", "-c", &script]).spawn();
    let mut events = there.ctl(["events", "--json"]);
    let mut events = events.command().stderr(Stdio::piped()).spawn().unwrap();
    let mut said = BufReader::new(events.stderr.take().unwrap()).lines();
    assert!(wait::until(DEADLINE, || lock.exists()));
    assert!(wait::until(DEADLINE, || there.calls().lines().count() >= 3));
    // The stream is up once an event came.
    let mut lines = BufReader::new(events.stdout.take().unwrap()).lines();
    there.ctl(["stop", "g"]).ok();
    assert!(lines.next().is_some());
    there.cut();
    let gone = said.by_ref().map_while(Result::ok).find(|line| line.contains("the supervisor has gone"));
    assert!(gone.is_some());
    // A lock whose connection is gone is nobody's: its command ends.
    let mut told = String::new();
    run.stderr.take().unwrap().read_to_string(&mut told).unwrap();
    assert_eq!(run.wait().unwrap().code(), Some(125), "{told}");
    events.kill().unwrap();
    events.wait().unwrap();
    let after = there.ctl(["ping"]).fails(7);
    assert!(after.stderr.contains("Connection refused"), "{after}");
}

#[test]
fn a_time_limit_counts_from_the_first_byte_of_ssh() {
    let Some(there) = There::new() else { return };
    // A host that takes the connection and says nothing.
    let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = silent.local_addr().unwrap().port();
    let begun = Instant::now();
    let late = there
        .here
        .ctl(["--host", &format!("ssh://127.0.0.1:{port}"), "--timeout", "700ms", "ping"])
        .fails(124);
    assert!(begun.elapsed() < Duration::from_secs(10), "{late}");
    assert!(late.stderr.contains("no answer to `ping` within 700 ms"), "{late}");
    assert!(wait::until(DEADLINE, || there.here.processes().is_empty()), "its ssh has ended");
}
