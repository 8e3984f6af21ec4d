//! The last pane: the latest events, the named locks, or the queue.

use super::hits::Hit;
use super::paint::{self, Title, line_of, put, put_at};
use super::{Last, Pane, Scene, Ui};
use gob_client::surface::EventLine;
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::Style;

impl Ui {
    pub(super) fn last_pane(&mut self, buf: &mut Buffer, area: Rect, scene: &Scene<'_>) {
        if area.is_empty() {
            return;
        }
        let is_focused = self.focus == Pane::Events;
        let tabs = [(Last::Events, "Events"), (Last::Locks, "Locks"), (Last::Queue, "Lanes")];
        let tabs = tabs.map(|(last, label)| (label, last == self.last, Hit::Last(last))).to_vec();
        let is_held = self.last == Last::Events && self.events_end.is_some();
        let more = is_held.then(|| "G goes to the end".to_owned()).into_iter().collect();
        let title = Title { key: "4", text: String::new(), tabs, more };
        let inner = paint::pane(buf, area, is_focused, &title, (self.look, &mut self.hits));
        match self.last {
            Last::Events => self.events_list(buf, inner, scene),
            Last::Locks => self.locks_list(buf, inner),
            Last::Queue => self.queue_list(buf, inner, scene),
        }
    }

    fn events_list(&mut self, buf: &mut Buffer, area: Rect, scene: &Scene<'_>) {
        let known = scene.known;
        if known.events.is_empty() {
            return put(buf, area, "No event since this screen was opened.", self.look.faint());
        }
        let end = self.events_shown(scene);
        let height = usize::from(area.height);
        for (line, event) in known.events.range(end.saturating_sub(height)..end).enumerate() {
            self.event(buf, line_of(area, line), event, scene);
        }
    }

    /// Returns the index behind the last event that is seen.
    fn events_shown(&mut self, scene: &Scene<'_>) -> usize {
        let (kept, ever) = (scene.known.events.len(), scene.known.events_ever);
        let gone = ever - kept as u64;
        let page = self.areas.events.height.saturating_sub(2).max(1) as u64;
        let Some(end) = &mut self.events_end else { return kept };
        // Those that a person looked at may be gone by now.
        *end = (*end).clamp((gone + page).min(ever), ever);
        usize::try_from(*end - gone).unwrap_or(kept)
    }

    /// Scrolls the events by so many lines; at the end new ones are shown as they come.
    pub(super) fn scroll_events(&mut self, by: isize, scene: &Scene<'_>) {
        let ever = scene.known.events_ever;
        let end = self.events_end.unwrap_or(ever).saturating_add_signed(by as i64);
        self.events_end = Some(end).filter(|end| *end < ever);
        self.events_shown(scene);
    }

    fn event(&self, buf: &mut Buffer, area: Rect, event: &EventLine, scene: &Scene<'_>) {
        let look = self.look;
        let time = event.time.map(|time| scene.clock.exact(time)).unwrap_or_default();
        // A narrow pane has no room for fractions of seconds.
        let time = if area.width < 70 { time.chars().take(8).collect() } else { time };
        let width = if area.width < 70 { 8 } else { 12 };
        let mut column = put_at(buf, area, 0, &format!("{time:width$}  "), look.faint());
        column = put_at(buf, area, column, &format!("{}  ", event.subject), look.strong());
        column = put_at(buf, area, column, &format!("{}  ", event.word), look.tone(event.tone));
        put_at(buf, area, column, &event.details, Style::new());
    }
}
