//! Workers in few words, for a reader with little room. Pure: texts of workers are escaped.

use gob_client::protocol::Timestamp;
use gob_client::screen::text::{escape, name as shown};
use gob_client::screen::{Row, command, failure};
use gob_client::{Owner, View};
use serde_json::{Map, Value, json};

/// Greatest length of a command, a reason or an endpoint in a line, in bytes.
const PART: usize = 160;
/// Greatest length of a text that a tool returns beside an output, in bytes.
pub(crate) const TEXT: usize = 8 << 10;

/// Returns a worker in a line: `web: running (job, owner agent (you), pid 12, up 2m) tcp:5173  npm run dev`.
pub(crate) fn line(worker: &View, requester: &Owner, now: Timestamp) -> String {
    let row = Row::from(worker);
    let words = row.words(now);
    let mut facts = vec![words.kind.to_owned(), format!("owner {}", owner(worker, requester))];
    facts.extend(words.pid.map(|pid| format!("pid {pid}")));
    facts.extend(words.up.map(|up| format!("up {up}")));
    facts.extend((words.restarts > 0).then(|| format!("{} restarts", words.restarts)));
    let mut text = format!("{}: {} ({})", shown(words.name), words.state, facts.join(", "));
    let parts = [words.last.map(|last| escape(&last)), words.command.map(|command| escape(&command))];
    for part in parts.into_iter().flatten() {
        text.push_str("  ");
        text.push_str(&short(&part));
    }
    text.extend(worker.blocked.as_ref().map(|why| format!("  blocked: {}", short(&escape(why)))));
    text
}

/// Returns the owner of a worker, and whether the requester may manage it.
pub(crate) fn owner(worker: &View, requester: &Owner) -> String {
    if worker.owner == *requester {
        format!("{requester} (you)")
    } else {
        format!("{}{}", worker.owner, if worker.owned { ", which you may manage" } else { "" })
    }
}

/// Says on a line of its own that a worker that was another owner's is the requester's now: a start makes it that of a worker
/// at rest.
pub(crate) fn gained(before: Option<&View>, after: &View, requester: &Owner) -> String {
    let earlier = before.filter(|before| before.name == after.name && before.owner != *requester);
    match earlier.filter(|_| after.owner == *requester) {
        Some(before) => format!("\nyou own it now; its owner was {}", before.owner),
        None => String::new(),
    }
}

/// Cuts a part of a line.
pub(crate) fn short(text: &str) -> String {
    crate::refusal::shortened(text, PART)
}

/// Returns a worker as data, without what is seldom asked for.
pub(crate) fn data(worker: &View) -> Value {
    let mut fields = Map::new();
    let mut put = |key: &str, value: Value| {
        if !value.is_null() {
            fields.insert(key.to_owned(), value);
        }
    };
    put("name", worker.name.as_str().into());
    put("kind", worker.kind.as_ref().into());
    put("owner", worker.owner.as_str().into());
    put("owned", worker.owned.into());
    put("state", worker.state.as_str().into());
    put("pid", worker.pid.into());
    put("run", worker.run.into());
    put("endpoint", worker.endpoint.as_deref().map(short).into());
    let ports: Vec<Value> =
        worker.ports.iter().map(|port| json!({"port": port.port, "protocol": port.protocol})).collect();
    put("ports", if ports.is_empty() { Value::Null } else { ports.into() });
    put("exit", worker.exit.as_ref().and_then(|exit| serde_json::to_value(exit).ok()).into());
    put("reason", failure(worker).or_else(|| worker.reason.clone()).map(|why| short(&why)).into());
    put("blocked", worker.blocked.as_deref().map(short).into());
    if &*worker.kind == "job" {
        put("command", short(&command(&worker.command)).into());
        put("cwd", worker.cwd.as_deref().into());
    }
    Value::Object(fields)
}

/// Joins as many lines as fit, and says how many were left out and how to get them.
pub(crate) fn within(lines: Vec<String>, max: usize, more: &str) -> String {
    let (mut text, count) = (String::new(), lines.len());
    for (at, line) in lines.into_iter().enumerate() {
        if text.len() + line.len() + 1 > max {
            text.push_str(&format!("… {} more left out: {more}\n", count - at));
            break;
        }
        text.push_str(&line);
        text.push('\n');
    }
    text
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    pub(crate) fn view(changes: Value) -> View {
        let mut worker = json!({
            "name": "web", "kind": "job", "graph": null, "description": null, "root_dir": null, "cwd": "/site",
            "command": ["npm", "run", "dev"], "owner": "agent", "owned": true, "state": "ready", "pid": 12, "pgid": 12,
            "endpoint": null, "meta": {}, "run": 1, "created_at": "2026-11-20T10:00:00.000Z",
            "started_at": "2026-11-20T10:00:00.000Z", "ready_at": null, "stopped_at": null, "exit": null,
            "restarts": 0, "next_restart_at": null, "leases": 0, "lease_holders": [], "stdout_path": null,
            "stderr_path": null, "reason": null, "ports": [{"port": 5173, "protocol": "tcp", "pid": 12}],
        });
        let fields = worker.as_object_mut().unwrap();
        fields.extend(changes.as_object().unwrap().clone());
        serde_json::from_value(worker).unwrap()
    }

    #[test]
    fn a_worker_is_told_in_a_line_that_says_whose_it_is() {
        let now = serde_json::from_value(json!("2026-11-20T10:02:00.000Z")).unwrap();
        let agent = Owner::new("agent").unwrap();
        let told = |changes| line(&view(changes), &agent, now);
        let own = "web: running (job, owner agent (you), pid 12, up 2m)  tcp:5173  npm run dev";
        assert_eq!(told(json!({})), own);
        let other = told(json!({"owner": "desktop", "owned": false}));
        assert!(other.contains("owner desktop,") && !other.contains("you"), "{other}");
        let long = told(json!({"command": ["x".repeat(9_000)]}));
        assert!(long.len() < 400, "{}", long.len());
    }

    #[test]
    fn a_worker_that_became_the_requesters_is_told() {
        let agent = Owner::new("agent").unwrap();
        let (own, other) = (view(json!({})), view(json!({"owner": "cli"})));
        assert_eq!(gained(Some(&other), &own, &agent), "\nyou own it now; its owner was cli");
        for (before, after) in [(Some(&own), &own), (Some(&other), &other), (None, &own)] {
            assert_eq!(gained(before, after, &agent), "");
        }
    }

    #[test]
    fn data_leaves_out_what_is_not_there() {
        let data = data(&view(json!({"ports": []})));
        assert_eq!(data["name"], "web");
        assert!(data.get("ports").is_none() && data.get("exit").is_none());
    }

    #[test]
    fn a_long_list_says_what_it_leaves_out() {
        let lines = vec!["aaaa".to_owned(), "bbbb".to_owned(), "cccc".to_owned()];
        assert_eq!(within(lines.clone(), 9, "call list"), "aaaa\n… 2 more left out: call list\n");
        assert_eq!(within(lines, 99, "call list"), "aaaa\nbbbb\ncccc\n");
    }
}
