//! Live events: in order, without a gap, with their actor, replayed, and not delayed by a slow subscriber
//! (D6, F4).

use gob_tests::Gob;
use gob_tests::conn::Conn;
use gob_tests::process::Handle;
use gob_tests::script::Step;
use gob_tests::wait::DEADLINE;
use nix::sys::signal::Signal;
use serde_json::{Value, json};
use std::io::{BufRead, BufReader};
use std::time::{Duration, Instant};

/// Reads events up to the first that fits, in order, without a gap.
fn until(conn: &mut Conn, fits: impl Fn(&Value) -> bool) -> Vec<Value> {
    let mut events: Vec<Value> = Vec::new();
    loop {
        let event = conn.frame();
        assert!(event["event"].is_string(), "{event}");
        if let Some(last) = events.last() {
            assert_eq!(event["seq"].as_u64(), last["seq"].as_u64().map(|seq| seq + 1), "{last}\n{event}");
        }
        let last = fits(&event);
        events.push(event);
        if last {
            return events;
        }
    }
}

fn is(name: &'static str) -> impl Fn(&Value) -> bool {
    move |event| event["event"] == name
}

fn names(events: &[Value]) -> Vec<&str> {
    events.iter().map(|event| event["event"].as_str().unwrap()).collect()
}

#[test]
fn a_life_in_events() {
    let gob = Gob::new();
    let mut watcher = gob.connect_as("desktop");
    let at = watcher.ok("subscribe", json!({}))["seq"].as_u64().unwrap();
    let mut cli = gob.connect_as("cli");
    cli.ok("start", json!({"graph": "g"}));
    cli.ok("stop", json!({"name": "g"}));
    let events = until(&mut watcher, is("worker_stopped"));
    let expected = [
        "worker_added",
        "worker_starting",
        "worker_started",
        "worker_ready",
        "worker_stopping",
        "worker_stopped",
    ];
    assert_eq!(names(&events), expected);
    assert_eq!(events[0]["seq"].as_u64(), Some(at + 1), "nothing between the answer and the first event");
    let own = std::process::id();
    for event in &events {
        let worker = &event["worker"];
        assert_eq!(
            (&worker["name"], &worker["owner"], &worker["owned"]),
            (&json!("g"), &json!("cli"), &json!(false))
        );
        assert!(
            event["time"].as_str().is_some_and(|time| time.ends_with('Z') && time.len() == 24),
            "{event}"
        );
    }
    for event in &events {
        let actor = &event["actor"];
        assert_eq!(*actor, json!({"owner": "cli", "client": "gob-tests", "pid": own}), "{event}");
    }
    let states: Vec<_> = events.iter().map(|event| event["worker"]["state"].as_str().unwrap()).collect();
    assert_eq!(states[1..], ["starting", "starting", "ready", "stopping", "idle"]);
}

#[test]
fn the_end_of_a_killed_worker_is_reported_at_once_and_exactly() {
    let gob = Gob::new();
    let mut watcher = gob.events();
    let data = gob.connect_as("cli").ok("start", json!({"graph": "g"}));
    let pid = data["worker"]["pid"].as_i64().unwrap() as i32;
    let begun = Instant::now();
    Handle::open(pid).unwrap().signal(Signal::SIGKILL);
    let event = watcher.find("the end", DEADLINE, |event| !event["worker"]["exit"].is_null());
    assert!(begun.elapsed() < Duration::from_secs(2), "{:?}", begun.elapsed());
    assert_eq!(event["worker"]["exit"], json!({"signal": "SIGKILL", "core_dumped": false}));
    assert_eq!(event["actor"], "supervisor");
    // Graphs are started again on failure.
    let again = watcher.find("the next run", DEADLINE, |event| {
        event["event"] == "worker_ready" && event["worker"]["run"] == 2
    });
    assert_eq!(again["worker"]["restarts"], 1);
}

#[test]
fn missed_events_are_replayed() {
    let gob = Gob::new();
    let mut first = gob.connect_as("desktop");
    let begin = first.ok("subscribe", json!({}));
    let mut cli = gob.connect_as("cli");
    cli.ok("start", json!({"graph": "a"}));
    cli.ok("start", json!({"graph": "b"}));
    cli.ok("stop", json!({"name": "a"}));
    let live = until(&mut first, is("worker_stopped"));
    let mut second = gob.connect_as("desktop");
    let since = json!({"since": begin["seq"], "instance": begin["instance"]});
    let data = second.ok("subscribe", since);
    assert!(data["gap"].is_null() && data["workers"].is_null(), "{data}");
    assert_eq!(data["seq"], live.last().unwrap()["seq"]);
    let replayed = until(&mut second, is("worker_stopped"));
    assert_eq!(replayed, live, "the same events, with the same view and the same time");
    cli.ok("stop", json!({"name": "b"}));
    let next = second.frame();
    assert_eq!(next["seq"].as_u64(), data["seq"].as_u64().map(|seq| seq + 1));
}

#[test]
fn another_instance_is_a_gap() {
    let gob = Gob::new();
    gob.connect_as("cli").ok("start", json!({"graph": "g"}));
    let data = gob.connect_as("desktop").ok("subscribe", json!({"since": 0, "instance": "another"}));
    assert_eq!(data["gap"], true, "{data}");
    assert_eq!(data["workers"][0]["name"], "g");
    let mut conn = gob.connect_as("desktop");
    let data = conn.ok("subscribe", json!({"since": 1_000_000}));
    assert_eq!(data["gap"], true, "a seq that was never given: {data}");
}

#[test]
fn filters_snapshots_and_the_end_of_a_subscription() {
    let gob = Gob::new();
    let mut cli = gob.connect_as("cli");
    cli.ok("start", json!({"graph": "a"}));
    let mut watcher = gob.connect_as("desktop");
    let filter = json!({"names": ["a"], "events": ["worker_stopped"], "snapshot": true});
    let data = watcher.ok("subscribe", filter);
    assert_eq!(data["workers"].as_array().unwrap().len(), 1);
    assert_eq!(watcher.ask("subscribe", json!({}))["success"], false, "one subscription per connection");
    cli.ok("start", json!({"graph": "b"}));
    cli.ok("stop", json!({"name": "b"}));
    cli.ok("stop", json!({"name": "a"}));
    let only = watcher.frame();
    assert_eq!((&only["event"], &only["worker"]["name"]), (&json!("worker_stopped"), &json!("a")));
    watcher.ok("unsubscribe", json!({}));
    cli.ok("start", json!({"graph": "a"}));
    cli.ok("stop", json!({"name": "a"}));
    let pong = watcher.ask("ping", json!({}));
    assert_eq!(pong["data"]["pong"], true);
    assert!(watcher.frame_within(Duration::from_millis(50)).is_none(), "no event after unsubscribe");
    watcher.ok("subscribe", json!({}));
}

#[test]
fn a_stuck_subscriber_delays_only_itself_and_is_told_of_the_gap() {
    let gob = Gob::new();
    // Long names make large events, so that queues fill before the test takes long.
    let graph = "g".repeat(200);
    gob.script(&graph, &[Step::Handshake]);
    let mut stuck = gob.connect_as("desktop");
    let begin = stuck.ok("subscribe", json!({}));
    let mut live = gob.events();
    // A subscriber that reads gets them all, however slow the other one is.
    let reader = std::thread::spawn(move || {
        until(&mut live, |event| event["event"] == "worker_stopped" && event["worker"]["run"] == 400)
    });
    let mut cli = gob.connect_as("cli");
    for _ in 0..400 {
        // A worker that is stopped before it has a process has fewer events.
        cli.ok("start", json!({"graph": graph, "wait": "spawned"}));
        cli.ok("stop", json!({"name": graph, "force": true}));
    }
    let last = cli.ok("status", json!({}))["events_seq"].as_u64().unwrap();
    assert!(last > 1150, "{last} events do not fill the queue of 1,024 frames");
    let all = reader.join().expect("the one that reads");
    assert_eq!(all.len() as u64, last - begin["seq"].as_u64().unwrap());
    // The stuck subscriber reads at last: events in order, then one frame about the missed ones, with the
    // present workers.
    let lagged = stuck.find("lagged", DEADLINE, |frame| frame["event"] == "lagged");
    let missed = lagged["missed"].as_u64().unwrap();
    assert!(missed > 0, "{lagged}");
    assert_eq!(lagged["seq"].as_u64(), Some(last));
    assert_eq!(lagged["workers"][0]["name"], graph);
    let mut seen = 0;
    while let Some(event) = stuck.frame_within(Duration::ZERO) {
        seen += 1;
        assert_eq!(event["seq"].as_u64(), Some(begin["seq"].as_u64().unwrap() + seen));
    }
    assert_eq!(seen + missed, all.len() as u64, "seen and missed are all there were");
    let status = gob.status();
    assert!(status["lagged_events"].as_u64() >= Some(missed), "{status}");
    // The ring has long lost the beginning.
    let data = gob.connect_as("desktop").ok("subscribe", json!({"since": begin["seq"]}));
    assert_eq!(data["gap"], true, "{data}");
}

#[test]
fn two_terminals_see_the_same() {
    let gob = Gob::new();
    let seq = gob.connect_as("cli").ok("status", json!({}))["events_seq"].to_string();
    let mut terminals: Vec<_> =
        (0..2).map(|_| gob.ctl(["events", "--json", "--since", &seq]).spawn()).collect();
    let mut cli = gob.connect_as("cli");
    cli.ok("start", json!({"graph": "g"}));
    cli.ok("stop", json!({"name": "g"}));
    let mut seen = Vec::new();
    for terminal in &mut terminals {
        let (sender, lines) = std::sync::mpsc::channel();
        let stdout = BufReader::new(terminal.stdout.take().unwrap());
        std::thread::spawn(move || {
            stdout.lines().map_while(Result::ok).try_for_each(|line| sender.send(line))
        });
        let mut events: Vec<Value> = Vec::new();
        while events.last().is_none_or(|event| event["event"] != "worker_stopped") {
            let line = lines.recv_timeout(DEADLINE).expect("an event");
            events.push(serde_json::from_str(&line).expect("one event per line"));
        }
        terminal.kill().unwrap();
        terminal.wait().unwrap();
        seen.push(events);
    }
    assert_eq!(names(&seen[0]).len(), 6);
    assert_eq!(seen[0], seen[1]);
}

#[test]
fn a_list_comes_in_pages() {
    let gob = Gob::new();
    let mut conn = gob.connect_as("cli");
    for graph in ["a", "b", "c"] {
        conn.ok("start", json!({"graph": graph}));
    }
    let names = |page: &serde_json::Value| -> Vec<String> {
        page["workers"].as_array().unwrap().iter().map(|w| w["name"].as_str().unwrap().to_owned()).collect()
    };
    let first = conn.ok("list", json!({"limit": 2}));
    assert_eq!((names(&first), &first["next"]), (vec!["a".to_owned(), "b".to_owned()], &json!("b")));
    let second = conn.ok("list", json!({"limit": 2, "after": first["next"]}));
    assert_eq!((names(&second), second.get("next")), (vec!["c".to_owned()], None));
    assert_eq!(conn.ok("list", json!({})).get("next"), None);
    assert_eq!(names(&conn.ok("list", json!({"after": "c"}))), Vec::<String>::new());
}
