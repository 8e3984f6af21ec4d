//! The end of a run at one moment: a worker that never stops writing would keep a reader for ever.

use super::run::Run;
use gob_protocol::logindex::Stream;
use std::io;

/// The end that reading does not pass.
#[derive(Debug, Clone, Copy)]
pub(super) struct Bound {
    /// The records of the index.
    pub(super) records: u64,
    stdout: u64,
    stderr: u64,
}

impl Bound {
    /// Returns the end of a stream.
    pub(super) const fn end(&self, stream: Stream) -> u64 {
        match stream {
            Stream::Stdout => self.stdout,
            Stream::Stderr => self.stderr,
        }
    }
}

impl Run {
    /// Ends reading at the present end, whatever is written later.
    ///
    /// # Errors
    /// When a file can't be examined.
    pub fn end_here(&mut self) -> io::Result<()> {
        self.scan()?;
        // Behind the last record there may be bytes whose record comes later.
        let end = |stream| Ok::<_, io::Error>(self.side_of(stream).files.end()?.max(self.told(stream).end));
        let (stdout, stderr) = (end(Stream::Stdout)?, end(Stream::Stderr)?);
        self.bound = Some(Bound { records: self.scanned, stdout, stderr });
        Ok(())
    }

    /// Goes on behind the end of [`Run::end_here`].
    pub const fn go_on(&mut self) {
        self.bound = None;
    }

    /// Reads no further than to the present end in `read`, if no end was set before.
    pub(super) fn up_to_here<T>(&mut self, read: impl FnOnce(&mut Self) -> io::Result<T>) -> io::Result<T> {
        if self.bound.is_some() {
            return read(self);
        }
        self.end_here()?;
        let result = read(self);
        self.go_on();
        result
    }
}
