//! gobctl on a terminal of 80 columns and of fewer: every line fits it, measured in cells, and is coloured
//! only where colours are wanted.

use gob_tests::Gob;
use gob_tests::script::{Step, Write};
use gob_tests::terminal::Terminal;
use serde_json::json;
use std::collections::BTreeSet;
use unicode_width::UnicodeWidthStr;

/// Returns the text without escape sequences.
fn plain(text: &str) -> String {
    let mut parts = text.split('\u{1b}');
    let mut out = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let end = part.find(|c: char| c.is_ascii_alphabetic()).map_or(0, |at| at + 1);
        out.push_str(&part[end..]);
    }
    out
}

#[track_caller]
fn fits(text: &str, columns: u16) {
    for line in plain(text).split(['\n', '\r']) {
        assert!(line.width() <= usize::from(columns), "{} of {columns} cells: {line:?}", line.width());
    }
}

const LONG: &str = "名前がとても長いグラフで入らない";
const COMBINING: &str = "e\u{301}e\u{301}e\u{301}";

#[test]
fn a_list_fits_and_names_in_any_script_keep_its_columns_straight() {
    let gob = Gob::new();
    gob.ctl(["start", "demo", LONG, COMBINING]).ok();
    let list = |columns| {
        let (code, text) = Terminal::open(gob.ctl(["list", "--color", "never"]), columns).end();
        assert_eq!(code, 0, "{text}");
        fits(&text, columns);
        assert_eq!(text.lines().count(), 4, "{text}");
        text
    };
    for columns in [40, 60, 80, 100] {
        let text = list(columns);
        assert!(text.contains("demo") && text.contains("ready"), "{text}");
        // For names in any script, the next column is aligned.
        let at = |line: &str| line.find("ready").map(|at| line[..at].width());
        let columns: BTreeSet<_> = text.lines().skip(1).map(at).collect();
        assert_eq!(columns.len(), 1, "{text}");
    }
    let text = list(300);
    assert!(text.contains("RESTARTS") && text.contains(LONG), "all of it, where there is room: {text}");
}

#[test]
fn the_progress_of_a_start_stays_on_its_line() {
    let gob = Gob::new();
    for (columns, name) in
        [(40, LONG), (60, "demo"), (80, "a-name-of-more-than-twenty-characters"), (20, COMBINING)]
    {
        gob.fifo(name, "go");
        let words = "日本語の長い行が端末の幅をこえて続く and then some more that no line has room for\n";
        let says = Step::Write(Write { text: words.to_owned(), stderr: true, chunk: 0 });
        gob.script(name, &[says, Step::WaitFor("go".to_owned()), Step::Listen, Step::Handshake]);
        let terminal = Terminal::open(gob.ctl(["start", name]), columns);
        terminal.wait_for(|shown| shown.matches("\x1b[K").count() >= 5);
        gob.release(name, "go");
        let (code, text) = terminal.end();
        assert_eq!(code, 0, "{text}");
        let (progress, told) = text.rsplit_once("\x1b[K").unwrap();
        assert!(!progress.contains('\n'), "one line, rewritten in place: {progress:?}");
        // A line of all columns would make the terminal begin the next one.
        fits(progress, columns - 1);
        assert!(progress.contains("… "), "{progress:?}");
        assert!(columns < 60 || progress.contains("日本"), "its last line: {progress:?}");
        assert!(told.starts_with("started "), "{told}");
    }
}

#[test]
fn events_fit_and_show_the_time_of_a_start() {
    let gob = Gob::new();
    gob.ctl(["ping"]).ok();
    let terminals: Vec<(u16, Terminal)> =
        [40, 60, 80].map(|columns| (columns, Terminal::open(gob.ctl(["events"]), columns))).into();
    let listening = || gob.status()["subscribers"] == json!(3);
    assert!(gob_tests::wait::until(gob_tests::wait::DEADLINE, listening));
    gob.ctl(["start", "demo", LONG, COMBINING]).ok();
    gob.ctl(["stop", "demo"]).ok();
    for (columns, terminal) in terminals {
        terminal.wait_for(|shown| shown.contains("stopped"));
        let text = terminal.shown();
        fits(&text, columns);
        let ready = plain(&text);
        let ready = ready.lines().find(|line| line.contains("demo") && line.contains("ready")).unwrap();
        assert!(columns < 60 || ready.contains(" in ") && ready.contains("ms"), "{ready}");
        terminal.kill();
    }
}

/// Returns every verb, as the root help lists them.
fn verbs(gob: &Gob) -> Vec<String> {
    let help = gob.ctl(["--help"]).ok();
    let help = help.split("\nEverywhere:").next().unwrap();
    let lines = help.lines().filter(|line| line.starts_with("  ") && !line.starts_with("  gobctl"));
    lines.map(|line| line.trim_start().split([' ', ',']).next().unwrap().to_owned()).collect()
}

#[test]
fn help_is_broken_at_words_only() {
    let gob = Gob::new();
    let verbs = verbs(&gob);
    assert!(verbs.len() >= 20 && verbs.contains(&"start".to_owned()), "{verbs:?}");
    let calls = verbs.iter().map(|verb| vec![verb.as_str(), "--help"]).chain([vec!["--help"], vec![]]);
    let topics = ["exit-codes", "environment", "config", "owners"].map(|topic| vec!["help", topic]);
    let calls = calls.chain(topics);
    let words = |text: &str| -> Vec<String> { text.split_whitespace().map(str::to_owned).collect() };
    for args in calls {
        let wide = Terminal::open(gob.ctl(args.clone()), 300).end().1;
        for columns in [40, 80] {
            let (_, text) = Terminal::open(gob.ctl(args.clone()), columns).end();
            fits(&text, columns);
            assert_eq!(words(&text), words(&wide), "{args:?} in {columns}");
        }
    }
}

#[test]
fn colour_is_for_terminals_that_want_it() {
    let gob = Gob::new();
    let coloured = |args: &[&str], env: &[(&str, &str)]| {
        let mut call = gob.ctl(args.iter().copied());
        for (name, value) in env {
            call.env(name, value);
        }
        Terminal::open(call, 80).end().1.contains("\x1b[")
    };
    let fails = ["stop", "nobody"];
    assert!(coloured(&fails, &[]), "error and hint");
    assert!(!coloured(&fails, &[("NO_COLOR", "1")]));
    assert!(coloured(&fails, &[("NO_COLOR", "")]), "set and not empty, says no-color.org");
    assert!(!coloured(&["stop", "nobody", "--color", "never"], &[]));
    assert!(
        coloured(&["stop", "nobody", "--color=always"], &[("NO_COLOR", "1")]),
        "a flag beats the environment"
    );
    assert!(coloured(&["frobnicate"], &[]), "also of what has no verb");
    let (_, text) = Terminal::open(gob.ctl(fails), 80).end();
    assert!(text.starts_with("\x1b[31merror:\x1b[0m ") && text.contains("\x1b[2mhint: "), "{text:?}");
    let piped = gob.ctl(fails).run();
    assert!(!piped.stderr.contains('\x1b'), "{piped}");
    let piped = gob.ctl(["stop", "nobody", "--color", "always"]).run();
    assert!(piped.stderr.contains("\x1b[31m"), "{piped}");
    gob.ctl(["start", "demo"]).ok();
    let doctor = Terminal::open(gob.ctl(["doctor"]), 80).end().1;
    assert!(!doctor.contains("warn") || doctor.contains("\x1b[33mwarn"), "{doctor:?}");
}
