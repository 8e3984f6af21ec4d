//! The terminal is left as it was: at the person's end, at signals, at stops, and when it is gone.

use crate::world::{USUAL, home, open, tui};
use gob_client::blocking::Connector;
use gob_client::{Dirs, Owner};
use gob_tests::process::is_stopped;
use gob_tests::screen::{Modes, Screen};
use gob_tests::wait::{self, DEADLINE};
use gob_tests::{Ctl, Gob};
use nix::sys::signal::Signal;

/// The modes while the screen is shown.
const TAKEN: Modes =
    Modes { other_screen: true, no_cursor: true, bracketed_paste: true, mouse: true, coloured: false };

fn wait_for_modes(screen: &Screen, modes: Modes) {
    screen.wait_to_see(&format!("{modes:?}"), |emulator| {
        Modes { coloured: false, ..emulator.modes() } == modes
    });
}

/// Waits until the shell reads a line: what is typed before that is lost where it sets the terminal's mode.
fn wait_for_prompt(screen: &Screen) {
    screen.wait_until("the prompt", |text| text.trim_end().ends_with("shell>"));
}

#[test]
fn keys_end_it_and_the_terminal_is_as_before() {
    let gob = Gob::new();
    for keys in ["q", "\u{3}", ":quit\r"] {
        let mut screen = open(&gob, USUAL);
        wait_for_modes(&screen, TAKEN);
        assert!(!screen.settings_restored(), "keys come one by one");
        screen.keys(keys);
        let ended = screen.end();
        assert_eq!(ended.code, 0, "{keys:?}: {ended:?}");
        ended.left_as_it_was();
        assert_eq!(ended.text.trim(), "", "nothing of it is left on the shell's screen: {ended:?}");
    }
}

#[test]
fn signals_end_it_and_the_terminal_is_as_before() {
    let gob = Gob::new();
    for (signal, code) in
        [(Signal::SIGTERM, 143), (Signal::SIGHUP, 129), (Signal::SIGINT, 130), (Signal::SIGQUIT, 131)]
    {
        let screen = open(&gob, USUAL);
        screen.signal(signal);
        let ended = screen.end();
        assert_eq!(ended.code, code, "{ended:?}");
        ended.left_as_it_was();
    }
}

/// Names the call of this program in which the screen is to panic.
const PANICS: &str = "GOB_TEST_PANICS";

#[test]
fn a_panic_gives_the_terminal_back_before_it_is_told() {
    if std::env::var_os(PANICS).is_some() {
        return panic_in_the_screen();
    }
    let gob = Gob::new();
    let mut call = Ctl::new(&std::env::current_exe().expect("this program"), gob.env());
    call.args(["--exact", "given_back::a_panic_gives_the_terminal_back_before_it_is_told", "--nocapture"]);
    call.env("TERM", "xterm-256color").env(PANICS, "1").env("RUST_BACKTRACE", "0");
    let mut screen = Screen::open(call, USUAL);
    screen.wait_for("? Keys");
    screen.keys("u");
    let ended = screen.end();
    assert_eq!(ended.code, 101, "{ended:?}");
    ended.left_as_it_was();
    assert!(ended.text.contains("on purpose"), "the message is read on the shell's screen: {ended:?}");
}

/// Shows a screen that panics when it reads the project file.
fn panic_in_the_screen() {
    let (dirs, owner) = (Dirs::from_env().expect("directories"), Owner::cli());
    let options = gob_tui::Options {
        connector: Connector::new(dirs.clone(), owner.clone()),
        dirs,
        owner,
        cwd: "/".to_owned(),
        project: Box::new(|| panic!("on purpose")),
        look: gob_tui::Look::of(true, |_| None),
    };
    gob_tui::run(options).expect("a terminal");
}

#[test]
fn a_terminal_that_goes_away_ends_it() {
    let gob = Gob::new();
    let mut screen = open(&gob, USUAL);
    screen.hang_up();
    let pid = screen.pid();
    let gone = gob_tests::process::Handle::open(pid).is_none_or(|handle| handle.wait_gone(DEADLINE));
    assert!(gone, "it lives on without its terminal");
}

#[test]
fn a_shell_stops_it_and_brings_it_back() {
    let gob = Gob::new();
    let mut shell = Ctl::new("/bin/sh".as_ref(), gob.env());
    shell.args(["-i"]).env("PS1", "shell> ").env("TERM", "xterm-256color").cwd(&home(&gob));
    let mut screen = Screen::open(shell, USUAL);
    screen.wait_for("shell>");
    screen.keys("gobctl tui\n");
    screen.wait_for("? Keys");
    for _ in 0..2 {
        wait_for_modes(&screen, TAKEN);
        screen.keys("\u{1a}");
        wait_for_modes(&screen, Modes::default());
        wait_for_prompt(&screen);
        screen.keys("jobs; echo $((6 * 7)) from the shell\n");
        screen.wait_for("42 from the shell");
        screen.keys("fg\n");
        wait_for_modes(&screen, TAKEN);
        screen.wait_for("? Keys");
    }
    screen.resize((100, 30));
    screen.wait_until("the whole width", |text| text.lines().any(|line| line.chars().count() == 100));
    screen.keys("q");
    wait_for_modes(&screen, Modes::default());
    wait_for_prompt(&screen);
    screen.keys("exit\n");
    assert!(screen.end().settings_restored);
}

#[test]
fn a_key_that_stops_does_nothing_where_no_shell_could_go_on_with_it() {
    let gob = Gob::new();
    let mut screen = open(&gob, USUAL);
    screen.keys("\u{1a}?");
    screen.wait_for("Esc closes");
    wait_for_modes(&screen, TAKEN);
    assert!(!is_stopped(screen.pid()));
    screen.keys("\u{1b}");
    screen.wait_gone("Esc closes");
    screen.keys("q");
    screen.end().left_as_it_was();
}

#[test]
fn a_process_that_was_stopped_takes_the_terminal_again() {
    let gob = Gob::new();
    let mut screen = open(&gob, USUAL);
    screen.wait_for("R starts it");
    let before = screen.text();
    screen.signal(Signal::SIGSTOP);
    assert!(wait::until(DEADLINE, || is_stopped(screen.pid())));
    let frames = screen.frames().len();
    screen.signal(Signal::SIGCONT);
    screen.wait_to_see("a frame", |emulator| emulator.frames().count() > frames);
    screen.wait_until("the same screen", |text| text == before);
    wait_for_modes(&screen, TAKEN);
    screen.keys("q");
    screen.end().left_as_it_was();
}

#[test]
fn a_signal_that_stops_gives_the_terminal_back_for_that_time() {
    let gob = Gob::new();
    let mut shell = Ctl::new("/bin/sh".as_ref(), gob.env());
    shell.args(["-i"]).env("PS1", "shell> ").env("TERM", "xterm-256color").cwd(&home(&gob));
    let mut screen = Screen::open(shell, USUAL);
    screen.wait_for("shell>");
    screen.keys("gobctl tui\n");
    screen.wait_for("? Keys");
    let pid = gob.running("gobctl");
    let [pid] = pid[..] else { panic!("{pid:?}") };
    gob_tests::process::Handle::open(pid).unwrap().signal(Signal::SIGTSTP);
    assert!(wait::until(DEADLINE, || is_stopped(pid)));
    wait_for_modes(&screen, Modes::default());
    wait_for_prompt(&screen);
    screen.keys("fg\n");
    wait_for_modes(&screen, TAKEN);
    screen.wait_for("? Keys");
    screen.keys("q");
    wait_for_modes(&screen, Modes::default());
    wait_for_prompt(&screen);
    screen.keys("exit\n");
    screen.end();
}

#[test]
fn a_terminal_that_takes_nothing_does_not_keep_it_from_ending() {
    let gob = Gob::new();
    let mut screen = Screen::open(tui(&gob), (300, 80));
    screen.wait_for("? Keys");
    screen.hold(true);
    // More frames than a terminal's buffer has room for, and not one of them is read.
    let holds = wait::until(DEADLINE, || {
        screen.keys("z");
        (0..100).all(|_| is_blocked(screen.pid()))
    });
    assert!(holds, "it writes to a terminal that takes nothing");
    // The supervisor has nothing to do with it.
    gob.ctl(["start", "demo"]).ok();
    screen.signal(Signal::SIGTERM);
    let ended = screen.end();
    assert_eq!(ended.code, 143);
    assert!(ended.settings_restored, "{ended:?}");
}

/// Returns whether the main thread of a process waits in a write.
fn is_blocked(pid: i32) -> bool {
    let call = std::fs::read_to_string(format!("/proc/{pid}/task/{pid}/syscall")).unwrap_or_default();
    // Number 1 is write(2) on x86-64, 64 on all others.
    call.starts_with(if cfg!(target_arch = "x86_64") { "1 " } else { "64 " })
}
