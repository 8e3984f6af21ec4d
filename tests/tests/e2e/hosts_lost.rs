//! `--host` when the connection dies, or there is no sign of life.

use gob_tests::process::Handle;
use gob_tests::terminal::Terminal;
use gob_tests::there::There;
use gob_tests::wait::{self, DEADLINE};
use nix::sys::signal::Signal;
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
    let mut gone = said.by_ref().map_while(Result::ok).filter(|line| !line.starts_with("Connection"));
    let gone = gone.find(|line| line.contains("lost") || line.contains("supervisor"));
    assert_eq!(gone.as_deref(), Some("the connection to ssh://there was lost; connecting again"));
    // A lock whose connection is gone is nobody's: its command ends.
    let mut told = String::new();
    run.stderr.take().unwrap().read_to_string(&mut told).unwrap();
    assert_eq!(run.wait().unwrap().code(), Some(125), "{told}");
    let want = "the connection to ssh://there was lost, and with it the lock; the command is ended";
    assert!(told.contains(want) && !told.contains("supervisor"), "{told}");
    events.kill().unwrap();
    events.wait().unwrap();
    let after = there.ctl(["ping"]).fails(7);
    assert!(after.stderr.contains("Connection refused"), "{after}");
}

#[test]
fn a_stream_whose_connection_is_lost_is_not_said_to_have_lost_its_supervisor() {
    let Some(there) = There::new() else { return };
    there.ctl(["start", "g"]).ok();
    let before = there.ssh();
    let mut events = there.ctl(["events", "--json"]);
    let mut events = events.command().stderr(Stdio::piped()).spawn().unwrap();
    let mut said = BufReader::new(events.stderr.take().unwrap()).lines();
    let mut lines = BufReader::new(events.stdout.take().unwrap()).lines();
    assert!(wait::until(DEADLINE, || there.ssh().len() > before.len()));
    assert!(
        wait::until(DEADLINE, || there.ctl(["status", "--json"]).json()["connections"].as_u64() >= Some(2))
    );
    there.ctl(["stop", "g"]).ok();
    assert!(lines.next().is_some());
    for ssh in there.ssh() {
        Handle::open(ssh).unwrap().signal(Signal::SIGTERM);
    }
    let mut says = |want: &str| {
        let line = said.by_ref().map_while(Result::ok).find(|line| !line.starts_with("Killed by"));
        assert_eq!(line.as_deref(), Some(want));
    };
    says("the connection to ssh://there was lost; connecting again");
    says("connected to ssh://there again; nothing was missed");
    events.kill().unwrap();
    events.wait().unwrap();
}

#[test]
fn a_terminal_whose_connection_is_lost_is_left_as_it_was() {
    let Some(there) = There::new() else { return };
    there.ctl(["start", "g"]).ok();
    for signal in [Signal::SIGTERM, Signal::SIGKILL] {
        let screen = Terminal::session(there.ctl(["tui"]), 100);
        let mode = screen.mode();
        screen.wait_for(|shown| shown.contains("ready"));
        assert_ne!(screen.mode(), mode, "ssh has its own");
        for ssh in there.ssh() {
            Handle::open(ssh).unwrap().signal(signal);
        }
        assert!(wait::until(DEADLINE, || screen.mode() == mode), "{signal}: {}", screen.shown());
        let (code, shown) = screen.end();
        assert_eq!(code, 7, "{signal}: {shown}");
        let (drawn, after) = shown.rsplit_once("\u{1b}[?1049l").unwrap_or((&shown, ""));
        assert!(
            after.contains("failed: it could not connect, or lost the connection"),
            "{signal}: it is told on the screen from before: {shown}"
        );
        for undone in ["\u{1b}[?1006l", "\u{1b}[?1000l", "\u{1b}[?2004l", "\u{1b}[?25h"] {
            assert!(drawn.ends_with(undone) || drawn.contains(undone), "{signal}: {undone:?} in {shown}");
        }
    }
}

/// Follows a log over there, on a terminal, until something has come.
fn follow(there: &There) -> Terminal {
    there.ctl(["start", "g"]).ok();
    let terminal = Terminal::session(there.ctl(["logs", "-f", "g"]), 100);
    terminal.wait_for(|shown| !shown.is_empty());
    terminal
}

#[test]
fn a_key_that_ends_a_verb_over_there_is_no_failure_of_ssh() {
    let Some(there) = There::new() else { return };
    for (key, code) in [("\u{3}", 130), ("\u{1c}", 131)] {
        let mut terminal = follow(&there);
        terminal.type_in(key);
        let (ended, shown) = terminal.end();
        assert_eq!(ended, code, "{shown}");
        assert!(!shown.contains("error") && !shown.contains("ssh"), "{shown}");
    }
}

#[test]
fn a_signal_to_gobctl_here_is_no_failure_of_ssh() {
    let Some(there) = There::new() else { return };
    for (signal, code) in [(Signal::SIGTERM, 143), (Signal::SIGHUP, 129)] {
        let terminal = follow(&there);
        Handle::open(terminal.pid()).unwrap().signal(signal);
        let (ended, shown) = terminal.end();
        assert_eq!(ended, code, "{shown}");
        assert!(!shown.contains("error"), "{shown}");
        assert!(wait::until(DEADLINE, || there.gob.running("gobctl").is_empty()), "it ended over there, too");
    }
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
