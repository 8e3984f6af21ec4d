//! A world with a screen, as all of these tests begin.

use gob_tests::screen::Screen;
use gob_tests::{Ctl, Gob};
use std::fs;
use std::path::PathBuf;

/// The usual size of a terminal.
pub(crate) const USUAL: (u16, u16) = (80, 24);

/// Returns the directory in which the screens and the commands of these tests run.
pub(crate) fn home(gob: &Gob) -> PathBuf {
    gob.dir().join("home")
}

/// Creates a call of `gobctl tui`.
pub(crate) fn tui(gob: &Gob) -> Ctl {
    let mut call = gob.ctl(["tui"]);
    call.env("TERM", "xterm-256color").env("TZ", "UTC").cwd(&home(gob));
    call
}

/// Opens the screen, and waits until it is drawn.
pub(crate) fn open(gob: &Gob, size: (u16, u16)) -> Screen {
    let screen = Screen::open(tui(gob), size);
    screen.wait_for("? Keys");
    screen
}

/// Opens the screen of a world whose supervisor runs, and waits for this text.
pub(crate) fn open_on(gob: &Gob, size: (u16, u16), text: &str) -> Screen {
    let screen = open(gob, size);
    screen.wait_for(text);
    screen
}

/// Adds a job that runs this script, from a file: its text is in no command that a screen shows.
pub(crate) fn job(gob: &Gob, name: &str, script: &str) {
    job_of(gob, "cli", name, script);
}

/// As [`job`], for an owner.
pub(crate) fn job_of(gob: &Gob, owner: &str, name: &str, script: &str) {
    let path = format!("{name}.sh");
    file(gob, &path, script);
    gob.ctl(["add", "--owner", owner, "--name", name, "--", "sh", &path]).cwd(&home(gob)).ok();
}

/// Writes an output of `head` and then waits for ever.
pub(crate) fn prints(head: &str) -> String {
    format!("{head}; exec sleep 100000")
}

/// Writes a file into the home directory.
pub(crate) fn file(gob: &Gob, name: &str, text: &str) {
    fs::write(home(gob).join(name), text).expect("a file");
}
