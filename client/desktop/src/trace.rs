//! Times of frames in a file, for measurements: `GOB_DESKTOP_TRACE` names it.
//!
//! Each frame is a line: its time since the start of the process, the time since the last frame, both in microseconds, and
//! the lines of the log that it had.

use std::fs::File;
use std::io::{BufWriter, Write};
use std::time::Instant;

/// The file and the times so far.
pub(crate) struct Trace {
    out: BufWriter<File>,
    begun: Instant,
    last: Instant,
}

impl Trace {
    /// Opens the file that the variable names.
    pub(crate) fn from_env(begun: Instant) -> Option<Self> {
        let path = std::env::var_os("GOB_DESKTOP_TRACE")?;
        let out = BufWriter::with_capacity(0, File::create(path).ok()?);
        Some(Self { out, begun, last: begun })
    }

    /// Notes a frame.
    pub(crate) fn frame(&mut self, lines: usize) {
        let now = Instant::now();
        let (at, since) = (now - self.begun, now - self.last);
        self.last = now;
        writeln!(self.out, "{} {} {lines}", at.as_micros(), since.as_micros()).ok();
    }
}
