//! Workers and events for people (CLI, Output). Pure: text in, text out, everything escaped.

use crate::style::{self, paint};
use crate::table::{Align, layout};
use crate::terminal::{Look, cells, cut};
use crate::text::{self, escape, since, took};
use anstyle::Style;
use gob_client::protocol::{Event, EventKind, LockEnd, LockMode, Timestamp, event::Actor};
use gob_client::{View, screen};
use gob_protocol::queue::{QueueJob, QueueStatus};

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
        let name = match (&event.worker, &event.job) {
            (Some(worker), _) => text::name(worker.name.as_str()),
            (None, Some(job)) => text::name(job.id.as_str()),
            (None, None) if event.event.as_str().starts_with("supervisor_") => "gobd".to_owned(),
            (None, None) => {
                event.lock.as_ref().map_or_else(|| "-".to_owned(), |lock| text::name(lock.as_str()))
            }
        };
        let what = event_word(event.event);
        let when = clock(event.time);
        // The event must stay readable; the beginning of a long name is enough.
        let others = cells(&when) + Self::WHAT + Self::DETAILS;
        let most = look.width.map_or(Self::NAME, |width| width.saturating_sub(others).clamp(8, Self::NAME));
        let name = if look.width.is_some() { cut(&name, most) } else { name };
        self.name_width = self.name_width.max(cells(&name)).min(most);
        let of_worker = event.worker.as_ref().map(|worker| details(what.as_str(), worker));
        let details = of_worker
            .or_else(|| event.job.as_deref().map(details_of_job))
            .unwrap_or_else(|| lock_details(event));
        // A `ready` has no cause in words: the worker reports it.
        let by = by(&event.actor).filter(|_| event.event != EventKind::WorkerReady);
        let parts: Vec<String> = details.into_iter().chain(by).map(|part| escape(&part)).collect();
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

/// Returns who waits for a lock or holds it, and why the holder has it no more.
fn lock_details(event: &Event) -> Vec<String> {
    let Some(party) = event.holder.as_ref().or(event.waiter.as_ref()) else { return Vec::new() };
    let mode = (party.mode == LockMode::Shared).then(|| party.mode.as_str().to_owned());
    let why = event.reason.and_then(|reason| match reason {
        LockEnd::Released | LockEnd::Broken => None,
        LockEnd::Connection => Some("its connection ended".to_owned()),
        LockEnd::Ttl => Some("its time was over".to_owned()),
    });
    let token = event.token.map(|token| format!("token {token}"));
    [mode, Some(party.to_string()), token, why].into_iter().flatten().collect()
}

/// Pads the text with blanks to this many cells.
fn pad(text: &str, width: usize) -> String {
    format!("{text}{}", " ".repeat(width.saturating_sub(cells(text))))
}

/// Returns an event in words, without its subject: `ready`, `owner changed`, `lease granted`.
pub(crate) fn event_word(kind: EventKind) -> String {
    let kind = kind.as_str();
    let subjects = ["worker_", "supervisor_", "queue_"];
    let what = subjects.iter().find_map(|subject| kind.strip_prefix(subject)).unwrap_or(kind);
    what.replace('_', " ")
}

/// Returns the style of an event.
pub(crate) const fn style_of_event(event: EventKind) -> Style {
    use EventKind as Kind;
    match event {
        Kind::WorkerReady => style::GOOD,
        Kind::WorkerFailed | Kind::WorkerUnhealthy | Kind::Lagged => style::BAD,
        Kind::WorkerBackoff | Kind::SupervisorHealed | Kind::SupervisorStopping | Kind::LockBroken => {
            style::WARN
        }
        Kind::WorkerStopped
        | Kind::WorkerCeded
        | Kind::WorkerRemoved
        | Kind::LeaseGranted
        | Kind::LeaseReleased => style::FAINT,
        Kind::WorkerAdded
        | Kind::WorkerStarting
        | Kind::WorkerStarted
        | Kind::WorkerStopping
        | Kind::WorkerUpdated
        | Kind::WorkerOwnerChanged
        | Kind::LockWaiting
        | Kind::LockGranted
        | Kind::LockReleased
        | Kind::QueueJobAdded
        | Kind::QueueJobStarted
        | Kind::QueueJobFinished
        | Kind::QueueJobRecovered
        | Kind::SupervisorStarted
        | Kind::SupervisorUpgraded => style::PLAIN,
    }
}

/// Returns the lane of a job of the queue, and what became of it.
fn details_of_job(job: &QueueJob) -> Vec<String> {
    let error = job.error.clone().filter(|_| job.status != QueueStatus::Running);
    [Some(format!("in {}", job.lane)), Some(job.status.to_string()), error].into_iter().flatten().collect()
}

fn details(what: &str, worker: &View) -> Vec<String> {
    let one = match what {
        "started" | "stopping" => worker.pid.map(|pid| format!("pid {pid}")),
        "ready" => {
            let times = worker.started_at.zip(worker.ready_at);
            let took = times.map(|(started, ready)| format!("in {}", took(since(started, ready))));
            return took.into_iter().chain(worker.endpoint.as_deref().map(str::to_owned)).collect();
        }
        "updated" if worker.reason.is_none() => {
            (!worker.ports.is_empty()).then(|| format!("listens on {}", screen::ports(&worker.ports)))
        }
        "owner changed" => Some(format!("to {}", worker.owner)),
        "stopped" | "ceded" => worker.exit.as_ref().map(ToString::to_string),
        "lease granted" | "lease released" => Some(count(u64::from(worker.leases), "lease")),
        _ => worker.reason.clone(),
    };
    one.into_iter().collect()
}

/// Returns `1 lease`, `2 leases`.
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
