//! A worker to try surfaces with.

use gob_protocol::View;
use serde_json::{Value, json};

/// Returns a graph of this name that is ready, with these fields in the place of its own.
///
/// # Errors
/// When they make no worker of it.
pub fn sample(name: &str, changes: &Value) -> Result<View, serde_json::Error> {
    let mut view = json!({
        "name": name, "kind": "graph", "graph": name, "description": null, "root_dir": "/g", "cwd": "/g",
        "command": ["gob-graph-worker"], "owner": "cli", "owned": true, "state": "ready", "pid": 4242, "pgid": 4242,
        "endpoint": format!("unix:/run/{name}.sock"), "meta": {}, "run": 1, "created_at": "2026-11-20T10:00:00.000Z",
        "started_at": "2026-11-20T10:00:00.000Z", "ready_at": "2026-11-20T10:00:00.038Z", "stopped_at": null,
        "exit": null, "restarts": 0, "next_restart_at": null, "leases": 0, "lease_holders": [],
        "stdout_path": null, "stderr_path": null, "reason": null,
    });
    if let (Some(fields), Some(changes)) = (view.as_object_mut(), changes.as_object()) {
        fields.extend(changes.iter().map(|(key, value)| (key.clone(), value.clone())));
    }
    serde_json::from_value(view)
}
