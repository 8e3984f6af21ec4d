//! One stream's files: the current one and the rotated ones, as one stretch of the stream.
//!
//! Owns open files, so that a rotation in the middle of reading takes nothing away.

use std::fs::File;
use std::io;
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::{Path, PathBuf};

/// A file and its offset in the stream.
#[derive(Debug)]
struct Segment {
    start: u64,
    file: File,
    /// It stands for a file that was deleted or emptied: nothing but a hole.
    is_lost: bool,
}

/// The remaining files of a stream.
#[derive(Debug, Default)]
pub(super) struct Files {
    /// Oldest first.
    segments: Vec<Segment>,
    /// The offset of a current file that was not there when these were opened: a rotation moves the old one away, and the
    /// next bytes create the new one.
    awaited: Option<u64>,
}

impl Files {
    /// Opens the existing files of `<run>.<stream>.log`. By the index the current file starts at `start` of
    /// the stream, and the stream goes on to `end` at least.
    ///
    /// `None` when a rotation came between and showed a file under two names, or under none. A rotation that
    /// was cut off by a crash stays like that: `anyway` takes the existing files.
    pub(super) fn open(path: &Path, start: u64, end: u64, anyway: bool) -> io::Result<Option<Self>> {
        let mut segments = Vec::new();
        let mut before = None;
        let (mut next, mut awaited) = (start, None);
        for number in 0_u32.. {
            let file = open(&numbered(path, number))?;
            let Some(file) = file else {
                if number > 0 {
                    let more = numbered(path, number + 1).exists();
                    match (more, anyway) {
                        (false, _) => break,
                        (true, false) => return Ok(None),
                        (true, true) => continue,
                    }
                }
                // A rotation has moved it up, and nothing was written since.
                next = unmarked(path, start, 0, end)?;
                awaited = Some(next);
                continue;
            };
            let stat = file.metadata()?;
            let id = (stat.dev(), stat.ino());
            if before.replace(id) == Some(id) && !anyway {
                return Ok(None);
            }
            let start = if number == 0 {
                next = unmarked(path, start, stat.len(), end)?;
                next
            } else {
                // Rotated files follow upon each other without a gap.
                let Some(start) = next.checked_sub(stat.len()) else { break };
                start
            };
            let is_lost = number > 0 && stat.len() > 0 && is_hole(&file);
            segments.push(Segment { start, file, is_lost });
            next = start;
        }
        segments.reverse();
        Ok(Some(Self { segments, awaited }))
    }

    /// Returns whether bytes up to this offset reach into a current file that was not there yet.
    pub(super) fn lack(&self, end: u64) -> bool {
        self.awaited.is_some_and(|from| from < end)
    }

    /// Takes the current file that was not there for one that never comes.
    pub(super) const fn await_no_more(&mut self) {
        self.awaited = None;
    }

    /// Returns the first byte of the stream that still exists.
    pub(super) fn start(&self) -> u64 {
        self.segments.first().map_or(0, |segment| segment.start)
    }

    /// Returns the offset of the current file.
    pub(super) fn current_start(&self) -> Option<u64> {
        self.segments.last().map(|segment| segment.start)
    }

    /// Returns the present end of the stream.
    pub(super) fn end(&self) -> io::Result<u64> {
        match self.segments.last() {
            Some(segment) => Ok(segment.start + segment.file.metadata()?.len()),
            None => Ok(0),
        }
    }

    /// Reads from an offset in the stream; 0 bytes where there are none (yet, or any more).
    pub(super) fn read_at(&self, offset: u64, buf: &mut [u8]) -> io::Result<usize> {
        let holding = self.segments.iter().rev().find(|segment| segment.start <= offset);
        let Some(segment) = holding.filter(|segment| !segment.is_lost) else { return Ok(0) };
        let next = self.segments.iter().map(|segment| segment.start).find(|start| *start > offset);
        let room = next.map_or(u64::MAX, |next| next - offset);
        let room = usize::try_from(room).unwrap_or(usize::MAX).min(buf.len());
        segment.file.read_at(buf.get_mut(..room).unwrap_or_default(), offset - segment.start)
    }

    /// Reads as [`Files::read_at`], and goes on in the next file where one ends.
    pub(super) fn read_full_at(&self, offset: u64, buf: &mut [u8]) -> io::Result<usize> {
        let mut done = 0;
        while let Some(rest) = buf.get_mut(done..).filter(|rest| !rest.is_empty()) {
            match self.read_at(offset + done as u64, rest)? {
                0 => break,
                count => done += count,
            }
        }
        Ok(done)
    }
}

/// Returns whether a file has no byte of data. A file system without holes has data everywhere.
fn is_hole(file: &File) -> bool {
    nix::unistd::lseek(file, 0, nix::unistd::Whence::SeekData) == Err(nix::Error::ENXIO)
}

fn open(path: &Path) -> io::Result<Option<File>> {
    match File::open(path) {
        Ok(file) => Ok(Some(file)),
        Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(e) => Err(e),
    }
}

/// Returns the path of the n-th rotated file, 1 being the youngest; 0 is the current one.
fn numbered(path: &Path, number: u32) -> PathBuf {
    let mut path = path.as_os_str().to_owned();
    if number > 0 {
        path.push(format!(".{number}"));
    }
    path.into()
}

/// Returns the offset of the current file. A rotation moves files first and writes its mark then: when the
/// current file is too short for the index, it is new, and the index means the youngest rotated one.
fn unmarked(path: &Path, start: u64, len: u64, end: u64) -> io::Result<u64> {
    if start + len >= end {
        return Ok(start);
    }
    let moved = open(&numbered(path, 1))?.map_or(Ok(0), |file| file.metadata().map(|stat| stat.len()))?;
    Ok(if start + moved >= end { start + moved } else { start })
}
