//! The brief for people and programs that read: at most 40 lines with its cursor. Pure: everything is escaped.

use crate::render::event_word;
use crate::table::{Align, Narrower, fitted};
use crate::terminal::{Look, cut};
use crate::text::{escape, name as shown_name, short_duration, since};
use gob_client::protocol::event::Actor;
use gob_client::protocol::{Event, EventKind, RunOutcome, State, Timestamp};
use gob_client::screen::Row;
use gob_client::{Name, View};

/// Lines of workers that fail, of changes, and of commands.
const FAILING: usize = 10;
const CHANGED: usize = 12;
const NEXT: usize = 3;
/// The latest events that are told of a worker.
const WORDS: usize = 3;
/// Cells of a reason where no terminal limits it.
const REASON: usize = 160;

/// The facts known of the time since a cursor.
pub(super) enum Past<'a> {
    /// There was no cursor.
    NotAsked,
    /// The changes since.
    Known(&'a Changes),
    /// Some of the changes are kept no longer.
    Gone,
    /// The cursor is of another supervisor.
    OfAnother,
}

/// Changes by worker, the one with the latest change last.
#[derive(Debug, Default)]
pub(super) struct Changes {
    of: Vec<Changed>,
}

/// The changes of one worker, or of the supervisor.
#[derive(Debug)]
struct Changed {
    name: Option<Name>,
    words: Vec<String>,
    by: Option<String>,
}

impl Changes {
    /// Takes the next event, if it is one that a reader should know of.
    pub(super) fn take(&mut self, event: &Event) {
        let Some(word) = word(event) else { return };
        let name = event.worker.as_ref().map(|worker| worker.name.clone());
        let known = self.of.iter().position(|changed| changed.name == name);
        let mut changed =
            known.map_or_else(|| Changed { name, words: Vec::new(), by: None }, |at| self.of.remove(at));
        changed.words.push(word);
        if let actor @ Actor::Client { .. } = &event.actor {
            changed.by = Some(format!("by {actor}"));
        }
        self.of.push(changed);
    }
}

/// Returns an event in a word or two; none for steps on the way to another one.
fn word(event: &Event) -> Option<String> {
    use EventKind as Kind;
    let worker = event.worker.as_ref();
    match event.event {
        Kind::WorkerStopped | Kind::WorkerCeded => {
            let exit = worker.and_then(|worker| worker.exit.as_ref());
            Some(exit.map_or_else(|| event_word(event.event), ToString::to_string))
        }
        Kind::WorkerFailed | Kind::WorkerUnhealthy => {
            let reason = worker.and_then(|worker| worker.reason.as_deref());
            Some(
                reason.map_or_else(
                    || event_word(event.event),
                    |why| format!("{}: {why}", event_word(event.event)),
                ),
            )
        }
        Kind::WorkerOwnerChanged => {
            Some(format!("handed to {}", worker.map_or("another owner", |worker| worker.owner.as_str())))
        }
        Kind::WorkerAdded
        | Kind::WorkerStarted
        | Kind::WorkerBackoff
        | Kind::WorkerRemoved
        | Kind::LockBroken
        | Kind::QueueJobFinished
        | Kind::QueueJobRecovered
        | Kind::SupervisorStarted
        | Kind::SupervisorUpgraded
        | Kind::SupervisorStopping
        | Kind::SupervisorHealed => Some(event_word(event.event)),
        Kind::WorkerStarting
        | Kind::WorkerStopping
        | Kind::WorkerReady
        | Kind::WorkerUpdated
        | Kind::LeaseGranted
        | Kind::LeaseReleased
        | Kind::LockWaiting
        | Kind::LockGranted
        | Kind::LockReleased
        | Kind::QueueJobAdded
        | Kind::QueueJobStarted
        | Kind::Lagged => None,
    }
}

/// Returns whether something is wrong with a worker.
fn fails(worker: &View) -> bool {
    match worker.state {
        State::Failed | State::Unhealthy | State::Backoff => true,
        State::Idle => {
            let is_job = &*worker.kind == "job";
            let outcome = worker.exit.as_ref().map(|exit| RunOutcome::of(exit, false));
            is_job && outcome == Some(RunOutcome::Failure)
        }
        State::Starting | State::Ready | State::Stopping | State::Ceded | State::External => false,
    }
}

/// Returns all lines but the cursor's.
pub(super) fn brief(workers: &[View], past: &Past<'_>, now: Timestamp, look: Look) -> String {
    let failing: Vec<&View> = workers.iter().filter(|worker| fails(worker)).collect();
    let mut lines = vec![sum(workers, failing.len())];
    match past {
        Past::NotAsked => {}
        Past::Gone => {
            lines.push("some of the changes are not known any more; this is the state now".to_owned())
        }
        Past::OfAnother => lines.push(
            "the cursor is of another supervisor: changes since are not known; this is the state now"
                .to_owned(),
        ),
        Past::Known(changes) if changes.of.is_empty() => lines.push("nothing has changed".to_owned()),
        Past::Known(changes) => {
            lines.push("changed:".to_owned());
            lines.extend(changed(changes, look));
        }
    }
    if !failing.is_empty() {
        lines.push("failing:".to_owned());
        lines.extend(failed(&failing, now, look));
    }
    lines.push("next:".to_owned());
    lines.extend(next(workers, &failing));
    lines
        .iter()
        .map(|line| look.width.map_or_else(|| line.clone(), |width| cut(line, width)) + "\n")
        .collect()
}

fn sum(workers: &[View], failing: usize) -> String {
    let live = workers.iter().filter(|worker| worker.state.is_live()).count();
    match workers.len() {
        0 => "no workers".to_owned(),
        1 => format!("1 worker: {live} running, {failing} failing"),
        count => format!("{count} workers: {live} running, {failing} failing"),
    }
}

fn changed(changes: &Changes, look: Look) -> Vec<String> {
    let more = changes.of.len().saturating_sub(CHANGED);
    let rows: Vec<[String; 3]> = changes.of.iter().skip(more).map(row).collect();
    let steps = [Narrower::Cut(0, 16), Narrower::Without(2), Narrower::Cut(1, 16)];
    let lines = fitted([Align::Left; 3], &rows, look.width, &steps);
    let earlier = (more > 0).then(|| format!("  and {more} more before: gobctl events --no-follow"));
    earlier.into_iter().chain(lines).collect()
}

fn row(changed: &Changed) -> [String; 3] {
    let name = changed.name.as_ref().map_or_else(|| "gobd".to_owned(), |name| shown_name(name.as_str()));
    let skipped = changed.words.len().saturating_sub(WORDS);
    let words: Vec<&str> = changed.words.iter().skip(skipped).map(String::as_str).collect();
    let before = if skipped > 0 { "… " } else { "" };
    let words = cut(&escape(&words.join(", ")), REASON);
    [format!("  {name}"), format!("{before}{words}"), escape(changed.by.as_deref().unwrap_or_default())]
}

fn failed(failing: &[&View], now: Timestamp, look: Look) -> Vec<String> {
    let row = |worker: &&View| {
        let row = Row::from(*worker);
        let words = row.words(now);
        let ago = worker.stopped_at.filter(|_| worker.pid.is_none());
        let why = words.last.as_deref().unwrap_or(&words.state);
        [
            format!("  {}", shown_name(worker.name.as_str())),
            cut(&escape(why), REASON),
            ago.map(|at| format!("{} ago", short_duration(since(at, now)))).unwrap_or_default(),
        ]
    };
    let rows: Vec<[String; 3]> = failing.iter().take(FAILING).map(row).collect();
    let steps = [Narrower::Cut(0, 16), Narrower::Without(2), Narrower::Cut(1, 16)];
    let mut lines = fitted([Align::Left; 3], &rows, look.width, &steps);
    let more = failing.len().saturating_sub(FAILING);
    lines.extend((more > 0).then(|| format!("  and {more} more: gobctl list")));
    lines
}

/// Returns the commands to type next.
fn next(workers: &[View], failing: &[&View]) -> Vec<String> {
    let logs = |worker: &&View| format!("  gobctl logs -n 20 {}", worker.name.as_argument());
    let mut lines: Vec<String> = failing.iter().take(NEXT).map(logs).collect();
    if lines.is_empty() {
        let any = if workers.is_empty() { "  gobctl add CMD" } else { "  gobctl list" };
        lines.push(any.to_owned());
    }
    lines
}

#[cfg(test)]
#[path = "text_tests.rs"]
mod tests;
