//! One worker: its state, how to reach it, what may be done about it, and all that is known.

use super::actions::KEYED;
use super::hits::Hit;
use super::paint::{self, Title, folded, line_of, put_at};
use super::{Pane, Scene, Side, Ui};
use gob_client::View;
use gob_client::screen::{self, Badge, Link, Row, text};
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::Style;

/// Facts that have a place of their own above the others.
const ELSEWHERE: [&str; 6] = ["owner", "state", "reason", "endpoint", "lease", "port"];
/// Cells of the names of facts.
const KEY: usize = 9;

/// A line of the pane: its parts, and the effect of a click on it.
pub(super) type Drawn = (Vec<(String, Style)>, Option<Hit>);

impl Ui {
    /// Draws the pane of the selected worker.
    pub(super) fn details(
        &mut self,
        buf: &mut Buffer,
        area: Rect,
        selected: Option<&View>,
        scene: &Scene<'_>,
    ) {
        if area.is_empty() {
            return;
        }
        let is_focused = self.focus == Pane::Details;
        let name = selected.map(|worker| text::name(worker.name.as_str())).unwrap_or_default();
        let tabs = [(Side::About, "Details"), (Side::Runs, "Runs")];
        let tabs = tabs.map(|(side, label)| (label, side == self.side, Hit::Side(side))).to_vec();
        let more = selected.map(|worker| text::escape(&worker.kind)).unwrap_or_default();
        let title = Title { key: "2", text: name, tabs, more };
        let inner = paint::pane(buf, area, is_focused, &title, (self.look, &mut self.hits));
        let Some(worker) = selected else { return };
        match self.side {
            Side::About => {
                let lines = self.about_lines(worker, scene, usize::from(inner.width));
                let first = self.about.fit(lines.len(), usize::from(inner.height));
                self.put_lines(buf, inner, lines.into_iter().skip(first));
            }
            Side::Runs => self.runs_list(buf, inner, worker, scene),
        }
    }

    /// Writes lines, as many as there is room for.
    pub(super) fn put_lines(&mut self, buf: &mut Buffer, area: Rect, lines: impl Iterator<Item = Drawn>) {
        for (at, (parts, hit)) in lines.take(usize::from(area.height)).enumerate() {
            let place = line_of(area, at);
            let mut column = 0;
            for (text, style) in &parts {
                column = put_at(buf, place, column, text, *style);
            }
            if let Some(hit) = hit {
                self.hits.add(place, hit);
            }
        }
    }

    fn about_lines(&self, worker: &View, scene: &Scene<'_>, width: usize) -> Vec<Drawn> {
        let look = self.look;
        let mut lines: Vec<Drawn> = Vec::new();
        let tone = screen::tone(worker);
        let owner = screen::owner(worker, &self.shared.me);
        let mut head = vec![
            (format!("{} {}", look.dot(tone), Row::from(worker).state(scene.now)), look.tone(tone)),
            (format!("   owned by {owner}"), Style::new()),
        ];
        for badge in screen::badges(worker).iter().filter(|badge| **badge != Badge::NotYours) {
            head.push((format!("   {}", text::escape(&badge.to_string())), look.faint()));
        }
        lines.push((head, None));
        let failure = screen::failure(worker);
        let style = if failure.is_some() { look.tone(tone) } else { Style::new() };
        if let Some(reason) = failure.or_else(|| worker.reason.clone()) {
            lines.extend(folded(&reason, width).into_iter().map(|line| (vec![(line, style)], None)));
        }
        if let Some(endpoint) = &worker.endpoint {
            let lines_of = folded(endpoint, width).into_iter();
            lines.extend(lines_of.map(|line| (vec![(line, look.strong())], Some(Hit::Key("c")))));
        }
        for port in &worker.ports {
            let of = format!("{}/{}", port.port, text::escape(&port.protocol));
            lines.push((vec![(of, look.strong()), (format!("   pid {}", port.pid), look.faint())], None));
        }
        lines.push((Vec::new(), None));
        lines.extend(self.action_lines(worker, &scene.known.link));
        if let Some(note) = screen::in_other_hands(worker, &self.shared.me) {
            lines.extend(
                super::list::words(&note, width).into_iter().map(|line| (vec![(line, Style::new())], None)),
            );
        }
        lines.push((Vec::new(), None));
        for holder in &worker.lease_holders {
            lines.push((fact("lease", &holder.to_string(), look.faint()), None));
        }
        let facts = screen::worker(worker, scene.now);
        for (key, value) in facts.into_iter().filter(|(key, _)| !ELSEWHERE.contains(key)) {
            let mut values = folded(&value, width.saturating_sub(KEY).max(8)).into_iter();
            let first = values.next().unwrap_or_default();
            lines.push((fact(key, &first, look.faint()), None));
            lines.extend(values.map(|value| (vec![(format!("{:KEY$}{value}", ""), Style::new())], None)));
        }
        lines
    }

    /// Returns a line for each action, with its key, and the reason against it.
    fn action_lines(&self, worker: &View, link: &Link) -> Vec<Drawn> {
        let look = self.look;
        let line = |key: &'static str, label: &str, refusal: Option<String>| {
            let (of_key, of_label) = match refusal {
                None => (look.key(), Style::new()),
                Some(_) => (look.faint(), look.faint()),
            };
            let mut parts = vec![(format!("{key:>5} "), of_key), (label.to_owned(), of_label)];
            parts.extend(refusal.map(|why| (format!(" - {}", text::escape(&why)), look.faint())));
            (parts, Some(Hit::Key(key)))
        };
        let mut lines: Vec<Drawn> = Vec::new();
        for (key, action, force) in KEYED {
            let dots = if action.asks() && !force { "..." } else { "" };
            let label = if force { "Kill".to_owned() } else { format!("{}{dots}", action.label()) };
            lines.push(line(key, &label, screen::refusal(action, worker, &self.shared.me, link)));
        }
        let hold = if self.shared.held.contains(&worker.name) { "Let go of it" } else { "Hold it (a lease)" };
        lines.push(line("l", hold, (!link.is_up()).then(|| Link::AWAY.to_owned())));
        lines
    }
}

fn fact(key: &str, value: &str, style: Style) -> Vec<(String, Style)> {
    vec![(format!("{key:<KEY$}"), style), (text::escape(value), Style::new())]
}
