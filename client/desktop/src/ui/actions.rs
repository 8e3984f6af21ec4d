//! Actions on a worker, and the reasons against them.

use super::dialog::Dialog;
use super::parts::button;
use super::{Desk, Focus, Scene};
use eframe::egui;
use gob_client::View;
use gob_client::screen::{self, Action, Link};
use gob_client::surface::Acted;

impl Desk {
    /// Adds the buttons of a worker. Each that makes no sense now is there all the same, and says why.
    pub(super) fn actions(&mut self, ui: &mut egui::Ui, scene: &Scene<'_>, worker: &View) {
        ui.horizontal_wrapped(|ui| {
            for action in Action::ALL {
                let reason = screen::refusal(action, worker, &self.shared.me, &scene.known.link);
                let response = button(ui, &label(action), reason.as_deref());
                if self.focus == Some(Focus::Details) && reason.is_none() {
                    response.request_focus();
                    self.focus = None;
                }
                if response.clicked() {
                    self.act(action, false, worker, scene);
                }
                if action == Action::Stop && button(ui, "Kill", reason.as_deref()).clicked() {
                    self.act(action, true, worker, scene);
                }
            }
            self.lease_button(ui, worker, scene);
        });
        if let Some(line) = screen::in_other_hands(worker, &self.shared.me) {
            ui.label(line);
        }
    }

    fn lease_button(&mut self, ui: &mut egui::Ui, worker: &View, scene: &Scene<'_>) {
        let label = if self.shared.held.contains(&worker.name) { "Let go" } else { "Hold" };
        let away = (!scene.known.link.is_up()).then_some(Link::AWAY);
        if button(ui, label, away).clicked() {
            self.change_lease(worker, scene);
        }
    }

    /// Takes a lease or gives it back.
    pub(super) fn change_lease(&mut self, worker: &View, scene: &Scene<'_>) {
        let acted = self.shared.change_lease(worker, &scene.known.link);
        self.acted(acted);
    }

    /// Does what a button or a key asks for, or says why not. `force` makes a stop a kill.
    pub(super) fn act(&mut self, action: Action, force: bool, worker: &View, scene: &Scene<'_>) {
        let acted = self.shared.act(action, force, worker, &scene.known.link);
        self.acted(acted);
    }

    fn acted(&mut self, acted: Acted) {
        match acted {
            Acted::Asked => {}
            Acted::Form(form) => self.open(Dialog::form(form)),
            Acted::Refused(why) => self.toasts.say(why),
        }
    }
}

/// Returns an action as its button has it. Those that ask something first end in dots.
pub(super) fn label(action: Action) -> String {
    format!("{}{}", action.label(), if action.asks() { "…" } else { "" })
}
