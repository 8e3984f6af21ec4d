//! A unit of systemd (systemd.service(5), systemd.syntax(7)). Pure but for the path of the program.

use super::{File, command, directories, file_name};
use crate::failure::Failure;
use gob_client::View;
use std::fmt::Write as _;

/// Returns the unit of a worker.
pub(super) fn unit(worker: &View) -> Result<File, Failure> {
    let name = file_name(worker);
    let about = worker.description.as_deref().unwrap_or(worker.name.as_str());
    let words: Vec<String> = command(worker)?.iter().map(|word| quoted(word)).collect();
    let mut text = format!("[Unit]\nDescription={}\n", one_line(about));
    for dir in directories(worker) {
        writeln!(text, "RequiresMountsFor={}", quoted(dir)).ok();
    }
    text.push_str("\n[Service]\nType=exec\n");
    if let Some(cwd) = &worker.cwd {
        writeln!(text, "WorkingDirectory={}", one_line(cwd)).ok();
    }
    writeln!(text, "ExecStart={}", words.join(" ")).ok();
    text.push_str(
        "Restart=on-failure\nRestartSec=1s\nTimeoutStopSec=10s\n\n[Install]\nWantedBy=default.target\n",
    );
    Ok(File { name: format!("{name}.service"), text })
}

/// Returns a value without specifiers and line breaks.
fn one_line(text: &str) -> String {
    let text = text.replace('%', "%%");
    text.split(char::is_control).collect::<Vec<_>>().join(" ")
}

/// Returns a word of a command line as systemd reads it back.
fn quoted(word: &str) -> String {
    // Alone it would begin another command.
    if word == ";" {
        return "\\;".to_owned();
    }
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "-_./:,@+=".contains(c);
    if !word.is_empty() && word.chars().all(is_plain) {
        return word.to_owned();
    }
    let inner = word.chars().fold(String::new(), |mut text, c| {
        match c {
            '\\' | '"' => text.extend(['\\', c]),
            '%' | '$' => text.extend([c, c]),
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
            assert_eq!(quoted(word), want);
        }
        assert_eq!(one_line("100%\nx"), "100%% x");
    }
}
