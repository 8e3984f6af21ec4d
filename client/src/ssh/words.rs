//! Words for the shell over there, whose kind is not known. Pure.
//!
//! Single quotes mean the same to sh, fish and csh, but for a quote, a backslash, an exclamation mark and a line break between
//! them. These, and bytes that are no ASCII, are written as `%` and two digits, which gobctl over there reads back.

use std::ffi::{OsStr, OsString};
use std::fmt::Write as _;
use std::os::unix::ffi::{OsStrExt, OsStringExt};

/// Returns a word with nothing in it that a shell could see between single quotes.
#[must_use]
pub fn encode(word: &OsStr) -> String {
    word.as_bytes().iter().fold(String::new(), |mut text, byte| {
        if matches!(byte, b' '..=b'~') && !b"'\\!%".contains(byte) {
            text.push(char::from(*byte));
        } else {
            // Writing into a text does not fail.
            write!(text, "%{byte:02x}").ok();
        }
        text
    })
}

/// Returns the word that [`encode`] was given; `None` for a text that it does not write.
#[must_use]
pub fn decode(text: &OsStr) -> Option<OsString> {
    let mut bytes = text.as_bytes().iter();
    let mut word = Vec::new();
    while let Some(byte) = bytes.next() {
        if *byte != b'%' {
            word.push(*byte);
            continue;
        }
        let digits = [*bytes.next()?, *bytes.next()?];
        let digits = std::str::from_utf8(&digits).ok()?;
        word.push(u8::from_str_radix(digits, 16).ok()?);
    }
    Some(OsString::from_vec(word))
}

/// Returns an encoded word in quotes, where it needs them.
pub(super) fn quoted(word: &str) -> String {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "-_./:,@".contains(c);
    if !word.is_empty() && word.chars().all(is_plain) { word.to_owned() } else { format!("'{word}'") }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn shells_read_a_word_as_it_was() {
        let hard = "it's \\ ! % $HOME `x` \"y\" *?[a] {b,c} ~ # ^ & | ; < > ( )\n\t=é";
        let text = encode(OsStr::new(hard));
        for shell in ["sh", "bash", "dash", "zsh", "fish", "csh", "tcsh"] {
            let line = format!("printf %s {}", quoted(&text));
            let mut command = std::process::Command::new(shell);
            // No shell reads a file of a person there, and fish can make none.
            command.args(["-c", &line]).env("HOME", "/dev/null").env_remove("XDG_CONFIG_HOME");
            let Ok(output) = command.output() else { continue };
            assert_eq!(String::from_utf8_lossy(&output.stdout), text, "{shell}: {output:?}");
        }
        assert_eq!(decode(OsStr::new(&text)).unwrap(), hard);
    }

    #[test]
    fn a_text_that_was_not_encoded_is_noticed() {
        for text in ["%", "%4", "%zz", "a%"] {
            assert_eq!(decode(OsStr::new(text)), None, "{text}");
        }
    }

    proptest! {
        #[test]
        fn every_word_comes_back(bytes in proptest::collection::vec(any::<u8>(), 0..40)) {
            let word = OsString::from_vec(bytes);
            let text = encode(&word);
            prop_assert!(text.bytes().all(|byte| matches!(byte, b' '..=b'~') && byte != b'\''));
            prop_assert_eq!(decode(OsStr::new(&text)), Some(word));
        }
    }
}
