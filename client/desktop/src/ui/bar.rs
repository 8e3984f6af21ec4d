//! The bar with the filter and what makes something new.

use super::dialog::Dialog;
use super::parts::button;
use super::{Desk, Focus, Scene};
use eframe::egui;
use gob_client::screen::Link;
use gob_client::surface::Form;

impl Desk {
    pub(super) fn bar(&mut self, ui: &mut egui::Ui, scene: &Scene<'_>) {
        let away = (!scene.known.link.is_up()).then_some(Link::AWAY);
        egui::Panel::top("bar").show(ui, |ui| {
            ui.horizontal_wrapped(|ui| {
                if button(ui, "Start graph…", away).clicked() {
                    self.open_start();
                }
                if button(ui, "New job…", away).clicked() {
                    self.open_job(scene);
                }
                ui.separator();
                let field = egui::TextEdit::singleline(&mut self.shared.list.filter)
                    .hint_text("Filter  ( / )")
                    .desired_width(220.0);
                let field = ui.add(field).accessible_name("Filter the workers");
                if self.focus == Some(Focus::Filter) {
                    field.request_focus();
                    self.focus = None;
                }
                if !self.shared.list.filter.is_empty() && button(ui, "Clear", None).clicked() {
                    self.shared.list.filter.clear();
                }
                ui.separator();
                if button(ui, "Settings…", None).clicked() {
                    self.open(Dialog::settings());
                }
                if button(ui, "Keys…", None).clicked() {
                    self.open(Dialog::help());
                }
            });
        });
    }

    pub(super) fn open(&mut self, dialog: Dialog) {
        self.dialog = Some(dialog);
        self.focus = Some(Focus::Dialog);
    }

    pub(super) fn open_start(&mut self) {
        self.open(Dialog::form(Form::start_graph()));
        self.shared.ask_for_graphs();
    }

    pub(super) fn open_job(&mut self, scene: &Scene<'_>) {
        self.open(Dialog::form(Form::new_job(scene.home)));
    }
}
