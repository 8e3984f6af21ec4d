//! The graph's files are deleted, replaced, moved or linked while a worker serves them: no write is acknowledged that
//! a reader of the path would not find, and the worker ends and says why.

use crate::harness::Place;
use serde_json::{Value, json};
use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

fn beside(file: &Path, suffix: &str) -> PathBuf {
    PathBuf::from(format!("{}{suffix}", file.display()))
}

/// Has a worker acknowledge a write, does `harm` to its files, and checks that the next one is refused.
fn after(harm: impl Fn(&Path)) -> (Place, String) {
    let place = Place::new();
    let worker = place.start();
    let mut client = worker.client();
    client.data("put", &json!({"nodes": [{"id": "before"}]}));
    let file = place.graph_file();
    harm(&file);
    let error = client.error("put", &json!({"nodes": [{"id": "after"}]}));
    assert_eq!(error["code"], "graph-gone", "{error}");
    assert!(error["hint"].as_str().unwrap().contains("put the file back"), "{error}");
    let (status, said) = worker.end();
    assert_eq!(status.code(), Some(1), "{said}");
    let last = said.lines().last().unwrap().to_owned();
    assert!(last.contains("graph-gone") && last.contains("graphs/demo/graph.sqlite"), "{said}");
    (place, last)
}

fn ids(place: &Place) -> Value {
    let worker = place.start();
    worker.client().data("query", &json!({"sql": "SELECT id FROM nodes ORDER BY id"}))["rows"].clone()
}

#[test]
fn a_write_after_the_file_was_deleted_is_refused_and_the_worker_ends() {
    let (_place, last) = after(|file| fs::remove_file(file).unwrap());
    assert!(last.contains("it is gone"), "{last}");
}

#[test]
fn a_write_after_the_directory_was_deleted_or_moved_away_is_refused() {
    after(|file| fs::remove_dir_all(file.parent().unwrap()).unwrap());
    let aside = |file: &Path| file.parent().unwrap().with_file_name("aside");
    let (place, _) = after(|file| fs::rename(file.parent().unwrap(), aside(file)).unwrap());
    let directory = place.graph_file().parent().unwrap().to_owned();
    fs::rename(aside(&place.graph_file()), directory).unwrap();
    assert!(ids(&place).as_array().unwrap().contains(&json!(["before"])));
}

#[test]
fn a_write_after_a_backup_took_the_place_of_the_file_is_refused_and_the_backup_is_left_alone() {
    let backup = Place::new();
    let worker = backup.start();
    worker.client().data("put", &json!({"nodes": [{"id": "from the backup"}]}));
    assert!(worker.stop().success());
    let bytes = fs::read(backup.graph_file()).unwrap();
    let (place, last) = after(|file| {
        for suffix in ["-wal", "-shm"] {
            fs::remove_file(beside(file, suffix)).unwrap();
        }
        let new = beside(file, ".restored");
        fs::write(&new, &bytes).unwrap();
        fs::rename(&new, file).unwrap();
        fs::write(beside(file, "-wal"), "").unwrap();
    });
    assert!(last.contains("replaced by another file"), "{last}");
    assert_eq!(fs::read(place.graph_file()).unwrap(), bytes);
    assert!(beside(&place.graph_file(), "-wal").exists(), "the log of another graph is not deleted");
    assert_eq!(ids(&place), json!([["from the backup"]]));
}

#[test]
fn a_write_after_the_log_was_deleted_is_refused_and_what_was_acknowledged_is_kept() {
    for suffix in ["-wal", "-shm"] {
        let (place, _) = after(|file| fs::remove_file(beside(file, suffix)).unwrap());
        assert!(ids(&place).as_array().unwrap().contains(&json!(["before"])), "{suffix}");
    }
}

#[test]
fn a_write_after_the_log_was_replaced_is_refused_and_the_new_one_is_left_alone() {
    let (place, last) = after(|file| {
        fs::remove_file(beside(file, "-wal")).unwrap();
        fs::write(beside(file, "-wal"), "another").unwrap();
    });
    assert!(last.contains("replaced by another file"), "{last}");
    assert_eq!(fs::read(beside(&place.graph_file(), "-wal")).unwrap(), b"another");
}

#[test]
fn a_write_after_the_file_was_linked_or_a_link_took_its_place_is_refused() {
    let (_place, last) = after(|file| fs::hard_link(file, beside(file, ".other")).unwrap());
    assert!(last.contains("2 names"), "{last}");
    let (_place, last) = after(|file| {
        fs::rename(file, beside(file, ".other")).unwrap();
        symlink(beside(file, ".other"), file).unwrap();
    });
    assert!(last.contains("a symbolic link"), "{last}");
}

#[test]
fn an_import_and_a_deletion_are_refused_like_a_put() {
    for request in ["import_end", "delete"] {
        let place = Place::new();
        let worker = place.start();
        let mut client = worker.client();
        client.data("import_begin", &json!({}));
        client.data("import_lines", &json!({"lines": [{"node": {"id": "a"}}]}));
        fs::rename(place.graph_file(), place.path().join("away")).unwrap();
        let payload = if request == "delete" { json!({"nodes": ["a"]}) } else { json!({}) };
        assert_eq!(client.error(request, &payload)["code"], "graph-gone", "{request}");
        assert_eq!(worker.end().0.code(), Some(1));
    }
}

#[test]
fn a_stop_after_the_file_went_tells_it_and_deletes_no_log() {
    let place = Place::new();
    let worker = place.start();
    worker.client().data("put", &json!({"nodes": [{"id": "a"}]}));
    fs::rename(place.graph_file(), place.path().join("away")).unwrap();
    worker.terminate();
    let (status, said) = worker.end();
    assert_eq!(status.code(), Some(1), "{said}");
    assert!(beside(&place.graph_file(), "-wal").exists());
    fs::rename(place.path().join("away"), place.graph_file()).unwrap();
    assert_eq!(ids(&place), json!([["a"]]));
}
