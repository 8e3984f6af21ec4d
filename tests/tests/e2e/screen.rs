//! Screens that are redrawn in place leave the terminal as it was, and JSON is spread over lines only for a
//! person.

use gob_tests::Gob;
use gob_tests::process::{Handle, is_stopped};
use gob_tests::terminal::Terminal;
use gob_tests::wait::{self, DEADLINE};
use nix::sys::signal::Signal;

const ENTER: &str = "\x1b[?1049h";
const LEAVE: &str = "\x1b[?25h\x1b[?1049l";

fn watch(gob: &Gob, more: &[&str]) -> Terminal {
    let args = ["list", "--watch", "--color", "never"].iter().chain(more).copied();
    let terminal = Terminal::session(gob.ctl(args), 80);
    terminal.wait_for(|shown| shown.contains("n00") && shown.contains("ready"));
    terminal
}

#[test]
fn a_list_that_is_watched_leaves_nothing_behind_however_it_ends() {
    let gob = Gob::new();
    let names: Vec<String> = (0..24).map(|number| format!("n{number:02}")).collect();
    gob.ctl(["start", "n00"]).ok();
    let mut terminal = watch(&gob, &[]);
    gob.ctl(["start"].into_iter().chain(names.iter().map(String::as_str))).ok();
    terminal.wait_for(|shown| shown.contains("… and 3 more"));
    gob.ctl(["shutdown"]).ok();
    // At the key the terminal drops what it has not shown yet: nothing more may be coming.
    let is_last = |frame: &str| frame.matches("idle").count() == 21 && frame.ends_with("\x1b[J");
    terminal.wait_for(|shown| shown.rsplit("\x1b[H").next().is_some_and(is_last));
    terminal.type_in("\u{3}");
    let (code, shown) = terminal.end();
    assert_eq!(code, 130);
    assert!(shown.starts_with(ENTER), "{shown:?}");
    // Only the key itself is behind it, and no frame has more lines than the terminal has rows.
    let (inside, after) = shown.rsplit_once(LEAVE).unwrap();
    assert_eq!(after, "", "{shown:?}");
    assert!(inside.split("\x1b[H").all(|frame| frame.matches('\n').count() < 24), "{shown:?}");
    gob.ctl(["start", "n00"]).ok();
    for (signal, wanted) in [(Signal::SIGTERM, 143), (Signal::SIGHUP, 129), (Signal::SIGQUIT, 131)] {
        let terminal = watch(&gob, &[]);
        Handle::open(terminal.pid()).unwrap().signal(signal);
        let (code, shown) = terminal.end();
        assert!(code == wanted && shown.ends_with(LEAVE), "{code} {shown:?}");
    }
    let (code, shown) = watch(&gob, &["--timeout", "2s"]).end();
    let (_, after) = shown.rsplit_once(LEAVE).unwrap();
    assert!(code == 124 && after.starts_with("error: list --watch has ended: its time"), "{shown:?}");
}

#[test]
fn a_watched_list_that_is_stopped_gives_the_terminal_back_for_that_time() {
    let gob = Gob::new();
    gob.ctl(["start", "n00"]).ok();
    let terminal = watch(&gob, &[]);
    let process = Handle::open(terminal.pid()).unwrap();
    process.signal(Signal::SIGTSTP);
    assert!(wait::until(DEADLINE, || is_stopped(process.pid)));
    terminal.wait_for(|shown| shown.ends_with(LEAVE));
    process.signal(Signal::SIGCONT);
    terminal.wait_for(|shown| shown.matches(ENTER).count() == 2);
    terminal.kill();
}

#[test]
fn json_is_spread_over_lines_on_a_terminal_alone_and_in_its_own_order() {
    let gob = Gob::new();
    gob.ctl(["start", "demo"]).ok();
    let piped = gob.ctl(["get", "demo"]).ok();
    assert_eq!(piped.lines().count(), 1);
    let (code, shown) = Terminal::open(gob.ctl(["get", "demo"]), 300).end();
    assert_eq!(code, 0, "{shown}");
    assert!(
        shown.starts_with("{\n  \"worker\": {\n    \"name\": \"demo\",\n    \"kind\": \"graph\",\n"),
        "{shown}"
    );
    let same = |text: &str| serde_json::from_str::<serde_json::Value>(text).unwrap();
    assert_eq!(same(&shown), same(&piped));
    let (_, asked) = Terminal::open(gob.ctl(["get", "demo", "--json"]), 300).end();
    assert_eq!(asked.lines().count(), 1, "{asked}");
}

#[test]
fn an_import_shows_its_progress_from_the_beginning() {
    let gob = Gob::with(gob_tests::Worker::Real);
    gob.ctl(["start", "demo"]).ok();
    let mut call = gob_tests::Ctl::new("/bin/sh".as_ref(), gob.env());
    let feed = "for i in 1 2 3; do echo '{\"node\":{\"id\":\"n'$i'\"}}'; sleep 0.4; done | gobctl invoke demo import -";
    call.args(["-c", feed]);
    let (code, shown) = Terminal::open(call, 80).end();
    assert_eq!(code, 0, "{shown}");
    assert!(shown.contains("demo: import … 0 lines read"), "{shown:?}");
    assert!(shown.contains("demo: import … 2 lines read"), "{shown:?}");
}
