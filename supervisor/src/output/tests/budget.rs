//! Tests of the deletion of surplus logs.

use super::*;

/// Returns the runs whose first file exists.
fn runs(plane: &Plane, name: &str) -> Vec<u64> {
    (1..100).filter(|run| plane.path(&key(name, *run), Stream::Stdout).exists()).collect()
}

/// Attaches a run that writes and ends.
fn finished(plane: &mut Plane, key: &RunKey, bytes: usize) {
    let mut worker = plane.attach(key);
    worker.out(&"x".repeat(bytes));
    plane.ended(&worker.hang_up());
}

#[test]
fn the_oldest_runs_go_first_and_live_ones_stay() {
    let mut plane = Plane::with(|config| config.budget_bytes = 200_000);
    let mut live = plane.attach(&key("live", 1));
    live.out(&"x".repeat(60_000));
    plane.settle();
    for run in 1..=9 {
        finished(&mut plane, &key("a", run), 40_000);
    }
    assert_eq!(runs(&plane, "a"), [8, 9]);
    assert_eq!(runs(&plane, "live"), [1]);
    let (a, live) = (plane.config.log_dir.join("a"), plane.config.log_dir.join("live"));
    let size = |dir: &Path| -> u64 {
        fs::read_dir(dir).unwrap().map(|file| file.unwrap().metadata().unwrap().len()).sum()
    };
    assert!(size(&a) + size(&live) <= 200_000);
    assert_eq!(fs::read_dir(&a).unwrap().count(), 6, "nothing is left of the runs that went");
}

#[test]
fn rotated_files_of_live_runs_go_last_and_current_ones_never() {
    let plane = Plane::with(|config| (config.rotate_bytes, config.budget_bytes) = (20_000, 70_000));
    let mut first = plane.attach(&key("first", 1));
    let mut second = plane.attach(&key("second", 1));
    let line = "x".repeat(99) + "\n";
    for worker in [&mut first, &mut second] {
        for _ in 0..10 {
            worker.out(&line.repeat(100));
            plane.settle();
        }
    }
    assert_eq!(all_files(&plane.path(&key("first", 1), Stream::Stdout)).len(), 1, "the older one pays first");
    let files = all_files(&plane.path(&key("second", 1), Stream::Stdout));
    assert_eq!(files.last().unwrap().len(), 20_000);
    assert!(files.len() <= 2, "{}", files.len());
}

#[test]
fn logs_of_earlier_supervisors_count() {
    let mut plane = Plane::with(|config| {
        config.budget_bytes = 100_000;
        let dir = config.log_dir.join("old");
        fs::create_dir_all(&dir).unwrap();
        for run in 1..=5_u64 {
            for file in ["stdout.log", "stdout.log.1"] {
                let file = File::create(dir.join(format!("{run}.{file}"))).unwrap();
                file.set_len(15_000).unwrap();
                // The fifth run is the oldest, whatever its number.
                file.set_modified(std::time::UNIX_EPOCH + Duration::from_secs(100 - run)).unwrap();
            }
        }
    });
    finished(&mut plane, &key("new", 1), 10_000);
    // The scan goes on while the writer is idle.
    let until = std::time::Instant::now() + DEADLINE;
    while runs(&plane, "old") != [1, 2] {
        assert!(std::time::Instant::now() < until, "{:?}", runs(&plane, "old"));
        plane.settle();
    }
    assert!(!plane.config.log_dir.join("old/3.stdout.log.1").exists());
    assert_eq!(runs(&plane, "new"), [1]);
}

#[test]
fn each_worker_keeps_the_logs_of_its_newest_runs() {
    let mut plane = Plane::with(|config| config.runs = 3);
    let mut live = plane.attach(&key("live", 1));
    live.out("x");
    for run in 1..=9 {
        finished(&mut plane, &key("a", run), 10);
        finished(&mut plane, &key("live", run + 1), 0);
    }
    assert_eq!(runs(&plane, "a"), [7, 8, 9]);
    assert_eq!(runs(&plane, "live"), [1, 8, 9, 10], "a live run is none of them");
    assert_eq!(fs::read_dir(plane.config.log_dir.join("a")).unwrap().count(), 9, "three files each");
    // A run that goes on is not among them until it ends again.
    let again = plane.attach(&key("a", 8));
    finished(&mut plane, &key("a", 10), 10);
    assert_eq!(runs(&plane, "a"), [7, 8, 9, 10]);
    plane.ended(&again.hang_up());
    assert_eq!(runs(&plane, "a"), [8, 9, 10]);
}

#[test]
fn runs_that_earlier_supervisors_left_beyond_their_number_go_beside_the_output() {
    let mut plane = Plane::with(|config| {
        config.runs = 10;
        for worker in ["a", "b"] {
            let dir = config.log_dir.join(worker);
            fs::create_dir_all(&dir).unwrap();
            for run in 1..=1_000_u64 {
                for file in ["stdout.log", "stderr.log"] {
                    File::create(dir.join(format!("{run}.{file}"))).unwrap();
                }
            }
        }
    });
    finished(&mut plane, &key("new", 1), 10);
    let files = |worker: &str| fs::read_dir(plane.config.log_dir.join(worker)).unwrap().count();
    let until = std::time::Instant::now() + DEADLINE;
    while files("a") + files("b") > 40 {
        assert!(std::time::Instant::now() < until, "{} and {}", files("a"), files("b"));
        plane.settle();
    }
    for worker in ["a", "b"] {
        assert_eq!(files(worker), 20);
        assert!(plane.path(&key(worker, 991), Stream::Stdout).exists(), "the newest stay");
    }
}
