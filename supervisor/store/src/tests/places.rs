//! Files that stand in the store's place, and the rights of its files.

use super::*;
use std::fs;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, symlink};

fn refused(dir: &Path, words: &str) {
    let mut rig = Rig::new(dir);
    rig.record(run("web", begun(1)));
    let said = rig.ask(Question::Stats { name: worker("web") }).unwrap_err().to_string();
    assert!(said.contains(words), "{said}");
    let health = rig.handle.health();
    assert_eq!((health.condition, health.dropped, health.waiting), (Condition::Failed, 1, 0));
    assert_eq!(health.reason, Some(said));
    rig.finish();
}

#[test]
fn a_link_is_not_followed_and_nothing_else_is_touched() {
    let (dir, other) = (dir(), dir());
    let target = other.path().join("target");
    for suffix in ["", "-wal", "-shm", "-journal"] {
        let path = dir.path().join(format!("{FILE}{suffix}"));
        for exists in [false, true] {
            if exists {
                fs::write(&target, "mine").unwrap();
            }
            symlink(&target, &path).unwrap();
            refused(dir.path(), "is a symbolic link, not gob's history; it was not touched");
            assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);
            assert_eq!(target.exists(), exists);
            fs::remove_file(&path).unwrap();
        }
        assert_eq!(fs::read_to_string(&target).unwrap(), "mine");
        fs::remove_file(&target).unwrap();
    }
}

#[test]
fn other_things_in_its_place_are_refused() {
    let dir = dir();
    let path = file(dir.path());
    fs::create_dir(&path).unwrap();
    refused(dir.path(), "is a directory");
    fs::remove_dir(&path).unwrap();
    nix::unistd::mkfifo(&path, nix::sys::stat::Mode::S_IRWXU).unwrap();
    refused(dir.path(), "is a named pipe");
    fs::remove_file(&path).unwrap();
    Rig::new(dir.path()).reserve(1);
    fs::hard_link(&path, dir.path().join("second")).unwrap();
    refused(dir.path(), "has 2 names (hard links)");
}

#[test]
fn a_file_of_another_user_is_refused() {
    if !is_root("only root can make a file of another user") {
        return;
    }
    let dir = dir();
    let mut rig = Rig::new(dir.path());
    rig.reserve(1);
    rig.finish();
    std::os::unix::fs::chown(file(dir.path()), Some(65534), None).unwrap();
    refused(dir.path(), "belongs to uid 65534, not to you (uid 0)");
    assert_eq!(fs::metadata(file(dir.path())).unwrap().uid(), 65534);
}

#[test]
fn a_directory_that_is_a_link_is_followed() {
    let dir = dir();
    fs::create_dir(dir.path().join("real")).unwrap();
    symlink("real", dir.path().join("link")).unwrap();
    assert_eq!(Rig::new(&dir.path().join("link")).reserve(1), 1);
    assert!(file(&dir.path().join("real")).exists());
}

#[test]
fn every_file_is_private_whatever_the_umask_is() {
    let test = "tests::places::every_file_is_private_whatever_the_umask_is";
    if !alone(test, "umask 000; exec \"$@\"") {
        return;
    }
    let dir = dir();
    fs::write(file(dir.path()), "damaged").unwrap();
    let db = rusqlite::Connection::open(dir.path().join("store.sqlite3-wal")).unwrap();
    drop(db);
    let mut rig = Rig::new(dir.path());
    rig.record(run("web", begun(1)));
    assert_eq!(rig.runs("web").len(), 1);
    let modes = || {
        let entries = fs::read_dir(dir.path()).unwrap().map(Result::unwrap);
        let mode = |entry: &fs::DirEntry| entry.metadata().unwrap().permissions().mode() & 0o777;
        entries.map(|entry| (entry.file_name(), mode(&entry))).collect::<Vec<_>>()
    };
    assert!(modes().len() >= 4, "{:?}", modes());
    assert!(modes().iter().all(|(_, mode)| *mode == 0o600), "{:?}", modes());
    rig.finish();
    // Rights that someone gave are taken back.
    fs::set_permissions(file(dir.path()), fs::Permissions::from_mode(0o644)).unwrap();
    Rig::new(dir.path()).reserve(1);
    assert!(modes().iter().all(|(_, mode)| *mode == 0o600), "{:?}", modes());
}
