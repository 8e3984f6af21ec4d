//! The drawing of dialogs.

use super::*;

impl Ui {
    /// Draws the open dialog.
    pub(in super::super) fn dialogs(&mut self, buf: &mut Buffer, all: Rect, scene: &Scene<'_>) {
        let Some(mut dialog) = self.dialog.take() else { return };
        match &mut dialog {
            Dialog::Form(filled) => self.draw_form(buf, all, filled, scene),
            Dialog::Palette(field, at) => self.draw_palette(buf, all, (field, *at), scene),
            Dialog::Help(scroll) => self.draw_help(buf, all, scroll),
            Dialog::Project(at) => self.draw_project(buf, all, *at, scene),
            Dialog::Quit(jobs) => {
                let verb = if jobs.len() == 1 { "stops" } else { "stop" };
                let text = format!("{} {verb} with this screen.", jobs.join(", "));
                let lines =
                    prose(&text, usize::from(WIDTH.min(all.width.saturating_sub(2)).saturating_sub(4)));
                let inner = self.frame(buf, all, "Quit?", lines.len() + 2);
                for (at, line) in lines.iter().enumerate() {
                    put(buf, line_of(inner, at), line, Style::new());
                }
                put(buf, line_of(inner, lines.len() + 1), "Enter quits   Esc stays", self.look.key());
            }
        }
        self.dialog = Some(dialog);
    }

    /// Draws the frame of a dialog of so many lines, and returns the area in it.
    fn frame(&self, buf: &mut Buffer, all: Rect, title: &str, lines: usize) -> Rect {
        let width = WIDTH.min(all.width.saturating_sub(2));
        let height = u16::try_from(lines + 2).unwrap_or(u16::MAX).min(all.height.saturating_sub(2));
        let area =
            Rect { x: all.x + (all.width - width) / 2, y: all.y + (all.height - height) / 2, width, height };
        Clear.render(area, buf);
        let block = Block::bordered().border_set(self.look.border(true)).border_style(self.look.frame(true));
        let inner = block.inner(area);
        block.render(area, buf);
        let top = Rect { x: area.x + 1, width: area.width.saturating_sub(2), height: 1, ..area };
        put(buf, top, &format!(" {title} "), self.look.strong());
        Rect { x: inner.x + 1, width: inner.width.saturating_sub(2), ..inner }
    }

    fn draw_form(&mut self, buf: &mut Buffer, all: Rect, filled: &mut Filled, scene: &Scene<'_>) {
        let look = self.look;
        let width = usize::from(WIDTH.min(all.width.saturating_sub(2)).saturating_sub(4));
        let mut note = prose(filled.form.note(), width);
        let choices = filled.choices(self, scene);
        let mut below: Vec<(String, Style)> = Vec::new();
        below.extend(filled.form.remark(&self.shared.graphs).map(|remark| (remark.to_owned(), look.faint())));
        let bad = look.tone(Tone::Bad);
        below.extend(filled.wrong.iter().flat_map(|wrong| prose(wrong, width)).map(|line| (line, bad)));
        if let Some(refused) = &filled.refused {
            let message = format!("{} ({})", refused.message, refused.code);
            below.extend(prose(&message, width).into_iter().map(|line| (line, bad)));
            let more = [&refused.cause, &refused.hint].into_iter().flatten();
            below.extend(more.flat_map(|line| prose(line, width)).map(|line| (line, Style::new())));
        }
        let verb = if filled.asked.is_some() { "sent, waiting for the answer" } else { filled.form.verb() };
        let keys = match (filled.fields.len(), filled.asked) {
            (_, Some(_)) => verb.to_owned(),
            (0 | 1, None) => format!("Enter: {verb}   Esc: Cancel"),
            (_, None) => format!("Enter: {verb}   Tab: next field   Esc: Cancel"),
        };
        let needed = 2 * filled.fields.len() + choices.len() + below.len() + 2;
        if note.len() + needed + 4 > usize::from(all.height) && !filled.fields.is_empty() {
            // The fields are seen rather than the explanation.
            note.clear();
        }
        let lines = note.len() + needed;
        let title = filled.form.title();
        let inner = self.frame(buf, all, &title, lines);
        let mut at = 0;
        for line in &note {
            put(buf, line_of(inner, at), line, Style::new());
            at += 1;
        }
        let labels: Vec<String> =
            filled.form.fields().iter().map(|field| format!("{}   {}", field.label, field.hint)).collect();
        for (number, (label, field)) in labels.iter().zip(&mut filled.fields).enumerate() {
            let has_keys = number == filled.at;
            put(buf, line_of(inner, at), label, look.faint());
            let place = line_of(inner, at + 1);
            put(buf, place, if has_keys { ">" } else { " " }, look.key());
            field.draw(
                buf,
                Rect { x: place.x + 2, width: place.width.saturating_sub(2), ..place },
                has_keys,
                look,
            );
            self.hits.add(place, Hit::Line(number));
            at += 2;
            if has_keys {
                for (index, choice) in choices.iter().enumerate() {
                    let style = look.selected(true);
                    let style = if filled.choice == Some(index) { style } else { look.faint() };
                    put(buf, line_of(inner, at), &format!("    {}", text::name(choice)), style);
                    at += 1;
                }
            }
        }
        for (line, style) in &below {
            put(buf, line_of(inner, at), line, *style);
            at += 1;
        }
        put(buf, line_of(inner, at + 1), &keys, look.key());
    }

    fn draw_palette(
        &mut self,
        buf: &mut Buffer,
        all: Rect,
        (field, at): (&mut LineField, usize),
        scene: &Scene<'_>,
    ) {
        let look = self.look;
        let lines = self.palette_lines(field.text(), scene);
        let inner =
            self.frame(buf, all, "Words of a command, or the name of a worker", lines.len().max(1) + 2);
        field.draw(buf, inner, true, look);
        if lines.is_empty() {
            put(buf, line_of(inner, 2), "No command and no worker has these words.", look.faint());
        }
        for (index, (_, line)) in lines.iter().enumerate() {
            let place = line_of(inner, index + 2);
            put(buf, place, line, Style::new());
            if index == at {
                buf.set_style(place, look.selected(true));
            }
            self.hits.add(place, Hit::Line(index));
        }
    }

    fn draw_help(&self, buf: &mut Buffer, all: Rect, scroll: &mut Scroll) {
        let look = self.look;
        let lines: Vec<_> = COMMANDS.iter().chain(&MORE).collect();
        let fits = lines.len() + 4 <= usize::from(all.height);
        let title = if fits { "Keys   (Esc closes)" } else { "Keys   (j k scroll, Esc closes)" };
        let inner = self.frame(buf, all, title, lines.len());
        let width = lines.iter().map(|(key, _)| cells(key)).max().unwrap_or(0) + 2;
        let first = scroll.fit(lines.len(), usize::from(inner.height));
        for (at, (key, what)) in lines.iter().skip(first).take(usize::from(inner.height)).enumerate() {
            let place = line_of(inner, at);
            put_at(buf, place, 0, key, look.key());
            put_at(buf, place, width, what, Style::new());
        }
    }

    fn draw_project(&mut self, buf: &mut Buffer, all: Rect, at: usize, scene: &Scene<'_>) {
        let look = self.look;
        let width = usize::from(WIDTH.min(all.width.saturating_sub(2)).saturating_sub(4));
        let (jobs, notes) = match scene.project.map(|project| (&project.path, &project.jobs)) {
            None => (
                &[][..],
                vec!["There is no project file here: gobctl up --help says what one is.".to_owned()],
            ),
            Some((path, Err(why))) => (&[][..], vec![path.clone(), why.clone()]),
            Some((path, Ok(jobs))) => (jobs.as_slice(), vec![path.clone()]),
        };
        let notes: Vec<String> = notes.iter().flat_map(|note| prose(note, width)).collect();
        let inner = self.frame(buf, all, "Jobs of the project", notes.len() + jobs.len() + 3);
        for (line, note) in notes.iter().enumerate() {
            put(buf, line_of(inner, line), note, look.faint());
        }
        for (index, job) in jobs.iter().enumerate() {
            let place = line_of(inner, notes.len() + 1 + index);
            let style = if job.blocked.is_some() { look.faint() } else { Style::new() };
            let column = put_at(buf, place, 0, &format!("{}   ", text::escape(&job.label)), style);
            let worker = job.add.name.as_ref().and_then(|name| scene.known.model.get(name));
            let live = worker.filter(|worker| worker.state.is_live());
            let column = live.map_or(column, |worker| {
                let tone = screen::tone(worker);
                let state = format!("{} {}   ", look.dot(tone), Row::from(worker).state(scene.now));
                put_at(buf, place, column, &state, look.tone(tone))
            });
            let about = job.blocked.as_deref().unwrap_or(&job.about);
            put_at(buf, place, column, &text::escape(about), look.faint());
            if index == at {
                buf.set_style(place, look.selected(true));
            }
            self.hits.add(place, Hit::Line(index));
        }
        if !jobs.is_empty() {
            let keys = "Enter starts it; it stops when this screen ends.";
            put(buf, line_of(inner, notes.len() + jobs.len() + 2), keys, look.key());
        }
    }
}
