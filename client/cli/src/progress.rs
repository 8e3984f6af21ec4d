//! One line on a terminal while something takes its time: what, and for how long already.

use crate::context::Context;
use crate::out;
use crate::text::{escape, short_duration};
use gob_client::logs::{self, Run, Stream};
use gob_client::{Dirs, Name};
use std::io::IsTerminal;
use std::path::PathBuf;
use std::time::Duration;

/// A line that is rewritten in place, and gone when the work is done.
pub(crate) struct Progress {
    what: String,
    wanted: bool,
    shown: bool,
}

impl Progress {
    /// How often it changes.
    pub(crate) const EVERY: Duration = Duration::from_millis(100);
    /// What is quicker than this shows nothing.
    const AFTER: Duration = Duration::from_millis(300);

    /// Characters of a worker's last words.
    const WORDS: usize = 40;

    /// Nothing is shown yet; nothing ever is where standard error is no terminal.
    pub(crate) fn new(context: &Context, what: String) -> Self {
        let wanted = !context.quiet && !context.json && std::io::stderr().is_terminal();
        Self { what, wanted, shown: false }
    }

    /// Shows the time that has passed.
    pub(crate) fn show(&mut self, waited: Duration) {
        if self.wanted && waited >= Self::AFTER {
            self.shown = true;
            out::error_text(&format!("\r\x1b[K{} … {}", escape(&self.what), short_duration(waited)));
        }
    }

    /// Shows the time that has passed, and a worker's last words.
    pub(crate) fn show_with(&mut self, waited: Duration, words: impl FnOnce() -> Option<String>) {
        self.show(waited);
        if self.shown
            && let Some(words) = words()
        {
            // What does not fit into a line would leave its beginning behind when the line is rewritten.
            let words: String = words.chars().take(Self::WORDS).collect();
            out::error_text(&format!("  {}", escape(words.trim_end())));
        }
    }

    /// Shows how far it is, whatever the time.
    pub(crate) fn say(&mut self, how_far: &str) {
        if self.wanted {
            self.shown = true;
            out::error_text(&format!("\r\x1b[K{} … {}", escape(&self.what), escape(how_far)));
        }
    }

    /// Takes the line away.
    pub(crate) fn clear(&mut self) {
        if std::mem::take(&mut self.shown) {
            out::error_text("\r\x1b[K");
        }
    }
}

/// The last line that a worker wrote since a start was asked for.
pub(crate) struct LastWords {
    dir: PathBuf,
    /// Runs up to this one were there before.
    before: u64,
}

impl LastWords {
    /// Remembers which runs there are.
    pub(crate) fn new(dirs: &Dirs, name: &Name) -> Self {
        let dir = dirs.logs().join(name.on_disk());
        let before = logs::runs(&dir).ok().and_then(|runs| runs.last().copied()).unwrap_or(0);
        Self { dir, before }
    }

    /// The last line of the latest run, if that is a new one. A log that can't be read has none.
    pub(crate) fn get(&self) -> Option<String> {
        let run = logs::runs(&self.dir).ok()?.last().copied().filter(|run| *run > self.before)?;
        let mut run = Run::open(&self.dir, run, &[Stream::Stdout, Stream::Stderr]).ok()?;
        let line = run.last_lines(1).ok()?.pop()?;
        Some(String::from_utf8_lossy(&line.bytes).into_owned())
    }
}
