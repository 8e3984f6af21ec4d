//! The time that gobctl waits for an answer, and its message when it gives up, against a scripted supervisor.

#[cfg(test)]
mod support;

use serde_json::json;
use support::{World, ok, refused, view};

/// A frame that answers nothing, such as a foreign event.
fn nothing() -> Vec<String> {
    vec![json!({"event": "worker_ready", "seq": 1}).to_string()]
}

/// Returns the answer to the first request behind hello, in its time.
fn late(data: serde_json::Value) -> String {
    json!({"id": 2, "success": true, "data": data}).to_string()
}

#[test]
fn a_start_is_waited_for_while_the_supervisor_answers_pings() {
    let world = World::new();
    world.serve(|kind, payload| match kind {
        "start" => {
            assert!(payload.get("timeout_ms").is_none(), "the kind's own deadline: {payload}");
            nothing()
        }
        "ping" => {
            let started = json!({"worker": view("draft", json!({})), "outcome": "started"});
            vec![ok(json!({"pong": true, "uptime_ms": 1})), late(started)]
        }
        _ => vec![],
    });
    let ran = world.run(&["start", "draft"]);
    assert!(ran.stdout.starts_with("started draft (pid 4242, owner cli) in 5."), "{ran:?}");
    assert_eq!((ran.code, ran.stderr.as_str()), (Some(0), ""));
}

#[test]
fn a_supervisor_that_answers_no_ping_is_given_up() {
    let world = World::new();
    world.serve(|kind, _| match kind {
        "hello" => vec![],
        _ => nothing(),
    });
    let want = "error: no answer to `restart`, and none to a ping for 10.0 s\n  \
                the supervisor has it, and may still go on with it once it answers again\nhint: gobctl doctor\n";
    world.run(&["restart", "draft"]).is(7, "", want);
}

#[test]
fn a_start_beyond_this_clients_time_names_the_ways_to_watch_it() {
    let world = World::new();
    world.serve(|kind, _| match kind {
        "start" => nothing(),
        _ => vec![],
    });
    let want = "error: draft is not ready yet: no answer to `start` within 2.1 s\n  the supervisor goes on with it\n\
                hint: watch it: gobctl logs -f draft, gobctl events draft\n";
    world.run(&["start", "draft", "--timeout", "100ms"]).is(8, "", want);
    let ran = world.run(&["with", "draft", "--timeout", "100ms", "--", "true"]);
    ran.is(125, "", want);
}

#[test]
fn a_time_that_no_clock_reaches_is_waited_for() {
    let world = World::new();
    world.serve(|kind, _| match kind {
        "get" => vec![refused("server-not-found", "there is no worker x", "gobctl list", json!({}))],
        "list" => vec![ok(json!({"workers": []}))],
        _ => vec![],
    });
    let want = "error: there is no worker x\nhint: gobctl list\n";
    world.run(&["status", "x", "--timeout", "10000000000000000000"]).is(4, "", want);
}
