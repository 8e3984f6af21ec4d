//! The bad luck of the history's file while supervision goes on: deleted, damaged, of a later version, locked, read-only, on a
//! full disk (B9).

use crate::mcp::session::Session;
use gob_tests::require::{Need, skip};
use gob_tests::wait::{self, DEADLINE};
use gob_tests::{Ctl, Gob};
use rusqlite::Connection;
use serde_json::{Value, json};
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

/// The supervisor's patience with the store's disk; each of these tests holds the file for longer.
const PATIENCE: Duration = Duration::from_secs(3);

fn ctl<'a>(gob: &Gob, args: impl IntoIterator<Item = &'a str>) -> Ctl {
    let mut call = gob.ctl(args);
    call.cwd(gob.dir());
    call
}

fn store(gob: &Gob) -> PathBuf {
    gob.state_dir().join("store.sqlite3")
}

/// Runs a job twice, of which the history tells.
fn with_history(gob: &Gob) {
    for script in ["true", "exit 3"] {
        ctl(gob, ["-q", "run", "--name", "t", "--shell", script]).run();
    }
    assert_eq!(runs(gob, "t"), 2);
}

/// Returns how many runs the history has.
fn runs(gob: &Gob, name: &str) -> usize {
    ctl(gob, ["runs", name, "-n", "all", "--json"]).json()["runs"].as_array().unwrap().len()
}

fn state_of_history(gob: &Gob) -> String {
    gob.status()["history"]["state"].as_str().unwrap_or_default().to_owned()
}

/// Adds, runs and stops jobs, none of which waits for the history.
fn supervises(gob: &Gob, name: &str) {
    let begun = Instant::now();
    ctl(gob, ["-q", "run", "--name", name, "true", name]).ok();
    let long = format!("{name}-long");
    ctl(gob, ["add", "--name", &long, "sh", "-c", "sleep 1000", &long]).ok();
    ctl(gob, ["stop", &long]).ok();
    ctl(gob, ["list"]).ok();
    assert!(begun.elapsed() < PATIENCE, "{:?}", begun.elapsed());
}

/// Waits until `gobctl status` has a line of the history with this text, and returns it.
fn told_by_status(gob: &Gob, says: &str) -> String {
    let line = || {
        let status = ctl(gob, ["status"]).ok();
        status.lines().find(|line| line.trim_start().starts_with("history")).map(str::to_owned)
    };
    let found = wait::until(DEADLINE, || line().is_some_and(|line| line.contains(says)));
    assert!(found, "no {says:?} in {:?} of {}", line(), ctl(gob, ["status", "--json"]).ok());
    line().unwrap_or_default()
}

/// Returns the files beside the store whose names begin so.
fn beside(gob: &Gob, prefix: &str) -> Vec<PathBuf> {
    let entries = fs::read_dir(gob.state_dir()).unwrap().map(|entry| entry.unwrap().path());
    let named = |path: &PathBuf| path.file_name().unwrap().to_string_lossy().starts_with(prefix);
    entries.filter(named).collect()
}

#[test]
fn a_store_that_is_deleted_in_use_is_followed_by_a_new_one() {
    let gob = Gob::new();
    with_history(&gob);
    fs::remove_file(store(&gob)).unwrap();
    supervises(&gob, "a");
    assert_eq!((runs(&gob, "a"), runs(&gob, "t")), (1, 0));
    assert!(gob.logs().contains("was deleted while it was in use"), "{}", gob.logs());
    assert_eq!(state_of_history(&gob), "open");
    // No number is given twice.
    let number = |text: String| text.split_whitespace().find(|word| word.starts_with('j')).map(str::to_owned);
    let first = number(ctl(&gob, ["create", "true", "one"]).ok());
    fs::remove_file(store(&gob)).unwrap();
    ctl(&gob, ["shutdown"]).ok();
    let second = number(ctl(&gob, ["create", "true", "two"]).ok());
    assert!(first.is_some() && first != second, "{first:?} {second:?}");
}

#[test]
fn a_damaged_store_is_moved_aside_and_what_can_be_read_is_kept() {
    type Damage = fn(&Path);
    let damages: [(&str, Damage); 3] = [
        ("overwritten", |path| {
            let mut bytes = fs::read(path).unwrap();
            let end = bytes.len();
            bytes[100..4096.min(end)].fill(b'x');
            fs::write(path, bytes).unwrap();
        }),
        ("cut to half", |path| {
            let size = fs::metadata(path).unwrap().len();
            fs::OpenOptions::new().write(true).open(path).unwrap().set_len(size / 2).unwrap();
        }),
        ("zeroed", |path| {
            let size = fs::metadata(path).unwrap().len();
            fs::write(path, vec![0; usize::try_from(size).unwrap()]).unwrap();
        }),
    ];
    for (damage, spoil) in damages {
        let gob = Gob::new();
        with_history(&gob);
        ctl(&gob, ["shutdown"]).ok();
        spoil(&store(&gob));
        let spoilt = fs::read(store(&gob)).unwrap();
        supervises(&gob, "a");
        assert_eq!(runs(&gob, "a"), 1, "{damage}");
        assert_eq!(state_of_history(&gob), "open", "{damage}");
        let aside = beside(&gob, "store.sqlite3.damaged-");
        assert!(aside.iter().any(|path| fs::read(path).unwrap() == spoilt), "{damage}: {aside:?}");
        assert!(gob.logs().contains("the history was damaged"), "{damage}: {}", gob.logs());
    }
}

#[test]
fn a_store_from_tomorrow_is_refused_by_name_and_stays_as_it_is() {
    let gob = Gob::new();
    with_history(&gob);
    ctl(&gob, ["shutdown"]).ok();
    let db = Connection::open(store(&gob)).unwrap();
    db.execute_batch("PRAGMA user_version = 999").unwrap();
    db.close().unwrap();
    let before = fs::read(store(&gob)).unwrap();
    supervises(&gob, "a");
    let says = "has version 999 of the history, this gob knows versions up to ";
    let line = told_by_status(&gob, says);
    assert!(line.contains("failed: ") && line.contains("use the newer gob"), "{line}");
    let refused = ctl(&gob, ["runs", "a"]).fails(1);
    assert!(refused.stderr.contains(says) && refused.stderr.contains("gobctl status"), "{refused}");
    let brief = ctl(&gob, ["brief", "--since", "nobody:1"]).ok();
    assert!(
        brief.contains("\nthe changes are not known: ") && brief.contains("; this is the state now\n"),
        "{brief}"
    );
    ctl(&gob, ["shutdown"]).ok();
    assert_eq!(fs::read(store(&gob)).unwrap(), before);
    assert_eq!(beside(&gob, "store.sqlite3"), [store(&gob)]);
    let refused = ctl(&gob, ["runs", "t", "--no-autostart"]).fails(1);
    assert!(refused.stderr.contains(says), "{refused}");
}

#[test]
fn the_way_back_to_an_older_gob_is_the_one_that_is_written_down() {
    let gob = Gob::new();
    with_history(&gob);
    ctl(&gob, ["shutdown"]).ok();
    let copy = gob.state_dir().join("store.sqlite3.v1");
    fs::copy(store(&gob), &copy).unwrap();
    let db = Connection::open(store(&gob)).unwrap();
    db.execute_batch("PRAGMA user_version = 999").unwrap();
    db.close().unwrap();
    supervises(&gob, "a");
    told_by_status(&gob, "failed: ");
    let page = include_str!("../../../docs/TROUBLESHOOTING.md");
    let (_, section) = page.split_once("is to go back to an older gob\n").unwrap();
    let script = section.split_once("```sh\n").unwrap().1.split_once("```").unwrap().0;
    Ctl::new(Path::new("/bin/sh"), gob.env()).args(["-ec", script]).cwd(&gob.state_dir()).ok();
    assert_eq!(runs(&gob, "t"), 2);
    assert!(copy.exists() && gob.state_dir().join("store.sqlite3.newer").exists());
    assert_eq!(state_of_history(&gob), "open");
}

#[test]
fn a_store_that_another_process_has_locked_is_complete_afterwards() {
    let gob = Gob::new();
    with_history(&gob);
    let other = Connection::open(store(&gob)).unwrap();
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    let locked = Instant::now();
    supervises(&gob, "a");
    let line = told_by_status(&gob, "locked: ");
    assert!(line.contains("is locked by another process"), "{line}");
    // The content of the file is still told.
    assert_eq!(runs(&gob, "t"), 2);
    assert!(wait::until(DEADLINE, || locked.elapsed() > PATIENCE + Duration::from_secs(1)));
    supervises(&gob, "b");
    other.execute_batch("ROLLBACK").unwrap();
    assert!(wait::until(DEADLINE, || state_of_history(&gob) == "open"), "{}", gob.status());
    for (name, count) in [("t", 2), ("a", 1), ("a-long", 1), ("b", 1), ("b-long", 1)] {
        assert_eq!(runs(&gob, name), count, "{name}");
    }
    assert_eq!(gob.status()["history"]["dropped"], 0);
    let blame: Value = ctl(&gob, ["blame", "a-long", "-n", "all", "--json"]).json();
    assert_eq!(blame["entries"].as_array().unwrap().last().unwrap()["event"], "worker_added");
}

/// A mount that goes when this is dropped.
pub(crate) struct Mount(PathBuf);

impl Mount {
    pub(crate) fn of(args: &[&str], at: &Path) -> Option<Self> {
        let mounted = nix::unistd::geteuid().is_root() && mount(args, at);
        mounted.then(|| Self(at.to_owned()))
    }
}

impl Drop for Mount {
    fn drop(&mut self) {
        drop(Command::new("/bin/umount").arg("-l").arg(&self.0).status());
    }
}

fn mount(args: &[&str], at: &Path) -> bool {
    Command::new("/bin/mount").args(args).arg(at).status().is_ok_and(|status| status.success())
}

#[test]
fn a_read_only_store_delays_nothing_and_is_written_once_it_may_be() {
    let gob = Gob::new();
    with_history(&gob);
    ctl(&gob, ["shutdown"]).ok();
    let path = store(&gob);
    let text = path.to_str().unwrap().to_owned();
    let Some(bound) = Mount::of(&["--bind", &text], &path) else {
        return skip(Need::Mounts, "only root can make a file read-only for itself");
    };
    assert!(mount(&["-o", "remount,bind,ro"], &path));
    supervises(&gob, "a");
    let line = told_by_status(&gob, "read-only: ");
    assert!(line.contains("history waits until the file and its directory may be written"), "{line}");
    assert_eq!(runs(&gob, "t"), 2, "what is there is still read");
    drop(bound);
    assert!(wait::until(DEADLINE, || state_of_history(&gob) == "open"), "{}", gob.status());
    assert_eq!((runs(&gob, "a"), runs(&gob, "t")), (1, 2));
}

#[test]
fn a_full_disk_stops_the_history_and_not_the_jobs() {
    let gob = Gob::new();
    let Some(_disk) = Mount::of(&["-t", "tmpfs", "-o", "size=512k,mode=0700", "tmpfs"], &gob.state_dir())
    else {
        return skip(Need::Mounts, "only root can make a disk");
    };
    with_history(&gob);
    let filler = gob.state_dir().join("filler");
    let mut file = fs::File::create(&filler).unwrap();
    for size in [4096, 1] {
        while file.write(&vec![b'x'; size]).is_ok() {}
    }
    supervises(&gob, "a");
    let line = told_by_status(&gob, "full: ");
    assert!(line.contains("the disk is full; history waits until there is room"), "{line}");
    // Its output has no room either, which is told.
    let failed = ctl(&gob, ["run", "--name", "c", "--shell", "echo why; exit 3"]).fails(3);
    assert!(failed.stderr.contains("output of c is missing in its logs"), "{failed}");
    let mut agent = Session::open(&gob, &[]);
    let told = agent.ok("run", json!({"command": ["sh", "-c", "echo why >&2; exit 1"], "name": "d"})).text;
    assert!(
        told.contains("\noutput of d is missing in its logs: call status") && !told.contains("nothing"),
        "{told}"
    );
    let told = agent.ok("logs", json!({"name": "d"})).text;
    assert!(told.contains("output of d is missing in its logs: call status"), "{told}");
    assert_eq!(agent.end().0, Some(0));
    fs::remove_file(&filler).unwrap();
    drop(file);
    assert!(wait::until(DEADLINE, || state_of_history(&gob) == "open"), "{}", gob.status());
    assert_eq!((runs(&gob, "a"), runs(&gob, "t")), (1, 2));
    assert_eq!(gob.status()["history"]["dropped"], 0);
}
