//! Faults at the steps of the keeper's own upgrade, for the tests: a build with debug assertions dies at the step that the file
//! `upgrade.fault` in the state directory names.

use nix::sys::signal::{Signal, raise};
use std::path::Path;

/// Comes to a step.
pub(crate) fn at(step: &str, state: &Path) {
    let named = || std::fs::read_to_string(state.join("upgrade.fault"));
    if cfg!(debug_assertions) && named().is_ok_and(|at| at.trim() == step) {
        // A failure would be a bad test, which sees that nothing died.
        raise(Signal::SIGKILL).unwrap_or_default();
    }
}
