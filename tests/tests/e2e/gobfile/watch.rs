use super::{ctl, project};
use gob_tests::wait::{self, DEADLINE};
use gob_tests::{Conn, Gob, process};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::{Value, json};
use std::path::{Path, PathBuf};
use std::process::Child;

/// `web` depends on `db`.
const PAIR: &str = "[[job]]\ncommand = \"sleep 601\"\nname = \"db\"\n\
                    [[job]]\ncommand = \"sleep 602\"\nname = \"web\"\nautostart = true\ndepends_on = [\"db\"]\n";

fn site(gob: &Gob, text: &str) -> PathBuf {
    let dir = project(gob, text);
    ctl(gob, &dir, ["trust"]).ok();
    dir
}

fn watch(gob: &Gob, dir: &Path) -> Child {
    ctl(gob, dir, ["up", "--watch"]).spawn()
}

fn interrupt(child: &Child, signal: Signal) {
    kill(Pid::from_raw(i32::try_from(child.id()).unwrap()), signal).unwrap();
}

/// Returns what the program has written to its end, which is an interrupt's.
fn interrupted(child: Child) -> (String, String) {
    let out = child.wait_with_output().unwrap();
    let [stdout, stderr] = [out.stdout, out.stderr].map(|text| String::from_utf8(text).unwrap());
    assert_eq!(out.status.code(), Some(130), "{stdout}{stderr}");
    (stdout, stderr)
}

fn get(conn: &mut Conn, name: &str) -> Value {
    conn.ok("get", json!({"name": name}))["worker"].clone()
}

#[test]
fn an_interrupted_watch_stops_its_jobs_in_reverse_order() {
    for signal in [Signal::SIGINT, Signal::SIGTERM, Signal::SIGHUP] {
        let gob = Gob::new();
        let dir = site(&gob, PAIR);
        let mut events = gob.events();
        let child = watch(&gob, &dir);
        events.event("worker_ready", "web");
        interrupt(&child, signal);
        let (stdout, stderr) = interrupted(child);
        assert!(stdout.ends_with(": sleep 602\nstopped web\nstopped db\n"), "{signal}: {stdout}");
        assert!(
            stderr.ends_with("stopping web, db; interrupt again to leave at once\n"),
            "{signal}: {stderr}"
        );
        let mut conn = gob.connect();
        assert!(["db", "web"].iter().all(|name| get(&mut conn, name)["pid"].is_null()), "{signal}");
    }
}

#[test]
fn an_interrupt_during_the_start_starts_no_more_and_stops_what_was_begun() {
    let gob = Gob::new();
    let text =
        PAIR.replace("name = \"db\"\n", "name = \"db\"\nreadiness = { type = \"log\", pattern = \"x\" }\n");
    let dir = site(&gob, &text);
    let mut events = gob.events();
    let child = watch(&gob, &dir);
    events.event("worker_started", "db");
    interrupt(&child, Signal::SIGINT);
    let (stdout, stderr) = interrupted(child);
    assert_eq!(stdout, "stopped db\n", "{stderr}");
    let mut conn = gob.connect();
    assert!(get(&mut conn, "db")["pid"].is_null());
    conn.err("get", json!({"name": "web"}), "server-not-found");
}

#[test]
fn a_second_interrupt_leaves_and_names_what_goes_on() {
    let gob = Gob::new();
    let text = "[[job]]\nname = \"db\"\nautostart = true\nreadiness = { type = \"log\", pattern = \"up\" }\n\
                command = \"sh -c 'trap \\\"\\\" TERM; echo up; while :; do sleep 1; done'\"\n";
    let dir = site(&gob, text);
    let mut events = gob.events();
    let child = watch(&gob, &dir);
    events.event("worker_ready", "db");
    interrupt(&child, Signal::SIGINT);
    events.event("worker_stopping", "db");
    interrupt(&child, Signal::SIGINT);
    let (stdout, stderr) = interrupted(child);
    assert!(!stdout.contains("stopped"), "{stdout}");
    assert!(stderr.ends_with("\ninterrupted; db goes on stopping: gobctl events db\n"), "{stderr}");
    ctl(&gob, &dir, ["stop", "--force", "db"]).ok();
}

#[test]
fn jobs_of_others_are_let_go_and_that_is_told() {
    let job = |name: &str, seconds: u32| {
        format!("[[job]]\ncommand = \"sleep {seconds}\"\nname = \"{name}\"\nautostart = true\n")
    };
    let gob = Gob::new();
    let text: String =
        [("a", 601), ("b", 602), ("c", 603), ("d", 604)].map(|(name, s)| job(name, s)).concat();
    let dir = site(&gob, &text);
    ctl(&gob, &dir, ["add", "--name", "a", "sleep", "601"]).ok();
    let mut events = gob.events();
    let child = watch(&gob, &dir);
    for name in ["b", "c", "d"] {
        events.event("worker_ready", name);
    }
    let mut conn = gob.connect_as("desktop");
    conn.ok("lease", json!({"name": "b"}));
    ctl(&gob, &dir, ["hand-over", "c", "desktop"]).ok();
    interrupt(&child, Signal::SIGINT);
    let (stdout, stderr) = interrupted(child);
    assert!(stdout.ends_with(": sleep 604\nstopped d\n"), "{stdout}");
    for told in [
        "let go of a: it was up before\n",
        "let go of b: others hold it, leases: 1\n",
        "let go of c: it is owned by desktop\n",
        "stopping d; interrupt again to leave at once\n",
    ] {
        assert!(stderr.contains(told), "{told}: {stderr}");
    }
    assert!(["a", "b", "c"].iter().all(|name| get(&mut conn, name)["state"] == "ready"), "they go on");
}

#[test]
fn a_watch_of_which_a_job_does_not_come_up_stops_the_others_at_once() {
    let gob = Gob::new();
    let dir = site(&gob, &PAIR.replace("sleep 602", "no-such-program"));
    let out = ctl(&gob, &dir, ["up", "--watch"]).fails(8);
    assert!(out.stdout.ends_with("stopped db\n") && out.stderr.contains("no-such-program"), "{out}");
    assert!(get(&mut gob.connect(), "db")["pid"].is_null());
}

#[test]
fn a_killed_watch_leaves_its_jobs_to_the_end_of_their_leases() {
    let gob = Gob::new();
    let dir = site(&gob, PAIR);
    let mut events = gob.events();
    let mut child = watch(&gob, &dir);
    events.event("worker_ready", "web");
    let pid = get(&mut gob.connect(), "web")["pid"].as_i64().and_then(|pid| i32::try_from(pid).ok()).unwrap();
    child.kill().unwrap();
    child.wait().unwrap();
    events.event("lease_released", "web");
    assert!(process::is_alive(pid), "the grace has just begun");
    assert!(wait::until(DEADLINE, || !process::is_alive(pid)), "its lease has ended");
}
