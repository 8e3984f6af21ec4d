//! RESP, Redis' protocol, as far as SET and GET need it: arrays of strings one way, a line or a string the other.

use super::tcp;
use std::io::{BufRead, BufReader, Read, Write};

/// Sends one command and returns its answer: the text of a status, or a string.
pub(super) fn ask(port: u16, words: &[&str]) -> String {
    let mut stream = BufReader::new(tcp(port));
    let mut text = format!("*{}\r\n", words.len());
    for word in words {
        text.push_str(&format!("${}\r\n{word}\r\n", word.len()));
    }
    stream.get_mut().write_all(text.as_bytes()).unwrap();
    let mut line = String::new();
    stream.read_line(&mut line).unwrap();
    let line = line.strip_suffix("\r\n").unwrap_or_else(|| panic!("{words:?}: {line:?}"));
    if let Some(status) = line.strip_prefix('+') {
        return status.to_owned();
    }
    let len = line.strip_prefix('$').and_then(|len| len.parse().ok());
    let mut value = vec![0; len.unwrap_or_else(|| panic!("{words:?}: {line:?}"))];
    stream.read_exact(&mut value).unwrap();
    String::from_utf8(value).unwrap()
}
