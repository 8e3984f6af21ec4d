//! One worker: its state, how to reach it, what may be done about it, and all that is known.

use super::actions::KEYED;
use super::hits::Hit;
use super::paint::{self, Title, folded, line_of, prose, put_at};
use super::{Pane, Scene, Side, Ui};
use gob_client::View;
use gob_client::screen::{self, Action, Badge, Link, Row, text};
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::Style;

/// Facts that have a place of their own above the others.
const ELSEWHERE: [&str; 6] = ["owner", "state", "reason", "endpoint", "lease", "port"];
/// Cells of the names of facts.
const KEY: usize = 9;

/// A line of the pane: its parts, and what a click on it does, by columns and their number.
pub(super) type Drawn = (Vec<(String, Style)>, Vec<(usize, usize, Hit)>);

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
        let more = selected.map(|worker| text::escape(&worker.kind)).into_iter().collect();
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
        for (at, (parts, hits)) in lines.take(usize::from(area.height)).enumerate() {
            let place = line_of(area, at);
            let mut column = 0;
            for (text, style) in &parts {
                column = put_at(buf, place, column, text, *style);
            }
            for (column, cells, hit) in hits {
                let column = u16::try_from(column).unwrap_or(u16::MAX).min(place.width);
                let width = u16::try_from(cells).unwrap_or(u16::MAX).min(place.width - column);
                self.hits.add(Rect { x: place.x + column, width, ..place }, hit);
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
        lines.push((head, Vec::new()));
        let failure = screen::failure(worker);
        let style = if failure.is_some() { look.tone(tone) } else { Style::new() };
        if let Some(reason) = failure.or_else(|| worker.reason.clone()) {
            lines.extend(prose(&reason, width).into_iter().map(|line| plain(line, style)));
        }
        if let Some(endpoint) = &worker.endpoint {
            let click = || vec![(0, width, Hit::Key("c"))];
            let folded = folded(endpoint, width).into_iter();
            lines.extend(folded.map(|line| (vec![(line, look.strong())], click())));
        }
        for port in &worker.ports {
            let of = format!("{}/{}", port.port, text::escape(&port.protocol));
            lines.push((
                vec![(of, look.strong()), (format!("   pid {}", port.pid), look.faint())],
                Vec::new(),
            ));
        }
        lines.push((Vec::new(), Vec::new()));
        lines.extend(self.action_lines(worker, &scene.known.link, width));
        if let Some(note) = screen::in_other_hands(worker, &self.shared.me) {
            lines.extend(prose(&note, width).into_iter().map(|line| plain(line, Style::new())));
        }
        lines.push((Vec::new(), Vec::new()));
        for holder in &worker.lease_holders {
            lines.push((fact("lease", &holder.to_string(), look.faint()), Vec::new()));
        }
        let facts = screen::worker(worker, scene.now);
        for (key, value) in facts.into_iter().filter(|(key, _)| !ELSEWHERE.contains(key)) {
            let mut values = folded(&value, width.saturating_sub(KEY).max(8)).into_iter();
            let first = values.next().unwrap_or_default();
            lines.push((fact(key, &first, look.faint()), Vec::new()));
            lines.extend(values.map(|value| plain(format!("{:KEY$}{value}", ""), Style::new())));
        }
        lines
    }

    /// Returns the actions that can be taken, with their keys, and the others behind the reasons against them.
    fn action_lines(&self, worker: &View, link: &Link, width: usize) -> Vec<Drawn> {
        let look = self.look;
        let mut lines: Vec<Drawn> = vec![(Vec::new(), Vec::new())];
        let mut used = 0;
        let mut add = |key: &'static str, label: String| {
            let cells = key.len() + label.len() + 4;
            if used > 0 && used + cells > width {
                lines.push((Vec::new(), Vec::new()));
                used = 0;
            }
            let Some((parts, hits)) = lines.last_mut() else { return };
            hits.push((used, cells - 2, Hit::Key(key)));
            used += cells;
            parts.push((key.to_owned(), look.key()));
            parts.push((format!(" {label}   "), Style::new()));
        };
        let mut refused: Vec<(String, Vec<&str>)> = Vec::new();
        for (key, action, force) in KEYED {
            let label = if force { "Kill" } else { action.label() };
            match screen::refusal(action, worker, &self.shared.me, link) {
                None => add(key, if action.asks() { format!("{label}...") } else { label.to_owned() }),
                Some(why) => match refused.iter_mut().find(|(of, _)| *of == why) {
                    Some((_, labels)) => labels.push(label),
                    None => refused.push((why, vec![label])),
                },
            }
        }
        if link.is_up() {
            let hold = if self.shared.held.contains(&worker.name) { "Let go" } else { "Hold" };
            add("l", hold.to_owned());
        }
        // Other hands are told of in a sentence of their own.
        let others = screen::refusal(Action::HandOver, worker, &self.shared.me, link);
        let told = others.filter(|_| screen::in_other_hands(worker, &self.shared.me).is_some());
        for (why, labels) in refused.into_iter().filter(|(why, _)| told.as_ref() != Some(why)) {
            let line = format!("{}: {}.", labels.join(", "), text::escape(&why));
            lines.extend(prose(&line, width).into_iter().map(|line| plain(line, look.faint())));
        }
        lines
    }
}

fn plain(line: String, style: Style) -> Drawn {
    (vec![(line, style)], Vec::new())
}

fn fact(key: &str, value: &str, style: Style) -> Vec<(String, Style)> {
    vec![(format!("{key:<KEY$}"), style), (text::escape(value), Style::new())]
}
