//! A line of text that is typed.

use crate::look::Look;
use crossterm::event::{KeyCode, KeyEvent, KeyModifiers};
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::{Modifier, Style};
use ratatui::widgets::Widget;
use ratatui_textarea::{CursorMove, Input, Key, TextArea};

/// Characters that it takes; more is no name, path or command that anybody types.
const MOST: usize = 8_192;

/// A field with its cursor.
#[derive(Debug)]
pub(super) struct LineField {
    area: TextArea<'static>,
}

impl LineField {
    pub(super) fn new(text: &str) -> Self {
        let mut area = TextArea::new(vec![text.to_owned()]);
        area.move_cursor(CursorMove::End);
        area.set_cursor_line_style(Style::new());
        Self { area }
    }

    pub(super) fn text(&self) -> &str {
        self.area.lines().first().map_or("", String::as_str)
    }

    /// Takes a key; true where it changed the text.
    pub(super) fn key(&mut self, key: KeyEvent) -> bool {
        let has = |modifier| key.modifiers.contains(modifier);
        #[expect(clippy::wildcard_enum_match_arm, reason = "a keyboard has a hundred keys")]
        let of = match key.code {
            KeyCode::Char(_) if self.text().len() >= MOST && !has(KeyModifiers::CONTROL) => return false,
            // In a line of text the usual meaning is the one that shells have.
            KeyCode::Char('u') if has(KeyModifiers::CONTROL) => return self.area.delete_line_by_head(),
            // A second line there is not.
            KeyCode::Char('m' | 'j') if has(KeyModifiers::CONTROL) => return false,
            KeyCode::Char(c) => Key::Char(c),
            KeyCode::Backspace => Key::Backspace,
            KeyCode::Delete => Key::Delete,
            KeyCode::Left => Key::Left,
            KeyCode::Right => Key::Right,
            KeyCode::Home => Key::Home,
            KeyCode::End => Key::End,
            _ => return false,
        };
        let (ctrl, alt, shift) =
            (has(KeyModifiers::CONTROL), has(KeyModifiers::ALT), has(KeyModifiers::SHIFT));
        self.area.input(Input { key: of, ctrl, alt, shift })
    }

    /// Takes pasted text; what would end the line becomes a blank.
    pub(super) fn paste(&mut self, text: &str) {
        let room = MOST.saturating_sub(self.text().len());
        let line: String = text.chars().map(|c| if c.is_control() { ' ' } else { c }).take(room).collect();
        self.area.insert_str(line.trim_end());
    }

    /// Draws it on the first line of an area, with its cursor where it has the keys.
    pub(super) fn draw(&mut self, buf: &mut Buffer, area: Rect, has_keys: bool, look: Look) {
        let cursor = if has_keys { Style::new().add_modifier(Modifier::REVERSED) } else { Style::new() };
        self.area.set_cursor_style(cursor);
        self.area.set_style(if has_keys { look.strong() } else { Style::new() });
        (&self.area).render(Rect { height: area.height.min(1), ..area }, buf);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn press(field: &mut LineField, code: KeyCode, modifiers: KeyModifiers) -> bool {
        field.key(KeyEvent::new(code, modifiers))
    }

    #[test]
    fn it_is_edited_as_in_a_shell_and_stays_one_line() {
        let mut field = LineField::new("npm run");
        for c in " dev".chars() {
            assert!(press(&mut field, KeyCode::Char(c), KeyModifiers::NONE));
        }
        assert_eq!(field.text(), "npm run dev");
        press(&mut field, KeyCode::Char('w'), KeyModifiers::CONTROL);
        assert_eq!(field.text(), "npm run ");
        press(&mut field, KeyCode::Char('a'), KeyModifiers::CONTROL);
        press(&mut field, KeyCode::Char('x'), KeyModifiers::NONE);
        assert_eq!(field.text(), "xnpm run ");
        press(&mut field, KeyCode::Char('u'), KeyModifiers::CONTROL);
        assert_eq!(field.text(), "npm run ");
        assert!(!press(&mut field, KeyCode::Char('m'), KeyModifiers::CONTROL));
        field.paste("a\nb\u{1b}\n");
        assert_eq!(field.text(), "a bnpm run ");
    }

    #[test]
    fn it_takes_no_more_than_its_bound() {
        let mut field = LineField::new("");
        field.paste(&"x".repeat(MOST + 9));
        assert!(!press(&mut field, KeyCode::Char('x'), KeyModifiers::NONE));
        assert_eq!(field.text().len(), MOST);
    }
}
