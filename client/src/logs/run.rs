//! One run's output in the order in which it was written.
//!
//! The index gives the order. Output without records (the index is missing, or the supervisor died between
//! the two writes) follows behind it, standard output first.

use super::bound::Bound;
use super::files::Files;
use super::index::{Index, Told};
use super::pieces::{Assembler, Piece};
use super::place::Place;
use gob_protocol::Timestamp;
use gob_protocol::logindex::{Record, Stream};
use std::collections::VecDeque;
use std::fs::File;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// Bytes read at once.
const CHUNK: usize = 64 * 1024;

/// Bytes without a record that are taken in at once: a reader takes lines out before it goes on.
const MAX_REST: u64 = 1 << 20;

/// Tries to open index and files without a pause, when rotations come between; further tries pause.
const QUICK_TRIES: u32 = 100;
const PAUSE: Duration = Duration::from_millis(1);
/// Time after which files that do not fit an unchanged index count as damaged.
const DAMAGED: Duration = Duration::from_secs(1);
/// Time after which a writer that rotates too fast is not waited for any longer.
const PATIENCE: Duration = Duration::from_secs(10);

/// One of the two streams.
#[derive(Debug)]
pub(super) struct Side {
    path: PathBuf,
    pub(super) files: Files,
    /// The end of the output that was handed out.
    pub(super) done: u64,
    pub(super) wanted: bool,
}

/// A run's log files, open for reading.
#[derive(Debug)]
pub struct Run {
    number: u64,
    dir: PathBuf,
    /// The directory itself, in its present place; `None` if it was missing.
    held: Option<File>,
    pub(super) index: Option<Index>,
    /// The number of times that the index was opened anew: each changes the numbers of its records.
    pub(super) openings: u64,
    /// The last scanned record of the index, and its view so far.
    pub(super) scanned: u64,
    /// Nothing that came later is read.
    pub(super) bound: Option<Bound>,
    /// The time of the latest record that was taken.
    written_until: Option<Timestamp>,
    told: [Told; 2],
    pub(super) sides: [Side; 2],
    pub(super) assembler: Assembler,
    pub(super) ready: VecDeque<Piece>,
    /// The place behind the piece that was handed out last.
    pub(super) taken: Option<Place>,
    /// The place of that piece; `None` where no record tells of it.
    pub(super) place: Option<Place>,
    buf: Vec<u8>,
}

impl Run {
    /// Opens the files of a run in a worker's log directory, reading from the beginning of the remaining
    /// output. Missing files count as empty.
    ///
    /// # Errors
    /// When a file exists and can't be read.
    pub fn open(dir: &Path, number: u64, streams: &[Stream]) -> io::Result<Self> {
        let side = |stream: Stream| Side {
            path: dir.join(format!("{number}.{}.log", stream.as_str())),
            files: Files::default(),
            done: 0,
            wanted: streams.contains(&stream),
        };
        let mut run = Self {
            number,
            dir: dir.to_owned(),
            held: File::open(dir).ok(),
            index: None,
            openings: 0,
            scanned: 0,
            bound: None,
            written_until: None,
            told: [Told::default(); 2],
            sides: [side(Stream::Stdout), side(Stream::Stderr)],
            assembler: Assembler::default(),
            ready: VecDeque::new(),
            taken: None,
            place: None,
            buf: vec![0; CHUNK],
        };
        run.refresh()?;
        Ok(run)
    }

    /// Returns its number.
    #[must_use]
    pub const fn number(&self) -> u64 {
        self.number
    }

    /// Returns the next line, or the next part of a long one; `None` at the present end, or at that of
    /// [`Run::end_here`].
    ///
    /// # Errors
    /// When a file can't be read.
    pub fn next_piece(&mut self) -> io::Result<Option<Piece>> {
        loop {
            if let Some(piece) = self.ready.pop_front() {
                self.place = self.taken;
                self.taken = self.taken.map(|taken| taken.after(&piece));
                return Ok(Some(piece));
            }
            if !self.advance()? {
                return Ok(None);
            }
        }
    }

    /// Returns the time of the latest write that was read, of either stream. A run that ended is read to its end once
    /// that is its view's `last_output_at`: the supervisor tells of an end before the last bytes are in the files.
    #[must_use]
    pub const fn written_until(&self) -> Option<Timestamp> {
        self.written_until
    }

    /// Returns whether its files were deleted with their directory, as when their worker was removed. Open
    /// files can still be read, and their names are not used any more: those may be another run's.
    ///
    /// # Errors
    /// When the directory can't be examined.
    pub fn is_removed(&self) -> io::Result<bool> {
        self.held.as_ref().map_or(Ok(false), |dir| Ok(dir.metadata()?.nlink() == 0))
    }

    /// Opens the files that have the names of this removed run again, for the same streams. They belong to a
    /// run that goes on after a deletion of its files, if each begins where this one was; `None` if they are
    /// another run's.
    ///
    /// # Errors
    /// As [`Run::open`].
    pub fn made_again(&self) -> io::Result<Option<Self>> {
        let wanted = [Stream::Stdout, Stream::Stderr];
        let wanted: Vec<Stream> = wanted
            .into_iter()
            .zip(&self.sides)
            .filter(|(_, side)| side.wanted)
            .map(|(stream, _)| stream)
            .collect();
        let mut again = Self::open(&self.dir, self.number, &wanted)?;
        for (new, old) in again.sides.iter_mut().zip(&self.sides) {
            let goes_on = new.files.current_start().is_some_and(|start| start >= old.done);
            if old.done > 0 && !goes_on {
                return Ok(None);
            }
            new.done = old.done;
        }
        Ok(Some(again))
    }

    /// Returns the unfinished last lines, once [`Run::next_piece`] has nothing more. Later bytes continue
    /// them.
    pub fn unfinished(&mut self) -> Vec<Piece> {
        let mut pieces = Vec::new();
        self.assembler.flush(&mut |piece| pieces.push(piece));
        pieces
    }

    /// Reads on; false at the present end.
    fn advance(&mut self) -> io::Result<bool> {
        if self.index.is_none() && !self.is_removed()? {
            self.refresh()?;
        }
        let Some(index) = &mut self.index else { return self.take_rest() };
        let is_there = self.bound.is_none_or(|bound| index.position() < bound.records);
        if is_there && let Some((number, record)) = index.next()? {
            self.taken = Some(Place::of(number, &record));
            self.take(record)?;
            return Ok(true);
        }
        if self.bound.is_some() {
            return Ok(false);
        }
        // Bytes without a record wait for it: the writer writes them first.
        if !index.is_replaced()? || self.is_removed()? {
            return Ok(false);
        }
        // The new index begins with records that were read from the old one; they repeat nothing.
        self.open_anew()?;
        Ok(true)
    }

    /// Opens index and files by their present names.
    pub(super) fn open_anew(&mut self) -> io::Result<()> {
        self.index = None;
        self.openings += 1;
        self.scanned = 0;
        self.told = self.told.map(|told| Told { writes_until: 0, ..told });
        self.refresh()
    }

    fn take(&mut self, record: Record) -> io::Result<()> {
        let Some(len) = record.len else {
            let [stdout, stderr] = &self.sides;
            let side = if record.stream == Stream::Stdout { stdout } else { stderr };
            // It may begin where the previous one did, if that was deleted while it was empty.
            if side.files.current_start().is_none_or(|start| record.offset >= start) && !self.is_removed()? {
                self.refresh()?;
            }
            return Ok(());
        };
        self.written_until = self.written_until.max(Some(record.time));
        let end = record.offset + u64::from(len);
        if self.side(record.stream).files.lack(end) {
            if !self.is_removed()? {
                self.refresh()?;
            }
            let files = &mut self.side(record.stream).files;
            if files.lack(end) {
                files.await_no_more();
            }
        }
        self.copy(record.stream, record.offset, end, Some(record.time))
    }

    /// Takes in bytes behind the last record, at most 1 MiB, for [`Run::next_piece`] to hand out; false if there are
    /// none. Later records of the same bytes repeat nothing.
    ///
    /// # Errors
    /// When a file can't be read.
    pub fn take_rest(&mut self) -> io::Result<bool> {
        self.taken = None;
        let bound = self.bound;
        if self.sides.iter().any(|side| side.files.lack(u64::MAX) && side.path.exists())
            && !self.is_removed()?
        {
            self.refresh()?;
        }
        for stream in [Stream::Stdout, Stream::Stderr] {
            let side = self.side(stream);
            let (from, mut to) = (side.done.max(side.files.start()), side.files.end()?);
            if let Some(bound) = &bound {
                to = to.min(bound.end(stream));
            }
            if side.wanted && from < to {
                self.copy(stream, from, to.min(from + MAX_REST), None)?;
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Returns what the index tells of a stream, as far as it was scanned.
    pub(super) const fn told(&self, stream: Stream) -> Told {
        let [stdout, stderr] = self.told;
        if matches!(stream, Stream::Stdout) { stdout } else { stderr }
    }

    pub(super) const fn side_of(&self, stream: Stream) -> &Side {
        let [stdout, stderr] = &self.sides;
        if matches!(stream, Stream::Stdout) { stdout } else { stderr }
    }

    pub(super) fn side(&mut self, stream: Stream) -> &mut Side {
        let [stdout, stderr] = &mut self.sides;
        if stream == Stream::Stdout { stdout } else { stderr }
    }

    /// Reads a stretch of a stream into lines. Deleted output is skipped.
    fn copy(&mut self, stream: Stream, from: u64, to: u64, time: Option<Timestamp>) -> io::Result<()> {
        let [stdout, stderr] = &mut self.sides;
        let side = if stream == Stream::Stdout { stdout } else { stderr };
        let mut at = from.max(side.done).max(side.files.start());
        side.done = side.done.max(to);
        if !side.wanted {
            return Ok(());
        }
        while at < to {
            let room = usize::try_from(to - at).unwrap_or(CHUNK).min(CHUNK);
            let count = side.files.read_at(at, self.buf.get_mut(..room).unwrap_or_default())?;
            if count == 0 {
                break;
            }
            let bytes = self.buf.get(..count).unwrap_or_default();
            let ready = &mut self.ready;
            self.assembler.push(stream, time, bytes, &mut |piece| ready.push_back(piece));
            at += count as u64;
        }
        Ok(())
    }

    fn index_path(&self) -> PathBuf {
        self.dir.join(format!("{}.idx", self.number))
    }

    /// Opens the present index and files.
    ///
    /// A rotation between reading the index and opening the files would put a file at the wrong offset. A
    /// finished rotation has left its mark by then. One that has not written it yet shows in a current file
    /// that ends before the index's end: records are written before a rotation begins, and the new file stays
    /// empty before the mark. Files that stay too short have lost bytes, and are taken as they are.
    pub(super) fn refresh(&mut self) -> io::Result<()> {
        if self.index.is_none() {
            self.index = Index::open(&self.index_path())?;
        }
        let begun = Instant::now();
        let (mut news, mut tries) = (begun, 0);
        loop {
            let before = self.told;
            self.scan()?;
            let opened = self.told;
            news = if opened == before { news } else { Instant::now() };
            let anyway = news.elapsed() >= DAMAGED || begun.elapsed() >= PATIENCE;
            let mut placed = true;
            for (side, told) in self.sides.iter_mut().zip(opened) {
                let files = Files::open(&side.path, told.mark, told.end, anyway)?;
                placed &= files.is_some();
                side.files = files.unwrap_or_default();
            }
            self.scan()?;
            for (side, told) in self.sides.iter().zip(self.told) {
                placed &= side.files.end()? >= told.end;
            }
            self.scan()?;
            let marks = |told: [Told; 2]| told.map(|told| told.mark);
            if anyway || placed && marks(self.told) == marks(opened) {
                return Ok(());
            }
            tries += 1;
            if tries < QUICK_TRIES {
                std::thread::yield_now();
            } else {
                std::thread::park_timeout(PAUSE);
            }
        }
    }

    pub(super) fn scan(&mut self) -> io::Result<()> {
        if let Some(index) = &self.index {
            self.scanned = index.scan(self.scanned, &mut self.told)?;
        }
        Ok(())
    }
}
