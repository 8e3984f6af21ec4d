//! Workers and events as people read them (CLI, Output). Pure: text in, text out, everything escaped.

use crate::table::{Align, layout};
use crate::text::{escape, shell, short_duration, since, up};
use gob_client::View;
use gob_client::protocol::{Event, EventKind, State, Timestamp, event::Actor};

/// The header of `list`.
const HEADER: [&str; 8] = ["NAME", "KIND", "OWNER", "STATE", "PID", "UP", "RESTARTS", "ENDPOINT"];
const ALIGN: [Align; 8] = {
    use Align::{Left, Right};
    [Left, Left, Left, Left, Left, Left, Right, Left]
};

/// `pid 4242, owner cli`.
pub(crate) fn who(worker: &View) -> String {
    match worker.pid {
        Some(pid) => format!("pid {pid}, owner {}", worker.owner),
        None => format!("owner {}", worker.owner),
    }
}

/// The table of `list`, header first.
pub(crate) fn list(workers: &[View], now: Timestamp, color: bool) -> String {
    let rows: Vec<[String; 8]> =
        std::iter::once(HEADER.map(str::to_owned)).chain(workers.iter().map(|w| row(w, now))).collect();
    let mut out = String::new();
    for (at, line) in layout(ALIGN, &rows).into_iter().enumerate() {
        let state = at.checked_sub(1).and_then(|at| workers.get(at)).map(|worker| worker.state);
        match (color, state) {
            (true, None) => out.push_str(&format!("\x1b[1m{line}\x1b[0m\n")),
            (true, Some(state)) => out.push_str(&format!("{}\n", paint(&line, state))),
            (false, _) => out.push_str(&format!("{line}\n")),
        }
    }
    out
}

/// Colours a line by state where the state asks for attention; it is never the only sign.
fn paint(line: &str, state: State) -> String {
    let code = match state {
        State::Ready => return line.to_owned(),
        State::Starting | State::Stopping | State::Backoff | State::External => "33",
        State::Unhealthy | State::Failed => "31",
        State::Idle | State::Ceded => "2",
    };
    format!("\x1b[{code}m{line}\x1b[0m")
}

fn row(worker: &View, now: Timestamp) -> [String; 8] {
    let dash = || "-".to_owned();
    let alive = worker.pid.is_some();
    [
        escape(worker.name.as_str()),
        escape(&worker.kind),
        worker.owner.to_string(),
        state(worker, now),
        worker.pid.map_or_else(dash, |pid| pid.to_string()),
        worker.started_at.filter(|_| alive).map_or_else(dash, |at| up(since(at, now))),
        worker.restarts.to_string(),
        last_column(worker),
    ]
}

/// The state in a word or two. What has no readiness check is said to run: nobody knows whether it is ready.
pub(crate) fn state(worker: &View, now: Timestamp) -> String {
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

/// Where it is reached, or why it can't be; for a job its command behind that.
fn last_column(worker: &View) -> String {
    let troubled = match worker.state {
        State::Unhealthy | State::Backoff | State::Failed | State::Ceded | State::External => true,
        State::Idle | State::Starting | State::Ready | State::Stopping => false,
    };
    let mut text = match (&worker.reason, &worker.endpoint) {
        (Some(reason), _) if troubled => {
            let gave_up = worker.state == State::Failed && !reason.contains("gobctl logs");
            let see = if gave_up { format!(": see gobctl logs {}", worker.name) } else { String::new() };
            escape(&format!("{reason}{see}"))
        }
        (_, Some(endpoint)) => escape(endpoint),
        (_, None) => "-".to_owned(),
    };
    if worker.kind == "job" {
        text.push_str("   ");
        text.push_str(&escape(&shell(&worker.command)));
    }
    text
}

/// All about one worker.
pub(crate) fn worker(worker: &View, now: Timestamp) -> String {
    let mut lines: Vec<(&str, String)> = Vec::new();
    let owned = if worker.owned { "" } else { "; you don't own it" };
    lines.push(("owner", format!("{}{owned}", worker.owner)));
    lines.push(("state", state(worker, now)));
    let ago = |at: Timestamp| format!("{at} ({} ago)", short_duration(since(at, now)));
    let optional = [
        ("reason", worker.reason.clone()),
        ("blocked", worker.blocked.clone()),
        ("pid", worker.pid.map(|pid| pid.to_string())),
        ("endpoint", worker.endpoint.clone()),
        ("version", worker.version.clone()),
        ("about", worker.description.clone()),
        ("graph", worker.graph.clone()),
        ("root", worker.root_dir.clone()),
        ("cwd", worker.cwd.clone()),
    ];
    lines.extend(optional.into_iter().filter_map(|(key, value)| value.map(|value| (key, value))));
    lines.push(("command", shell(&worker.command)));
    lines.push((
        "run",
        [
            worker.run.to_string(),
            count(u64::from(worker.restarts), "restart"),
            count(u64::from(worker.leases), "lease"),
        ]
        .join(", "),
    ));
    let times = [
        ("started", worker.started_at),
        ("ready", worker.ready_at),
        ("stopped", worker.stopped_at),
        ("output", worker.last_output_at),
    ];
    lines.extend(times.into_iter().filter_map(|(key, at)| at.map(|at| (key, ago(at)))));
    lines.extend(worker.exit.as_ref().map(|exit| ("exit", exit.to_string())));
    for port in &worker.ports {
        lines.push(("port", format!("{}/{} (pid {})", port.port, port.protocol, port.pid)));
    }
    lines.extend(worker.stdout_path.clone().map(|path| ("stdout", path)));
    lines.extend(worker.stderr_path.clone().map(|path| ("stderr", path)));
    let title = format!("{} ({})\n", escape(worker.name.as_str()), escape(&worker.kind));
    title + &pairs(&lines)
}

/// Keys and values in two columns.
pub(crate) fn pairs(lines: &[(&str, String)]) -> String {
    let rows: Vec<[String; 2]> =
        lines.iter().map(|(key, value)| [format!("  {key}"), escape(value)]).collect();
    layout([Align::Left, Align::Left], &rows).into_iter().map(|line| line + "\n").collect()
}

/// Lines of `events`. Columns can only widen: what was printed stays where it is.
#[derive(Debug, Default)]
pub(crate) struct EventLines {
    name_width: usize,
    kind_width: usize,
}

impl EventLines {
    /// One event: when, who, what, details, by whom. `clock` turns its time into local time of day.
    pub(crate) fn line(&mut self, event: &Event, clock: impl Fn(Timestamp) -> String) -> String {
        let kind = event.event.as_str();
        let (name, what) = match (&event.worker, kind.split_once('_')) {
            (Some(worker), Some(("worker", what))) => (escape(worker.name.as_str()), what),
            (Some(worker), _) => (escape(worker.name.as_str()), kind),
            (None, Some(("supervisor", what))) => ("gobd".to_owned(), what),
            (None, _) => ("-".to_owned(), kind),
        };
        let what = what.replace('_', " ");
        self.name_width = self.name_width.max(name.chars().count());
        self.kind_width = self.kind_width.max(what.chars().count()).max("started".len());
        let mut line = format!(
            "{}  {name:<name_width$}  {what:<kind_width$}",
            clock(event.time),
            name_width = self.name_width,
            kind_width = self.kind_width
        );
        let details = event.worker.as_ref().map(|worker| details(what.as_str(), worker)).unwrap_or_default();
        // Nobody does a ready: it is what a worker says.
        let by = by(&event.actor).filter(|_| event.event != EventKind::WorkerReady);
        for part in details.into_iter().chain(by) {
            line.push_str("   ");
            line.push_str(&escape(&part));
        }
        line.truncate(line.trim_end().len());
        line.push('\n');
        line
    }
}

fn details(what: &str, worker: &View) -> Option<String> {
    match what {
        "started" | "stopping" => worker.pid.map(|pid| format!("pid {pid}")),
        "ready" => worker.endpoint.clone(),
        "owner changed" => Some(format!("owner {}", worker.owner)),
        "stopped" | "ceded" => worker.exit.as_ref().map(ToString::to_string),
        "lease granted" | "lease released" => Some(count(u64::from(worker.leases), "lease")),
        _ => worker.reason.clone(),
    }
}

/// `1 lease`, `2 leases`.
fn count(number: u64, what: &str) -> String {
    format!("{number} {what}{}", if number == 1 { "" } else { "s" })
}

fn by(actor: &Actor) -> Option<String> {
    match actor {
        Actor::Supervisor => None,
        Actor::Client { .. } => Some(format!("by {actor}")),
    }
}

#[cfg(test)]
#[path = "render_tests.rs"]
mod tests;
