//! Runs in words.

use super::Tone;
use super::times::since;
use gob_protocol::exit::Exit;
use gob_protocol::{RunOutcome, RunRecord, Timestamp};
use std::time::Duration;

/// Returns the end of a run in words: `done`, `exited 3`, `running`, `cut off`.
#[must_use]
pub fn run_end(run: &RunRecord) -> String {
    match (&run.exit, run.outcome) {
        _ if run.cut => "cut off".to_owned(),
        (Some(Exit::Code { code: 0 }), Some(RunOutcome::Killed)) => "stopped".to_owned(),
        (Some(Exit::Code { code: 0 }), _) => "done".to_owned(),
        (Some(exit), _) => exit.to_string(),
        (None, None) => "running".to_owned(),
        (None, Some(_)) => "ended".to_owned(),
    }
}

/// Returns the duration of a run, so far where it lives; `None` where it is not known.
#[must_use]
pub fn run_duration(run: &RunRecord, now: Timestamp) -> Option<Duration> {
    let lives = run.outcome.is_none() && run.exit.is_none() && !run.cut;
    let so_far = lives.then(|| since(run.started_at, now));
    run.duration_ms.map(Duration::from_millis).or(so_far)
}

/// Returns the tone of a run.
#[must_use]
pub const fn run_tone(run: &RunRecord) -> Tone {
    match run.outcome {
        None | Some(RunOutcome::Success) => Tone::Plain,
        Some(RunOutcome::Failure) => Tone::Bad,
        Some(RunOutcome::Killed) => Tone::Faint,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn run(changes: Value) -> RunRecord {
        let mut run = json!({
            "run": 3, "pid": 7, "started_at": "2026-11-20T10:00:00.000Z", "ready_at": null, "stopped_at": null,
            "duration_ms": null, "exit": null, "outcome": null, "cut": false, "owner": "cli", "actor": "supervisor",
        });
        for (key, value) in changes.as_object().unwrap() {
            run[key] = value.clone();
        }
        serde_json::from_value(run).unwrap()
    }

    #[test]
    fn a_run_tells_how_it_ended_and_how_long_it_took() {
        let now = "2026-11-20T10:02:00.000Z".parse().unwrap();
        let lives = run(json!({}));
        assert_eq!(
            (run_end(&lives).as_str(), run_duration(&lives, now)),
            ("running", Some(Duration::from_secs(120)))
        );
        let cut = run(json!({"cut": true}));
        assert_eq!((run_end(&cut).as_str(), run_duration(&cut, now)), ("cut off", None));
        let failed = run(json!({"exit": {"code": 3}, "outcome": "failure", "duration_ms": 5}));
        assert_eq!((run_end(&failed).as_str(), run_tone(&failed)), ("exited 3", Tone::Bad));
        let stopped = run(json!({"exit": {"code": 0}, "outcome": "killed", "duration_ms": 5}));
        assert_eq!(
            (run_end(&stopped).as_str(), run_duration(&stopped, now)),
            ("stopped", Some(Duration::from_millis(5)))
        );
    }
}
