//! Keys and clicks that do something about the selected worker.

use super::dialog::Dialog;
use super::{Intent, Scene, Ui};
use gob_client::View;
use gob_client::screen::{Action, Link, text};
use gob_client::surface::{Acted, Ask, Form};

/// The actions in order, with their keys; the force of a stop makes it a kill.
pub(super) const KEYED: [(&str, Action, bool); 7] = [
    ("Enter", Action::Start, false),
    ("s", Action::Stop, false),
    ("S", Action::Stop, true),
    ("r", Action::Restart, false),
    ("x", Action::Signal, false),
    ("o", Action::HandOver, false),
    ("d", Action::Remove, false),
];

impl Ui {
    /// Does what the key of an action asks for; false where it is no such key.
    pub(super) fn act(&mut self, key: &str, selected: Option<&View>, scene: &Scene<'_>) -> bool {
        let keyed = KEYED.into_iter().find(|(of, _, _)| *of == key);
        if keyed.is_none() && !matches!(key, "l" | "c" | "p") {
            return false;
        }
        let Some(worker) = selected else {
            self.said.say("No worker is selected.".to_owned(), scene.instant);
            return true;
        };
        let link = &scene.known.link;
        let acted = match (keyed, key) {
            (Some((_, action, force)), _) => self.shared.act(action, force, worker, link),
            (None, "l") => self.shared.change_lease(worker, link),
            (None, "c") => return self.copy_endpoint(worker, scene),
            (None, _) if !link.is_up() => Acted::Refused(format!("Ports: {}", Link::AWAY)),
            (None, _) => {
                self.shared.ask(Ask::Ports { name: worker.name.clone() });
                Acted::Asked
            }
        };
        match acted {
            Acted::Asked => {}
            Acted::Form(form) => self.open_form(form),
            Acted::Refused(why) => {
                let name = text::name(worker.name.as_str());
                self.said.refuse(&worker.name, format!("{name}: {why}"), scene.instant);
            }
        }
        true
    }

    fn copy_endpoint(&mut self, worker: &View, scene: &Scene<'_>) -> bool {
        match (&worker.endpoint, worker.ports.first()) {
            (Some(endpoint), _) => self.copy(endpoint.to_string(), &text::escape(endpoint), scene),
            (None, Some(port)) => {
                let address = format!("localhost:{}", port.port);
                self.copy(address.clone(), &address, scene);
            }
            (None, None) => {
                let why = "It has no endpoint, and listens on no port that was seen.".to_owned();
                self.said.refuse(&worker.name, why, scene.instant);
            }
        }
        true
    }

    /// Puts a text on the clipboard, and says so.
    pub(super) fn copy(&mut self, text: String, what: &str, scene: &Scene<'_>) {
        self.intents.push(Intent::Copy(text));
        self.said.say(format!("copied {what}"), scene.instant);
    }

    /// Opens a form, or says why it could not be sent.
    pub(super) fn open_new(&mut self, form: Form, scene: &Scene<'_>) {
        if !scene.known.link.is_up() {
            return self.said.say(format!("{}: {}", form.title(), Link::AWAY), scene.instant);
        }
        if matches!(form, Form::StartGraph { .. }) {
            self.shared.ask_for_graphs();
            self.intents.push(Intent::Kinds);
        }
        self.open_form(form);
    }

    fn open_form(&mut self, form: Form) {
        self.dialog = Some(Dialog::form(form));
    }
}
