//! The model that answers and events are compared with: whether each of them can be true, given all others.
//!
//! An answer is judged alone when it is read. Its claims about a run (who started it, which processes a stop
//! has ended) are compared with the events of that run once everything is at rest, when the recorder has seen
//! them all. Events come in the order in which the state changed, so the rule of owners can be checked at
//! each of them exactly.

use crate::answers;
use crate::fleet;
use crate::link::Asked;
use crate::shared::lock;
use gob_protocol::{EventKind, State, View};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Mutex;

/// Instance of the supervisor, worker, run.
type RunId = (String, String, u64);

#[derive(Default)]
pub struct Judge(Mutex<Book>);

#[derive(Default)]
struct Book {
    /// The client that was told `started`, for each run.
    started: BTreeMap<RunId, String>,
    /// Starts and stops that were answered since everything was last at rest.
    starts: Vec<(RunId, String)>,
    stops: Vec<Stop>,
    /// Workers that a client restarted since then, with the receipt in that answer.
    restarts: BTreeSet<(String, String)>,
    /// The first event of each run's end and begin.
    endings: BTreeMap<RunId, Ending>,
    beginnings: BTreeMap<RunId, Option<String>>,
    /// Runs that were signalled by a client's request, and processes that the harness signalled.
    signalled: BTreeSet<RunId>,
    touched: BTreeMap<i32, &'static str>,
    /// All processes that held a graph without gob.
    holders: BTreeSet<i32>,
    /// Supervisors that the harness has ended, by instance.
    ended: BTreeSet<String>,
    /// Supervisors that could not mark their runs for a while.
    unmarked: BTreeSet<String>,
    known: BTreeMap<String, Known>,
}

/// A stop that succeeded.
struct Stop {
    client: String,
    run: RunId,
    signalled: Vec<i64>,
    exit: Value,
}

/// The content of `worker_stopping`.
struct Ending {
    client: Option<String>,
    pid: Option<i32>,
}

/// A worker as of its last event.
struct Known {
    state: State,
    run: u64,
    pid: Option<i32>,
    owner: String,
    last_owner: Last,
}

/// The owner of a worker before it became `unknown`.
#[derive(Clone)]
enum Last {
    /// Not known, as after a snapshot.
    Unsure,
    Owner(String),
}

impl Judge {
    /// Notes that the harness is about to end the supervisor of this instance.
    pub fn ends_supervisor(&self, instance: &str) {
        lock(&self.0).ended.insert(instance.to_owned());
    }

    /// Notes that runs of this supervisor can't be marked for a while.
    pub fn leaves_unmarked(&self, instance: &str) {
        lock(&self.0).unmarked.insert(instance.to_owned());
    }

    /// Returns whether runs of this supervisor could not be marked.
    pub fn left_unmarked(&self, instance: &str) -> bool {
        lock(&self.0).unmarked.contains(instance)
    }

    /// Notes that the harness is about to send this signal to a worker's process.
    pub fn touches(&self, pid: i32, signal: &'static str) {
        lock(&self.0).touched.insert(pid, signal);
    }

    /// Notes that a foreign process holds a graph from now on.
    pub fn holds(&self, pid: i32) {
        lock(&self.0).holders.insert(pid);
    }

    /// Notes that another supervisor answers: its predecessor must have been ended by the harness.
    pub fn succeeded(&self, before: &str, now: &str) -> Result<(), String> {
        if before.is_empty() || before == now || lock(&self.0).ended.contains(before) {
            return Ok(());
        }
        Err(format!("the supervisor {before} is gone, and nobody has ended it; now there is {now}"))
    }

    /// Replaces all knowledge by this snapshot.
    pub fn snapshot<'a>(&self, views: impl IntoIterator<Item = &'a View>) {
        let known = |view: &View| Known {
            state: view.state,
            run: view.run,
            pid: view.pid,
            owner: view.owner.to_string(),
            last_owner: Last::Unsure,
        };
        lock(&self.0).known = views.into_iter().map(|view| (view.name.to_string(), known(view))).collect();
    }

    /// Judges an answer alone and keeps the claims that are compared with events.
    pub fn answer(
        &self,
        client: &str,
        owner: &str,
        instance: &str,
        asked: &Asked,
        answer: &Value,
    ) -> Result<(), String> {
        let wrong =
            |why: String| Err(format!("{why}: {} {} was answered {answer}", asked.kind, asked.payload));
        let mut book = lock(&self.0);
        if asked.kind == "restart" {
            book.restarts.insert((client.to_owned(), asked.worker().to_owned()));
        }
        if let Some(why) = answers::judge(owner, asked, answer, &book.holders) {
            return wrong(why);
        }
        let data = &answer["data"];
        let (Some(name), Some(run)) = (data["worker"]["name"].as_str(), data["worker"]["run"].as_u64())
        else {
            return Ok(());
        };
        let run: RunId = (instance.to_owned(), name.to_owned(), run);
        match &*asked.kind {
            "start" | "add" if data["outcome"] == "started" => {
                if let Some(other) = book.started.insert(run.clone(), client.to_owned()) {
                    return wrong(format!("{other} was told already that it has started {run:?}"));
                }
                book.starts.push((run, client.to_owned()));
            }
            "signal" => drop(book.signalled.insert(run)),
            "stop" => {
                let signalled = data["receipt"]["signalled"].as_array();
                let signalled = signalled.into_iter().flatten().filter_map(|entry| entry["pid"].as_i64());
                let exit = data["worker"]["exit"].clone();
                let (client, signalled) = (client.to_owned(), signalled.collect());
                book.stops.push(Stop { client, run, signalled, exit });
            }
            _else => {}
        }
        Ok(())
    }

    /// Judges an event by the knowledge before it.
    pub fn event(&self, instance: &str, kind: EventKind, view: &View, actor: &Value) -> Result<(), String> {
        let mut book = lock(&self.0);
        let name = view.name.as_str();
        let run: RunId = (instance.to_owned(), name.to_owned(), view.run);
        let client = actor["client"].as_str().map(str::to_owned);
        let before = book.known.get(name);
        let last = before.map_or(Last::Unsure, |known| known.last_owner.clone());
        check_actor(kind, view, actor, before, &last)?;
        check_exit(&book, kind, view, &run)?;
        if view.state == State::External && !view.pid.is_some_and(|pid| book.holders.contains(&pid)) {
            return Err(format!("{name} is external, held by {:?}, which never held a graph", view.pid));
        }
        if kind == EventKind::WorkerStopping {
            book.endings.entry(run).or_insert(Ending { client, pid: view.pid });
        } else if kind == EventKind::WorkerStarted {
            book.beginnings.insert(run, client);
        }
        if kind == EventKind::WorkerRemoved {
            book.known.remove(name);
            return Ok(());
        }
        let owner = view.owner.to_string();
        let last_owner = match book.known.remove(name) {
            Some(known) if owner == "unknown" && known.owner != "unknown" => Last::Owner(known.owner),
            Some(known) if owner == "unknown" => known.last_owner,
            _else => Last::Unsure,
        };
        let known = Known { state: view.state, run: view.run, pid: view.pid, owner, last_owner };
        book.known.insert(name.to_owned(), known);
        Ok(())
    }

    /// Compares the answers with the events; everything is at rest, and every event of `instance` was seen.
    pub fn compare(&self, instance: &str) -> Result<(), String> {
        let mut book = lock(&self.0);
        let (starts, stops) = (std::mem::take(&mut book.starts), std::mem::take(&mut book.stops));
        for (run, client) in starts.iter().filter(|(run, _)| run.0 == instance) {
            if let Some(Some(actor)) = book.beginnings.get(run)
                && actor != client
            {
                return Err(format!("{client} was told that it has started {run:?}, which {actor} did"));
            }
        }
        let restarts = std::mem::take(&mut book.restarts);
        for (run, Ending { client, pid }) in book.endings.iter().filter(|(run, _)| run.0 == instance) {
            let (Some(client), Some(pid)) = (client, pid) else { continue };
            // The first of its stops has the receipt; the others find nothing to do.
            let own: Vec<&Stop> =
                stops.iter().filter(|stop| stop.client == *client && stop.run == *run).collect();
            // A run that ended in another way may have been dead before anything was sent to it.
            let by_gob = own
                .iter()
                .any(|stop| ["SIGTERM", "SIGKILL"].iter().any(|signal| stop.exit["signal"] == *signal));
            let by_others = fleet::ends_by_itself(&run.1)
                || restarts.contains(&(client.clone(), run.1.clone()))
                || book.touched.contains_key(pid)
                || book.signalled.contains(run);
            let named = own.iter().any(|stop| stop.signalled.contains(&i64::from(*pid)));
            if by_gob && !by_others && !named {
                return Err(format!("no receipt that {client} has for {run:?} names its leader {pid}"));
            }
        }
        // An ended run can't be reported again; touched pids may be given to others.
        book.endings.clear();
        book.beginnings.clear();
        book.signalled.clear();
        book.touched.clear();
        Ok(())
    }
}

/// Returns whether a requester may manage a worker of this owner (PROTOCOL, Who may).
pub fn may_manage(owner: &str, requester: &str, last: Option<&str>) -> bool {
    if owner == "unknown" { requester == "cli" || last == Some(requester) } else { owner == requester }
}

fn check_actor(
    kind: EventKind,
    view: &View,
    actor: &Value,
    before: Option<&Known>,
    last: &Last,
) -> Result<(), String> {
    let name = &view.name;
    let owner_before = before.map(|known| known.owner.as_str());
    let Some(requester) = actor["owner"].as_str() else {
        let lost = kind == EventKind::WorkerOwnerChanged && view.owner.as_str() != "unknown";
        return if lost {
            Err(format!("the supervisor itself gave {name} to {}", view.owner))
        } else {
            Ok(())
        };
    };
    // A start of a worker at rest makes its requester the owner.
    let was_up = before.is_some_and(|known| {
        known.run == view.run && matches!(known.state, State::Starting | State::Ready | State::Unhealthy)
    });
    // The owner at the time of the request: a change of the owner shows the new one.
    let owner = if matches!(kind, EventKind::WorkerStopping | EventKind::WorkerRemoved) {
        view.owner.as_str()
    } else if kind == EventKind::WorkerOwnerChanged {
        owner_before.filter(|_| was_up).unwrap_or(requester)
    } else {
        return match owner_before {
            Some(owner) if was_up && owner != view.owner.as_str() => {
                Err(format!("{name} went from {owner} to {} with {kind}", view.owner))
            }
            Some(_) | None => Ok(()),
        };
    };
    let unsure = owner == "unknown" && matches!(last, Last::Unsure);
    let last = match last {
        Last::Unsure => None,
        Last::Owner(last) => Some(last.as_str()),
    };
    if unsure || view.state == State::External || may_manage(owner, requester, last) {
        return Ok(());
    }
    Err(format!("{kind} of {name}, which {owner} owns, by {requester}"))
}

/// Compares the end of a run with its worker's script and with the actions of the harness.
fn check_exit(book: &Book, kind: EventKind, view: &View, run: &RunId) -> Result<(), String> {
    let ends = matches!(
        kind,
        EventKind::WorkerStopped
            | EventKind::WorkerBackoff
            | EventKind::WorkerFailed
            | EventKind::WorkerCeded
            // An end that was not asked for is told twice, as it begins and when nothing is left.
            | EventKind::WorkerStopping
    );
    let Some(exit) = view.exit.as_ref().filter(|_| ends) else { return Ok(()) };
    let exit = serde_json::to_value(exit).map_err(|e| e.to_string())?;
    let told = |why: &str| Err(format!("{run:?} is told to have ended with {exit}, {why}"));
    if let Some(code) = exit["code"].as_i64()
        && !fleet::exits_with(view.name.as_str(), code)
    {
        return told("a code that its program never gives");
    }
    // Before this event it was up, so no client had asked it to end.
    let up = book
        .known
        .get(view.name.as_str())
        .filter(|known| known.run == view.run && matches!(known.state, State::Ready | State::Unhealthy));
    let killed = up.and_then(|known| book.touched.get(&known.pid?)) == Some(&"SIGKILL");
    if killed && exit["signal"] != "SIGKILL" && !fleet::ends_by_itself(view.name.as_str()) {
        return told("and its leader was killed");
    }
    Ok(())
}
