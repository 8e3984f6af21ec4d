//! One worker: its facts and its badges.

use super::times::{short_duration, since};
use super::{Fact, Row, Tone, count};
use gob_protocol::shell::word;
use gob_protocol::{RunOutcome, State, Timestamp, View};
use std::sync::Arc;
use std::time::Duration;

/// A remark on a worker beside its state.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Badge {
    /// The requester does not own it.
    NotYours,
    /// Clients hold leases on it.
    Leased(u32),
    /// The policy has started it again.
    Restarted(u32),
    /// It must not be started, for this reason.
    Blocked(String),
    /// It runs an older program than the one on disk.
    Outdated,
}

impl std::fmt::Display for Badge {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::NotYours => f.write_str("you don't own it"),
            Self::Leased(leases) => f.write_str(&count(u64::from(*leases), "lease")),
            Self::Restarted(restarts) => f.write_str(&count(u64::from(*restarts), "restart")),
            Self::Blocked(reason) => write!(f, "blocked: {reason}"),
            Self::Outdated => f.write_str("its program was replaced on disk"),
        }
    }
}

/// Returns the badges of a worker, the weightiest first.
#[must_use]
pub fn badges(worker: &View) -> Vec<Badge> {
    let blocked = worker.blocked.clone().map(Badge::Blocked);
    let not_yours = (!worker.owned).then_some(Badge::NotYours);
    let restarted = (worker.restarts > 0).then_some(Badge::Restarted(worker.restarts));
    let leased = (worker.leases > 0).then_some(Badge::Leased(worker.leases));
    let outdated = worker.program_changed.then_some(Badge::Outdated);
    [blocked, outdated, not_yours, restarted, leased].into_iter().flatten().collect()
}

/// Returns why a worker is not as it should be: the reason of a bad state, or the end of a job that failed. `None` where
/// nothing is wrong.
#[must_use]
pub fn failure(worker: &View) -> Option<String> {
    let ended = worker.exit.as_ref().filter(|exit| RunOutcome::of(exit, false) == RunOutcome::Failure);
    match worker.state {
        State::Failed | State::Unhealthy | State::Backoff => {
            let why = worker.reason.clone().or_else(|| ended.map(ToString::to_string));
            Some(why.unwrap_or_else(|| worker.state.to_string()))
        }
        State::Idle if &*worker.kind == "job" => {
            let why = worker.reason.clone().filter(|_| ended.is_some());
            why.or_else(|| ended.map(|exit| format!("its last run {exit}")))
        }
        State::Idle | State::Starting | State::Ready | State::Stopping | State::Ceded | State::External => {
            None
        }
    }
}

/// Returns the tone of a worker: that of its state, and bad for a job at rest that failed.
#[must_use]
pub fn tone(worker: &View) -> Tone {
    match Tone::of(worker.state) {
        Tone::Faint if failure(worker).is_some() => Tone::Bad,
        tone @ (Tone::Plain | Tone::Busy | Tone::Bad | Tone::Faint) => tone,
    }
}

/// Returns all facts about a worker, the most asked for first.
#[must_use]
pub fn worker(worker: &View, now: Timestamp) -> Vec<Fact> {
    let mut facts: Vec<Fact> = Vec::new();
    let owned = if worker.owned { String::new() } else { format!("; {}", Badge::NotYours) };
    facts.push(("owner", format!("{}{owned}", worker.owner)));
    facts.push(("state", Row::from(worker).state(now)));
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
    facts.extend(optional.into_iter().filter_map(|(key, value)| value.map(|value| (key, value))));
    facts.push(("command", command(&worker.command)));
    if worker.program_changed {
        let restart =
            format!("{} since it started; gobctl restart {}", Badge::Outdated, word(worker.name.as_str()));
        facts.push(("program", restart));
    }
    let (restarts, leases) = (Badge::Restarted(worker.restarts), Badge::Leased(worker.leases));
    facts.push(("run", format!("{}, {restarts}, {leases}", worker.run)));
    facts.extend(holders(worker).map(|holder| ("lease", holder)));
    let expected = worker.expected_ms.map(Duration::from_millis);
    facts.extend(expected.map(|expected| ("expected", short_duration(expected))));
    let times = [
        ("started", worker.started_at),
        ("ready", worker.ready_at),
        ("stopped", worker.stopped_at),
        ("output", worker.last_output_at),
    ];
    facts.extend(times.into_iter().filter_map(|(key, at)| at.map(|at| (key, ago(at)))));
    facts.extend(worker.exit.as_ref().map(|exit| ("exit", exit.to_string())));
    for port in &worker.ports {
        facts.push(("port", format!("{}/{} (pid {})", port.port, port.protocol, port.pid)));
    }
    facts.extend(text(&worker.stdout_path).map(|path| ("stdout", path)));
    facts.extend(text(&worker.stderr_path).map(|path| ("stderr", path)));
    facts
}

/// Returns a command as a shell takes it.
#[must_use]
pub fn command<S: AsRef<str>>(words: &[S]) -> String {
    words.iter().map(|text| word(text.as_ref())).collect::<Vec<_>>().join(" ")
}

/// Returns the holders of its leases, and how many more there are than a view names.
fn holders(worker: &View) -> impl Iterator<Item = String> {
    let shown = u32::try_from(worker.lease_holders.len()).unwrap_or(u32::MAX);
    let more = worker.leases.saturating_sub(shown);
    let holders = worker.lease_holders.iter().map(ToString::to_string);
    holders.chain((more > 0).then(|| format!("and {more} more")))
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use serde_json::{Value, json};

    pub(crate) fn view(changes: Value) -> View {
        super::super::sample("demo", &changes).unwrap()
    }

    pub(crate) fn now() -> Timestamp {
        "2026-11-20T10:02:00.000Z".parse().unwrap()
    }

    #[test]
    fn facts_leave_out_what_is_unknown() {
        let facts = worker(&view(json!({"owned": false, "owner": "desktop"})), now());
        let keys: Vec<&str> = facts.iter().map(|(key, _)| *key).collect();
        assert_eq!(
            keys,
            [
                "owner", "state", "pid", "endpoint", "graph", "root", "cwd", "command", "run", "started",
                "ready"
            ]
        );
        assert_eq!(facts.first().unwrap().1, "desktop; you don't own it");
        assert!(facts.contains(&("run", "1, 0 restarts, 0 leases".to_owned())));
        assert!(facts.contains(&("started", "2026-11-20T10:00:00.000Z (2m ago)".to_owned())));
        let job = worker(&view(json!({"kind": "job", "endpoint": null, "expected_ms": 160_000})), now());
        assert!(job.contains(&("state", "running (75%)".to_owned())), "{job:?}");
        assert!(job.contains(&("expected", "2m".to_owned())), "{job:?}");
    }

    #[test]
    fn badges_say_what_the_state_does_not() {
        assert_eq!(badges(&view(json!({}))), []);
        let all =
            view(json!({"owned": false, "owner": "agent", "leases": 1, "restarts": 2, "blocked": "why"}));
        let words: Vec<String> = badges(&all).iter().map(ToString::to_string).collect();
        assert_eq!(words, ["blocked: why", "you don't own it", "2 restarts", "1 lease"]);
    }

    #[test]
    fn an_older_program_is_said_with_the_way_to_the_new_one() {
        let old = view(json!({"program_changed": true}));
        assert_eq!(badges(&old), [Badge::Outdated]);
        let said = "its program was replaced on disk since it started; gobctl restart demo";
        assert!(worker(&old, now()).contains(&("program", said.to_owned())));
    }

    #[test]
    fn a_failure_says_why() {
        let of = |changes| failure(&view(changes));
        assert_eq!(of(json!({"reason": "why"})), None);
        assert_eq!(of(json!({"state": "failed", "reason": "why"})).as_deref(), Some("why"));
        assert_eq!(of(json!({"state": "unhealthy"})).as_deref(), Some("unhealthy"));
        let idle = |exit: Value| json!({"kind": "job", "state": "idle", "pid": null, "exit": exit});
        assert_eq!(of(idle(json!({"code": 3}))).as_deref(), Some("its last run exited 3"));
        assert_eq!(of(idle(json!({"code": 0}))), None);
        assert_eq!(tone(&view(idle(json!({"code": 3})))), Tone::Bad);
        assert_eq!(tone(&view(idle(json!({"code": 0})))), Tone::Faint);
        assert_eq!(of(idle(json!({"signal": "SIGTERM", "core_dumped": false}))), None, "it was stopped");
    }

    #[test]
    fn a_command_is_written_as_a_shell_takes_it() {
        let words = ["npm", "run", "a b", "it's", ""];
        assert_eq!(command(&words), "npm run 'a b' 'it'\\''s' ''");
    }
}
