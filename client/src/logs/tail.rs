//! The last lines of a run, found from the end so that a long log costs no more than a short one, and the lines
//! since a time, found by the index.

use super::pieces::Piece;
use super::run::Run;
use gob_protocol::Timestamp;
use gob_protocol::logindex::{Record, Stream};
use std::collections::VecDeque;
use std::io;

/// Records read in one step backwards.
const STEP: u64 = 512;
/// Bytes read at once when lines are counted.
const BLOCK: usize = 64 * 1024;
/// Distance in which the beginning of a line is searched, in bytes.
const MAX_BACK: u64 = 1 << 20;

impl Run {
    /// Skips to the present last `count` lines and returns them; reading goes on behind them.
    ///
    /// # Errors
    /// When a file can't be read.
    pub fn last_lines(&mut self, count: usize) -> io::Result<Vec<Piece>> {
        self.up_to_here(|run| run.read_last_lines(count))
    }

    fn read_last_lines(&mut self, count: usize) -> io::Result<Vec<Piece>> {
        self.skip_to_last(count)?;
        let mut last = VecDeque::new();
        let mut ended = 0;
        loop {
            while let Some(piece) = self.next_piece()? {
                ended += usize::from(piece.ends_line());
                last.push_back(piece);
                drop_first_lines(&mut last, &mut ended, count);
            }
            if !self.take_rest()? {
                break;
            }
        }
        let mut unfinished = self.unfinished();
        unfinished.drain(..unfinished.len().saturating_sub(count));
        drop_first_lines(&mut last, &mut ended, count - unfinished.len());
        last.extend(unfinished);
        Ok(last.into())
    }

    /// As [`Run::last_lines`], in bounded memory: of lines with more than `bytes` together the last ones, of a longer line its
    /// end. Returns also whether there are lines before them.
    ///
    /// # Errors
    /// When a file can't be read.
    pub fn last_within(&mut self, count: usize, bytes: usize) -> io::Result<(Vec<Piece>, bool)> {
        self.up_to_here(|run| run.read_last_within(count, bytes))
    }

    fn read_last_within(&mut self, count: usize, bytes: usize) -> io::Result<(Vec<Piece>, bool)> {
        let mut last = Last { is_cut: self.skip_to_last(count)?, ..Last::default() };
        loop {
            while let Some(piece) = self.next_piece()? {
                last.push(piece, count, bytes);
            }
            if !self.take_rest()? {
                break;
            }
        }
        for piece in self.unfinished() {
            last.push(piece, count, bytes);
        }
        Ok((last.pieces.into(), last.is_cut))
    }

    /// Skips to a little before the last `count` lines that the index tells; returns whether there are writes before.
    pub(super) fn skip_to_last(&mut self, count: usize) -> io::Result<bool> {
        if self.index.is_none() {
            return Ok(false);
        }
        self.scan()?;
        // Not the index's length: where the streams are is known of the scanned records alone.
        let (mut from, mut lines) = (self.bound.map_or(self.scanned, |bound| bound.records), 0);
        // One more than requested: the first line found may lack its beginning.
        while from > 0 && lines <= count {
            let step = from.min(STEP);
            let Some(index) = &self.index else { return Ok(false) };
            let (records, _) = index.read(from - step, step)?;
            from -= step;
            for (number, record) in records.into_iter().rev() {
                lines += self.newlines(record)?;
                if lines > count {
                    from = number;
                    break;
                }
            }
        }
        self.seek(from)?;
        Ok(from > 0)
    }

    /// Skips the output that was written before a time; reading goes on with the line that was open then. Output
    /// without a record has no time, and stays.
    ///
    /// # Errors
    /// When a file can't be read.
    pub fn skip_to_time(&mut self, since: Timestamp) -> io::Result<()> {
        let Some(index) = &self.index else { return Ok(()) };
        // A clock may have been set back: the first late record counts, wherever it is.
        let (mut first, mut begins, mut from) = (None, [None; 2], 0);
        loop {
            let (records, count) = index.read(from, STEP)?;
            let is_behind = self.bound.is_some_and(|bound| from >= bound.records);
            if count == 0 || is_behind || begins.iter().all(Option::is_some) {
                break;
            }
            let is_late = |(_, record): &(u64, Record)| record.len.is_some() && record.time >= since;
            if first.is_none() && records.iter().any(is_late) {
                first = Some(from);
            }
            for (_, record) in records.iter().filter(|record| is_late(record)) {
                let [stdout, stderr] = &mut begins;
                let begin = if record.stream == Stream::Stdout { stdout } else { stderr };
                begin.get_or_insert(record.offset);
            }
            from += count;
        }
        if let Some(index) = &mut self.index {
            // The records of this step that are too early are read again, and skipped: they are done.
            index.seek(first.unwrap_or(from));
        }
        let [stdout, stderr] = begins;
        for (stream, begin) in [(Stream::Stdout, stdout), (Stream::Stderr, stderr)] {
            match begin {
                Some(offset) => self.begin_line(stream, offset)?,
                None => self.begin_line(stream, self.told(stream).end)?,
            }
        }
        Ok(())
    }

    fn newlines(&mut self, record: Record) -> io::Result<usize> {
        let side = self.side(record.stream);
        let (mut at, end) = (record.offset, record.offset + u64::from(record.len.unwrap_or(0)));
        let (mut lines, mut buf) = (0, vec![0; BLOCK]);
        while side.wanted && at < end && at >= side.files.start() {
            let room = usize::try_from(end - at).unwrap_or(BLOCK).min(BLOCK);
            let count = side.files.read_at(at, buf.get_mut(..room).unwrap_or_default())?;
            if count == 0 {
                break;
            }
            lines += buf.iter().take(count).filter(|byte| **byte == b'\n').count();
            at += count as u64;
        }
        Ok(lines)
    }

    /// Starts a stream in the middle, with the beginning of the line that is open there.
    pub(super) fn begin_line(&mut self, stream: Stream, offset: u64) -> io::Result<()> {
        let side = self.side(stream);
        side.done = offset;
        if !side.wanted {
            return Ok(());
        }
        let lowest = side.files.start().max(offset.saturating_sub(MAX_BACK));
        let mut begun = Vec::new();
        let mut at = offset;
        while at > lowest {
            let from = at.saturating_sub(4096).max(lowest);
            let mut part = vec![0; usize::try_from(at - from).unwrap_or(0)];
            let count = side.files.read_full_at(from, &mut part)?;
            part.truncate(count);
            let newline = part.iter().rposition(|byte| *byte == b'\n');
            let mut line = part.split_off(newline.map_or(0, |newline| newline + 1));
            line.append(&mut begun);
            begun = line;
            if newline.is_some() {
                break;
            }
            at = from;
        }
        self.assembler.push(stream, None, &begun, &mut |_| {});
        Ok(())
    }
}

/// The last pieces within a number of lines and of bytes.
#[derive(Default)]
struct Last {
    pieces: VecDeque<Piece>,
    /// The lines that begin in them; of the first one the beginning may be gone.
    lines: usize,
    bytes: usize,
    /// The end of a line was dropped.
    is_cut: bool,
}

impl Last {
    fn push(&mut self, piece: Piece, count: usize, bytes: usize) {
        self.lines += usize::from(piece.starts_line);
        self.bytes += piece.bytes.len();
        self.pieces.push_back(piece);
        while self.lines > count || self.bytes > bytes && self.pieces.len() > 1 {
            let Some(first) = self.pieces.pop_front() else { return };
            self.lines -= usize::from(first.starts_line);
            self.bytes -= first.bytes.len();
            self.is_cut |= first.ends_line();
        }
    }
}

/// Drops the first lines until `keep` are left. `ended` is the number of lines that end in the pieces.
pub fn drop_first_lines<T: AsRef<Piece>>(pieces: &mut VecDeque<T>, ended: &mut usize, keep: usize) {
    while *ended > keep {
        while pieces.pop_front().is_some_and(|piece| !piece.as_ref().ends_line()) {}
        *ended -= 1;
    }
}
