//! Tests of the files' content and names.

use super::*;
use std::os::unix::fs::PermissionsExt;

fn mode(path: &Path) -> u32 {
    fs::symlink_metadata(path).unwrap().permissions().mode() & 0o777
}

#[test]
fn files_are_there_from_the_start_and_private() {
    let plane = Plane::new();
    let key = key("a/b é", 3);
    let mut worker = plane.attach(&key);
    plane.settle();
    let dir = plane.config.log_dir.join("a~2Fb~20~C3~A9");
    for (path, bits) in [
        (plane.config.log_dir.clone(), 0o700),
        (dir.clone(), 0o700),
        (dir.join("3.stdout.log"), 0o600),
        (dir.join("3.stderr.log"), 0o600),
    ] {
        assert_eq!(mode(&path), bits, "{}", path.display());
    }
    worker.out("x");
    plane.settle();
    assert_eq!(mode(&dir.join("3.idx")), 0o600);
}

#[test]
fn both_streams_are_kept_byte_for_byte_and_in_order() {
    let mut plane = Plane::new();
    let key = key("a", 1);
    let mut worker = plane.attach(&key);
    let mut expected = Vec::new();
    for n in 0..50 {
        worker.out(&format!("out {n}\n"));
        plane.drain(&key);
        worker.err(&format!("\u{7f}err {n}"));
        plane.drain(&key);
        expected.extend([Stream::Stdout, Stream::Stderr]);
    }
    plane.settle();
    let all = |make: fn(usize) -> String| (0..50).map(make).collect::<String>();
    assert_eq!(plane.text(&key, Stream::Stdout), all(|n| format!("out {n}\n")));
    assert_eq!(plane.text(&key, Stream::Stderr), all(|n| format!("\u{7f}err {n}")));
    let records = plane.index(&key);
    assert_eq!(records.iter().map(|r| r.stream).collect::<Vec<_>>(), expected);
    for stream in [Stream::Stdout, Stream::Stderr] {
        let mut next = 0;
        for record in records.iter().filter(|r| r.stream == stream) {
            assert_eq!(record.offset, next);
            next += u64::from(record.len.unwrap());
        }
        assert_eq!(next, fs::metadata(plane.path(&key, stream)).unwrap().len());
    }
    assert_eq!(plane.output.counters(), (all(|n| format!("out {n}\nxerr {n}")).len() as u64, 0));
}

#[test]
fn rotation_keeps_whole_lines_and_every_byte_in_its_place() {
    let mut plane = Plane::with(|config| (config.rotate_bytes, config.keep) = (1000, 3));
    let key = key("a", 1);
    let mut worker = plane.attach(&key);
    let mut all = String::new();
    for n in 0..900 {
        let line = format!("line {n} {}\n", "x".repeat(n % 50));
        worker.out(&line);
        all += &line;
        if n % 7 == 0 {
            plane.drain(&key);
        }
    }
    plane.settle();
    let files = all_files(&plane.path(&key, Stream::Stdout));
    assert_eq!(files.len(), 4, "three rotated ones and the current one");
    assert!(files.iter().all(|file| file.len() <= 1000 && file.ends_with('\n')));
    assert!(files[..3].iter().all(|file| file.len() > 900));
    assert!(all.ends_with(&files.concat()), "no byte is missing at a seam");
    let mark = plane.index(&key).into_iter().rfind(|r| r.len.is_none()).unwrap();
    assert_eq!(mark.offset as usize, all.len() - files[3].len());
}

#[test]
fn a_line_that_fits_no_file_is_cut() {
    let plane = Plane::with(|config| (config.rotate_bytes, config.keep) = (1000, 9));
    let key = key("a", 1);
    let mut worker = plane.attach(&key);
    worker.out("short\n");
    plane.settle();
    worker.out(&"y".repeat(2500));
    worker.out("\nafter\n");
    plane.settle();
    let sizes: Vec<usize> = all_files(&plane.path(&key, Stream::Stdout)).iter().map(String::len).collect();
    assert_eq!(sizes, [6, 1000, 1000, 507]);
}

#[test]
fn with_keep_zero_no_rotated_file_is_kept() {
    let plane = Plane::with(|config| (config.rotate_bytes, config.keep) = (100, 0));
    let key = key("a", 1);
    let mut worker = plane.attach(&key);
    (0..100).for_each(|n| worker.out(&format!("line {n}\n")));
    plane.settle();
    let files = all_files(&plane.path(&key, Stream::Stdout));
    assert!(files.len() == 1 && files[0].len() <= 100 && files[0].ends_with("line 99\n"), "{files:?}");
}

#[test]
fn the_index_forgets_deleted_files() {
    let mut plane = Plane::with(|config| (config.rotate_bytes, config.keep) = (2000, 2));
    let key = key("a", 1);
    let mut worker = plane.attach(&key);
    // Alternating streams make a record of every line.
    for n in 0..6000 {
        worker.out(&format!("line {n}\n"));
        plane.drain(&key);
        if n % 10 == 0 {
            worker.err("e\n");
            plane.drain(&key);
        }
    }
    plane.settle();
    let size = fs::metadata(plane.index_path(&key)).unwrap().len();
    assert!(size < 130 * 1024, "an index of {size} bytes");
    let records = plane.index(&key);
    let kept: u64 = all_files(&plane.path(&key, Stream::Stdout)).iter().map(|f| f.len() as u64).sum();
    let end = records
        .iter()
        .rfind(|r| r.stream == Stream::Stdout)
        .map(|r| r.offset + u64::from(r.len.unwrap()))
        .unwrap();
    let mut next = end - kept;
    for record in records.iter().filter(|r| r.stream == Stream::Stdout && r.offset >= end - kept) {
        assert_eq!(record.offset, next, "what is kept is told of without a hole");
        next += u64::from(record.len.unwrap_or(0));
    }
    assert_eq!(next, end);
    let errors: u32 = records.iter().filter(|r| r.stream == Stream::Stderr).filter_map(|r| r.len).sum();
    assert_eq!(errors, 1200, "nothing of the other stream is forgotten");
}

#[test]
fn more_runs_than_files_may_be_open() {
    let plane = Plane::new();
    let mut workers: Vec<_> = (0..300).map(|n| plane.attach(&key(&format!("w{n}"), 1))).collect();
    for round in 0..3 {
        for (n, worker) in workers.iter_mut().enumerate() {
            worker.out(&format!("{n} in round {round}\n"));
        }
        plane.settle();
    }
    for n in 0..300 {
        let text: String = (0..3).map(|round| format!("{n} in round {round}\n")).collect();
        assert_eq!(plane.text(&key(&format!("w{n}"), 1), Stream::Stdout), text);
        assert_eq!(plane.index(&key(&format!("w{n}"), 1)).len(), 3);
    }
    let logs = plane.dir.display().to_string();
    let fds = fs::read_dir("/proc/self/fd").unwrap().flatten();
    let open = fds.filter_map(|fd| fs::read_link(fd.path()).ok()).filter(|p| p.starts_with(&logs)).count();
    assert!(open <= 3 * 129, "{open} log files are open");
}

#[test]
fn files_that_a_supervisor_before_began_are_continued() {
    let mut plane = Plane::with(|config| (config.rotate_bytes, config.keep) = (1000, 3));
    let key = key("a", 1);
    let mut worker = plane.attach(&key);
    for n in 0..60 {
        worker.out(&format!("old line of the run {n}\n"));
        plane.drain(&key);
    }
    drop(worker);
    plane.settle();
    let config = plane.config.clone();
    let next = Plane::start(plane.dir.join("next"), config, 8);
    let mut worker = next.attach(&key);
    worker.out("new line\n");
    drop(worker);
    next.settle();
    let all: String = (0..60).map(|n| format!("old line of the run {n}\n")).collect();
    let all = all + "new line\n";
    let files = all_files(&plane.path(&key, Stream::Stdout));
    assert_eq!(files.concat(), all);
    let mut end = 0;
    for record in plane.index(&key) {
        assert_eq!(record.offset, end);
        end += u64::from(record.len.unwrap_or(0));
    }
    assert_eq!(end, all.len() as u64);
}
