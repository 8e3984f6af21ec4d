//! The user's terminal: its width, and text that fits it. Widths are cells, as the terminal counts them.

use crate::text::escape;
use std::os::fd::AsFd;
use terminal_size::{Height, Width, terminal_size_of};
use unicode_width::{UnicodeWidthChar, UnicodeWidthStr};

/// The width of a terminal that does not tell it.
const UNKNOWN: usize = 80;
/// Limit of the width of prose on a wide terminal.
const PROSE: usize = 100;
/// Marks cut text.
const CUT: char = '…';
/// Turns the character before it into a picture, which is one cell wider.
const AS_PICTURE: char = '\u{fe0f}';

/// The layout of a view on standard output.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Look {
    /// It may be coloured.
    pub(crate) color: bool,
    /// Cells of a line; `None` where nothing limits it, as in a pipe.
    pub(crate) width: Option<usize>,
}

/// Returns the cells of a line on standard output, where that is a terminal.
pub(crate) fn stdout_width() -> Option<usize> {
    use std::io::IsTerminal;
    let stdout = std::io::stdout();
    stdout.is_terminal().then(|| width_of(&stdout))
}

/// Returns the lines of the terminal on standard output.
pub(crate) fn stdout_height() -> usize {
    const UNKNOWN: usize = 24;
    match terminal_size_of(std::io::stdout()) {
        Some((_, Height(height))) if height > 0 => usize::from(height),
        _ => UNKNOWN,
    }
}

/// Returns the cells of a line on standard error.
pub(crate) fn stderr_width() -> usize {
    width_of(std::io::stderr())
}

/// Returns the cells of a line of help.
pub(crate) fn prose_width() -> usize {
    stdout_width().map_or(PROSE, |width| width.min(PROSE))
}

fn width_of(terminal: impl AsFd) -> usize {
    match terminal_size_of(terminal) {
        Some((Width(width), _)) if width > 0 => usize::from(width),
        _ => UNKNOWN,
    }
}

/// Returns the cells of a text. It must be escaped already.
pub(crate) fn cells(text: &str) -> usize {
    if text.is_ascii() { text.len() } else { text.width() }
}

/// Returns the cells of a text that may be painted.
fn printed(text: &str) -> usize {
    let mut parts = text.split('\u{1b}');
    let first = parts.next().map_or(0, cells);
    // A style is an escape sequence that ends with an `m`.
    first + parts.map(|part| cells(part.split_once('m').map_or(part, |(_, rest)| rest))).sum::<usize>()
}

/// Returns the most cells of one character, in any context.
fn cells_of(c: char) -> usize {
    if c == AS_PICTURE { 1 } else { c.width().unwrap_or(1) }
}

/// Cuts the text to `width` cells; the last one marks the cut.
pub(crate) fn cut(text: &str, width: usize) -> String {
    // Most texts are ASCII and short.
    if text.len() <= width || cells(text) <= width {
        return text.to_owned();
    }
    let mut left = width.saturating_sub(1);
    let fits = |c: &char| {
        let rest = left.checked_sub(cells_of(*c));
        rest.inspect(|rest| left = *rest).is_some()
    };
    let mut out: String = text.chars().take_while(fits).collect();
    out.extend((width > 0).then_some(CUT));
    out
}

/// Cuts escaped text to `width` cells, without blanks at its end.
pub(crate) fn cut_words(text: &str, width: usize) -> String {
    cut(&escape(text.trim_end()), width)
}

/// Folds lines at blanks only; a word that is longer than a line stays whole. The rest of a line begins under
/// its column after the first gap, else a little further in than the line.
pub(crate) fn fold(text: &str, width: usize) -> String {
    let mut out = String::with_capacity(text.len());
    for line in text.split_inclusive('\n') {
        let (body, end) = line.strip_suffix('\n').map_or((line, ""), |body| (body, "\n"));
        if printed(body) <= width {
            out.push_str(body);
        } else {
            fold_line(&mut out, body, width);
        }
        out.push_str(end);
    }
    out
}

fn fold_line(out: &mut String, line: &str, width: usize) {
    let indent = line.len() - line.trim_start_matches(' ').len();
    let column = after_gap(line, indent).filter(|column| *column <= width / 2).unwrap_or(indent + 2);
    let (mut used, mut rest) = (0, line);
    while !rest.is_empty() {
        let blanks = rest.len() - rest.trim_start_matches(' ').len();
        let word = rest.get(blanks..).unwrap_or_default();
        let end = word.find(' ').unwrap_or(word.len());
        let (word, next) = word.split_at(end);
        if used > indent && used + blanks + printed(word) > width {
            out.push('\n');
            // A long word may have room only further to the left.
            used = if column + printed(word) > width { column.min(indent + 4) } else { column };
            out.extend(std::iter::repeat_n(' ', used));
        } else {
            out.extend(std::iter::repeat_n(' ', blanks));
            used += blanks;
        }
        out.push_str(word);
        used += printed(word);
        rest = next;
    }
}

/// Returns the cell behind the first gap of two blanks or more in a line.
fn after_gap(line: &str, indent: usize) -> Option<usize> {
    let body = line.get(indent..)?;
    let gap = body.find("  ")?;
    let text = body.get(gap..)?.trim_start_matches(' ');
    body.strip_suffix(text).map(|before| indent + printed(before)).filter(|_| !text.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cells_are_what_a_terminal_shows() {
        assert_eq!((cells("demo"), cells("日本"), cells("e\u{301}"), cells("")), (4, 4, 1, 0));
    }

    #[test]
    fn text_is_cut_to_its_cells() {
        let cases = [
            ("demo", 4, "demo"),
            ("demo", 3, "de…"),
            ("demo", 1, "…"),
            ("demo", 0, ""),
            ("日本語", 6, "日本語"),
            ("日本語", 5, "日本…"),
            ("日本語", 4, "日…"),
            ("e\u{301}e\u{301}e\u{301}", 3, "e\u{301}e\u{301}e\u{301}"),
            ("e\u{301}e\u{301}e\u{301}", 2, "e\u{301}…"),
            ("☀\u{fe0f}☀\u{fe0f}☀", 3, "☀\u{fe0f}…"),
        ];
        for (text, width, want) in cases {
            assert_eq!(cut(text, width), want, "{text} in {width}");
            assert!(cells(&cut(text, width)) <= width);
        }
        assert_eq!(cut_words("a\u{1b}b \n", 9), "a\\x1bb");
    }

    #[test]
    fn lines_are_broken_at_blanks_under_their_column() {
        assert_eq!(fold("one two three\nfour\n", 8), "one two\n  three\nfour\n");
        assert_eq!(fold("  a   one two three", 14), "  a   one two\n      three");
        assert_eq!(fold("  a   日本 日本 x", 12), "  a   日本\n      日本 x");
        assert_eq!(fold("  long-name   one two", 12), "  long-name\n    one two", "no column in half a line");
        assert_eq!(fold("a-word-that-is-too-long x", 5), "a-word-that-is-too-long\n  x");
        assert_eq!(fold("  abc   one twelve-cells", 16), "  abc   one\n      twelve-cells");
        assert_eq!(fold("", 5), "");
        let painted = "\u{1b}[31mFAIL\u{1b}[0m one two";
        assert_eq!(fold(painted, 12), painted, "colours take no room");
        assert_eq!(fold(painted, 8), "\u{1b}[31mFAIL\u{1b}[0m one\n  two");
    }
}
