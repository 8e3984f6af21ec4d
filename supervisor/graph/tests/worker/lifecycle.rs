//! Start, handshake, lock, socket, stop, and files that are no graphs.

use crate::harness::Place;
use nix::sys::inotify::{AddWatchFlags, InitFlags, Inotify};
use nix::sys::signal::Signal;
use serde_json::json;
use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::os::unix::net::UnixListener;
use std::path::Path;

fn mode(path: &Path) -> u32 {
    fs::symlink_metadata(path).unwrap().mode() & 0o777
}

/// Waits until a path exists, woken by changes of its directory.
fn wait_for(path: &Path) {
    let watch = Inotify::init(InitFlags::IN_CLOEXEC).unwrap();
    watch.add_watch(path.parent().unwrap(), AddWatchFlags::IN_CREATE | AddWatchFlags::IN_MOVED_TO).unwrap();
    while !path.exists() {
        watch.read_events().unwrap();
    }
}

#[test]
fn the_handshake_tells_the_truth_and_everything_is_private() {
    let place = Place::new();
    let worker = place.start();
    let said = &worker.handshake;
    assert_eq!(said["pid"], worker.pid());
    assert_eq!(said["version"], env!("CARGO_PKG_VERSION"));
    assert_eq!(said["endpoint"], format!("unix:{}", place.socket().display()));
    let target = json!({"graph": "demo", "path": place.graph_file().to_str().unwrap()});
    assert_eq!(said["target"], target);
    worker.client().data("put", &json!({"nodes": [{"id": "a"}]}));
    assert_eq!(mode(&place.socket()), 0o600);
    for dir in [place.socket(), place.graph_file()] {
        assert_eq!(mode(dir.parent().unwrap()), 0o700);
    }
    for file in fs::read_dir(place.graph_file().parent().unwrap()).unwrap() {
        assert_eq!(mode(&file.unwrap().path()), 0o600);
    }
    assert!(worker.stop().success());
    assert!(!place.socket().exists());
    assert!(!place.graph_file().with_extension("sqlite-wal").exists());
}

#[test]
fn a_second_worker_is_refused_and_told_who_holds_the_graph() {
    let place = Place::new();
    let worker = place.start();
    let failed = place.try_start(&place.path().join("run/other.sock")).unwrap_err();
    assert_eq!(failed.status.code(), Some(1));
    assert_eq!(failed.handshake["ready"], false);
    let said = failed.handshake["error"].as_str().unwrap();
    assert!(said.contains(&format!("process {}", worker.pid())), "{said}");
    assert!(failed.stderr.contains("already served"), "{}", failed.stderr);
    assert!(!place.path().join("run/other.sock").exists());
    assert_eq!(worker.client().data("ping", &json!({}))["pong"], true);
    worker.kill();
    place.start();
}

#[test]
fn a_stale_socket_is_replaced_a_live_one_is_not() {
    let place = Place::new();
    place.start().kill();
    assert!(place.socket().exists());
    let worker = place.start();
    worker.client().data("ping", &json!({}));
    drop(worker);
    fs::remove_file(place.socket()).unwrap();
    let foreign = UnixListener::bind(place.socket()).unwrap();
    let failed = place.try_start(&place.socket()).unwrap_err();
    assert!(failed.handshake["error"].as_str().unwrap().contains("already answers"));
    drop(foreign);
    fs::remove_file(place.socket()).unwrap();
    fs::write(place.socket(), "mine").unwrap();
    let failed = place.try_start(&place.socket()).unwrap_err();
    assert!(failed.handshake["error"].as_str().unwrap().contains("not a socket"));
    assert_eq!(fs::read(place.socket()).unwrap(), b"mine");
}

#[test]
fn a_socket_path_may_be_longer_than_an_address() {
    let place = Place::new();
    let directory = place.path().join("d".repeat(150));
    let worker = place.try_start(&directory.join("demo.sock")).unwrap_or_else(|failed| panic!("{failed:?}"));
    let short = place.path().join("short");
    std::os::unix::fs::symlink(&directory, &short).unwrap();
    let mut client = crate::harness::Client::connect(&short.join("demo.sock"));
    client.data("ping", &json!({}));
    drop(worker);
}

#[test]
fn the_socket_comes_back_after_its_directory_went() {
    let place = Place::new();
    let worker = place.start();
    let mut before = worker.client();
    for _ in 0..3 {
        fs::remove_dir_all(place.socket().parent().unwrap()).unwrap();
        wait_for(place.socket().parent().unwrap());
        wait_for(&place.socket());
        assert_eq!(mode(place.socket().parent().unwrap()), 0o700);
        assert_eq!(mode(&place.socket()), 0o600);
        worker.client().data("ping", &json!({}));
        before.data("ping", &json!({}));
    }
    assert!(worker.stop().success());
    assert!(!place.socket().exists());
}

#[test]
fn under_gob_it_watches_nothing_and_publishes_again_when_it_is_told() {
    let place = Place::new();
    let worker = place.start_under_gob();
    assert!(!worker.has_inotify());
    for _ in 0..3 {
        fs::remove_dir_all(worker.socket.parent().unwrap()).unwrap();
        worker.signal(Signal::SIGURG);
        wait_for(worker.socket.parent().unwrap());
        wait_for(&worker.socket);
        worker.client().data("ping", &json!({}));
    }
    let socket = worker.socket.clone();
    assert!(worker.stop().success());
    assert!(!socket.exists());
    assert!(place.start().has_inotify(), "nobody tells one that is by itself");
}

#[test]
fn a_socket_that_is_not_its_own_any_more_is_left() {
    let place = Place::new();
    let worker = place.start();
    let other = place.path().join("other.sock");
    let foreign = UnixListener::bind(&other).unwrap();
    fs::rename(&other, place.socket()).unwrap();
    let inode = fs::metadata(place.socket()).unwrap().ino();
    assert!(worker.stop().success());
    assert_eq!(fs::metadata(place.socket()).unwrap().ino(), inode);
    drop(foreign);
}

#[test]
fn a_stop_lets_the_running_request_finish() {
    let place = Place::new();
    let worker = place.start();
    let mut client = worker.client();
    client.data("import_begin", &json!({}));
    let lines: Vec<_> = (0..5000).map(|n| json!({"node": {"id": format!("n{n}"), "label": "L"}})).collect();
    client.data("import_lines", &json!({"lines": lines}));
    let id = client.send("import_end", &json!({}));
    // The first report of progress shows that the import runs.
    assert_eq!(client.read()["event"], "import_progress");
    worker.terminate();
    let answer = loop {
        let frame = client.read();
        if frame.get("event").is_none() {
            break frame;
        }
    };
    assert_eq!(answer, json!({"id": id, "success": true, "data": {"nodes": 5000, "edges": 0}}));
    assert!(client.read().is_null());
    assert!(worker.stop().success());
    assert_eq!(place.start().client().counts(), (5000, 0));
}

#[test]
fn clients_that_do_not_read_do_not_hold_up_the_stop() {
    let place = Place::new();
    let worker = place.start();
    let text = "x".repeat(200_000);
    let nodes: Vec<_> = (0..4).map(|n| json!({"id": format!("n{n}"), "properties": {"t": text}})).collect();
    worker.client().data("put", &json!({"nodes": nodes}));
    let mut deaf: Vec<_> = (0..3).map(|_| worker.client()).collect();
    for client in &mut deaf {
        client.send("get", &json!({"ids": ["n0", "n1", "n2", "n3"]}));
    }
    let began = std::time::Instant::now();
    assert!(worker.stop().success());
    assert!(began.elapsed().as_secs() < 5, "{:?}", began.elapsed());
    assert!(!place.graph_file().with_extension("sqlite-wal").exists());
}

#[test]
fn the_command_line_explains_itself() {
    let said = |args: &[&str]| {
        let out =
            std::process::Command::new(env!("CARGO_BIN_EXE_gob-graph-worker")).args(args).output().unwrap();
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
        (out.status.code().unwrap(), text(out.stdout), text(out.stderr))
    };
    let (code, out, _) = said(&["--help"]);
    assert!(code == 0 && out.contains("Usage:"), "{out}");
    assert_eq!(said(&["--version"]).1, gob_protocol::build::version_of("gob-graph-worker") + "\n");
    let (code, out, err) = said(&["--graph", "j12", "--root-dir", "/nowhere", "--socket", "/nowhere/s"]);
    assert!(code == 2 && err.starts_with("error: "), "{err}");
    let handshake: serde_json::Value = serde_json::from_str(&out).unwrap();
    assert_eq!(handshake["ready"], false);
}

#[test]
fn files_that_are_no_graphs_are_refused_clearly() {
    let place = Place::new();
    let refused = |text: &str| {
        let failed = place.try_start(&place.socket()).unwrap_err();
        assert_eq!(failed.status.code(), Some(1));
        let said = failed.handshake["error"].as_str().unwrap().to_owned();
        assert!(said.contains(text) && said.contains("graph.sqlite"), "{said}");
    };
    let file = place.graph_file();
    fs::create_dir_all(file.parent().unwrap()).unwrap();
    fs::write(&file, "x".repeat(5000)).unwrap();
    refused("damaged");
    assert_eq!(fs::read(&file).unwrap().len(), 5000);
    fs::remove_file(&file).unwrap();

    assert!(place.start().stop().success());
    let db = rusqlite::Connection::open(&file).unwrap();
    db.execute_batch("PRAGMA user_version=1000").unwrap();
    drop(db);
    refused("version 1000");

    fs::remove_file(&file).unwrap();
    let db = rusqlite::Connection::open(&file).unwrap();
    db.execute_batch("CREATE TABLE theirs(x)").unwrap();
    drop(db);
    refused("not a graph of gob");

    fs::remove_file(&file).unwrap();
    fs::create_dir(&file).unwrap();
    refused("a directory");
}

#[test]
fn a_damaged_page_is_named_when_it_is_met() {
    let place = Place::new();
    let worker = place.start();
    let nodes: Vec<_> = (0..2000).map(|i| json!({"id": format!("n{i}"), "label": "L"})).collect();
    worker.client().data("put", &json!({"nodes": nodes}));
    assert!(worker.stop().success());
    let mut bytes = fs::read(place.graph_file()).unwrap();
    bytes[8192..].fill(0x5a);
    fs::write(place.graph_file(), bytes).unwrap();
    match place.try_start(&place.socket()) {
        Ok(worker) => {
            let error = worker.client().error("stats", &json!({}));
            assert_eq!(error["code"], "internal");
            assert!(error["message"].as_str().unwrap().contains("damaged"), "{error}");
        }
        Err(failed) => assert!(failed.stderr.contains("damaged"), "{failed:?}"),
    }
}

#[test]
fn a_directory_that_cannot_be_made_is_named() {
    let place = Place::new();
    fs::write(place.path().join("graphs"), "a file").unwrap();
    let failed = place.try_start(&place.socket()).unwrap_err();
    let said = failed.handshake["error"].as_str().unwrap();
    assert!(said.contains("cannot make") && said.contains("graphs/demo"), "{said}");
}
