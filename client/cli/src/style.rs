//! Colours. They are never the only sign of a state, and only used where they are wanted.

use anstyle::{AnsiColor, Style};

/// The word `error:`, a check that fails, a worker that failed.
pub(crate) const BAD: Style = AnsiColor::Red.on_default();
/// A warning, or work in progress.
pub(crate) const WARN: Style = AnsiColor::Yellow.on_default();
/// A worker that has become ready.
pub(crate) const GOOD: Style = AnsiColor::Green.on_default();
/// Less important text, and hints.
pub(crate) const FAINT: Style = Style::new().dimmed();
/// The head of a table.
pub(crate) const HEAD: Style = Style::new().bold();
/// Names before lines, one after the other.
pub(crate) const NAMES: [Style; 6] = [
    AnsiColor::Cyan.on_default(),
    AnsiColor::Yellow.on_default(),
    AnsiColor::Green.on_default(),
    AnsiColor::Magenta.on_default(),
    AnsiColor::Blue.on_default(),
    AnsiColor::Red.on_default(),
];
/// Unstyled text.
pub(crate) const PLAIN: Style = Style::new();

/// Returns the text in this style, if colours are wanted.
pub(crate) fn paint(text: &str, style: Style, wanted: bool) -> String {
    if wanted && style != PLAIN { format!("{style}{text}{style:#}") } else { text.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn colour_only_where_it_is_wanted() {
        assert_eq!(paint("x", BAD, true), "\u{1b}[31mx\u{1b}[0m");
        assert_eq!((paint("x", BAD, false), paint("x", PLAIN, true)), ("x".to_owned(), "x".to_owned()));
    }
}
