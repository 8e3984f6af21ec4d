use super::*;
use crate::terminal::cells;
use serde_json::{Value, json};

const PLAIN: Look = Look { color: false, width: None };

fn view(name: &str, changes: Value) -> View {
    let at = Timestamp(0);
    let mut view = json!({
        "name": name, "kind": "job", "graph": null, "description": null, "root_dir": null, "cwd": "/",
        "command": ["true"], "owner": "cli", "owned": true, "state": "ready", "pid": 7, "pgid": 7,
        "endpoint": null, "meta": {}, "run": 1, "created_at": at, "started_at": at,
        "ready_at": at, "stopped_at": null, "exit": null, "restarts": 0, "next_restart_at": null,
        "leases": 0, "lease_holders": [], "stdout_path": null, "stderr_path": null, "reason": null,
    });
    for (key, value) in changes.as_object().unwrap() {
        view[key] = value.clone();
    }
    serde_json::from_value(view).unwrap()
}

fn ended(name: &str, exit: Value) -> View {
    view(name, json!({"state": "idle", "pid": null, "exit": exit, "stopped_at": Timestamp(60_000)}))
}

fn event(kind: EventKind, worker: Option<&View>, is_client: bool) -> Event {
    let client = json!({"owner": "cli", "client": "gobctl", "pid": 9});
    let actor = if is_client { client } else { json!("supervisor") };
    let event =
        json!({"event": kind.as_str(), "seq": 1, "time": Timestamp(0), "actor": actor, "worker": worker});
    serde_json::from_value(event).unwrap()
}

fn known(changes: Changes) -> Past {
    Past::Known { changes, is_whole: true }
}

#[test]
fn a_brief_tells_the_changes_the_failures_and_the_next_command() {
    let (web, tests) = (view("web", json!({})), ended("tests", json!({"code": 3})));
    let stopped = ended("old", json!({"signal": "SIGTERM", "core_dumped": false}));
    let bad = view(
        "bad",
        json!({"kind": "graph", "state": "failed", "pid": null, "reason": "exited 1 five times in 60s"}),
    );
    let mut changes = Changes::default();
    for (kind, worker, is_client) in [
        (EventKind::WorkerAdded, &web, true),
        (EventKind::WorkerStarting, &tests, true),
        (EventKind::WorkerStarted, &tests, true),
        (EventKind::WorkerReady, &tests, true),
        (EventKind::WorkerStarted, &web, true),
        (EventKind::WorkerStopping, &tests, false),
        (EventKind::WorkerStopped, &tests, false),
    ] {
        changes.take(&event(kind, Some(worker), is_client));
    }
    let want = "\
4 workers: 1 running, 2 failing
changed:
  web    added, started     by cli (gobctl, pid 9)
  tests  started, exited 3  by cli (gobctl, pid 9)
failing:
  bad    exited 1 five times in 60s
  tests  exited 3                    1m ago
next:
  gobctl logs -n 20 bad
  gobctl logs -n 20 tests
";
    assert_eq!(
        brief(&[bad, stopped, tests, web], &known(changes), Timestamp(120_000), (PLAIN, Speech::Commands)),
        want
    );
}

#[test]
fn a_brief_sends_nobody_to_the_logs_of_a_program_that_was_never_executed() {
    let lost = ended("lost", json!({"spawn_error": "ENOENT", "step": "exec"}));
    let text = brief(&[lost], &Past::NotAsked, Timestamp(120_000), (PLAIN, Speech::Commands));
    assert!(text.ends_with("next:\n  gobctl get lost\n"), "{text}");
}

#[test]
fn a_brief_without_news_is_short_and_a_gap_is_told() {
    let web = [view("web", json!({}))];
    let of = |past: Past| brief(&web, &past, Timestamp(0), (PLAIN, Speech::Commands));
    assert_eq!(of(Past::NotAsked), "1 worker: 1 running, 0 failing\nnext:\n  gobctl list\n");
    assert!(of(known(Changes::default())).contains("\nnothing has changed\n"));
    let lossy = of(Past::Known { changes: Changes::default(), is_whole: false });
    assert!(lossy.contains("\nsome of the changes are not known any more\nnext:"), "{lossy}");
    let unread = of(Past::Unread("it is \u{1b} damaged".to_owned()));
    assert!(
        unread.contains("\nthe changes are not known: it is \\x1b damaged; this is the state now\n"),
        "{unread}"
    );
    assert!(
        of(Past::Unknown).contains("does not know the supervisor of the cursor; this is the state now\n")
    );
    assert!(
        of(Past::Ahead).contains("the cursor is ahead of all that has happened; this is the state now\n")
    );
    let none = brief(&[], &Past::NotAsked, Timestamp(0), (PLAIN, Speech::Commands));
    assert_eq!(none, "no workers\nnext:\n  gobctl add CMD\n");
}

#[test]
fn the_longest_brief_has_fewer_than_40_lines_of_one_line_each() {
    let mut changes = Changes::default();
    let reason = "\u{1b}[2J\nlong ".repeat(100);
    let workers: Vec<View> = (0..200)
        .map(|n| view(&format!("w{n}"), json!({"state": "failed", "pid": null, "reason": reason})))
        .collect();
    for worker in &workers {
        for _ in 0..10 {
            changes.take(&event(EventKind::WorkerFailed, Some(worker), true));
        }
    }
    let past = Past::Known { changes, is_whole: false };
    for width in [None, Some(80), Some(40)] {
        let text = brief(&workers, &past, Timestamp(0), (Look { color: false, width }, Speech::Commands));
        assert!(text.lines().count() < 40, "{text}");
        assert!(text.lines().all(|line| cells(line) <= width.unwrap_or(240)), "{width:?}\n{text}");
        assert!(!text.contains('\u{1b}'), "{text:?}");
        assert!(text.contains("and 188 more before") && text.contains("and 190 more: gobctl list"), "{text}");
        assert!(text.contains("  w199  ") && text.contains("gobctl logs -n 20 w2\n"), "{text}");
    }
}

#[test]
fn the_supervisors_own_changes_are_told() {
    let mut changes = Changes::default();
    changes.take(&event(EventKind::SupervisorHealed, None, false));
    changes.take(&event(EventKind::LeaseGranted, Some(&view("web", json!({}))), true));
    assert_eq!(changed(&changes, PLAIN, Speech::Commands), ["  gobd  healed"]);
}

#[test]
fn changes_of_the_history_are_told_as_events_are() {
    let mut changes = Changes::default();
    let client = json!({"owner": "cli", "client": "gobctl", "pid": 9});
    for (event, name, exit, reason, actor) in [
        ("worker_started", json!("t"), Value::Null, Value::Null, client.clone()),
        ("worker_stopped", json!("t"), json!({"code": 3}), Value::Null, json!("supervisor")),
        ("worker_failed", json!("u"), Value::Null, json!("no such file"), json!("supervisor")),
        ("worker_owner_changed", json!("u"), Value::Null, Value::Null, client),
        ("worker_stopping", json!("v"), Value::Null, Value::Null, json!("supervisor")),
        ("supervisor_started", Value::Null, Value::Null, Value::Null, json!("supervisor")),
    ] {
        let entry = json!({"instance": "i", "seq": 1, "time": Timestamp(0), "event": event, "name": name,
            "run": null, "actor": actor, "reason": reason, "exit": exit});
        changes.take_entry(&serde_json::from_value(entry).unwrap());
    }
    let want = [
        "  t     started, exited 3                               by cli (gobctl, pid 9)",
        "  u     failed: no such file, handed to another owner  by cli (gobctl, pid 9)",
        "  gobd  started",
    ];
    let squeezed = |line: &str| line.split_whitespace().collect::<Vec<_>>().join(" ");
    let told: Vec<String> =
        changed(&changes, PLAIN, Speech::Commands).iter().map(|line| squeezed(line)).collect();
    assert_eq!(told, want.map(squeezed));
}

#[test]
fn an_agent_is_told_tools_and_no_commands() {
    let failed = json!({"state": "failed", "pid": null, "reason": "why"});
    let lost = json!({"exit": {"spawn_error": "ENOENT"}, "state": "idle", "kind": "job", "pid": null});
    let agent = |workers: &[View]| brief(workers, &Past::NotAsked, Timestamp(0), (PLAIN, Speech::Tools));
    let text = agent(&[view("a b", failed), view("x", lost)]);
    assert!(
        text.contains("  logs {\"name\":\"a b\"}\n") && text.contains("  status {\"name\":\"x\"}\n"),
        "{text}"
    );
    assert!(!text.contains("gobctl"), "{text}");
    assert!(agent(&[]).ends_with("next:\n  add\n"), "{}", agent(&[]));
}
