//! Colours and signs that this terminal has. Colours are the terminal's own sixteen, on its own background, so that light and dark
//! ones both can be read; none of them is the only sign of anything.

use gob_client::screen::Tone;
use ratatui::style::{Color, Modifier, Style};
use ratatui::symbols::border;

/// The colours of a terminal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Colours {
    /// None are wanted: bold, dim and reversed text is what there is.
    None,
    /// The sixteen.
    Sixteen,
    /// 256 or more, which the output of workers may use.
    Many,
}

/// Abilities of a terminal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Look {
    /// Its colours.
    pub colours: Colours,
    /// It shows Unicode.
    pub unicode: bool,
}

const ASCII: border::Set<'_> = border::Set {
    top_left: "+",
    top_right: "+",
    bottom_left: "+",
    bottom_right: "+",
    vertical_left: "|",
    vertical_right: "|",
    horizontal_top: "-",
    horizontal_bottom: "-",
};

impl Look {
    /// Returns the look that the environment tells of; `wants_colours` is gobctl's decision on `--color` and `NO_COLOR`.
    #[must_use]
    pub fn of(wants_colours: bool, variable: impl Fn(&str) -> Option<String>) -> Self {
        let has = |name: &str, part: &str| {
            variable(name).is_some_and(|value| value.to_ascii_lowercase().contains(part))
        };
        let colours = if !wants_colours {
            Colours::None
        } else if has("TERM", "256")
            || has("TERM", "direct")
            || has("COLORTERM", "truecolor")
            || has("COLORTERM", "24bit")
        {
            Colours::Many
        } else {
            Colours::Sixteen
        };
        let locale =
            ["LC_ALL", "LC_CTYPE", "LANG"].into_iter().filter_map(&variable).find(|value| !value.is_empty());
        // Without any locale it is the terminal of a container, most often, and all of them show it.
        let unicode = locale.is_none_or(|locale| {
            let locale = locale.to_ascii_lowercase();
            locale.contains("utf-8") || locale.contains("utf8")
        });
        Self { colours, unicode }
    }

    fn coloured(self, color: Color) -> Style {
        if self.colours == Colours::None { Style::new() } else { Style::new().fg(color) }
    }

    /// Returns the style of a tone.
    pub(crate) fn tone(self, tone: Tone) -> Style {
        match tone {
            Tone::Plain => self.coloured(Color::Green),
            Tone::Busy => self.coloured(Color::Yellow),
            Tone::Bad => self.coloured(Color::Red).add_modifier(Modifier::BOLD),
            Tone::Faint => self.faint(),
        }
    }

    /// Returns the sign of a tone.
    pub(crate) const fn dot(self, tone: Tone) -> &'static str {
        match (tone, self.unicode) {
            (Tone::Plain, true) => "●",
            (Tone::Busy, true) => "◐",
            (Tone::Bad, true) => "■",
            (Tone::Faint, true) => "○",
            (Tone::Plain, false) => "*",
            (Tone::Busy, false) => "~",
            (Tone::Bad, false) => "!",
            (Tone::Faint, false) => ".",
        }
    }

    /// Less important text.
    pub(crate) const fn faint(self) -> Style {
        Style::new().add_modifier(Modifier::DIM)
    }

    /// Headlines.
    pub(crate) const fn strong(self) -> Style {
        Style::new().add_modifier(Modifier::BOLD)
    }

    /// A key that can be pressed.
    pub(crate) fn key(self) -> Style {
        self.coloured(Color::Cyan).add_modifier(Modifier::BOLD)
    }

    /// The selected row of the pane that has the keys, and of another one. The first is one bar: reversed, the colours of its words
    /// would be patches.
    pub(crate) fn selected(self, focused: bool) -> Style {
        if focused {
            self.coloured(Color::Reset).remove_modifier(Modifier::DIM).add_modifier(Modifier::REVERSED)
        } else {
            Style::new().add_modifier(Modifier::BOLD)
        }
    }

    /// The frame of the pane that has the keys, and of another one.
    pub(crate) fn frame(self, focused: bool) -> Style {
        if focused { self.key() } else { self.faint() }
    }

    /// Lines of standard error.
    pub(crate) fn stderr(self) -> Style {
        self.coloured(Color::Yellow)
    }

    /// The lines that pane borders are made of.
    pub(crate) const fn border(self, focused: bool) -> border::Set<'static> {
        match (self.unicode, focused) {
            (false, _) => ASCII,
            (true, false) => border::PLAIN,
            (true, true) => border::THICK,
        }
    }

    /// The mark of text that is cut.
    pub(crate) const fn cut(self) -> &'static str {
        if self.unicode { "…" } else { "~" }
    }

    /// Returns a colour of a worker's output as this terminal has it.
    pub(crate) fn output(self, style: Style) -> Style {
        let fit = |color: Color| match self.colours {
            Colours::None => None,
            Colours::Many => Some(color),
            Colours::Sixteen => Some(of_sixteen(color)),
        };
        Style { fg: style.fg.and_then(fit), bg: style.bg.and_then(fit), ..style }
    }
}

/// Returns the nearest of the sixteen colours.
#[expect(clippy::wildcard_enum_match_arm, reason = "all others are of the sixteen")]
fn of_sixteen(color: Color) -> Color {
    match color {
        Color::Indexed(index @ 0..16) => named(index),
        Color::Indexed(index @ 16..232) => {
            let level = |part: u8| [0, 95, 135, 175, 215, 255].get(usize::from(part)).copied().unwrap_or(0);
            let index = index - 16;
            nearest(level(index / 36), level(index / 6 % 6), level(index % 6))
        }
        Color::Indexed(index) => {
            let grey = 8 + (index - 232) * 10;
            nearest(grey, grey, grey)
        }
        Color::Rgb(red, green, blue) => nearest(red, green, blue),
        color => color,
    }
}

const NAMED: [(Color, [u8; 3]); 16] = [
    (Color::Black, [0, 0, 0]),
    (Color::Red, [170, 0, 0]),
    (Color::Green, [0, 170, 0]),
    (Color::Yellow, [170, 85, 0]),
    (Color::Blue, [0, 0, 170]),
    (Color::Magenta, [170, 0, 170]),
    (Color::Cyan, [0, 170, 170]),
    (Color::Gray, [170, 170, 170]),
    (Color::DarkGray, [85, 85, 85]),
    (Color::LightRed, [255, 85, 85]),
    (Color::LightGreen, [85, 255, 85]),
    (Color::LightYellow, [255, 255, 85]),
    (Color::LightBlue, [85, 85, 255]),
    (Color::LightMagenta, [255, 85, 255]),
    (Color::LightCyan, [85, 255, 255]),
    (Color::White, [255, 255, 255]),
];

fn named(index: u8) -> Color {
    NAMED.get(usize::from(index)).map_or(Color::Reset, |(color, _)| *color)
}

fn nearest(red: u8, green: u8, blue: u8) -> Color {
    let far = |of: &[u8; 3]| -> u32 {
        of.iter().zip([red, green, blue]).map(|(a, b)| u32::from(a.abs_diff(b)).pow(2)).sum()
    };
    NAMED.iter().min_by_key(|(_, rgb)| far(rgb)).map_or(Color::Reset, |(color, _)| *color)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(wants_colours: bool, variables: &[(&str, &str)]) -> Look {
        Look::of(wants_colours, |name| {
            variables.iter().find(|(key, _)| *key == name).map(|(_, value)| (*value).to_owned())
        })
    }

    #[test]
    fn a_terminal_is_known_by_its_variables() {
        let many = of(true, &[("TERM", "xterm-256color"), ("LANG", "de_DE.UTF-8")]);
        assert_eq!(many, Look { colours: Colours::Many, unicode: true });
        assert_eq!(of(true, &[("TERM", "xterm")]).colours, Colours::Sixteen);
        assert_eq!(of(true, &[("TERM", "xterm"), ("COLORTERM", "truecolor")]).colours, Colours::Many);
        assert_eq!(of(false, &[("TERM", "xterm-256color")]).colours, Colours::None);
        assert!(!of(true, &[("LC_ALL", "C"), ("LANG", "de_DE.UTF-8")]).unicode);
        assert!(of(true, &[]).unicode);
    }

    #[test]
    fn signs_differ_without_any_colour() {
        for unicode in [true, false] {
            let look = Look { colours: Colours::None, unicode };
            let dots = [Tone::Plain, Tone::Busy, Tone::Bad, Tone::Faint].map(|tone| look.dot(tone));
            let different: std::collections::BTreeSet<&str> = dots.into_iter().collect();
            assert_eq!(different.len(), 4, "{dots:?}");
            assert_eq!(look.tone(Tone::Plain).fg, None);
        }
    }

    #[test]
    fn colours_of_output_are_those_that_there_are() {
        let style = Style::new().fg(Color::Rgb(250, 80, 90)).bg(Color::Indexed(4));
        let with = |colours| Look { colours, unicode: true }.output(style);
        assert_eq!(with(Colours::Many), style);
        assert_eq!(with(Colours::Sixteen), Style::new().fg(Color::LightRed).bg(Color::Blue));
        assert_eq!(with(Colours::None), Style::new());
        assert_eq!(of_sixteen(Color::Indexed(196)), Color::Red);
        assert_eq!(of_sixteen(Color::Indexed(255)), Color::White);
        assert_eq!(of_sixteen(Color::Green), Color::Green);
    }
}
