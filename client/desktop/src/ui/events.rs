//! The lower half of the window, and the latest events in it.

use super::{Desk, Focus, Lower, Scene};
use crate::palette::Palette;
use eframe::egui::{self, RichText};
use gob_client::View;

impl Desk {
    /// Adds the lower half: the log of the selected worker, or the events.
    pub(super) fn lower(&mut self, ui: &mut egui::Ui, scene: &Scene<'_>, selected: Option<&View>) {
        let frame = egui::Frame::side_top_panel(ui.style()).fill(Palette::of(ui).well);
        let most = (ui.available_height() * 0.5).max(90.0);
        let panel = egui::Panel::bottom("lower").resizable(true).default_size(260.0);
        let panel = panel.size_range(90.0..=most).frame(frame);
        panel.show(ui, |ui| {
            // It keeps its height, however little is in it.
            ui.set_min_height(ui.available_height());
            ui.horizontal_wrapped(|ui| {
                for (lower, label, focus) in
                    [(Lower::Log, "Log", Focus::Log), (Lower::Events, "Events", Focus::Events)]
                {
                    let tab = ui.selectable_label(self.lower == lower, label);
                    if tab.clicked() {
                        self.lower = lower;
                    }
                    if self.focus == Some(focus) {
                        tab.request_focus();
                        self.focus = None;
                    }
                }
                if self.lower == Lower::Log && selected.is_some() {
                    self.log_bar(ui, scene);
                }
            });
            match self.lower {
                Lower::Log => self.log(ui, scene, selected),
                Lower::Events => events(ui, scene),
            }
        });
    }
}

fn events(ui: &mut egui::Ui, scene: &Scene<'_>) {
    let palette = Palette::of(ui);
    let events = &scene.known.events;
    if events.is_empty() {
        ui.label(RichText::new("No event since this window was opened.").weak());
        return;
    }
    let height = ui.text_style_height(&egui::TextStyle::Body);
    // A row has the height of its text, and no button's.
    ui.spacing_mut().interact_size.y = 0.0;
    let area = egui::ScrollArea::both().id_salt("events").auto_shrink(false).stick_to_bottom(true);
    area.show_rows(ui, height, events.len(), |ui, rows| {
        for event in events.range(rows.start..rows.end.min(events.len())) {
            ui.horizontal(|ui| {
                let time = event.time.map(|time| scene.clock.exact(time)).unwrap_or_default();
                ui.label(RichText::new(time).monospace().color(palette.faint));
                ui.label(RichText::new(&event.subject).strong());
                ui.label(RichText::new(&event.word).color(palette.tone(event.tone)));
                ui.add(egui::Label::new(&event.details).extend());
            });
        }
    });
}
