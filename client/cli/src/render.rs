//! Workers and events as people read them (CLI, Output). Pure: text in, text out, everything escaped.

use crate::rows::Row;
use crate::table::{Align, layout};
use crate::text::{escape, shell, short_duration, since};
use gob_client::View;
use gob_client::protocol::{Event, EventKind, Timestamp, event::Actor};
use std::sync::Arc;

/// `pid 4242, owner cli`.
pub(crate) fn who(worker: &View) -> String {
    match worker.pid {
        Some(pid) => format!("pid {pid}, owner {}", worker.owner),
        None => format!("owner {}", worker.owner),
    }
}

/// ` (pid 4242)`, where it has a process.
pub(crate) fn with_pid(worker: &View) -> String {
    worker.pid.map(|pid| format!(" (pid {pid})")).unwrap_or_default()
}

/// All about one worker.
pub(crate) fn worker(worker: &View, now: Timestamp) -> String {
    let mut lines: Vec<(&str, String)> = Vec::new();
    let owned = if worker.owned { "" } else { "; you don't own it" };
    lines.push(("owner", format!("{}{owned}", worker.owner)));
    lines.push(("state", crate::rows::state(&Row::from(worker), now)));
    let ago = |at: Timestamp| format!("{at} ({} ago)", short_duration(since(at, now)));
    let text = |text: &Option<Arc<str>>| text.as_deref().map(str::to_owned);
    let optional = [
        ("reason", worker.reason.clone()),
        ("blocked", worker.blocked.clone()),
        ("pid", worker.pid.map(|pid| pid.to_string())),
        ("endpoint", text(&worker.endpoint)),
        ("version", text(&worker.version)),
        ("about", worker.description.clone()),
        ("graph", text(&worker.graph)),
        ("root", text(&worker.root_dir)),
        ("cwd", text(&worker.cwd)),
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
    lines.extend(lease_lines(worker).map(|holder| ("lease", holder)));
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
    lines.extend(text(&worker.stdout_path).map(|path| ("stdout", path)));
    lines.extend(text(&worker.stderr_path).map(|path| ("stderr", path)));
    let title = format!("{} ({})\n", escape(worker.name.as_str()), escape(&worker.kind));
    title + &pairs(&lines)
}

/// Holders of its leases, and how many more there are than a view names.
fn lease_lines(worker: &View) -> impl Iterator<Item = String> {
    let shown = u32::try_from(worker.lease_holders.len()).unwrap_or(u32::MAX);
    let more = worker.leases.saturating_sub(shown);
    let holders = worker.lease_holders.iter().map(ToString::to_string);
    holders.chain((more > 0).then(|| format!("and {more} more")))
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
        "ready" => worker.endpoint.as_deref().map(str::to_owned),
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
