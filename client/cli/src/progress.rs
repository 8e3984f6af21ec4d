//! One line on a terminal during a long operation: its subject, and the time so far.

use crate::context::Context;
use crate::out;
use crate::terminal::{cells, cut, cut_words, stderr_width};
use crate::text::{escape, short_duration};
use gob_client::logs::{self, Run, Stream};
use gob_client::{Dirs, Name};
use std::io::IsTerminal;
use std::path::PathBuf;
use std::time::Duration;

/// A line that is rewritten in place, and removed when the work is done.
pub(crate) struct Progress {
    what: String,
    wanted: bool,
    shown: bool,
}

impl Progress {
    /// Time between two changes.
    pub(crate) const EVERY: Duration = Duration::from_millis(100);
    /// Operations quicker than this show no line.
    const AFTER: Duration = Duration::from_millis(300);

    /// Creates it without showing anything; it stays invisible where standard error is no terminal.
    pub(crate) fn new(context: &Context, what: String) -> Self {
        let wanted = !context.quiet && !context.json && std::io::stderr().is_terminal();
        Self { what, wanted, shown: false }
    }

    /// Shows the time that has passed.
    pub(crate) fn show(&mut self, waited: Duration) {
        if self.wanted && waited >= Self::AFTER {
            self.rewrite(&short_duration(waited), "");
        }
    }

    /// Shows the time that has passed, and a worker's last words.
    pub(crate) fn show_with(&mut self, waited: Duration, words: impl FnOnce() -> Option<String>) {
        if self.wanted && waited >= Self::AFTER {
            self.rewrite(&short_duration(waited), &words().unwrap_or_default());
        }
    }

    /// Shows the progress in words.
    pub(crate) fn say(&mut self, how_far: &str) {
        if self.wanted {
            self.rewrite(&escape(how_far), "");
        }
    }

    /// Writes the line over the last one.
    fn rewrite(&mut self, how_far: &str, words: &str) {
        self.shown = true;
        // A full line would make the terminal begin another one.
        let width = stderr_width().saturating_sub(1);
        out::error_text(&format!("\r\x1b[K{}", line(&escape(&self.what), how_far, words, width)));
    }

    /// Removes the line.
    pub(crate) fn clear(&mut self) {
        if std::mem::take(&mut self.shown) {
            out::error_text("\r\x1b[K");
        }
    }
}

/// Returns subject, progress, and a worker's words as far as there is room: a line that did not fit would
/// leave its beginning behind when it is rewritten. The progress stays longest.
fn line(what: &str, how_far: &str, words: &str, width: usize) -> String {
    let far = format!(" … {how_far}");
    let head = cut(what, width.saturating_sub(cells(&far))) + &far;
    let room = width.saturating_sub(cells(&head) + 2);
    // A few cut letters are worth nothing.
    let words = if room < 8 { String::new() } else { cut_words(words, room) };
    if words.is_empty() { cut(&head, width) } else { format!("{head}  {words}") }
}

/// The last line that a worker wrote since the request for a start.
pub(crate) struct LastWords {
    dir: PathBuf,
    /// Runs up to this one existed before.
    before: u64,
}

impl LastWords {
    /// Remembers the existing runs.
    pub(crate) fn new(dirs: &Dirs, name: &Name) -> Self {
        let dir = dirs.logs().join(name.on_disk());
        let before = logs::runs(&dir).ok().and_then(|runs| runs.last().copied()).unwrap_or(0);
        Self { dir, before }
    }

    /// Returns the last line of the latest run, if that is a new one. A log that can't be read has none.
    pub(crate) fn get(&self) -> Option<String> {
        let run = logs::runs(&self.dir).ok()?.last().copied().filter(|run| *run > self.before)?;
        let mut run = Run::open(&self.dir, run, &[Stream::Stdout, Stream::Stderr]).ok()?;
        let line = run.last_lines(1).ok()?.pop()?;
        Some(String::from_utf8_lossy(&line.bytes).into_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_line_fits_whatever_is_in_it() {
        let name = format!("starting {}", "名前".repeat(30));
        for width in [0, 1, 5, 20, 39, 59, 79] {
            for what in ["starting demo", &name] {
                for words in
                    ["", "日本語の長い行 and some more of it, until it is too long for any line at all"]
                {
                    let line = line(what, "1.2s", words, width);
                    assert!(cells(&line) <= width, "{line:?} in {width}");
                    assert!(width < 20 || line.contains("… 1.2s"), "{line:?} in {width}");
                }
            }
        }
        assert_eq!(line("starting demo", "1.2s", "opening\n", 79), "starting demo … 1.2s  opening");
        assert_eq!(line("starting demo", "1.2s", "opening", 24), "starting demo … 1.2s");
    }
}
