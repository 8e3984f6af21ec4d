//! Bad luck while the store is in use: locks, full and read-only disks, files that vanish.

use super::*;
use crate::{Reader, Supervisor};
use std::fs;
use std::io::{BufRead as _, BufReader, Lines, Write as _};
use std::process::{Child, ChildStdout, Command, Stdio};

/// Variables of the process that locks: the directory, and the statements.
const LOCKER: [&str; 2] = ["GOB_STORE_TEST_DIRECTORY", "GOB_STORE_TEST_LOCK"];
const LOCKING: &str = "tests::trouble::another_process_locks_when_it_is_asked_to";

/// A process that has the store locked.
struct Locker(Child, Lines<BufReader<ChildStdout>>);

impl Locker {
    fn lock(dir: &Path, statements: &str) -> Self {
        let mut command = Command::new(std::env::current_exe().unwrap());
        command.args(["--exact", LOCKING, "--nocapture"]).env(LOCKER[0], dir).env(LOCKER[1], statements);
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        assert!(lines.by_ref().map(Result::unwrap).any(|line| line.ends_with("LOCKED")));
        Self(child, lines)
    }

    fn release(mut self) {
        drop(self.0.stdin.take());
        assert!(self.1.by_ref().map(Result::unwrap).any(|line| line.contains("1 passed")));
        assert!(self.0.wait().unwrap().success());
    }
}

impl Drop for Locker {
    fn drop(&mut self) {
        drop(self.0.kill());
        drop(self.0.wait());
    }
}

#[test]
fn another_process_locks_when_it_is_asked_to() {
    let (Some(dir), Ok(statements)) = (std::env::var_os(LOCKER[0]), std::env::var(LOCKER[1])) else { return };
    let db = sqlite(Path::new(&dir));
    db.execute_batch(&statements).unwrap();
    println!("LOCKED");
    std::io::stdout().flush().unwrap();
    std::io::stdin().lines().for_each(drop);
}

#[test]
fn a_write_lock_delays_records_and_no_question_beyond_its_deadline() {
    let dir = dir();
    let mut rig = Rig::with(dir.path(), |settings| settings.answer_within = Duration::from_millis(300));
    rig.record(run("web", ended(1, 1, 0)));
    assert_eq!(rig.reserve(1), 1);
    let locker = Locker::lock(dir.path(), "BEGIN IMMEDIATE; DELETE FROM life WHERE id = 99");
    rig.record(run("web", ended(2, 1, 0)));
    assert_eq!(rig.runs("web").len(), 1, "as it is in the file");
    rig.settle(Condition::Locked);
    let error = rig.ask(Question::Reserve { count: 1, above: 0 }).unwrap_err();
    assert!(error.to_string().contains("is locked by another process"), "{error}");
    let health = rig.handle.health();
    assert_eq!((health.waiting, health.dropped), (1, 0));
    locker.release();
    wait_until(|| rig.handle.health().waiting == 0, || format!("{:?}", rig.handle));
    assert_eq!((rig.runs("web").len(), rig.reserve(1)), (2, 2));
    assert_eq!(rig.handle.health().condition, Condition::Open);
}

#[test]
fn a_lock_that_lasts_keeps_no_reader_waiting() {
    let dir = dir();
    // No deadline answers in the time of this test.
    let mut rig = Rig::with(dir.path(), |settings| settings.answer_within = DEADLINE * 10);
    rig.record(run("web", ended(1, 1, 0)));
    assert_eq!(rig.reserve(1), 1);
    let locker = Locker::lock(dir.path(), "BEGIN IMMEDIATE; DELETE FROM life WHERE id = 99");
    rig.record(run("web", ended(2, 1, 0)));
    rig.handle.ask(9, Question::Reserve { count: 1, above: 0 }).unwrap();
    assert_eq!(rig.runs("web").len(), 1, "as it is in the file");
    assert_eq!(rig.handle.health().condition, Condition::Locked);
    locker.release();
    let (ticket, answer) = rig.answer();
    assert!(
        ticket == 9 && matches!(answer, Ok(Answer::Reserved { first: 2, .. })),
        "a change waits: {answer:?}"
    );
    assert_eq!(rig.runs("web").len(), 2);
}

#[test]
fn a_question_behind_many_records_that_wait_is_answered_too() {
    let dir = dir();
    let mut rig = Rig::with(dir.path(), |settings| settings.answer_within = Duration::from_millis(300));
    assert_eq!(rig.reserve(1), 1);
    let locker = Locker::lock(dir.path(), "BEGIN IMMEDIATE; DELETE FROM life WHERE id = 99");
    for number in 1..=2000 {
        rig.record(run("web", ended(number, 1, 0)));
    }
    rig.settle(Condition::Locked);
    for _ in 0..2 {
        assert!(rig.ask(Question::Reserve { count: 1, above: 0 }).is_err());
        assert_eq!(rig.runs("web"), []);
    }
    locker.release();
    wait_until(|| rig.handle.health().waiting == 0, || format!("{:?}", rig.handle));
    let Ok(Answer::Stats(stats)) = rig.ask(Question::Stats { name: worker("web") }) else { panic!() };
    assert_eq!((stats.runs, rig.handle.health().dropped), (2000, 0));
}

#[test]
fn a_question_that_a_disk_keeps_is_given_up_and_gets_no_answer_later() {
    let dir = dir();
    fs::write(file(dir.path()), "damaged").unwrap();
    let (post, told) = channel();
    let (go_on, hang) = channel::<()>();
    let hang = Mutex::new(hang);
    let settings = Settings {
        answer_within: Duration::ZERO,
        ..Settings::new(dir.path().to_owned(), "first".to_owned())
    };
    let handle = Store::spawn(settings, move |message| {
        // The notice of damage holds the thread, as a disk would.
        if matches!(message, Told::Notice(_)) {
            hang.lock().unwrap().recv().unwrap();
        }
        drop(post.send(message));
    });
    let rig = Rig::of(handle, told);
    rig.handle.ask(1, Question::Highest { name: None }).unwrap();
    assert_eq!(rig.handle.overdue(), [0_u64; 0]);
    let until = Instant::now() + DEADLINE;
    let overdue = loop {
        let overdue = rig.handle.overdue();
        if !overdue.is_empty() || Instant::now() > until {
            break overdue;
        }
    };
    assert_eq!(overdue, [1]);
    assert_eq!(rig.handle.overdue(), [0_u64; 0]);
    assert_eq!(rig.handle.finish(Duration::ZERO), Ok(()), "no record waits");
    go_on.send(()).unwrap();
    wait_until(|| !rig.handle.is_running(), || format!("{:?}", rig.handle));
    let messages: Vec<_> = rig.told.try_iter().collect();
    assert!(matches!(&messages[..], [Told::Notice(_)]), "{messages:?}");
}

#[test]
fn a_store_that_another_process_has_for_itself_is_waited_for() {
    let dir = dir();
    let rig = Rig::new(dir.path());
    rig.record(run("web", ended(1, 1, 0)));
    rig.finish();
    let locker = Locker::lock(
        dir.path(),
        "PRAGMA locking_mode = EXCLUSIVE; BEGIN EXCLUSIVE; DELETE FROM life WHERE id = 99",
    );
    let mut rig = Rig::with(dir.path(), |settings| settings.answer_within = Duration::from_millis(300));
    rig.record(run("web", ended(2, 1, 0)));
    let error = rig.ask(Question::Durations { name: worker("web") }).unwrap_err();
    assert!(error.to_string().contains("is locked by another process"), "{error}");
    assert_eq!(rig.handle.health().condition, Condition::Locked);
    let begun = Instant::now();
    let left = rig.handle.finish(Duration::from_millis(300)).unwrap_err().left;
    assert_eq!(left, 1);
    assert!(begun.elapsed() < DEADLINE / 2);
    wait_until(|| !rig.handle.is_running(), || format!("{:?}", rig.handle));
    locker.release();
    let mut rig = Rig::new(dir.path());
    rig.record(run("web", ended(3, 1, 0)));
    assert_eq!(rig.runs("web").len(), 2);
}

#[test]
fn a_deleted_store_is_made_again_with_jobs_and_counters() {
    for suffixes in [&[""][..], &["", "-wal", "-shm"]] {
        let dir = dir();
        let mut rig = Rig::new(dir.path());
        rig.record(defined(definition("web", None)));
        rig.record(run("web", begun(1)));
        assert_eq!((rig.reserve(64), rig.reserve_tokens(100)), (1, 1));
        for suffix in suffixes {
            fs::remove_file(dir.path().join(format!("{FILE}{suffix}"))).unwrap();
        }
        assert_eq!(rig.reserve(1), 65);
        assert_eq!(rig.definitions(), [definition("web", None)]);
        assert_eq!(rig.runs("web"), []);
        assert!(matches!(&rig.notices[..], [Notice::Deleted { .. }]), "{:?}", rig.notices);
        rig.record(run("web", ended(1, 1, 0)));
        assert_eq!(rig.runs("web").len(), 1);
        rig.finish();
        let mut rig = Rig::new(dir.path());
        assert_eq!((rig.reserve(1), rig.definitions().len(), rig.runs("web").len()), (66, 1, 1));
        assert_eq!(rig.reserve_tokens(1), 101, "the counter of tokens went with it");
        assert_eq!(rig.notices, []);
        rig.finish();
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);
    }
}

#[test]
fn a_store_that_was_deleted_while_it_was_closed_does_not_go_back() {
    let dir = dir();
    let mut rig = Rig::with(dir.path(), |settings| settings.idle = Duration::ZERO);
    assert_eq!(rig.reserve(64), 1);
    rig.settle(Condition::Closed);
    fs::remove_file(file(dir.path())).unwrap();
    assert_eq!(rig.reserve(1), 65);
}

#[test]
fn another_store_in_its_place_is_used_and_its_counter_lifted() {
    let (dir, other) = (dir(), dir());
    let mut restored = Rig::new(other.path());
    restored.record(run("web", ended(5, 1, 0)));
    assert_eq!(restored.reserve(3), 1);
    restored.finish();
    let mut rig = Rig::new(dir.path());
    assert_eq!(rig.reserve(64), 1);
    fs::rename(file(other.path()), file(dir.path())).unwrap();
    assert_eq!(rig.runs("web").len(), 1);
    assert_eq!(rig.reserve(1), 65);
    assert!(matches!(&rig.notices[..], [Notice::Replaced { .. }]), "{:?}", rig.notices);
}

#[test]
fn a_deleted_log_costs_nothing() {
    let dir = dir();
    let mut rig = Rig::new(dir.path());
    rig.record(run("web", ended(1, 1, 0)));
    assert_eq!(rig.runs("web").len(), 1);
    for suffix in ["-wal", "-shm"] {
        fs::remove_file(dir.path().join(format!("{FILE}{suffix}"))).unwrap();
        rig.record(run("web", ended(2, 1, 0)));
        assert_eq!(rig.runs("web").len(), 2);
        assert!(matches!(rig.notices.pop(), Some(Notice::LogDeleted { .. })));
    }
    rig.finish();
    assert_eq!(Rig::new(dir.path()).runs("web").len(), 2);
}

#[test]
fn a_directory_that_vanishes_and_returns_has_the_jobs_again() {
    let dir = dir();
    let state = dir.path().join("state");
    fs::create_dir(&state).unwrap();
    let mut rig = Rig::new(&state);
    rig.record(defined(definition("web", None)));
    assert_eq!(rig.reserve(9), 1);
    fs::remove_dir_all(&state).unwrap();
    rig.record(run("web", begun(1)));
    let error = rig.ask(Question::Reserve { count: 1, above: 0 }).unwrap_err();
    assert!(error.to_string().contains("cannot find the directory"), "{error}");
    fs::create_dir(&state).unwrap();
    wait_until(|| rig.handle.health().waiting == 0, || format!("{:?}", rig.handle));
    assert_eq!((rig.reserve(1), rig.definitions().len(), rig.runs("web").len()), (10, 1, 1));
    assert_eq!(rig.handle.health().dropped, 0);
}

#[test]
fn on_a_full_disk_records_wait_and_questions_are_answered() {
    let Some(disk) = Disk::new("512k") else { return };
    let mut rig = Rig::new(&disk.0);
    rig.record(run("web", ended(1, 1, 0)));
    assert_eq!(rig.reserve(1), 1);
    let filler = disk.0.join("filler");
    let mut filling = fs::File::create(&filler).unwrap();
    while filling.write_all(&[0; 1024]).is_ok() {}
    let mut number = 1;
    while rig.handle.health().condition != Condition::Full {
        number += 1;
        rig.record(run("web", ended(number, 1, 0)));
        assert!(!rig.runs("web").is_empty());
        assert!(number < 10_000);
    }
    let said = rig.handle.health().reason.unwrap();
    assert!(said.contains("the disk is full; history waits until there is room"), "{said}");
    assert!(rig.ask(Question::Reserve { count: 1, above: 0 }).is_err());
    assert!(rig.handle.finish(Duration::ZERO).is_err());
    drop(filling);
    fs::remove_file(&filler).unwrap();
    wait_until(|| !rig.handle.is_running(), || format!("{:?}", rig.handle));
    let mut rig = Rig::new(&disk.0);
    assert_eq!(rig.reserve(1), 2);
}

#[test]
fn records_of_a_full_disk_are_written_when_there_is_room() {
    let Some(disk) = Disk::new("512k") else { return };
    let filler = disk.0.join("filler");
    let mut filling = fs::File::create(&filler).unwrap();
    while filling.write_all(&[0; 1024]).is_ok() {}
    let mut rig = Rig::new(&disk.0);
    rig.record(run("web", ended(1, 1, 0)));
    rig.settle(Condition::Full);
    assert!(rig.ask(Question::Stats { name: worker("web") }).is_err());
    drop(filling);
    fs::remove_file(&filler).unwrap();
    wait_until(|| rig.handle.health().waiting == 0, || format!("{:?}", rig.handle));
    assert_eq!(rig.runs("web").len(), 1);
    assert_eq!(rig.handle.health().condition, Condition::Open);
    rig.finish();
}

#[test]
fn on_a_read_only_disk_history_is_read_and_not_written() {
    let Some(disk) = Disk::new("4m") else { return };
    let mut rig = Rig::new(&disk.0);
    rig.record(run("web", ended(1, 1, 0)));
    assert_eq!(rig.runs("web").len(), 1);
    rig.finish();
    disk.remount("ro");
    let mut rig = Rig::new(&disk.0);
    rig.record(run("web", ended(2, 1, 0)));
    assert_eq!(rig.runs("web").len(), 1);
    let health = rig.handle.health();
    assert_eq!((health.condition, health.waiting), (Condition::ReadOnly, 1));
    assert!(rig.ask(Question::Reserve { count: 1, above: 0 }).is_err());
    assert_eq!(Reader::open(&disk.0, Supervisor::Gone).unwrap().stats(&worker("web")).unwrap().runs, 1);
    disk.remount("rw");
    wait_until(|| rig.handle.health().waiting == 0, || format!("{:?}", rig.handle));
    assert_eq!(rig.runs("web").len(), 2);
    rig.finish();
}

#[test]
fn a_read_only_disk_without_a_store_says_so() {
    let Some(disk) = Disk::new("4m") else { return };
    disk.remount("ro");
    let mut rig = Rig::new(&disk.0);
    let error = rig.ask(Question::Reserve { count: 1, above: 0 }).unwrap_err();
    assert!(error.to_string().contains("may be written"), "{error}");
    assert_eq!(rig.handle.health().condition, Condition::ReadOnly);
}

#[test]
fn a_limit_on_the_size_of_files_costs_history_alone() {
    let test = "tests::trouble::a_limit_on_the_size_of_files_costs_history_alone";
    // 64 KiB, and the signal of the limit ignored as the supervisor does.
    if !alone(test, "trap '' XFSZ; ulimit -f 128; exec \"$@\"") {
        return;
    }
    let dir = dir();
    let mut rig = Rig::new(dir.path());
    let mut number = 0;
    while rig.handle.health().condition != Condition::Failed {
        number += 1;
        rig.record(run("web", ended(number, 1, 0)));
        assert!(matches!(
            rig.ask(Question::Durations { name: worker("web") }),
            Ok(Answer::Durations(_)) | Err(_)
        ));
        assert!(number < 10_000);
    }
    assert!(rig.handle.health().reason.unwrap().contains("disk I/O error"));
    assert!(rig.handle.health().waiting > 0);
}
