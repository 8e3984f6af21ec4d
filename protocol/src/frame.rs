//! Splits a byte stream into newline-ended frames (PROTOCOL 2).
//!
//! Owns the unconsumed tail of the stream and nothing else. Bytes are split at `\n` first and decoded by the
//! caller afterwards, so a UTF-8 character that arrives in two reads is safe. The part after the last `\n` is
//! never handed out: a frame that was cut off must not be executed. There is no I/O here.

use std::ops::Range;

/// Error for a line longer than the framer's limit; its bytes are dropped up to its newline.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a frame may have at most {limit} bytes")]
pub struct FrameTooLong {
    /// The limit in bytes, newline not counted.
    pub limit: usize,
}

/// Splits bytes into frames, in memory bounded by the limit plus one read.
#[derive(Debug)]
pub struct Framer {
    buf: Vec<u8>,
    /// Offset of the first byte that was not handed out yet.
    head: usize,
    /// No newline stands before this offset.
    scanned: usize,
    limit: usize,
    /// The rest of a line that was reported as too long is dropped.
    discarding: bool,
    /// Blanks around a line belong to it.
    verbatim: bool,
    /// Frames that were handed out are overwritten as soon as the next one is asked for.
    wipes: bool,
}

/// An empty buffer larger than this is given back, in bytes.
const KEEP_CAPACITY: usize = 256 * 1024;

/// Capacity of an empty buffer after [`Framer::give_back`], in bytes.
const IDLE_CAPACITY: usize = 4 * 1024;

impl Framer {
    /// Creates a framer for lines of at most `limit` bytes, newline not counted.
    #[must_use]
    pub const fn new(limit: usize) -> Self {
        Self { buf: Vec::new(), head: 0, scanned: 0, limit, discarding: false, verbatim: false, wipes: false }
    }

    /// Creates a framer for lines of text, which are handed out as they were written, empty ones too; a carriage return before the
    /// newline is no part of a line.
    #[must_use]
    pub fn of_text(limit: usize) -> Self {
        let mut framer = Self::new(limit);
        framer.verbatim = true;
        framer
    }

    /// Creates a framer for requests, which may carry the secrets of a client's environment: no copy of a line stays in memory once
    /// the next one was asked for.
    #[must_use]
    pub fn of_requests(limit: usize) -> Self {
        let mut framer = Self::new(limit);
        framer.wipes = true;
        framer
    }

    /// Appends bytes of the stream. Take every frame with [`Framer::next_frame`] before the next call, so that
    /// memory stays bounded.
    pub fn extend(&mut self, bytes: &[u8]) {
        self.compact();
        if self.wipes && self.buf.capacity() - self.buf.len() < bytes.len() {
            self.grow(bytes.len());
        }
        self.buf.extend_from_slice(bytes);
    }

    /// Returns the next whole frame without its newline, skipping empty lines, or `None` when more bytes are
    /// needed.
    ///
    /// # Errors
    /// [`FrameTooLong`], once per over-long line and as soon as the limit is passed; the stream stays usable.
    pub fn next_frame(&mut self) -> Option<Result<&[u8], FrameTooLong>> {
        loop {
            let rest = self.buf.get(self.scanned..).unwrap_or_default();
            let Some(at) = memchr::memchr(b'\n', rest) else {
                self.scanned = self.buf.len();
                if self.wipes {
                    self.compact();
                }
                return self.overflow().map(Err);
            };
            let (start, end) = (self.head, self.scanned + at);
            self.head = end + 1;
            self.scanned = self.head;
            if std::mem::take(&mut self.discarding) {
                continue;
            }
            if end - start > self.limit {
                return Some(Err(FrameTooLong { limit: self.limit }));
            }
            let line = self.line(start..end);
            if self.verbatim || !line.is_empty() {
                // Sliced again: the borrow checker can't see that this return ends the loop.
                return Some(Ok(self.line(start..end)));
            }
        }
    }

    /// Goes on within an over-long line, the rest of which is dropped.
    #[must_use]
    pub const fn within_dropped_line(mut self, is_within: bool) -> Self {
        self.discarding = is_within;
        self
    }

    /// Returns whether the stream ended in the middle of a frame.
    #[must_use]
    pub fn has_partial(&self) -> bool {
        self.discarding || self.buf.get(self.head..).is_some_and(|rest| !rest.trim_ascii().is_empty())
    }

    /// Returns the beginning of the frame that has no newline yet; empty while an over-long line is dropped.
    #[must_use]
    pub fn partial(&self) -> &[u8] {
        if self.discarding { &[] } else { self.line(self.head..self.buf.len()) }
    }

    /// Returns a line without what is no part of it.
    fn line(&self, range: Range<usize>) -> &[u8] {
        let line = self.buf.get(range).unwrap_or_default();
        if self.verbatim { line.strip_suffix(b"\r").unwrap_or(line) } else { line.trim_ascii() }
    }

    /// Returns the bytes after the last frame that was handed out, and whether they begin within an over-long line.
    #[must_use]
    pub fn unread(&self) -> (&[u8], bool) {
        (self.buf.get(self.head..).unwrap_or_default(), self.discarding)
    }

    /// Takes the bytes after the last frame that was handed out, such as those behind a handshake.
    pub fn take_rest(&mut self) -> Vec<u8> {
        let rest = self.buf.split_off(self.head.min(self.buf.len()));
        self.buf.clear();
        self.head = 0;
        self.scanned = 0;
        rest
    }

    /// Frees the buffer if it is empty and large.
    pub fn give_back(&mut self) {
        if self.head == self.buf.len() && self.buf.capacity() > IDLE_CAPACITY {
            self.drop_buffer();
        }
    }

    /// Returns the capacity of the buffer in bytes.
    #[must_use]
    pub const fn held_bytes(&self) -> usize {
        self.buf.capacity()
    }

    fn overflow(&mut self) -> Option<FrameTooLong> {
        if self.discarding {
            self.drop_buffer();
            return None;
        }
        if self.buf.len() - self.head <= self.limit {
            return None;
        }
        self.discarding = true;
        self.drop_buffer();
        Some(FrameTooLong { limit: self.limit })
    }

    /// Makes room without leaving a copy behind.
    fn grow(&mut self, more: usize) {
        let room = (self.buf.len() + more).max(self.buf.capacity() * 2);
        let mut larger = Vec::with_capacity(room);
        larger.extend_from_slice(&self.buf);
        self.wipe();
        self.buf = larger;
    }

    /// Overwrites all bytes.
    fn wipe(&mut self) {
        if self.wipes {
            self.buf.fill(0);
            // Else the compiler may leave out what it sees nobody read.
            std::hint::black_box(&mut self.buf);
        }
    }

    fn drop_buffer(&mut self) {
        self.wipe();
        self.buf = Vec::new();
        self.head = 0;
        self.scanned = 0;
    }

    fn compact(&mut self) {
        if self.head == self.buf.len() {
            if self.buf.capacity() > KEEP_CAPACITY {
                self.drop_buffer();
            }
            self.wipe();
            self.buf.clear();
        } else if self.head > 0 {
            let len = self.buf.len();
            self.buf.drain(..self.head);
            if self.wipes {
                // Behind the bytes that moved to the front there are still those that they were.
                let left = self.buf.len();
                self.buf.resize(len, 0);
                self.buf.truncate(left);
            }
        }
        self.scanned -= self.head.min(self.scanned);
        self.head = 0;
    }
}

impl Drop for Framer {
    fn drop(&mut self) {
        self.wipe();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn frames(chunks: &[&[u8]], limit: usize) -> Vec<Result<Vec<u8>, FrameTooLong>> {
        let mut framer = Framer::new(limit);
        let mut out = Vec::new();
        for chunk in chunks {
            framer.extend(chunk);
            while let Some(frame) = framer.next_frame() {
                out.push(frame.map(<[u8]>::to_vec));
            }
        }
        out
    }

    #[test]
    fn an_empty_buffer_is_given_back_and_one_with_half_a_frame_stays() {
        let mut framer = Framer::new(1 << 20);
        framer.extend(&[b'x'; 100_000]);
        framer.extend(b"\n");
        framer.give_back();
        assert!(framer.held_bytes() > 100_000, "its frame was not taken yet");
        assert!(framer.next_frame().is_some());
        framer.give_back();
        assert_eq!(framer.held_bytes(), 0);
        framer.extend(&[b'y'; 100_000]);
        assert!(framer.next_frame().is_none());
        framer.give_back();
        assert_eq!(framer.partial().len(), 100_000);
    }

    #[test]
    fn empty_lines_are_ignored_and_carriage_returns_are_whitespace() {
        let got = frames(&[b"\n\r\n  \n{}\r\n\n[1]\n"], 100);
        assert_eq!(got, [Ok(b"{}".to_vec()), Ok(b"[1]".to_vec())]);
    }

    #[test]
    fn an_unterminated_last_line_is_never_handed_out() {
        let mut framer = Framer::new(100);
        framer.extend(b"{}\n{\"type\":\"nuke\"}");
        assert!(framer.next_frame().is_some());
        assert_eq!(framer.next_frame(), None);
        assert!(framer.has_partial());
        assert_eq!(framer.take_rest(), b"{\"type\":\"nuke\"}");
    }

    #[test]
    fn the_limit_counts_the_line_without_its_newline() {
        assert_eq!(frames(&[b"12345\n"], 5), [Ok(b"12345".to_vec())]);
        assert_eq!(frames(&[b"123456\nok\n"], 5), [Err(FrameTooLong { limit: 5 }), Ok(b"ok".to_vec())]);
    }

    #[test]
    fn a_100_mb_line_is_reported_once_in_constant_memory() {
        let mut framer = Framer::new(1 << 20);
        let chunk = vec![b'x'; 64 * 1024];
        let mut errors = 0;
        for _ in 0..1600 {
            framer.extend(&chunk);
            while let Some(frame) = framer.next_frame() {
                assert!(frame.is_err());
                errors += 1;
            }
            assert!(framer.buf.capacity() <= 4 << 20);
        }
        framer.extend(b"\n{}\n");
        assert_eq!(framer.next_frame(), Some(Ok(b"{}".as_slice())));
        assert_eq!(errors, 1);
    }

    proptest! {
        #[test]
        fn the_split_of_the_stream_does_not_matter(
            lines in proptest::collection::vec("[a-zé\u{1F600}\r ]{0,12}", 0..12),
            cuts in proptest::collection::vec(any::<proptest::sample::Index>(), 0..12),
        ) {
            let bytes = lines.iter().fold(Vec::new(), |mut all, line| {
                all.extend_from_slice(line.as_bytes());
                all.push(b'\n');
                all
            });
            let mut at: Vec<usize> = cuts.iter().map(|cut| cut.index(bytes.len() + 1)).collect();
            at.sort_unstable();
            let mut chunks = Vec::new();
            let mut from = 0;
            for cut in at {
                chunks.push(&bytes[from..cut]);
                from = cut;
            }
            chunks.push(&bytes[from..]);
            let whole: Vec<_> = frames(&[&bytes], 20).into_iter().filter_map(Result::ok).collect();
            let split: Vec<_> = frames(&chunks, 20).into_iter().filter_map(Result::ok).collect();
            prop_assert_eq!(whole, split);
        }
    }
}
