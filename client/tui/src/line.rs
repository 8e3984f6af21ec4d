//! A line of a log in styles and cells. Pure.

use crate::look::Look;
use ansi_to_tui::IntoText;
use gob_client::logs::{Line, Stream};
use gob_client::screen::text;
use ratatui::style::Style;
use unicode_width::UnicodeWidthChar;

/// A stretch of text in one style.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Part {
    pub(crate) text: String,
    pub(crate) style: Style,
}

/// Returns the parts of a line: in the colours of its program, else in that of its stream.
pub(crate) fn parts(line: &Line, look: Look) -> Vec<Part> {
    let base = if line.stream == Stream::Stderr { look.stderr() } else { Style::new() };
    let shown = text::coloured_output(&line.text);
    let mut parts = Vec::new();
    if shown.contains('\u{1b}') {
        // It was made of nothing but text and colours, and is one line; what can't be parsed is shown as text.
        let parsed = shown.as_bytes().into_text().ok();
        let spans = parsed.into_iter().flat_map(|text| text.lines).flat_map(|line| line.spans);
        parts.extend(spans.map(|span| Part {
            style: base.patch(look.output(span.style)),
            text: span.content.into_owned(),
        }));
    }
    if parts.is_empty() {
        parts.push(Part { text: text::output(&line.text).into_owned(), style: base });
    }
    if line.is_cut {
        parts.push(Part { text: format!(" {}", look.cut()), style: look.faint() });
    }
    parts
}

/// Divides a line into rows of so many cells; an empty one has a row.
pub(crate) fn rows(parts: Vec<Part>, width: usize) -> Vec<Vec<Part>> {
    let width = width.max(2);
    let (mut rows, mut row, mut used) = (Vec::new(), Vec::new(), 0);
    for part in parts {
        let mut text = String::new();
        for c in part.text.chars() {
            let cells = c.width().unwrap_or(0);
            if used + cells > width {
                let text = std::mem::take(&mut text);
                row.push(Part { text, style: part.style });
                rows.push(std::mem::take(&mut row));
                used = 0;
            }
            text.push(c);
            used += cells;
        }
        row.push(Part { text, style: part.style });
    }
    rows.push(row);
    rows
}

/// Returns a line from a cell on, as far as it is seen when it is scrolled to the side.
pub(crate) fn from_cell(parts: Vec<Part>, from: usize) -> Vec<Part> {
    if from == 0 {
        return parts;
    }
    let (mut at, mut out) = (0, Vec::new());
    for Part { text, style } in parts {
        let mut rest = String::new();
        for c in text.chars() {
            let cells = c.width().unwrap_or(0);
            if at >= from {
                rest.push(c);
            } else if at + cells > from {
                // Half of a wide character is a blank.
                rest.push(' ');
            }
            at += cells;
        }
        out.push(Part { text: rest, style });
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::look::Colours;
    use ratatui::style::Color;

    const LOOK: Look = Look { colours: Colours::Many, unicode: true };

    fn part(text: &str) -> Part {
        Part { text: text.to_owned(), style: Style::new() }
    }

    fn texts(rows: Vec<Vec<Part>>) -> Vec<String> {
        rows.into_iter().map(|row| row.into_iter().map(|part| part.text).collect()).collect()
    }

    #[test]
    fn rows_are_as_wide_as_the_pane_in_cells() {
        assert_eq!(texts(rows(vec![part("abc"), part("def")], 4)), ["abcd", "ef"]);
        assert_eq!(texts(rows(vec![part("日本語")], 5)), ["日本", "語"]);
        assert_eq!(texts(rows(vec![part("e\u{301}e\u{301}e\u{301}")], 2)), ["e\u{301}e\u{301}", "e\u{301}"]);
        assert_eq!(texts(rows(vec![part("")], 4)), [""]);
        assert_eq!(texts(rows(Vec::new(), 4)), [""]);
        assert_eq!(texts(rows(vec![part("日本")], 0)), ["日", "本"], "no pane is narrower than a character");
    }

    #[test]
    fn a_line_is_seen_from_a_cell_on() {
        let seen = |from| texts(vec![from_cell(vec![part("a日"), part("bc")], from)]).concat();
        assert_eq!([0, 1, 2, 3, 4, 5, 9].map(seen), ["a日bc", "日bc", " bc", "bc", "c", "", ""]);
    }

    #[test]
    fn a_line_has_the_colours_of_its_program_and_no_other_sequence() {
        let coloured = |text: &str| parts(&Line::of(Stream::Stdout, text), LOOK);
        let red = Style::new().fg(Color::Red);
        let found = coloured("\u{1b}[31mbad\u{1b}[0m\u{1b}[2J ok");
        let bad = found.iter().find(|part| part.text == "bad").unwrap();
        assert_eq!(bad.style.fg, red.fg);
        assert_eq!(texts(vec![found]), ["bad ok"]);
        assert_eq!(coloured("plain"), [part("plain")]);
        let plain = Look { colours: Colours::None, unicode: true };
        let found = parts(&Line::of(Stream::Stdout, "\u{1b}[31mbad"), plain);
        assert!(found.iter().all(|part| part.style.fg.is_none()));
    }
}
