//! The table of `list`. A row borrows its cells from the answer and skips the rest of it, so that a list of
//! thousands costs little more than its bytes.

use crate::style::{self, paint};
use crate::table::{Align, Narrower, fitted};
use crate::terminal::Look;
use crate::text::{escape, name, shell, short_duration, since, up};
use anstyle::Style;
use gob_client::View;
use gob_client::protocol::{State, Timestamp};
use serde::Deserialize;
use std::borrow::Cow;

/// The fields of a worker in the table.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct Row<'a> {
    #[serde(borrow)]
    name: Cow<'a, str>,
    #[serde(borrow)]
    kind: Cow<'a, str>,
    #[serde(borrow)]
    owner: Cow<'a, str>,
    state: State,
    pid: Option<i32>,
    started_at: Option<Timestamp>,
    ready_at: Option<Timestamp>,
    next_restart_at: Option<Timestamp>,
    restarts: u32,
    #[serde(borrow)]
    endpoint: Option<Cow<'a, str>>,
    #[serde(borrow)]
    reason: Option<Cow<'a, str>>,
    #[serde(borrow)]
    command: Vec<Cow<'a, str>>,
}

/// The answer to `list`, as far as the table needs it.
#[derive(Debug, Deserialize)]
pub(crate) struct Rows<'a> {
    #[serde(borrow)]
    pub(crate) workers: Vec<Row<'a>>,
}

impl<'a> From<&'a View> for Row<'a> {
    fn from(view: &'a View) -> Self {
        Self {
            name: view.name.as_str().into(),
            kind: view.kind.as_ref().into(),
            owner: view.owner.as_str().into(),
            state: view.state,
            pid: view.pid,
            started_at: view.started_at,
            ready_at: view.ready_at,
            next_restart_at: view.next_restart_at,
            restarts: view.restarts,
            endpoint: view.endpoint.as_deref().map(Cow::from),
            reason: view.reason.as_deref().map(Cow::from),
            command: view.command.iter().map(Cow::from).collect(),
        }
    }
}

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
        let state = at.checked_sub(1).and_then(|at| workers.get(at)).map(|worker| worker.state);
        out.push_str(&paint(&line, state.map_or(style::HEAD, style_of), look.color));
        out.push('\n');
    }
    out
}

/// Returns the style of a line, for states that need attention.
fn style_of(state: State) -> Style {
    match state {
        State::Ready => style::PLAIN,
        State::Starting | State::Stopping | State::Backoff | State::External => style::WARN,
        State::Unhealthy | State::Failed => style::BAD,
        State::Idle | State::Ceded => style::FAINT,
    }
}

fn row(worker: &Row<'_>, now: Timestamp) -> [String; 8] {
    let dash = || "-".to_owned();
    let alive = worker.pid.is_some();
    [
        name(&worker.name),
        escape(&worker.kind),
        worker.owner.to_string(),
        state(worker, now),
        worker.pid.map_or_else(dash, |pid| pid.to_string()),
        worker.started_at.filter(|_| alive).map_or_else(dash, |at| up(since(at, now))),
        worker.restarts.to_string(),
        last_column(worker),
    ]
}

/// Returns the state in a word or two. A worker without a readiness check is shown as running: its readiness
/// is unknown.
pub(crate) fn state(worker: &Row<'_>, now: Timestamp) -> String {
    match (worker.state, worker.started_at, worker.next_restart_at) {
        (State::Starting, Some(at), _) if worker.pid.is_some() => {
            format!("starting ({})", short_duration(since(at, now)))
        }
        (State::Backoff, _, Some(at)) => format!("backoff (in {})", short_duration(since(now, at))),
        (State::Ready, _, _) if worker.kind == "job" && worker.ready_at == worker.started_at => {
            "running".to_owned()
        }
        (state, _, _) => state.to_string(),
    }
}

/// Returns the endpoint, or the reason why there is none; for a job its command behind that.
fn last_column(worker: &Row<'_>) -> String {
    let troubled = match worker.state {
        State::Unhealthy | State::Backoff | State::Failed | State::Ceded | State::External => true,
        // A requested stop has no reason.
        State::Idle => worker.reason.is_some(),
        State::Starting | State::Ready | State::Stopping => false,
    };
    let mut text = match (&worker.reason, &worker.endpoint) {
        (Some(reason), _) if troubled => escape(reason),
        (_, Some(endpoint)) => escape(endpoint),
        (_, None) => "-".to_owned(),
    };
    if worker.kind == "job" {
        text.push_str("   ");
        text.push_str(&escape(&shell(&worker.command)));
    }
    text
}
