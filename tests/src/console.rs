//! Console sessions in Markdown as tests: commands behind `$ `, and their output.
//!
//! Parts that differ from run to run are made equal on both sides by [`normalise`] before they are compared:
//! process ids, durations, times of day, directories and the width of columns. Colours go, and of a line that
//! a terminal rewrites in place its last form stays. Numbers in JSON are kept, except process ids.

/// One command and its output.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Command {
    /// The command line, for a shell.
    pub line: String,
    /// Standard output and error as shown.
    pub expected: String,
}

/// A fenced block of commands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Session {
    /// Typed into a terminal of its own, in which it goes on while the next blocks run.
    pub second_terminal: bool,
    /// The commands.
    pub commands: Vec<Command>,
}

/// Returns the blocks fenced as ```` ```console ````, or ```` ```console second ```` for the other terminal.
///
/// # Panics
/// When a block is not closed or does not begin with a command.
#[must_use]
pub fn sessions(markdown: &str) -> Vec<Session> {
    let mut sessions = Vec::new();
    let mut open: Option<Session> = None;
    for line in markdown.lines() {
        let Some(session) = &mut open else {
            let second_terminal = line == "```console second";
            if second_terminal || line == "```console" {
                open = Some(Session { second_terminal, commands: Vec::new() });
            }
            continue;
        };
        if line == "```" {
            sessions.extend(open.take());
        } else if let Some(command) = line.strip_prefix("$ ") {
            session.commands.push(Command { line: command.to_owned(), expected: String::new() });
        } else {
            let command = session.commands.last_mut().expect("a block that begins with a command");
            command.expected.push_str(line);
            command.expected.push('\n');
        }
    }
    assert!(open.is_none(), "a console block is not closed");
    sessions
}

/// Makes parts equal that differ from run to run. `places` are a run's own directories and the document's
/// names for them.
#[must_use]
pub fn normalise(text: &str, places: &[(String, &str)]) -> String {
    let mut text = text.replace("\r\n", "\n");
    for (own, shown) in places {
        text = text.replace(own.as_str(), shown);
    }
    let lines = text.lines().map(|line| {
        let line = &last_form(line);
        let is_json = line.trim_start().starts_with(['{', '}', '[', ']', '"']);
        let words: Vec<&str> = line.split_whitespace().collect();
        let mut out: Vec<String> = Vec::with_capacity(words.len());
        let mut at = 0;
        while let Some(word) = words.get(at) {
            let is_number = word.chars().all(|c| c.is_ascii_digit() || c == '.');
            if is_number
                && words.get(at + 1).is_some_and(|next| ["ms", "s"].contains(&next.trim_end_matches('\n')))
            {
                out.push("TIME".to_owned());
                at += 1;
            } else {
                out.push(if is_json { normalise_pids(word) } else { normalise_word(word) });
            }
            at += 1;
        }
        let indent = if line.starts_with("  ") { "  " } else { "" };
        format!("{indent}{}\n", out.join(" "))
    });
    lines.collect()
}

/// Returns the last form of a line of a terminal: the text behind the last return to its beginning, without
/// colours.
fn last_form(line: &str) -> String {
    let line = line.rsplit('\r').next().unwrap_or(line);
    let mut parts = line.split('\u{1b}');
    let mut out = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let end = part.find(|c: char| c.is_ascii_alphabetic()).map_or(part.len(), |at| at + 1);
        out.push_str(&part[end..]);
    }
    out
}

/// Replaces process ids in a line of JSON.
fn normalise_pids(word: &str) -> String {
    let mut parts = word.split("\"pid\":");
    let mut out = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        out.push_str("\"pid\":PID");
        out.push_str(part.trim_start_matches(|c: char| c.is_ascii_digit()));
    }
    out
}

fn normalise_word(word: &str) -> String {
    let digits_then_unit = |units: &[&str]| {
        units.iter().any(|unit| {
            word.strip_suffix(unit)
                .is_some_and(|n| !n.is_empty() && n.chars().all(|c| c.is_ascii_digit() || c == '.'))
        })
    };
    if digits_then_unit(&["ms", "s", "m", "h", "d"]) {
        return "TIME".to_owned();
    }
    let is_clock =
        word.matches(':').count() == 2 && word.chars().all(|c| c.is_ascii_digit() || ":.".contains(c));
    if is_clock {
        return "CLOCK".to_owned();
    }
    // The remaining numbers with three and more digits are process ids.
    let mut out = String::new();
    let mut digits = String::new();
    for c in word.chars().chain(['\0']) {
        if c.is_ascii_digit() {
            digits.push(c);
            continue;
        }
        out.push_str(if digits.len() >= 3 { "PID" } else { &digits });
        digits.clear();
        if c != '\0' {
            out.push(c);
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blocks_and_commands() {
        let text =
            "x\n```sh\n$ no\n```\n```console\n$ a b\none\n\ntwo\n$ c\n```\n```console second\n$ d\n```\n";
        let command = |line: &str, expected: &str| Command { line: line.into(), expected: expected.into() };
        let first = Session {
            second_terminal: false,
            commands: vec![command("a b", "one\n\ntwo\n"), command("c", "")],
        };
        let second = Session { second_terminal: true, commands: vec![command("d", "")] };
        assert_eq!(sessions(text), [first, second]);
    }

    #[test]
    fn parts_that_differ_between_runs_are_made_equal() {
        let places = [("/tmp/gob-x/run".to_owned(), "/run/user/1000/gob")];
        let same = |a: &str, b: &str| assert_eq!(normalise(a, &places), normalise(b, &places));
        same("started demo (pid 4242, owner cli) in 38 ms", "started demo (pid 917, owner cli) in 1.2 s");
        same("unix:/tmp/gob-x/run/a.sock", "unix:/run/user/1000/gob/a.sock");
        same("demo  graph   ready 4242   2m  0", "demo graph ready 31337 12s 0");
        same("10:00:00.123  demo  ready", "23:59:59.999 demo ready");
        same("starting … 1.2s\r\u{1b}[Kstarted\r\n", "started\n");
        same("\u{1b}[31merror:\u{1b}[0m no", "error: no");
        same("{\"pid\":4242,\"n\":1}", "{\"pid\":17,\"n\":1}");
        for (a, b) in [
            ("owner cli", "owner desktop"),
            ("2 nodes", "3 nodes"),
            ("a\nb", "a"),
            ("restarts 0", "restarts 1"),
            ("{\"nodes\":124,\"edges\":245}", "{\"nodes\":124,\"edges\":247}"),
            ("  \"edges\": 245", "  \"edges\": 247"),
        ] {
            assert_ne!(normalise(a, &[]), normalise(b, &[]));
        }
    }
}
