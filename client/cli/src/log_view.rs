//! Prints workers' lines: standard output to standard output, standard error to standard error; several
//! workers by time, each line with its worker's name. On a terminal no control byte gets through; elsewhere
//! bytes stay as they are.

use crate::context::Context;
use crate::failure::Failure;
use crate::log_source::{FollowUp, Source};
use crate::out;
use crate::text::escape;
use gob_client::Name;
use gob_client::logs::{Piece, Stream};
use serde_json::json;
use std::io::IsTerminal;
use unicode_width::UnicodeWidthStr;

/// The layout of the lines.
pub(crate) struct LogView {
    json: bool,
    prefix: bool,
    /// Width of the longest name.
    width: usize,
    stdout_is_terminal: bool,
    stderr_is_terminal: bool,
    /// The last line that was shown goes on.
    is_open: bool,
    pending: Vec<u8>,
}

/// Bytes of lines to standard output that are gathered.
const GATHER: usize = 64 * 1024;

impl LogView {
    pub(crate) fn new<'a>(context: &Context, prefix: bool, names: impl Iterator<Item = &'a Name>) -> Self {
        Self {
            json: context.json,
            prefix,
            width: names.map(|name| escape(name.as_str()).width()).max().unwrap_or(0),
            stdout_is_terminal: std::io::stdout().is_terminal(),
            stderr_is_terminal: std::io::stderr().is_terminal(),
            is_open: false,
            pending: Vec::new(),
        }
    }

    /// Makes room for one more name.
    pub(crate) fn widen(&mut self, name: &Name) {
        self.width = self.width.max(escape(name.as_str()).width());
    }

    /// Prints all present lines, or the last lines of each worker.
    pub(crate) fn beginning(&mut self, sources: &mut [Source], lines: Option<usize>) -> Result<(), Failure> {
        if let Some(count) = lines {
            for source in sources.iter_mut() {
                source.skip_to_last(count)?;
            }
        }
        self.merge(sources)?;
        for source in sources.iter_mut() {
            for piece in source.rest()? {
                self.show(source, &piece)?;
            }
        }
        self.flush()
    }

    /// Prints what has come, run after run, the unfinished lines last. `goes_on` is called before each further run.
    pub(crate) fn follow(
        &mut self,
        sources: &mut [Source],
        goes_on: &mut dyn FnMut(&mut Self, &Source, &FollowUp) -> Result<(), Failure>,
    ) -> Result<(), Failure> {
        for source in sources.iter_mut() {
            // Read before the rest: output of a run before the next one began must not be missed.
            while let Some(follow_up) = source.follow_up()? {
                for piece in source.rest()? {
                    self.show(source, &piece)?;
                }
                goes_on(self, source, &follow_up)?;
                source.go_on(follow_up)?;
            }
        }
        self.merge(sources)?;
        for source in sources.iter_mut() {
            for piece in source.unfinished() {
                self.show(source, &piece)?;
            }
        }
        self.flush()
    }

    /// Prints all ready lines, the earliest first. Lines without a time are printed at once.
    pub(crate) fn merge(&mut self, sources: &mut [Source]) -> Result<(), Failure> {
        loop {
            let mut first = None;
            for (at, source) in sources.iter_mut().enumerate() {
                if let Some(piece) = source.peek()? {
                    let time = piece.time;
                    if first.is_none_or(|(_, earliest)| time < earliest) {
                        first = Some((at, time));
                    }
                }
            }
            let Some(source) = first.and_then(|(at, _)| sources.get_mut(at)) else { return Ok(()) };
            if let Some(piece) = source.next()? {
                self.show(source, &piece)?;
            }
        }
    }

    pub(crate) fn show(&mut self, source: &Source, piece: &Piece) -> Result<(), Failure> {
        if self.json {
            let line = json!({
                "name": source.name.as_str(), "run": source.run(), "stream": piece.stream.as_str(), "time": piece.time,
                "line": String::from_utf8_lossy(&piece.bytes).trim_end_matches('\n'),
            });
            return self.gather(format!("{line}\n").as_bytes());
        }
        self.is_open = !piece.ends_line();
        let terminal = match piece.stream {
            Stream::Stdout => self.stdout_is_terminal,
            Stream::Stderr => self.stderr_is_terminal,
        };
        let mut line = Vec::new();
        if self.prefix && piece.starts_line {
            let name = escape(source.name.as_str());
            line.extend_from_slice(name.as_bytes());
            line.extend(std::iter::repeat_n(b' ', self.width.saturating_sub(name.width())));
            line.extend_from_slice(b" | ");
        }
        if terminal {
            line.extend_from_slice(safe(&piece.bytes).as_bytes());
        } else {
            line.extend_from_slice(&piece.bytes);
        }
        match piece.stream {
            Stream::Stdout => self.gather(&line),
            Stream::Stderr => {
                // Where both streams go to one place, they must arrive in order.
                self.flush()?;
                out::print_error_bytes(&line)
            }
        }
    }

    /// Ends the last line on a terminal, where this program's own lines follow it. The output itself stays as it is.
    pub(crate) fn end_line(&mut self) {
        if std::mem::take(&mut self.is_open) && self.stdout_is_terminal && self.stderr_is_terminal {
            out::error_text("\n");
        }
    }

    fn gather(&mut self, bytes: &[u8]) -> Result<(), Failure> {
        self.pending.extend_from_slice(bytes);
        if self.pending.len() >= GATHER { self.flush() } else { Ok(()) }
    }

    pub(crate) fn flush(&mut self) -> Result<(), Failure> {
        if self.pending.is_empty() {
            return Ok(());
        }
        let result = out::print_bytes(&self.pending);
        self.pending.clear();
        result
    }
}

/// Makes a line safe for a terminal: tabs and its newline stay, a carriage return before the newline goes.
fn safe(bytes: &[u8]) -> String {
    let text = String::from_utf8_lossy(bytes);
    let (body, end) = match text.strip_suffix('\n') {
        Some(body) => (body.strip_suffix('\r').unwrap_or(body), "\n"),
        None => (&*text, ""),
    };
    let parts: Vec<String> = body.split('\t').map(escape).collect();
    format!("{}{end}", parts.join("\t"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_terminal_gets_no_control_byte_but_tab_and_newline() {
        assert_eq!(safe(b"a\tb\x1b[31m\r\n"), "a\tb\\x1b[31m\n");
        assert_eq!(safe(b"50%\r100%"), "50%\\x0d100%");
        assert_eq!(safe(b"\xff\n"), "\u{fffd}\n");
    }
}
