//! The table of `list`, drawn from the rows of the screen model.

use crate::style::{self, paint};
use crate::table::{Align, Narrower, fitted};
use crate::terminal::Look;
use crate::text::{escape, name};
use anstyle::Style;
use gob_client::View;
use gob_client::protocol::Timestamp;
use gob_client::screen::{Row, Tone, by_name};

/// The header of `list`.
const HEADER: [&str; 8] = ["NAME", "KIND", "OWNER", "STATE", "PID", "UP", "RESTARTS", "ENDPOINT"];
const ALIGN: [Align; 8] = {
    use Align::{Left, Right};
    [Left, Left, Left, Left, Left, Left, Right, Left]
};

/// The steps that make the table narrower, in order: columns that are mostly zero go first; the endpoint
/// stays as long as a part of it is readable.
const NARROWER: [Narrower; 10] = {
    use Narrower::{Cut, Without};
    const NAME: usize = 0;
    const KIND: usize = 1;
    const OWNER: usize = 2;
    const PID: usize = 4;
    const UP: usize = 5;
    const RESTARTS: usize = 6;
    const ENDPOINT: usize = 7;
    [
        Without(RESTARTS),
        Cut(NAME, 32),
        Cut(ENDPOINT, 24),
        Without(UP),
        Without(PID),
        Cut(NAME, 16),
        Without(KIND),
        Without(ENDPOINT),
        Without(OWNER),
        Cut(NAME, 4),
    ]
};

/// Returns the table of these workers.
pub(crate) fn list_of(views: &[View], now: Timestamp, look: Look) -> String {
    list(&views.iter().map(Row::from).collect::<Vec<_>>(), now, look)
}

/// Returns the table of `list`, header first.
pub(crate) fn list(workers: &[Row<'_>], now: Timestamp, look: Look) -> String {
    let rows: Vec<[String; 8]> =
        std::iter::once(HEADER.map(str::to_owned)).chain(workers.iter().map(|w| row(w, now))).collect();
    let mut out = String::new();
    for (at, line) in fitted(ALIGN, &rows, look.width, &NARROWER).into_iter().enumerate() {
        let tone = at.checked_sub(1).and_then(|at| workers.get(at)).map(Row::tone);
        out.push_str(&paint(&line, tone.map_or(style::HEAD, style_of), look.color));
        out.push('\n');
    }
    out
}

/// Sorts workers for people: `j2` comes before `j10`.
pub(crate) fn sort(workers: &mut [Row<'_>]) {
    workers.sort_by(|a, b| by_name(a.name(), b.name()));
}

/// Returns the style of a line.
const fn style_of(tone: Tone) -> Style {
    match tone {
        Tone::Plain => style::PLAIN,
        Tone::Busy => style::WARN,
        Tone::Bad => style::BAD,
        Tone::Faint => style::FAINT,
    }
}

fn row(worker: &Row<'_>, now: Timestamp) -> [String; 8] {
    let dash = || "-".to_owned();
    let words = worker.words(now);
    let mut last = words.last.as_deref().map_or_else(dash, escape);
    if let Some(command) = words.command {
        last.push_str("   ");
        last.push_str(&escape(&command));
    }
    [
        name(words.name),
        escape(words.kind),
        words.owner.to_owned(),
        words.state,
        words.pid.map_or_else(dash, |pid| pid.to_string()),
        words.up.unwrap_or_else(dash),
        words.restarts.to_string(),
        last,
    ]
}
