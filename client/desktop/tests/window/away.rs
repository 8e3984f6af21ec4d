//! The window while the supervisor is away, killed, or back.

use super::*;
use gob_tests::process::Handle;
use nix::sys::signal::Signal;

#[test]
fn a_supervisor_that_is_away_is_only_started_by_the_button() {
    if !has_display("the window's banner is not tried") {
        return;
    }
    let gob = Gob::new();
    gob.ctl(["start", "notes", "--owner", "desktop"]).ok();
    let screen = Screen::open(&gob);
    let window = screen.window(&gob);
    // The banner comes after a moment, and the last known state stays.
    window.draws_after(|| drop(gob.ctl(["shutdown", "--owner", "desktop"]).ok()));
    assert!(gob.running("gobd").is_empty());
    wait::while_time_passes(Duration::from_millis(900));
    window.see("away", "a banner with a button above the last known state");
    for key in ["s", "Return", "l", "n"] {
        window.key(key);
    }
    wait::while_time_passes(Duration::from_millis(300));
    assert!(gob.running("gobd").is_empty(), "nothing is started behind anybody's back");
    // The button is the first control.
    window.key("Tab");
    window.key("space");
    assert!(wait::until(DEADLINE, || !gob.running("gobd").is_empty()), "no supervisor");
    assert!(wait::until(DEADLINE, || gob.socket().exists()));
    wait_for(&gob, "notes", "idle", is("idle"));
}

#[test]
fn a_supervisor_that_is_killed_is_found_again_and_the_lease_taken_again() {
    if !has_display("the window's reconnect is not tried") {
        return;
    }
    let gob = Gob::new();
    gob.ctl(["start", "notes", "--owner", "desktop"]).ok();
    let screen = Screen::open(&gob);
    let window = screen.window(&gob);
    window.key("l");
    wait_for(&gob, "notes", "held", |worker| worker["leases"] == 1);
    let instance = gob.status()["instance"].as_str().unwrap().to_owned();
    Handle::open(gob.gobd_pid()).unwrap().signal(Signal::SIGKILL);
    gob.wait_other_instance(&instance);
    wait_for(&gob, "notes", "held again", |worker| worker["lease_holders"][0]["client"] == "gob-desktop");
    start_by_key(&gob, &window, "notes");
}

#[test]
fn a_supervisor_that_is_stopped_is_told_of_and_answers_again_later() {
    if !has_display("a supervisor that hangs is not tried") {
        return;
    }
    let gob = Gob::new();
    gob.ctl(["start", "notes", "--owner", "desktop"]).ok();
    let screen = Screen::open(&gob);
    let window = screen.window(&gob);
    let gobd = Handle::open(gob.gobd_pid()).unwrap();
    gobd.signal(Signal::SIGSTOP);
    window.key("s");
    // 5 s until the first ping, 10 s for its answer; then the message is drawn.
    wait::while_time_passes(Duration::from_secs(12));
    let before = window.frames();
    let is_drawn = wait::until(DEADLINE, || window.frames() > before);
    window.see("silent", "no answer to the stop, and none to a ping");
    gobd.signal(Signal::SIGCONT);
    assert!(is_drawn, "nothing is told");
    wait_for(&gob, "notes", "stopped", is("idle"));
    start_by_key(&gob, &window, "notes");
}
