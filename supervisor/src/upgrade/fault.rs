//! Faults at the steps of an upgrade, for the tests: a build with debug assertions dies at the step that the file `upgrade.fault` in the
//! state directory names.

use std::path::Path;

/// Comes to a step.
pub(super) fn at(step: &str) {
    if !cfg!(debug_assertions) {
        return;
    }
    let dir = std::env::var_os("GOB_STATE_DIR").unwrap_or_default();
    if std::fs::read_to_string(Path::new(&dir).join("upgrade.fault")).is_ok_and(|at| at.trim() == step) {
        // A failure would be a bad test, which sees that nothing died.
        nix::sys::signal::raise(nix::sys::signal::Signal::SIGKILL).unwrap_or_default();
    }
}
