//! The settings, which take effect at once.

use super::{Desk, Intent, Scene};
use crate::settings::{TEXT_SIZE, Theme};
use eframe::egui::{self, RichText, Ui};
use gob_client::screen::text;

pub(super) fn show(desk: &mut Desk, ui: &mut Ui, scene: &Scene<'_>) {
    let before = desk.settings.clone();
    ui.horizontal(|ui| {
        ui.label("Colours");
        for theme in Theme::ALL {
            ui.selectable_value(&mut desk.settings.theme, theme, theme.as_str());
        }
    });
    ui.horizontal(|ui| {
        let label = ui.label("Size of texts, in percent");
        let size = egui::DragValue::new(&mut desk.settings.text_size).range(TEXT_SIZE).suffix(" %");
        ui.add(size).labelled_by(label.id);
        for (by, label, name) in [(-25, "−", "Smaller texts"), (25, "+", "Larger texts")] {
            if ui.button(label).accessible_name(name).clicked() {
                let size = desk.settings.text_size.saturating_add_signed(by);
                desk.settings.text_size = size.clamp(*TEXT_SIZE.start(), *TEXT_SIZE.end());
            }
        }
    });
    ui.add_space(6.0);
    ui.label(RichText::new("Notifications").strong());
    ui.label("When a worker fails, is unhealthy or is handed over. Off unless you turn it on for a worker.");
    egui::ScrollArea::vertical().id_salt("notify").max_height(200.0).show(ui, |ui| {
        for worker in scene.known.model.workers() {
            let mut on = desk.settings.notify.contains(&worker.name);
            if ui.checkbox(&mut on, text::name(worker.name.as_str())).changed() {
                if on {
                    desk.settings.notify.insert(worker.name.clone());
                } else {
                    desk.settings.notify.remove(&worker.name);
                }
            }
        }
    });
    ui.add_space(6.0);
    if let Some(why) = scene.tray {
        ui.label(format!("There is no tray: {why}."));
    }
    if let Some(why) = scene.notifications {
        ui.label(format!("The last notification could not be shown: {why}."));
    }
    if let Some(trouble) = scene.file_trouble {
        ui.colored_label(ui.visuals().error_fg_color, trouble);
        ui.label("A change here makes a new file; the old one is kept beside it.");
    }
    ui.label(RichText::new(format!("Kept in {}", scene.file)).weak());
    if desk.settings != before {
        desk.intents.push(Intent::Save);
    }
}
