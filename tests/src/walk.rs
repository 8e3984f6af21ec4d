//! Types documents line by line: the console sessions of a Markdown file, with the real binaries.
//!
//! The output must equal the document's, except for the parts that [`console::normalise`] makes equal. A
//! command in the second terminal goes on while the others are typed.

use crate::console::{self, Command, Session};
use crate::terminal::Terminal;
use crate::wait::{self, DEADLINE};
use crate::{Ctl, Gob};
use serde_json::json;
use std::path::{Path, PathBuf};

/// Columns of the terminals: wide enough for the paths of a test, which are longer than a user's.
const COLUMNS: u16 = 160;

/// The line that puts the built programs on PATH.
const SET_PATH: &str = "PATH=$PWD/target/debug:$PATH";

/// Types in every session of a document that is not left out, and returns the number of commands in the first
/// terminal.
///
/// # Panics
/// When the output differs from the document's, or a command fails that is not shown to.
pub fn walk_through(gob: &Gob, markdown: &str, is_left_out: impl Fn(&Session) -> bool) -> usize {
    let root = root().canonicalize().unwrap();
    let places = [
        (root.display().to_string(), "~/gob"),
        (gob.runtime_dir().display().to_string(), "/run/user/1000/gob"),
        (gob.data_dir().display().to_string(), "~/.local/share/gob/graphs"),
        (gob.state_dir().display().to_string(), "~/.local/state/gob"),
    ];
    let (mut terminals, mut typed) = (Vec::new(), 0);
    for session in console::sessions(markdown).iter().filter(|session| !is_left_out(session)) {
        let mut dir = root.clone();
        for command in &session.commands {
            // A test has a PATH of its own, on which the same programs are.
            if command.line == SET_PATH {
                continue;
            }
            if let Some(below) = command.line.strip_prefix("cd ") {
                dir.push(below);
                assert!(dir.is_dir(), "$ {}", command.line);
                continue;
            }
            if session.second_terminal {
                terminals.push(Second::open(gob, command));
                let open = terminals.len() as u64;
                let listening =
                    || gob.connect().ok("status", json!({}))["subscribers"].as_u64() == Some(open);
                assert!(wait::until(DEADLINE, listening), "$ {} does not listen", command.line);
            } else {
                type_in(gob, command, &dir, &places);
                typed += 1;
            }
        }
    }
    for terminal in terminals {
        terminal.check_and_close(&places);
    }
    typed
}

/// A command that goes on in a terminal of its own.
struct Second {
    command: Command,
    terminal: Terminal,
}

impl Second {
    fn open(gob: &Gob, command: &Command) -> Self {
        let mut call = Ctl::new("/bin/sh".as_ref(), gob.env());
        call.args(["-c", &format!("exec {}", command.line)]).env("NO_COLOR", "1");
        Self { command: command.clone(), terminal: Terminal::open(call, COLUMNS) }
    }

    /// Its output must begin like the document's; the document does not follow it to its end.
    fn check_and_close(self, places: &[(String, &str)]) {
        let expected = console::normalise(&self.command.expected, places);
        assert!(expected.lines().count() >= 3, "nothing is expected of $ {}", self.command.line);
        let shown = || console::normalise(&self.terminal.shown(), places);
        let same = wait::until(DEADLINE, || shown().starts_with(&expected));
        assert!(same, "$ {}\n--- expected\n{expected}\n--- shown\n{}", self.command.line, shown());
        self.terminal.kill();
    }
}

/// Returns the environment of a test, and the examples' share of the caller's: Python, and Cargo with its
/// downloads.
fn equipped(gob: &Gob, call: &mut Ctl) {
    let own = |name| std::env::var(name).unwrap_or_default();
    let path = gob.env().into_iter().find(|(name, _)| name == "PATH").unwrap().1;
    call.env("PATH", &format!("{path}:{}", own("PATH")));
    for (name, below_home) in [("CARGO_HOME", ".cargo"), ("RUSTUP_HOME", ".rustup")] {
        let set = std::env::var(name).unwrap_or_else(|_| format!("{}/{below_home}", own("HOME")));
        call.env(name, &set);
    }
}

/// Returns the directory in which a reader stands.
fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// Types a command into a terminal of its own.
fn type_in(gob: &Gob, command: &Command, dir: &Path, places: &[(String, &str)]) {
    let mut call = Ctl::new("/bin/sh".as_ref(), gob.env());
    equipped(gob, &mut call);
    call.cwd(dir);
    call.args(["-c", &command.line]);
    let (code, shown) = Terminal::open(call, COLUMNS).end();
    let [shown, expected] = [&shown, &command.expected].map(|text| console::normalise(text, places));
    assert_eq!(shown, expected, "$ {}", command.line);
    let fails = command.expected.starts_with("error: ");
    assert_eq!(code != 0, fails, "$ {} exits {code}", command.line);
}
