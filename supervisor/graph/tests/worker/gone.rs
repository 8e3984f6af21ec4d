//! The graph's files are deleted, replaced, overwritten, moved or linked while a worker serves them: no write is acknowledged that
//! a reader of the path would not find, and the worker ends and says why.

use crate::harness::Place;
use serde_json::{Value, json};
use std::fs;
use std::io::Read as _;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

fn beside(file: &Path, suffix: &str) -> PathBuf {
    PathBuf::from(format!("{}{suffix}", file.display()))
}

/// Lets a worker acknowledge a write, does `harm` to its files, and checks that the next write is refused.
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
fn a_file_that_was_moved_away_for_a_backup_has_all_that_was_acknowledged() {
    let bytes = backup();
    let moved = |file: &Path| beside(file, ".moved");
    let put_backup = |file: &Path| {
        fs::rename(file, moved(file)).unwrap();
        fs::write(beside(file, ".restored"), &bytes).unwrap();
        fs::rename(beside(file, ".restored"), file).unwrap();
    };
    let (place, _) = after(put_backup);
    assert_eq!(ids(&place), json!([["from the backup"]]), "the backup gets no log of another file");
    let file = place.graph_file();
    fs::rename(moved(&file), &file).unwrap();
    assert!(ids(&place).as_array().unwrap().contains(&json!(["before"])));

    // Another program has it open where it is now: its log is not ours.
    let place = Place::new();
    let worker = place.start();
    let mut client = worker.client();
    client.data("put", &json!({"nodes": [{"id": "before"}]}));
    let file = place.graph_file();
    put_backup(&file);
    let mut shell = open_elsewhere(&moved(&file));
    client.error("put", &json!({"nodes": []}));
    let (_, said) = worker.end();
    shell.kill().unwrap();
    shell.wait().unwrap();
    assert!(said.contains("graph.sqlite-wal-of-"), "{said}");
}

/// Starts a process that has a database open for reading until it is killed.
fn open_elsewhere(path: &Path) -> std::process::Child {
    let script = "import sqlite3, sys, time\n\
                  db = sqlite3.connect(sys.argv[1])\n\
                  db.execute('BEGIN')\n\
                  db.execute('SELECT count(*) FROM sqlite_master').fetchone()\n\
                  print(flush=True)\n\
                  time.sleep(1000)\n";
    let mut command = std::process::Command::new("python3");
    command.args(["-c", script]).arg(path).stdout(std::process::Stdio::piped());
    let mut shell = command.spawn().unwrap();
    shell.stdout.as_mut().unwrap().read_exact(&mut [0]).unwrap();
    shell
}

#[test]
fn a_write_after_the_log_was_deleted_is_refused_and_acknowledged_ones_are_kept() {
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

/// Returns the bytes of a graph with one node.
fn backup() -> Vec<u8> {
    let place = Place::new();
    let worker = place.start();
    worker.client().data("put", &json!({"nodes": [{"id": "from the backup"}]}));
    assert!(worker.stop().success());
    fs::read(place.graph_file()).unwrap()
}

#[test]
fn a_write_after_a_backup_was_copied_over_the_file_is_refused_and_the_backup_is_left_alone() {
    let bytes = backup();
    for request in ["put", "delete", "import_end"] {
        let place = Place::new();
        let worker = place.start();
        let mut client = worker.client();
        client.data("put", &json!({"nodes": [{"id": "before"}]}));
        client.data("import_begin", &json!({}));
        fs::write(place.graph_file(), &bytes).unwrap();
        let payload = if request == "import_end" { json!({}) } else { json!({"nodes": []}) };
        let error = client.error(request, &payload);
        assert_eq!(error["code"], "graph-gone", "{error}");
        assert!(error["message"].as_str().unwrap().contains("overwritten in place"), "{error}");
        let (status, said) = worker.end();
        assert_eq!(status.code(), Some(1), "{said}");
        assert!(said.contains("graph.sqlite-wal-of-"), "{said}");
        assert!(said.lines().last().unwrap().contains("graph-gone"), "{said}");
        assert_eq!(fs::read(place.graph_file()).unwrap(), bytes);
        assert_eq!(
            ids(&place),
            json!([["from the backup"]]),
            "the log of what was there is not merged into it"
        );
    }
}

#[test]
fn a_stop_after_a_backup_was_copied_over_the_file_tells_it_and_merges_nothing() {
    let (bytes, place) = (backup(), Place::new());
    let worker = place.start();
    worker.client().data("put", &json!({"nodes": [{"id": "before"}]}));
    fs::write(place.graph_file(), &bytes).unwrap();
    worker.terminate();
    let (status, said) = worker.end();
    assert_eq!(status.code(), Some(1), "{said}");
    assert_eq!(fs::read(place.graph_file()).unwrap(), bytes);
    assert_eq!(ids(&place), json!([["from the backup"]]));
}

#[test]
fn a_backup_moved_over_the_file_does_not_get_the_old_log() {
    let bytes = backup();
    let (place, _) = after(|file| {
        fs::write(beside(file, ".restored"), &bytes).unwrap();
        fs::rename(beside(file, ".restored"), file).unwrap();
    });
    assert_eq!(ids(&place), json!([["from the backup"]]));
}

#[test]
fn a_write_after_the_log_was_overwritten_is_refused() {
    let place = Place::new();
    let worker = place.start();
    let mut client = worker.client();
    client.data("put", &json!({"nodes": [{"id": "before"}]}));
    fs::write(beside(&place.graph_file(), "-wal"), "").unwrap();
    let error = client.error("put", &json!({"nodes": [{"id": "after"}]}));
    assert_eq!(error["code"], "graph-gone", "{error}");
    assert_eq!(worker.end().0.code(), Some(1));
}

#[test]
fn writes_and_merges_of_the_worker_and_of_other_programs_by_sqlite_are_no_harm() {
    let place = Place::new();
    let worker = place.start();
    let mut client = worker.client();
    let other = rusqlite::Connection::open(place.graph_file()).unwrap();
    let text = "x".repeat(200_000);
    for round in 0..40 {
        // A log of 1000 pages is merged now and then.
        client.data("put", &json!({"nodes": [{"id": format!("n{round}"), "properties": {"text": text}}]}));
        match round % 4 {
            0 => other.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(())).unwrap(),
            1 => other.execute_batch("UPDATE node SET label = 'other' WHERE id = 'n0'").unwrap(),
            2 => {
                other.query_row("PRAGMA wal_checkpoint(FULL)", [], |_| Ok(())).unwrap();
                other.execute_batch("UPDATE node SET label = 'another' WHERE id = 'n0'").unwrap();
            }
            _ => {}
        }
    }
    assert!(worker.stop().success());
    assert_eq!(ids(&place).as_array().unwrap().len(), 40);
}

#[test]
fn a_long_log_is_merged_while_the_worker_serves() {
    let place = Place::new();
    let worker = place.start();
    let mut client = worker.client();
    let text = "x".repeat(200_000);
    let log = beside(&place.graph_file(), "-wal");
    for round in 0..100 {
        client.data("put", &json!({"nodes": [{"id": format!("n{round}"), "properties": {"text": text}}]}));
        assert!(fs::metadata(&log).unwrap().len() < 6 << 20, "round {round}");
    }
    assert!(fs::metadata(place.graph_file()).unwrap().len() > 10 << 20);
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
