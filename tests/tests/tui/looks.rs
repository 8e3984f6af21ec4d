//! Whole screens, compared with those in `screens/`: `GOB_WRITE_SCREENS=1` writes them anew.

use crate::world::{job, job_of, open, open_on, prints};
use gob_tests::Gob;
use gob_tests::screen::{Screen, normal};
use gob_tests::wait::{self, DEADLINE};
use std::path::Path;

const SIZES: [(u16, u16); 4] = [(80, 24), (120, 40), (200, 50), (300, 80)];

/// Compares the screen with the one of this name. It may need another frame: each key has one, and the last of several is waited for here.
fn same_as(screen: &Screen, name: &str, gob: &Gob) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/tui/screens").join(format!("{name}.txt"));
    let shown = || {
        let shown = normal(&screen.text(), gob.dir().to_str().expect("a path in UTF-8"));
        shown.lines().map(|line| format!("{}\n", line.trim_end())).collect::<String>()
    };
    if std::env::var_os("GOB_WRITE_SCREENS").is_some() {
        std::fs::write(&path, shown()).expect("a file");
        return;
    }
    let wanted = std::fs::read_to_string(&path).unwrap_or_default();
    if wait::until(DEADLINE, || shown() == wanted) {
        return;
    }
    let shown = shown();
    let differs = shown.lines().zip(wanted.lines()).find(|(shown, wanted)| shown != wanted);
    assert_eq!(shown, wanted, "{name} differs first in {differs:?}; GOB_WRITE_SCREENS=1 writes it anew");
}

#[test]
fn the_empty_state() {
    let gob = Gob::new();
    gob.ctl(["ping"]).ok();
    for size in SIZES {
        let screen = open_on(&gob, size, "n starts a graph");
        same_as(&screen, &format!("empty-{}x{}", size.0, size.1), &gob);
    }
}

#[test]
fn no_supervisor() {
    let gob = Gob::new();
    let screen = open(&gob, (80, 24));
    screen.wait_for("R starts it");
    same_as(&screen, "away-80x24", &gob);
}

#[test]
fn workers_of_several_owners_and_states() {
    let gob = Gob::new();
    job(&gob, "broken", "echo 'no such table: users' >&2; exit 3");
    gob.ctl(["wait", "broken"]).run();
    job(
        &gob,
        "site",
        &prints(
            "printf '\\033[32mready\\033[0m in 120 steps\\n'; echo 'a wide 日本語 line'; echo 'one warning' >&2",
        ),
    );
    gob.ctl(["start", "notes"]).ok();
    job_of(&gob, "desktop", "work", &prints("echo of the desktop"));
    gob.ctl(["start", "old"]).ok();
    gob.ctl(["stop", "old"]).ok();
    for size in SIZES {
        let mut screen = open_on(&gob, size, "2 broken");
        screen.wait_for("no such table");
        screen.keys("Gk");
        screen.wait_for("2 site");
        screen.wait_for("one warning");
        let (_, row) = screen.find("ready in");
        let coloured =
            |run: &gob_tests::screen::Run| run.text == "ready" && run.style.colours.0 == vt100::Color::Idx(2);
        assert!(screen.runs()[usize::from(row)].iter().any(coloured), "the colours of the program");
        same_as(&screen, &format!("workers-{}x{}", size.0, size.1), &gob);
        screen.keys("G");
        screen.wait_for("2 work");
        screen.wait_for("of the desktop");
        same_as(&screen, &format!("other-owner-{}x{}", size.0, size.1), &gob);
    }
}

#[test]
fn dialogs() {
    let gob = Gob::new();
    job(&gob, "notes", &prints("echo hello"));
    job(&gob, "old", "true");
    for size in [(80, 24), (120, 40)] {
        let mut screen = open_on(&gob, size, "hello");
        screen.wait_for("1 idle");
        for (keys, text, name) in [
            ("?", "Esc closes", "keys"),
            ("n", "Esc: Cancel", "start-graph"),
            ("N", "Esc: Cancel", "new-job"),
            ("x", "Esc: Cancel", "signal"),
            ("o", "Esc: Cancel", "hand-over"),
            ("d", "Esc: Cancel", "remove"),
            (":st", "Words of a command", "palette"),
        ] {
            if name == "remove" {
                // Only a worker without a process can be removed.
                screen.keys("G");
                screen.wait_for("No output yet.");
            }
            screen.keys(keys);
            screen.wait_for(text);
            if keys == ":st" {
                screen.wait_for("start old");
            }
            same_as(&screen, &format!("{name}-{}x{}", size.0, size.1), &gob);
            screen.keys("\u{1b}");
            screen.wait_gone(text);
        }
    }
}
