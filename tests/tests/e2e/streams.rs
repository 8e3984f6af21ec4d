//! Streams that go on until they are interrupted: across supervisors, within their time, and with a message
//! where they end (P4, F8).

use gob_tests::process::Handle;
use gob_tests::wait::{self, DEADLINE};
use gob_tests::{Ctl, Gob};
use nix::sys::signal::Signal;
use serde_json::Value;
use std::io::{BufRead, BufReader, Read};
use std::process::{Child, Stdio};
use std::sync::mpsc::{Receiver, channel};

/// A call of gobctl that goes on, and the lines of both its streams as they come.
pub(crate) struct Running {
    child: Child,
    lines: Receiver<String>,
    seen: Vec<String>,
    unread: Vec<String>,
}

impl Running {
    pub(crate) fn start(ctl: &mut Ctl) -> Self {
        ctl.command().stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = ctl.spawn();
        let (sender, lines) = channel();
        let streams: [Box<dyn Read + Send>; 2] =
            [Box::new(child.stdout.take().unwrap()), Box::new(child.stderr.take().unwrap())];
        for stream in streams {
            let sender = sender.clone();
            std::thread::spawn(move || {
                for line in BufReader::new(stream).lines().map_while(Result::ok) {
                    // The test may have seen enough.
                    drop(sender.send(line));
                }
            });
        }
        Self { child, lines, seen: Vec::new(), unread: Vec::new() }
    }

    /// Waits for a line with this text; each line is taken once, from either stream.
    #[track_caller]
    pub(crate) fn says(&mut self, what: &str) -> String {
        loop {
            if let Some(at) = self.unread.iter().position(|line| line.contains(what)) {
                return self.unread.remove(at);
            }
            let Ok(line) = self.lines.recv_timeout(DEADLINE) else {
                panic!("no {what:?} in {:#?}", self.seen);
            };
            self.seen.push(line.clone());
            self.unread.push(line);
        }
    }

    pub(crate) fn pid(&self) -> i32 {
        self.child.id() as i32
    }

    /// Waits for its end; returns all lines.
    #[track_caller]
    pub(crate) fn ends(mut self, code: i32) -> Vec<String> {
        assert!(Handle::open(self.child.id() as i32).unwrap().wait_gone(DEADLINE), "{:#?}", self.seen);
        let status = self.child.wait().unwrap();
        self.seen.extend(self.lines.iter());
        assert_eq!(status.code(), Some(code), "{:#?}", self.seen);
        self.seen
    }

    pub(crate) fn end(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

/// Makes a world with a graph that comes up with every supervisor.
fn with_autostart() -> Gob {
    let gob = Gob::new();
    std::fs::write(gob.dir().join("config.toml"), "[graph.demo]\nkind = \"graph\"\nautostart = true\n")
        .unwrap();
    gob
}

/// Kills the supervisor and waits for the next one.
fn kill_supervisor(gob: &Gob) {
    let status = gob.status();
    let pid = i32::try_from(status["pid"].as_i64().unwrap()).unwrap();
    Handle::open(pid).unwrap().signal(Signal::SIGKILL);
    gob.wait_other_instance(status["instance"].as_str().unwrap());
}

#[test]
fn every_stream_goes_on_with_the_supervisor_after_a_killed_one() {
    let gob = with_autostart();
    gob.ctl(["start", "demo"]).ok();
    let mut text = Running::start(&mut gob.ctl(["events", "--format", "text"]));
    let mut json = Running::start(&mut gob.ctl(["events"]));
    let mut list = Running::start(&mut gob.ctl(["list", "--watch", "--json"]));
    let mut lease = Running::start(&mut gob.ctl(["lease", "demo"]));
    let mut start = Running::start(&mut gob.ctl(["start", "--lease", "demo"]));
    lease.says("holding demo");
    start.says("holding it");
    list.says("\"leases\":2");
    let subscribed = || gob.status()["subscribers"].as_u64() == Some(5);
    assert!(wait::until(DEADLINE, subscribed));
    kill_supervisor(&gob);
    for stream in [&mut text, &mut json, &mut list, &mut lease, &mut start] {
        stream.says("the supervisor has gone");
    }
    for lease in [&mut lease, &mut start] {
        lease.says("holding demo again (");
    }
    list.says("\"leases\":2");
    text.says("another supervisor is there");
    json.says("\"gap\":true");
    gob.ctl(["stop", "demo"]).ok();
    text.says("  stopped");
    json.says("worker_stopped");
    list.says("\"state\":\"idle\"");
    for lease in [&mut lease, &mut start] {
        lease.says("demo has ended and is idle");
    }
    gob.ctl(["daemon", "restart"]).ok();
    text.says("another supervisor is there");
    lease.says("holding demo again (");
    for stream in [text, json, list, lease, start] {
        stream.end();
    }
}

#[test]
fn a_command_that_loses_its_worker_goes_on_and_is_told_so() {
    let gob = Gob::new();
    let script = "echo up; while ! test -e go; do sleep 0.02; done; exit 3";
    let mut with = Running::start(gob.ctl(["with", "demo", "--", "sh", "-c", script]).cwd(gob.dir()));
    with.says("up");
    // The file by which the next supervisor knows the worker.
    let last = || std::fs::read_to_string(gob.state_dir().join("last.json")).unwrap_or_default();
    assert!(wait::until(DEADLINE, || last().contains("\"demo\"")), "{}", last());
    kill_supervisor(&gob);
    with.says("the supervisor has gone, and with it the workers of demo; the command goes on, and the leases are taken again");
    // The keeper starts another one, and again after that.
    for _ in 0..2 {
        with.says("holding demo again (owner cli, idle)");
        with.says("demo does not run: gobctl start demo");
        let held = gob.ctl(["get", "demo", "--json"]).json();
        assert_eq!(held["worker"]["lease_holders"][0]["pid"], with.child.id(), "{held}");
        kill_supervisor(&gob);
        with.says("the supervisor has gone; waiting for another one");
    }
    with.says("holding demo again");
    with.says("demo does not run");
    gob.ctl(["remove", "demo"]).ok();
    gob.ctl(["daemon", "restart"]).ok();
    with.says("the new supervisor does not know demo");
    with.says("nothing is left to hold");
    std::fs::write(gob.dir().join("go"), "").unwrap();
    with.ends(3);
}

#[test]
fn a_command_whose_worker_is_stopped_and_removed_by_another_is_told_so() {
    let gob = Gob::new();
    let script = "echo up; while ! test -e go; do sleep 0.02; done; exit 3";
    let mut with = Running::start(gob.ctl(["with", "demo", "--", "sh", "-c", script]).cwd(gob.dir()));
    with.says("up");
    assert!(wait::until(DEADLINE, || gob.status()["subscribers"].as_u64() == Some(1)));
    gob.ctl(["stop", "demo"]).ok();
    with.says("demo has ended and is idle");
    gob.ctl(["start", "demo"]).ok();
    with.says("demo is ready");
    gob.ctl(["stop", "demo"]).ok();
    gob.ctl(["remove", "demo"]).ok();
    with.says("demo was removed");
    std::fs::write(gob.dir().join("go"), "").unwrap();
    with.ends(3);
}

#[test]
fn nothing_is_started_behind_anybodys_back() {
    let gob = Gob::new();
    gob.ctl(["start", "demo"]).ok();
    let mut lease = Running::start(&mut gob.ctl(["lease", "demo", "--timeout", "3s"]));
    let mut events = Running::start(&mut gob.ctl(["events", "--timeout", "3s"]));
    lease.says("holding");
    assert!(wait::until(DEADLINE, || gob.status()["subscribers"].as_u64() == Some(2)));
    gob.ctl(["shutdown"]).ok();
    lease.says("the supervisor has gone");
    events.says("the supervisor has gone");
    for stream in [lease, events] {
        let said = stream.ends(124);
        assert!(said.iter().any(|line| line.contains("its time, 3.0 s, is over")), "{said:#?}");
    }
    assert!(gob.lock_line().is_none(), "nobody started a supervisor");
}

#[test]
fn a_timeout_bounds_every_stream_and_getting_ready_only() {
    let gob = Gob::new();
    gob.ctl(["start", "demo"]).ok();
    for stream in
        ["events --since 0", "list --watch", "lease demo", "logs -f demo", "stderr -f demo", "daemon logs -f"]
    {
        let ended = gob.ctl(stream.split(' ').chain(["--timeout", "2s"])).fails(124);
        assert!(ended.stderr.contains("has ended: its time, 2.0 s, is over"), "{ended}");
    }
    let mut start = Running::start(&mut gob.ctl(["start", "demo", "--lease", "--timeout", "1s"]));
    start.says("holding it until interrupted");
    let slept = gob.ctl(["with", "demo", "--timeout", "1s", "--", "sleep", "1.5"]).run();
    assert_eq!(slept.code, 0, "{slept}");
    assert!(start.child.try_wait().unwrap().is_none(), "{:?}", start.seen);
    start.end();
}

#[test]
fn holders_of_a_worker_are_told_its_fate() {
    let gob = Gob::new();
    gob.ctl(["start", "demo"]).ok();
    gob.ctl(["stop", "demo"]).ok();
    let mut lease = Running::start(&mut gob.ctl(["lease", "demo"]));
    lease.says("holding demo (owner cli, idle) until interrupted");
    lease.says("demo does not run: gobctl start demo");
    assert!(wait::until(DEADLINE, || gob.status()["subscribers"].as_u64() == Some(1)));
    gob.ctl(["start", "demo"]).ok();
    lease.says("demo is ready (pid ");
    gob.ctl(["stop", "demo"]).ok();
    lease.says("demo has ended and is idle");
    gob.ctl(["remove", "demo"]).ok();
    lease.says("demo was removed");
    let said = lease.ends(4);
    assert!(said.iter().any(|line| line.contains("there is no worker demo any more")), "{said:#?}");
}

#[test]
fn events_since_a_time_are_printed_and_the_command_ends() {
    let gob = Gob::new();
    gob.ctl(["start", "demo"]).ok();
    gob.ctl(["stop", "demo"]).ok();
    let text = gob.ctl(["events", "--no-follow", "--format", "text"]).ok();
    let last = text.lines().last().unwrap();
    assert!(text.contains("  ready") && last.contains("stopped"), "{text}");
    let json = gob.ctl(["events", "--no-follow", "demo", "--type", "ready"]).ok();
    let event: Value = serde_json::from_str(&json).unwrap();
    assert_eq!(event["event"], "worker_ready");
    let seq = event["seq"].to_string();
    let since = gob.ctl(["events", "--no-follow", "--since", &seq]).ok();
    let kinds: Vec<Value> = since.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(
        kinds.iter().map(|event| &event["event"]).collect::<Vec<_>>(),
        ["worker_stopping", "worker_stopped"]
    );
    assert_eq!(gob.ctl(["events", "--no-follow", "nobody"]).ok(), "");
    assert_eq!(
        gob.ctl(["events", "--no-follow", "--since", "5000"]).ok().lines().count(),
        1,
        "a gap is told"
    );
    gob.ctl(["events", "--json", "--format", "text"]).fails(2);
}

/// More events than the supervisor keeps: the kept ones are shown, and a line about the others.
#[test]
fn older_events_than_kept_are_announced() {
    let gob = Gob::new();
    let mut cli = gob.connect_as("cli");
    cli.ok("start", serde_json::json!({"graph": "demo"}));
    for _ in 0..2_100 {
        cli.ok("lease", serde_json::json!({"name": "demo"}));
        cli.ok("release", serde_json::json!({"name": "demo"}));
    }
    let told = gob.ctl(["events", "--no-follow"]).run();
    assert_eq!(told.code, 0, "{}", told.stderr);
    assert!(told.stderr.contains("earlier ones may be gone"), "{}", told.stderr);
    let events = told.stdout.lines().count();
    assert!((256..4_200).contains(&events), "{events}");
    assert!(told.stdout.lines().all(|line| !line.contains("\"gap\"")));
}
