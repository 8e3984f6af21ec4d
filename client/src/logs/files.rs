//! One stream's files: the current one and the rotated ones, as one stretch of the stream.
//!
//! Owns open files, so that a rotation in the middle of reading takes nothing away.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

/// A file and where in the stream it starts.
#[derive(Debug)]
struct Segment {
    start: u64,
    file: File,
}

/// What is left of a stream.
#[derive(Debug, Default)]
pub(super) struct Files {
    /// Oldest first.
    segments: Vec<Segment>,
}

impl Files {
    /// Opens what there is of `<run>.<stream>.log`, whose current file starts at `start` of the stream.
    pub(super) fn open(path: &Path, start: u64) -> io::Result<Self> {
        let mut segments = Vec::new();
        if let Some(file) = open(path)? {
            segments.push(Segment { start, file });
        }
        let mut next = start;
        for number in 1_u32.. {
            let Some(file) = open(&rotated(path, number))? else { break };
            // Rotated files follow upon each other without a gap.
            let Some(start) = next.checked_sub(file.metadata()?.len()) else { break };
            segments.push(Segment { start, file });
            next = start;
        }
        segments.reverse();
        Ok(Self { segments })
    }

    /// The first byte of the stream that is still there.
    pub(super) fn start(&self) -> u64 {
        self.segments.first().map_or(0, |segment| segment.start)
    }

    /// Where the current file starts.
    pub(super) fn current_start(&self) -> Option<u64> {
        self.segments.last().map(|segment| segment.start)
    }

    /// The end of the stream as of now.
    pub(super) fn end(&self) -> io::Result<u64> {
        match self.segments.last() {
            Some(segment) => Ok(segment.start + segment.file.metadata()?.len()),
            None => Ok(0),
        }
    }

    /// Reads from a place in the stream; 0 bytes where there is nothing (yet, or any more).
    pub(super) fn read_at(&self, offset: u64, buf: &mut [u8]) -> io::Result<usize> {
        let holding = self.segments.iter().rev().find(|segment| segment.start <= offset);
        let Some(segment) = holding else { return Ok(0) };
        let next = self.segments.iter().map(|segment| segment.start).find(|start| *start > offset);
        let room = next.map_or(u64::MAX, |next| next - offset);
        let room = usize::try_from(room).unwrap_or(usize::MAX).min(buf.len());
        segment.file.read_at(buf.get_mut(..room).unwrap_or_default(), offset - segment.start)
    }
}

fn open(path: &Path) -> io::Result<Option<File>> {
    match File::open(path) {
        Ok(file) => Ok(Some(file)),
        Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(e) => Err(e),
    }
}

fn rotated(path: &Path, number: u32) -> PathBuf {
    let mut path = path.as_os_str().to_owned();
    path.push(format!(".{number}"));
    path.into()
}
