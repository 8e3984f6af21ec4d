//! The supervisor's health in facts.

use super::Fact;
use super::times::up;
use gob_protocol::view::{InvalidFile, SharedStatus};
use gob_protocol::{State, Status};
use std::time::Duration;

/// Returns a title for the supervisor and the facts about it; with `verbose` also those for its developers.
#[must_use]
pub fn supervisor(status: &Status, verbose: bool) -> (String, Vec<Fact>) {
    let counts: Vec<String> = State::ALL
        .iter()
        .filter_map(|state| status.workers.get(state.as_str()).map(|count| format!("{count} {state}")))
        .collect();
    let megabytes = |bytes: u64| format!("{:.1} MB", bytes as f64 / 1e6);
    let mut lines = vec![
        ("up", up(Duration::from_millis(status.uptime_ms))),
        ("workers", if counts.is_empty() { "none".to_owned() } else { counts.join(", ") }),
        (
            "clients",
            format!("{} connected, {} of them following events", status.connections, status.subscribers),
        ),
        ("socket", status.socket.clone()),
        ("memory", megabytes(status.rss_bytes)),
        ("logs", format!("{} written", megabytes(status.log_bytes))),
    ];
    lines.extend(queue(status).map(|text| ("queue", text)));
    lines.extend(troubles(status));
    if verbose {
        lines.extend([
            ("instance", status.instance.clone()),
            ("requests", status.requests.to_string()),
            ("events", status.events_seq.to_string()),
            ("keeper", format!("pid {}", status.keeper_pid)),
            (
                "cgroup",
                if status.cgroup { "a group of its own" } else { "in that of whoever started it" }.to_owned(),
            ),
        ]);
    }
    let dirs = status.dirs.as_deref();
    lines.extend(dirs.map(|dirs| ("state", dirs.state.clone())));
    lines.extend(dirs.map(|dirs| ("data", dirs.data.clone())));
    lines.extend(dirs.and_then(|dirs| dirs.config.clone()).map(|config| ("config", config)));
    let others =
        status.config.files.iter().filter(|file| dirs.and_then(|dirs| dirs.config.as_ref()) != Some(*file));
    lines.extend(others.map(|file| ("config", file.clone())));
    lines.extend(
        status.config.invalid.iter().map(|file| ("config", format!("not in effect: {}", invalid(file)))),
    );
    (format!("gobd {} (pid {}, protocol {})", status.version, status.pid, status.protocol), lines)
}

/// Returns a file of the configuration that is not in effect, with the reason.
fn invalid(file: &InvalidFile) -> String {
    let more = match file.problems {
        0 | 1 => String::new(),
        count => format!(" (and {} more)", count - 1),
    };
    let gap = if file.first.starts_with(|c: char| c.is_ascii_digit()) { "" } else { " " };
    format!("{}:{gap}{}{more}", file.path, file.first)
}

/// Returns the work of the queue since the start of the supervisor, if there was any.
fn queue(status: &Status) -> Option<String> {
    let counted = |number: u64, one: &str, more: &str| match number {
        0 => None,
        1 => Some(format!("1 {one}")),
        number => Some(format!("{number} {more}")),
    };
    let all = [
        counted(status.queue_claims, "claim", "claims"),
        counted(status.queue_stale_recoveries, "stale claim taken back", "stale claims taken back"),
        counted(status.queue_heartbeat_failures, "heartbeat refused", "heartbeats refused"),
    ];
    let some: Vec<String> = all.into_iter().flatten().collect();
    (!some.is_empty()).then(|| some.join(", "))
}

/// Returns the problems since the start of the supervisor, also solved ones; zeros are left out.
fn troubles(status: &Status) -> Vec<Fact> {
    let some = |number: u64, text: String| (number > 0).then_some(text);
    let times = |number: u64| if number == 1 { "once".to_owned() } else { format!("{number} times") };
    let restarts = status.restarts;
    let all = [
        (
            "restarts",
            some(restarts, format!("workers were started again {} after they failed", times(restarts))),
        ),
        (
            "starts",
            some(
                status.spawn_failures,
                format!("a process could not be made {}", times(status.spawn_failures)),
            ),
        ),
        (
            "repaired",
            some(status.healed, format!("its own files, which were gone, {}", times(status.healed))),
        ),
        (
            "cleaned up",
            some(
                status.orphans_recovered,
                format!("{} processes of an earlier supervisor", status.orphans_recovered),
            ),
        ),
        (
            "events",
            some(
                status.lagged_events,
                format!("{} were missed by clients that were too slow", status.lagged_events),
            ),
        ),
        (
            "output",
            some(
                status.log_bytes_dropped,
                format!("{:.1} MB could not be written to logs", status.log_bytes_dropped as f64 / 1e6),
            ),
        ),
        ("journal", journal_trouble(status)),
        ("history", history_trouble(status)),
        ("shared", status.shared.as_ref().map(shared)),
    ];
    all.into_iter().filter_map(|(key, text)| text.map(|text| (key, text))).collect()
}

/// Returns the consequence of a journal that could not be written, if there is one.
#[must_use]
pub fn journal_trouble(status: &Status) -> Option<String> {
    let times = match status.journal_failures {
        0 => return None,
        1 => "once".to_owned(),
        times => format!("{times} times"),
    };
    Some(format!(
        "could not be written {times}: if the supervisor is killed, the next one may not know whose processes it finds"
    ))
}

/// Returns the state of the database that several machines share, with its address.
#[must_use]
pub fn shared(shared: &SharedStatus) -> String {
    let SharedStatus { state, reason, url } = shared;
    match reason {
        Some(reason) => format!("{url} is {state}: {reason}"),
        None => format!("{url} is {state}"),
    }
}

/// Returns the reason why the history is not written, or the number of records that were lost.
fn history_trouble(status: &Status) -> Option<String> {
    let history = status.history.as_ref()?;
    let lost = match history.dropped {
        0 => None,
        1 => Some("1 record was lost".to_owned()),
        count => Some(format!("{count} records were lost")),
    };
    let reason = history.reason.as_ref().map(|reason| format!("{}: {reason}", history.state));
    match (reason, lost) {
        (Some(reason), Some(lost)) => Some(format!("{reason} ({lost})")),
        (reason, lost) => reason.or(lost),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use gob_protocol::view::HistoryStatus;

    fn told(status: &Status, verbose: bool) -> String {
        let (title, facts) = supervisor(status, verbose);
        facts.iter().fold(title + "\n", |text, (key, fact)| text + &format!("  {key} {fact}\n"))
    }

    #[test]
    fn a_written_journal_has_no_line() {
        let health = |journal_failures| told(&Status { journal_failures, ..Status::default() }, false);
        assert!(!health(0).contains("journal"));
        let once = health(1);
        let line = once.lines().find(|line| line.starts_with("  journal ")).unwrap();
        assert!(line.contains(" could not be written once: "), "{once}");
        assert!(health(12).contains("could not be written 12 times: "));
    }

    #[test]
    fn a_history_in_order_has_no_line() {
        let health = |state: &str, reason: Option<&str>, dropped| {
            let (state, reason) = (state.to_owned(), reason.map(str::to_owned));
            let history = HistoryStatus { state, reason, dropped, path: "/s/store.sqlite3".to_owned() };
            told(&Status { history: Some(history), ..Status::default() }, false)
        };
        assert!(!health("open", None, 0).contains("history"));
        let full = health("full", Some("the disk is full"), 0);
        assert!(full.contains("\n  history full: the disk is full\n"), "{full}");
        let lost = health("full", Some("the disk is full"), 2);
        assert!(lost.contains("\n  history full: the disk is full (2 records were lost)\n"), "{lost}");
        assert!(health("closed", None, 1).contains("\n  history 1 record was lost\n"));
    }

    #[test]
    fn a_database_that_machines_share_has_a_line_where_one_is_configured() {
        assert!(!told(&Status::default(), false).contains("shared"));
        let health = |state: &str, reason: Option<&str>| {
            let (state, reason) = (state.to_owned(), reason.map(str::to_owned));
            let shared = SharedStatus { state, reason, url: "postgres://ada@db/gob".to_owned() };
            told(&Status { shared: Some(shared), ..Status::default() }, false)
        };
        assert!(health("open", None).contains("\n  shared postgres://ada@db/gob is open\n"));
        let away = health("away", Some("connection refused"));
        assert!(away.contains("\n  shared postgres://ada@db/gob is away: connection refused\n"), "{away}");
    }

    #[test]
    fn the_queue_has_a_line_once_it_is_used() {
        assert!(!told(&Status::default(), false).contains("queue"));
        let status = Status { queue_claims: 12, queue_stale_recoveries: 1, ..Status::default() };
        let text = told(&status, false);
        assert!(text.contains("\n  queue 12 claims, 1 stale claim taken back\n"), "{text}");
    }

    #[test]
    fn zeros_are_left_out() {
        let quiet = told(&Status::default(), false);
        for word in ["restarts", "repaired", "cleaned up", "missed", "instance", "keeper", "cgroup"] {
            assert!(!quiet.contains(word), "{word}: {quiet}");
        }
        let busy = Status { restarts: 2, healed: 1, orphans_recovered: 3, ..Status::default() };
        let some = told(&busy, false);
        for part in ["started again 2 times", "were gone, once", "3 processes of an earlier supervisor"] {
            assert!(some.contains(part), "{part}: {some}");
        }
        assert!(told(&busy, true).contains("keeper"), "with -v all of it");
    }
}
