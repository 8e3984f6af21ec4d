//! The supervisor goes away: a banner, the last known state, and nothing that starts behind anybody's back.

use crate::world::{open, open_on};
use gob_tests::Gob;
use gob_tests::process::Handle;
use gob_tests::wait::{self, DEADLINE};
use nix::sys::signal::Signal;

const AWAY: &str = "The supervisor is not running";

#[test]
fn an_empty_world_is_shown_and_no_supervisor_started() {
    let gob = Gob::new();
    let mut screen = open(&gob, (100, 30));
    screen.wait_for(AWAY);
    screen.wait_for("R starts it");
    // Neither a key nor a form starts one.
    screen.keys("nN");
    screen.wait_for("the supervisor is not running");
    assert!(gob.lock_line().is_none());
    screen.keys("R");
    screen.wait_gone(AWAY);
    screen.wait_for("n starts a graph, N runs a command.");
    assert!(gob.lock_line().is_some());
    screen.keys("q");
    assert_eq!(screen.end().code, 0);
}

#[test]
fn a_shut_down_leaves_the_last_state_readable_and_only_a_key_starts_it_again() {
    let gob = Gob::new();
    crate::world::job(&gob, "app", &crate::world::prints("echo a line of it"));
    gob.ctl(["start", "notes", "--owner", "desktop"]).ok();
    let mut screen = open_on(&gob, (100, 30), "a line of it");
    gob.ctl(["shutdown", "--force"]).ok();
    screen.wait_for(AWAY);
    let text = screen.text();
    for shown in ["last known state", "R starts it", "app", "notes", "desktop", "a line of it"] {
        assert!(text.contains(shown), "{shown}\n{text}");
    }
    // Actions that can't be done say why, and moving and searching go on.
    screen.keys("j");
    screen.wait_for("2 notes");
    screen.keys("ks");
    screen.wait_for("the supervisor is not running");
    screen.keys("3/line\r");
    screen.wait_for("/line");
    assert!(wait::until(DEADLINE, || gob.lock_line().is_none()), "nothing was started");
    screen.keys("1R");
    screen.wait_gone(AWAY);
    assert!(gob.lock_line().is_some());
    // Workers that are idle now are started by a key, and this screen may do it.
    screen.wait_for("idle");
    screen.keys("\r");
    screen.wait_for("running");
}

#[test]
fn a_killed_supervisor_is_back_by_its_keeper_and_so_is_the_screen() {
    let gob = Gob::new();
    gob.ctl(["start", "notes"]).ok();
    let mut screen = open_on(&gob, (100, 30), "ready");
    let (pid, instance) = (gob.gobd_pid(), gob.status()["instance"].as_str().unwrap().to_owned());
    Handle::open(pid).unwrap().signal(Signal::SIGKILL);
    gob.wait_other_instance(&instance);
    screen.wait_for("idle");
    screen.wait_gone(AWAY);
    assert!(screen.text().contains("notes"), "{}", screen.text());
    screen.keys("1\r");
    screen.wait_for("ready");
    screen.keys("q");
    assert_eq!(screen.end().code, 0);
}

#[test]
fn a_supervisor_that_does_not_answer_holds_no_key_up() {
    let gob = Gob::new();
    gob.ctl(["start", "one", "two"]).ok();
    let mut screen = open_on(&gob, (100, 30), "two");
    let supervisor = Handle::open(gob.gobd_pid()).unwrap();
    supervisor.signal(Signal::SIGSTOP);
    screen.keys("s?");
    screen.wait_for("Esc closes");
    screen.keys("\u{1b}");
    screen.wait_gone("Esc closes");
    screen.keys("j");
    screen.wait_for("2 two");
    supervisor.signal(Signal::SIGCONT);
    screen.wait_for("stopped one");
    screen.keys("q");
    assert_eq!(screen.end().code, 0);
}
