//! Workers for tests.

use gob_client::View;
use serde_json::{Value, json};

/// Returns a worker that is ready, with these changes.
pub(crate) fn view(name: &str, changes: Value) -> View {
    let mut view = json!({
        "name": name, "kind": "graph", "graph": name, "description": null, "root_dir": "/g", "cwd": "/g",
        "command": ["gob-graph-worker"], "owner": "desktop", "owned": true, "state": "ready", "pid": 4242, "pgid": 4242,
        "endpoint": format!("unix:/run/{name}.sock"), "meta": {}, "run": 1, "created_at": "2026-11-20T10:00:00.000Z",
        "started_at": "2026-11-20T10:00:00.000Z", "ready_at": "2026-11-20T10:00:00.038Z", "stopped_at": null,
        "exit": null, "restarts": 0, "next_restart_at": null, "leases": 0, "lease_holders": [],
        "stdout_path": null, "stderr_path": null, "reason": null,
    });
    for (key, value) in changes.as_object().unwrap() {
        view[key] = value.clone();
    }
    serde_json::from_value(view).unwrap()
}
