//! The drawing of the log: the lines from the first one that is seen on, as many as there is room for.

use super::*;

impl Ui {
    pub(in super::super) fn log_pane(
        &mut self,
        buf: &mut Buffer,
        area: Rect,
        selected: Option<&View>,
        scene: &Scene<'_>,
    ) {
        if area.is_empty() {
            return;
        }
        let page = scene.page;
        let is_focused = self.focus == Pane::Log;
        let name = selected.map(|worker| text::name(worker.name.as_str())).unwrap_or_default();
        let tabs = [(Streams::Both, "both"), (Streams::Stdout, "stdout"), (Streams::Stderr, "stderr")];
        let tabs =
            tabs.map(|(streams, label)| (label, streams == self.log.streams, Hit::Streams(streams))).to_vec();
        // Nothing is followed or held while no worker is selected.
        let more = selected.map(|_| self.log_state(page)).unwrap_or_default();
        let title = Title { key: "3", text: format!("Log {name}"), tabs, more };
        let inner = paint::pane(buf, area, is_focused, &title, (self.look, &mut self.hits));
        if let Some(trouble) = &page.trouble {
            put(buf, inner, &text::escape(trouble), self.look.tone(Tone::Bad));
        } else if page.lines.is_empty() {
            let empty = match selected {
                None => "Select a worker to see its output.",
                Some(_) if page.is_read => "No output yet.",
                Some(_) => "",
            };
            put(buf, inner, empty, self.look.faint());
        }
        if !page.lines.is_empty() {
            self.log_lines(buf, inner, scene);
        }
    }

    /// Returns the remarks in the frame of the log, the weightiest first.
    fn log_state(&self, page: &Page) -> Vec<String> {
        let mut words = Vec::new();
        words.extend(match &page.searched {
            Some(Searched::NotFound) => Some(format!("not found: {}", text::escape(&self.log.pattern))),
            Some(Searched::Invalid(why)) => Some(text::escape(why)),
            Some(Searched::Found(_)) if !page.follows => {
                Some(format!("/{}", text::escape(&self.log.pattern)))
            }
            Some(Searched::Found(_)) | None => None,
        });
        words.push(if page.follows && !self.log.holds { "following" } else { "held, f follows" }.to_owned());
        words.extend(self.log.run.map(|run| format!("run #{run}")));
        words.extend((self.log.across > 0).then(|| format!("from column {}", self.log.across + 1)));
        words.extend(self.log.wraps.then(|| "wrapped".to_owned()));
        words
    }

    fn log_lines(&mut self, buf: &mut Buffer, area: Rect, scene: &Scene<'_>) {
        let (page, look) = (scene.page, self.look);
        let has_times = self.log.times.unwrap_or(area.width >= WIDE);
        let time = if has_times { 14 } else { 0 };
        // With both streams a sign tells them apart, in terminals without colours, too.
        let sign = if self.log.streams == Streams::Both { 2 } else { 0 };
        let before = (time + sign).min(area.width.saturating_sub(2));
        (self.log.height, self.log.width) = (usize::from(area.height), usize::from(area.width - before));
        let top = self.log.top(page);
        let (mut at, mut skip) = (0, top.row);
        let mut number = top.line;
        while at < self.log.height
            && let Some(line) = line_at(page, number)
        {
            let is_found = page.searched == Some(Searched::Found(number));
            let parts = parts(line, look);
            let rows = if self.log.wraps {
                rows(parts, self.log.width)
            } else {
                vec![from_cell(parts, self.log.across)]
            };
            for (row, parts) in rows.into_iter().enumerate().skip(skip) {
                if at >= self.log.height {
                    break;
                }
                let place = line_of(area, at);
                if row == 0 {
                    let stamp = line.time.filter(|_| has_times).map(|time| scene.clock.exact(time));
                    put_at(buf, place, 0, &stamp.unwrap_or_default(), look.faint());
                    if sign > 0 && line.stream == Stream::Stderr {
                        put_at(buf, place, time, "!", look.stderr());
                    }
                }
                let text = Rect { x: place.x + before, width: place.width - before, ..place };
                self.log_row(buf, text, parts, is_found);
                at += 1;
            }
            skip = 0;
            number += 1;
        }
    }

    fn log_row(&self, buf: &mut Buffer, area: Rect, parts: Vec<Part>, is_found: bool) {
        let cut = !self.log.wraps
            && parts.iter().map(|part| usize::from(paint::cells(&part.text))).sum::<usize>()
                > usize::from(area.width);
        put_parts(buf, area, &parts);
        if is_found {
            buf.set_style(area, Style::new().add_modifier(Modifier::REVERSED));
        }
        if cut && area.width > 0 {
            let end = Rect { x: area.right() - 1, width: 1, ..area };
            put(buf, end, self.look.cut(), self.look.faint());
        }
    }
}
