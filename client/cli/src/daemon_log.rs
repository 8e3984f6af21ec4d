//! The supervisor's own log: `gobd.log` in the state directory, and `gobd.log.1` after it grew too large.

use crate::context::Context;
use crate::failure::Failure;
use crate::out;
use crate::stream::End;
use crate::text::escape;
use gob_client::logs::Watch;
use serde_json::{Value, json};
use std::fs::File;
use std::io::{self, IsTerminal, Read};
use std::os::unix::fs::MetadataExt;
use std::path::Path;

/// Prints the log, or its last lines, and follows it on request; as JSON with time, level, target, message
/// and fields of each line.
pub(crate) fn show(context: &Context, lines: Option<usize>, follow: bool) -> Result<u8, Failure> {
    let (dirs, end, json) = (context.dirs()?, End::of(context.timeout), context.json);
    let print = if json { print_json } else { print };
    let path = dirs.daemon_log();
    let failed = |error: io::Error| unavailable(&path, &error);
    let watch = follow.then(|| Watch::new(vec![dirs.state.clone()])).transpose().map_err(failed)?;
    let mut file = match File::open(&path) {
        Ok(file) => Some(file),
        Err(e) if e.kind() == io::ErrorKind::NotFound && follow => None,
        Err(e) => return Err(failed(e)),
    };
    let mut text = Vec::new();
    if let Some(file) = &mut file {
        file.read_to_end(&mut text).map_err(failed)?;
    }
    let rest = print(last_lines(&text, lines.unwrap_or(usize::MAX)), !follow)?;
    let mut text = text.split_off(text.len().saturating_sub(rest));
    let Some(watch) = watch else { return Ok(0) };
    out::end_with_reader();
    loop {
        watch.wait_until(end.at(), None).map_err(failed)?;
        end.check("daemon logs -f")?;
        if let Some(file) = &mut file {
            file.read_to_end(&mut text).map_err(failed)?;
        }
        if moved_aside(file.as_ref(), &path) {
            file = File::open(&path).ok();
            if let Some(file) = &mut file {
                file.read_to_end(&mut text).map_err(failed)?;
            }
        }
        let rest = print(&text, false)?;
        text.drain(..text.len().saturating_sub(rest));
    }
}

/// Returns whether another file has the log's name now.
fn moved_aside(file: Option<&File>, path: &Path) -> bool {
    let there = std::fs::metadata(path).map(|file| (file.dev(), file.ino())).ok();
    let ours = file.and_then(|file| file.metadata().ok()).map(|file| (file.dev(), file.ino()));
    there.is_some() && there != ours
}

/// Prints all bytes; none are left over.
fn print(text: &[u8], _at_end: bool) -> Result<usize, Failure> {
    if text.is_empty() || !io::stdout().is_terminal() {
        return out::print_bytes(text).map(|()| 0);
    }
    let lines: String = String::from_utf8_lossy(text)
        .split_inclusive('\n')
        .map(|line| escape(line.trim_end_matches('\n')) + "\n")
        .collect();
    out::print(&lines).map(|()| 0)
}

/// Prints whole lines, and the last one too at the end. Returns how many bytes are left over.
fn print_json(text: &[u8], at_end: bool) -> Result<usize, Failure> {
    let whole = text.iter().rposition(|byte| *byte == b'\n').map_or(0, |at| at + 1);
    let whole = if at_end { text.len() } else { whole };
    out::print(&as_json(text.get(..whole).unwrap_or_default()))?;
    Ok(text.len() - whole)
}

fn as_json(text: &[u8]) -> String {
    let lines = String::from_utf8_lossy(text);
    lines.lines().map(|line| format!("{}\n", parsed(line).unwrap_or_else(|| json!({"line": line})))).collect()
}

/// Parses a line of the supervisor or its keeper: `TIME LEVEL TARGET: MESSAGE KEY=VALUE…`, also without a
/// level. Other lines, such as a backtrace, give `None`.
fn parsed(line: &str) -> Option<Value> {
    let (time, rest) = line.split_once(' ')?;
    time.parse::<jiff::Timestamp>().ok()?;
    let (head, rest) = rest.trim_start().split_once(": ")?;
    let (level, target) = head.split_once(' ').unwrap_or(("INFO", head));
    if !target.chars().all(|c| c.is_ascii_alphanumeric() || "_:-".contains(c)) {
        return None;
    }
    let starts: Vec<usize> = key_starts(rest).collect();
    let message = rest.get(..starts.first().copied().unwrap_or(rest.len()))?.trim_end();
    let ends = starts.iter().skip(1).copied().chain([rest.len()]);
    let fields = starts.iter().zip(ends).filter_map(|(start, end)| {
        let (key, value) = rest.get(*start..end)?.trim_end().split_once('=')?;
        // Numbers and quoted text are valid JSON; the rest is text.
        let value = serde_json::from_str(value).unwrap_or_else(|_| value.into());
        Some((key.to_owned(), value))
    });
    let fields: serde_json::Map<String, Value> = fields.collect();
    Some(json!({"time": time, "level": level, "target": target, "message": message, "fields": fields}))
}

/// Returns the positions of ` key=`, outside of quotes.
fn key_starts(text: &str) -> impl Iterator<Item = usize> {
    let mut quoted = false;
    let mut before = ' ';
    let mut starts = Vec::new();
    for (at, c) in text.char_indices() {
        match c {
            '"' if before != '\\' => quoted = !quoted,
            _ if !quoted && before == ' ' && is_key(text.get(at..).unwrap_or_default()) => starts.push(at),
            _ => {}
        }
        before = c;
    }
    starts.into_iter()
}

fn is_key(text: &str) -> bool {
    let end = text.find(|c: char| !(c.is_ascii_lowercase() || c == '_' || c == '.'));
    end.is_some_and(|end| end > 0 && text.get(end..).is_some_and(|rest| rest.starts_with('=')))
}

fn last_lines(text: &[u8], count: usize) -> &[u8] {
    let body = text.strip_suffix(b"\n").unwrap_or(text);
    let mut newlines = body.iter().enumerate().rev().filter(|(_, byte)| **byte == b'\n').map(|(at, _)| at);
    match count.checked_sub(1) {
        None => &[],
        Some(skip) => text.get(newlines.nth(skip).map_or(0, |at| at + 1)..).unwrap_or_default(),
    }
}

fn unavailable(path: &Path, error: &io::Error) -> Failure {
    let failure =
        Failure::own("log-unavailable", 1, format!("cannot read the supervisor's log {}", path.display()));
    let failure = failure.cause(error.to_string());
    if error.kind() == io::ErrorKind::NotFound {
        failure.hint("none has run with this state directory yet: gobctl config show tells the directories")
    } else {
        failure
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_as_json() {
        let told = |line: &str| parsed(line).unwrap();
        let line = "2026-11-28T14:11:01.886289Z  INFO gob_supervisor::settings: configuration read path=/a b/c.toml kinds=1 text=\"x k=1\"";
        let want = json!({"time": "2026-11-28T14:11:01.886289Z", "level": "INFO", "target": "gob_supervisor::settings",
                          "message": "configuration read", "fields": {"path": "/a b/c.toml", "kinds": 1, "text": "x k=1"}});
        assert_eq!(told(line), want);
        let line = told("2026-11-28T14:11:01Z gob-keeper: the supervisor ended: exited 1");
        assert_eq!(
            (&line["target"], &line["message"]),
            (&json!("gob-keeper"), &json!("the supervisor ended: exited 1"))
        );
        assert_eq!((&line["level"], &line["fields"]), (&json!("INFO"), &json!({})));
        assert_eq!(
            as_json(b"a \"b\"\nthread 'main' panicked: x"),
            "{\"line\":\"a \\\"b\\\"\"}\n{\"line\":\"thread 'main' panicked: x\"}\n"
        );
        assert_eq!(as_json(b""), "");
    }

    #[test]
    fn the_last_lines() {
        assert_eq!(last_lines(b"a\nb\nc\n", 2), b"b\nc\n");
        assert_eq!(last_lines(b"a\nb", 1), b"b");
        assert_eq!(last_lines(b"a\nb\n", 9), b"a\nb\n");
        assert_eq!(last_lines(b"a\n", 0), b"");
        assert_eq!(last_lines(b"", 3), b"");
    }
}
