//! Texts of requests that have a bound. They are refused while the request is parsed, before anything is done
//! with them.

use crate::limits::{
    MAX_COMPONENT_BYTES, MAX_DESCRIPTION_BYTES, MAX_JOB_ARGUMENTS, MAX_LOCK_TOKEN, MAX_LOCK_TTL_MS,
    MAX_LOCK_WITHIN, MAX_MESSAGE_BYTES, MAX_PATH_BYTES, MAX_WORD_BYTES,
};
use crate::name::{INVALID_NAME, Name};
use crate::text::Text;
use serde::de::Error;
use serde::{Deserialize, Deserializer};

/// Reads a path that the kernel can take.
///
/// # Errors
/// When the path, or one of its components, is too long, or has a NUL in it.
pub(crate) fn path<'de, D: Deserializer<'de>>(from: D) -> Result<Option<String>, D::Error> {
    let Some(path) = Option::<String>::deserialize(from)? else { return Ok(None) };
    if path.contains('\0') {
        return Err(D::Error::custom("no path has a NUL in it"));
    }
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

/// Reads a path that is required.
///
/// # Errors
/// As [`path`].
pub(crate) fn needed_path<'de, D: Deserializer<'de>>(from: D) -> Result<String, D::Error> {
    path(from)?.ok_or_else(|| D::Error::custom("a path is needed"))
}

/// Reads a job's command.
///
/// # Errors
/// When it names no program, has too many arguments, or a NUL in one of them, which no program can be given.
pub(crate) fn command<'de, D: Deserializer<'de>>(from: D) -> Result<Vec<String>, D::Error> {
    let command = Vec::<String>::deserialize(from)?;
    if command.first().is_none_or(String::is_empty) {
        return Err(D::Error::custom("it names no program"));
    }
    if command.len() > MAX_JOB_ARGUMENTS {
        return Err(D::Error::custom(format_args!("a command has at most {MAX_JOB_ARGUMENTS} arguments")));
    }
    if command.iter().any(|argument| argument.contains('\0')) {
        return Err(D::Error::custom("no argument has a NUL in it"));
    }
    Ok(command)
}

/// Reads the name that a job is given.
///
/// # Errors
/// When it is not in the form of one, or in that of a number that gob gives out.
pub(crate) fn job_name<'de, D: Deserializer<'de>>(from: D) -> Result<Option<Name>, D::Error> {
    let Some(text) = Option::<Text<'de>>::deserialize(from)? else { return Ok(None) };
    Name::job(&text).map(Some).map_err(|e| D::Error::custom(format_args!("{INVALID_NAME}{e}")))
}

/// Reads a description.
///
/// # Errors
/// When it is too long, or has control characters.
pub(crate) fn description<'de, D: Deserializer<'de>>(from: D) -> Result<Option<String>, D::Error> {
    let text = Option::<String>::deserialize(from)?;
    let is_bad = |text: &str| text.len() > MAX_DESCRIPTION_BYTES || text.chars().any(char::is_control);
    if text.as_deref().is_some_and(is_bad) {
        let max = MAX_DESCRIPTION_BYTES;
        return Err(D::Error::custom(format_args!("at most {max} bytes without control characters")));
    }
    Ok(text)
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

/// Reads the name of a program, for people.
///
/// # Errors
/// When it is too long, or has control characters.
pub(crate) fn process<'de, D: Deserializer<'de>>(from: D) -> Result<Option<String>, D::Error> {
    let text = word(from)?;
    if text.as_deref().is_some_and(|text| text.chars().any(char::is_control)) {
        return Err(D::Error::custom("it has no control characters"));
    }
    Ok(text)
}

/// Reads how long a lock is held.
///
/// # Errors
/// When it is no time, or too long a one.
pub(crate) fn lock_ttl<'de, D: Deserializer<'de>>(from: D) -> Result<Option<u64>, D::Error> {
    let Some(ttl) = Option::<u64>::deserialize(from)? else { return Ok(None) };
    if ttl == 0 || ttl > MAX_LOCK_TTL_MS {
        return Err(D::Error::custom(format_args!("it is 1 to {MAX_LOCK_TTL_MS} ms")));
    }
    Ok(Some(ttl))
}

/// Reads a token of a lock, which may be absent.
///
/// # Errors
/// As [`needed_token`].
pub(crate) fn token<'de, D: Deserializer<'de>>(from: D) -> Result<Option<u64>, D::Error> {
    let token = Option::<u64>::deserialize(from)?;
    token.map_or(Ok(()), check_token)?;
    Ok(token)
}

/// Reads a token of a lock.
///
/// # Errors
/// When no lock has such a token.
pub(crate) fn needed_token<'de, D: Deserializer<'de>>(from: D) -> Result<u64, D::Error> {
    let token = u64::deserialize(from)?;
    check_token(token)?;
    Ok(token)
}

/// Reads the tokens that a party holds.
///
/// # Errors
/// When one of them is none, or they are too many.
pub(crate) fn tokens<'de, D: Deserializer<'de>>(from: D) -> Result<Vec<u64>, D::Error> {
    let tokens = Vec::<u64>::deserialize(from)?;
    if tokens.len() > MAX_LOCK_WITHIN {
        return Err(D::Error::custom(format_args!("at most {MAX_LOCK_WITHIN} tokens")));
    }
    tokens.iter().try_for_each(|token| check_token(*token))?;
    Ok(tokens)
}

fn check_token<E: Error>(token: u64) -> Result<(), E> {
    if token == 0 || token > MAX_LOCK_TOKEN {
        return Err(E::custom(format_args!("a token is 1 to {MAX_LOCK_TOKEN}")));
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
