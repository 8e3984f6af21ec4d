//! Files that stand in the place of a graph's before a worker starts: each is refused and not touched.

use crate::harness::Place;
use std::fs::{self, Permissions};
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, symlink};
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};

const NAMES: [&str; 5] =
    ["graph.sqlite", "graph.sqlite-wal", "graph.sqlite-shm", "graph.sqlite-journal", "worker.lock"];

/// Makes a graph with a node in it, and moves one of its files away.
fn without(name: &str) -> (Place, PathBuf) {
    let place = Place::new();
    assert!(place.start().stop().success());
    let path = place.graph_file().with_file_name(name);
    if path.exists() {
        fs::remove_file(&path).unwrap();
    }
    (place, path)
}

fn refused(place: &Place, path: &Path, text: &str) -> String {
    let failed = place.try_start(&place.socket()).unwrap_err();
    assert_eq!(failed.status.code(), Some(1), "{failed:?}");
    let said = failed.handshake["error"].as_str().unwrap();
    assert!(said.contains(text) && said.contains(path.to_str().unwrap()), "{said}");
    said.to_owned()
}

#[test]
fn only_a_file_in_the_place_of_the_graph_is_told_to_be_deleted_with_it() {
    for name in NAMES {
        let (place, path) = without(name);
        fs::create_dir(&path).unwrap();
        let said = refused(&place, &path, "it was not touched: move it away");
        let can_begin_anew =
            said.contains("; or, to begin anew, which deletes what is there: gobctl graphs delete ");
        assert_eq!(can_begin_anew, name == "graph.sqlite", "{said}");
    }
}

#[test]
fn a_link_is_refused_and_its_target_keeps_mode_and_content() {
    for name in NAMES {
        let (place, path) = without(name);
        let target = place.path().join("target");
        fs::write(&target, "mine").unwrap();
        fs::set_permissions(&target, Permissions::from_mode(0o644)).unwrap();
        symlink(&target, &path).unwrap();
        refused(&place, &path, "a symbolic link");
        assert_eq!(fs::read(&target).unwrap(), b"mine", "{name}");
        assert_eq!(fs::metadata(&target).unwrap().mode() & 0o777, 0o644, "{name}");
        assert!(path.is_symlink());
    }
}

#[test]
fn a_link_to_nothing_makes_nothing() {
    for name in NAMES {
        let (place, path) = without(name);
        symlink(place.path().join("nothing"), &path).unwrap();
        refused(&place, &path, "a symbolic link");
        assert!(!place.path().join("nothing").exists(), "{name}");
    }
}

#[test]
fn a_hard_link_is_refused_and_keeps_mode_and_content() {
    for name in NAMES {
        let (place, path) = without(name);
        let target = place.path().join("target");
        fs::write(&target, "mine").unwrap();
        fs::set_permissions(&target, Permissions::from_mode(0o644)).unwrap();
        fs::hard_link(&target, &path).unwrap();
        refused(&place, &path, "2 names");
        assert_eq!(fs::read(&target).unwrap(), b"mine", "{name}");
        assert_eq!(fs::metadata(&target).unwrap().mode() & 0o777, 0o644, "{name}");
    }
}

#[test]
fn a_pipe_a_directory_and_a_socket_are_refused_at_once() {
    for name in NAMES {
        let (place, path) = without(name);
        nix::unistd::mkfifo(&path, nix::sys::stat::Mode::S_IRUSR).unwrap();
        refused(&place, &path, "a named pipe");
        assert_eq!(fs::metadata(&path).unwrap().mode() & 0o777, 0o400);
        fs::remove_file(&path).unwrap();
        fs::create_dir(&path).unwrap();
        refused(&place, &path, "a directory");
        fs::remove_dir(&path).unwrap();
        let listener = UnixListener::bind(&path).unwrap();
        refused(&place, &path, "a socket");
        drop(listener);
    }
}

#[test]
fn a_file_of_another_user_is_refused() {
    if !nix::unistd::geteuid().is_root() {
        let of = |name| std::env::var(name).unwrap_or_default();
        let allowed = of("GOB_TEST_ALLOW").split(',').any(|name| name == "root");
        assert!(allowed || of("GOB_TEST_REQUIRE") != "all", "only root can give files away");
        eprintln!("SKIPPED (root): only root can give files away");
        return;
    }
    for name in NAMES {
        let (place, path) = without(name);
        fs::write(&path, "mine").unwrap();
        fs::set_permissions(&path, Permissions::from_mode(0o666)).unwrap();
        std::os::unix::fs::chown(&path, Some(65534), Some(65534)).unwrap();
        refused(&place, &path, "belongs to user 65534");
        let found = fs::metadata(&path).unwrap();
        assert_eq!((found.uid(), found.mode() & 0o777), (65534, 0o666));
    }
    let place = Place::new();
    let directory = place.graph_file().parent().unwrap().to_owned();
    fs::create_dir_all(&directory).unwrap();
    std::os::unix::fs::chown(&directory, Some(65534), Some(65534)).unwrap();
    refused(&place, &directory, "belongs to user 65534");
    assert_eq!(fs::read_dir(&directory).unwrap().count(), 0);
}

#[test]
fn an_empty_file_is_no_new_graph() {
    let place = Place::new();
    assert!(place.start().stop().success());
    let file = place.graph_file();
    fs::OpenOptions::new().write(true).truncate(true).open(&file).unwrap();
    refused(&place, &file, "is empty (0 bytes)");
    assert_eq!(fs::metadata(&file).unwrap().len(), 0);
    fs::remove_file(&file).unwrap();
    assert_eq!(place.start().client().counts(), (0, 0));
}

#[test]
fn a_log_without_its_graph_is_no_new_graph() {
    let place = Place::new();
    let worker = place.start();
    worker.client().data("put", &serde_json::json!({"nodes": [{"id": "a"}]}));
    worker.kill();
    let (file, aside) = (place.graph_file(), place.path().join("aside"));
    fs::rename(&file, &aside).unwrap();
    refused(&place, &file, "graph.sqlite-wal is there");
    fs::rename(&aside, &file).unwrap();
    assert_eq!(place.start().client().counts(), (1, 0));
}

#[test]
fn a_file_that_is_no_graph_keeps_its_mode_and_its_log() {
    let (place, path) = without("graph.sqlite");
    let theirs = rusqlite::Connection::open(&path).unwrap();
    theirs.execute_batch("PRAGMA application_id=7; CREATE TABLE theirs(x)").unwrap();
    theirs.query_row("PRAGMA journal_mode=WAL", [], |_| Ok(())).unwrap();
    theirs.execute_batch("INSERT INTO theirs VALUES (1)").unwrap();
    let wal = place.graph_file().with_file_name("graph.sqlite-wal");
    let log = fs::read(&wal).unwrap();
    // A killed program leaves such files: the log is not merged.
    let (graph, kept) = (fs::read(&path).unwrap(), log.clone());
    drop(theirs);
    fs::write(&path, &graph).unwrap();
    fs::write(&wal, &kept).unwrap();
    fs::set_permissions(&path, Permissions::from_mode(0o644)).unwrap();
    refused(&place, &path, "not a graph of gob");
    assert_eq!(fs::metadata(&path).unwrap().mode() & 0o777, 0o644);
    assert!(fs::read(&path).unwrap() == graph && fs::read(&wal).unwrap() == log);
}

#[test]
fn a_graph_that_others_can_read_is_made_private() {
    let place = Place::new();
    assert!(place.start().stop().success());
    fs::set_permissions(place.graph_file(), Permissions::from_mode(0o644)).unwrap();
    let worker = place.start();
    worker.client().data("put", &serde_json::json!({"nodes": [{"id": "a"}]}));
    for file in fs::read_dir(place.graph_file().parent().unwrap()).unwrap() {
        assert_eq!(file.unwrap().metadata().unwrap().mode() & 0o777, 0o600);
    }
}

#[test]
fn a_graph_that_a_killed_worker_had_begun_is_begun_anew() {
    let place = Place::new();
    let file = place.graph_file();
    fs::create_dir_all(file.parent().unwrap()).unwrap();
    fs::write(file.with_file_name("graph.sqlite-new"), "half").unwrap();
    let worker = place.start();
    assert_eq!(worker.client().counts(), (0, 0));
    assert!(!file.with_file_name("graph.sqlite-new").exists());
}
