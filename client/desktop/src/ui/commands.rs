//! The palette: every command of the keyboard and every worker, found by words.

use super::keys::KEYS;
use super::{Desk, Scene};
use eframe::egui::{self, Key, Ui};
use gob_client::Name;
use gob_client::screen::text;

/// Lines that are offered at once.
const OFFERED: usize = 12;

/// The choice of a person in the palette.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Command {
    /// The effect of this key.
    Key(&'static str),
    /// The selection of a worker.
    Select(Name),
}

/// The words in the palette, and the line that Enter takes.
#[derive(Debug, Default)]
pub(super) struct Palette {
    typed: String,
    at: usize,
}

impl Palette {
    /// Returns the lines that have all words, commands first.
    fn offers(&self, scene: &Scene<'_>, selected: Option<&Name>) -> Vec<(Command, String)> {
        let typed = self.typed.to_lowercase();
        let has_words = |line: &str| {
            let line = line.to_lowercase();
            typed.split_whitespace().all(|word| line.contains(word))
        };
        let selected = selected.map(|name| text::name(name.as_str()));
        let commands = KEYS.iter().filter_map(|(key, what)| {
            let is_command = *key == "Enter" || (key.chars().count() == 1 && *key != ":");
            let line = of_worker(what, selected.as_deref())?;
            is_command.then(|| (Command::Key(key), format!("{line}  ({key})")))
        });
        let workers = scene.known.model.workers().map(|worker| {
            (Command::Select(worker.name.clone()), format!("go to {}", text::name(worker.name.as_str())))
        });
        commands.chain(workers).filter(|(_, line)| has_words(line)).take(OFFERED).collect()
    }
}

/// Returns what a key does, with the name of the worker that it is done to; `None` where there is no such worker.
fn of_worker(what: &str, selected: Option<&str>) -> Option<String> {
    let Some((verb, rest)) = what.split_once(" it") else {
        return what.ends_with(" the worker").then_some(()).map_or_else(
            || Some(what.to_owned()),
            |()| selected.map(|name| what.replace("the worker", name)),
        );
    };
    selected.map(|name| format!("{verb} {name}{rest}"))
}

impl Desk {
    /// Adds the palette; true when a line was chosen.
    pub(super) fn palette(&mut self, ui: &mut Ui, scene: &Scene<'_>, palette: &mut Palette) -> bool {
        let label = ui.label("Words of a command, or the name of a worker");
        let field = egui::TextEdit::singleline(&mut palette.typed)
            .hint_text("such as restart")
            .desired_width(f32::INFINITY)
            .return_key(None);
        let field = ui.add(field).labelled_by(label.id);
        self.take_focus(&field);
        if field.changed() {
            palette.at = 0;
        }
        let offers = palette.offers(scene, self.list.selected());
        let (up, down, enter) = ui.input(|input| {
            (
                input.key_pressed(Key::ArrowUp),
                input.key_pressed(Key::ArrowDown),
                input.key_pressed(Key::Enter),
            )
        });
        palette.at = (palette.at + usize::from(down)).saturating_sub(usize::from(up));
        palette.at = palette.at.min(offers.len().saturating_sub(1));
        if offers.is_empty() {
            ui.label("No command and no worker has these words.");
        }
        let mut chosen = None;
        for (index, (command, line)) in offers.into_iter().enumerate() {
            let is_at = index == palette.at;
            if ui.selectable_label(is_at, line).clicked() || (is_at && enter) {
                chosen = Some(command);
            }
        }
        let is_chosen = chosen.is_some();
        if is_chosen {
            self.chosen = chosen;
            // The next frame does it, once the dialog has let go of the keys.
            ui.ctx().request_repaint();
        }
        is_chosen
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_names_its_worker_and_is_left_out_without_one() {
        assert_eq!(of_worker("restart it", Some("notes")).as_deref(), Some("restart notes"));
        assert_eq!(of_worker("start the worker", Some("notes")).as_deref(), Some("start notes"));
        assert_eq!(
            of_worker("hold it, or let go of it", Some("x")).as_deref(),
            Some("hold x, or let go of it")
        );
        assert_eq!((of_worker("stop it", None), of_worker("start the worker", None)), (None, None));
        assert_eq!(of_worker("settings", None).as_deref(), Some("settings"));
    }

    #[test]
    fn what_keys_do_that_is_no_command_is_not_offered_as_one() {
        let commands = KEYS.iter().filter(|(key, _)| key.chars().count() == 1 || *key == "Enter");
        assert_eq!(commands.count(), 15);
    }
}
