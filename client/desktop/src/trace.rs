//! Times of frames in a file, for measurements: `GOB_DESKTOP_TRACE` names it.
//!
//! Each frame is a line: its time since the start of the process, the time since the last frame, and the time that its drawing
//! took without the painting of the triangles, all in microseconds.

use std::fs::File;
use std::io::{BufWriter, Write};
use std::time::Instant;

/// The file and the times so far.
pub(crate) struct Trace {
    out: BufWriter<File>,
    begun: Instant,
    last: Instant,
    frame: Instant,
}

impl Trace {
    /// Opens the file that the variable names.
    pub(crate) fn from_env(begun: Instant) -> Option<Self> {
        let path = std::env::var_os("GOB_DESKTOP_TRACE")?;
        let out = BufWriter::with_capacity(0, File::create(path).ok()?);
        Some(Self { out, begun, last: begun, frame: begun })
    }

    /// Notes the begin of a frame.
    pub(crate) fn begin(&mut self) {
        self.frame = Instant::now();
    }

    /// Notes its end.
    pub(crate) fn end(&mut self) {
        let now = Instant::now();
        let (at, since, took) = (now - self.begun, now - self.last, now - self.frame);
        self.last = now;
        writeln!(self.out, "{} {} {}", at.as_micros(), since.as_micros(), took.as_micros()).ok();
    }
}
