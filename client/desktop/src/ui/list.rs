//! The workers, a row each. Only the rows that are seen are drawn.

use super::parts::paint_dot;
use super::{Desk, Focus, Scene};
use crate::palette::Palette;
use eframe::egui::{self, Align2, FontId, Rect, Role, Sense, WidgetInfo, pos2, vec2};
use gob_client::View;
use gob_client::screen::{self, Empty, Link, Row, text};

/// The height of a row.
const ROW: f32 = 46.0;

impl Desk {
    pub(super) fn workers(&mut self, ui: &mut egui::Ui, scene: &Scene<'_>, shown: &[&View]) {
        let frame = egui::Frame::side_top_panel(ui.style()).fill(Palette::of(ui).well);
        let most = (ui.available_width() * 0.5).max(180.0);
        let panel = egui::Panel::left("workers").default_size(330.0).size_range(180.0..=most).frame(frame);
        panel.show(ui, |ui| {
            ui.label(egui::RichText::new(counted(shown.len(), scene.known.model.workers().len())).weak());
            let at = self.shared.list.settle(shown);
            let mut area = egui::ScrollArea::vertical().id_salt("workers").auto_shrink(false);
            if std::mem::take(&mut self.scrolls_to_selected)
                && let Some(offset) = at.and_then(|at| self.offset_to(ui, at))
            {
                area = area.vertical_scroll_offset(offset);
            }
            let out = area.show_rows(ui, ROW, shown.len(), |ui, rows| {
                for worker in shown.get(rows).unwrap_or_default() {
                    self.row(ui, scene, worker);
                }
            });
            self.list_view = (out.state.clamped_offset().y, out.inner_rect.height());
        });
    }

    /// Returns the scroll offset at which a row is seen; `None` where it is seen already.
    fn offset_to(&self, ui: &egui::Ui, at: usize) -> Option<f32> {
        let step = ROW + ui.spacing().item_spacing.y;
        let (top, room) = self.list_view;
        let row = at as f32 * step;
        if row < top { Some(row) } else { Some((row + step - room).max(0.0)).filter(|least| *least > top) }
    }

    fn row(&mut self, ui: &mut egui::Ui, scene: &Scene<'_>, worker: &View) {
        let is_selected = self.shared.list.selected() == Some(&worker.name);
        let (rect, _) = ui.allocate_exact_size(vec2(ui.available_width(), ROW), Sense::hover());
        let id = egui::Id::unique(("worker", worker.name.as_str()));
        let response = ui.interact(rect, id, Sense::click());
        let spoken = screen::spoken(worker, &self.shared.me, scene.now);
        response.widget_info(|| WidgetInfo::selected(Role::ListItem, true, is_selected, &spoken));
        if response.clicked() || (response.gained_focus() && !is_selected) {
            self.shared.list.select(worker.name.clone());
        }
        if response.clicked() {
            response.request_focus();
        }
        if self.focus == Some(Focus::List) && is_selected {
            response.request_focus();
            self.focus = None;
        }
        if response.has_focus() {
            // The arrows move the selection, not the focus.
            let filter = egui::EventFilter { vertical_arrows: true, ..egui::EventFilter::default() };
            ui.memory_mut(|memory| memory.set_focus_lock_filter(id, filter));
        }
        if ui.is_rect_visible(rect) {
            let palette = Palette::of(ui);
            if is_selected {
                ui.painter().rect_filled(rect, 4.0, palette.selected);
            } else if response.hovered() {
                ui.painter().rect_filled(rect, 4.0, palette.raised);
            }
            if response.has_focus() {
                let inside = egui::StrokeKind::Inside;
                ui.painter().rect_stroke(rect.shrink(1.0), 4.0, (2.0, palette.accent), inside);
            }
            self.paint_row(ui, scene, worker, rect);
        }
    }

    fn paint_row(&self, ui: &egui::Ui, scene: &Scene<'_>, worker: &View, rect: Rect) {
        let palette = Palette::of(ui);
        let painter = ui.painter().with_clip_rect(rect.intersect(ui.clip_rect()));
        let row = Row::from(worker);
        let words = row.words(scene.now);
        let (tone, failure) = (screen::tone(worker), screen::failure(worker));
        paint_dot(ui, pos2(rect.left() + 14.0, rect.top() + 15.0), tone, palette.tone(tone));
        let state = painter.text(
            pos2(rect.right() - 8.0, rect.top() + 6.0),
            Align2::RIGHT_TOP,
            &words.state,
            FontId::proportional(13.0),
            palette.tone(tone),
        );
        let left = rect.left() + 28.0;
        let before_state = Rect::from_min_max(rect.min, pos2(state.left() - 8.0, rect.bottom()));
        painter.with_clip_rect(before_state.intersect(painter.clip_rect())).text(
            pos2(left, rect.top() + 5.0),
            Align2::LEFT_TOP,
            text::name(words.name),
            FontId::proportional(15.0),
            palette.text,
        );
        let owner = screen::owner(worker, &self.shared.me);
        // At rest the reason tells more than the command: an end with the supervisor, a block.
        let reason = worker.reason.as_deref().filter(|_| !worker.state.is_live());
        let more = failure.as_deref().or(reason).or(words.command.as_deref());
        let more = more.map(|more| format!("   {}", text::escape(more))).unwrap_or_default();
        painter.text(
            pos2(left, rect.top() + 25.0),
            Align2::LEFT_TOP,
            format!("{owner}   {}{more}", text::escape(&worker.kind)),
            FontId::proportional(12.5),
            palette.faint,
        );
    }

    /// Draws the centre while no worker is selected.
    pub(super) fn nothing(&mut self, ui: &mut egui::Ui, scene: &Scene<'_>) {
        let has_workers = scene.known.model.workers().len() > 0;
        let empty = match (&scene.known.link, has_workers) {
            (_, true) => Empty::Filtered,
            (Link::Up, false) => Empty::None,
            (Link::Opening | Link::Away | Link::Refused(_), false) => Empty::Unknown,
        };
        ui.vertical_centered(|ui| {
            ui.add_space(ui.available_height() * 0.15);
            ui.heading(empty.title());
            ui.add_space(6.0);
            for line in empty.lines() {
                ui.label(*line);
            }
            ui.add_space(10.0);
            match empty {
                Empty::None => {
                    if ui.button("Start a graph…").clicked() {
                        self.open_start();
                    }
                    if ui.button("Make a job…").clicked() {
                        self.open_job(scene);
                    }
                }
                Empty::Filtered => {
                    if ui.button("Clear the filter").clicked() {
                        self.shared.list.filter.clear();
                    }
                }
                Empty::Unknown => {}
            }
        });
    }
}

fn counted(shown: usize, all: usize) -> String {
    let workers = if all == 1 { "worker" } else { "workers" };
    if shown == all { format!("{all} {workers}") } else { format!("{shown} of {all} {workers}") }
}
