//! Real files, threads and processes.

mod losses;

use super::*;
use std::fs;
use std::os::unix::fs::{MetadataExt as _, symlink};
use std::process::{Child, Command};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;

/// A directory of its own for each test.
struct Dir(PathBuf);

impl Dir {
    fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("gob-file-lock-{}-{name}", std::process::id()));
        fs::create_dir(&path).unwrap();
        Self(path)
    }

    fn lock(&self) -> PathBuf {
        self.0.join("my.lock")
    }

    /// The names in it.
    fn names(&self) -> Vec<String> {
        fs::read_dir(&self.0)
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect()
    }
}

impl Drop for Dir {
    fn drop(&mut self) {
        fs::remove_dir_all(&self.0).unwrap_or_default();
    }
}

fn settings(stale_ms: u64, retries: u32, timeout_ms: Option<u64>) -> Settings {
    Settings {
        process: "test".into(),
        stale_after: Duration::from_millis(stale_ms),
        retries,
        retry_delay: Duration::from_millis(10),
        timeout: timeout_ms.map(Duration::from_millis),
    }
}

fn once(path: &Path) -> FileLock {
    FileLock::with_settings(path, settings(30_000, 0, None))
}

fn record(pid: u32, age_ms: u64, host: &str) -> String {
    format!("{{\"pid\":{pid},\"timestamp\":{},\"host\":{host:?},\"process\":\"old\"}}", now_ms() - age_ms)
}

fn own_host() -> String {
    nix::unistd::gethostname().unwrap().into_string().unwrap()
}

/// A process that has ended and was waited for.
fn dead_pid() -> u32 {
    let mut child = Command::new("true").spawn().unwrap();
    child.wait().unwrap();
    child.id()
}

fn sleeper() -> Child {
    Command::new("sleep").arg("600").spawn().unwrap()
}

fn end(mut child: Child) {
    child.kill().unwrap();
    child.wait().unwrap();
}

#[test]
fn a_lock_is_held_by_one_and_given_back_whole() {
    let dir = Dir::new("one");
    let mut lock = once(&dir.lock());
    assert_eq!(lock.status().unwrap(), None);
    lock.acquire().unwrap();
    assert!(matches!(lock.acquire(), Err(FileLockError::Twice { .. })));
    let text = fs::read_to_string(dir.lock()).unwrap();
    let json: serde_json::Value = serde_json::from_str(&text).unwrap();
    assert_eq!(json["pid"], std::process::id());
    assert_eq!(json["process"], "test");
    assert_eq!(json["host"], *own_host());
    assert!(json["timestamp"].as_u64().unwrap().abs_diff(now_ms()) < 60_000);
    let Err(FileLockError::Held { holder, .. }) = once(&dir.lock()).acquire() else { panic!("two") };
    assert_eq!(holder, lock.info());
    assert!(lock.release().unwrap());
    assert!(!lock.release().unwrap());
    once(&dir.lock()).acquire().unwrap();
    assert!(dir.names().is_empty(), "{:?}", dir.names());
}

#[test]
fn it_is_released_by_drop_and_by_a_panic() {
    let dir = Dir::new("panic");
    let path = dir.lock();
    let panics = thread::spawn(move || {
        let mut lock = once(&path);
        lock.acquire().unwrap();
        assert!(path.exists());
        std::panic::resume_unwind(Box::new("on purpose"));
    });
    assert!(panics.join().is_err());
    assert!(dir.names().is_empty());
}

#[test]
fn the_dead_the_silent_and_the_broken_give_way_and_others_do_not() {
    let dir = Dir::new("stale");
    let living = sleeper();
    let id = living.id();
    for (text, is_free) in [
        (record(dead_pid(), 0, &own_host()), true),
        (record(id, 0, &own_host()), false),
        (record(id, 31_000, &own_host()), true),
        (record(1, 0, &own_host()), false),
        (record(dead_pid(), 0, "another-host"), false),
        (record(dead_pid(), 31_000, "another-host"), true),
        ("garbage".to_owned(), false),
        (String::new(), false),
    ] {
        fs::write(dir.lock(), &text).unwrap();
        let taken = once(&dir.lock()).acquire();
        assert_eq!(taken.is_ok(), is_free, "{text}: {taken:?}");
        if !is_free {
            assert_eq!(fs::read_to_string(dir.lock()).unwrap(), text);
            fs::remove_file(dir.lock()).unwrap();
        }
    }
    end(living);
}

#[test]
fn a_file_that_cannot_be_read_is_taken_after_a_second_without_a_change() {
    let dir = Dir::new("broken");
    fs::write(dir.lock(), "{\"pid\":").unwrap();
    let began = Instant::now();
    let mut lock = FileLock::with_settings(dir.lock(), settings(30_000, 1_000, Some(20_000)));
    lock.acquire().unwrap();
    assert!(began.elapsed() >= BEING_WRITTEN);
    // Its maker writes it at last: it stays the maker's.
    let other = Dir::new("written");
    fs::write(other.lock(), "").unwrap();
    let path = other.lock();
    let mut lock = FileLock::with_settings(&path, settings(30_000, 200, Some(3_000)));
    let mut is_written = false;
    let held = lock.acquire_telling(&mut |status| {
        if !is_written && status.standing == Standing::Unreadable {
            fs::write(&path, record(1, 0, &own_host())).unwrap();
            is_written = true;
        }
    });
    assert!(matches!(held, Err(FileLockError::Held { holder: Some(Info { pid: 1, .. }), .. })), "{held:?}");
}

#[test]
fn the_end_of_a_wait_is_the_timeout_or_the_last_retry() {
    let dir = Dir::new("waits");
    fs::write(dir.lock(), record(1, 0, &own_host())).unwrap();
    for settings in
        [settings(30_000, 1_000_000, Some(50)), settings(30_000, 3, Some(600_000)), settings(30_000, 3, None)]
    {
        let mut looks = 0;
        let waited = FileLock::with_settings(dir.lock(), settings).acquire_telling(&mut |_| looks += 1);
        assert!(matches!(waited, Err(FileLockError::Held { .. })));
        assert!(looks > 1);
    }
}

#[test]
fn a_timeout_of_zero_tries_once_and_tells_of_no_wait() {
    let dir = Dir::new("once");
    let settings = settings(30_000, 50, Some(0));
    FileLock::with_settings(dir.lock(), settings.clone()).acquire().unwrap();
    fs::write(dir.lock(), record(1, 0, &own_host())).unwrap();
    let mut told = 0;
    let tried = FileLock::with_settings(dir.lock(), settings).acquire_telling(&mut |_| told += 1);
    assert!(matches!(tried, Err(FileLockError::Held { holder: Some(Info { pid: 1, .. }), .. })), "{tried:?}");
    assert_eq!(told, 0);
}

#[test]
fn a_waiter_has_it_as_soon_as_it_is_given_back() {
    let dir = Dir::new("next");
    let mut first = once(&dir.lock());
    first.acquire().unwrap();
    let path = dir.lock();
    let waiting = AtomicBool::new(false);
    thread::scope(|scope| {
        scope.spawn(|| {
            // Its only retry is after an hour: an event must wake it.
            let retry_delay = Duration::from_secs(3_600);
            let mut second =
                FileLock::with_settings(&path, Settings { retry_delay, ..settings(30_000, 1, None) });
            second.acquire_telling(&mut |_| waiting.store(true, Ordering::SeqCst)).unwrap();
        });
        while !waiting.load(Ordering::SeqCst) {
            thread::yield_now();
        }
        first.release().unwrap();
    });
}

#[test]
fn a_lock_can_be_removed_by_force_and_tells_whose_it_was() {
    let dir = Dir::new("force");
    let lock = once(&dir.lock());
    assert_eq!(lock.force_unlock().unwrap(), None);
    fs::write(dir.lock(), record(1, 0, "h")).unwrap();
    assert_eq!(lock.status().unwrap().unwrap().standing.info().unwrap().pid, 1);
    assert_eq!(lock.force_unlock().unwrap().unwrap().standing.info().unwrap().host, "h");
    assert!(dir.names().is_empty());
}

#[test]
fn whatever_is_no_file_is_refused_and_left_alone() {
    let dir = Dir::new("other");
    let target = dir.0.join("target");
    fs::write(&target, "mine").unwrap();
    symlink(&target, dir.lock()).unwrap();
    let refused = once(&dir.lock()).acquire().unwrap_err();
    assert!(format!("{refused:?}").contains("symbolic link"), "{refused:?}");
    assert_eq!(fs::read_to_string(&target).unwrap(), "mine");
    fs::remove_file(dir.lock()).unwrap();
    fs::create_dir(dir.lock()).unwrap();
    assert!(format!("{:?}", once(&dir.lock()).acquire().unwrap_err()).contains("directory"));
    assert!(format!("{:?}", once(&dir.lock()).force_unlock().unwrap_err()).contains("directory"));
    fs::remove_dir(dir.lock()).unwrap();
    nix::unistd::mkfifo(&dir.lock(), nix::sys::stat::Mode::S_IRWXU).unwrap();
    assert!(format!("{:?}", once(&dir.lock()).acquire().unwrap_err()).contains("no regular file"));
    let missing = once(&dir.0.join("none/my.lock")).acquire().unwrap_err();
    assert!(matches!(missing, FileLockError::Io { what: "make", .. }), "{missing:?}");
}

#[test]
fn a_lock_that_changes_under_the_one_that_takes_it_stays() {
    let dir = Dir::new("change");
    fs::write(dir.lock(), record(dead_pid(), 0, &own_host())).unwrap();
    let lock = once(&dir.lock());
    let judged = lock.look().unwrap().unwrap();
    // The same file, another holder.
    let theirs = record(1, 0, &own_host());
    fs::write(dir.lock(), &theirs).unwrap();
    assert!(lock.place.replace(&judged, &lock.own_info()).unwrap().is_none());
    assert!(!lock.place.remove(&judged).unwrap());
    // Another file.
    fs::remove_file(dir.lock()).unwrap();
    fs::write(dir.lock(), &theirs).unwrap();
    assert!(lock.place.replace(&judged, &lock.own_info()).unwrap().is_none());
    assert!(!lock.place.remove(&judged).unwrap());
    assert_eq!(fs::read_to_string(dir.lock()).unwrap(), theirs);
    assert_eq!(dir.names(), ["my.lock"]);
}

#[test]
fn a_maker_that_was_slow_to_write_notices_who_took_the_file_for_broken() {
    let dir = Dir::new("slow");
    let slow = once(&dir.lock());
    let make = || fs::OpenOptions::new().read(true).write(true).create_new(true).open(dir.lock()).unwrap();
    let file = make();
    let mut faster = FileLock::with_settings(dir.lock(), settings(30_000, 200, None));
    faster.acquire().unwrap();
    assert!(slow.place.write_in_place(file, &slow.own_info()).unwrap().is_none());
    assert!(faster.release().unwrap());
    assert!(slow.place.write_in_place(make(), &slow.own_info()).unwrap().is_some());
}

#[test]
fn a_file_that_was_made_in_its_place_is_believed_only_with_the_flock_of_the_directory() {
    let dir = Dir::new("flock");
    let lock = once(&dir.lock());
    let make = || fs::OpenOptions::new().read(true).write(true).create_new(true).open(dir.lock()).unwrap();
    let taker = fs::File::open(&dir.0).unwrap();
    taker.lock().unwrap();
    thread::scope(|scope| {
        scope.spawn(|| {
            thread::park_timeout(Duration::from_millis(100));
            taker.unlock().unwrap();
        });
        assert!(lock.place.write_in_place(make(), &lock.own_info()).unwrap().is_some(), "it is waited for");
    });
    fs::remove_file(dir.lock()).unwrap();
    // A program that was stopped keeps it, in the middle of its steps or not.
    taker.lock().unwrap();
    assert!(lock.place.write_in_place(make(), &lock.own_info()).unwrap().is_none());
    assert_eq!(dir.names(), [] as [&str; 0], "the file is given back");
}

#[test]
fn the_temporary_files_of_the_dead_are_cleared_up() {
    let dir = Dir::new("temporary");
    let left = Place::new(dir.lock(), own_host());
    let name = |pid: u32| format!(".gob-lock-{}-{pid}-0", left.host_in_names());
    let living = sleeper();
    for pid in [dead_pid(), living.id()] {
        fs::write(dir.0.join(name(pid)), "").unwrap();
    }
    fs::write(dir.lock(), record(dead_pid(), 0, &own_host())).unwrap();
    let mut lock = once(&dir.lock());
    lock.acquire().unwrap();
    lock.release().unwrap();
    assert_eq!(dir.names(), [name(living.id())]);
    end(living);
}

/// Threads stand for programs here, each with a lock of its own; every fourth holder leaves a stale file behind.
#[test]
fn never_two_of_many_hold_it() {
    let dir = Dir::new("many");
    let (path, holders, rounds) = (dir.lock(), AtomicUsize::new(0), AtomicUsize::new(0));
    let dead = dead_pid();
    thread::scope(|scope| {
        for number in 0..8 {
            let (path, holders, rounds) = (&path, &holders, &rounds);
            scope.spawn(move || {
                for round in 0..50 {
                    let mut lock = FileLock::with_settings(path, settings(30_000, 1_000_000, Some(120_000)));
                    lock.acquire().unwrap();
                    assert_eq!(holders.fetch_add(1, Ordering::SeqCst), 0);
                    rounds.fetch_add(1, Ordering::SeqCst);
                    thread::yield_now();
                    assert_eq!(holders.fetch_sub(1, Ordering::SeqCst), 1);
                    assert!(lock.release().unwrap());
                    if (number + round) % 4 == 0 {
                        let left = OpenStale(path).leave(dead);
                        drop(left);
                    }
                }
            });
        }
    });
    assert_eq!(rounds.load(Ordering::SeqCst), 400);
    assert_eq!(dir.names().iter().filter(|name| *name != "my.lock").count(), 0, "{:?}", dir.names());
}

/// The file of a program that died while it held the lock, where there is none.
struct OpenStale<'a>(&'a Path);

impl OpenStale<'_> {
    fn leave(&self, dead: u32) -> io::Result<()> {
        let aside = self.0.with_file_name(format!("dead-{:?}", thread::current().id()));
        fs::write(&aside, record(dead, 0, &own_host()))?;
        let left = fs::hard_link(&aside, self.0);
        fs::remove_file(&aside)?;
        left
    }
}
