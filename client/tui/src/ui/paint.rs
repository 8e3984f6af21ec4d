//! Small things that several panes draw alike.

use super::hits::{Hit, Hits};
use crate::line::{Part, rows};
use crate::look::Look;
use gob_client::screen::text;
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::Style;
use ratatui::widgets::{Block, Widget};
use unicode_width::UnicodeWidthStr;

/// Writes a text on the first line of an area, as much as there is room for. It must be escaped already.
pub(super) fn put(buf: &mut Buffer, area: Rect, text: &str, style: Style) {
    put_at(buf, area, 0, text, style);
}

/// As [`put`], from a column on; returns the column behind it.
pub(super) fn put_at(buf: &mut Buffer, area: Rect, column: u16, text: &str, style: Style) -> u16 {
    let area = area.intersection(buf.area);
    if area.is_empty() || column >= area.width {
        return column;
    }
    let room = usize::from(area.width - column);
    let (end, _) = buf.set_stringn(area.x + column, area.y, text, room, style);
    end - area.x
}

/// Writes a text that is cut with a mark where it has no room.
pub(super) fn put_cut(buf: &mut Buffer, area: Rect, text: &str, style: Style, look: Look) {
    let room = usize::from(area.width);
    if text.width() <= room {
        return put(buf, area, text, style);
    }
    let mark = Rect { x: area.right().saturating_sub(1), width: area.width.min(1), ..area };
    put(buf, Rect { width: area.width.saturating_sub(1), ..area }, text, style);
    put(buf, mark, look.cut(), style);
}

/// Writes parts on the first line of an area.
pub(super) fn put_parts(buf: &mut Buffer, area: Rect, parts: &[Part]) {
    let mut column = 0;
    for Part { text, style } in parts {
        column = put_at(buf, area, column, text, *style);
    }
}

/// Returns a line of an area; an empty one where there is none.
pub(super) const fn line_of(area: Rect, line: usize) -> Rect {
    if line < area.height as usize {
        Rect { x: area.x, y: area.y + line as u16, width: area.width, height: 1 }
    } else {
        Rect { x: area.x, y: area.y, width: 0, height: 0 }
    }
}

/// Returns the cells of a text.
pub(super) fn cells(text: &str) -> u16 {
    u16::try_from(text.width()).unwrap_or(u16::MAX)
}

/// Breaks prose of any origin at its blanks into lines of this width, that are safe to show; a word that is longer is divided.
pub(super) fn prose(text: &str, width: usize) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for paragraph in text.lines() {
        let mut line = String::new();
        for word in text::escape(paragraph).split(' ') {
            if !line.is_empty() && line.width() + 1 + word.width() > width {
                lines.push(std::mem::take(&mut line));
            } else if !line.is_empty() {
                line.push(' ');
            }
            line.push_str(word);
            if line.width() > width {
                let mut parts = folded(&line, width);
                line = parts.pop().unwrap_or_default();
                lines.append(&mut parts);
            }
        }
        lines.push(line);
    }
    lines
}

/// Divides a text of any origin into lines of this width that are safe to show.
pub(super) fn folded(text: &str, width: usize) -> Vec<String> {
    let lines = text.lines().flat_map(|line| {
        let part = Part { text: text::escape(line), style: Style::new() };
        rows(vec![part], width)
    });
    lines.map(|row| row.into_iter().map(|part| part.text).collect()).collect()
}

/// A part of the frame of a pane: its name, and the tabs in it.
pub(super) struct Title<'a> {
    /// The key that goes to the pane.
    pub(super) key: &'static str,
    pub(super) text: String,
    /// Label, whether it is the open one, and the effect of a click.
    pub(super) tabs: Vec<(&'a str, bool, Hit)>,
    /// Remarks at the right, the weightiest first; those that have no room are left out.
    pub(super) more: Vec<String>,
}

/// Draws the frame of a pane, and returns the area in it.
pub(super) fn pane(
    buf: &mut Buffer,
    area: Rect,
    is_focused: bool,
    title: &Title<'_>,
    (look, hits): (Look, &mut Hits),
) -> Rect {
    let style = look.frame(is_focused);
    let block = Block::bordered().border_set(look.border(is_focused)).border_style(style);
    let inner = block.inner(area);
    block.render(area, buf);
    let top =
        Rect { x: area.x + 1, y: area.y, width: area.width.saturating_sub(2), height: area.height.min(1) };
    let mut column = put_at(buf, top, 0, &format!(" {} ", title.key), style);
    if !title.text.is_empty() {
        column = put_at(buf, top, column, &format!("{} ", title.text), look.strong());
    }
    for (label, is_open, hit) in &title.tabs {
        let style = if *is_open { look.strong() } else { look.faint() };
        let shown = if *is_open { format!("[{label}] ") } else { format!(" {label}  ") };
        let begin = column;
        column = put_at(buf, top, column, &shown, style);
        let place = Rect { x: top.x + begin, width: column.saturating_sub(begin), ..top };
        hits.add(place, hit.clone());
    }
    let room = usize::from(top.width.saturating_sub(column)).saturating_sub(2);
    let mut more = String::new();
    for remark in &title.more {
        let gap = if more.is_empty() { "" } else { ", " };
        if more.is_empty() || more.width() + gap.len() + remark.width() <= room {
            more = format!("{more}{gap}{remark}");
        }
    }
    if !more.is_empty() && room > 0 {
        let width = cells(&more).min(u16::try_from(room).unwrap_or(u16::MAX));
        let place = Rect { x: top.right() - width - 1, width, ..top };
        put_at(
            buf,
            Rect { x: place.x - 1, width: width + 2, ..top },
            0,
            &" ".repeat(usize::from(width) + 2),
            style,
        );
        put_cut(buf, place, &more, look.faint(), look);
    }
    inner
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prose_is_broken_at_blanks_and_long_words_where_they_have_no_room() {
        assert_eq!(prose("one two three", 7), ["one two", "three"]);
        assert_eq!(prose("a\nb", 7), ["a", "b"]);
        assert_eq!(prose("see /a/very/long/path here", 8), ["see", "/a/very/", "long/pat", "h here"]);
        assert_eq!(prose("日本 日本", 5), ["日本", "日本"]);
        assert_eq!(prose("\u{1b}[2J", 9), ["\\x1b[2J"]);
        assert!(prose("", 5).is_empty());
    }
}
