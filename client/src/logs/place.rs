//! Places in a run, and the way to them: by the writes that the index tells.
//!
//! A line's place is the write that ended it. The index may be written anew without its oldest records, which moves all
//! numbers; the offset finds the write again.

use super::pieces::Piece;
use super::run::Run;
use gob_protocol::logindex::{Record, Stream};
use std::io;

/// Records read in one step.
const STEP: u64 = 512;

/// The place of a line: the write that ended it, and the number of lines that this write ended before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Place {
    /// The number of the write's record.
    record: u64,
    stream: Stream,
    /// The offset of the write in its stream.
    offset: u64,
    lines: u32,
}

impl Place {
    /// Returns the beginning of a write.
    pub(super) const fn of(number: u64, record: &Record) -> Self {
        Self { record: number, stream: record.stream, offset: record.offset, lines: 0 }
    }

    /// Returns the place behind a piece of this write.
    pub(super) fn after(self, piece: &Piece) -> Self {
        Self { lines: self.lines + u32::from(piece.ends_line()), ..self }
    }

    /// Returns whether it is at another place or behind it, within one life of an index.
    pub(super) fn reaches(&self, other: &Self) -> bool {
        (self.record, self.lines) >= (other.record, other.lines)
    }

    /// Returns whether its write is before the one with this number.
    pub(super) const fn is_before(&self, record: u64) -> bool {
        self.record < record
    }

    fn is_of(&self, record: &Record) -> bool {
        (record.stream, record.offset) == (self.stream, self.offset) && record.len.is_some()
    }
}

impl Run {
    /// Returns how many bytes of the wanted streams the index tells that were not read yet.
    pub(super) fn backlog(&mut self) -> io::Result<u64> {
        self.scan()?;
        let unread = |stream: Stream| {
            let end = self.told(stream).end;
            let side = self.side_of(stream);
            if side.wanted { end.saturating_sub(side.done) } else { 0 }
        };
        Ok(unread(Stream::Stdout) + unread(Stream::Stderr))
    }

    /// Returns the number of records that there are now.
    pub(super) fn records(&self) -> io::Result<u64> {
        self.index.as_ref().map_or(Ok(0), super::index::Index::len)
    }

    /// Returns the end of the wanted streams, in bytes of both, by the index or else by the files.
    pub(super) fn end(&mut self) -> io::Result<u64> {
        self.scan()?;
        let mut end = 0;
        for stream in [Stream::Stdout, Stream::Stderr] {
            let side = self.side_of(stream);
            if side.wanted {
                end += if self.index.is_some() { self.told(stream).end } else { side.files.end()? };
            }
        }
        Ok(end)
    }

    /// Returns whether the wanted streams have bytes that no record tells. They wait for it; a supervisor that was
    /// killed has written none.
    pub(super) fn has_untold(&self) -> io::Result<bool> {
        for stream in [Stream::Stdout, Stream::Stderr] {
            let side = self.side_of(stream);
            if side.wanted && side.files.end()? > self.told(stream).end.max(side.done) {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Takes in the files and the index as they are named now; reading goes on where it was.
    pub(super) fn renew(&mut self) -> io::Result<()> {
        match &self.index {
            Some(index) if !index.is_replaced()? => self.refresh(),
            Some(_) | None => self.open_anew(),
        }
    }

    /// Finds a place again; `None` when its record is gone.
    pub(super) fn locate(&self, place: Place) -> io::Result<Option<Place>> {
        let Some(index) = &self.index else { return Ok(None) };
        let (there, _) = index.read(place.record, 1)?;
        if there.iter().any(|(_, record)| place.is_of(record)) {
            return Ok(Some(place));
        }
        let mut from = 0;
        loop {
            let (records, count) = index.read(from, STEP)?;
            if let Some((number, _)) = records.iter().find(|(_, record)| place.is_of(record)) {
                return Ok(Some(Place { record: *number, ..place }));
            }
            if count == 0 {
                return Ok(None);
            }
            from += count;
        }
    }

    /// Reads on from a place, which [`Run::locate`] has found; the lines of its write that are before it come again.
    pub(super) fn seek_to(&mut self, place: Place) -> io::Result<()> {
        self.seek(place.record)
    }

    /// Reads on from `writes` before a place, or from the first record there is; returns whether that was reached.
    pub(super) fn seek_before(&mut self, place: Place, writes: u64) -> io::Result<bool> {
        let from = place.record.saturating_sub(writes);
        self.seek(from)?;
        Ok(from == 0)
    }

    /// Reads on from a record, with the lines that are open there.
    pub(super) fn seek(&mut self, from: u64) -> io::Result<()> {
        self.assembler = super::pieces::Assembler::default();
        self.ready.clear();
        self.taken = None;
        for stream in [Stream::Stdout, Stream::Stderr] {
            match self.first_write(stream, from)? {
                Some(offset) => self.begin_line(stream, offset)?,
                // Bytes behind its last record wait for `Run::take_rest`.
                None => self.begin_line(stream, self.told(stream).end)?,
            }
        }
        if let Some(index) = &mut self.index {
            index.seek(from);
        }
        Ok(())
    }

    /// Returns the offset of a stream's first write from a record on.
    fn first_write(&self, stream: Stream, mut from: u64) -> io::Result<Option<u64>> {
        let Some(index) = &self.index else { return Ok(None) };
        while from < self.told(stream).writes_until {
            let (records, count) = index.read(from, STEP)?;
            let mut writes = records.iter().filter(|(_, record)| record.len.is_some());
            if let Some((_, record)) = writes.find(|(_, record)| record.stream == stream) {
                return Ok(Some(record.offset));
            }
            if count == 0 {
                break;
            }
            from += count;
        }
        Ok(None)
    }
}
