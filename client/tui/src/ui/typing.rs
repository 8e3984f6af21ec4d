//! Text that is typed in the last line: the filter of the workers, or a pattern for the log.

use super::field::LineField;
use super::paint::{cells, put_at};
use super::{Scene, Ui};
use crossterm::event::{KeyCode, KeyEvent, KeyModifiers};
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;

/// The purpose of a text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum For {
    Filter,
    Search,
}

/// A text while it is typed.
#[derive(Debug)]
pub(super) struct Typing {
    purpose: For,
    field: LineField,
}

impl Ui {
    /// Begins to type.
    pub(super) fn type_for(&mut self, purpose: For) {
        let text = match purpose {
            For::Filter => self.shared.list.filter.as_str(),
            For::Search => "",
        };
        self.typing = Some(Typing { purpose, field: LineField::new(text) });
    }

    /// Takes a key for the text; false where none is typed.
    pub(super) fn typing_key(&mut self, key: KeyEvent, scene: &Scene<'_>) -> bool {
        let Some(mut typing) = self.typing.take() else { return false };
        let is_interrupt = key.code == KeyCode::Char('c') && key.modifiers.contains(KeyModifiers::CONTROL);
        #[expect(clippy::wildcard_enum_match_arm, reason = "a keyboard has a hundred keys")]
        match key.code {
            KeyCode::Esc => self.give_up(typing.purpose),
            KeyCode::Char(_) if is_interrupt => self.give_up(typing.purpose),
            KeyCode::Enter if typing.purpose == For::Search => {
                self.search(typing.field.text(), scene.page);
            }
            KeyCode::Enter => {}
            KeyCode::Down | KeyCode::Up if typing.purpose == For::Filter => {
                self.step(if key.code == KeyCode::Down { 1 } else { -1 }, scene);
                self.typing = Some(typing);
            }
            _ => {
                typing.field.key(key);
                self.typed(typing);
            }
        }
        true
    }

    /// Takes pasted text; false where none is typed.
    pub(super) fn typing_paste(&mut self, text: &str) -> bool {
        let Some(mut typing) = self.typing.take() else { return false };
        typing.field.paste(text);
        self.typed(typing);
        true
    }

    fn typed(&mut self, typing: Typing) {
        if typing.purpose == For::Filter {
            typing.field.text().clone_into(&mut self.shared.list.filter);
        }
        self.typing = Some(typing);
    }

    fn give_up(&mut self, purpose: For) {
        if purpose == For::Filter {
            self.shared.list.filter.clear();
        }
    }

    /// Draws the text that is typed; false where there is none.
    pub(super) fn typing_line(&mut self, buf: &mut Buffer, area: Rect, remark: &str) -> bool {
        let look = self.look;
        let Some(typing) = &mut self.typing else { return false };
        let label = match typing.purpose {
            For::Filter => " Filter: ",
            For::Search => " Search the log for: ",
        };
        let column = put_at(buf, area, 0, label, look.key());
        let behind = if typing.purpose == For::Filter { format!("  {remark}") } else { String::new() };
        let room = area.width.saturating_sub(column);
        let of_remark = if room > cells(&behind) + 20 { cells(&behind) } else { 0 };
        let field = Rect { x: area.x + column, width: room - of_remark, ..area };
        typing.field.draw(buf, field, true, look);
        if of_remark > 0 {
            put_at(buf, area, area.width - of_remark, &behind, look.faint());
        }
        true
    }
}
