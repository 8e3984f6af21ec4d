//! The first and the last line, and the banner while the supervisor is away.

use super::paint::{cells, line_of, prose, put, put_at};
use super::{Pane, Scene, Ui};
use gob_client::View;
use gob_client::screen::{self, Action, Banner, Tone, text};
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::Style;

impl Ui {
    pub(super) fn top_bar(&self, buf: &mut Buffer, area: Rect, scene: &Scene<'_>) {
        let look = self.look;
        let column = put_at(buf, area, 0, " gob  ", look.key());
        let is_known = scene.known.link.is_up() || scene.known.model.workers().len() > 0;
        let summary = if is_known { screen::summary(scene.known.model.workers()) } else { String::new() };
        let column = put_at(buf, area, column, &summary, look.strong());
        let filter = &self.shared.list.filter;
        let filter =
            if filter.is_empty() { String::new() } else { format!("filter: {}   ", text::escape(filter)) };
        let right = format!("{filter}you are {} ", self.shared.me);
        if cells(&right) + column + 2 <= area.width {
            put_at(buf, area, area.width - cells(&right), &right, look.faint());
        }
    }

    pub(super) fn banner(&mut self, buf: &mut Buffer, area: Rect, banner: Option<&Banner>) {
        let Some(banner) = banner.filter(|_| !area.is_empty()) else { return };
        let look = self.look;
        put(
            buf,
            area,
            &format!(" {}", text::escape(&banner.title)),
            look.tone(Tone::Busy).patch(look.strong()),
        );
        let key = banner.starts.then(|| "R starts it.".to_owned());
        let lines = key.into_iter().chain(banner.lines.iter().cloned());
        let lines = lines.flat_map(|line| prose(&line, usize::from(area.width.saturating_sub(2))));
        for (at, line) in lines.enumerate() {
            let style = if at == 0 { look.key() } else { Style::new() };
            put(buf, line_of(area, at + 1), &format!(" {line}"), style);
        }
        self.hits.add(line_of(area, 1), super::hits::Hit::Key("R"));
    }

    pub(super) fn bottom_bar(
        &mut self,
        buf: &mut Buffer,
        area: Rect,
        selected: Option<&View>,
        scene: &Scene<'_>,
    ) {
        let all = scene.known.model.workers().len();
        let shown = self.shared.list.shown(scene.known.model.workers(), scene.now).len();
        if self.typing_line(buf, area, &format!("{shown} of {all}")) {
            return;
        }
        let look = self.look;
        if let Some(said) = self.said.sentence(scene.instant) {
            return put(buf, area, &format!(" {}", text::escape(said)), look.strong());
        }
        let need = |(key, label): &(&str, &str)| cells(key) + 1 + cells(label) + 2;
        let always = [(":", "Commands"), ("?", "Keys"), ("q", "Quit")];
        let room = area.width.saturating_sub(1 + always.iter().map(need).sum::<u16>());
        let mut used = 0;
        let fits = |hint: &(&str, &str)| {
            used += need(hint);
            used <= room
        };
        let hints: Vec<_> = self.hints(selected, scene).into_iter().take_while(fits).chain(always).collect();
        let mut column = 1;
        for (key, label) in hints {
            let place =
                Rect { x: area.x + column, width: need(&(key, label)) - 2, ..area }.intersection(area);
            column = put_at(buf, area, column, key, look.key());
            column = put_at(buf, area, column + 1, label, Style::new()) + 2;
            self.hits.add(place, super::hits::Hit::Key(key));
        }
    }

    /// Returns the keys that make most sense now.
    fn hints(&self, selected: Option<&View>, scene: &Scene<'_>) -> Vec<(&'static str, &'static str)> {
        let mut hints = Vec::new();
        let can = |action| {
            selected.is_some_and(|worker| {
                screen::refusal(action, worker, &self.shared.me, &scene.known.link).is_none()
            })
        };
        match self.focus {
            Pane::Workers | Pane::Details => {
                let all = [
                    ("Enter", "Start", Action::Start),
                    ("s", "Stop", Action::Stop),
                    ("r", "Restart", Action::Restart),
                    ("d", "Remove", Action::Remove),
                ];
                hints.extend(
                    all.into_iter().filter(|(_, _, action)| can(*action)).map(|(key, label, _)| (key, label)),
                );
                if scene.known.link.is_up() {
                    hints.extend([("n", "New graph"), ("N", "New job")]);
                } else {
                    hints.push(("R", "Start the supervisor"));
                }
                hints.push(("/", "Filter"));
            }
            Pane::Log => {
                hints.extend([
                    ("f", "Follow"),
                    ("w", "Wrap"),
                    ("/", "Search"),
                    ("e", "Streams"),
                    ("z", "Zoom"),
                ]);
            }
            Pane::Events => hints.extend([("]", "Next list"), ("z", "Zoom")]),
        }
        hints
    }
}
