//! Rules for one answer alone, in any state: the refusals that a request can have, and the content of a
//! success.

use crate::fleet;
use crate::judge::may_manage;
use crate::link::Asked;
use gob_tests::process;
use serde_json::Value;
use std::collections::BTreeSet;

/// Returns why an answer can't be true; `None` where it can.
pub fn judge(owner: &str, asked: &Asked, answer: &Value, holders: &BTreeSet<i32>) -> Option<String> {
    let data = &answer["data"];
    if answer["success"] != true {
        return refusal(owner, asked, &answer["error"], holders);
    }
    let views = data["workers"].as_array().into_iter().flatten();
    let views = views.chain(Some(&data["worker"]).filter(|view| view.is_object()));
    views.into_iter().find_map(|view| owned(owner, view)).or_else(|| success(owner, asked, data))
}

/// Refusals that a request may have at any time: a supervisor on its way out, and limits.
const ALWAYS: [&str; 2] = ["shutting-down", "busy"];
const START: [&str; 4] =
    ["server-start-failed", "server-start-timeout", "server-start-timeout-orphan", "config-invalid"];

fn refusal(owner: &str, asked: &Asked, error: &Value, holders: &BTreeSet<i32>) -> Option<String> {
    let code = error["code"].as_str().unwrap_or("");
    let (name, details) = (asked.worker(), &error["details"]);
    let kind = &*asked.kind;
    let managing = matches!(
        kind,
        "stop"
            | "restart"
            | "signal"
            | "hand_over"
            | "remove"
            | "runs_delete"
            | "queue_cancel"
            | "queue_retry"
    );
    let known: &[&str] = match kind {
        "start" | "add" => &START,
        // The number of a job is durable before it is given, and a history that can't be read says so.
        "create" => &["internal"],
        "runs" | "stats" | "blame" => &["server-not-found", "internal"],
        "runs_delete" => &["server-not-found", "internal", "server-running"],
        "restart" => &[START.as_slice(), &["server-not-found"]].concat(),
        "stop" | "lease" | "release" | "get" | "hand_over" => &["server-not-found"],
        "signal" => &["server-not-found", "server-not-running"],
        "remove" => &["server-not-found", "server-running"],
        "reload" => &["config-invalid"],
        // A store that can't be written says so.
        "queue_add" => &["internal", "job-not-found", "server-not-running"],
        "queue_cancel" => &["internal", "job-not-found", "server-not-running"],
        "queue_retry" => &[
            "internal",
            "job-not-found",
            "server-not-running",
            "server-running",
            "graph-conflict",
            "invalid-request",
        ],
        "queue_get" => &["internal", "job-not-found"],
        "queue_list" | "queue_width" => &["internal"],
        _else => &[],
    };
    match code {
        "server-owned-by-other" if managing => {
            let other = details["owner"].as_str().unwrap_or("");
            let allowed = other != "unknown" && may_manage(other, owner, None);
            (allowed || details["requester"] != owner)
                .then(|| format!("{owner} is refused what {other} owns"))
        }
        "server-locked-by-external"
            if matches!(kind, "start" | "stop" | "restart" | "signal" | "hand_over") =>
        {
            let held = details["pid"].as_i64().is_some_and(|pid| holders.contains(&(pid as i32)));
            (!held || !fleet::may_be_held(name)).then(|| "held by a process that never held it".to_owned())
        }
        // A holder that is asked to end may stay.
        "server-stop-timeout" if matches!(kind, "stop" | "restart") && fleet::may_be_held(name) => None,
        code if ALWAYS.contains(&code) || known.contains(&code) => None,
        code => Some(format!("{kind} is never refused with {code}")),
    }
}

/// `owned` is true if the reader of the view may stop the worker. An owner that lost a worker may take it
/// back, which a view does not show.
fn owned(requester: &str, view: &Value) -> Option<String> {
    let owner = view["owner"].as_str().unwrap_or("");
    let owned = view["owned"] == true;
    let right = if view["state"] == "external" {
        !owned
    } else if owner == "unknown" {
        owned || requester != "cli"
    } else {
        owned == may_manage(owner, requester, None)
    };
    (!right).then(|| format!("{requester} reads owned {owned} of what {owner} owns"))
}

fn success(owner: &str, asked: &Asked, data: &Value) -> Option<String> {
    let view = &data["worker"];
    let managed = matches!(&*asked.kind, "signal");
    let its_owner = view["owner"].as_str().unwrap_or("");
    if managed && its_owner != "unknown" && !may_manage(its_owner, owner, None) {
        return Some(format!("{owner} may not do this to what {its_owner} owns"));
    }
    if asked.kind != "stop" {
        return None;
    }
    if ["ready", "unhealthy", "stopping"].iter().any(|state| view["state"] == *state) {
        return Some("a stop is over, and its worker is not".to_owned());
    }
    let receipt = &data["receipt"];
    if receipt["survivors"].as_array().is_none_or(|survivors| !survivors.is_empty()) {
        return Some("a stop that succeeds leaves nobody".to_owned());
    }
    receipt["signalled"].as_array().into_iter().flatten().find_map(|entry| {
        let (pid, start) = (entry["pid"].as_i64()? as i32, entry["start_time"].as_u64()?);
        if entry["ended_ms"].is_null() {
            return Some(format!("{pid} has not ended"));
        }
        let alive = process::is_alive(pid) && process::start_time(pid) == Some(start);
        alive.then(|| format!("the receipt says that it has ended: {}", process::describe(pid)))
    })
}
