//! The read-only door.

use super::*;
use crate::files::COMPANIONS;
use crate::{Reader, Supervisor};
use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::fs;
use std::os::unix::ffi::OsStrExt as _;

/// Every file of a directory with its content.
fn contents(dir: &Path) -> BTreeMap<OsString, Vec<u8>> {
    let entries = fs::read_dir(dir).unwrap().map(Result::unwrap);
    entries.map(|entry| (entry.file_name(), fs::read(entry.path()).unwrap())).collect()
}

/// Copies the files of an open store, as they are when its supervisor is killed.
fn killed(from: &Path, to: &Path, suffixes: &[&str]) {
    for suffix in suffixes {
        fs::copy(from.join(format!("{FILE}{suffix}")), to.join(format!("{FILE}{suffix}"))).unwrap();
    }
}

fn read(dir: &Path, supervisor: Supervisor) -> Vec<RunRecord> {
    let reader = Reader::open(dir, supervisor).unwrap();
    reader.runs(&worker("web"), None, 9).unwrap().items
}

#[test]
fn without_a_store_there_is_an_error_and_no_file() {
    let dir = dir();
    let error = Reader::open(dir.path(), Supervisor::Gone).unwrap_err();
    assert!(matches!(&error, StoreError::Missing(_)), "{error}");
    assert_eq!(contents(dir.path()), BTreeMap::new());
    assert!(Reader::open(&dir.path().join("none"), Supervisor::Gone).is_err());
}

#[test]
fn everything_is_read_and_nothing_made() {
    let dir = dir();
    let dir = dir.path().join(OsStr::from_bytes(b"a b?\xff#%41"));
    fs::create_dir(&dir).unwrap();
    let rig = Rig::new(&dir);
    rig.record(defined(definition("web", None)));
    rig.record(run("web", ended(1, 10, 0)));
    rig.record(run("web", begun(2)));
    rig.record(changed(entry(5, "web", EventKind::WorkerStarted)));
    rig.finish();
    let before = contents(&dir);
    let reader = Reader::open(&dir, Supervisor::Gone).unwrap();
    let runs = reader.runs(&worker("web"), None, 9).unwrap();
    assert_eq!(runs.items.iter().map(|run| (run.run, run.cut)).collect::<Vec<_>>(), [(2, true), (1, false)]);
    assert_eq!(reader.stats(&worker("web")).unwrap().runs, 2);
    assert_eq!(reader.blame(&worker("web"), None, 9).unwrap().entries.len(), 1);
    assert_eq!(reader.since(&at_first(4), 9).unwrap().entries.len(), 1);
    let found = reader.definitions(None, 9).unwrap();
    assert_eq!(found.known[0].definition, definition("web", None));
    assert!(found.known[0].last.as_ref().unwrap().cut);
    assert!(!read(&dir, Supervisor::Lives)[0].cut, "it may be under way");
    drop(reader);
    assert_eq!(contents(&dir), before);
    assert_eq!(before.len(), 1);
}

#[test]
fn the_log_of_a_living_supervisor_is_read_too() {
    let dir = dir();
    let mut rig = Rig::new(dir.path());
    for number in 1..=3 {
        rig.record(run("web", ended(number, 10, 0)));
        assert_eq!(rig.runs("web"), read(dir.path(), Supervisor::Lives));
    }
    assert_eq!(contents(dir.path()).len(), 3);
}

#[test]
fn the_log_of_a_killed_supervisor_is_read_and_left_as_it_is() {
    let (dir, copy) = (dir(), dir());
    let mut rig = Rig::new(dir.path());
    rig.record(run("web", begun(1)));
    assert_eq!(rig.runs("web").len(), 1);
    let [log, index] = COMPANIONS;
    killed(dir.path(), copy.path(), &["", log, index]);
    let before = contents(copy.path());
    let runs = read(copy.path(), Supervisor::Gone);
    assert_eq!((runs.len(), runs[0].cut), (1, true));
    assert_eq!(contents(copy.path()), before);
    // The next supervisor merges it.
    let mut rig = Rig::with(copy.path(), |settings| settings.instance = "second".to_owned());
    assert!(rig.runs("web")[0].cut);
}

#[test]
fn a_log_without_its_index_is_left_to_the_supervisor() {
    let (dir, copy) = (dir(), dir());
    let mut rig = Rig::new(dir.path());
    rig.record(run("web", ended(1, 1, 0)));
    assert_eq!(rig.runs("web").len(), 1);
    killed(dir.path(), copy.path(), &["", COMPANIONS[0]]);
    let before = contents(copy.path());
    let error = Reader::open(copy.path(), Supervisor::Gone).unwrap_err();
    assert!(error.to_string().contains("gobctl ping starts the supervisor"), "{error}");
    assert_eq!(contents(copy.path()), before);
    assert_eq!(Rig::new(copy.path()).runs("web").len(), 1);
    fs::write(copy.path().join("store.sqlite3-journal"), "not empty").unwrap();
    assert!(matches!(Reader::open(copy.path(), Supervisor::Gone), Err(StoreError::Unmerged(_))));
}

#[test]
fn what_is_no_store_is_named() {
    let dir = dir();
    let said = || Reader::open(dir.path(), Supervisor::Gone).unwrap_err().to_string();
    for content in ["", "text", "SQLite format 3\0 and no more"] {
        fs::write(file(dir.path()), content).unwrap();
        assert!(said().contains("does not begin as a database does"), "{}", said());
    }
    fs::remove_file(file(dir.path())).unwrap();
    sqlite(dir.path()).execute_batch("CREATE TABLE mine(x)").unwrap();
    assert!(said().contains("is a database of another program"), "{}", said());
    fs::remove_file(file(dir.path())).unwrap();
    std::os::unix::fs::symlink("/dev/null", file(dir.path())).unwrap();
    assert!(said().contains("is a symbolic link"), "{}", said());
}
