//! Actions on a worker, and the reasons against them.

use super::dialog::Dialog;
use super::parts::button;
use super::{Desk, Focus, Scene};
use crate::asks::Ask;
use eframe::egui;
use gob_client::View;
use gob_client::screen::{self, Action, Link, Reason};

impl Desk {
    /// Adds the buttons of a worker. Each that makes no sense now is there all the same, and says why.
    pub(super) fn actions(&mut self, ui: &mut egui::Ui, scene: &Scene<'_>, worker: &View) {
        let away = (!scene.known.link.is_up()).then(|| Link::AWAY.to_owned());
        let actions = screen::actions(worker, &self.me);
        ui.horizontal_wrapped(|ui| {
            for (action, allowed) in &actions {
                let refusal = allowed.as_ref().err().map(ToString::to_string);
                let reason = away.clone().or(refusal);
                let response = button(ui, label(*action), reason.as_deref());
                if self.focus == Some(Focus::Details) && reason.is_none() {
                    response.request_focus();
                    self.focus = None;
                }
                if response.clicked() {
                    self.act(*action, worker);
                }
                if *action == Action::Stop && button(ui, "Kill", reason.as_deref()).clicked() {
                    self.ask(Ask::Stop { name: worker.name.clone(), force: true });
                }
            }
            self.lease_button(ui, worker, away.as_deref());
        });
        if let Some(line) = note(&actions) {
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
            Action::Signal => self.open(Dialog::signal(name)),
            Action::HandOver => self.open(Dialog::hand_over(name)),
            Action::Remove => self.open(Dialog::remove(name)),
        }
    }

    /// Does what a key asks for, or says why not. `force` makes a stop a kill.
    pub(super) fn try_act(&mut self, action: Action, force: bool, worker: &View, scene: &Scene<'_>) {
        let refusal = if scene.known.link.is_up() {
            let mut all = screen::actions(worker, &self.me).into_iter();
            all.find(|(of, _)| *of == action)
                .and_then(|(_, allowed)| allowed.err())
                .map(|why| why.to_string())
        } else {
            Some(Link::AWAY.to_owned())
        };
        match refusal {
            Some(why) => {
                let verb = if force { "Kill" } else { label(action).trim_end_matches('…') };
                self.toasts.say(format!("{verb}: {why}"))
            }
            None if force => self.ask(Ask::Stop { name: worker.name.clone(), force }),
            None => self.act(action, worker),
        }
    }
}

/// Returns an action as its button has it. Those that ask something first end in dots.
pub(super) const fn label(action: Action) -> &'static str {
    match action {
        Action::Start => "Start",
        Action::Stop => "Stop",
        Action::Restart => "Restart",
        Action::Signal => "Signal…",
        Action::HandOver => "Hand over…",
        Action::Remove => "Remove…",
    }
}

/// Returns the line below the buttons for a worker that is in other hands.
fn note(actions: &[(Action, screen::Allowed)]) -> Option<String> {
    let (_, allowed) = actions.iter().find(|(action, _)| *action == Action::HandOver)?;
    match allowed.as_ref().err()? {
        Reason::Others(owner) => Some(format!(
            "It is owned by {owner}: you can use it, not stop it. {owner} can stop it, or hand it over to you."
        )),
        reason @ (Reason::Nobodys | Reason::Foreign) => Some(format!("Use it as you like; {reason}.")),
        Reason::Served | Reason::Already(_) | Reason::NoProcess(_) | Reason::Up(_) | Reason::Blocked(_) => {
            None
        }
    }
}
