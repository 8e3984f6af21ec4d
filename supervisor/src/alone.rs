//! Runs a unit test in a process of its own.
//!
//! The tests of this crate run as threads of one process, and some start programs. A child has every
//! descriptor of the process until it executes its program, so a lock that a test releases may stay busy for
//! a moment; limits, too, are the whole process's. A test that depends on any of that begins with `if
//! !alone(…) { return; }`.

use std::process::Command;

/// Variable of the process that runs one test only.
const ALONE: &str = "GOB_TEST_ALONE";

/// Returns whether this process runs `test` and no other test; otherwise runs `test` in a process of its own
/// first.
///
/// # Panics
/// If the test fails in the other process, or is not found by its whole name (`sys::spawn::tests::name`).
pub(crate) fn alone(test: &str) -> bool {
    alone_under(test, "exec \"$@\"")
}

/// As [`alone`]; `sh -c script` starts the process, with the program and its arguments in `"$@"`.
pub(crate) fn alone_under(test: &str, script: &str) -> bool {
    if std::env::var_os(ALONE).is_some_and(|name| name == test) {
        return true;
    }
    let mut again = Command::new("sh");
    again.args(["-c", script, "sh"]).arg(std::env::current_exe().unwrap());
    let done = again.args(["--exact", test, "--nocapture"]).env(ALONE, test).output().unwrap();
    let (out, err) = (String::from_utf8_lossy(&done.stdout), String::from_utf8_lossy(&done.stderr));
    assert!(done.status.success() && out.contains("1 passed"), "{out}\n{err}");
    false
}
