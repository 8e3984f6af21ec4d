//! A stretch of lines of a run, as much as a screen and some more. Pure: lines in, at both ends, within bounds.

use super::pattern::Pattern;
use super::pieces::Piece;
use super::place::Place;
use crate::screen::text::output;
use gob_protocol::Timestamp;
use gob_protocol::logindex::Stream;
use std::collections::VecDeque;
use std::sync::Arc;

/// A line as a screen shows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Line {
    /// The stream.
    pub stream: Stream,
    /// The time of its last bytes, as far as the index has it.
    pub time: Option<Timestamp>,
    /// Its text without the line end. Bytes that are not UTF-8 are U+FFFD; control characters are still in it.
    pub text: String,
    /// It is longer than [`Line::MAX_BYTES`], and its rest is left out.
    pub is_cut: bool,
    /// `None` until it has ended, and where no record tells of its end.
    pub(super) place: Option<Place>,
    ended: bool,
}

impl Line {
    /// Length of a line's text, in bytes of the output.
    pub const MAX_BYTES: usize = 16 * 1024;

    /// Returns a line that is of no file, as a surface is tried with.
    #[must_use]
    pub fn of(stream: Stream, text: &str) -> Self {
        Self { stream, time: None, text: text.to_owned(), is_cut: false, place: None, ended: true }
    }

    /// Returns whether a pattern is found in it as a screen shows it: colours are no part of the text.
    #[must_use]
    pub fn shows(&self, pattern: &Pattern) -> bool {
        if self.text.contains('\u{1b}') {
            pattern.is_in(&output(&self.text))
        } else {
            pattern.is_in(&self.text)
        }
    }

    fn new(piece: &Piece, place: Option<Place>) -> Self {
        let mut line = Self {
            stream: piece.stream,
            time: None,
            text: String::new(),
            is_cut: !piece.starts_line,
            place: None,
            ended: false,
        };
        line.go_on(piece, place);
        line
    }

    fn go_on(&mut self, piece: &Piece, place: Option<Place>) {
        self.time = piece.time.or(self.time);
        self.ended = piece.ends_line();
        self.place = place.filter(|_| self.ended);
        let bytes = piece.bytes.strip_suffix(b"\n").unwrap_or(&piece.bytes);
        let bytes = if self.ended { bytes.strip_suffix(b"\r").unwrap_or(bytes) } else { bytes };
        let room = Self::MAX_BYTES.saturating_sub(self.text.len());
        self.is_cut |= bytes.len() > room;
        let text = String::from_utf8_lossy(bytes.get(..room).unwrap_or(bytes));
        // A cut inside a character leaves no half of it.
        self.text.push_str(if self.is_cut { text.trim_end_matches('\u{fffd}') } else { &text });
    }

    /// Its share of the bounds: the text and the line itself.
    const fn bytes(&self) -> usize {
        self.text.len() + size_of::<Self>()
    }
}

/// Lines in the order in which they ended, the unfinished ones where they were seen first.
#[derive(Debug, Default)]
pub(super) struct Window {
    lines: VecDeque<Arc<Line>>,
    bytes: usize,
    /// The number of the first line. Numbers stay with their lines while lines come and go at the ends.
    first: i64,
    /// The numbers of the unfinished lines of standard output and standard error.
    open: [Option<i64>; 2],
}

impl Window {
    /// Number of lines that it keeps.
    pub(super) const MAX_LINES: usize = 2000;
    /// Size of the lines that it keeps, in bytes.
    pub(super) const MAX_BYTES: usize = 2 << 20;

    pub(super) const fn lines(&self) -> &VecDeque<Arc<Line>> {
        &self.lines
    }

    pub(super) const fn first(&self) -> i64 {
        self.first
    }

    /// Returns the index of the line with a number.
    pub(super) fn index_of(&self, number: i64) -> Option<usize> {
        usize::try_from(number.checked_sub(self.first)?).ok().filter(|index| *index < self.lines.len())
    }

    fn end(&self) -> i64 {
        self.first + i64::try_from(self.lines.len()).unwrap_or(i64::MAX)
    }

    /// Appends a piece, or adds it to the unfinished line of its stream; drops the first lines beyond the bounds.
    pub(super) fn push(&mut self, piece: &Piece, place: Option<Place>) {
        let stream = usize::from(piece.stream == Stream::Stderr);
        let open = self.open.get(stream).copied().flatten().and_then(|number| self.index_of(number));
        let number = match open.and_then(|index| self.lines.get_mut(index)) {
            Some(line) if !piece.starts_line => {
                let before = line.bytes();
                let line = Arc::make_mut(line);
                line.go_on(piece, place);
                self.bytes = self.bytes + line.bytes() - before;
                open.and_then(|index| i64::try_from(index).ok())
                    .map_or(self.first, |index| self.first + index)
            }
            Some(_) | None => {
                let line = Line::new(piece, place);
                self.bytes += line.bytes();
                self.lines.push_back(Arc::new(line));
                self.end() - 1
            }
        };
        if let Some(open) = self.open.get_mut(stream) {
            *open = (!piece.ends_line()).then_some(number);
        }
        while self.is_full() {
            self.drop_first();
        }
    }

    /// Puts earlier lines, the latest last, in front of it; drops the last lines beyond the bounds, and returns whether
    /// there were such.
    pub(super) fn push_front(&mut self, earlier: impl DoubleEndedIterator<Item = Arc<Line>>) -> bool {
        for line in earlier.rev() {
            self.bytes += line.bytes();
            self.first -= 1;
            self.lines.push_front(line);
        }
        let mut dropped = false;
        while self.is_full() {
            let last = self.lines.pop_back();
            self.bytes -= last.map_or(0, |line| line.bytes());
            dropped = true;
        }
        dropped
    }

    /// Drops the unfinished lines, and those without a place unless `unplaced` are kept; returns whether there were such.
    pub(super) fn keep_placed(&mut self, unplaced: bool) -> bool {
        let before = self.lines.len();
        self.lines.retain(|line| line.ended && (unplaced || line.place.is_some()));
        self.bytes = self.lines.iter().map(|line| line.bytes()).sum();
        self.open = [None; 2];
        self.lines.len() < before
    }

    /// Keeps the last `count` lines.
    pub(super) fn keep_last(&mut self, count: usize) {
        while self.lines.len() > count {
            self.drop_first();
        }
    }

    /// Drops all lines. The next line has the number after the last.
    pub(super) fn clear(&mut self) {
        *self = Self { first: self.end(), ..Self::default() };
    }

    fn drop_first(&mut self) {
        if let Some(line) = self.lines.pop_front() {
            self.bytes -= line.bytes();
            self.first += 1;
        }
    }

    fn is_full(&self) -> bool {
        let is_too_big = self.bytes > Self::MAX_BYTES && self.lines.len() > 1;
        self.lines.len() > Self::MAX_LINES || is_too_big
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn piece(stream: Stream, text: &str, starts_line: bool) -> Piece {
        Piece { stream, time: None, bytes: text.as_bytes().to_vec(), starts_line }
    }

    fn texts(window: &Window) -> Vec<&str> {
        window.lines().iter().map(|line| line.text.as_str()).collect()
    }

    #[test]
    fn an_unfinished_line_goes_on_in_its_place() {
        let mut window = Window::default();
        window.push(&piece(Stream::Stdout, "50%", true), None);
        window.push(&piece(Stream::Stderr, "warning\r\n", true), None);
        window.push(&piece(Stream::Stdout, " 100%\n", false), None);
        window.push(&piece(Stream::Stdout, "done", true), None);
        assert_eq!(texts(&window), ["50% 100%", "warning", "done"]);
        assert!(window.keep_placed(true));
        assert_eq!(texts(&window), ["50% 100%", "warning"]);
    }

    #[test]
    fn a_pattern_is_found_across_a_change_of_colour() {
        let coloured = Line::of(Stream::Stdout, "\u{1b}[32mline\u{1b}[0m 5");
        assert!(coloured.shows(&Pattern::typed("line 5").unwrap()));
        assert!(!coloured.shows(&Pattern::typed("32").unwrap()), "a screen shows no such number");
        assert!(Line::of(Stream::Stdout, "line 5").shows(&Pattern::typed("line 5").unwrap()));
    }

    #[test]
    fn a_long_line_is_cut_between_characters() {
        let mut window = Window::default();
        window.push(&piece(Stream::Stdout, &"é".repeat(Line::MAX_BYTES), true), None);
        window.push(&piece(Stream::Stdout, "rest\n", false), None);
        let line = window.lines().front().unwrap();
        assert!(line.is_cut && line.ended && line.text.len() <= Line::MAX_BYTES);
        assert!(line.text.chars().all(|c| c == 'é'));
    }

    #[test]
    fn bounds_hold_at_both_ends_and_numbers_stay() {
        let mut window = Window::default();
        for n in 0..Window::MAX_LINES + 5 {
            window.push(&piece(Stream::Stdout, &format!("{n}\n"), true), None);
        }
        assert_eq!((window.lines().len(), window.first()), (Window::MAX_LINES, 5));
        assert_eq!(window.index_of(5), Some(0));
        let earlier = ["x", "y"].map(|text| Arc::new(Line::new(&piece(Stream::Stderr, text, true), None)));
        assert!(window.push_front(earlier.into_iter()));
        assert_eq!((texts(&window)[..3].to_vec(), window.first()), (vec!["x", "y", "5"], 3));
        assert_eq!(window.lines().len(), Window::MAX_LINES);
        let big = format!("{}\n", "b".repeat(Line::MAX_BYTES));
        for _ in 0..300 {
            window.push(&piece(Stream::Stdout, &big, true), None);
        }
        let bytes: usize = window.lines().iter().map(|line| line.bytes()).sum();
        assert!(bytes <= Window::MAX_BYTES && bytes == window.bytes);
    }
}
