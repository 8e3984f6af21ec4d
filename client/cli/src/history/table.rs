//! History for people: tables of runs, statistics and changes. Pure: everything is escaped.

use crate::render::style_of_event;
use crate::style::{self, paint};
use crate::table::{Align, Narrower, fitted};
use crate::terminal::Look;
use crate::text::{escape, name as shown_name, short_duration, since};
use anstyle::Style;
use gob_client::Name;
use gob_client::protocol::event::Actor;
use gob_client::protocol::{BlameEntry, Durations, RunOutcome, RunRecord, Stats, Timestamp};
use gob_client::screen::{event_word, run_duration, run_end};
use std::time::Duration;

const RUNS: [&str; 6] = ["RUN", "STARTED", "DURATION", "END", "OWNER", "BY"];
const RUNS_ALIGN: [Align; 6] = {
    use Align::{Left, Right};
    [Right, Left, Right, Left, Left, Left]
};
const RUNS_NARROWER: [Narrower; 6] = {
    use Narrower::{Cut, Without};
    [Cut(5, 12), Without(5), Cut(4, 12), Without(4), Without(2), Cut(3, 8)]
};

/// Returns the table of runs, header first.
pub(crate) fn runs(runs: &[RunRecord], now: Timestamp, look: Look) -> String {
    let rows: Vec<_> =
        std::iter::once(RUNS.map(str::to_owned)).chain(runs.iter().map(|run| run_row(run, now))).collect();
    let styles = std::iter::once(style::HEAD).chain(runs.iter().map(style_of_run));
    lines(fitted(RUNS_ALIGN, &rows, look.width, &RUNS_NARROWER), styles, look)
}

fn run_row(run: &RunRecord, now: Timestamp) -> [String; 6] {
    [
        run.run.to_string(),
        format!("{} ago", short_duration(since(run.started_at, now))),
        run_duration(run, now).map_or_else(|| "-".to_owned(), short_duration),
        escape(&run_end(run)),
        escape(run.owner.as_str()),
        by(&run.actor),
    ]
}

const fn style_of_run(run: &RunRecord) -> Style {
    match run.outcome {
        None | Some(RunOutcome::Success) => style::PLAIN,
        Some(RunOutcome::Failure) => style::BAD,
        Some(RunOutcome::Killed) => style::FAINT,
    }
}

fn by(actor: &Actor) -> String {
    escape(&actor.to_string())
}

/// Returns the statistics of a worker: a line about all runs, and a table by outcome.
pub(crate) fn stats(name: &Name, stats: &Stats, look: Look) -> String {
    let shown = shown_name(name.as_str());
    let runs = stats.runs;
    let plural = if runs == 1 { "" } else { "s" };
    let rate = stats.success_rate.map(|rate| {
        let tenths = rate.thousandths();
        format!(", {}.{}% of those that ended succeeded", tenths / 10, tenths % 10)
    });
    let head = format!("{shown}: {runs} run{plural}{}", rate.unwrap_or_default());
    let outcomes = &stats.by_outcome;
    let rows = [
        ["OUTCOME", "RUNS", "MEAN", "MEDIAN"].map(str::to_owned),
        durations("done", &outcomes.success),
        durations("failed", &outcomes.failure),
        durations("killed", &outcomes.killed),
    ];
    let table = fitted([Align::Left, Align::Right, Align::Right, Align::Right], &rows, look.width, &[]);
    let styles = std::iter::once(style::HEAD).chain(std::iter::repeat(style::PLAIN));
    let expected = stats.expected_ms.map(|ms| format!("expected of the next run: {}\n", duration(ms)));
    format!("{head}\n{}{}", lines(table, styles, look), expected.unwrap_or_default())
}

fn durations(outcome: &str, durations: &Durations) -> [String; 4] {
    let shown = |ms: Option<u64>| ms.map_or_else(|| "-".to_owned(), duration);
    [outcome.to_owned(), durations.count.to_string(), shown(durations.mean_ms), shown(durations.median_ms)]
}

/// Returns a duration in one unit.
pub(crate) fn duration(ms: u64) -> String {
    short_duration(Duration::from_millis(ms))
}

const CHANGES: [&str; 5] = ["TIME", "EVENT", "RUN", "BY", "REASON"];
const CHANGES_ALIGN: [Align; 5] = {
    use Align::{Left, Right};
    [Left, Left, Right, Left, Left]
};
const CHANGES_NARROWER: [Narrower; 5] = {
    use Narrower::{Cut, Without};
    [Cut(4, 16), Without(2), Cut(3, 12), Without(4), Cut(3, 4)]
};

/// Returns the table of changes, header first. `clock` turns times into local time of day.
pub(crate) fn changes(changes: &[BlameEntry], look: Look, clock: impl Fn(Timestamp) -> String) -> String {
    let row = |entry: &BlameEntry| {
        let dash = || "-".to_owned();
        [
            clock(entry.time),
            event_word(entry.event),
            entry.run.map_or_else(dash, |run| run.to_string()),
            by(&entry.actor),
            entry.reason.as_deref().map(escape).unwrap_or_default(),
        ]
    };
    let rows: Vec<_> = std::iter::once(CHANGES.map(str::to_owned)).chain(changes.iter().map(row)).collect();
    let styles =
        std::iter::once(style::HEAD).chain(changes.iter().map(|change| style_of_event(change.event)));
    lines(fitted(CHANGES_ALIGN, &rows, look.width, &CHANGES_NARROWER), styles, look)
}

fn lines(lines: Vec<String>, styles: impl Iterator<Item = Style>, look: Look) -> String {
    let painted = lines.iter().zip(styles).map(|(line, style)| paint(line, style, look.color) + "\n");
    painted.collect()
}

#[cfg(test)]
#[path = "table_tests.rs"]
mod tests;
