//! The workers, a line each.

use super::hits::Hit;
use super::paint::{self, Title, cells, line_of, prose, put_at, put_cut};
use super::{Pane, Scene, Ui};
use gob_client::View;
use gob_client::screen::{self, Empty, Link, Row, text};
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::Style;

/// Cells that a name has at most, and the rest of a line at least.
const NAME: u16 = 32;
const REST: u16 = 8;
/// Cells between two columns, and of the dot.
const GAP: u16 = 2;

/// A line's texts.
struct Texts {
    name: String,
    state: String,
    owner: String,
    more: String,
}

impl Ui {
    pub(super) fn workers(
        &mut self,
        buf: &mut Buffer,
        area: Rect,
        (shown, at): (&[&View], Option<usize>),
        scene: &Scene<'_>,
    ) {
        if area.is_empty() {
            return;
        }
        let is_focused = self.focus == Pane::Workers;
        let all = scene.known.model.workers().len();
        let count = if shown.len() == all { all.to_string() } else { format!("{} of {all}", shown.len()) };
        let title = Title { key: "1", text: "Workers".to_owned(), tabs: Vec::new(), more: vec![count] };
        let inner = paint::pane(buf, area, is_focused, &title, (self.look, &mut self.hits));
        if shown.is_empty() {
            return self.nothing(buf, inner, scene);
        }
        let height = usize::from(inner.height).max(1);
        let at = at.unwrap_or(0);
        self.first_row = self
            .first_row
            .min(shown.len().saturating_sub(height))
            .min(at)
            .max((at + 1).saturating_sub(height));
        let rows: Vec<&View> = shown.iter().skip(self.first_row).take(height).copied().collect();
        let texts: Vec<Texts> = rows.iter().map(|worker| self.texts(worker, scene)).collect();
        let widths = widths(&texts, inner.width);
        for (line, (worker, texts)) in rows.iter().zip(&texts).enumerate() {
            let place = line_of(inner, line);
            self.hits.add(place, Hit::Worker(worker.name.clone()));
            let is_selected = self.first_row + line == at;
            self.row(buf, place, (worker, texts), widths, is_selected.then_some(is_focused));
        }
    }

    fn texts(&self, worker: &View, scene: &Scene<'_>) -> Texts {
        let row = Row::from(worker);
        let words = row.words(scene.now);
        let failure = screen::failure(worker);
        // At rest the reason tells more than the command: an end with the supervisor, a block.
        let reason = worker.reason.clone().filter(|_| !worker.state.is_live());
        let where_ = words.last.as_deref().map(str::to_owned);
        let more = failure.or(reason).or(where_).or(words.command.clone()).unwrap_or_default();
        Texts {
            name: text::name(words.name),
            state: words.state.clone(),
            owner: screen::owner(worker, &self.shared.me),
            more: text::escape(&more),
        }
    }

    fn row(
        &self,
        buf: &mut Buffer,
        area: Rect,
        (worker, texts): (&View, &Texts),
        widths: [u16; 4],
        selected: Option<bool>,
    ) {
        let look = self.look;
        let tone = screen::tone(worker);
        let of_tone = look.tone(tone);
        put_at(buf, area, 0, look.dot(tone), of_tone);
        let mut column = GAP;
        let styles = [Style::new(), of_tone, look.faint(), look.faint()];
        for ((text, width), style) in
            [&texts.name, &texts.state, &texts.owner, &texts.more].into_iter().zip(widths).zip(styles)
        {
            if width > 0 && column < area.width {
                let place = Rect { x: area.x + column, width: width.min(area.width - column), ..area };
                put_cut(buf, place, text, style, look);
                column += width + GAP;
            }
        }
        if let Some(is_focused) = selected {
            buf.set_style(area, look.selected(is_focused));
        }
    }

    /// Draws the list without a worker in it.
    fn nothing(&self, buf: &mut Buffer, area: Rect, scene: &Scene<'_>) {
        let has_workers = scene.known.model.workers().len() > 0;
        let empty = match (&scene.known.link, has_workers) {
            (_, true) => Empty::Filtered,
            (Link::Up, false) => Empty::None,
            (Link::Opening | Link::Away | Link::Refused(_), false) => Empty::Unknown,
        };
        let mut at = 0;
        let mut line = |text: &str, style| {
            for line in prose(text, usize::from(area.width)) {
                paint::put(buf, line_of(area, at), &line, style);
                at += 1;
            }
        };
        line(empty.title(), self.look.strong());
        match empty {
            Empty::None => line("n starts a graph, N runs a command.", Style::new()),
            Empty::Filtered => line("Esc clears the filter.", Style::new()),
            Empty::Unknown => {}
        }
        for text in empty.lines() {
            line(text, self.look.faint());
        }
    }
}

/// Returns the widths of name, state, owner and the rest: what has no room is left out from the end.
fn widths(texts: &[Texts], width: u16) -> [u16; 4] {
    let widest = |of: fn(&Texts) -> &str| texts.iter().map(|texts| cells(of(texts))).max().unwrap_or(0);
    let room = width.saturating_sub(GAP);
    let state = widest(|texts| &texts.state);
    // A long name is cut before the owner goes.
    let owner = widest(|texts| &texts.owner);
    let beside = if room >= REST + state + owner + 2 * GAP { state + owner + 2 * GAP } else { state + GAP };
    let name = widest(|texts| &texts.name).min(NAME).min(room.saturating_sub(beside).max(REST));
    let mut left = room.saturating_sub(name);
    let mut take = |wanted: u16, least: u16| {
        let has = left.saturating_sub(GAP);
        let width = if has < least { 0 } else { wanted.min(has) };
        left = left.saturating_sub(if width > 0 { width + GAP } else { 0 });
        width
    };
    let state = take(state, state.min(REST));
    let owner = take(owner, owner);
    [name, state, owner, take(u16::MAX, REST)]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(name: &str, state: &str) -> Texts {
        let owner = "cli (you)".to_owned();
        Texts { name: name.to_owned(), state: state.to_owned(), owner, more: String::new() }
    }

    #[test]
    fn columns_go_from_the_end_where_there_is_no_room() {
        let all = [texts("notes", "ready"), texts("web", "starting (1.2s)")];
        assert_eq!(widths(&all, 80), [5, 15, 9, 43]);
        assert_eq!(widths(&all, 40), [5, 15, 9, 0]);
        assert_eq!(widths(&all, 32), [5, 15, 0, 0]);
        assert_eq!(
            widths(&[texts(&"x".repeat(90), "ready")], 30),
            [10, 5, 9, 0],
            "a long name is cut before the owner goes"
        );
    }
}
