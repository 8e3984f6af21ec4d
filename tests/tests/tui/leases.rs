//! The jobs of a project file: offered where it is trusted, started under a lease, and stopped when the screen ends in whatever way.

use crate::world::{file, home, open_on};
use gob_tests::Gob;
use gob_tests::process::Handle;
use gob_tests::screen::Screen;
use gob_tests::wait::{self, DEADLINE};
use nix::sys::signal::Signal;
use serde_json::json;

const PROJECT: &str = r#"
[[job]]
command = "sleep 100001"
name = "db"
description = "The database"

[[job]]
command = "sleep 100002"
name = "web"
depends_on = ["db"]

[[job]]
command = "true"
name = "danger"
description = "ask a person first"
blocked = true
"#;

fn project(gob: &Gob) {
    std::fs::create_dir_all(home(gob).join(".config")).unwrap();
    file(gob, ".config/gobfile.toml", PROJECT);
}

fn state(gob: &Gob, name: &str) -> String {
    gob.connect().ok("get", json!({"name": name}))["worker"]["state"].as_str().unwrap_or_default().to_owned()
}

/// Opens the screen, and starts `web` and the job that it needs.
fn started(gob: &Gob) -> Screen {
    project(gob);
    gob.ctl(["trust"]).cwd(&home(gob)).ok();
    gob.ctl(["ping"]).ok();
    let mut screen = open_on(gob, (100, 30), "n starts a graph");
    screen.keys("u");
    screen.wait_for("Jobs of the project");
    screen.keys("j\r");
    screen.wait_until("both run", |text| text.contains("2 running"));
    screen.keys("\u{1b}");
    screen.wait_gone("Jobs of the project");
    assert_eq!([state(gob, "db"), state(gob, "web")], ["ready", "ready"]);
    screen
}

fn wait_stopped(gob: &Gob) {
    let stopped = || ["db", "web"].iter().all(|name| state(gob, name) == "idle");
    assert!(wait::until(DEADLINE, stopped), "{} {}", state(gob, "db"), state(gob, "web"));
}

#[test]
fn jobs_of_the_project_stop_with_the_screen_after_a_question() {
    let gob = Gob::new();
    let mut screen = started(&gob);
    screen.keys("q");
    screen.wait_for("stop with this screen");
    screen.keys("\u{1b}");
    screen.wait_gone("Quit?");
    screen.keys("q\r");
    let ended = screen.end();
    assert_eq!(ended.code, 0, "{ended:?}");
    ended.left_as_it_was();
    wait_stopped(&gob);
}

#[test]
fn jobs_of_the_project_stop_when_the_terminal_dies() {
    let gob = Gob::new();
    let mut screen = started(&gob);
    screen.hang_up();
    wait_stopped(&gob);
    assert!(Handle::open(screen.pid()).is_none_or(|handle| handle.wait_gone(DEADLINE)));
}

#[test]
fn jobs_of_the_project_stop_when_the_screen_is_killed() {
    let gob = Gob::new();
    let screen = started(&gob);
    screen.signal(Signal::SIGKILL);
    wait_stopped(&gob);
    assert_eq!(screen.end().code, 128 + Signal::SIGKILL as i32);
}

#[test]
fn a_blocked_job_is_not_started_and_says_why() {
    let gob = Gob::new();
    project(&gob);
    gob.ctl(["trust"]).cwd(&home(&gob)).ok();
    gob.ctl(["ping"]).ok();
    let mut screen = open_on(&gob, (100, 30), "n starts a graph");
    screen.keys("u");
    screen.wait_for("Jobs of the project");
    screen.keys("jj\r");
    screen.wait_for("danger: ask a person first");
    screen.keys("\u{1b}");
    screen.wait_gone("Jobs of the project");
    screen.keys("q");
    assert_eq!(screen.end().code, 0);
}

#[test]
fn a_project_file_that_is_not_trusted_offers_nothing_and_names_the_way() {
    let gob = Gob::new();
    project(&gob);
    gob.ctl(["ping"]).ok();
    let mut screen = open_on(&gob, (100, 30), "n starts a graph");
    screen.keys("u");
    screen.wait_for("gobctl trust");
    assert!(!screen.text().contains("danger"), "{}", screen.text());
}
