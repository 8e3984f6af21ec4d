//! Texts of workers and programs, made safe to show.

use std::borrow::Cow;
use std::fmt::Write as _;

/// Escapes every character that a terminal acts upon: control characters, and those that change the order of
/// others. They are shown as `\x1b` or `\u{202e}`.
#[must_use]
pub fn escape(text: &str) -> String {
    if text.bytes().all(|byte| matches!(byte, b' '..=b'~')) {
        return text.to_owned();
    }
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        if !is_unsafe(c) {
            out.push(c);
        } else if (c as u32) < 0x100 {
            write!(out, "\\x{:02x}", c as u32).ok();
        } else {
            write!(out, "\\u{{{:x}}}", c as u32).ok();
        }
    }
    out
}

/// Returns a name for a list, where names must be distinguishable: characters without a cell of their own,
/// and blanks at either end, are shown as `\u{20}` or `\u{301}`. So é as one character is another name than é
/// as two.
#[must_use]
pub fn name(name: &str) -> String {
    let body = name.trim_matches(char::is_whitespace);
    let before = name.len() - name.trim_start_matches(char::is_whitespace).len();
    if name.is_ascii() && body.len() == name.len() {
        return escape(name);
    }
    let mut out = String::with_capacity(name.len());
    for (at, c) in name.char_indices() {
        let at_end = at < before || at >= before + body.len();
        if at_end || is_hidden(c) {
            write!(out, "\\u{{{:x}}}", c as u32).ok();
        } else {
            out.push_str(&escape(c.encode_utf8(&mut [0; 4])));
        }
    }
    out
}

/// Returns whether a character changes the one before it, or is invisible, so that two names look the same.
fn is_hidden(c: char) -> bool {
    matches!(c, '\u{300}'..='\u{36f}' | '\u{1ab0}'..='\u{1aff}' | '\u{1dc0}'..='\u{1dff}' | '\u{20d0}'..='\u{20ff}')
        || matches!(c, '\u{3099}' | '\u{309a}' | '\u{1160}'..='\u{11ff}')
        || matches!(c, '\u{ad}' | '\u{34f}' | '\u{200b}' | '\u{2060}' | '\u{feff}' | '\u{a0}')
}

/// Blanks in place of a tab, as no surface but a terminal knows its stops.
const TAB: &str = "    ";

/// Returns a line of a program's output as text: the sequences by which programs colour and move are left out, other control
/// characters are escaped.
#[must_use]
pub fn output(line: &str) -> Cow<'_, str> {
    shown(line, false)
}

/// As [`output`], with the sequences that colour text (SGR; ECMA-48, 8.3.117) still in it.
#[must_use]
pub fn coloured_output(line: &str) -> Cow<'_, str> {
    shown(line, true)
}

fn shown(line: &str, keeps_colours: bool) -> Cow<'_, str> {
    if line.bytes().all(|byte| matches!(byte, b' '..=b'~')) || !line.chars().any(is_unsafe) {
        return Cow::Borrowed(line);
    }
    let mut out = String::with_capacity(line.len());
    let mut chars = line.chars().peekable();
    while let Some(c) = chars.next() {
        match c {
            '\t' => out.push_str(TAB),
            '\u{1b}' if chars.next_if_eq(&'[').is_some() => {
                // Parameters and intermediates, then the final character (ECMA-48, 5.4).
                let begin = out.len();
                out.push_str("\u{1b}[");
                while let Some(c) = chars.next_if(|c| matches!(c, ' '..='?')) {
                    out.push(c);
                }
                let end = chars.next_if(|c| matches!(c, '@'..='~'));
                let has_numbers =
                    out.bytes().skip(begin + 2).all(|byte| matches!(byte, b'0'..=b'9' | b';' | b':'));
                if keeps_colours && end == Some('m') && has_numbers {
                    out.push('m');
                } else {
                    out.truncate(begin);
                }
            }
            '\u{1b}' if chars.next_if_eq(&']').is_some() => {
                // A title or a link, up to BEL or ST.
                while chars.next_if(|c| *c != '\u{7}' && *c != '\u{1b}').is_some() {}
                if chars.next() == Some('\u{1b}') {
                    chars.next_if_eq(&'\\');
                }
            }
            // Behind it the line is begun anew, as a progress bar does; all of its states are shown.
            '\r' => out.push(' '),
            c => out.push_str(&escape(c.encode_utf8(&mut [0; 4]))),
        }
    }
    Cow::Owned(out)
}

/// Returns whether a terminal would act upon it instead of showing it.
#[must_use]
pub fn is_unsafe(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{2028}' | '\u{2029}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn escapes_what_a_terminal_acts_upon() {
        assert_eq!(
            escape("a\u{1b}[31m\r\n\tb\u{9b}é\u{202e}\u{7f}"),
            "a\\x1b[31m\\x0d\\x0a\\x09b\\x9bé\\u{202e}\\x7f"
        );
        assert_eq!(escape("nötes \u{1F600}"), "nötes \u{1F600}");
    }

    #[test]
    fn output_is_shown_without_colours_and_with_every_other_control_character() {
        assert!(matches!(output("plain é"), Cow::Borrowed("plain é")));
        assert_eq!(output("\u{1b}[1;31merror\u{1b}[0m: x"), "error: x");
        assert_eq!(output("a\tb\u{7}\u{1b}(B"), "a    b\\x07\\x1b(B");
        assert_eq!(output("\u{1b}]8;;http://x\u{1b}\\link\u{1b}]8;;\u{7}!"), "link!");
        assert_eq!(output("10%\r20%"), "10% 20%");
        for cut in ["\u{1b}", "\u{1b}[", "\u{1b}[3", "\u{1b}]8;x", "\u{1b}]8\u{1b}"] {
            assert!(!output(cut).chars().any(is_unsafe), "{cut:?}");
        }
    }

    #[test]
    fn colours_of_output_are_kept_where_they_are_wanted_and_nothing_else_is() {
        assert_eq!(coloured_output("\u{1b}[1;31merror\u{1b}[0m: x"), "\u{1b}[1;31merror\u{1b}[0m: x");
        assert_eq!(coloured_output("\u{1b}[38:2::1:2:3mx\u{1b}[m"), "\u{1b}[38:2::1:2:3mx\u{1b}[m");
        for other in ["\u{1b}[2J", "\u{1b}[?25l", "\u{1b}[>4m", "\u{1b}[3", "\u{1b}[1 m", "\u{1b}]0;m\u{7}"] {
            assert_eq!(coloured_output(&format!("a{other}")), "a", "{other:?}");
        }
        assert_eq!(coloured_output("\u{1b}c\u{1b}[31m\u{7}"), "\\x1bc\u{1b}[31m\\x07");
    }

    #[test]
    fn names_that_look_the_same_are_shown_apart() {
        assert_eq!((name("demo"), name("é"), name("日本 x")), ("demo".into(), "é".into(), "日本 x".into()));
        assert_eq!(name("e\u{301}"), "e\\u{301}");
        assert_eq!(name("demo "), "demo\\u{20}");
        assert_eq!(name(" \u{3000}a b"), "\\u{20}\\u{3000}a b");
        assert_eq!(name("a\u{200b}b\u{1b}"), "a\\u{200b}b\\x1b");
        assert_eq!(name("か\u{3099}"), "か\\u{3099}");
    }
}
