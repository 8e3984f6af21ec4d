//! The real window, under Xvfb, against a real supervisor: what a person does with the keyboard and the mouse, and what
//! the supervisor then knows.
//!
//! Pictures of the screen are left in `target/window/`.
#![allow(missing_docs, reason = "a test has no interface")]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

mod away;
mod bus;
mod idle;
mod screen;

use gob_tests::wait::{self, DEADLINE};
use gob_tests::{Gob, require};
use screen::{Screen, Window};
use serde_json::{Value, json};
use std::time::Duration;

/// Returns whether a display can be had here; says which test does not happen where it can't.
fn has_display(why: &str) -> bool {
    let has = ["Xvfb", "xdotool"].iter().all(|program| screen::is_installed(program));
    if !has {
        require::skip(require::Need::Display, why);
    }
    has
}

fn worker(gob: &Gob, name: &str) -> Value {
    gob.connect().ok("get", json!({"name": name}))["worker"].clone()
}

/// Waits until a worker is like this.
#[track_caller]
fn wait_for(gob: &Gob, name: &str, what: &str, fits: impl Fn(&Value) -> bool) {
    let mut last = Value::Null;
    let is_so = wait::until(DEADLINE, || {
        last = worker(gob, name);
        fits(&last)
    });
    assert!(is_so, "{name} is not {what}: {last}");
}

/// Starts the selected worker, which is at rest, by its key. The window may hear of the rest a moment after the test; until then
/// it refuses the key, which is pressed again.
#[track_caller]
fn start_by_key(gob: &Gob, window: &Window<'_>, name: &str) {
    let is_ready = wait::until(DEADLINE, || {
        window.key("Return");
        wait::until(Duration::from_secs(1), || worker(gob, name)["state"] == "ready")
    });
    assert!(is_ready, "{name} is not ready: {}", worker(gob, name));
}

fn is(state: &'static str) -> impl Fn(&Value) -> bool {
    move |worker| worker["state"] == state
}

#[test]
fn the_keyboard_stops_starts_and_holds_a_worker_that_was_started_elsewhere() {
    if !has_display("the window's keyboard is not tried") {
        return;
    }
    let gob = Gob::new();
    gob.ctl(["start", "notes", "--owner", "desktop"]).ok();
    let screen = Screen::open(&gob);
    let mut window = screen.window(&gob);
    window.see("notes", "a window with one worker");
    let frames = window.times();
    assert!(frames.iter().all(|frame| frame.took <= frame.at && frame.since <= frame.at), "{frames:?}");
    window.key("s");
    wait_for(&gob, "notes", "stopped", is("idle"));
    start_by_key(&gob, &window, "notes");
    window.key("l");
    wait_for(&gob, "notes", "held", |worker| {
        worker["lease_holders"][0]["client"] == "gob-desktop"
            && worker["lease_holders"][0]["owner"] == "desktop"
    });
    let pid = worker(&gob, "notes")["pid"].clone();
    window.see("held", "its lease is shown");
    // Closing the window lets go of its lease, and leaves the worker alone.
    window.key("q");
    assert_eq!(window.end(), Some(0));
    wait_for(&gob, "notes", "let go", |worker| worker["leases"] == 0);
    let after = worker(&gob, "notes");
    assert_eq!((&after["state"], &after["pid"]), (&json!("ready"), &pid));
}

#[test]
fn what_others_own_is_not_touched_by_any_key() {
    if !has_display("the window's keyboard is not tried") {
        return;
    }
    let gob = Gob::new();
    gob.ctl(["start", "notes"]).ok();
    let screen = Screen::open(&gob);
    let window = screen.window(&gob);
    let before = worker(&gob, "notes");
    for key in ["s", "S", "r", "d", "o"] {
        window.key(key);
    }
    // The lease is taken behind all of them.
    window.key("l");
    wait_for(&gob, "notes", "held", |worker| worker["leases"] == 1);
    let after = worker(&gob, "notes");
    assert_eq!(
        (&after["state"], &after["pid"], &after["run"]),
        (&before["state"], &before["pid"], &before["run"])
    );
    window.see("others", "the buttons are disabled, and say whose it is");
}

#[test]
fn the_mouse_selects_a_row_and_the_list_follows_events() {
    if !has_display("the window's mouse is not tried") {
        return;
    }
    let gob = Gob::new();
    gob.ctl(["start", "a", "b", "--owner", "desktop"]).ok();
    let screen = Screen::open(&gob);
    let window = screen.window(&gob);
    window.click(150, 122);
    window.wait_row(1);
    window.key("s");
    wait_for(&gob, "b", "stopped", is("idle"));
    assert_eq!(worker(&gob, "a")["state"], "ready");
    // A worker that comes before the selected one does not move the selection to another one.
    window.draws_after(|| drop(gob.ctl(["start", "aa", "--owner", "desktop"]).ok()));
    start_by_key(&gob, &window, "b");
}

#[test]
fn a_graph_is_started_from_the_dialog_by_the_keyboard_alone() {
    if !has_display("the window's dialogs are not tried") {
        return;
    }
    let gob = Gob::new();
    gob.ctl(["ping"]).ok();
    let screen = Screen::open(&gob);
    let window = screen.window_with(&gob, &[]);
    window.see("empty", "an empty window that teaches");
    window.draws_after(|| window.key("n"));
    window.type_in("papers");
    window.key("Return");
    let found =
        wait::until(DEADLINE, || gob.connect().ask("get", json!({"name": "papers"}))["success"] == true);
    assert!(found, "no worker papers");
    wait_for(&gob, "papers", "ready", is("ready"));
    assert_eq!(worker(&gob, "papers")["owner"], "desktop");
    window.see("started", "the graph that was started is selected");
}

#[test]
fn without_a_display_it_says_what_it_needs() {
    let gob = Gob::new();
    let mut command = screen::desktop(&gob, None);
    let output = command.output().unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(
        said.starts_with("error: no window can be opened\n") && said.contains("hint: it needs a display"),
        "{said}"
    );
    let mut command = screen::desktop(&gob, None);
    let version = command.arg("--version").output().unwrap();
    assert!(String::from_utf8(version.stdout).unwrap().starts_with("gob-desktop "));
    let mut command = screen::desktop(&gob, None);
    assert_eq!(command.arg("--open").output().unwrap().status.code(), Some(2));
}
