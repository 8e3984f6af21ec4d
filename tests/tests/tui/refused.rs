//! Surroundings in which there is no screen: each is refused with the way that works there, and looks are chosen by the terminal.

use crate::world::{USUAL, open_on, tui};
use gob_tests::Gob;
use gob_tests::screen::Screen;
use vt100::Color;

#[test]
fn it_is_refused_where_it_can_not_be_shown() {
    let gob = Gob::new();
    let piped = tui(&gob).fails(2);
    assert!(
        piped.stderr.contains("tui needs a terminal") && piped.stderr.contains("gobctl list --watch"),
        "{piped}"
    );
    assert_eq!(piped.stdout, "");
    for term in ["dumb", ""] {
        let mut call = tui(&gob);
        call.env("TERM", term);
        let ended = Screen::open(call, USUAL).end();
        assert_eq!(ended.code, 2, "{ended:?}");
        assert!(ended.text.contains("TERM is") && ended.text.contains("hint: "), "{ended:?}");
        ended.left_as_it_was();
    }
    let mut call = gob.ctl(["tui", "--json"]);
    call.env("TERM", "xterm");
    let ended = Screen::open(call, USUAL).end();
    assert_eq!(ended.code, 2, "{ended:?}");
    assert!(ended.text.contains("gobctl list --json"), "{ended:?}");
    assert!(gob.lock_line().is_none(), "no supervisor is started for that");
}

/// Returns the colours of a screen that shows a line in 256 colours.
fn colours(gob: &Gob, env: &[(&str, &str)]) -> Vec<Color> {
    let mut call = tui(gob);
    for (name, value) in env {
        call.env(name, value);
    }
    let screen = Screen::open(call, (100, 30));
    screen.wait_for("orange");
    screen.runs().concat().into_iter().flat_map(|run| [run.style.colours.0, run.style.colours.1]).collect()
}

#[test]
fn colours_are_those_of_the_terminal() {
    let gob = Gob::new();
    crate::world::job(&gob, "paint", &crate::world::prints("printf '\\033[38;5;208morange\\033[0m\\n'"));
    assert!(colours(&gob, &[]).contains(&Color::Idx(208)));
    let sixteen = colours(&gob, &[("TERM", "xterm")]);
    assert!(sixteen.iter().any(|color| *color != Color::Default));
    assert!(sixteen.iter().all(|color| matches!(color, Color::Default | Color::Idx(0..16))), "{sixteen:?}");
    let none = colours(&gob, &[("NO_COLOR", "1")]);
    assert!(none.iter().all(|color| *color == Color::Default), "{none:?}");
    let many = colours(&gob, &[("TERM", "xterm"), ("COLORTERM", "truecolor")]);
    assert!(many.contains(&Color::Idx(208)));
}

#[test]
fn a_selected_row_is_seen_without_any_colour() {
    let gob = Gob::new();
    gob.ctl(["start", "one", "two"]).ok();
    let mut call = tui(&gob);
    call.env("NO_COLOR", "1");
    let screen = Screen::open(call, USUAL);
    screen.wait_for("two");
    let (_, row) = screen.find("● one");
    assert!(screen.runs()[usize::from(row)].iter().any(|run| run.style.inverse && run.text.contains("one")));
}

#[test]
fn a_terminal_without_unicode_gets_none() {
    let gob = Gob::new();
    crate::world::job(&gob, "talk", &crate::world::prints("echo plain"));
    let mut call = tui(&gob);
    call.env("LANG", "C");
    let mut screen = Screen::open(call, USUAL);
    screen.wait_for("plain");
    for keys in ["", "?", "\u{1b}", ":", "\u{1b}", "n"] {
        let frames = screen.frames().len();
        screen.keys(keys);
        if !keys.is_empty() {
            screen.wait_to_see("a frame", |emulator| emulator.frames().count() > frames);
        }
        let text = screen.text();
        assert!(text.is_ascii(), "{:?}\n{text}", text.chars().find(|c| !c.is_ascii()));
    }
}

#[test]
fn a_terminal_without_room_says_so_until_it_has_some() {
    let gob = Gob::new();
    gob.ctl(["start", "demo"]).ok();
    let mut screen = open_on(&gob, USUAL, "demo");
    for size in [(10, 3), (1, 1), (19, 5)] {
        let frames = screen.frames().len();
        screen.resize(size);
        screen.wait_to_see("a frame", |emulator| emulator.frames().count() > frames);
    }
    screen.wait_until("the remark", |text| text.starts_with("The terminal is too"));
    // Keys of a screen that is not seen do nothing harmful, and the program lives on.
    screen.resize((40, 10));
    screen.wait_for("demo");
    screen.resize((300, 80));
    screen.wait_until("all panes", |text| {
        ["1 Workers", "2 demo", "3 Log", "[Events]"].iter().all(|title| text.contains(title))
    });
    screen.keys("q");
    screen.end().left_as_it_was();
}
