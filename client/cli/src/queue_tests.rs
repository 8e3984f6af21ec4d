//! The queue as it is shown.

use super::*;
use gob_client::protocol::answer::{QueueListData, ScheduleListData};
use serde_json::{Value, json};

const PLAIN: Look = Look { color: false, width: None };

fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

/// The data of an answer in the protocol's own examples.
fn golden(lines: &str) -> Value {
    let answer: Value = serde_json::from_str(lines.lines().next().unwrap()).unwrap();
    answer["data"].clone()
}

fn listed() -> QueueListData {
    serde_json::from_value(golden(include_str!("../../../protocol/golden/response-queue_list.jsonl")))
        .unwrap()
}

fn job(changes: Value) -> QueueJob {
    let mut job = golden(include_str!("../../../protocol/golden/response-queue_get.jsonl"))["job"].clone();
    for (key, value) in changes.as_object().unwrap() {
        job[key] = value.clone();
    }
    serde_json::from_value(job).unwrap()
}

#[test]
fn a_list_has_a_line_for_each_lane_and_the_table_of_its_jobs() {
    let QueueListData { jobs, lanes, .. } = listed();
    let now = at("2026-11-20T10:00:13.500Z");
    let want = "\
ci: width 2; 1 pending, 1 running, 40 completed

ID   LANE  STATUS   ATTEMPTS  PRIORITY  WHEN     COMMAND
j12  ci    running       1/3         0  for 12s  make test
";
    assert_eq!(list(&lanes, &jobs, now, PLAIN), want);
    assert_eq!(list(&lanes, &[], now, PLAIN), "ci: width 2; 1 pending, 1 running, 40 completed\n");
    assert_eq!(list(&[], &[], now, PLAIN), "");
    let narrow = list(&lanes, &jobs, now, Look { color: false, width: Some(30) });
    assert!(narrow.lines().skip(2).all(|line| line.chars().count() <= 30), "{narrow}");
    assert!(narrow.contains("j12") && narrow.contains("running"), "{narrow}");
}

#[test]
fn a_lane_says_what_is_special_about_it() {
    let mut state = listed().lanes.remove(0);
    state.paused = true;
    state.width = 0;
    state.counts = Default::default();
    assert_eq!(lane(&state), "ci: workers outside only, paused; empty");
    assert_eq!(away(std::slice::from_ref(&state)), None);
    (state.paused, state.width, state.shared) = (false, 2, true);
    state.away = Some("connection\nrefused".to_owned());
    assert_eq!(lane(&state), "ci: width 2, shared, away; none run here");
    state.counts.running = 1;
    assert_eq!(lane(&state), "ci: width 2, shared, away; 1 running here");
    let said = away(&[state]).unwrap();
    assert!(said.starts_with("the database of ci is away: connection\\x0arefused; jobs there"), "{said}");
}

#[test]
fn the_time_that_matters_depends_on_the_status() {
    let now = at("2026-11-20T10:01:00.000Z");
    let cases = [
        (json!({"after": []}), "waits 1m"),
        (json!({"after": ["j10", "j11"]}), "after j10,j11"),
        (json!({"run_at": "2026-11-20T10:01:29.001Z"}), "in 30s"),
        (json!({"status": "running", "started_at": "2026-11-20T10:00:50.000Z"}), "for 10s"),
        (json!({"status": "failed", "finished_at": "2026-11-20T09:01:00.000Z"}), "1h ago"),
        (json!({"status": "completed", "finished_at": "2026-11-20T10:02:00.000Z"}), "0s ago"),
    ];
    for (changes, want) in cases {
        assert_eq!(when(&job(changes.clone()), now), want, "{changes}");
    }
}

#[test]
fn the_reason_of_a_failure_is_beside_its_command_and_no_control_byte_gets_out() {
    let failed = job(json!({"status": "failed", "error": "exited 2\u{1b}[2J", "command": ["a", "\u{7}"]}));
    let text = list(&[], &[failed], at("2026-11-20T10:00:00.000Z"), PLAIN);
    assert!(text.contains("exited 2\\x1b[2J"), "{text}");
    assert!(text.chars().all(|c| !c.is_control() || c == '\n'), "{text:?}");
}

#[test]
fn schedules_say_their_times_in_words() {
    let data = golden(include_str!("../../../protocol/golden/response-schedule_list.jsonl"));
    let ScheduleListData { mut schedules } = serde_json::from_value(data).unwrap();
    let mut every = schedules[0].clone();
    (every.cron, every.timezone, every.interval_ms, every.next_at) = (None, None, Some(90_000), None);
    schedules.push(every);
    let want = "\
NAME     LANE  TIMES                    NEXT                      LAST JOB  COMMAND
nightly  ci    0 3 * * * Europe/Berlin  2026-11-21T02:00:00.000Z  -         make nightly
nightly  ci    every 90s                -                         -         make nightly
";
    assert_eq!(super::schedules(&schedules, PLAIN, |at| at.to_string()), want);
    let shown = [(1_500, "1500ms"), (60_000, "1m"), (86_400_000, "1d"), (90_000, "90s")];
    assert!(shown.iter().all(|(ms, want)| interval(*ms) == *want));
}

#[test]
fn an_end_is_told_with_its_reason() {
    let ended = |status: &str, changes: Value| {
        let mut all = json!({"status": status, "started_at": "2026-11-20T10:00:01.000Z", "finished_at": "2026-11-20T10:00:08.000Z"});
        all.as_object_mut().unwrap().extend(changes.as_object().unwrap().clone());
        summary(&job(all))
    };
    assert_eq!(ended("completed", json!({})), "j12 completed after 7.0s");
    let failed = json!({"attempts": 3, "error": "exited 2"});
    assert_eq!(ended("failed", failed), "j12 failed with attempt 3 of 3: exited 2");
    let cancelled = json!({"error": "cancelled by cli", "attempts": 2});
    assert_eq!(ended("cancelled", cancelled), "j12 cancelled: cancelled by cli");
}
