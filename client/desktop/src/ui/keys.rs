//! The keyboard. Letters are the keys of the terminal's screen; none counts while a text is typed or a dialog is open.

use super::dialog::Dialog;
use super::{Desk, Focus, Intent, Lower, Scene};
use eframe::egui::{self, Event, Key, RichText, Ui};
use gob_client::View;
use gob_client::screen::Action;
use gob_client::surface::{Choice, Command};

/// The keys, in order, with what they do. Those of one letter are commands, too.
const KEYS: [(&str, &str); 20] = [
    ("j  k  Down  Up", "move in the list of workers"),
    ("Enter", "start the worker"),
    ("s", "stop it"),
    ("S", "kill it"),
    ("r", "restart it"),
    ("d", "remove it"),
    ("o", "hand it over"),
    ("l", "hold it, or let go of it"),
    ("n", "start a graph"),
    ("N", "run a command"),
    ("f", "follow the log, or stop following"),
    ("w", "wrap long lines"),
    ("/", "filter the workers"),
    (":", "find a command or a worker by words"),
    ("Ctrl F", "search the log"),
    ("1  2  3  4", "workers, details, log, events"),
    ("Tab  Space", "go to the next control, and press it"),
    (",", "settings"),
    ("Esc", "close a dialog or a message, clear the filter"),
    ("q", "close the window; workers go on"),
];

/// Returns the keys that the palette offers: those of one letter, but for its own.
pub(super) fn commands() -> Vec<Command> {
    let is_command = |key: &str| key == "Enter" || (key.chars().count() == 1 && key != ":");
    KEYS.into_iter().filter(|(key, _)| is_command(key)).collect()
}

/// Lists the keys.
pub(super) fn help(ui: &mut Ui) {
    egui::Grid::new("keys").spacing([20.0, 4.0]).show(ui, |ui| {
        for (keys, what) in KEYS {
            ui.label(RichText::new(keys).strong());
            ui.label(what);
            ui.end_row();
        }
    });
}

impl Desk {
    #[expect(clippy::wildcard_enum_match_arm, reason = "events of all other sorts are egui's")]
    pub(super) fn keys(&mut self, ui: &Ui, scene: &Scene<'_>, shown: &[&View], selected: Option<&View>) {
        let egui = ui.ctx();
        if self.has_dialog() {
            return;
        }
        if let Some(chosen) = self.chosen.take() {
            self.fulfil(&chosen, scene, shown, selected);
        }
        let is_typing = egui.text_edit_focused();
        let focused = egui.memory(|memory| memory.focused());
        let row = self.shared.list.selected().map(|name| egui::Id::unique(("worker", name.as_str())));
        let on_list = focused.is_none() || focused == row;
        let events = egui.input(|input| input.events.clone());
        for event in &events {
            match event {
                Event::Key { key: Key::F, pressed: true, modifiers, .. } if modifiers.command => {
                    self.lower = Lower::Log;
                    self.focus = Some(Focus::Search);
                }
                Event::Key { key: Key::Escape, pressed: true, .. } => self.escape(),
                Event::Key { key, pressed: true, .. } if !is_typing && on_list => {
                    self.list_key(*key, shown, selected, scene);
                }
                Event::Text(text) if !is_typing => self.letter(text, scene, shown, selected),
                _ => {}
            }
        }
    }

    fn fulfil(&mut self, chosen: &Choice, scene: &Scene<'_>, shown: &[&View], selected: Option<&View>) {
        match chosen {
            Choice::Key("Enter") => self.list_key(Key::Enter, shown, selected, scene),
            Choice::Key(letter) => self.letter(letter, scene, shown, selected),
            Choice::Select(name) => {
                self.shared.list.filter.clear();
                self.shared.list.select(name.clone());
                self.focus = Some(Focus::List);
            }
        }
    }

    fn escape(&mut self) {
        if !self.toasts.close() {
            self.shared.list.filter.clear();
        }
    }

    #[expect(clippy::wildcard_enum_match_arm, reason = "a keyboard has a hundred keys")]
    fn list_key(&mut self, key: Key, shown: &[&View], selected: Option<&View>, scene: &Scene<'_>) {
        let page = 10;
        match key {
            Key::ArrowDown => self.step(shown, 1),
            Key::ArrowUp => self.step(shown, -1),
            Key::PageDown => self.step(shown, page),
            Key::PageUp => self.step(shown, -page),
            Key::Home => self.step(shown, isize::MIN),
            Key::End => self.step(shown, isize::MAX),
            Key::Enter => {
                if let Some(worker) = selected {
                    self.act(Action::Start, false, worker, scene);
                }
            }
            _ => {}
        }
    }

    fn step(&mut self, shown: &[&View], by: isize) {
        self.shared.list.step(shown, by);
        self.focus = Some(Focus::List);
    }

    fn letter(&mut self, letter: &str, scene: &Scene<'_>, shown: &[&View], selected: Option<&View>) {
        match letter {
            "j" => self.step(shown, 1),
            "k" => self.step(shown, -1),
            "n" if scene.known.link.is_up() => self.open_start(),
            "N" if scene.known.link.is_up() => self.open_job(scene),
            "f" => self.intents.push(Intent::Follow(!scene.page.follows)),
            "w" => {
                self.settings.wrap = !self.settings.wrap;
                self.intents.push(Intent::Save);
            }
            "/" => self.focus = Some(Focus::Filter),
            "1" => self.focus = Some(Focus::List),
            "2" => self.focus = Some(Focus::Details),
            "3" => (self.lower, self.focus) = (Lower::Log, Some(Focus::Log)),
            "4" => (self.lower, self.focus) = (Lower::Events, Some(Focus::Events)),
            ":" => self.open(Dialog::palette()),
            "," => self.open(Dialog::settings()),
            "?" => self.open(Dialog::help()),
            "q" => self.intents.push(Intent::Quit),
            letter => self.worker_letter(letter, scene, selected),
        }
    }

    fn worker_letter(&mut self, letter: &str, scene: &Scene<'_>, selected: Option<&View>) {
        let Some(worker) = selected else { return };
        let (action, force) = match letter {
            "s" => (Action::Stop, false),
            "S" => (Action::Stop, true),
            "r" => (Action::Restart, false),
            "d" => (Action::Remove, false),
            "o" => (Action::HandOver, false),
            "l" => return self.change_lease(worker, scene),
            _ => return,
        };
        self.act(action, force, worker, scene);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_keys_do_that_is_no_command_is_not_offered_as_one() {
        assert_eq!(commands().len(), 14);
    }
}
