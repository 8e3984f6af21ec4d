//! The mouse: clicks, the wheel under the pointer, a drag that copies by OSC 52, and pasted text.

use crate::world::{job, open_on, prints};
use gob_tests::Gob;
use gob_tests::screen::Screen;

/// Decodes base64.
fn decoded(text: &str) -> String {
    const DIGITS: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut bytes = Vec::new();
    for chunk in text.trim_end_matches('=').as_bytes().chunks(4) {
        let digits = chunk.iter().map(|c| DIGITS.iter().position(|digit| digit == c).expect("base64") as u32);
        let bits = digits.fold(0, |bits, digit| bits << 6 | digit) << (6 * (4 - chunk.len()));
        bytes.extend_from_slice(&bits.to_be_bytes()[1..chunk.len()]);
    }
    String::from_utf8(bytes).expect("UTF-8")
}

fn wait_copied(screen: &Screen, text: &str) {
    screen
        .wait_to_see(text, |emulator| emulator.copied().last().is_some_and(|copied| decoded(copied) == text));
}

#[test]
fn a_click_selects_and_gives_its_pane_the_keys() {
    let gob = Gob::new();
    gob.ctl(["start", "one", "two", "three"]).ok();
    let mut screen = open_on(&gob, (100, 30), "two");
    screen.wait_for("2 one");
    screen.click(screen.find("two"));
    screen.wait_for("2 two");
    screen.click(screen.find("Runs"));
    screen.wait_for("[Runs]");
    screen.click(screen.find("stderr"));
    screen.wait_for("[stderr]");
    // The log has the keys now.
    screen.keys("/");
    screen.wait_for("Search the log for:");
    screen.keys("\u{1b}");
    screen.wait_gone("Search the log for:");
    let (x, y) = screen.find("? Keys");
    screen.click((x, y));
    screen.wait_for("Esc closes");
}

#[test]
fn a_click_on_an_action_does_it_and_on_a_refused_one_says_why() {
    let gob = Gob::new();
    gob.ctl(["start", "mine"]).ok();
    gob.ctl(["start", "theirs", "--owner", "desktop"]).ok();
    let mut screen = open_on(&gob, (120, 40), "theirs");
    screen.click(screen.find("s Stop"));
    screen.wait_for("stopped mine");
    screen.click(screen.find("theirs"));
    screen.wait_for("2 theirs");
    // It is no action of this screen; its key says why.
    screen.keys("s");
    screen.wait_until("the refusal below", |text| {
        text.lines().last().is_some_and(|line| line.contains("owned by desktop") || line.contains("desktop"))
    });
    gob.ctl(["wait", "theirs", "--until", "ready", "--timeout", "5s"]).run();
}

#[test]
fn the_wheel_scrolls_what_is_under_it() {
    let gob = Gob::new();
    job(&gob, "talk", &prints("seq -f 'line %g.' 1 200"));
    let mut screen = open_on(&gob, (100, 30), "line 200.");
    // The list has the keys, and the log is scrolled.
    let place = screen.find("line 195.");
    screen.wheel(place, -4);
    screen.wait_gone("line 200.");
    screen.wait_for("held");
    screen.wheel(place, 4);
    screen.wait_for("line 200.");
    screen.wheel(place, 1);
    screen.wait_for("following");
}

#[test]
fn a_drag_copies_its_text_and_nothing_of_other_panes() {
    let gob = Gob::new();
    job(&gob, "talk", &prints("echo 'alpha 日本 beta'; echo second"));
    let mut screen = open_on(&gob, (100, 30), "second");
    let (x, y) = screen.find("alpha");
    screen.drag((x, y), (x + 9, y));
    wait_copied(&screen, "alpha 日本");
    screen.wait_for("copied");
    let (to, below) = screen.find("second");
    screen.drag((x + 11, y), (to + 2, below));
    screen.wait_to_see("two lines", |emulator| {
        emulator.copied().last().is_some_and(|copied| {
            let text = decoded(copied);
            let mut lines = text.lines();
            lines.next() == Some("beta") && lines.next().is_some_and(|line| line.trim_start() == "sec")
        })
    });
    // Beyond the pane it ends at the pane.
    screen.drag((x, y), (0, 0));
    screen.wait_to_see("text of the log", |emulator| {
        emulator.copied().len() == 3 && !decoded(&emulator.copied()[2]).contains('│')
    });
}

#[test]
fn the_endpoint_is_copied_by_a_key() {
    let gob = Gob::new();
    let endpoint = gob.ctl(["start", "notes", "-q"]).ok();
    let mut screen = open_on(&gob, (100, 30), "ready");
    screen.keys("c");
    wait_copied(&screen, endpoint.trim());
    screen.wait_for("copied unix:");
}

#[test]
fn pasted_text_is_no_key() {
    let gob = Gob::new();
    gob.ctl(["start", "one", "two"]).ok();
    let mut screen = open_on(&gob, (100, 30), "two");
    screen.paste("q\rsd");
    screen.keys("/");
    screen.wait_for("Filter:");
    screen.paste("tw");
    screen.wait_for("1 of 2");
    screen.keys("\u{1b}");
    screen.wait_gone("Filter:");
    // Lines of a text are one line in a field of one.
    screen.keys("N");
    screen.wait_for("Command");
    screen.paste("make\ntest");
    screen.wait_until("one line", |text| {
        text.lines().any(|line| line.contains("make") && line.contains("test"))
    });
}
