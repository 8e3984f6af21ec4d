//! Regular expressions that are searched in lines.

use regex_lite::Regex;
use std::ops::Range;

/// Length of a pattern up to which the place of its mistake is searched, in bytes.
const MAX_SEARCHED: usize = 4096;

/// A regular expression.
#[derive(Debug, Clone)]
pub struct Pattern {
    regex: Regex,
    /// It is nothing but text, which is searched faster.
    is_text: bool,
}

impl Pattern {
    /// Parses a regular expression, as `gobctl logs --grep` takes it.
    ///
    /// # Errors
    /// When it is none, with the place where the mistake begins.
    pub fn parse(text: &str) -> Result<Self, String> {
        let is_text = !text.contains(|c: char| r"\.+*?()|[]{}^$".contains(c));
        Regex::new(text).map(|regex| Self { regex, is_text }).map_err(|error| mistake(text, &error))
    }

    /// Parses what a person types into a search field: ASCII letters in lower case find both
    /// cases, and with an upper-case letter in it cases differ.
    ///
    /// # Errors
    /// As [`Pattern::parse`].
    pub fn typed(text: &str) -> Result<Self, String> {
        let typed = Self::parse(text)?;
        if text.chars().any(char::is_uppercase) {
            return Ok(typed);
        }
        let either = Regex::new(&format!("(?i){text}"));
        Ok(either.map_or(typed, |regex| Self { regex, is_text: false }))
    }

    /// Returns whether it is found in a line.
    #[must_use]
    pub fn is_in(&self, line: &str) -> bool {
        if self.is_text { line.contains(self.regex.as_str()) } else { self.regex.is_match(line) }
    }

    /// Returns the places of a line where it is found, in bytes, in order; places without width are left out.
    pub fn places<'a>(&'a self, line: &'a str) -> impl Iterator<Item = Range<usize>> + 'a {
        self.regex.find_iter(line).map(|found| found.range()).filter(|range| !range.is_empty())
    }
}

/// Describes the mistake in a pattern with its place, which the parser does not tell: it begins behind the longest part
/// that is a pattern.
fn mistake(text: &str, error: &regex_lite::Error) -> String {
    if text.len() > MAX_SEARCHED {
        return format!("{error}, in a pattern of {} bytes", text.len());
    }
    let places = text.char_indices().enumerate().collect::<Vec<_>>();
    let is_pattern = |(_, (at, _)): &&(usize, (usize, char))| {
        text.get(..*at).is_some_and(|before| Regex::new(before).is_ok())
    };
    let place = places.iter().rev().find(is_pattern);
    place.map_or_else(
        || error.to_string(),
        |(count, (at, _))| {
            format!("{error}, at character {}: {}", count + 1, text.get(*at..).unwrap_or_default())
        },
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mistake_in_a_pattern_has_a_place() {
        for (text, place) in [
            ("a(b", "at character 2: (b"),
            ("é[z-a]", "at character 2: [z-a]"),
            ("*x", "at character 1: *x"),
            ("(a)b)c", "at character 5: )c"),
            ("x\\q", "at character 2: \\q"),
        ] {
            let error = Pattern::parse(text).unwrap_err();
            assert!(error.ends_with(place), "{text}: {error}");
        }
        assert!(Pattern::parse(&"(".repeat(5000)).unwrap_err().ends_with("in a pattern of 5000 bytes"));
    }

    #[test]
    fn a_typed_pattern_tells_cases_apart_once_it_has_an_upper_case_letter() {
        let is_found = |pattern: &str, line: &str| Pattern::typed(pattern).unwrap().is_in(line);
        assert!(is_found("error", "An ERROR") && is_found("Error", "Error 1") && is_found("é+", "éé"));
        assert!(!is_found("Error", "error") && !is_found("a.c", "ac"));
        assert!(Pattern::typed("a(").unwrap_err().contains("at character 2"));
    }

    #[test]
    fn every_place_of_a_line_is_told() {
        let places =
            |pattern: &str, line: &str| Pattern::typed(pattern).unwrap().places(line).collect::<Vec<_>>();
        assert_eq!(places("a", "bAcad"), [1..2, 3..4]);
        assert_eq!(places("x*", "axxb").first(), Some(&(1..3)));
        assert_eq!(places("b|é", "aéb"), [1..3, 3..4]);
    }
}
