//! A run's index, read forwards record by record, and backwards for the last lines.

use gob_protocol::logindex::{RECORD_BYTES, Record, Stream};
use std::fs::File;
use std::io;
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::{Path, PathBuf};

/// Records read at once.
const PAGE: u64 = 2048;
const RECORD: u64 = RECORD_BYTES as u64;

/// The index's view of a stream.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Told {
    /// The offset of its current file.
    pub(super) mark: u64,
    /// Its end.
    pub(super) end: u64,
    /// The number after that of its last write.
    pub(super) writes_until: u64,
}

/// An open index. Damaged records are skipped; one that is cut short waits for its rest.
#[derive(Debug)]
pub(super) struct Index {
    file: File,
    path: PathBuf,
    page: Vec<(u64, Record)>,
    /// The record after the last one in `page`.
    page_end: u64,
}

impl Index {
    /// Opens it; `None` when it is missing.
    pub(super) fn open(path: &Path) -> io::Result<Option<Self>> {
        match File::open(path) {
            Ok(file) => Ok(Some(Self { file, path: path.to_owned(), page: Vec::new(), page_end: 0 })),
            Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(e) => Err(e),
        }
    }

    /// Returns the present number of records.
    pub(super) fn len(&self) -> io::Result<u64> {
        Ok(self.file.metadata()?.len() / RECORD)
    }

    /// Returns the next record with its number; `None` at the present end.
    pub(super) fn next(&mut self) -> io::Result<Option<(u64, Record)>> {
        if self.page.is_empty() {
            let (records, count) = self.read(self.page_end, PAGE)?;
            self.page_end += count;
            self.page = records;
            self.page.reverse();
        }
        Ok(self.page.pop())
    }

    /// Returns the number of the next record.
    pub(super) fn position(&self) -> u64 {
        self.page.last().map_or(self.page_end, |(number, _)| *number)
    }

    /// Continues at this record.
    pub(super) fn seek(&mut self, record: u64) {
        self.page.clear();
        self.page_end = record;
    }

    /// Reads up to `count` records from one on, each with its number; also returns how many there were, damaged
    /// ones counted.
    pub(super) fn read(&self, from: u64, count: u64) -> io::Result<(Vec<(u64, Record)>, u64)> {
        let there = self.len()?.saturating_sub(from).min(count);
        let mut bytes = vec![0; usize::try_from(there * RECORD).unwrap_or(0)];
        let got = read_full(&self.file, &mut bytes, from * RECORD)?;
        bytes.truncate(got - got % RECORD_BYTES);
        let (chunks, _) = bytes.as_chunks::<RECORD_BYTES>();
        let numbered = (from..).zip(chunks);
        let records = numbered.filter_map(|(number, chunk)| Some((number, Record::from_bytes(chunk)?)));
        Ok((records.collect(), chunks.len() as u64))
    }

    /// Reads on from this record for the offsets of the streams, and returns the index's end as it was at the begin.
    pub(super) fn scan(&self, mut from: u64, told: &mut [Told; 2]) -> io::Result<u64> {
        let end = self.len()?;
        loop {
            let (records, count) = self.read(from, PAGE.min(end.saturating_sub(from)))?;
            if count == 0 {
                return Ok(from);
            }
            from += count;
            for (number, record) in records {
                let [stdout, stderr] = &mut *told;
                let told = if record.stream == Stream::Stdout { stdout } else { stderr };
                match record.len {
                    None => told.mark = record.offset,
                    Some(len) => {
                        told.end = told.end.max(record.offset + u64::from(len));
                        told.writes_until = number + 1;
                    }
                }
            }
        }
    }

    /// Returns whether another file has its name now: an index that grew long is written anew, without
    /// rotated output.
    pub(super) fn is_replaced(&self) -> io::Result<bool> {
        let ours = self.file.metadata()?;
        match std::fs::metadata(&self.path) {
            Ok(there) => Ok((ours.dev(), ours.ino()) != (there.dev(), there.ino())),
            Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(false),
            Err(e) => Err(e),
        }
    }
}

fn read_full(file: &File, buf: &mut [u8], offset: u64) -> io::Result<usize> {
    let mut done = 0;
    while let Some(rest) = buf.get_mut(done..).filter(|rest| !rest.is_empty()) {
        match file.read_at(rest, offset + done as u64) {
            Ok(0) => break,
            Ok(count) => done += count,
            Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
            Err(e) => return Err(e),
        }
    }
    Ok(done)
}
