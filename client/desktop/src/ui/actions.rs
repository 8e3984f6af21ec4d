//! Actions on a worker, and the reasons against them.

use super::dialog::Dialog;
use super::parts::button;
use super::{Desk, Focus, Scene};
use eframe::egui;
use gob_client::View;
use gob_client::screen::{self, Action, Link};
use gob_client::surface::{Ask, Form};

impl Desk {
    /// Adds the buttons of a worker. Each that makes no sense now is there all the same, and says why.
    pub(super) fn actions(&mut self, ui: &mut egui::Ui, scene: &Scene<'_>, worker: &View) {
        let away = (!scene.known.link.is_up()).then_some(Link::AWAY);
        ui.horizontal_wrapped(|ui| {
            for action in Action::ALL {
                let reason = screen::refusal(action, worker, &self.me, &scene.known.link);
                let response = button(ui, &label(action), reason.as_deref());
                if self.focus == Some(Focus::Details) && reason.is_none() {
                    response.request_focus();
                    self.focus = None;
                }
                if response.clicked() {
                    self.act(action, worker);
                }
                if action == Action::Stop && button(ui, "Kill", reason.as_deref()).clicked() {
                    self.ask(Ask::Stop { name: worker.name.clone(), force: true });
                }
            }
            self.lease_button(ui, worker, away);
        });
        if let Some(line) = screen::in_other_hands(worker, &self.me) {
            ui.label(line);
        }
    }

    fn lease_button(&mut self, ui: &mut egui::Ui, worker: &View, away: Option<&str>) {
        let label = if self.held.contains(&worker.name) { "Let go" } else { "Hold" };
        if button(ui, label, away).clicked() {
            self.change_lease(worker);
        }
    }

    fn change_lease(&mut self, worker: &View) {
        let name = worker.name.clone();
        if self.held.remove(&name) {
            self.ask(Ask::Release { name });
        } else {
            self.held.insert(name.clone());
            self.ask(Ask::Lease { name });
        }
    }

    /// Takes a lease or gives it back, as a key asks for.
    pub(super) fn toggle_lease(&mut self, scene: &Scene<'_>, worker: &View) {
        if scene.known.link.is_up() {
            self.change_lease(worker);
        } else {
            self.toasts.say(format!("Hold: {}", Link::AWAY));
        }
    }

    /// Does what a button or a key asks for, which must be allowed.
    fn act(&mut self, action: Action, worker: &View) {
        let name = worker.name.clone();
        match action {
            Action::Start => self.ask(Ask::Start { name, kind: None }),
            Action::Stop => self.ask(Ask::Stop { name, force: false }),
            Action::Restart => self.ask(Ask::Restart { name }),
            Action::Signal => self.open(Dialog::form(Form::Signal { worker: name, signal: String::new() })),
            Action::HandOver => self.open(Dialog::form(Form::HandOver { worker: name, to: String::new() })),
            Action::Remove => self.open(Dialog::form(Form::Remove { worker: name })),
        }
    }

    /// Does what a key asks for, or says why not. `force` makes a stop a kill.
    pub(super) fn try_act(&mut self, action: Action, force: bool, worker: &View, scene: &Scene<'_>) {
        match screen::refusal(action, worker, &self.me, &scene.known.link) {
            Some(why) => {
                let verb = if force { "Kill" } else { action.label() };
                self.toasts.say(format!("{verb}: {why}"))
            }
            None if force => self.ask(Ask::Stop { name: worker.name.clone(), force }),
            None => self.act(action, worker),
        }
    }
}

/// Returns an action as its button has it. Those that ask something first end in dots.
pub(super) fn label(action: Action) -> String {
    format!("{}{}", action.label(), if action.asks() { "…" } else { "" })
}
