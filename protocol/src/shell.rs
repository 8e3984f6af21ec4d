//! Quotes words for a shell, so that a command in a hint can be pasted. Pure.

use crate::Name;
use std::borrow::Cow;

/// Returns a word that a shell reads as exactly this text, in quotes where it needs them. Control characters
/// stay; the code that displays them escapes them.
#[must_use]
pub fn word(text: &str) -> Cow<'_, str> {
    // Shells expand `{` and `}` anywhere, `=` and `~` only at the beginning of a word or of an assigned
    // value.
    let is_plain = |c: char| c.is_alphanumeric() || "_-./:@%+=,~".contains(c);
    let is_expanded = text.starts_with(['=', '~']) || text.contains(":~") || text.contains("=~");
    if !text.is_empty() && !is_expanded && text.chars().all(is_plain) {
        Cow::Borrowed(text)
    } else {
        Cow::Owned(format!("'{}'", text.replace('\'', "'\\''")))
    }
}

impl Name {
    /// Returns the name as the last word of a command line: quoted for a shell, and never read as a flag.
    #[must_use]
    pub fn as_argument(&self) -> Cow<'_, str> {
        let word = word(self.as_str());
        if self.as_str().starts_with('-') { Cow::Owned(format!("-- {word}")) } else { word }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_that_a_shell_would_change_are_quoted() {
        for plain in
            ["demo", "a.b-c_d", "notes/2026", "é", "k=v", "a,b", "50%", "user@host:1", "my~20notes.sock"]
        {
            assert_eq!(word(plain), plain);
        }
        for (text, quoted) in [
            ("", "''"),
            ("my notes", "'my notes'"),
            ("it's", "'it'\\''s'"),
            ("~", "'~'"),
            ("~/x", "'~/x'"),
            ("A=~/x", "'A=~/x'"),
            ("{a,b}", "'{a,b}'"),
            ("$HOME", "'$HOME'"),
            ("a;b", "'a;b'"),
            ("*", "'*'"),
            ("=ls", "'=ls'"),
            ("#1", "'#1'"),
        ] {
            assert_eq!(word(text), quoted);
        }
    }

    #[test]
    fn a_shell_reads_quoted_words_back_unchanged() {
        let texts = [
            "my notes",
            "it's \"so\"",
            "~",
            "{a,b}",
            "$HOME `id` \\",
            "*?[x]",
            "=ls",
            "!x",
            "a\u{a0}b",
            "&|<>();#",
        ];
        let line = texts.map(word).join(" ");
        let script = format!("printf '%s\\n' {line}");
        let output = std::process::Command::new("sh").args(["-c", &script]).output().unwrap();
        assert_eq!(String::from_utf8(output.stdout).unwrap(), texts.map(|text| format!("{text}\n")).concat());
    }

    #[test]
    fn a_name_is_no_flag() {
        assert_eq!(Name::graph("-x y").unwrap().as_argument(), "-- '-x y'");
        assert_eq!(Name::graph("-x").unwrap().as_argument(), "-- -x");
    }
}
