use super::*;
use crate::rows::list_of as list;
use crate::terminal::Look;
use gob_client::screen::Row;
use serde_json::json;

const NOW: &str = "2026-11-20T10:02:00.000Z";

fn view(name: &str, changes: serde_json::Value) -> View {
    let mut view = json!({
        "name": name, "kind": "graph", "graph": name, "description": null, "root_dir": "/g", "cwd": "/g",
        "command": ["gob-graph-worker"], "owner": "cli", "owned": true, "state": "ready", "pid": 4242, "pgid": 4242,
        "endpoint": "unix:/run/demo.sock", "meta": {}, "run": 1, "created_at": "2026-11-20T10:00:00.000Z",
        "started_at": "2026-11-20T10:00:00.000Z", "ready_at": "2026-11-20T10:00:00.038Z", "stopped_at": null, "exit": null,
        "restarts": 0, "next_restart_at": null, "leases": 0, "lease_holders": [], "stdout_path": null, "stderr_path": null, "reason": null,
    });
    for (key, value) in changes.as_object().unwrap() {
        view[key] = value.clone();
    }
    serde_json::from_value(view).unwrap()
}

fn now() -> Timestamp {
    NOW.parse().unwrap()
}

#[test]
fn the_list_as_the_contract_shows_it() {
    let workers = [
        view("demo", json!({})),
        view(
            "work",
            json!({"kind": "logseq", "owner": "desktop", "state": "starting", "pid": 4301, "endpoint": null,
                   "started_at": "2026-11-20T10:01:58.800Z"}),
        ),
        view(
            "j12",
            json!({"kind": "job", "owner": "agent", "pid": 4377, "restarts": 1, "endpoint": "http://127.0.0.1:5173",
                   "started_at": "2026-11-20T09:57:00.000Z", "command": ["npm", "run", "dev"]}),
        ),
        view(
            "bad",
            json!({"state": "failed", "pid": null, "endpoint": null, "restarts": 5, "reason": "exited 1 five times in 60s: see gobctl logs bad"}),
        ),
    ];
    let want = "\
NAME  KIND    OWNER    STATE            PID   UP  RESTARTS  ENDPOINT
demo  graph   cli      ready            4242  2m         0  unix:/run/demo.sock
work  logseq  desktop  starting (1.2s)  4301  1s         0  -
j12   job     agent    ready            4377  5m         1  http://127.0.0.1:5173   npm run dev
bad   graph   cli      failed           -     -          5  exited 1 five times in 60s: see gobctl logs bad
";
    assert_eq!(list(&workers, now(), Look::default()), want);
}

#[test]
fn numbers_at_the_ends_of_names_are_in_their_order() {
    let views = ["j10", "j9", "web", "j2", "a-18446744073709551616", "a-2"].map(|name| view(name, json!({})));
    let mut rows: Vec<Row<'_>> = views.iter().map(Row::from).collect();
    crate::rows::sort(&mut rows);
    let names: Vec<&str> = rows.iter().map(Row::name).collect();
    assert_eq!(names, ["a-2", "a-18446744073709551616", "j2", "j9", "j10", "web"]);
}

#[test]
fn a_worker_without_a_readiness_check_is_shown_as_running() {
    let job = view("j1", json!({"kind": "job", "endpoint": null}));
    assert_eq!(Row::from(&job).state(now()), "running");
    let waits =
        view("demo", json!({"state": "backoff", "pid": null, "next_restart_at": "2026-11-20T10:02:00.440Z"}));
    assert_eq!(Row::from(&waits).state(now()), "backoff (in 440ms)");
}

#[test]
fn status_names_the_holders_of_leases() {
    let holders = json!([
        {"owner": "desktop", "client": "Notes", "pid": 4711},
        {"owner": "unknown", "client": null, "pid": null},
    ]);
    let shown = |leases| worker(&view("demo", json!({"leases": leases, "lease_holders": holders})), now());
    let rows = |text: &str| -> Vec<String> {
        let rows = text.lines().filter_map(|line| line.trim_start().strip_prefix("lease "));
        rows.map(|row| row.trim().to_owned()).collect()
    };
    assert_eq!(rows(&shown(2)), ["desktop (Notes, pid 4711)", "unknown"]);
    assert_eq!(rows(&shown(1_000)), ["desktop (Notes, pid 4711)", "unknown", "and 998 more"]);
}

#[test]
fn no_raw_control_byte_in_any_view() {
    let hostile = json!({
        "endpoint": "unix:/\u{1b}]0;x\u{7}", "reason": "\u{1b}[2J", "state": "unhealthy", "kind": "a\u{9b}b",
        "command": ["\u{1b}c", "x\ny"], "description": "\u{202e}", "version": "\r",
    });
    let hostile = view("demo", hostile);
    for text in [list(std::slice::from_ref(&hostile), now(), Look::default()), worker(&hostile, now())] {
        assert!(!text.chars().any(|c| c != '\n' && crate::text::is_unsafe(c)), "{text:?}");
    }
}

#[test]
fn colour_only_when_it_is_wanted() {
    let workers = [view("demo", json!({"state": "failed"}))];
    assert!(list(&workers, now(), Look { color: true, width: None }).contains("\x1b[31m"));
    assert!(!list(&workers, now(), Look::default()).contains('\x1b'));
}

fn event(kind: &str, actor: serde_json::Value, worker: View) -> Event {
    serde_json::from_value(json!({"event": kind, "seq": 1, "time": NOW, "actor": actor, "worker": worker}))
        .unwrap()
}

fn clock(_: Timestamp) -> String {
    "10:00:00.123".to_owned()
}

#[test]
fn events_as_the_contract_shows_them() {
    let mut lines = EventLines::default();
    let mut line = |event: &Event| lines.line(event, Look::default(), clock);
    let actor = json!({"owner": "cli", "client": "gobctl", "pid": 4240});
    let started = line(&event("worker_started", actor.clone(), view("demo", json!({}))));
    assert_eq!(started, "10:00:00.123  demo      started         pid 4242   by cli (gobctl, pid 4240)\n");
    let ready = line(&event("worker_ready", json!("supervisor"), view("demo", json!({}))));
    assert_eq!(ready, "10:00:00.123  demo      ready           in 38 ms   unix:/run/demo.sock\n");
    let owner = line(&event("worker_owner_changed", actor, view("demo", json!({"owner": "desktop"}))));
    assert_eq!(owner, "10:00:00.123  demo      owner changed   to desktop   by cli (gobctl, pid 4240)\n");
    let stopped = view("longer name", json!({"state": "idle", "exit": {"code": 3}}));
    let stopped = line(&event("worker_stopped", json!("supervisor"), stopped));
    assert_eq!(stopped, "10:00:00.123  longer name  stopped         exited 3\n");
    let removed = line(&event("worker_removed", json!("supervisor"), view("名前", json!({"pid": null}))));
    assert_eq!(removed, "10:00:00.123  名前         removed\n", "cells, not characters");
}

#[test]
fn every_event_fits_its_column_and_its_terminal() {
    let endpoint = json!({"endpoint": "unix:/run/user/1000/gob/graphs/名前名前名前名前名前.sock", "reason": "x ".repeat(60)});
    for kind in EventKind::ALL.iter().filter(|kind| kind.as_str().starts_with("worker_")) {
        for width in [1, 30, 40, 60, 80] {
            for name in ["demo", "e\u{301}e\u{301}", "名前名前名前名前名前名前名前名前名前"]
            {
                let look = Look { color: false, width: Some(width) };
                let actor = json!({"owner": "cli", "client": "gobctl", "pid": 4240});
                let text = EventLines::default().line(
                    &event(kind.as_str(), actor, view(name, endpoint.clone())),
                    look,
                    clock,
                );
                assert!(cells(text.trim_end_matches('\n')) <= width, "{text:?} in {width}");
                let what = kind.as_str().trim_start_matches("worker_");
                assert!(what.len() <= EventLines::WHAT, "{what}");
            }
        }
    }
}

#[test]
fn events_are_coloured_by_kind() {
    let line = |kind: &str, color| {
        let look = Look { color, width: None };
        EventLines::default().line(&event(kind, json!("supervisor"), view("demo", json!({}))), look, clock)
    };
    for (kind, code) in
        [("worker_ready", "32"), ("worker_failed", "31"), ("worker_backoff", "33"), ("worker_stopped", "2")]
    {
        assert!(line(kind, true).contains(&format!("\u{1b}[{code}m")), "{kind}");
        assert!(!line(kind, false).contains('\u{1b}'), "{kind}");
    }
}

#[test]
fn the_list_fits_its_terminal() {
    let endpoint = "unix:/run/user/1000/gob/graphs/demo.sock";
    let workers = [
        view("demo", json!({"endpoint": endpoint, "pid": 1234567})),
        view(
            "名前".repeat(10).as_str(),
            json!({"endpoint": null, "state": "failed", "reason": "語 ".repeat(60)}),
        ),
        view(
            "e\u{301}".repeat(15).as_str(),
            json!({"state": "starting", "started_at": "2026-11-20T10:01:58.800Z"}),
        ),
    ];
    for width in 1..=200 {
        let text = list(&workers, now(), Look { color: false, width: Some(width) });
        assert_eq!(text.lines().count(), 4, "{text}");
        assert!(text.lines().all(|line| cells(line) <= width), "{text} in {width}");
        assert!(width < 40 || text.contains("demo") && text.contains("failed"), "{text} in {width}");
    }
    // The row of the README, with the longest pid: the column of zeros is left out first.
    let text = list(&workers[..1], now(), Look { color: false, width: Some(80) });
    assert!(text.contains(endpoint) && !text.contains("RESTARTS"), "{text}");
}
