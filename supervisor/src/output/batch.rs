//! A batch from the drain thread to the writer: bytes of many reads, back to back, with their runs.

use super::index::Stream;

/// Names an attached run between the two threads; never used twice.
pub(super) type RunId = u64;

/// Bytes of one batch.
pub(super) const BATCH_BYTES: usize = 256 * 1024;
/// Bytes of one read.
pub(super) const READ_BYTES: usize = 64 * 1024;
/// Reads of one batch that could not be merged.
const MAX_SEGMENTS: usize = 4096;

/// The run and the time of the next `len` bytes of a batch.
#[derive(Debug, Clone, Copy)]
pub(super) struct Segment {
    pub(super) run: RunId,
    pub(super) stream: Stream,
    pub(super) time: i64,
    pub(super) len: usize,
}

/// A buffer and its segments; reused, so that a read allocates nothing.
#[derive(Debug)]
pub(super) struct Batch {
    bytes: Box<[u8]>,
    used: usize,
    segments: Vec<Segment>,
}

impl Batch {
    /// Creates an empty batch. Memory that was never written to takes no room.
    pub(super) fn new() -> Self {
        Self { bytes: vec![0; BATCH_BYTES].into_boxed_slice(), used: 0, segments: Vec::new() }
    }

    /// Returns room for one read, or `None` when the batch is full.
    pub(super) fn room(&mut self) -> Option<&mut [u8]> {
        if self.segments.len() >= MAX_SEGMENTS {
            return None;
        }
        self.bytes.get_mut(self.used..self.used + READ_BYTES)
    }

    /// Adds the bytes that were read into [`Batch::room`] and returns them.
    pub(super) fn push(&mut self, new: Segment) -> &[u8] {
        match self.segments.last_mut() {
            Some(last) if (last.run, last.stream, last.time) == (new.run, new.stream, new.time) => {
                last.len += new.len;
            }
            Some(_) | None => self.segments.push(new),
        }
        let start = self.used;
        self.used += new.len;
        self.bytes.get(start..self.used).unwrap_or_default()
    }

    /// Returns whether the batch is empty.
    pub(super) fn is_empty(&self) -> bool {
        self.used == 0
    }

    /// Empties the batch.
    pub(super) fn clear(&mut self) {
        self.used = 0;
        self.segments.clear();
    }

    /// Returns its segments in stretches of the same run and stream, each with its bytes.
    pub(super) fn stretches(&self) -> impl Iterator<Item = (&[Segment], &[u8])> {
        let mut rest = self.bytes.get(..self.used).unwrap_or_default();
        let same = |a: &Segment, b: &Segment| (a.run, a.stream) == (b.run, b.stream);
        self.segments.chunk_by(same).map(move |segments| {
            let len = segments.iter().map(|segment| segment.len).sum();
            let (bytes, others) = rest.split_at_checked(len).unwrap_or((rest, &[]));
            rest = others;
            (segments, bytes)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_are_merged_and_come_back_in_stretches() {
        let mut batch = Batch::new();
        let reads = [(1, Stream::Stdout, 5, "ab"), (1, Stream::Stdout, 5, "c"), (1, Stream::Stdout, 6, "d")];
        let reads = reads.into_iter().chain([(1, Stream::Stderr, 6, "e"), (2, Stream::Stderr, 6, "f")]);
        for (run, stream, time, text) in reads {
            batch.room().unwrap()[..text.len()].copy_from_slice(text.as_bytes());
            batch.push(Segment { run, stream, time, len: text.len() });
        }
        let got: Vec<_> = batch.stretches().map(|(s, bytes)| (s.len(), s[0].run, bytes.to_vec())).collect();
        assert_eq!(got, [(2, 1, b"abcd".to_vec()), (1, 1, b"e".to_vec()), (1, 2, b"f".to_vec())]);
        batch.clear();
        assert!(batch.is_empty() && batch.stretches().next().is_none());
        for read in 0..BATCH_BYTES / READ_BYTES {
            assert!(batch.room().is_some(), "{read}");
            batch.push(Segment { run: 1, stream: Stream::Stdout, time: 0, len: READ_BYTES });
        }
        assert!(batch.room().is_none());
    }
}
