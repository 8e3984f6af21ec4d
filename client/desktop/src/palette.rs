//! The colours of both themes. A test measures their contrast.

use eframe::egui::{self, Color32, CornerRadius, Stroke, Visuals};
use gob_client::screen::Tone;

/// The colours of a theme.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Palette {
    pub(crate) is_dark: bool,
    /// Behind everything.
    pub(crate) ground: Color32,
    /// Behind the list, texts of logs and fields.
    pub(crate) well: Color32,
    /// Behind dialogs and buttons.
    pub(crate) raised: Color32,
    /// Behind a button under the pointer.
    pub(crate) hovered: Color32,
    /// Behind what is selected.
    pub(crate) selected: Color32,
    /// Between parts.
    pub(crate) line: Color32,
    /// Around controls.
    pub(crate) edge: Color32,
    pub(crate) text: Color32,
    pub(crate) faint: Color32,
    pub(crate) good: Color32,
    pub(crate) busy: Color32,
    pub(crate) bad: Color32,
    pub(crate) accent: Color32,
}

pub(crate) const DARK: Palette = Palette {
    is_dark: true,
    ground: Color32::from_rgb(0x1c, 0x1f, 0x24),
    well: Color32::from_rgb(0x14, 0x16, 0x1a),
    raised: Color32::from_rgb(0x2a, 0x2f, 0x37),
    hovered: Color32::from_rgb(0x36, 0x3d, 0x47),
    selected: Color32::from_rgb(0x24, 0x3b, 0x5a),
    line: Color32::from_rgb(0x3c, 0x43, 0x4d),
    edge: Color32::from_rgb(0x7d, 0x86, 0x93),
    text: Color32::from_rgb(0xec, 0xee, 0xf1),
    faint: Color32::from_rgb(0xb3, 0xba, 0xc4),
    good: Color32::from_rgb(0x6f, 0xd8, 0x97),
    busy: Color32::from_rgb(0xf2, 0xc3, 0x58),
    bad: Color32::from_rgb(0xff, 0x9a, 0x91),
    accent: Color32::from_rgb(0x8c, 0xbc, 0xff),
};

pub(crate) const LIGHT: Palette = Palette {
    is_dark: false,
    ground: Color32::from_rgb(0xf5, 0xf6, 0xf8),
    well: Color32::from_rgb(0xff, 0xff, 0xff),
    raised: Color32::from_rgb(0xe6, 0xe9, 0xee),
    hovered: Color32::from_rgb(0xd9, 0xde, 0xe6),
    selected: Color32::from_rgb(0xd3, 0xe3, 0xfa),
    line: Color32::from_rgb(0xc3, 0xc9, 0xd2),
    edge: Color32::from_rgb(0x77, 0x7f, 0x8a),
    text: Color32::from_rgb(0x1b, 0x1f, 0x24),
    faint: Color32::from_rgb(0x4a, 0x52, 0x5d),
    good: Color32::from_rgb(0x0b, 0x5c, 0x2e),
    busy: Color32::from_rgb(0x6b, 0x47, 0x00),
    bad: Color32::from_rgb(0x9c, 0x1c, 0x15),
    accent: Color32::from_rgb(0x0b, 0x4c, 0x9c),
};

impl Palette {
    /// Returns the colours of the theme that is in force.
    pub(crate) fn of(ui: &egui::Ui) -> &'static Self {
        if ui.visuals().dark_mode { &DARK } else { &LIGHT }
    }

    /// Returns the colour of a tone.
    pub(crate) const fn tone(&self, tone: Tone) -> Color32 {
        match tone {
            Tone::Plain => self.good,
            Tone::Busy => self.busy,
            Tone::Bad => self.bad,
            Tone::Faint => self.faint,
        }
    }

    /// Returns the look of egui's own widgets.
    pub(crate) fn visuals(&self) -> Visuals {
        let mut visuals = if self.is_dark { Visuals::dark() } else { Visuals::light() };
        visuals.panel_fill = self.ground;
        visuals.window_fill = self.ground;
        visuals.window_stroke = Stroke::new(1.0, self.line);
        visuals.extreme_bg_color = self.well;
        visuals.text_edit_bg_color = Some(self.well);
        visuals.faint_bg_color = self.raised;
        visuals.code_bg_color = self.raised;
        visuals.hyperlink_color = self.accent;
        visuals.warn_fg_color = self.busy;
        visuals.error_fg_color = self.bad;
        visuals.weak_text_color = Some(self.faint);
        visuals.selection.bg_fill = self.selected;
        visuals.selection.stroke = Stroke::new(1.0, self.text);
        let widgets = &mut visuals.widgets;
        let states = [
            (&mut widgets.noninteractive, self.ground, self.line),
            (&mut widgets.inactive, self.raised, self.edge),
            (&mut widgets.hovered, self.hovered, self.faint),
            (&mut widgets.active, self.selected, self.accent),
            (&mut widgets.open, self.raised, self.edge),
        ];
        for (widget, fill, line) in states {
            widget.bg_fill = fill;
            widget.weak_bg_fill = fill;
            widget.bg_stroke = Stroke::new(1.0, line);
            widget.fg_stroke = Stroke::new(1.0, self.text);
            widget.corner_radius = CornerRadius::same(4);
            widget.expansion = 0.0;
        }
        visuals
    }
}

/// Gives egui both themes.
pub(crate) fn install(egui: &egui::Context) {
    egui.set_visuals_of(egui::Theme::Dark, DARK.visuals());
    egui.set_visuals_of(egui::Theme::Light, LIGHT.visuals());
    egui.all_styles_mut(|style| {
        style.spacing.item_spacing = egui::vec2(8.0, 6.0);
        style.spacing.button_padding = egui::vec2(10.0, 4.0);
        style.interaction.selectable_labels = true;
        // An animation is a repaint that no event asked for.
        style.animation_time = 0.0;
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    fn luminance(color: Color32) -> f64 {
        let channel = |value: u8| {
            let share = f64::from(value) / 255.0;
            if share <= 0.040_45 { share / 12.92 } else { ((share + 0.055) / 1.055).powf(2.4) }
        };
        0.2126 * channel(color.r()) + 0.7152 * channel(color.g()) + 0.0722 * channel(color.b())
    }

    fn contrast(a: Color32, b: Color32) -> f64 {
        let (a, b) = (luminance(a), luminance(b));
        (a.max(b) + 0.05) / (a.min(b) + 0.05)
    }

    #[test]
    fn every_text_has_contrast_on_every_ground_in_both_themes() {
        assert!((contrast(Color32::WHITE, Color32::BLACK) - 21.0).abs() < 0.01);
        for palette in [DARK, LIGHT] {
            let texts =
                [palette.text, palette.faint, palette.good, palette.busy, palette.bad, palette.accent];
            let grounds = [palette.ground, palette.well, palette.raised, palette.hovered, palette.selected];
            for ground in [palette.ground, palette.well, palette.raised] {
                let ratio = contrast(palette.edge, ground);
                assert!(ratio >= 3.0, "the edge of a control on {ground:?} has {ratio:.2}");
            }
            for text in texts {
                for ground in grounds {
                    let ratio = contrast(text, ground);
                    assert!(ratio >= 4.5, "{text:?} on {ground:?} has {ratio:.2}");
                }
            }
        }
    }

    #[test]
    fn the_widgets_of_egui_have_these_colours() {
        for palette in [DARK, LIGHT] {
            let visuals = palette.visuals();
            let widgets = visuals.widgets;
            for widget in
                [widgets.noninteractive, widgets.inactive, widgets.hovered, widgets.active, widgets.open]
            {
                assert!(contrast(widget.fg_stroke.color, widget.weak_bg_fill) >= 4.5);
                assert_eq!(widget.fg_stroke.color, palette.text);
            }
            assert_eq!(visuals.weak_text_color, Some(palette.faint));
        }
    }
}
