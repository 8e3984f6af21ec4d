//! Rules of programs that hold a graph without asking gob (FEATURES A9). Pure: callers read files and
//! processes.

mod arguments;
mod lock;

pub use arguments::Known;
pub use lock::{Lock, MAX_LOCK_BYTES, read_lock};

use std::fmt::Write as _;

/// Logseq's prefix of graph names; directories do not have it.
const LOGSEQ_PREFIX: &str = "logseq_db_";

/// Returns a graph's name as Logseq writes its directory: the prefix `logseq_db_` gone, `encodeURIComponent`,
/// `%20` a space again, `~` escaped, and then `~` for every `%`.
#[must_use]
pub fn logseq_dir(graph: &str) -> String {
    let graph = bare(graph);
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

/// Returns a graph's name without Logseq's prefix.
pub(crate) fn bare(graph: &str) -> &str {
    graph.strip_prefix(LOGSEQ_PREFIX).unwrap_or(graph)
}

/// Returns whether a graph's name on disk is a directory of its own. Logseq's encoding leaves `.` and `..` as
/// they are, and leaves nothing of a name that is only its prefix.
#[must_use]
pub fn is_safe_dir(dir: &str) -> bool {
    !matches!(dir, "" | "." | "..") && !dir.contains(['/', '\0'])
}

/// Returns whether such a program means this graph by `theirs`: with Logseq's prefix or without, it is the
/// same directory.
#[must_use]
pub fn same_graph(theirs: &str, graph: &str) -> bool {
    theirs == graph || bare(theirs) == bare(graph)
}

/// Returns whether the process that answered on a holder's port is the holder: `pid` and `repo` of the JSON
/// object, where present, must be the holder's.
#[must_use]
pub fn answers_as(body: &[u8], pid: i32, graph: &str) -> bool {
    let Ok(serde_json::Value::Object(told)) = serde_json::from_slice(body) else { return false };
    let same_pid = told.get("pid").is_none_or(|told| told.as_i64() == Some(i64::from(pid)));
    let same_repo =
        told.get("repo").is_none_or(|told| told.as_str().is_some_and(|told| same_graph(told, graph)));
    same_pid && same_repo
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

    #[test]
    fn unsafe_directory_names_are_refused() {
        for graph in ["logseq_db_..", "logseq_db_.", "logseq_db_"] {
            assert!(!is_safe_dir(&logseq_dir(graph)), "{graph}");
        }
        for graph in ["logseq_db_...", "logseq_db_a", "../..", "logseq_db_/", "logseq_db_logseq_db_"] {
            assert!(is_safe_dir(&logseq_dir(graph)), "{graph}");
        }
        assert!(!is_safe_dir("a/b"));
    }

    #[test]
    fn one_graph_by_two_names() {
        assert!(same_graph("logseq_db_notes", "notes") && same_graph("notes", "logseq_db_notes"));
        assert!(same_graph("a", "a") && !same_graph("a", "b") && !same_graph("notes", "logseq_notes"));
    }

    #[test]
    fn an_answer_must_carry_the_holders_pid_and_graph() {
        let answers = |body: &str| answers_as(body.as_bytes(), 42, "g");
        assert!(answers(r#"{"repo":"g","pid":42,"status":"ready"}"#));
        assert!(answers(r#"{"repo":"logseq_db_g"}"#) && answers("{}"));
        for other in
            [r#"{"repo":"g","pid":43}"#, r#"{"repo":"h","pid":42}"#, r#"{"pid":"42"}"#, "[]", "ok", ""]
        {
            assert!(!answers(other), "{other}");
        }
    }
}
