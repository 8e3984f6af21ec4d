use super::*;
use crate::call::{List, Ping, Reload, Start, Status, Subscribe};
use crate::model::Model;
use crate::subscription::Update;
use crate::{Dirs, Owner, Request};
use serde_json::{Value, json};
use std::io::{BufRead, BufReader, Write};
use std::os::unix::fs::DirBuilderExt;
use std::os::unix::net::UnixListener;
use std::path::PathBuf;
use std::time::Duration;

struct World(PathBuf);

impl World {
    fn new(test: &str) -> Self {
        let dir = std::env::temp_dir().join(format!("gob-tokio-{test}-{}", std::process::id()));
        std::fs::DirBuilder::new().recursive(true).mode(0o700).create(&dir).unwrap();
        Self(dir)
    }

    fn connector(&self) -> Connector {
        let path = |name: &str| self.0.join(name);
        let dirs = Dirs {
            runtime: self.0.clone(),
            state: path("state"),
            data: path("data"),
            config: path("config.toml"),
            config_is_named: false,
        };
        Connector::new(dirs, Owner::cli()).autostart(false)
    }

    /// Serves one connection by a script and then closes it. The socket is published whole, like a
    /// supervisor's.
    fn serve_once(
        &self,
        script: impl Fn(&Value) -> Vec<Value> + Send + 'static,
    ) -> std::thread::JoinHandle<()> {
        let (new, socket) = (self.0.join("new.sock"), self.0.join("daemon.sock"));
        std::fs::remove_file(&new).ok();
        let listener = UnixListener::bind(&new).unwrap();
        std::fs::rename(&new, &socket).unwrap();
        std::thread::spawn(move || {
            let stream = listener.accept().unwrap().0;
            std::fs::remove_file(socket).unwrap();
            let mut out = stream.try_clone().unwrap();
            for line in BufReader::new(stream).lines() {
                let Ok(line) = line else { return };
                let request: Value = serde_json::from_str(&line).unwrap();
                let mut frames = script(&request);
                if request["type"] == "hello" {
                    let server = json!({"version": "0", "pid": 1, "instance": "i", "started_at": "2026-11-20T10:00:00.000Z"});
                    frames = vec![json!({"protocol": 1, "server": server, "owner": "cli", "features": []})];
                }
                let close = frames.is_empty();
                for frame in frames {
                    let frame = if frame.get("event").is_some() {
                        frame
                    } else {
                        json!({"id": request["id"], "success": true, "data": frame})
                    };
                    writeln!(out, "{frame}").unwrap();
                }
                if close {
                    return;
                }
            }
        })
    }
}

impl Drop for World {
    fn drop(&mut self) {
        std::fs::remove_dir_all(&self.0).ok();
    }
}

fn block_on<T>(future: impl Future<Output = T>) -> T {
    let runtime = ::tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async { ::tokio::time::timeout(Duration::from_secs(40), future).await.unwrap() })
}

#[test]
fn many_requests_at_once_and_a_lost_connection() {
    let world = World::new("client");
    let server = world.serve_once(|request| match request["type"].as_str() {
        Some("ping") => vec![json!({"pong": true, "uptime_ms": request["id"]})],
        Some("list") => vec![json!({"workers": []})],
        _ => vec![],
    });
    block_on(async {
        let client = Client::connect(world.connector()).await.unwrap();
        let tasks: Vec<_> = (0..500)
            .map(|_| {
                let client = client.clone();
                ::tokio::spawn(async move { client.ask(Ping).await.unwrap().uptime_ms })
            })
            .collect();
        let mut ids = Vec::new();
        for task in tasks {
            ids.push(task.await.unwrap());
        }
        ids.sort_unstable();
        ids.dedup();
        assert_eq!(ids.len(), 500, "each got its own answer");
        assert!(client.list(List::default()).await.unwrap().is_empty());
        assert!(matches!(client.ask(Status).await, Err(Error::Lost { request }) if request == "status"));
        assert!(matches!(client.ask(Ping).await, Err(Error::Lost { .. })), "the connection is gone for good");
    });
    server.join().unwrap();
}

#[test]
fn a_deadline_passes() {
    let world = World::new("deadline");
    let server = world.serve_once(|_| vec![json!({"event": "worker_ready", "seq": 1})]);
    block_on(async {
        let client = Client::connect(world.connector()).await.unwrap();
        let got = client.call(Ping, Duration::from_millis(30)).await;
        assert!(matches!(got, Err(Error::Timeout { request, .. }) if request == "ping"));
    });
    server.join().unwrap();
}

#[test]
fn a_subscription_comes_back_where_it_was() {
    let world = World::new("subscription");
    let event = |seq: u64| json!({"event": "worker_ready", "seq": seq});
    let first = world.serve_once(move |request| match request["type"].as_str() {
        Some("subscribe") => {
            assert_eq!(request["payload"], json!({"snapshot": true}));
            vec![json!({"seq": 4, "instance": "i", "workers": []}), event(5)]
        }
        // The end of the connection is this test's next request.
        _ => vec![],
    });
    block_on(async {
        let mut subscription = Subscription::new(world.connector(), Subscribe::default());
        assert!(matches!(subscription.next().await.unwrap(), Update::Subscribed(data) if data.seq == 4));
        assert!(matches!(subscription.next().await.unwrap(), Update::Frame(line) if line.contains("5")));
        let link = subscription.link.as_mut().unwrap();
        link.conn().request(&Request::Ping).unwrap();
        assert_eq!(subscription.next().await.unwrap(), Update::Disconnected);
        let (waits, second) = (subscription.next(), async {
            ::tokio::task::yield_now().await;
            world.serve_once(move |request| match request["type"].as_str() {
                Some("subscribe") => {
                    assert_eq!(request["payload"], json!({"since": 5, "instance": "i"}));
                    vec![json!({"seq": 2, "instance": "j", "gap": true, "workers": []}), event(3)]
                }
                _ => vec![],
            })
        });
        let (update, second) = ::tokio::join!(waits, second);
        assert!(matches!(update.unwrap(), Update::Subscribed(data) if data.gap && data.instance == "j"));
        assert!(matches!(subscription.next().await.unwrap(), Update::Frame(line) if line.contains("3")));
        drop(subscription);
        second.join().unwrap();
    });
    first.join().unwrap();
}

/// Serves a snapshot of two pages, then `lagged` of two, with an event beside each.
fn paged(request: &Value) -> Vec<Value> {
    let view = |name: &str| {
        json!({"name": name, "kind": "graph", "graph": name, "description": null, "root_dir": null, "cwd": null, "command": [],
            "owner": "cli", "owned": true, "state": "idle", "pid": null, "pgid": null, "endpoint": null, "meta": {}, "run": 1,
            "created_at": "2026-11-20T10:00:00.000Z", "started_at": null, "ready_at": null, "stopped_at": null, "exit": null,
            "restarts": 0, "next_restart_at": null, "leases": 0, "lease_holders": [], "stdout_path": null, "stderr_path": null,
            "reason": null})
    };
    let added = |seq: u64, name: &str| {
        let time = "2026-11-20T10:00:00.000Z";
        json!({"event": "worker_added", "seq": seq, "time": time, "actor": "supervisor", "worker": view(name)})
    };
    match (request["type"].as_str(), request["payload"]["after"].as_str()) {
        (Some("subscribe"), _) => {
            vec![json!({"seq": 4, "instance": "i", "workers": [view("a")], "next": "a"}), added(5, "c")]
        }
        (Some("list"), Some("a")) => vec![
            json!({"workers": [view("b")]}),
            json!({"event": "lagged", "missed": 2, "seq": 8, "workers": [view("d")], "next": "d"}),
            added(9, "f"),
        ],
        (Some("list"), Some("d")) => vec![json!({"workers": [view("e")]}), added(10, "g")],
        _ => vec![],
    }
}

#[test]
fn a_snapshot_in_pages_is_whole_and_events_stay_behind_it() {
    let names = |model: &Model| model.workers().map(|worker| worker.name.to_string()).collect::<String>();
    let world = World::new("pages");
    let server = world.serve_once(paged);
    block_on(async {
        let mut subscription = Subscription::new(world.connector(), Subscribe::default());
        let (mut model, mut seen) = (Model::default(), Vec::new());
        while seen.len() < 5 {
            match subscription.next().await.unwrap() {
                Update::Subscribed(data) => drop(model.subscribed(&data)),
                Update::Frame(line) => drop(model.apply(&line).unwrap()),
                Update::Disconnected => panic!("it was cut off: {seen:?}"),
            }
            assert_eq!(model.missing(), None, "{seen:?}");
            seen.push(names(&model));
        }
        assert_eq!(seen, ["ab", "abc", "de", "def", "defg"]);
    });
    server.join().unwrap();

    let server = world.serve_once(paged);
    let mut subscription = crate::subscription::Subscription::new(world.connector(), Subscribe::default());
    let (mut model, mut seen) = (Model::default(), Vec::new());
    let deadline = std::time::Instant::now() + Duration::from_secs(20);
    while seen.len() < 5 {
        match subscription.next(Some(deadline)).unwrap().expect("it is late") {
            Update::Subscribed(data) => drop(model.subscribed(&data)),
            Update::Frame(line) => drop(model.apply(&line).unwrap()),
            Update::Disconnected => panic!("it was cut off: {seen:?}"),
        }
        seen.push(names(&model));
    }
    assert_eq!(seen, ["ab", "abc", "de", "def", "defg"]);
    drop(subscription);
    server.join().unwrap();
}

#[test]
fn a_start_is_waited_for_while_pings_are_answered_and_no_longer() {
    let world = World::new("patience");
    let answers = std::sync::atomic::AtomicBool::new(true);
    let server = world.serve_once(move |request| match request["type"].as_str() {
        Some("ping") if answers.swap(false, std::sync::atomic::Ordering::Relaxed) => {
            vec![json!({"pong": true, "uptime_ms": 1})]
        }
        _ => vec![json!({"event": "worker_ready", "seq": 1})],
    });
    block_on(async {
        let client = Client::connect(world.connector()).await.unwrap();
        let (begun, other) = (std::time::Instant::now(), client.clone());
        let (start, reload) =
            ::tokio::join!(client.ask(Start::default()), other.call(Reload, Duration::from_secs(8)),);
        assert!(matches!(start, Err(Error::Stalled { request, .. }) if request == "start"));
        assert!(begun.elapsed() >= Duration::from_secs(20), "two pings, the second one for ten seconds");
        assert!(matches!(reload, Err(Error::Timeout { request, .. }) if request == "reload"));
    });
    server.join().unwrap();
}
