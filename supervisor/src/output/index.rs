//! The writing side of a run's index, `<run>.idx`; its format is [`gob_protocol::logindex`]'s.
//!
//! Records are collected for one batch and written after their bytes. A record that could not be written is
//! lost, never half written: readers rely on whole records.

pub(super) use gob_protocol::logindex::Stream;

use super::rotation::{leads_to, open, replace};
use crate::upgrade::{Fd, Inherited, Named, Unfit};
use gob_protocol::Timestamp;
use gob_protocol::logindex::{RECORD_BYTES, Record};
use serde::{Deserialize, Serialize};
use std::fs::File;
use std::io::{self, BufReader, BufWriter, Read, Write};
use std::path::{Path, PathBuf};

/// An index below this size is not compacted, in bytes.
const COMPACT_FROM: u64 = 64 * 1024;
/// Size of records that are written before the batch ends, in bytes.
const PENDING_BYTES: usize = 64 * 1024;

/// One run's index.
#[derive(Debug, Default)]
pub(super) struct Index {
    file: Option<File>,
    /// Its size in whole records, in bytes.
    size: u64,
    /// Its size after the last compaction.
    compacted: u64,
    last: Option<Record>,
    pending: Vec<u8>,
}

/// An index as data; no record waits to be written then.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct IndexState {
    file: Option<Fd>,
    size: u64,
    compacted: u64,
}

impl Index {
    /// Returns what another program needs to go on with it.
    pub(super) fn hand_over(&self, named: &mut Named) -> IndexState {
        let file = self.file.as_ref().map(|file| named.name(file));
        IndexState { file, size: self.size, compacted: self.compacted }
    }

    /// Goes on with an index that another program wrote.
    pub(super) fn resume(state: IndexState, inherited: &mut Inherited) -> Result<Self, Unfit> {
        let IndexState { file, size, compacted } = state;
        let file = file.map(|fd| inherited.take(fd)).transpose()?.map(File::from);
        Ok(Self { file, size, compacted, ..Self::default() })
    }

    /// Returns the index's size, in bytes.
    pub(super) const fn size(&self) -> u64 {
        self.size
    }

    /// Adds written bytes of a stream. One record covers all bytes of the same millisecond.
    pub(super) fn push(&mut self, stream: Stream, time: i64, offset: u64, len: usize) {
        let len = u32::try_from(len).unwrap_or(u32::MAX);
        if let Some(last) = &mut self.last
            && (last.stream, last.time.0) == (stream, time)
            && let Some(before) = last.len
            && last.offset + u64::from(before) == offset
            && let Some(sum) = before.checked_add(len)
        {
            last.len = Some(sum);
            return;
        }
        self.put(Record { time: Timestamp(time), stream, offset, len: Some(len) });
    }

    /// Notes that the current file of a stream starts here.
    pub(super) fn mark(&mut self, stream: Stream, time: i64, offset: u64) {
        self.put(Record { time: Timestamp(time), stream, offset, len: None });
    }

    fn put(&mut self, record: Record) {
        if let Some(last) = self.last.replace(record) {
            self.pending.extend_from_slice(&last.to_bytes());
        }
    }

    /// Returns whether enough records wait to be written now.
    pub(super) fn is_full(&self) -> bool {
        self.pending.len() >= PENDING_BYTES
    }

    /// Writes the collected records.
    pub(super) fn flush(&mut self, path: impl FnOnce() -> PathBuf) -> io::Result<()> {
        if let Some(last) = self.last.take() {
            self.pending.extend_from_slice(&last.to_bytes());
        }
        if self.pending.is_empty() {
            return Ok(());
        }
        let written = self.write_pending(path);
        self.pending.clear();
        self.pending.shrink_to(RECORD_BYTES * 8);
        written
    }

    fn write_pending(&mut self, path: impl FnOnce() -> PathBuf) -> io::Result<()> {
        if self.file.is_none() {
            self.open(&path())?;
        }
        let Some(file) = &mut self.file else { return Ok(()) };
        let written = file.write_all(&self.pending);
        if written.is_ok() {
            self.size += self.pending.len() as u64;
        } else {
            file.set_len(self.size)?;
        }
        written
    }

    /// Makes the file before the first output, so that a reader that sees output without a record knows that one
    /// follows.
    pub(super) fn make(&mut self, path: impl FnOnce() -> PathBuf) -> io::Result<()> {
        if self.file.is_none() && self.size == 0 { self.open(&path()) } else { Ok(()) }
    }

    /// Opens the file, and cuts off half a record that a crash may have left.
    fn open(&mut self, path: &Path) -> io::Result<()> {
        let file = open(path)?;
        let len = file.metadata()?.len();
        self.size = len - len % RECORD_BYTES as u64;
        if self.size != len {
            file.set_len(self.size)?;
        }
        self.file = Some(file);
        Ok(())
    }

    /// Returns whether the path still leads to all of it. An index that was never written has no file.
    pub(super) fn is_at(&self, path: &Path) -> bool {
        self.file.is_none() && self.size == 0 || leads_to(path, self.file.as_ref(), self.size)
    }

    /// Closes the descriptor; the next record opens the file again.
    pub(super) fn close(&mut self) {
        self.file = None;
    }

    /// Takes in an existing index, and returns the start of each stream's current file.
    pub(super) fn recover(&mut self, path: &Path) -> io::Result<[u64; 2]> {
        self.open(path)?;
        self.compacted = self.size;
        let mut starts = [0, 0];
        for record in records(path)? {
            let record = record?;
            let [stdout, stderr] = &mut starts;
            if record.len.is_none() {
                *(if record.stream == Stream::Stdout { stdout } else { stderr }) = record.offset;
            }
        }
        Ok(starts)
    }

    /// Drops the records of deleted files, once that is worth it. `first` is the start of each stream's
    /// oldest file. Collected records must have been written before.
    ///
    /// The file is replaced, so a reader that follows it must open its path again.
    pub(super) fn compact(&mut self, path: &Path, first: [u64; 2]) -> io::Result<()> {
        if self.size < COMPACT_FROM.max(self.compacted * 2) {
            return Ok(());
        }
        let mut kept = 0;
        let file = replace(path, |new| {
            let mut new = BufWriter::new(new);
            for record in records(path)? {
                let record = record?;
                let [stdout, stderr] = first;
                let first = if record.stream == Stream::Stdout { stdout } else { stderr };
                // A mark at `first` is the oldest file's own.
                let end = record.offset + u64::from(record.len.unwrap_or(1));
                if end > first {
                    new.write_all(&record.to_bytes())?;
                    kept += RECORD_BYTES as u64;
                }
            }
            new.flush()
        })?;
        (self.file, self.size, self.compacted) = (Some(file), kept, kept);
        Ok(())
    }
}

/// Reads all records of an index; damaged ones are skipped.
fn records(path: &Path) -> io::Result<impl Iterator<Item = io::Result<Record>>> {
    let mut file = BufReader::new(File::open(path)?);
    let mut next = move || -> io::Result<Option<[u8; RECORD_BYTES]>> {
        let mut bytes = [0; RECORD_BYTES];
        match file.read_exact(&mut bytes) {
            Ok(()) => Ok(Some(bytes)),
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Ok(None),
            Err(error) => Err(error),
        }
    };
    let bytes = std::iter::from_fn(move || next().transpose());
    Ok(bytes.filter_map(|bytes| bytes.map(|bytes| Record::from_bytes(&bytes)).transpose()))
}
