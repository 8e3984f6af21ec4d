//! Small parts that several places of the window draw alike.

use crate::palette::Palette;
use eframe::egui::{self, Color32, Response, RichText, Sense, Ui, vec2};
use gob_client::screen::{Tone, Trouble};

/// Paints a dot in the colour of a tone. The word beside it says the same.
pub(super) fn dot(ui: &mut Ui, tone: Tone) {
    let color = Palette::of(ui).tone(tone);
    let (rect, _) = ui.allocate_exact_size(vec2(12.0, 12.0), Sense::hover());
    paint_dot(ui, rect.center(), tone, color);
}

/// Paints a dot: full, a ring for something at rest, a square for something bad, so that colour is not the only sign.
pub(super) fn paint_dot(ui: &Ui, center: egui::Pos2, tone: Tone, color: Color32) {
    let painter = ui.painter();
    match tone {
        Tone::Plain => painter.circle_filled(center, 5.0, color),
        Tone::Busy => {
            painter.circle_stroke(center, 4.5, (2.0, color));
            painter.circle_filled(center, 2.0, color)
        }
        Tone::Bad => {
            let square = egui::Rect::from_center_size(center, vec2(10.0, 10.0));
            painter.rect_filled(square, 2.0, color)
        }
        Tone::Faint => painter.circle_stroke(center, 4.0, (1.5, color)),
    };
}

/// Adds a button that may be disabled. The reason is its tooltip and its description for those who hear it.
pub(super) fn button(ui: &mut Ui, label: &str, reason: Option<&str>) -> Response {
    let response = ui.add_enabled(reason.is_none(), egui::Button::new(label));
    let Some(reason) = reason else { return response };
    ui.ctx().accesskit_node_builder(response.id, |node| node.set_description(reason));
    response.on_disabled_hover_text(reason)
}

/// Adds a title of a section.
pub(super) fn section(ui: &mut Ui, title: &str) {
    ui.add_space(8.0);
    ui.label(RichText::new(title).strong());
}

/// Adds a text of programs, in letters of one width.
pub(super) fn code(ui: &mut Ui, text: &str) {
    ui.add(egui::Label::new(RichText::new(text).monospace()).wrap());
}

/// Adds the words of an error: its message, code, cause and hint as they are.
pub(super) fn trouble(ui: &mut Ui, trouble: &Trouble) {
    let palette = Palette::of(ui);
    ui.colored_label(palette.bad, format!("{} ({})", trouble.message, trouble.code));
    for line in [&trouble.cause, &trouble.hint].into_iter().flatten() {
        ui.label(line);
    }
}
