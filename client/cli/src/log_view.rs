//! Prints workers' lines: standard output to standard output, standard error to standard error; several
//! workers by time, each line with its worker's name. On a terminal no control byte gets through, unless raw
//! output is wanted; elsewhere bytes stay as they are.

use crate::context::Context;
use crate::failure::Failure;
use crate::log_source::{FollowUp, Line, Source};
use crate::text::escape;
use crate::{out, style};
use gob_client::Name;
use gob_client::logs::{Piece, Stream};
use gob_client::protocol::Timestamp;
use serde::Serialize;
use std::io::{IsTerminal, stderr, stdout};
use unicode_width::UnicodeWidthStr;

/// The layout of the lines.
pub(crate) struct LogView {
    json: bool,
    prefix: bool,
    /// Output is still to come behind what there is.
    goes_on: bool,
    /// The names so far; the place of each gives it a colour.
    names: Vec<Name>,
    /// Width of the longest name.
    width: usize,
    stdout: Place,
    stderr: Place,
    both_are_terminals: bool,
    /// The last line that was shown has no end yet.
    open: Option<(Name, Stream)>,
    pending: Vec<u8>,
}

/// The needs of the place that a stream goes to.
#[derive(Clone, Copy)]
struct Place {
    /// Control bytes are escaped.
    is_escaped: bool,
    is_coloured: bool,
}

impl Place {
    fn of(context: &Context, stream: &impl IsTerminal) -> Self {
        Self { is_escaped: stream.is_terminal(), is_coloured: context.color.wanted(stream) }
    }
}

/// Bytes of lines to standard output that are gathered.
const GATHER: usize = 64 * 1024;

impl LogView {
    pub(crate) fn new<'a>(context: &Context, prefix: bool, names: impl Iterator<Item = &'a Name>) -> Self {
        let mut view = Self {
            json: context.json,
            prefix,
            goes_on: false,
            names: Vec::new(),
            width: 0,
            stdout: Place::of(context, &stdout()),
            stderr: Place::of(context, &stderr()),
            both_are_terminals: stdout().is_terminal() && stderr().is_terminal(),
            open: None,
            pending: Vec::new(),
        };
        names.for_each(|name| view.widen(name));
        view
    }

    /// Returns the same view, which shows bytes as they are also on a terminal.
    pub(crate) fn raw(mut self, raw: bool) -> Self {
        self.stdout.is_escaped &= !raw;
        self.stderr.is_escaped &= !raw;
        self
    }

    /// Returns the same view, whose lines may go on after [`LogView::beginning`].
    pub(crate) fn going_on(mut self, goes_on: bool) -> Self {
        self.goes_on = goes_on;
        self
    }

    /// Makes room for one more name.
    pub(crate) fn widen(&mut self, name: &Name) {
        self.width = self.width.max(escape(name.as_str()).width());
        self.names.push(name.clone());
    }

    /// Prints all present lines, or the last lines of each worker.
    pub(crate) fn beginning(&mut self, sources: &mut [Source], lines: Option<usize>) -> Result<(), Failure> {
        if let Some(count) = lines {
            for source in sources.iter_mut() {
                source.skip_to_last(count, self.goes_on)?;
            }
        }
        self.merge(sources)?;
        for source in sources.iter_mut() {
            for line in source.rest(self.goes_on)? {
                self.show(&source.name, &line)?;
            }
        }
        if self.prefix && !self.goes_on {
            self.end_open()?;
        }
        self.flush()
    }

    /// Prints what has come, run after run, the unfinished lines last. `goes_on` is called before each further run.
    pub(crate) fn follow(
        &mut self,
        sources: &mut [Source],
        goes_on: &mut dyn FnMut(&mut Self, &Source, &FollowUp) -> Result<(), Failure>,
    ) -> Result<(), Failure> {
        self.follow_up(sources, goes_on)?;
        self.merge(sources)?;
        for source in sources.iter_mut() {
            let name = source.name.clone();
            for line in source.unfinished() {
                self.show(&name, &line)?;
            }
        }
        self.flush()
    }

    /// Prints all runs that a later one follows, and begins with that one.
    pub(crate) fn follow_up(
        &mut self,
        sources: &mut [Source],
        goes_on: &mut dyn FnMut(&mut Self, &Source, &FollowUp) -> Result<(), Failure>,
    ) -> Result<(), Failure> {
        for source in sources.iter_mut() {
            // Read before the rest: output of a run before the next one began must not be missed.
            while let Some(follow_up) = source.follow_up()? {
                for line in source.rest(false)? {
                    self.show(&source.name, &line)?;
                }
                goes_on(self, source, &follow_up)?;
                source.go_on(follow_up)?;
            }
        }
        Ok(())
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
            if let Some(line) = source.next()? {
                self.show(&source.name, &line)?;
            }
        }
    }

    pub(crate) fn show(&mut self, name: &Name, line: &Line) -> Result<(), Failure> {
        let Line { run, piece } = line;
        if self.json {
            return self.gather(object(name, *run, piece).as_bytes());
        }
        let place = if piece.stream == Stream::Stdout { self.stdout } else { self.stderr };
        let mut line = Vec::new();
        let own = (name.clone(), piece.stream);
        if self.prefix && (piece.starts_line || self.open.as_ref() != Some(&own)) {
            self.end_open()?;
            line.extend_from_slice(self.prefix_of(name, place.is_coloured).as_bytes());
        }
        if place.is_escaped {
            line.extend_from_slice(safe(&piece.bytes).as_bytes());
        } else {
            line.extend_from_slice(&piece.bytes);
        }
        self.open = (!piece.ends_line()).then_some(own);
        self.write(piece.stream, &line)
    }

    fn write(&mut self, stream: Stream, bytes: &[u8]) -> Result<(), Failure> {
        match stream {
            Stream::Stdout => self.gather(bytes),
            Stream::Stderr => {
                // Where both streams go to one place, they must arrive in order.
                self.flush()?;
                out::print_error_bytes(bytes)
            }
        }
    }

    /// Ends a line that has no end yet, where a line with another prefix follows.
    fn end_open(&mut self) -> Result<(), Failure> {
        self.open.take().map_or(Ok(()), |(_, stream)| self.write(stream, b"\n"))
    }

    fn prefix_of(&self, name: &Name, is_coloured: bool) -> String {
        let text = escape(name.as_str());
        let blanks = " ".repeat(self.width.saturating_sub(text.width()));
        let place = self.names.iter().position(|known| known == name).unwrap_or(0);
        let colour = style::NAMES.get(place % style::NAMES.len()).copied().unwrap_or(style::PLAIN);
        format!("{} ", style::paint(&format!("{text}{blanks} |"), colour, is_coloured))
    }

    /// Ends the last line on a terminal, where this program's own lines follow it. The output itself stays as it is.
    pub(crate) fn end_line(&mut self) {
        if self.open.take().is_some() && self.both_are_terminals {
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

/// Encodes a line, or a part of one, as an object.
fn object(name: &Name, run: u64, piece: &Piece) -> String {
    #[derive(Serialize)]
    struct Object<'a> {
        time: Option<Timestamp>,
        name: &'a str,
        run: u64,
        stream: &'a str,
        text: &'a str,
        /// The line has no end, or goes on in the next object of its stream.
        #[serde(skip_serializing_if = "std::ops::Not::not")]
        partial: bool,
    }
    let text = String::from_utf8_lossy(&piece.bytes);
    let object = Object {
        time: piece.time,
        name: name.as_str(),
        run,
        stream: piece.stream.as_str(),
        text: text.strip_suffix('\n').unwrap_or(&text),
        partial: !piece.ends_line(),
    };
    serde_json::to_string(&object).map(|line| line + "\n").unwrap_or_default()
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
