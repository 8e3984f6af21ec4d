//! A thousand workers, and the older lines of a large log.

use crate::world::{job, open_on, prints};
use gob_tests::Gob;
use gob_tests::process::{smaps_bytes, voluntary_switches};
use serde_json::json;
use std::time::Duration;

#[test]
fn a_thousand_workers_are_quick_to_move_in_and_to_filter() {
    let gob = Gob::new();
    let mut conn = gob.connect_as("cli");
    for number in 0..1000 {
        let name = format!("job-{number:04}");
        conn.ok(
            "create",
            json!({"name": name, "command": ["true", number.to_string()], "cwd": gob.dir(), "env": {}}),
        );
    }
    let mut screen = open_on(&gob, (120, 40), "1000 idle");
    screen.wait_for("2 job-0000");
    screen.keys("G");
    screen.wait_for("2 job-0999");
    screen.keys("/0500");
    screen.wait_for("1 of 1000");
    screen.wait_for("2 job-0500");
    screen.keys("\u{1b}");
    screen.wait_gone("Filter:");
    screen.keys("g");
    screen.wait_for("2 job-0000");
}

#[test]
fn a_large_log_is_read_from_its_file_and_memory_stays_small() {
    let gob = Gob::new();
    job(&gob, "talk", &prints("seq -f 'this is the line of a large log with the number %.0f.' 1 400000"));
    let mut screen = open_on(&gob, (120, 40), "the number 400000.");
    let before = smaps_bytes(screen.pid(), "Pss").expect("its memory");
    screen.keys("3gf");
    screen.wait_for("the number 400000.");
    for _ in 0..30 {
        let frames = screen.frames().len();
        screen.keys("\x1b[5~");
        screen.wait_to_see("a frame", |emulator| emulator.frames().count() > frames);
    }
    screen.wait_for("held");
    screen.keys("/number 390000\\.\r");
    screen.wait_for("the number 390000.");
    let after = smaps_bytes(screen.pid(), "Pss").expect("its memory");
    assert!(after < before + (16 << 20), "{before} then {after}");
    screen.keys("G");
    screen.wait_for("the number 400000.");
}

#[test]
fn a_screen_at_rest_does_not_wake_up() {
    let gob = Gob::new();
    gob.ctl(["start", "one", "two"]).ok();
    let screen = open_on(&gob, (120, 40), "two");
    let pid = screen.pid();
    // A text that tells an age is renewed once a minute.
    let quiet = || {
        let before = voluntary_switches(pid);
        gob_tests::wait::while_time_passes(Duration::from_secs(3));
        voluntary_switches(pid) == before
    };
    assert!((0..6).any(|_| quiet()), "it wakes up again and again");
}
