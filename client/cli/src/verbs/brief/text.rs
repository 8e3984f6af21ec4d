//! The brief for people and programs that read: at most 40 lines with its cursor. Pure: everything is escaped.

use crate::speech::Speech;
use crate::table::{Align, Narrower, fitted};
use crate::terminal::{Look, cut};
use crate::text::{escape, name as shown_name, short_duration, since};
use gob_client::protocol::event::Actor;
use gob_client::protocol::{Event, EventKind, Exit, HistoryEntry, Owner, RunOutcome, State, Timestamp};
use gob_client::screen::Row;
use gob_client::screen::event_word;
use gob_client::{Name, View};
use gob_protocol::queue::QueueStatus;
use serde_json::json;
use std::cmp::Reverse;

/// Lines of workers that fail, of changes, and of commands.
const FAILING: usize = 10;
const CHANGED: usize = 12;
const NEXT: usize = 3;
/// The latest events that are told of a worker.
const WORDS: usize = 3;
/// Cells of a reason where no terminal limits it.
const REASON: usize = 160;

/// The facts known of the time since a cursor.
pub(super) enum Past {
    /// There was no cursor.
    NotAsked,
    /// The changes since; `is_whole` tells that there were no others.
    Known { changes: Changes, is_whole: bool },
    /// The cursor is ahead of the present.
    Ahead,
    /// The cursor is of a supervisor that the history does not know.
    Unknown,
    /// The history can't be read, for this reason.
    Unread(String),
}

impl Past {
    /// Returns whether there may be changes that are not told.
    pub(super) fn has_gap(&self) -> bool {
        match self {
            Self::NotAsked => false,
            Self::Known { is_whole, .. } => !is_whole,
            Self::Ahead | Self::Unknown | Self::Unread(_) => true,
        }
    }

    /// Returns the line that says why the changes are not told, or not all of them.
    fn excuse(&self) -> Option<String> {
        let now = "; this is the state now";
        match self {
            Self::NotAsked | Self::Known { is_whole: true, .. } => None,
            Self::Known { is_whole: false, .. } => {
                Some("some of the changes are not known any more".to_owned())
            }
            Self::Ahead => Some(format!("the cursor is ahead of all that has happened{now}")),
            Self::Unknown => Some(format!("the history does not know the supervisor of the cursor{now}")),
            Self::Unread(why) => Some(format!("the changes are not known: {}{now}", escape(why))),
        }
    }
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
        let worker = event.worker.as_ref();
        let told = Told {
            event: event.event,
            name: worker.map(|worker| &worker.name).or_else(|| event.job.as_ref().map(|job| &job.id)),
            status: event.job.as_ref().map(|job| job.status),
            actor: &event.actor,
            exit: worker.and_then(|worker| worker.exit.as_ref()),
            reason: worker.and_then(|worker| worker.reason.as_deref()),
            owner: worker.map(|worker| &worker.owner),
        };
        self.add(&told);
    }

    /// Takes the next change of the history, in the same way.
    pub(super) fn take_entry(&mut self, entry: &HistoryEntry) {
        let HistoryEntry { event, name, actor, exit, reason, .. } = entry;
        let (name, exit, reason) = (name.as_ref(), exit.as_ref(), reason.as_deref());
        self.add(&Told { event: *event, name, actor, exit, reason, owner: None, status: None });
    }

    fn add(&mut self, told: &Told<'_>) {
        let Some(word) = word(told) else { return };
        let name = told.name.cloned();
        let known = self.of.iter().position(|changed| changed.name == name);
        let mut changed =
            known.map_or_else(|| Changed { name, words: Vec::new(), by: None }, |at| self.of.remove(at));
        // Only the latest are shown.
        if changed.words.len() > WORDS {
            changed.words.remove(0);
        }
        changed.words.push(word);
        if let actor @ Actor::Client { .. } = told.actor {
            changed.by = Some(format!("by {actor}"));
        }
        self.of.push(changed);
    }
}

/// A change, from an event or from the history.
struct Told<'a> {
    event: EventKind,
    name: Option<&'a Name>,
    actor: &'a Actor,
    exit: Option<&'a Exit>,
    reason: Option<&'a str>,
    owner: Option<&'a Owner>,
    /// Of a job of the queue.
    status: Option<QueueStatus>,
}

/// Returns a change in a word or two; none for steps on the way to another one.
fn word(told: &Told<'_>) -> Option<String> {
    use EventKind as Kind;
    let plain = || event_word(told.event);
    match told.event {
        Kind::WorkerStopped | Kind::WorkerCeded => Some(told.exit.map_or_else(plain, ToString::to_string)),
        Kind::WorkerFailed | Kind::WorkerUnhealthy => {
            Some(told.reason.map_or_else(plain, |why| format!("{}: {why}", plain())))
        }
        Kind::WorkerOwnerChanged => {
            let to = told.owner.map_or("another owner", |owner| owner.as_str());
            Some(format!("handed to {to}"))
        }
        Kind::QueueJobFinished => Some(told.status.map_or_else(plain, |status| format!("job {status}"))),
        Kind::WorkerAdded
        | Kind::WorkerStarted
        | Kind::WorkerBackoff
        | Kind::WorkerRemoved
        | Kind::LockBroken
        | Kind::QueueJobRecovered
        | Kind::SupervisorStarted
        | Kind::SupervisorUpgraded
        | Kind::SupervisorStopping
        | Kind::SupervisorHealed => Some(plain()),
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
pub(super) fn brief(workers: &[View], past: &Past, now: Timestamp, (look, speech): (Look, Speech)) -> String {
    let mut failing: Vec<&View> = workers.iter().filter(|worker| fails(worker)).collect();
    // The latest first, and before them what fails while it runs.
    failing.sort_by_key(|worker| Reverse(worker.stopped_at.filter(|_| worker.pid.is_none()).unwrap_or(now)));
    let mut lines = vec![sum(workers, failing.len())];
    lines.extend(past.excuse());
    if let Past::Known { changes, is_whole } = past {
        if !changes.of.is_empty() {
            lines.push("changed:".to_owned());
            lines.extend(changed(changes, look, speech));
        } else if *is_whole {
            lines.push("nothing has changed".to_owned());
        }
    }
    if !failing.is_empty() {
        lines.push("failing:".to_owned());
        lines.extend(failed(&failing, now, (look, speech)));
    }
    lines.push("next:".to_owned());
    lines.extend(next(workers, &failing, speech));
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

fn changed(changes: &Changes, look: Look, speech: Speech) -> Vec<String> {
    let more = changes.of.len().saturating_sub(CHANGED);
    let rows: Vec<[String; 3]> = changes.of.iter().skip(more).map(row).collect();
    let steps = [Narrower::Cut(0, 16), Narrower::Without(2), Narrower::Cut(1, 16)];
    let lines = fitted([Align::Left; 3], &rows, look.width, &steps);
    let where_from = speech.of("gobctl events --no-follow", "blame has those of a worker");
    let earlier = (more > 0).then(|| format!("  and {more} more before: {where_from}"));
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

fn failed(failing: &[&View], now: Timestamp, (look, speech): (Look, Speech)) -> Vec<String> {
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
    lines.extend((more > 0).then(|| format!("  and {more} more: {}", speech.of("gobctl list", "list"))));
    lines
}

/// Returns the commands to type, or the tools to call, next.
fn next(workers: &[View], failing: &[&View], speech: Speech) -> Vec<String> {
    let look = |worker: &&View| {
        // A program that was never executed has said nothing; its command and directory are what to look at.
        let has_said_nothing = matches!(worker.exit, Some(Exit::SpawnFailed { .. }));
        match speech {
            Speech::Commands => {
                let verb = if has_said_nothing { "get" } else { "logs -n 20" };
                format!("  gobctl {verb} {}", worker.name.as_argument())
            }
            Speech::Tools => {
                let tool = if has_said_nothing { "status" } else { "logs" };
                format!("  {tool} {}", json!({"name": worker.name}))
            }
        }
    };
    let mut lines: Vec<String> = failing.iter().take(NEXT).map(look).collect();
    if lines.is_empty() {
        let (add, list) = (speech.of("gobctl add CMD", "add"), speech.of("gobctl list", "list"));
        lines.push(format!("  {}", if workers.is_empty() { add } else { list }));
    }
    lines
}

#[cfg(test)]
#[path = "text_tests.rs"]
mod tests;
