//! The mouse: the wheel scrolls what is under it, a click goes there and selects, a drag copies text.

use super::hits::Hit;
use super::{Pane, Scene, Ui};
use crossterm::event::{MouseButton, MouseEvent, MouseEventKind};
use ratatui::buffer::Buffer;
use ratatui::layout::{Position, Rect};
use ratatui::style::{Modifier, Style};

/// Lines that one step of the wheel scrolls.
const STEP: isize = 3;

/// A button that is held down: where it was pressed, where it is now, and the area whose text it marks.
#[derive(Debug, Clone, Copy)]
pub(super) struct Drag {
    from: Position,
    to: Position,
    area: Rect,
}

impl Drag {
    /// Returns the marked cells, a line of them after the other.
    fn lines(&self) -> impl Iterator<Item = Rect> + use<> {
        let (from, to) = (self.from, self.to);
        let (first, last) = if (from.y, from.x) <= (to.y, to.x) { (from, to) } else { (to, from) };
        let area = self.area;
        (first.y..=last.y).map(move |y| {
            let begin = if y == first.y { first.x } else { area.x };
            let end = if y == last.y { last.x + 1 } else { area.right() };
            Rect { x: begin, y, width: end.saturating_sub(begin), height: 1 }
        })
    }
}

impl Ui {
    /// Takes what the mouse did; returns whether anything on the screen may be another thing now.
    pub(super) fn mouse(&mut self, mouse: MouseEvent, scene: &Scene<'_>) -> bool {
        let (x, y) = (mouse.column, mouse.row);
        match mouse.kind {
            MouseEventKind::ScrollDown => self.wheel(x, y, STEP, scene),
            MouseEventKind::ScrollUp => self.wheel(x, y, -STEP, scene),
            MouseEventKind::Down(MouseButton::Left) => self.press(x, y, scene),
            MouseEventKind::Drag(MouseButton::Left) => {
                if let Some(drag) = &mut self.drag {
                    let area = drag.area;
                    drag.to = Position {
                        x: x.clamp(area.x, area.right().saturating_sub(1)),
                        y: y.clamp(area.y, area.bottom().saturating_sub(1)),
                    };
                }
            }
            MouseEventKind::Up(MouseButton::Left) => self.let_go(x, y, scene),
            MouseEventKind::Down(_)
            | MouseEventKind::Up(_)
            | MouseEventKind::Drag(_)
            | MouseEventKind::Moved
            | MouseEventKind::ScrollLeft
            | MouseEventKind::ScrollRight => return false,
        }
        true
    }

    fn wheel(&mut self, x: u16, y: u16, by: isize, scene: &Scene<'_>) {
        if self.scroll_dialog(by) {
            return;
        }
        match self.areas.pane_at(x, y) {
            // The wheel looks at the list; one line of it at a time is selected.
            Some(Pane::Workers) => self.step(by.signum(), scene),
            Some(pane) => self.scroll(pane, by, scene),
            None => {}
        }
    }

    fn press(&mut self, x: u16, y: u16, scene: &Scene<'_>) {
        let hit = self.hits.at(x, y).cloned();
        if self.dialog.is_some() {
            if let Some(Hit::Line(line)) = hit {
                self.dialog_line(line, scene);
            }
            return;
        }
        let pane = self.areas.pane_at(x, y);
        if let Some(pane) = pane {
            self.go_to(pane);
        }
        let area = pane.and_then(|pane| self.areas.of_pane(pane)).unwrap_or(self.areas.bottom);
        let inner = Rect {
            x: area.x + 1,
            y: area.y + 1,
            width: area.width.saturating_sub(2),
            height: area.height.saturating_sub(2),
        };
        let at = Position { x, y };
        self.drag = inner.contains(at).then_some(Drag { from: at, to: at, area: inner });
        // A key's effect waits for the button to come up: until then it may be a drag.
        match hit.filter(|hit| pane.is_none_or(|pane| hit.is_of(pane))) {
            Some(Hit::Worker(name)) => self.shared.list.select(name),
            Some(Hit::Run(run)) => self.run_at = run,
            Some(Hit::Side(side)) => self.side = side,
            Some(Hit::Last(last)) => self.last = last,
            Some(Hit::Streams(streams)) => self.log.streams = streams,
            Some(Hit::Key(_) | Hit::Line(_)) | None => {}
        }
    }

    fn let_go(&mut self, x: u16, y: u16, scene: &Scene<'_>) {
        if self.dialog.is_some() {
            return;
        }
        let drag = self.drag.take();
        if let Some(drag) = drag.filter(|drag| drag.from != drag.to) {
            let text = text_of(&self.drawn, &drag);
            if !text.trim().is_empty() {
                let count = text.chars().count();
                let what = if count == 1 { "1 character".to_owned() } else { format!("{count} characters") };
                self.copy(text, &what, scene);
            }
            return;
        }
        if let Some(Hit::Key(key)) = self.hits.at(x, y).cloned() {
            self.command(key, scene);
        }
    }

    /// Marks the text that is dragged over.
    pub(super) fn mark_drag(&self, buf: &mut Buffer) {
        let Some(drag) = self.drag.filter(|drag| drag.from != drag.to) else { return };
        for line in drag.lines() {
            buf.set_style(line.intersection(buf.area), Style::new().add_modifier(Modifier::REVERSED));
        }
    }
}

/// Returns the text of the marked cells, without blanks at the ends of lines.
fn text_of(drawn: &Buffer, drag: &Drag) -> String {
    let line = |area: Rect| {
        let mut text = String::new();
        let mut skip = 0;
        for x in area.x..area.right() {
            let Some(cell) = drawn.cell((x, area.y)) else { break };
            // Behind a wide character is a cell without text of its own.
            if skip == 0 {
                text.push_str(cell.symbol());
                skip = super::paint::cells(cell.symbol()).saturating_sub(1);
            } else {
                skip -= 1;
            }
        }
        text.trim_end().to_owned()
    };
    drag.lines().map(line).collect::<Vec<_>>().join("\n")
}
