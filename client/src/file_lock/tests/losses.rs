//! The renewal of a lock that is held, and its loss.

use super::*;

#[test]
fn a_holder_renews_its_time_and_learns_of_a_loss() {
    let dir = Dir::new("renew");
    let mut lock = FileLock::with_settings(dir.lock(), settings(60, 0, None));
    lock.acquire().unwrap();
    let first = lock.info().unwrap().timestamp;
    let inode = fs::metadata(dir.lock()).unwrap().ino();
    wait_for(|| lock.info().unwrap().timestamp > first + 100);
    assert_eq!(fs::metadata(dir.lock()).unwrap().ino(), inode);
    assert!(!lock.is_lost());
    let theirs = record(1, 0, "another-host");
    fs::remove_file(dir.lock()).unwrap();
    fs::write(dir.lock(), &theirs).unwrap();
    wait_for(|| lock.is_lost());
    assert!(!lock.release().unwrap());
    assert_eq!(fs::read_to_string(dir.lock()).unwrap(), theirs);
}

/// Waits without a clock of its own; the suite's time limit ends it.
fn wait_for(is_so: impl Fn() -> bool) {
    while !is_so() {
        thread::yield_now();
    }
}

#[test]
fn a_loss_is_noticed_at_once() {
    let dir = Dir::new("loss");
    // Its time would be renewed after hours.
    let mut lock = FileLock::with_settings(dir.lock(), settings(36_000_000, 0, None));
    lock.acquire().unwrap();
    once(&dir.lock()).force_unlock().unwrap();
    wait_for(|| {
        lock.look_after();
        lock.is_lost()
    });
    assert!(!lock.release().unwrap());
}

#[test]
fn what_is_no_file_in_its_place_is_a_loss_and_is_left_alone() {
    let makes: [fn(&Path); 5] = [
        |path| fs::create_dir(path).unwrap(),
        |path| symlink("nowhere", path).unwrap(),
        |path| nix::unistd::mkfifo(path, nix::sys::stat::Mode::S_IRWXU).unwrap(),
        |path| drop(std::os::unix::net::UnixListener::bind(path).unwrap()),
        // A link to the very file that it was.
        |path| symlink("aside", path).unwrap(),
    ];
    for make in makes {
        let dir = Dir::new("displaced");
        let mut lock = FileLock::with_settings(dir.lock(), settings(36_000_000, 0, None));
        lock.acquire().unwrap();
        fs::rename(dir.lock(), dir.0.join("aside")).unwrap();
        make(&dir.lock());
        wait_for(|| {
            lock.look_after();
            lock.is_lost()
        });
        assert!(!lock.release().unwrap());
        assert!(fs::symlink_metadata(dir.lock()).is_ok_and(|found| !found.is_file()));
    }
}

#[test]
fn a_lock_whose_directory_is_another_one_or_none_is_lost() {
    for is_file in [false, true] {
        let dir = Dir::new("moved");
        let (within, aside) = (dir.0.join("within"), dir.0.join("aside"));
        fs::create_dir(&within).unwrap();
        let mut lock = FileLock::with_settings(within.join("my.lock"), settings(60, 0, None));
        lock.acquire().unwrap();
        fs::rename(&within, &aside).unwrap();
        if is_file {
            fs::write(&within, "").unwrap();
        }
        wait_for(|| lock.is_lost());
        assert!(!lock.release().unwrap());
    }
}

#[test]
fn a_lock_that_can_not_be_renewed_is_held_until_the_stale_time_and_no_longer() {
    let dir = Dir::new("unrenewed");
    let (place, info) = (Place::new(dir.lock(), own_host()), once(&dir.lock()).own_info());
    fs::write(dir.lock(), info.bytes()).unwrap();
    let began = Instant::now();
    // It can be read, and each write fails.
    let file = File::open(dir.lock()).unwrap();
    let held = Renewal::begin(place, file, info, Duration::from_millis(300)).unwrap();
    wait_for(|| held.is_lost());
    assert!(began.elapsed() >= Duration::from_millis(295), "{:?}", began.elapsed());
}
