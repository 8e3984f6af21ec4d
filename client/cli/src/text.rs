//! Text for people: escaping, durations, times, command lines. Pure.

use gob_client::protocol::Timestamp;
pub(crate) use gob_client::protocol::shell::word as shell_word;
pub(crate) use gob_client::protocol::suggest::{edits, nearest};
pub(crate) use gob_client::screen::times::{short_duration, since, took, up};
use std::fmt::Write as _;
use std::path::Path;
use std::time::Duration;

/// Escapes every character that a terminal acts upon: control characters, and those that change the order of
/// others. They are shown as `\x1b` or `\u{202e}`.
pub(crate) fn escape(text: &str) -> String {
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
pub(crate) fn name(name: &str) -> String {
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

/// Returns whether a terminal would act upon it instead of showing it.
pub(crate) fn is_unsafe(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{2028}' | '\u{2029}')
}

/// Parses `500ms`, `1.5s`, `2m`, `1h`, `1d`; a bare number is seconds. Positive only.
pub(crate) fn parse_duration(text: &str) -> Result<Duration, String> {
    let duration = parse_duration_or_zero(text)?;
    if duration.is_zero() { Err("a duration has to be longer than nothing".to_owned()) } else { Ok(duration) }
}

/// As [`parse_duration`], and 0.
pub(crate) fn parse_duration_or_zero(text: &str) -> Result<Duration, String> {
    let split = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
    let (number, unit) = text.split_at(split);
    let none = || "not a duration; 500ms, 10s and 2m are".to_owned();
    if number.is_empty() {
        return Err(none());
    }
    let seconds = match unit {
        "ms" => 0.001,
        "s" | "" => 1.0,
        "m" => 60.0,
        "h" => 3600.0,
        "d" => 86400.0,
        _ => return Err(format!("`{unit}` is no unit of time: ms, s, m, h, d")),
    };
    let number: f64 = number.parse().map_err(|_| none())?;
    Duration::try_from_secs_f64(number * seconds).map_err(|e| e.to_string())
}

/// Parses a whole number that is not negative.
pub(crate) fn parse_number<T: std::str::FromStr>(text: &str) -> Result<T, String> {
    text.parse().map_err(|_| "not a whole number".to_owned())
}

/// Returns the present time in the wire's form.
pub(crate) fn now() -> Timestamp {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
    Timestamp(i64::try_from(since.as_millis()).unwrap_or(i64::MAX))
}

/// Returns a path as a shell takes it.
pub(crate) fn shell_path(path: &Path) -> String {
    shell_word(&path.to_string_lossy()).into_owned()
}

/// Most items of a list within a line.
pub(crate) const LISTED: usize = 10;

/// Lists items within a line: the first ones, and how many more there are.
pub(crate) fn list(items: &[impl AsRef<str>]) -> String {
    let first: Vec<&str> = items.iter().take(LISTED).map(AsRef::as_ref).collect();
    let more = items.len() - first.len();
    let more = if more > 0 { format!(" and {more} more") } else { String::new() };
    first.join(", ") + &more
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_list_names_its_first_items_and_counts_the_others() {
        let names = |count: u32| (0..count).map(|number| format!("j{number}")).collect::<Vec<_>>();
        assert_eq!(list(&names(2)), "j0, j1");
        assert_eq!(list(&names(10)), "j0, j1, j2, j3, j4, j5, j6, j7, j8, j9");
        assert_eq!(list(&names(10_000)), "j0, j1, j2, j3, j4, j5, j6, j7, j8, j9 and 9990 more");
    }

    #[test]
    fn escapes_what_a_terminal_acts_upon() {
        assert_eq!(
            escape("a\u{1b}[31m\r\n\tb\u{9b}é\u{202e}\u{7f}"),
            "a\\x1b[31m\\x0d\\x0a\\x09b\\x9bé\\u{202e}\\x7f"
        );
        assert_eq!(escape("nötes \u{1F600}"), "nötes \u{1F600}");
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

    #[test]
    fn durations() {
        assert_eq!(parse_duration("1.5s"), Ok(Duration::from_millis(1500)));
        assert_eq!(parse_duration("30"), Ok(Duration::from_secs(30)));
        assert_eq!(parse_duration("250ms"), Ok(Duration::from_millis(250)));
        for bad in ["", "s", "0s", "-1s", "1x", "1.2.3s", "inf", "1 s", "99999999999999999999d"] {
            assert!(parse_duration(bad).is_err(), "{bad}");
        }
        let shown = [(38, "38ms"), (1234, "1.2s"), (12_000, "12s"), (125_000, "2m"), (7_200_000, "2h")];
        for (millis, want) in shown {
            assert_eq!(short_duration(Duration::from_millis(millis)), want);
        }
        assert_eq!(took(Duration::from_millis(38)), "38 ms");
        assert_eq!(took(Duration::from_millis(1240)), "1.2 s");
        assert_eq!(up(Duration::from_millis(1999)), "1s");
    }
}
