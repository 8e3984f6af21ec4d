//! Workers and events for people (CLI, Output). Pure: text in, text out, everything escaped.

use crate::style::{self, paint};
use crate::table::{Align, layout};
use crate::terminal::{Look, cells, cut};
use crate::text::{self, escape};
use anstyle::Style;
use gob_client::protocol::{Event, EventKind, Timestamp};
use gob_client::screen::Tone;
use gob_client::{View, screen};

/// Returns `pid 4242, owner cli`.
pub(crate) fn who(worker: &View) -> String {
    match worker.pid {
        Some(pid) => format!("pid {pid}, owner {}", worker.owner),
        None => format!("owner {}", worker.owner),
    }
}

/// Returns ` (pid 4242)`, if the worker has a process.
pub(crate) fn with_pid(worker: &View) -> String {
    worker.pid.map(|pid| format!(" (pid {pid})")).unwrap_or_default()
}

/// Returns all facts about one worker.
pub(crate) fn worker(worker: &View, now: Timestamp) -> String {
    let title = format!("{} ({})\n", text::name(worker.name.as_str()), escape(&worker.kind));
    title + &pairs(&screen::worker(worker, now))
}

/// Lays out keys and values in two columns.
pub(crate) fn pairs(lines: &[(&str, String)]) -> String {
    let rows: Vec<[String; 2]> =
        lines.iter().map(|(key, value)| [format!("  {key}"), escape(value)]).collect();
    layout([Align::Left, Align::Left], &rows).into_iter().map(|line| line + "\n").collect()
}

/// Lines of `events`. The column of names can only widen: printed lines stay as they are.
#[derive(Debug)]
pub(crate) struct EventLines {
    name_width: usize,
}

impl Default for EventLines {
    fn default() -> Self {
        Self { name_width: 8 }
    }
}

impl EventLines {
    /// Cells of the longest word for an event, `lease released`.
    const WHAT: usize = 14;
    /// Cells up to which a name moves the other columns.
    const NAME: usize = 24;
    /// Cells that are kept for the beginning of the details, with the gaps between columns.
    const DETAILS: usize = 16;

    /// Returns one event: time, worker, event, details, cause. `clock` turns its time into local time of day.
    pub(crate) fn line(&mut self, event: &Event, look: Look, clock: impl Fn(Timestamp) -> String) -> String {
        let name = screen::event_subject(event);
        let what = screen::event_word(event.event);
        let when = clock(event.time);
        // The event must stay readable; the beginning of a long name is enough.
        let others = cells(&when) + Self::WHAT + Self::DETAILS;
        let most = look.width.map_or(Self::NAME, |width| width.saturating_sub(others).clamp(8, Self::NAME));
        let name = if look.width.is_some() { cut(&name, most) } else { name };
        self.name_width = self.name_width.max(cells(&name)).min(most);
        let parts: Vec<String> = screen::event_details(event).iter().map(|part| escape(part)).collect();
        let head = format!("{when}  {}  ", pad(&name, self.name_width));
        let tail = parts.join("   ");
        let what = if tail.is_empty() { what } else { pad(&what, Self::WHAT) + "  " };
        let room = look.width.map(|width| width.saturating_sub(cells(&head) + cells(&what)));
        match (look.width, room) {
            (Some(width), Some(0)) => cut(&format!("{head}{what}{tail}"), width) + "\n",
            (_, room) => {
                let tail = room.map_or_else(|| tail.clone(), |room| cut(&tail, room));
                format!("{head}{}{tail}\n", paint(&what, style_of_event(event.event), look.color))
            }
        }
    }
}

/// Pads the text with blanks to this many cells.
fn pad(text: &str, width: usize) -> String {
    format!("{text}{}", " ".repeat(width.saturating_sub(cells(text))))
}

/// Returns the style of an event.
pub(crate) const fn style_of_event(event: EventKind) -> Style {
    match screen::event_tone(event) {
        Tone::Plain if matches!(event, EventKind::WorkerReady) => style::GOOD,
        Tone::Plain => style::PLAIN,
        Tone::Busy => style::WARN,
        Tone::Bad => style::BAD,
        Tone::Faint => style::FAINT,
    }
}

#[cfg(test)]
#[path = "render_tests.rs"]
mod tests;
