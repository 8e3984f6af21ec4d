//! Types the README's walk-through line by line, with the real binaries.
#![allow(missing_docs, reason = "a test has no interface")]

use gob_tests::console::{self, Session};
use gob_tests::require::{Need, skip};
use gob_tests::walk::walk_through;
use gob_tests::{Gob, Worker};

const README: &str = include_str!("../../README.md");

fn has_python() -> bool {
    std::process::Command::new("python3")
        .arg("--version")
        .output()
        .is_ok_and(|output| output.status.success())
}

#[test]
fn the_walk_through_works_line_by_line() {
    let sessions = console::sessions(README);
    assert!(sessions.iter().any(|session| session.second_terminal), "events are shown in a second terminal");
    let python = has_python();
    // The walk through the crates needs Python; it stands behind all others and has a start and an end of its
    // own.
    let is_left_out = |session: &Session| {
        let without = !python && session.commands.iter().any(|command| command.line.contains(" crates"));
        if without {
            skip(Need::Python, "python3 is not here, so nobody tried the README's `crates`");
        }
        without
    };
    let typed = walk_through(&Gob::with(Worker::Real), README, is_left_out);
    assert!(typed >= 8, "only {typed} commands");
}

#[test]
fn the_install_line_is_one_that_the_packager_takes() {
    let line =
        README.lines().find(|line| line.ends_with("--prefix ~/.local")).expect("one line that installs");
    let packager = line.split(' ').next().unwrap();
    let root = concat!(env!("CARGO_MANIFEST_DIR"), "/..");
    let help = std::process::Command::new(packager).arg("--help").current_dir(root).output().unwrap();
    assert!(String::from_utf8(help.stdout).unwrap().contains("--prefix DIR"));
    let slip = std::process::Command::new(packager).args(["--prefix"]).current_dir(root).output().unwrap();
    assert_eq!(slip.status.code(), Some(2), "{slip:?}");
}

#[test]
fn each_terminal_of_the_walk_is_told_where_the_programs_are() {
    let sessions = console::sessions(README);
    let sets_path = |session: &Session| session.commands[0].line.starts_with("PATH=");
    assert!(sets_path(&sessions[0]), "the first one");
    assert!(sessions.iter().filter(|session| session.second_terminal).all(sets_path), "and the second");
}

#[test]
fn the_test_command_of_ci_is_in_the_readme() {
    let block = README.split("<!-- ci: test -->\n```sh\n").nth(1).and_then(|rest| rest.split("```").next());
    let command = block.expect("a block that .ci/run can extract");
    assert!(command.contains("cargo build --workspace --bins") && command.contains("cargo test --workspace"));
}
