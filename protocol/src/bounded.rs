//! Texts of requests that have a bound. They are refused while the request is parsed, before anything is done
//! with them.

use crate::limits::{MAX_COMPONENT_BYTES, MAX_MESSAGE_BYTES, MAX_PATH_BYTES, MAX_WORD_BYTES};
use serde::de::Error;
use serde::{Deserialize, Deserializer};

/// Reads a path that the kernel can take.
///
/// # Errors
/// When the path, or one of its components, is too long.
pub(crate) fn path<'de, D: Deserializer<'de>>(from: D) -> Result<Option<String>, D::Error> {
    let Some(path) = Option::<String>::deserialize(from)? else { return Ok(None) };
    if path.len() > MAX_PATH_BYTES {
        return Err(D::Error::custom(format_args!("a path has at most {MAX_PATH_BYTES} bytes")));
    }
    if path.split('/').any(|component| component.len() > MAX_COMPONENT_BYTES) {
        let message = "a path has at most";
        return Err(D::Error::custom(format_args!(
            "{message} {MAX_COMPONENT_BYTES} bytes between two slashes"
        )));
    }
    Ok(Some(path))
}

/// Reads a word, such as the name of a kind.
///
/// # Errors
/// When the word is too long.
pub(crate) fn word<'de, D: Deserializer<'de>>(from: D) -> Result<Option<String>, D::Error> {
    let word = Option::<String>::deserialize(from)?;
    word.as_deref().map_or(Ok(()), check)?;
    Ok(word)
}

/// Reads a word that is required.
///
/// # Errors
/// As [`word`].
pub(crate) fn needed_word<'de, D: Deserializer<'de>>(from: D) -> Result<String, D::Error> {
    let word = String::deserialize(from)?;
    check(&word)?;
    Ok(word)
}

fn check<E: Error>(word: &str) -> Result<(), E> {
    if word.len() > MAX_WORD_BYTES {
        return Err(E::custom(format_args!("it has at most {MAX_WORD_BYTES} bytes")));
    }
    Ok(())
}

/// Cuts a text to a length that may be repeated in an answer.
pub(crate) fn cut(text: String) -> String {
    cut_to(MAX_MESSAGE_BYTES, text)
}

/// As [`cut`], with a bound of `max` bytes.
pub(crate) fn cut_to(max: usize, mut text: String) -> String {
    if text.len() > max {
        let mut at = max;
        while !text.is_char_boundary(at) {
            at -= 1;
        }
        text.truncate(at);
        text.push('…');
    }
    text
}
