//! A unit of systemd (systemd.service(5), systemd.syntax(7)). Pure but for the path of the program.

use super::{File, command, directories, file_name};
use crate::failure::Failure;
use gob_client::View;
use std::fmt::Write as _;

/// Returns the unit of a worker.
pub(super) fn unit(worker: &View) -> Result<File, Failure> {
    let name = file_name(worker);
    let about = worker.description.as_deref().unwrap_or(worker.name.as_str());
    let command = command(worker)?;
    let (program, arguments) = command.split_first().unwrap_or((&name, &[]));
    if program.contains(|c: char| c.is_control() || "\"'\\".contains(c)) {
        return Err(unfit(worker, "program", program));
    }
    let mut text = format!("[Unit]\nDescription={}\n", one_line(about));
    for dir in directories(worker) {
        writeln!(text, "RequiresMountsFor={}", quoted(dir)).ok();
    }
    text.push_str("\n[Service]\nType=exec\n");
    if let Some(cwd) = &worker.cwd {
        // The value is the rest of the line, without the blanks around it and without quotes.
        if cwd.contains(char::is_control) || cwd.ends_with(|c: char| c.is_whitespace() || c == '\\') {
            return Err(unfit(worker, "directory", cwd));
        }
        writeln!(text, "WorkingDirectory={}", cwd.replace('%', "%%")).ok();
    }
    let words: Vec<String> =
        std::iter::once(quoted(program)).chain(arguments.iter().map(|word| argument(word))).collect();
    writeln!(text, "ExecStart={}", words.join(" ")).ok();
    text.push_str(
        "Restart=on-failure\nRestartSec=1s\nTimeoutStopSec=10s\n\n[Install]\nWantedBy=default.target\n",
    );
    Ok(File { name: format!("{name}.service"), text })
}

/// Refuses what systemd would read as something else.
fn unfit(worker: &View, what: &str, path: &str) -> Failure {
    let message = format!("the {what} of {} cannot stand in a unit: {}", worker.name, path.escape_debug());
    Failure::own("not-exported", 1, message)
        .hint("systemd takes no control characters there, no quotes or backslashes in a program's path, and no blank or backslash at the end of a directory's: rename it, or start the worker through a script")
}

/// Returns a description without specifiers and line breaks.
fn one_line(text: &str) -> String {
    let mut text = text.replace('%', "%%").split(char::is_control).collect::<Vec<_>>().join(" ");
    // The next line would be a part of it.
    if text.ends_with('\\') {
        text.push(' ');
    }
    text
}

/// Returns an argument of a command line, in which systemd looks for variables.
fn argument(word: &str) -> String {
    // Alone it would begin another command.
    if word == ";" { "\\;".to_owned() } else { quoted(&word.replace('$', "$$")) }
}

/// Returns a word as systemd reads it back.
fn quoted(word: &str) -> String {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "-_./:,@+=".contains(c);
    if !word.is_empty() && word.chars().all(is_plain) {
        return word.to_owned();
    }
    let inner = word.chars().fold(String::new(), |mut text, c| {
        match c {
            '\\' | '"' => text.extend(['\\', c]),
            '%' => text.push_str("%%"),
            '\n' => text.push_str("\\n"),
            '\t' => text.push_str("\\t"),
            c if c.is_ascii_control() => text.push_str(&format!("\\x{:02x}", u32::from(c))),
            c => text.push(c),
        }
        text
    });
    format!("\"{inner}\"")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_read_back_as_they_were() {
        for (word, want) in [
            ("--port=80", "--port=80"),
            ("", "\"\""),
            ("a b", "\"a b\""),
            ("50%", "\"50%%\""),
            ("$HOME", "\"$$HOME\""),
            ("say \"x\\y\"", "\"say \\\"x\\\\y\\\"\""),
            ("a\nb\u{1}", "\"a\\nb\\x01\""),
            (";", "\\;"),
        ] {
            assert_eq!(argument(word), want);
        }
        assert_eq!(quoted("/d$y/a b"), "\"/d$y/a b\"", "no variables in a path");
        assert_eq!(one_line("100%\nx"), "100%% x");
        assert_eq!(one_line("x\\"), "x\\ ");
    }
}
