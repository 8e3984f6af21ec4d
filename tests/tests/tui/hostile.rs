//! Floods of keys and of output, and texts that would do something to a terminal.

use crate::world::{job, open_on, prints};
use gob_tests::Gob;
use serde_json::json;
use std::time::{Duration, Instant};

#[test]
fn a_megabyte_of_pasted_text_and_a_flood_of_keys_are_taken() {
    let gob = Gob::new();
    gob.ctl(["start", "one", "two"]).ok();
    let mut screen = open_on(&gob, (100, 30), "two");
    screen.keys("/");
    screen.wait_for("Filter:");
    screen.paste(&"x".repeat(1 << 20));
    screen.wait_for("0 of 2");
    screen.keys("\u{1b}");
    screen.wait_gone("Filter:");
    let before = screen.frames().len();
    let begun = Instant::now();
    screen.keys(&"jk".repeat(20_000));
    screen.keys("?");
    screen.wait_for("Esc closes");
    let frames = screen.frames().len() - before;
    let most = 31 * (begun.elapsed().as_secs() as usize + 1);
    assert!(frames <= most, "{frames} frames in {:?}", begun.elapsed());
    screen.keys("\u{1b}");
    screen.wait_gone("Esc closes");
    screen.keys("q");
    assert_eq!(screen.end().code, 0);
}

#[test]
fn names_and_output_do_nothing_to_the_terminal() {
    let gob = Gob::new();
    let evil = r"\033]0;title\007\033[2J\033]52;c;aGk=\007\033c\033[6n\033[?1049l\033[31;7mred\033[0m\a\b\r \302\233 31mc1 \342\200\256rtl";
    job(&gob, "evil", &prints(&format!("printf '{evil} end\\n'; printf '{evil} end\\n' >&2")));
    let mut conn = gob.connect_as("cli");
    let command = ["sleep", "\u{1b}]0;x\u{7}", "\u{9b}31m", "\u{1b}[2J"];
    let job = json!({"name": "odd", "command": command, "cwd": crate::world::home(&gob), "env": {}});
    conn.ok("create", job);
    let mut screen = open_on(&gob, (120, 40), " end");
    let text = screen.text();
    assert!(text.contains("red") && !text.contains('\u{202e}'), "{text}");
    for keys in ["j", "j", "]", "4", "z", "z", "1k", "w", ":", "\u{1b}"] {
        let frames = screen.frames().len();
        screen.keys(keys);
        screen.wait_to_see("a frame", |emulator| emulator.frames().count() > frames);
    }
    screen.see(|emulator| {
        assert_eq!(emulator.strange(), [""; 0], "{emulator:?}");
        assert_eq!(emulator.copied(), [""; 0]);
        assert!(emulator.modes().other_screen);
        let text = emulator.text();
        assert!(text.contains("1 Workers"), "{text}");
    });
    screen.keys("q");
    screen.end().left_as_it_was();
}

#[test]
fn a_flood_of_output_leaves_keys_quick_and_frames_few() {
    let gob = Gob::new();
    job(&gob, "flood", "exec yes a line of a flood that does not end");
    job(&gob, "calm", &prints("echo calm"));
    let mut screen = open_on(&gob, (100, 30), "calm");
    screen.keys(":flood\r");
    screen.wait_for("2 flood");
    screen.wait_until("the flood", |text| text.matches("a line of a flood").count() > 5);
    let begun = Instant::now();
    while begun.elapsed() < Duration::from_secs(2) {
        screen.keys("?");
        screen.wait_for("Esc closes");
        screen.keys("\u{1b}");
        screen.wait_gone("Esc closes");
    }
    // A second is drawn in thirty frames at most, however they are read on a busy machine.
    let frames = screen.frames().iter().filter(|frame| **frame >= begun).count();
    let most = 30 * (begun.elapsed().as_secs() as usize + 2);
    assert!(frames <= most, "{frames} frames in {:?}", begun.elapsed());
    screen.keys("q");
    assert_eq!(screen.end().code, 0);
}
