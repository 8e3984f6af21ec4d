use super::*;
use serde_json::json;

fn data(outcome: &str, changes: serde_json::Value) -> StartData {
    let mut worker = json!({
        "name": "demo", "kind": "graph", "graph": "demo", "description": null, "root_dir": "/g", "cwd": "/g",
        "command": ["gob-graph-worker"], "owner": "cli", "owned": true, "state": "ready", "pid": 4242, "pgid": 4242,
        "endpoint": "unix:/run/user/1000/gob/graphs/demo.sock", "meta": {}, "run": 1,
        "created_at": "2026-11-20T10:00:00.000Z", "started_at": "2026-11-20T10:00:00.000Z", "ready_at": null,
        "stopped_at": null, "exit": null, "restarts": 0, "next_restart_at": null, "leases": 0, "lease_holders": [], "stdout_path": null,
        "stderr_path": null, "reason": null,
    });
    for (key, value) in changes.as_object().unwrap() {
        worker[key] = value.clone();
    }
    serde_json::from_value(json!({"worker": worker, "outcome": outcome})).unwrap()
}

fn told_of(outcome: &str, changes: serde_json::Value) -> String {
    told(&data(outcome, changes), Duration::from_millis(38), false)
}

#[test]
fn as_the_contract_shows_it() {
    let endpoint = "unix:/run/user/1000/gob/graphs/demo.sock\n";
    assert_eq!(
        told_of("started", json!({})),
        format!("started demo (pid 4242, owner cli) in 38 ms\n{endpoint}")
    );
    assert_eq!(
        told_of("reused", json!({"owned": false})),
        format!("demo is already running (pid 4242, owner cli; you don't own it)\n{endpoint}")
    );
    assert_eq!(
        told_of("reused", json!({})),
        format!("demo is already running (pid 4242, owner cli)\n{endpoint}")
    );
    assert_eq!(
        told_of("reused", json!({"state": "unhealthy"})),
        format!("demo is already running (pid 4242, owner cli; unhealthy)\n{endpoint}")
    );
    assert_eq!(told(&data("reused", json!({})), Duration::ZERO, true), endpoint);
}

#[test]
fn a_bare_name_may_be_any_workers() {
    let name = Name::any("j12").unwrap();
    let bare = of(&Start::default(), &name);
    assert_eq!((bare.name, bare.graph), (Some(name.clone()), None));
    let graph = of(&Start { kind: Some("logseq".to_owned()), ..Start::default() }, &name);
    assert_eq!((graph.name, graph.graph), (None, Some(name)));
}
