//! The palette: every command of the keyboard and every worker, found by words.

use super::keys::commands;
use super::{Desk, Scene};
use eframe::egui::{self, Key, Ui};
use gob_client::surface::offers;

/// The words in the palette, and the line that Enter takes.
#[derive(Debug, Default)]
pub(super) struct Palette {
    typed: String,
    at: usize,
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
        let offers =
            offers(&palette.typed, &commands(), scene.known.model.workers(), self.shared.list.selected());
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
