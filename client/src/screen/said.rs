//! The effect of a request, in one sentence in the past tense.

use super::count;
use super::text::name;
use super::times::{since, took};
use gob_protocol::answer::{Outcome, StartData, StopData};
use gob_protocol::{Name, View};

/// Returns `started notes (pid 4242, owner desktop) in 38 ms`.
#[must_use]
pub fn started(data: &StartData) -> String {
    let worker = &data.worker;
    let shown = name(worker.name.as_str());
    match data.outcome {
        Outcome::Started => format!("started {shown} ({}){}", who(worker), in_time(worker)),
        Outcome::Reused => format!("{shown} is already running ({}{})", who(worker), not_yours(worker)),
        Outcome::TakenOver => format!("took over {shown} ({})", who(worker)),
        Outcome::External => {
            format!("{shown} is served by a process that gob did not start ({})", who(worker))
        }
    }
}

/// Returns `stopped notes; 2 processes ended`.
#[must_use]
pub fn stopped(data: &StopData) -> String {
    let ended = data.receipt.signalled.len();
    let shown = name(data.worker.name.as_str());
    match ended {
        0 => format!("{shown} was not running"),
        ended => format!("stopped {shown}; {} ended", processes(ended)),
    }
}

/// Returns `restarted notes (pid 4301, owner desktop) in 41 ms`.
#[must_use]
pub fn restarted(data: &StopData) -> String {
    let worker = &data.worker;
    format!("restarted {} ({}){}", name(worker.name.as_str()), who(worker), in_time(worker))
}

/// Returns `sent SIGHUP to notes (pid 4242, owner desktop)`.
#[must_use]
pub fn signalled(worker: &View, signal: &str) -> String {
    format!("sent {signal} to {} ({})", name(worker.name.as_str()), who(worker))
}

/// Returns `notes now belongs to cli`.
#[must_use]
pub fn handed_over(worker: &View) -> String {
    format!("{} now belongs to {}", name(worker.name.as_str()), worker.owner)
}

/// Returns `removed notes`.
#[must_use]
pub fn removed(names: &[Name]) -> String {
    let names: Vec<String> = names.iter().map(|of| name(of.as_str())).collect();
    format!("removed {}", if names.is_empty() { "nothing".to_owned() } else { names.join(", ") })
}

/// Returns `holding notes; it has 2 leases`.
#[must_use]
pub fn leased(worker: &View) -> String {
    format!("holding {}; it has {}", name(worker.name.as_str()), count(u64::from(worker.leases), "lease"))
}

/// Returns `let go of notes; it has 1 lease`.
#[must_use]
pub fn released(worker: &View) -> String {
    format!("let go of {}; it has {}", name(worker.name.as_str()), count(u64::from(worker.leases), "lease"))
}

/// Returns `notes listens on 2 sockets`.
#[must_use]
pub fn listens(worker: &Name, sockets: usize) -> String {
    let sockets = count(sockets as u64, "socket");
    format!("{} listens on {sockets}", name(worker.as_str()))
}

/// Returns `output of notes is missing in its logs`, as where the disk is full.
#[must_use]
pub fn output_missing(worker: &Name) -> String {
    format!("output of {} is missing in its logs", name(worker.as_str()))
}

fn who(worker: &View) -> String {
    let pid = worker.pid.map(|pid| format!("pid {pid}, ")).unwrap_or_default();
    format!("{pid}owner {}", worker.owner)
}

fn in_time(worker: &View) -> String {
    let times = worker.started_at.zip(worker.ready_at);
    times.map(|(started, ready)| format!(" in {}", took(since(started, ready)))).unwrap_or_default()
}

const fn not_yours(worker: &View) -> &'static str {
    if worker.owned { "" } else { "; you don't own it" }
}

fn processes(number: usize) -> String {
    if number == 1 { "1 process".to_owned() } else { format!("{number} processes") }
}

#[cfg(test)]
mod tests {
    use super::super::worker::tests::view;
    use super::*;
    use serde_json::json;

    #[test]
    fn answers_are_told_in_the_words_of_gobctl() {
        let start =
            |outcome, owned| StartData { worker: view(json!({"owned": owned})), outcome, created: false };
        assert_eq!(started(&start(Outcome::Started, true)), "started demo (pid 4242, owner cli) in 38 ms");
        assert_eq!(
            started(&start(Outcome::Reused, false)),
            "demo is already running (pid 4242, owner cli; you don't own it)"
        );
        let receipt = json!({"signalled": [{"pid": 1, "start_time": 2, "signals": [], "ended_ms": 3}], "survivors": []});
        let stop = StopData { worker: view(json!({})), receipt: serde_json::from_value(receipt).unwrap() };
        assert_eq!(stopped(&stop), "stopped demo; 1 process ended");
        assert_eq!(restarted(&stop), "restarted demo (pid 4242, owner cli) in 38 ms");
        let held = view(json!({"leases": 2}));
        assert_eq!(leased(&held), "holding demo; it has 2 leases");
        assert_eq!(removed(std::slice::from_ref(&held.name)), "removed demo");
        assert_eq!(signalled(&held, "SIGHUP"), "sent SIGHUP to demo (pid 4242, owner cli)");
        assert_eq!(handed_over(&held), "demo now belongs to cli");
    }
}
