//! A row of the list of workers. It borrows what it shows from the answer and skips the rest of it, so that a list of
//! thousands costs little more than its bytes.

use super::times::{short_duration, since, up};
use super::worker::command;
use gob_protocol::exit::Exit;
use gob_protocol::view::Port;
use gob_protocol::{State, Timestamp, View};
use serde::Deserialize;
use std::borrow::Cow;
use std::time::Duration;

/// The highest share of a run that is not over.
const MOST_PERCENT: u8 = 99;

/// The mark of a state for a worker that runs an older program than the one on disk.
const OLD: &str = " (old)";

/// The part of a worker that a row shows.
#[derive(Debug, Clone, Deserialize)]
pub struct Row<'a> {
    #[serde(borrow)]
    name: Cow<'a, str>,
    #[serde(borrow)]
    kind: Cow<'a, str>,
    #[serde(borrow)]
    owner: Cow<'a, str>,
    state: State,
    pid: Option<i32>,
    started_at: Option<Timestamp>,
    exit: Option<Exit>,
    next_restart_at: Option<Timestamp>,
    restarts: u32,
    #[serde(borrow)]
    endpoint: Option<Cow<'a, str>>,
    #[serde(borrow)]
    reason: Option<Cow<'a, str>>,
    #[serde(borrow)]
    command: Vec<Cow<'a, str>>,
    #[serde(default)]
    expected_ms: Option<u64>,
    #[serde(default)]
    ports: Vec<Port>,
    #[serde(default)]
    program_changed: bool,
}

/// The answer to `list`, as far as rows go.
#[derive(Debug, Deserialize)]
pub struct Rows<'a> {
    /// A row for each worker, in the order of the answer.
    #[serde(borrow)]
    pub workers: Vec<Row<'a>>,
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
            exit: view.exit.clone(),
            next_restart_at: view.next_restart_at,
            restarts: view.restarts,
            endpoint: view.endpoint.as_deref().map(Cow::from),
            reason: view.reason.as_deref().map(Cow::from),
            command: view.command.iter().map(Cow::from).collect(),
            expected_ms: view.expected_ms,
            ports: view.ports.clone(),
            program_changed: view.program_changed,
        }
    }
}

/// The call for attention that a state makes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Tone {
    /// None: it runs as it should.
    Plain,
    /// Something is under way, or in other hands.
    Busy,
    /// Something is wrong.
    Bad,
    /// It is at rest.
    Faint,
}

impl Tone {
    /// Returns the tone of a state.
    #[must_use]
    pub const fn of(state: State) -> Self {
        match state {
            State::Ready => Self::Plain,
            State::Starting | State::Stopping | State::Backoff | State::External => Self::Busy,
            State::Unhealthy | State::Failed => Self::Bad,
            State::Idle | State::Ceded => Self::Faint,
        }
    }
}

/// Returns the word for a worker's state. A job without an endpoint is said to run: it has no readiness check, so whether it is
/// ready is unknown.
#[must_use]
pub fn state_word(worker: &View) -> &'static str {
    word_of(worker.state, &*worker.kind == "job", worker.endpoint.is_some())
}

const fn word_of(state: State, is_job: bool, has_endpoint: bool) -> &'static str {
    let runs = matches!(state, State::Ready) && is_job && !has_endpoint;
    if runs { "running" } else { state.as_str() }
}

/// The words of a row, a column each.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Words<'a> {
    /// The worker's name.
    pub name: &'a str,
    /// Its kind.
    pub kind: &'a str,
    /// Its owner.
    pub owner: &'a str,
    /// Its state in a word or two: `ready`, `starting (1.2s)`, `running (73%)`.
    pub state: String,
    /// Its process, while it has one.
    pub pid: Option<i32>,
    /// The age of its process, while it has one: `2m`.
    pub up: Option<String>,
    /// Its restarts by the policy.
    pub restarts: u32,
    /// Its endpoint, or else its ports (`tcp:5173`), or the reason why it can't be reached; how a job ended.
    pub last: Option<Cow<'a, str>>,
    /// The command of a job, as a shell takes it.
    pub command: Option<String>,
}

impl Row<'_> {
    /// Returns the worker's name, as it came.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Returns whether the worker runs an older program than the one on disk.
    #[must_use]
    pub const fn is_outdated(&self) -> bool {
        self.program_changed
    }

    /// Returns the tone of the row.
    #[must_use]
    pub const fn tone(&self) -> Tone {
        Tone::of(self.state)
    }

    /// Returns the words of the row as of now.
    #[must_use]
    pub fn words(&self, now: Timestamp) -> Words<'_> {
        Words {
            name: &self.name,
            kind: &self.kind,
            owner: &self.owner,
            state: self.state(now) + if self.program_changed { OLD } else { "" },
            pid: self.pid,
            up: self.started_at.filter(|_| self.pid.is_some()).map(|at| up(since(at, now))),
            restarts: self.restarts,
            last: self.last(),
            command: self.is_job().then(|| command(&self.command)),
        }
    }

    /// Returns the state in a word or two. A job without an endpoint is said to run: it has no
    /// readiness check, so whether it is ready is unknown.
    #[must_use]
    pub fn state(&self, now: Timestamp) -> String {
        match (self.state, self.started_at, self.next_restart_at) {
            (State::Starting, Some(at), _) if self.pid.is_some() => {
                format!("starting ({})", short_duration(since(at, now)))
            }
            (State::Backoff, _, Some(at)) => format!("backoff (in {})", short_duration(since(now, at))),
            (state, _, _) => {
                let share = self.progress(now).filter(|_| state == State::Ready && self.is_job());
                let share = share.filter(|_| self.endpoint.is_none());
                let word = word_of(state, self.is_job(), self.endpoint.is_some());
                format!("{word}{}", share.map(|percent| format!(" ({percent}%)")).unwrap_or_default())
            }
        }
    }

    /// Returns the share of the expected duration that has passed of a job that runs, in percent; never more than 99, since its
    /// end is not known. `None` where nothing is expected.
    #[must_use]
    pub fn progress(&self, now: Timestamp) -> Option<u8> {
        let expected = Duration::from_millis(self.expected_ms.filter(|ms| *ms > 0)?);
        let began = self.started_at.filter(|_| self.state == State::Ready)?;
        let percent = since(began, now).as_millis().saturating_mul(100) / expected.as_millis();
        Some(u8::try_from(percent).unwrap_or(u8::MAX).min(MOST_PERCENT))
    }

    fn is_job(&self) -> bool {
        self.kind == "job"
    }

    fn last(&self) -> Option<Cow<'_, str>> {
        let troubled = match self.state {
            State::Unhealthy | State::Backoff | State::Failed | State::Ceded | State::External => true,
            // A worker that was stopped on request has no reason.
            State::Idle => self.reason.is_some(),
            // A stop that takes its grace has none either.
            State::Stopping => self.reason.is_some(),
            State::Starting | State::Ready => false,
        };
        let ended = self.exit.as_ref().filter(|_| self.is_job() && self.state == State::Idle).map(ended);
        let told = self.reason.as_deref().filter(|_| troubled).or(self.endpoint.as_deref());
        let ports = (!self.ports.is_empty()).then(|| ports(&self.ports));
        told.map(Cow::from).or(ports.map(Cow::from)).or(ended.map(Cow::from))
    }
}

/// The ports that a row names.
const PORTS: usize = 3;

/// Returns ports in words: `tcp:5173,udp:5353`.
#[must_use]
pub fn ports(ports: &[Port]) -> String {
    let named: Vec<String> =
        ports.iter().take(PORTS).map(|port| format!("{}:{}", port.protocol, port.port)).collect();
    let more = if ports.len() > PORTS { ",…" } else { "" };
    named.join(",") + more
}

/// Returns the end of a job in words.
fn ended(exit: &Exit) -> String {
    match exit {
        Exit::Code { code: 0 } => "done".to_owned(),
        Exit::Code { .. } | Exit::Signal { .. } | Exit::SpawnFailed { .. } => exit.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::super::worker::tests::{now, view};
    use super::*;
    use serde_json::{Value, json};

    fn state(changes: Value) -> String {
        Row::from(&view(changes)).state(now())
    }

    #[test]
    fn a_row_read_from_an_answer_is_the_row_of_its_view() {
        let worker = view(json!({"reason": "a \"quoted\" reason", "command": ["sh", "-c", "x y"]}));
        let text = serde_json::to_string(&json!({"workers": [worker]})).unwrap();
        let read: Rows<'_> = serde_json::from_str(&text).unwrap();
        let words = read.workers.first().unwrap().words(now());
        assert_eq!(words, Row::from(&worker).words(now()));
        assert_eq!((words.name, words.up.as_deref(), words.command), ("demo", Some("2m"), None));
    }

    #[test]
    fn a_state_tells_how_long_it_lasts() {
        assert_eq!(state(json!({"state": "starting"})), "starting (2m)");
        assert_eq!(state(json!({"state": "starting", "pid": null})), "starting");
        let backoff = json!({"state": "backoff", "pid": null, "next_restart_at": "2026-11-20T10:02:00.440Z"});
        assert_eq!(state(backoff), "backoff (in 440ms)");
        assert_eq!(state(json!({"kind": "job"})), "ready", "it was found at its endpoint");
        assert_eq!(state(json!({"kind": "job", "endpoint": null})), "running");
    }

    #[test]
    fn a_running_job_tells_how_far_it_is_where_that_is_known() {
        let of =
            |expected_ms: Value| state(json!({"kind": "job", "endpoint": null, "expected_ms": expected_ms}));
        // It has been running for two minutes.
        assert_eq!(of(json!(null)), "running");
        assert_eq!(of(json!(160_000)), "running (75%)");
        assert_eq!(of(json!(120_001)), "running (99%)");
        assert_eq!(of(json!(1)), "running (99%)", "its end is not known");
        assert_eq!(of(json!(0)), "running", "no share of nothing");
        assert_eq!(of(json!(u64::MAX)), "running (0%)");
        let later = json!({"kind": "job", "endpoint": null, "expected_ms": 9, "started_at": "2026-11-21T10:00:00.000Z"});
        assert_eq!(state(later), "running (0%)", "the clock was set back");
        let idle =
            json!({"kind": "job", "state": "idle", "pid": null, "endpoint": null, "expected_ms": 160_000});
        assert_eq!(state(idle), "idle");
    }

    #[test]
    fn a_worker_that_runs_an_older_program_is_marked() {
        let old = view(json!({"program_changed": true}));
        let row = Row::from(&old);
        assert_eq!((row.words(now()).state.as_str(), row.is_outdated()), ("ready (old)", true));
        assert!(!Row::from(&view(json!({}))).is_outdated());
    }

    #[test]
    fn a_reason_stands_in_for_the_endpoint_where_something_is_wrong() {
        let last = |changes| Row::from(&view(changes)).words(now()).last.map(Cow::into_owned);
        assert_eq!(last(json!({"reason": "why"})).as_deref(), Some("unix:/run/demo.sock"));
        let port = |port: u16| json!({"port": port, "protocol": "tcp", "pid": 7});
        let on = |all: &[u16]| {
            let ports: Vec<Value> = all.iter().map(|at| port(*at)).collect();
            last(json!({"endpoint": null, "ports": ports}))
        };
        assert_eq!(on(&[80, 81]).as_deref(), Some("tcp:80,tcp:81"));
        assert_eq!(on(&[1, 2, 3, 4]).as_deref(), Some("tcp:1,tcp:2,tcp:3,…"));
        assert_eq!(last(json!({"ports": [port(80)]})).as_deref(), Some("unix:/run/demo.sock"));
        assert_eq!(last(json!({"state": "failed", "reason": "why"})).as_deref(), Some("why"));
        assert_eq!(last(json!({"state": "idle", "endpoint": null})), None);
        assert_eq!(Tone::of(State::Failed), Tone::Bad);
    }

    #[test]
    fn a_job_at_rest_tells_how_it_ended() {
        let last = |kind: &str, exit: Value, reason: Value| {
            let changes = json!({"kind": kind, "state": "idle", "pid": null, "endpoint": null, "exit": exit, "reason": reason});
            Row::from(&view(changes)).words(now()).last.map(Cow::into_owned)
        };
        assert_eq!(last("job", json!({"code": 0}), json!(null)).as_deref(), Some("done"));
        assert_eq!(last("job", json!({"code": 7}), json!(null)).as_deref(), Some("exited 7"));
        let killed = json!({"signal": "SIGKILL", "core_dumped": false});
        assert_eq!(last("job", killed.clone(), json!(null)).as_deref(), Some("killed by SIGKILL"));
        assert_eq!(last("job", killed.clone(), json!("why")).as_deref(), Some("why"));
        assert_eq!((last("job", json!(null), json!(null)), last("graph", killed, json!(null))), (None, None));
    }
}
