//! A screen with fixed values in the place of those that are other ones in each run. Every column stays in its place.

use regex_lite::{Captures, Regex};

/// The stand-ins of a world's directories, as on a person's machine.
const RUNTIME: &str = "/run/user/1000/gob";
const STATE: &str = "/home/ann/.local/state/gob";
const HOME: &str = "/home/ann/site";

/// Replaces pids, times and the paths below `dir` in a screen's text. Each line keeps its number of characters.
#[must_use]
pub fn normal(text: &str, dir: &str) -> String {
    let text = replaced(
        text,
        r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d+Z( \([^)]*\))? *",
        "2026-01-31T12:00:00.000Z (2m ago)",
    );
    let text = replaced(&text, r"\b\d\d:\d\d:\d\d\.\d{3}\b", "12:00:00.000");
    let text = replaced(&text, r"\b\d\d:\d\d:\d\d\b", "12:00:00");
    let text = replaced(&text, r"\bpid \d+ *", "pid 4242");
    let text = replaced(&text, r"\bpid  +\d+ *", "pid      4242");
    let text = replaced(&text, r"\b\d+(\.\d+)? ms\b *", "4 ms");
    let text = replaced(&text, r"\b\d+(\.\d+)?(ms|s)\b *", "2s");
    let paths =
        Regex::new(r"(unix:)?/(tmp|var|private|home|root|mnt|dev|run)\b[^ │┃|]* *").expect("a pattern");
    paths.replace_all(&text, |found: &Captures<'_>| path(&found[0], dir)).into_owned()
}

fn path(found: &str, dir: &str) -> String {
    let whole = found
        .replace(&format!("{dir}/run"), RUNTIME)
        .replace(&format!("{dir}/home"), HOME)
        .replace(&format!("{dir}/state"), STATE);
    if whole != found {
        return fitted(&whole, found);
    }
    // It is cut off inside of the part that differs.
    let scheme = if found.starts_with("unix:") { "unix:" } else { "" };
    let end = if found.trim_end().ends_with('…') { "…" } else { "" };
    let room = found.trim_end().chars().count().saturating_sub(end.len().min(1));
    let known: String =
        format!("{scheme}{RUNTIME}/graphs/").chars().chain(std::iter::repeat(' ')).take(room).collect();
    fitted(&format!("{known}{end}"), found)
}

fn replaced(text: &str, pattern: &str, by: &str) -> String {
    let pattern = Regex::new(pattern).expect("a pattern");
    pattern.replace_all(text, |found: &Captures<'_>| fitted(by, &found[0])).into_owned()
}

/// Returns a text of as many characters as the found one has.
fn fitted(text: &str, found: &str) -> String {
    text.chars().chain(std::iter::repeat(' ')).take(found.chars().count()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_differs_is_replaced_and_every_column_stays() {
        let shown =
            "│pid 123456 │ unix:/tmp/gob-x/run/graphs/a.sock      │ 07:31:12.345  up │ /tmp/gob-x/h…│ 12ms";
        let normal = normal(shown, "/tmp/gob-x");
        assert_eq!(
            normal,
            "│pid 4242   │ unix:/run/user/1000/gob/graphs/a.sock  │ 12:00:00.000  up │ /run/user/10…│ 2s  "
        );
        assert_eq!(shown.chars().count(), normal.chars().count());
    }
}
