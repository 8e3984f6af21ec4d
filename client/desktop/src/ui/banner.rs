//! The banner above everything while the supervisor is away.

use super::parts::button;
use super::{Desk, Intent, Scene};
use crate::palette::Palette;
use eframe::egui::{self, RichText};

impl Desk {
    pub(super) fn banner(&mut self, ui: &mut egui::Ui, scene: &Scene<'_>) {
        let knows = scene.known.model.workers().len() > 0;
        let Some(banner) = scene.known.link.banner(knows) else { return };
        let palette = Palette::of(ui);
        let frame = egui::Frame::side_top_panel(ui.style()).fill(palette.raised).inner_margin(10);
        egui::Panel::top("banner").frame(frame).show(ui, |ui| {
            ui.label(RichText::new(&banner.title).color(palette.busy).heading());
            for line in &banner.lines {
                ui.label(line);
            }
            if banner.starts && button(ui, "Start the supervisor", None).clicked() {
                self.intents.push(Intent::Supervise);
            }
        });
    }
}
