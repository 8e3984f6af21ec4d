//! Dialogs: what an action asks before it is done.

use super::commands::Palette;
use super::parts::{button, trouble};
use super::{Desk, Focus, Scene, keys, settings};
use eframe::egui::{self, Key, Modal, Ui};
use gob_client::screen::{Trouble, text};
use gob_client::surface::{AskId, Form};

/// An open dialog.
#[derive(Debug)]
pub(super) struct Dialog {
    content: Content,
    /// Why it can't be sent as it is.
    wrong: Option<String>,
    /// The answer to it as it was sent.
    pub(super) refused: Option<Trouble>,
    /// The request that was sent and is not answered yet.
    pub(super) asked: Option<AskId>,
}

#[derive(Debug)]
enum Content {
    Form(Form),
    Settings,
    Help,
    Palette(Palette),
}

/// Texts that a dialog offers for a field.
const OFFERED: usize = 8;

impl Dialog {
    const fn of(content: Content) -> Self {
        Self { content, wrong: None, refused: None, asked: None }
    }

    pub(super) const fn form(form: Form) -> Self {
        Self::of(Content::Form(form))
    }

    pub(super) const fn settings() -> Self {
        Self::of(Content::Settings)
    }

    pub(super) const fn help() -> Self {
        Self::of(Content::Help)
    }

    pub(super) fn palette() -> Self {
        Self::of(Content::Palette(Palette::default()))
    }

    fn title(&self) -> String {
        match &self.content {
            Content::Form(form) => form.title(),
            Content::Settings => "Settings".to_owned(),
            Content::Help => "Keys".to_owned(),
            Content::Palette(_) => "Commands".to_owned(),
        }
    }

    const fn as_form(&self) -> Option<&Form> {
        match &self.content {
            Content::Form(form) => Some(form),
            Content::Settings | Content::Help | Content::Palette(_) => None,
        }
    }
}

impl Desk {
    /// Returns whether a dialog is open, which takes all keys.
    pub(super) const fn has_dialog(&self) -> bool {
        self.dialog.is_some()
    }

    /// Adds the open dialog.
    pub(super) fn dialogs(&mut self, egui: &egui::Context, scene: &Scene<'_>) {
        let Some(mut dialog) = self.dialog.take() else { return };
        let response = Modal::new(egui::Id::unique("dialog")).show(egui, |ui| {
            ui.set_width(460.0_f32.min(ui.ctx().content_rect().width() - 40.0));
            ui.heading(dialog.title());
            ui.add_space(4.0);
            // With large texts a small window has no room for all of it; its buttons stay in sight.
            let room = (ui.ctx().content_rect().height() - 150.0).max(80.0);
            let area = egui::ScrollArea::vertical().id_salt("form").max_height(room);
            let is_chosen = area.show(ui, |ui| self.content(ui, scene, &mut dialog.content)).inner;
            if let Some(wrong) = &dialog.wrong {
                ui.colored_label(ui.visuals().error_fg_color, wrong);
            }
            if let Some(refused) = &dialog.refused {
                trouble(ui, refused);
            }
            ui.add_space(8.0);
            self.dialog_buttons(ui, &mut dialog) || is_chosen
        });
        // A click beside it does not close it: what was typed would be lost.
        let escapes = egui.input(|input| input.key_pressed(Key::Escape));
        if !(response.inner || escapes) {
            self.dialog = Some(dialog);
        }
    }

    /// Adds the buttons; true when it is to be closed.
    fn dialog_buttons(&mut self, ui: &mut Ui, dialog: &mut Dialog) -> bool {
        let Some(verb) = dialog.as_form().map(Form::verb) else {
            let close = ui.button("Close");
            self.take_focus(&close);
            return close.clicked();
        };
        let mut closes = false;
        ui.horizontal(|ui| {
            let waits = dialog.asked.map(|_| "it was sent, and waits for its answer");
            let send = button(ui, verb, waits);
            // Nothing to type: the button that does no harm is the first.
            let cancel = ui.button("Cancel");
            self.take_focus(&cancel);
            let enters =
                ui.input(|input| input.key_pressed(Key::Enter)) && !cancel.has_focus() && !send.has_focus();
            if send.clicked() || (enters && waits.is_none()) {
                self.send(dialog);
            }
            closes = cancel.clicked();
        });
        closes
    }

    /// Gives a control the keyboard if no earlier one of a new dialog took it.
    pub(super) fn take_focus(&mut self, response: &egui::Response) {
        if self.focus == Some(Focus::Dialog) {
            response.request_focus();
            self.focus = None;
        }
    }

    fn send(&mut self, dialog: &mut Dialog) {
        let Some(form) = dialog.as_form() else { return };
        let request = form.request();
        dialog.refused = None;
        match request {
            Ok(ask) => {
                dialog.wrong = None;
                dialog.asked = Some(self.shared.send(ask));
            }
            Err(wrong) => {
                dialog.wrong = Some(wrong);
                // Enter has taken the keyboard from the field.
                self.focus = Some(Focus::Dialog);
            }
        }
    }

    /// Adds the content; true when it is done with.
    fn content(&mut self, ui: &mut Ui, scene: &Scene<'_>, content: &mut Content) -> bool {
        match content {
            Content::Form(form) => self.form(ui, scene, form),
            Content::Settings => settings::show(self, ui, scene),
            Content::Help => keys::help(ui),
            Content::Palette(palette) => return self.palette(ui, scene, palette),
        }
        false
    }

    fn form(&mut self, ui: &mut Ui, scene: &Scene<'_>, form: &mut Form) {
        if !form.note().is_empty() {
            ui.label(form.note());
        }
        let offered: Vec<Vec<String>> = (0..form.fields().len())
            .map(|at| form.choices(at, &self.shared.me, (scene.kinds, &self.shared.graphs)))
            .collect();
        for (field, mut offered) in form.fields().into_iter().zip(offered) {
            self.field(ui, field.label, field.value, field.hint);
            offered.truncate(OFFERED);
            choices(ui, &offered, field.value);
        }
        if let Some(remark) = form.remark(&self.shared.graphs) {
            ui.label(remark);
        }
    }

    fn field(&mut self, ui: &mut Ui, label: &str, value: &mut String, hint: &str) {
        let label = ui.label(label);
        let field = egui::TextEdit::singleline(value).hint_text(hint).desired_width(f32::INFINITY);
        let field = ui.add(field).labelled_by(label.id);
        self.take_focus(&field);
    }
}

fn choices(ui: &mut Ui, all: &[String], value: &mut String) {
    ui.horizontal_wrapped(|ui| {
        for choice in all {
            if ui.selectable_label(value == choice, text::name(choice)).clicked() {
                value.clone_from(choice);
            }
        }
    });
}
