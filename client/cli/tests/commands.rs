//! Verbs that go on: commands run with workers held, streams into and out of a worker, a list that is
//! watched.

#[cfg(test)]
mod support;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::{Value, json};
use std::io::{BufRead, BufReader, Write};
use std::process::Stdio;
use std::sync::{Arc, Mutex};
use support::{Ran, World, ok, refused, serve, view};

fn starts(kind: &str, payload: &Value) -> Vec<String> {
    match kind {
        "start" => {
            assert_eq!(payload["lease"], true);
            let name = payload["name"].as_str().unwrap_or_default();
            vec![ok(json!({"worker": view(name, json!({})), "outcome": "reused"}))]
        }
        "subscribe" => vec![ok(json!({"seq": 1, "instance": "i"}))],
        _ => vec![],
    }
}

#[test]
fn a_command_gets_the_endpoints_and_keeps_its_code() {
    let world = World::new();
    world.serve(starts);
    let script = "echo $GOB_ENDPOINT $GOB_ENDPOINT_DEMO $GOB_ENDPOINT_FOO_BAR; cat; exit 3";
    world.run(&["with", "demo", "foo/bar", "--", "sh", "-c", script]).is(
        3,
        "unix:/run/demo.sock unix:/run/demo.sock unix:/run/foo/bar.sock\n",
        "",
    );
    let ran = world.run(&["with", "demo", "--", "/nowhere/at/all"]);
    assert_eq!(ran.code, Some(127));
    assert!(ran.stderr.starts_with("error: cannot run /nowhere/at/all\n"), "{ran:?}");
    let world = World::new();
    let ran = world.run(&["with", "demo", "--no-autostart", "--", "true"]);
    assert_eq!(ran.code, Some(125));
}

#[test]
fn signals_are_passed_on_and_the_command_decides() {
    let world = World::new();
    world.serve(starts);
    let script = "trap 'echo told; exit 9' TERM; echo up; while :; do :; done";
    let mut command = world.command(&["with", "demo", "--", "sh", "-c", script]);
    let mut child = command.stdout(Stdio::piped()).spawn().unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    assert_eq!(lines.next().unwrap().unwrap(), "up");
    kill(Pid::from_raw(i32::try_from(child.id()).unwrap()), Signal::SIGTERM).unwrap();
    assert_eq!(lines.next().unwrap().unwrap(), "told");
    assert_eq!(child.wait().unwrap().code(), Some(9));
}

#[test]
fn a_start_with_a_lease_holds_it_until_interrupted_and_says_so() {
    let world = World::new();
    world.serve(starts);
    let mut command = world.command(&["start", "demo", "--lease"]);
    let mut child = command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
    let mut lines = BufReader::new(child.stderr.take().unwrap()).lines();
    assert_eq!(lines.next().unwrap().unwrap(), "holding it until interrupted");
    assert_eq!(child.try_wait().unwrap(), None, "and does so");
    kill(Pid::from_raw(i32::try_from(child.id()).unwrap()), Signal::SIGTERM).unwrap();
    assert!(!child.wait().unwrap().success());
}

#[test]
fn an_import_is_a_stream_and_an_export_too() {
    let world = World::new();
    let endpoint = world.dir.join("worker.sock");
    let worker = view(
        "demo",
        json!({"endpoint": format!("unix:{}", endpoint.display()), "command": ["/x/gob-graph-worker"]}),
    );
    world.serve(move |kind, _| match kind {
        "get" => vec![ok(json!({"worker": worker}))],
        _ => vec![],
    });
    let got = Arc::new(Mutex::new(Vec::new()));
    let lines = Arc::clone(&got);
    serve(&endpoint, move |kind, payload| match kind {
        "import_begin" => vec![ok(json!({}))],
        "import_lines" => {
            let batch = payload["lines"].as_array().unwrap();
            let mut lines = lines.lock().unwrap();
            lines.extend(batch.iter().map(|line| line.as_str().unwrap().to_owned()));
            if lines.iter().any(|line| line == "bad") {
                return vec![refused(
                    "invalid-request",
                    "line 1: expected value",
                    "mend it",
                    json!({"line": 1}),
                )];
            }
            vec![ok(json!({"lines": lines.len()}))]
        }
        "import_end" => {
            let progress =
                json!({"event": "import_progress", "id": 1, "phase": "nodes", "done": 1, "total": 2});
            vec![progress.to_string(), ok(json!({"nodes": 2, "edges": 0}))]
        }
        "export" => {
            let chunk = json!({"event": "export_chunk", "id": 1, "lines": [{"node": {"id": "a"}}, {"node": {"id": "b"}}]});
            vec![chunk.to_string(), ok(json!({"nodes": 2, "edges": 0}))]
        }
        _ => vec![],
    });
    let import = |text: String| {
        let mut command = world.command(&["invoke", "demo", "import", "-"]);
        let mut child =
            command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let mut stdin = child.stdin.take().unwrap();
        // A refused import is not read to its end.
        let writes = std::thread::spawn(move || drop(stdin.write_all(text.as_bytes())));
        let ran = Ran::of(child.wait_with_output().unwrap());
        writes.join().unwrap();
        ran
    };
    let many: Vec<String> = (0..50_000).map(|n| format!("{{\"node\":{{\"id\":\"é\\\"{n}\"}}}}")).collect();
    import(many.join("\n")).is(0, "{\"edges\":0,\"nodes\":2}\n", "");
    assert_eq!(*got.lock().unwrap(), many);
    got.lock().unwrap().clear();
    import("bad\n".to_owned()).is(2, "", "error: line 1: expected value\nhint: mend it\n");
    let lines = "{\"node\":{\"id\":\"a\"}}\n{\"node\":{\"id\":\"b\"}}\n";
    world.run(&["invoke", "demo", "export"]).is(0, lines, "{\"edges\":0,\"nodes\":2}\n");
    let ran = world.run(&["invoke", "demo", "crash"]);
    assert_eq!(ran.code, Some(1));
    assert!(
        ran.stderr.contains("demo closed the connection") && ran.stderr.contains("gobctl logs demo"),
        "{ran:?}"
    );
}

#[test]
fn a_worker_that_is_down_is_not_started() {
    let world = World::new();
    world.serve(|kind, _| match kind {
        "get" => {
            vec![ok(json!({"worker": view("demo", json!({"state": "idle", "pid": null, "endpoint": null}))}))]
        }
        _ => vec![],
    });
    let want = "error: cannot invoke demo: it is idle\nhint: start it: gobctl start demo\n";
    world.run(&["invoke", "demo", "ping"]).is(3, "", want);
}

#[test]
fn a_watched_list_changes_with_the_events() {
    let world = World::new();
    world.serve(|kind, _| match kind {
        "subscribe" => {
            let event = json!({"event": "worker_ready", "seq": 6, "time": "2026-11-20T10:00:00.000Z",
                               "actor": "supervisor", "worker": view("b", json!({}))});
            vec![ok(json!({"seq": 5, "instance": "i", "workers": [view("a", json!({}))]})), event.to_string()]
        }
        _ => vec![],
    });
    let mut command = world.command(&["list", "--watch", "--json"]);
    let mut child = command.stdout(Stdio::piped()).spawn().unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let mut next = || {
        let list: Value = serde_json::from_str(&lines.next().unwrap().unwrap()).unwrap();
        list["workers"]
            .as_array()
            .unwrap()
            .iter()
            .map(|worker| worker["name"].to_string())
            .collect::<String>()
    };
    assert_eq!(next(), "\"a\"");
    assert_eq!(next(), "\"a\"\"b\"");
    child.kill().unwrap();
    child.wait().unwrap();
}
