//! Log lines on standard error. gobd adds time and worker to them.

use std::fmt;
use std::io::{self, Write as _};

/// Writes one line. A failed write is no reason to stop serving.
pub(crate) fn line(message: fmt::Arguments<'_>) {
    // One write per line, so that lines of several threads don't mix.
    let text = format!("gob-graph-worker[{}]: {message}\n", std::process::id());
    drop(io::stderr().write_all(text.as_bytes()));
}
