//! One stream's files.

use crate::output::batch::Segment;
use crate::output::rotation::{leads_to, move_up, open, remove, rotated};
use std::collections::VecDeque;
use std::fs::File;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

/// The current file and the sizes of all.
#[derive(Debug, Default)]
pub(super) struct Side {
    pub(super) file: Option<File>,
    /// The offset of the current file in the stream.
    pub(super) start: u64,
    /// The size of the current file.
    pub(super) size: u64,
    /// The sizes of the rotated files, youngest first.
    pub(super) rotated: VecDeque<u64>,
    /// The current file ends in the middle of a line.
    pub(super) mid_line: bool,
}

impl Side {
    /// Returns the offset of the next byte in the stream.
    pub(super) const fn end(&self) -> u64 {
        self.start + self.size
    }

    /// Returns the offset of the oldest file in the stream.
    pub(super) fn first(&self) -> u64 {
        self.start.saturating_sub(self.rotated.iter().sum())
    }

    /// Writes as much of `bytes` as the current file takes, up to the end of a line where possible; 0 when it
    /// must be rotated before.
    pub(super) fn write(
        &mut self,
        bytes: &[u8],
        path: impl FnOnce() -> PathBuf,
        limit: u64,
    ) -> io::Result<usize> {
        let room = usize::try_from(limit.saturating_sub(self.size)).unwrap_or(usize::MAX);
        let part = match bytes.get(..room) {
            None => bytes,
            Some(fits) if fits.len() == bytes.len() => bytes,
            Some(fits) => match fits.iter().rposition(|b| *b == b'\n') {
                Some(at) => fits.get(..=at).unwrap_or(fits),
                // The line may have room in the next file; a line that began in this one is cut anyway.
                None if self.size > 0 && !self.mid_line => &[],
                None => fits,
            },
        };
        if part.is_empty() && self.size > 0 {
            return Ok(0);
        }
        // Even with a limit of zero, something is written.
        let part = if part.is_empty() { bytes } else { part };
        let file = match &mut self.file {
            Some(file) => file,
            None => self.file.insert(open(&path())?),
        };
        let count = loop {
            match file.write(part) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                written => break written?,
            }
        };
        self.size += count as u64;
        self.mid_line = part.get(count - 1) != Some(&b'\n');
        Ok(count)
    }

    /// Makes room for a new file, which the next bytes begin. True when the oldest file was deleted for it.
    pub(super) fn rotate(&mut self, path: &Path, keep: usize) -> io::Result<bool> {
        self.file = None;
        move_up(path, self.rotated.len(), keep)?;
        self.rotated.push_front(self.size);
        let gone = self.rotated.len() > keep;
        self.rotated.truncate(keep);
        self.start += self.size;
        self.size = 0;
        Ok(gone)
    }

    /// Returns whether the path still leads to all of the current file; a closed file is taken to be the one
    /// at the path. After a rotation there is none until it can be opened.
    pub(super) fn is_at(&self, path: &Path) -> bool {
        self.file.is_none() && self.size == 0 || leads_to(path, self.file.as_ref(), self.size)
    }

    /// Goes on in a new file behind the lost one. Readers find the offsets of rotated files by counting back
    /// from the current one, so where there are such, a hole of the lost file's size takes its place among
    /// them.
    pub(super) fn begin_anew(&mut self, path: &Path, keep: usize) -> io::Result<()> {
        self.file = None;
        remove(path)?;
        if !rotated(path, 1).exists() {
            self.rotated.clear();
        }
        if self.rotated.is_empty() || self.size == 0 {
            self.start += self.size;
            self.size = 0;
        } else {
            open(path)?.set_len(self.size)?;
            self.rotate(path, keep)?;
        }
        self.mid_line = false;
        self.file = Some(open(path)?);
        Ok(())
    }

    /// Deletes the oldest rotated file, if there is one.
    pub(super) fn drop_oldest(&mut self, path: &Path) -> io::Result<bool> {
        if self.rotated.is_empty() {
            return Ok(false);
        }
        remove(&rotated(path, self.rotated.len()))?;
        self.rotated.pop_back();
        Ok(true)
    }
}

/// The times of a stretch of bytes, consumed as they are written.
pub(super) struct Stamps<'a> {
    rest: &'a [Segment],
    /// Consumed bytes of the first segment.
    taken: usize,
}

impl<'a> Stamps<'a> {
    pub(super) const fn new(segments: &'a [Segment]) -> Self {
        Self { rest: segments, taken: 0 }
    }

    /// Returns the time of the next byte.
    pub(super) fn time(&self) -> i64 {
        self.rest.first().map_or(0, |segment| segment.time)
    }

    /// Consumes the times of the next `count` bytes, with the number of bytes of each.
    pub(super) fn take(&mut self, mut count: usize) -> impl Iterator<Item = (i64, usize)> {
        std::iter::from_fn(move || {
            let first = self.rest.first().filter(|_| count > 0)?;
            let len = (first.len - self.taken).min(count);
            count -= len;
            self.taken += len;
            if self.taken == first.len {
                self.rest = self.rest.get(1..).unwrap_or_default();
                self.taken = 0;
            }
            Some((first.time, len))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_that_can_not_be_opened_after_a_rotation_is_not_taken_for_a_lost_one() {
        let dir = std::env::temp_dir().join(format!("gob-side-{}", std::process::id()));
        std::fs::create_dir(&dir).unwrap();
        let path = dir.join("1.stdout.log");
        let mut side = Side::default();
        assert_eq!(side.write(b"0123456789", || path.clone(), 10).unwrap(), 10);
        assert_eq!(side.write(b"more", || path.clone(), 10).unwrap(), 0);
        side.rotate(&path, 5).unwrap();
        let nowhere = || dir.join("1.stdout.log.1/below a file");
        assert!(side.write(b"more", nowhere, 10).is_err());
        assert!(side.is_at(&path), "it is still to be made");
        assert_eq!(side.write(b"more", || path.clone(), 10).unwrap(), 4);
        std::fs::remove_file(&path).unwrap();
        assert!(!side.is_at(&path));
        std::fs::remove_dir_all(dir).unwrap();
    }
}
