//! Workers' output, read from the files themselves (PROTOCOL, Worker logs).
//!
//! The supervisor streams no output: programs with the right to read the files read them. A run has a file
//! per stream, rotated ones beside it, and an index with the order and time of each write. [`Run`] gives a
//! run's output back in that order, in [`Piece`]s of lines; [`Watch`] waits for more. A [`Pane`] does both for a
//! screen: as many lines as it shows, following or anywhere in the run. Nothing here writes.

mod bound;
mod files;
mod index;
mod pane;
mod pattern;
mod pieces;
mod place;
mod reader;
mod run;
mod tail;
mod watch;
mod window;

pub use gob_protocol::logindex::Stream;
pub use pane::{Direction, Page, Pane, Searched, Streams, Target};
pub use pattern::Pattern;
pub use pieces::Piece;
pub use run::Run;
pub use tail::drop_first_lines;
pub use watch::Watch;
pub use window::Line;

use std::io;
use std::path::Path;

/// Returns the numbers of the runs that have files in a worker's log directory, in order. A missing directory
/// has none.
///
/// # Errors
/// When the directory can't be read.
pub fn runs(dir: &Path) -> io::Result<Vec<u64>> {
    let entries = match std::fs::read_dir(dir) {
        Ok(entries) => entries,
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(e) => return Err(e),
    };
    let mut runs = Vec::new();
    for entry in entries {
        let name = entry?.file_name();
        let number = name.to_str().and_then(|name| name.split_once('.')).map(|(run, _)| run.parse::<u64>());
        runs.extend(number.and_then(Result::ok));
    }
    runs.sort_unstable();
    runs.dedup();
    Ok(runs)
}

#[cfg(test)]
mod tests;
