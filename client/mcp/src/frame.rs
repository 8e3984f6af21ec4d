//! Cuts a stream of bytes at line feeds, in memory that is bounded by the longest line that is taken. Pure.

/// Longest line of a client, without its line feed, in bytes.
pub(crate) const MAX_LINE: usize = 16 << 20;

/// A part of the stream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Cut {
    /// A line, without its line feed.
    Line(Vec<u8>),
    /// A line that is too long. It comes once, as soon as that is certain; the rest of the line is dropped.
    TooLong,
    /// The stream has ended behind bytes without a line feed.
    Unfinished,
}

/// The line that has not ended yet.
#[derive(Debug)]
pub(crate) struct Framer {
    line: Vec<u8>,
    max: usize,
    /// The rest of a line that was too long is being dropped.
    skips: bool,
}

impl Framer {
    /// Takes lines of at most `max` bytes.
    pub(crate) const fn new(max: usize) -> Self {
        Self { line: Vec::new(), max, skips: false }
    }

    /// Takes the next bytes and hands out every part that they complete.
    pub(crate) fn take(&mut self, bytes: &[u8], out: &mut impl FnMut(Cut)) {
        let mut pieces = bytes.split(|byte| *byte == b'\n');
        let last = pieces.next_back().unwrap_or_default();
        for piece in pieces {
            self.add(piece, out);
            if !std::mem::take(&mut self.skips) {
                out(Cut::Line(std::mem::take(&mut self.line)));
            }
        }
        self.add(last, out);
    }

    fn add(&mut self, piece: &[u8], out: &mut impl FnMut(Cut)) {
        if self.skips {
            return;
        }
        if self.line.len().saturating_add(piece.len()) > self.max {
            self.line = Vec::new();
            self.skips = true;
            out(Cut::TooLong);
        } else {
            self.line.extend_from_slice(piece);
        }
    }

    /// Returns the part that the end of the stream completes.
    pub(crate) fn end(self) -> Option<Cut> {
        let has_some = self.line.iter().any(|byte| !byte.is_ascii_whitespace());
        has_some.then_some(Cut::Unfinished)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn cut(pieces: &[&[u8]], max: usize) -> Vec<Cut> {
        let (mut framer, mut all) = (Framer::new(max), Vec::new());
        for piece in pieces {
            framer.take(piece, &mut |cut| all.push(cut));
        }
        all.extend(framer.end());
        all
    }

    fn line(text: &str) -> Cut {
        Cut::Line(text.into())
    }

    #[test]
    fn a_line_that_is_too_long_is_told_once_and_the_next_one_is_taken() {
        assert_eq!(cut(&[b"abc\nabcd\nx\n"], 3), [line("abc"), Cut::TooLong, line("x")]);
        assert_eq!(cut(&[b"ab", b"cd", b"ef", b"\nx\n"], 3), [Cut::TooLong, line("x")]);
    }

    #[test]
    fn bytes_behind_the_last_line_feed_are_no_line() {
        assert_eq!(cut(&[b"a\n{\"id\":1}"], 9), [line("a"), Cut::Unfinished]);
        assert_eq!(cut(&[b"a\n \r"], 9), [line("a")]);
        assert_eq!(cut(&[b"abcd"], 3), [Cut::TooLong], "it was told already");
    }

    proptest! {
        #[test]
        fn the_division_into_reads_never_matters(text in "[a\n]{0,40}", at in 0..40_usize, max in 1..6_usize) {
            let bytes = text.as_bytes();
            let (one, other) = bytes.split_at(at.min(bytes.len()));
            prop_assert_eq!(cut(&[one, other], max), cut(&[bytes], max));
        }
    }
}
