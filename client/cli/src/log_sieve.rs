//! The lines that `logs` selects: by `--since` and `--grep`, and whole lines where each becomes an object.

use gob_client::logs::{Pattern, Piece, Stream};
use gob_client::protocol::Timestamp;

/// Bytes of a line that are held until it ends. Of a longer line these decide, and the rest follows in parts.
const MAX_HELD: usize = 1 << 20;

/// Selects lines, each stream for itself.
#[derive(Debug, Clone, Default)]
pub(crate) struct Sieve {
    pattern: Option<Pattern>,
    /// Lines that were finished before are left out; those whose time is unknown are not.
    pub(crate) since: Option<Timestamp>,
    /// Lines come whole also where all are wanted.
    whole: bool,
    stdout: Held,
    stderr: Held,
}

/// The line of a stream that has not ended.
#[derive(Debug, Clone, Default)]
struct Held {
    line: Option<Piece>,
    /// Whether the rest of a line passes whose beginning is no longer held.
    passes: Option<bool>,
}

impl Sieve {
    /// Selects the lines in which the pattern is found, and those since a time.
    pub(crate) fn new(pattern: Option<Pattern>, since: Option<Timestamp>, whole: bool) -> Self {
        Self { pattern, since, whole, ..Self::default() }
    }

    /// Returns whether it leaves lines out.
    pub(crate) const fn selects(&self) -> bool {
        self.pattern.is_some() || self.since.is_some()
    }

    /// Returns whether an unfinished line may be shown before its end.
    const fn shows_unfinished(&self) -> bool {
        self.pattern.is_none() && !self.whole
    }

    fn passes(&self, line: &Piece) -> bool {
        let late = self.since.is_none_or(|since| line.time.is_none_or(|time| time >= since));
        late && self.pattern.as_ref().is_none_or(|pattern| {
            let text = String::from_utf8_lossy(&line.bytes);
            let text = text.strip_suffix('\n').unwrap_or(&text);
            pattern.is_in(text.strip_suffix('\r').unwrap_or(text))
        })
    }

    const fn held(&mut self, stream: Stream) -> &mut Held {
        match stream {
            Stream::Stdout => &mut self.stdout,
            Stream::Stderr => &mut self.stderr,
        }
    }

    /// Takes a piece, and hands out what is selected.
    pub(crate) fn push(&mut self, piece: Piece, out: &mut impl FnMut(Piece)) {
        if !self.selects() && !self.whole {
            return out(piece);
        }
        let (stream, ends) = (piece.stream, piece.ends_line());
        let held = self.held(stream);
        if let Some(passes) = held.passes {
            held.passes = (!ends).then_some(passes);
            if passes {
                out(piece);
            }
            return;
        }
        let line = match held.line.take() {
            Some(mut line) => {
                line.bytes.extend_from_slice(&piece.bytes);
                Piece { time: piece.time, ..line }
            }
            None => piece,
        };
        if !ends && line.bytes.len() < MAX_HELD {
            held.line = Some(line);
            return;
        }
        let passes = self.passes(&line);
        self.held(stream).passes = (!ends).then_some(passes);
        if passes {
            out(line);
        }
    }

    /// Hands out the unfinished lines, where they are shown before their end; later pieces continue them.
    pub(crate) fn pause(&mut self, out: &mut impl FnMut(Piece)) {
        if self.shows_unfinished() {
            self.flush(out);
        }
    }

    /// Hands out the unfinished lines of a run that has no more.
    pub(crate) fn finish(&mut self, out: &mut impl FnMut(Piece)) {
        self.flush(out);
        self.stdout.passes = None;
        self.stderr.passes = None;
    }

    fn flush(&mut self, out: &mut impl FnMut(Piece)) {
        for stream in [Stream::Stdout, Stream::Stderr] {
            if let Some(line) = self.held(stream).line.take() {
                let passes = self.passes(&line);
                self.held(stream).passes = Some(passes);
                if passes {
                    out(line);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn piece(stream: Stream, time: i64, text: &str) -> Piece {
        Piece { stream, time: Some(Timestamp(time)), bytes: text.as_bytes().to_vec(), starts_line: true }
    }

    fn sieved(sieve: &mut Sieve, pieces: &[(i64, &str)]) -> Vec<String> {
        let mut out = Vec::new();
        for (time, text) in pieces {
            sieve.push(piece(Stream::Stdout, *time, text), &mut |piece| {
                out.push(String::from_utf8(piece.bytes).unwrap());
            });
        }
        out
    }

    #[test]
    fn a_pattern_is_searched_in_whole_lines() {
        let mut sieve = Sieve { pattern: Some(Pattern::parse("^ab+c$").unwrap()), ..Sieve::default() };
        let pieces = [(1, "a"), (2, "bb"), (3, "c\r\n"), (4, "abcd\n"), (5, "x\nabc\n"), (6, "abc\n")];
        assert_eq!(sieved(&mut sieve, &pieces), ["abbc\r\n", "abc\n"]);
        let mut out = Vec::new();
        sieve.push(piece(Stream::Stdout, 7, "abc"), &mut |piece| out.push(piece));
        sieve.pause(&mut |piece| out.push(piece));
        assert!(out.is_empty(), "the line may go on");
        sieve.finish(&mut |piece| out.push(piece));
        assert_eq!(out.len(), 1);
        assert_eq!(sieved(&mut sieve, &[(8, "no\n"), (9, "abc\n")]), ["abc\n"], "the next run begins anew");
    }

    #[test]
    fn the_time_of_a_line_is_that_of_its_end() {
        let mut sieve = Sieve { since: Some(Timestamp(10)), ..Sieve::default() };
        assert_eq!(sieved(&mut sieve, &[(8, "early\n"), (9, "la"), (10, "te\n")]), ["late\n"]);
        let mut out = Vec::new();
        sieve.push(Piece { time: None, ..piece(Stream::Stderr, 0, "unknown\n") }, &mut |piece| {
            out.push(piece)
        });
        assert_eq!(out.len(), 1);
    }

    #[test]
    fn a_line_too_long_to_hold_is_decided_by_its_beginning() {
        let (long, rest) = ("a".repeat(MAX_HELD), "b".repeat(1000));
        let pieces = [(1, long.as_str()), (1, rest.as_str()), (1, "end\n"), (2, "next\n")];
        let mut sieve = Sieve { pattern: Some(Pattern::parse("a|next").unwrap()), ..Sieve::default() };
        let shown: Vec<usize> = sieved(&mut sieve, &pieces).iter().map(String::len).collect();
        assert_eq!(shown, [MAX_HELD, 1000, 4, 5]);
        let mut sieve = Sieve { pattern: Some(Pattern::parse("end|next").unwrap()), ..Sieve::default() };
        assert_eq!(sieved(&mut sieve, &pieces), ["next\n"]);
    }
}
