//! Programs that hold a graph without asking gob, after their own rules (FEATURES A9). Pure: text in, answers out.

use std::fmt::Write as _;

/// A graph's name as Logseq writes its directory: the prefix `logseq_db_` gone, `encodeURIComponent`, `%20` a space again,
/// `~` escaped, and then `~` for every `%`.
#[must_use]
pub fn logseq_dir(graph: &str) -> String {
    let graph = graph.strip_prefix("logseq_db_").unwrap_or(graph);
    let mut dir = String::with_capacity(graph.len());
    for byte in graph.bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' => dir.push(char::from(byte)),
            b'-' | b'_' | b'.' | b'!' | b'*' | b'\'' | b'(' | b')' | b' ' => dir.push(char::from(byte)),
            // Writing to a string can't fail.
            _ => write!(dir, "~{byte:02X}").unwrap_or_default(),
        }
    }
    dir
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn directories_of_logseq() {
        let cases = [
            ("foo/bar", "foo~2Fbar"),
            ("a~b", "a~7Eb"),
            ("100%", "100~25"),
            ("é", "~C3~A9"),
            ("!*'()", "!*'()"),
            ("logseq_db_my notes", "my notes"),
        ];
        for (graph, dir) in cases {
            assert_eq!(logseq_dir(graph), dir);
        }
    }
}
