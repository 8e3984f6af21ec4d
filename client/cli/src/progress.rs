//! One line on a terminal while something takes its time: what, and for how long already.

use crate::context::Context;
use crate::out;
use crate::text::{escape, short_duration};
use std::io::IsTerminal;
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
