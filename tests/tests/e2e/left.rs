//! A `run` whose client leaves its job running, by whatever end of the client: an event, the view and `blame` say so. One whose
//! job has ended, is to end, or was joined leaves without a word.

use crate::streams::Running;
use gob_tests::process::{Handle, is_alive};
use gob_tests::terminal::Terminal;
use gob_tests::wait::{self, DEADLINE};
use gob_tests::{Ctl, Gob};
use nix::sys::signal::Signal;
use serde_json::{Value, json};

const SLEEPS: [&str; 3] = ["run", "sleep", "1000"];

fn world() -> Gob {
    let gob = Gob::new();
    gob.ctl(["ping"]).ok();
    gob
}

fn ctl<'a>(gob: &Gob, args: impl IntoIterator<Item = &'a str>) -> Ctl {
    let mut call = gob.ctl(args);
    call.cwd(gob.dir());
    call
}

fn job(gob: &Gob) -> Value {
    let answer = gob.connect().ask("get", json!({"name": "j1"}));
    answer["data"]["worker"].clone()
}

/// Waits until the job runs and a client follows it.
fn runs(gob: &Gob) -> i32 {
    let followed = || gob.status()["subscribers"] == 1 && job(gob)["pid"].is_i64();
    assert!(wait::until(DEADLINE, followed));
    i32::try_from(job(gob)["pid"].as_i64().unwrap()).unwrap()
}

/// The reasons in the changes of the job, that name its client, newest first.
fn blamed(gob: &Gob) -> Vec<String> {
    let entries = gob.connect().ok("blame", json!({"name": "j1"}))["entries"].clone();
    let left =
        |entry: &Value| entry["reason"].as_str().filter(|why| why.contains("client")).map(str::to_owned);
    entries.as_array().unwrap().iter().filter_map(left).collect()
}

/// Ends a `run` of a job that goes on, and checks that it is told everywhere.
fn leaves(gob: &Gob, client: i32, end: impl FnOnce()) {
    let pid = runs(gob);
    let mut events = gob.events();
    end();
    let told = format!("its client (gobctl, pid {client}) left it running");
    let event = events.find("its client left", DEADLINE, |event| event["event"] == "worker_updated");
    assert_eq!(
        (&event["worker"]["reason"], &event["actor"]["pid"]),
        (&json!(told), &json!(client)),
        "{event}"
    );
    assert!(is_alive(pid));
    assert_eq!(job(gob)["reason"], told);
    assert!(wait::until(DEADLINE, || blamed(gob) == [told.clone()]), "{:?}", blamed(gob));
    let blame = ctl(gob, ["blame", "j1"]).ok();
    assert!(blame.contains("left it running"), "{blame}");
}

#[test]
fn a_hang_up_leaves_the_job_with_a_word() {
    let gob = world();
    let run = Running::start(&mut ctl(&gob, SLEEPS));
    let own = run.pid();
    leaves(&gob, own, || Handle::open(own).unwrap().signal(Signal::SIGHUP));
    run.ends(129);
}

#[test]
fn a_client_that_is_killed_leaves_the_job_with_a_word() {
    let gob = world();
    let run = Running::start(&mut ctl(&gob, SLEEPS));
    let own = run.pid();
    leaves(&gob, own, || run.end());
    // Another client's wait changes nothing of it.
    let waits = Running::start(&mut ctl(&gob, ["wait", "j1"]));
    runs(&gob);
    waits.end();
    ctl(&gob, ["stop", "j1"]).ok();
    assert_eq!((&job(&gob)["reason"], blamed(&gob).len()), (&Value::Null, 1));
}

#[test]
fn a_terminal_that_closes_leaves_the_job_with_a_word() {
    let gob = world();
    let mut terminal = Terminal::session(ctl(&gob, SLEEPS), 80);
    terminal.wait_for(|shown| shown.contains("waiting for j1"));
    let own = terminal.pid();
    leaves(&gob, own, || terminal.hang_up());
    terminal.kill();
}

#[test]
fn a_run_that_ends_or_is_stopped_or_was_joined_leaves_without_a_word() {
    let gob = world();
    ctl(&gob, ["run", "sleep", "0.1"]).ok();
    assert_eq!(blamed(&gob), [""; 0]);
    ctl(&gob, ["remove", "j1"]).ok();
    ctl(&gob, ["--owner", "agent", "add", "--name", "other", "sleep", "1000"]).ok();
    let joined = Running::start(&mut ctl(&gob, SLEEPS));
    assert!(wait::until(DEADLINE, || gob.status()["subscribers"] == 1));
    Handle::open(joined.pid()).unwrap().signal(Signal::SIGINT);
    joined.ends(130);
    let entries = gob.connect().ok("blame", json!({"name": "other"}))["entries"].clone();
    assert!(!entries.to_string().contains("left it running"), "{entries}");
    assert_eq!(gob.connect().ok("get", json!({"name": "other"}))["worker"]["reason"], Value::Null);
    let run = Running::start(&mut ctl(&gob, ["run", "sleep", "999"]));
    assert!(wait::until(DEADLINE, || gob.status()["subscribers"] == 1));
    Handle::open(run.pid()).unwrap().signal(Signal::SIGINT);
    run.ends(143);
    let entries = gob.connect().ok("blame", json!({"name": "j2"}))["entries"].clone();
    assert!(!entries.to_string().contains("left it running"), "{entries}");
}
