//! The output and exit codes of gobctl, against a scripted supervisor.

#[cfg(test)]
mod support;

use serde_json::{Value, json};
use std::io::{BufRead, BufReader, Read};
use std::process::Stdio;
use std::time::Duration;
use support::{World, hello, ok, refused, view};

#[test]
fn ping_prints_the_data_as_it_came() {
    let world = World::new();
    world.serve(|kind, _| match kind {
        "ping" => vec![ok(json!({"pong": true, "uptime_ms": 125_000, "later_field": 1}))],
        _ => vec![],
    });
    world.run(&["ping"]).is(0, concat!("pong (gobd ", env!("CARGO_PKG_VERSION"), ", pid 4200, up 2m)\n"), "");
    world.run(&["--json", "ping"]).is(0, "{\"later_field\":1,\"pong\":true,\"uptime_ms\":125000}\n", "");
}

#[test]
fn a_refusal_is_printed_and_in_json_leaves_standard_output_empty() {
    let world = World::new();
    world.serve(|kind, payload| match kind {
        "stop" if payload["name"] == "mine" => {
            let receipt = json!({"signalled": [{"pid": 7, "start_time": 1, "signals": ["SIGTERM"], "ended_ms": 3}], "survivors": []});
            vec![ok(json!({"worker": view("mine", json!({"state": "idle", "pid": null})), "receipt": receipt}))]
        }
        "stop" => {
            let details = json!({"worker": "demo", "owner": "cli", "requester": "desktop", "pid": 4242});
            vec![refused("server-owned-by-other", "demo is owned by cli, you are desktop", "ask its owner", details)]
        }
        _ => vec![],
    });
    let told = "error: demo is owned by cli, you are desktop\n  its worker (pid 4242) was not touched\nhint: ask its owner\n";
    world.run(&["stop", "demo", "--owner", "desktop"]).is(5, "", told);
    let ran = world.run(&["stop", "demo", "--json"]);
    assert_eq!((ran.code, ran.stdout.as_str()), (Some(5), ""));
    let error: Value = serde_json::from_str(&ran.stderr).unwrap();
    assert_eq!(error["error"]["code"], "server-owned-by-other");
    assert_eq!(error["error"]["details"]["requester"], "desktop");
    world.run(&["stop", "demo", "mine"]).is(5, "stopped mine (pid 7)\n", told);
}

#[test]
fn an_unknown_name_brings_up_the_nearest_one() {
    let world = World::new();
    world.serve(|kind, _| match kind {
        "get" => vec![refused("server-not-found", "there is no worker dmeo", "gobctl list", json!({}))],
        "list" => vec![ok(json!({"workers": [view("demo", json!({})), view("other", json!({}))]}))],
        _ => vec![],
    });
    let want = "error: there is no worker dmeo\nhint: did you mean demo? gobctl list shows all\n";
    world.run(&["status", "dmeo"]).is(4, "", want);
}

#[test]
fn start_sends_the_whole_environment_and_warns_of_what_it_drops() {
    use std::os::unix::ffi::OsStrExt;
    let world = World::new();
    world.serve(|kind, payload| match kind {
        "start" => {
            assert_eq!(payload["env"]["FOO"], "bar");
            assert!(payload["env"].get("BAD").is_none());
            assert_eq!(payload["timeout_ms"], 1500);
            vec![ok(json!({"worker": view("demo", json!({})), "outcome": "started"}))]
        }
        _ => vec![],
    });
    let mut command = world.command(&["start", "demo", "--timeout", "1.5s"]);
    command.env("FOO", "bar").env("BAD", std::ffi::OsStr::from_bytes(b"\xff"));
    let ran = support::Ran::of(command.output().unwrap());
    assert!(ran.stdout.starts_with("started demo (pid 4242, owner cli) in "), "{ran:?}");
    assert!(ran.stdout.ends_with(" ms\nunix:/run/demo.sock\n"), "{ran:?}");
    assert_eq!(ran.stderr, "warning: the value of BAD is not UTF-8; it is not handed on\n");
}

#[test]
fn events_are_json_lines_when_piped_and_end_quietly_with_their_reader() {
    let world = World::new();
    world.serve(|kind, payload| match kind {
        "subscribe" => {
            assert_eq!(payload["events"], json!(["worker_ready"]));
            let event =
                |seq: u64| json!({"event": "worker_ready", "seq": seq, "time": "2026-11-20T10:00:00.000Z"});
            let mut frames = vec![ok(json!({"seq": 1, "instance": "i"}))];
            frames.extend((2..20_000).map(|seq| event(seq).to_string()));
            frames
        }
        _ => vec![],
    });
    let mut command = world.command(&["events", "--type", "ready"]);
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut first = String::new();
    BufReader::new(child.stdout.take().unwrap()).read_line(&mut first).unwrap();
    assert!(first.contains("\"seq\":2"), "{first}");
    let mut stderr = String::new();
    child.stderr.take().unwrap().read_to_string(&mut stderr).unwrap();
    assert_eq!((child.wait().unwrap().code(), stderr.as_str()), (Some(0), ""));
}

#[test]
fn an_endless_verb_ends_with_its_reader_without_further_output() {
    let world = World::new();
    world.serve(|kind, _| match kind {
        "subscribe" => vec![ok(json!({"seq": 1, "instance": "i", "workers": [view("demo", json!({}))]}))],
        "get" => vec![ok(json!({"worker": view("demo", json!({}))}))],
        _ => vec![],
    });
    std::fs::create_dir_all(world.state().join("logs/demo")).unwrap();
    std::fs::write(world.state().join("logs/demo/1.stdout.log"), "one\n").unwrap();
    std::fs::write(world.state().join("gobd.log"), "one\n").unwrap();
    for verb in ["events --snapshot", "list --watch", "logs -f demo", "daemon logs -f"] {
        let mut command = world.command(&verb.split(' ').collect::<Vec<_>>());
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let mut first = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut first).unwrap();
        assert!(!first.is_empty(), "{verb}");
        let mut stderr = child.stderr.take().unwrap();
        let (sender, ended) = std::sync::mpsc::channel();
        std::thread::spawn(move || {
            let mut said = String::new();
            stderr.read_to_string(&mut said).unwrap();
            sender.send(said)
        });
        let said = ended.recv_timeout(Duration::from_secs(10));
        if said.is_err() {
            child.kill().unwrap();
        }
        assert_eq!((said.as_deref(), child.wait().unwrap().code()), (Ok(""), Some(0)), "{verb}");
    }
}

#[test]
fn names_and_text_from_outside_are_escaped() {
    let world = World::new();
    world.serve(|kind, _| match kind {
        "list" => {
            let hostile =
                json!({"state": "failed", "pid": null, "reason": "\u{1b}]0;owned\u{7}", "restarts": 5});
            vec![ok(json!({"workers": [view("a\u{202e}b", hostile)]}))]
        }
        _ => vec![],
    });
    let ran = world.run(&["list"]);
    assert!(ran.stdout.contains("a\\u{202e}b") && ran.stdout.contains("\\x1b]0;owned\\x07"), "{ran:?}");
    assert!(!ran.stdout.chars().any(|c| c.is_control() && c != '\n'));
}

#[test]
fn a_deadline_that_passes_names_the_request() {
    let world = World::new();
    // An event is no answer.
    world.serve(|kind, _| match kind {
        "hello" => vec![hello(env!("CARGO_PKG_VERSION"))],
        _ => vec![json!({"event": "worker_ready", "seq": 1}).to_string()],
    });
    let want = "error: no answer to `status` within 2.0 s\n  the supervisor goes on with it\nhint: see gobctl daemon logs\n";
    world.run(&["status", "--timeout", "2s"]).is(124, "", want);
}

#[test]
fn a_start_that_takes_too_long_is_not_ready_however_short_its_time() {
    let world = World::new();
    world.serve(|kind, _| match kind {
        "hello" => vec![hello(env!("CARGO_PKG_VERSION"))],
        _ => vec![json!({"event": "worker_ready", "seq": 1}).to_string()],
    });
    for args in [&["start", "demo"][..], &["restart", "demo", "--grace", "1ms"]] {
        let ran = world.run(&[args, &["--timeout", "1ms"]].concat());
        let want = format!(
            "error: demo is not ready yet: no answer to `{}` within 2.0 s\n  the supervisor goes on with it\n\
             hint: watch it: gobctl logs -f demo, gobctl events demo\n",
            args[0]
        );
        ran.is(8, "", &want);
    }
    // A server without a hello is given up, after the usual time.
    let silent = World::new();
    silent.serve(|_, _| vec![json!({"event": "worker_ready", "seq": 1}).to_string()]);
    let ran = silent.run(&["start", "demo", "--timeout", "1ms"]);
    assert!(ran.code == Some(7) && ran.stderr.contains("does not answer within 5.0 s"), "{ran:?}");
}

#[test]
fn a_lost_connection_fails_all_that_is_pending_at_once() {
    let world = World::new();
    world.serve(|_, _| vec![]);
    let ran = world.run(&["stop", "a", "b", "--timeout", "30s"]);
    assert_eq!(ran.code, Some(7));
    assert_eq!(
        ran.stderr.matches("the connection was lost before `stop` was answered").count(),
        2,
        "{ran:?}"
    );
}

#[test]
fn another_version_of_one_protocol_is_mentioned_another_protocol_refused() {
    let world = World::new();
    world.serve(|kind, _| match kind {
        "hello" => vec![hello("0.0.9")],
        _ => vec![ok(json!({"pong": true, "uptime_ms": 1}))],
    });
    let ran = world.run(&["ping"]);
    assert_eq!(ran.code, Some(0));
    assert!(ran.stderr.contains("0.0.9") && ran.stderr.lines().count() == 1, "{ran:?}");
    world.run(&["ping", "-q"]).is(0, "pong (gobd 0.0.9, pid 4200, up 0s)\n", "");

    let world = World::new();
    world.serve(|_, _| {
        let details = json!({"client": 1, "server": 2});
        vec![refused(
            "version-mismatch",
            "the supervisor speaks protocol 2, the client 1",
            "upgrade",
            details,
        )]
    });
    let want = "error: the supervisor speaks protocol 2, the client 1\nhint: upgrade\n";
    world.run(&["ping"]).is(7, "", want);
}

#[test]
fn another_program_on_the_socket_is_named_at_once_and_sent_no_request() {
    let world = World::new();
    world.serve(|kind, _| {
        assert_eq!(kind, "hello", "nothing else may be said to a stranger");
        vec!["{\"success\":false,\"error\":\"unknown request type: hello\"}".to_owned()]
    });
    let ran = world.run(&["nuke"]);
    assert_eq!(ran.code, Some(7));
    assert!(ran.stderr.starts_with("error: another program answers on "), "{ran:?}");
    assert!(
        ran.stderr.contains("unknown request type: hello") && ran.stderr.contains("GOB_RUNTIME_DIR="),
        "{ran:?}"
    );
}

#[test]
fn lines_that_cannot_be_read_are_skipped_and_shown_on_demand() {
    let world = World::new();
    world.serve(|kind, _| match kind {
        "hello" => vec![hello(env!("CARGO_PKG_VERSION"))],
        _ => vec![
            "noise".to_owned(),
            "{\"id\":99,\"success\":true,\"data\":{}}".to_owned(),
            ok(json!({"pong": true, "uptime_ms": 1})),
        ],
    });
    world.run(&["ping"]).is(0, concat!("pong (gobd ", env!("CARGO_PKG_VERSION"), ", pid 4200, up 0s)\n"), "");
    let ran = world.run(&["ping", "-v"]);
    assert!(ran.stderr.contains("noise") && ran.stderr.lines().count() == 2, "{ran:?}");
}

#[test]
fn the_hint_to_force_repeats_the_typed_words() {
    let world = World::new();
    let details = json!({"worker": "demo", "owner": "desktop", "requester": "cli", "pid": 4242,
                         "workers": [{"worker": "demo", "owner": "desktop"}]});
    world.serve(move |kind, _| match kind {
        "shutdown" => {
            let hint = "end them too: gobctl shutdown --force";
            vec![refused("server-owned-by-other", "1 live worker(s) belong to others", hint, details.clone())]
        }
        _ => vec![],
    });
    for words in ["shutdown", "daemon stop", "daemon restart"] {
        let want = format!(
            "error: 1 live worker(s) belong to others\n  demo is owned by desktop\n  nothing was touched\n\
             hint: end them too: gobctl {words} --force\n"
        );
        world.run(&words.split(' ').collect::<Vec<_>>()).is(5, "", &want);
    }
}

#[test]
fn a_list_in_pages_is_collected() {
    let world = World::new();
    world.serve(|kind, payload| match (kind, payload["after"].as_str()) {
        ("list", None) => vec![ok(json!({"workers": [view("a", json!({}))], "next": "a"}))],
        ("list", Some("a")) => vec![ok(json!({"workers": [view("b", json!({}))], "next": "b"}))],
        ("list", Some("b")) => vec![ok(json!({"workers": [view("c", json!({}))]}))],
        _ => vec![],
    });
    let listed: Value = serde_json::from_str(&world.run(&["list", "--json"]).stdout).unwrap();
    let names: Vec<&str> =
        listed["workers"].as_array().unwrap().iter().filter_map(|w| w["name"].as_str()).collect();
    assert_eq!((names, listed.get("next")), (vec!["a", "b", "c"], None));
    let table = world.run(&["list"]).stdout;
    assert_eq!(table.lines().count(), 4, "{table}");
}
