//! The output of the selected worker: as many lines as the pane has, of which only those that are seen are laid out.

use super::{Desk, Focus, Intent, LogWish, Scene, Shown, StreamsKey};
use crate::palette::Palette;
use eframe::egui::{self, RichText, Ui};
use gob_client::View;
use gob_client::logs::{Line, Page, Searched, Stream};
use gob_client::screen::text;
use std::borrow::Cow;

/// Characters of a line that is not broken; a longer one is cut.
const MOST: usize = 2_000;
/// The distance from the end at which the end is seen.
const NEAR: f32 = 20.0;
/// Columns of a time, with the gap behind it.
const TIME: usize = 14;

/// A row of the log: a line of the page, and the bytes of its text.
struct LogRow {
    line: usize,
    part: std::ops::Range<usize>,
    /// A part without room goes to the next row; else it is left out.
    wraps: bool,
}

impl Desk {
    /// Adds the controls of the log.
    pub(super) fn log_bar(&mut self, ui: &mut Ui, scene: &Scene<'_>) {
        ui.separator();
        for (key, label) in
            [(StreamsKey::Both, "Both"), (StreamsKey::Stdout, "stdout"), (StreamsKey::Stderr, "stderr")]
        {
            ui.selectable_value(&mut self.log.streams, key, label);
        }
        let mut follows = scene.page.follows;
        if ui.checkbox(&mut follows, "Follow").changed() {
            self.intents.push(Intent::Follow(follows));
        }
        if ui.checkbox(&mut self.settings.wrap, "Wrap").changed() {
            self.intents.push(Intent::Save);
        }
        let field =
            egui::TextEdit::singleline(&mut self.log.pattern).hint_text("Search").desired_width(140.0);
        let field = ui.add(field).accessible_name("Search the log");
        if self.focus == Some(Focus::Search) {
            field.request_focus();
            self.focus = None;
        }
        let enters = field.lost_focus() && ui.input(|input| input.key_pressed(egui::Key::Enter));
        let newer = ui.button("Next").accessible_name("Next match").clicked();
        let older = ui.button("Previous").accessible_name("Previous match").clicked() || enters;
        if (newer || older) && !self.log.pattern.is_empty() {
            self.find(scene.page, newer);
        }
        if enters {
            field.request_focus();
        }
        match &scene.page.searched {
            Some(Searched::NotFound) => drop(ui.label("not found")),
            Some(Searched::Invalid(why)) => {
                ui.colored_label(Palette::of(ui).bad, why);
            }
            Some(Searched::Found(_)) | None => {}
        }
        if let Some(run) = self.log.run {
            ui.label(format!("run #{run}"));
            if ui.button("Latest run").clicked() {
                self.log.run = None;
            }
        }
    }

    pub(super) fn find(&mut self, page: &Page, newer: bool) {
        let from = match page.searched {
            Some(Searched::Found(number)) => Some(number),
            Some(Searched::NotFound | Searched::Invalid(_)) | None => None,
        };
        self.log.scrolled_to = None;
        self.intents.push(Intent::Find(self.log.pattern.clone(), newer, from));
    }

    /// Adds the lines.
    pub(super) fn log(&mut self, ui: &mut Ui, scene: &Scene<'_>, selected: Option<&View>) {
        let page = scene.page;
        if let Some(trouble) = &page.trouble {
            ui.colored_label(Palette::of(ui).bad, trouble);
        }
        if page.lines.is_empty() {
            let text = match selected {
                None => "Select a worker to see its output.",
                Some(_) if page.is_read => "No output yet.",
                Some(_) => "",
            };
            ui.label(RichText::new(text).weak());
            return;
        }
        let style = egui::TextStyle::Monospace;
        let height = ui.text_style_height(&style);
        let wrap = self.settings.wrap;
        let columns = if wrap { Some(columns(ui).saturating_sub(TIME).max(20)) } else { None };
        let rows = rows(page, columns);
        // A row has the height of its text, and no button's.
        (ui.spacing_mut().item_spacing.y, ui.spacing_mut().interact_size.y) = (0.0, 0.0);
        let mut area = egui::ScrollArea::new([!wrap, true]).id_salt("log").auto_shrink(false);
        area = area.stick_to_bottom(page.follows);
        // The area takes it.
        let scrolls = ui.input(|input| input.smooth_scroll_delta().y > 0.0);
        // egui moves to the end only with the next frame, and there may be none.
        let end = (rows.len() as f32 * height - ui.available_height()).max(0.0);
        let sticks = page.follows && self.log.is_at_end;
        if let Some(offset) = self.log.offset(page, &rows, height).or(sticks.then_some(end)) {
            area = area.vertical_scroll_offset(offset);
        }
        let found = page.found();
        let out = area.show_rows(ui, height, rows.len(), |ui, seen| {
            for row in rows.get(seen).unwrap_or_default() {
                if let Some(line) = page.lines.get(row.line) {
                    draw(ui, scene, line, row, found == Some(row.line));
                }
            }
        });
        let room = out.content_size.y - out.inner_rect.height();
        self.after_scroll(ui, page, scrolls, (out.state.clamped_offset().y, room), out.inner_rect);
    }

    /// Asks for more lines at the ends, and lets go of the end where a person scrolls away from it.
    fn after_scroll(
        &mut self,
        ui: &Ui,
        page: &Page,
        scrolls: bool,
        (offset, room): (f32, f32),
        rect: egui::Rect,
    ) {
        self.log.at = offset;
        self.log.is_at_end = room - offset < NEAR;
        let key = (page.generation, page.first, page.lines.len());
        let drags = ui.input(|input| input.pointer.primary_down());
        if page.follows {
            let leaves = scrolls && room > 0.0 || drags && !self.log.is_at_end;
            if leaves && ui.rect_contains_pointer(rect) {
                self.intents.push(Intent::Follow(false));
            }
        } else if self.log.asked != Some(key) {
            if page.has_older && offset <= 1.0 {
                self.log.asked = Some(key);
                self.intents.push(Intent::Older);
            } else if page.has_newer && offset >= room - 1.0 {
                self.log.asked = Some(key);
                self.intents.push(Intent::Newer);
            }
        }
    }
}

impl LogWish {
    /// Returns what is shown now.
    pub(crate) const fn shown(&self) -> Option<&Shown> {
        self.shown.as_ref()
    }

    /// Returns the scroll offset at which the lines stay where they are though others came before them, or at which a found
    /// line is seen.
    fn offset(&mut self, page: &Page, rows: &[LogRow], height: f32) -> Option<f32> {
        let row_of = |number: i64| {
            let line = usize::try_from(number.checked_sub(page.first)?).ok()?;
            rows.iter().position(|row| row.line == line)
        };
        let (generation, first) = std::mem::replace(&mut self.drawn, (page.generation, page.first));
        if let Some(Searched::Found(number)) = page.searched
            && self.scrolled_to != Some(number)
            && let Some(row) = row_of(number)
        {
            self.scrolled_to = Some(number);
            return Some((row as f32 - 3.0).max(0.0) * height);
        }
        if page.follows || generation != page.generation || first == page.first {
            return None;
        }
        if first > page.first {
            return row_of(first).map(|row| row as f32 * height + self.at);
        }
        // Lines before went: as many rows as they had, which is one each for most.
        let gone = usize::try_from(page.first - first).unwrap_or(0);
        Some((self.at - gone as f32 * height).max(0.0))
    }
}

/// Returns the columns that a line has room for.
fn columns(ui: &Ui) -> usize {
    let font = egui::TextStyle::Monospace.resolve(ui.style());
    let width = ui.fonts_mut(|fonts| fonts.glyph_width(&font, 'm')).max(1.0);
    (ui.available_width() / width) as usize
}

/// Divides the lines of a page into rows of so many columns.
fn rows(page: &Page, columns: Option<usize>) -> Vec<LogRow> {
    let mut rows = Vec::with_capacity(page.lines.len());
    for (at, line) in page.lines.iter().enumerate() {
        let Some(columns) = columns else {
            // Where it ends is found when it is seen.
            rows.push(LogRow { line: at, part: 0..usize::MAX, wraps: false });
            continue;
        };
        let shown = text::output(&line.text);
        let mut from = 0;
        loop {
            let rest = shown.get(from..).unwrap_or_default();
            let end = from + nth_char(rest, columns);
            rows.push(LogRow { line: at, part: from..end, wraps: true });
            if end >= shown.len() {
                break;
            }
            from = end;
        }
    }
    rows
}

/// Returns the byte at which the character of this number begins, or the length.
fn nth_char(text: &str, number: usize) -> usize {
    if text.is_ascii() {
        return text.len().min(number);
    }
    text.char_indices().nth(number).map_or(text.len(), |(at, _)| at)
}

fn draw(ui: &mut Ui, scene: &Scene<'_>, line: &Line, row: &LogRow, is_found: bool) {
    let palette = Palette::of(ui);
    let shown = text::output(&line.text);
    let end = if row.wraps { row.part.end } else { nth_char(&shown, MOST) };
    let part = shown.get(row.part.start..end).unwrap_or_default();
    // A line that is cut says so, at its end.
    let is_last = end >= shown.len();
    let is_cut = if is_last { line.is_cut } else { !row.wraps };
    let part: Cow<'_, str> = if is_cut { format!("{part} …").into() } else { part.into() };
    ui.horizontal(|ui| {
        let time = line.time.filter(|_| row.part.start == 0).map(|time| scene.clock.exact(time));
        let time = format!("{:TIME$}", time.unwrap_or_default());
        ui.spacing_mut().item_spacing.x = 0.0;
        ui.add(egui::Label::new(RichText::new(time).monospace().color(palette.faint)).selectable(false));
        let color = if line.stream == Stream::Stderr { palette.busy } else { palette.text };
        let mut part = RichText::new(part).monospace().color(color);
        if is_found {
            part = part.background_color(palette.selected);
        }
        ui.add(egui::Label::new(part).extend());
    });
}
