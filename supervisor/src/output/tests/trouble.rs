//! Disks that hang, are full, or take no larger file; paths that are traps.

use super::*;
use crate::alone::alone_under;
use std::io::Read;
use std::os::unix::fs::symlink;
use std::process::Command;
use std::sync::atomic::Ordering;
use std::time::Instant;

#[test]
fn a_hung_disk_blocks_no_worker_and_its_losses_are_counted() {
    const BYTES: usize = 24 << 20;
    let mut plane = Plane::new();
    let hung = key("hung", 1);
    // Opening a FIFO for writing waits for a reader: a disk that hangs, and can be released again.
    let path = plane.path(&hung, Stream::Stdout);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    nix::unistd::mkfifo(&path, nix::sys::stat::Mode::S_IRWXU).unwrap();
    let mut worker = plane.attach(&hung);
    worker.out(&"x".repeat(BYTES));
    let dropped = plane.output.counters().1;
    assert!(dropped > BYTES as u64 / 2 && plane.output.counters().0 == 0, "{dropped} bytes were dropped");

    let quick = Instant::now();
    let mut other = plane.attach_watched(&key("other", 1), handshake());
    other.out("{\"ready\":true}\n");
    assert!(matches!(plane.report(), FromOutput::Handshake { result: Ok(_), .. }));
    plane.drain(&hung);
    assert!(quick.elapsed() < Duration::from_millis(500), "others notice nothing");
    assert!(!plane.output.flush(Duration::from_millis(10)), "not without what is still to be written");

    // Open both ways, so that it does not end when the log is opened again.
    let mut disk = File::options().read(true).write(true).open(path).unwrap();
    let copy = disk.try_clone().unwrap();
    let reader = std::thread::spawn(move || count_until_end(copy));
    plane.ended(&worker.hang_up());
    let (written, dropped) = plane.output.counters();
    plane.settle();
    assert_eq!(written + dropped, BYTES as u64 + 15, "every byte is accounted for");
    disk.write_all(b"END").unwrap();
    assert_eq!(reader.join().unwrap() as u64, written - 15);
    assert_eq!(plane.text(&key("other", 1), Stream::Stdout), "{\"ready\":true}\n");
}

/// Reads a FIFO until its last bytes are `END`, and counts the bytes before.
fn count_until_end(mut fifo: File) -> usize {
    let (mut total, mut bytes) = (0, vec![0; 64 * 1024]);
    loop {
        let count = fifo.read(&mut bytes).unwrap();
        total += count;
        if bytes[..count].ends_with(b"END") {
            return total - 3;
        }
    }
}

#[test]
fn a_disk_that_hangs_in_the_middle_of_a_flood() {
    const BYTES: usize = 24 << 20;
    let plane = Plane::new();
    let key = key("hung", 1);
    let path = plane.path(&key, Stream::Stdout);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    nix::unistd::mkfifo(&path, nix::sys::stat::Mode::S_IRWXU).unwrap();
    // Open, but not read: bytes are written until it is full.
    let mut disk = File::options().read(true).write(true).open(path).unwrap();
    let mut worker = plane.attach(&key);
    worker.out(&"x".repeat(BYTES));
    assert!(plane.output.counters().1 > BYTES as u64 / 2);
    let copy = disk.try_clone().unwrap();
    let reader = std::thread::spawn(move || count_until_end(copy));
    plane.ended(&worker.hang_up());
    let (written, dropped) = plane.output.counters();
    assert_eq!(written + dropped, BYTES as u64);
    disk.write_all(b"END").unwrap();
    assert_eq!(reader.join().unwrap() as u64, written);
}

#[test]
fn a_full_disk_costs_bytes_until_there_is_room_again() {
    let mount = std::env::temp_dir().join(format!("gob-output-test-{}-tmpfs", std::process::id()));
    fs::create_dir_all(&mount).unwrap();
    let mounted =
        Command::new("mount").args(["-t", "tmpfs", "-o", "size=1m", "gob-test"]).arg(&mount).output();
    if !mounted.is_ok_and(|mount| mount.status.success()) {
        fs::remove_dir(&mount).unwrap();
        let of = |name| std::env::var(name).unwrap_or_default();
        let allowed = of("GOB_TEST_ALLOW").split(',').any(|name| name == "mounts");
        assert!(allowed || of("GOB_TEST_REQUIRE") != "all", "no right to mount a file system");
        eprintln!("SKIPPED (mounts): no right to mount a file system");
        return;
    }
    let unmount = Unmount(mount.clone());
    let filler = mount.join("filler");
    fs::write(&filler, vec![0; 512 * 1024]).unwrap();
    let plane = Plane::with(|config| config.log_dir = mount.join("logs"));
    let key = key("a", 1);
    let mut worker = plane.attach(&key);
    worker.out(&"x\n".repeat(1 << 20));
    plane.settle();
    let (written, dropped) = plane.output.counters();
    assert_eq!(written + dropped, 2 << 20);
    assert!(written > 256 << 10 && dropped > 1 << 20, "{written} {dropped}");
    assert_eq!(fs::metadata(plane.path(&key, Stream::Stdout)).unwrap().len(), written);

    fs::remove_file(&filler).unwrap();
    let (until, before) = (Instant::now() + DEADLINE, written);
    while plane.output.counters().0 == before {
        assert!(Instant::now() < until);
        worker.out("again\n");
        plane.settle();
    }
    assert!(plane.text(&key, Stream::Stdout).ends_with("x\nagain\n"));
    let records = plane.index(&key);
    let told: u64 = records.iter().filter_map(|r| r.len).map(u64::from).sum();
    let end = records.last().map(|r| r.offset + u64::from(r.len.unwrap())).unwrap();
    assert_eq!(end, plane.output.counters().0, "offsets are places in the file");
    assert!(told <= end);
    drop(plane);
    drop(unmount);
}

struct Unmount(PathBuf);

impl Drop for Unmount {
    fn drop(&mut self) {
        Command::new("umount").arg("-l").arg(&self.0).status().ok();
        fs::remove_dir(&self.0).ok();
    }
}

#[test]
fn a_file_that_may_not_grow_costs_bytes_and_nothing_else() {
    let name = "output::tests::trouble::a_file_that_may_not_grow_costs_bytes_and_nothing_else";
    // SIGXFSZ is ignored, as in the supervisor.
    if !alone_under(name, "trap '' XFSZ; ulimit -f 100; exec \"$@\"") {
        return;
    }
    let plane = Plane::new();
    let mut worker = plane.attach(&key("a", 1));
    worker.out(&"x".repeat(300_000));
    worker.err("err\n");
    plane.settle();
    let (written, dropped) = plane.output.counters();
    let size = fs::metadata(plane.path(&key("a", 1), Stream::Stdout)).unwrap().len();
    assert!(size == 51_200 || size == 102_400, "{size}: blocks of 512 or of 1024 bytes");
    assert_eq!(written + dropped, 300_004);
}

#[test]
fn links_are_not_followed_and_other_workers_go_on() {
    let plane = Plane::new();
    let target = plane.dir.join("target");
    fs::write(&target, "mine").unwrap();
    let trap = key("trap", 1);
    let path = plane.path(&trap, Stream::Stdout);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    symlink(&target, &path).unwrap();
    let mut worker = plane.attach(&trap);
    let mut other = plane.attach(&key("other", 1));
    worker.out("x");
    other.out("y");
    plane.settle();
    assert_eq!(fs::read_to_string(&target).unwrap(), "mine");
    assert_eq!(plane.output.counters(), (1, 1));
    plane.ended(&worker.hang_up());
}

#[test]
fn directories_that_went_away_come_back_with_the_next_file() {
    let plane = Plane::with(|config| (config.rotate_bytes, config.keep) = (10, 2));
    let mut worker = plane.attach(&key("a", 1));
    worker.out("0123456789");
    plane.settle();
    fs::remove_dir_all(&plane.config.log_dir).unwrap();
    worker.out("next\n");
    plane.settle();
    assert_eq!(plane.text(&key("a", 1), Stream::Stdout), "next\n");
    assert_eq!(plane.output.counters(), (15, 0));
}

#[test]
fn deleted_files_are_begun_anew_and_offsets_go_on() {
    let plane = Plane::new();
    let (lost, whole) = (key("lost", 1), key("whole", 1));
    let (mut worker, mut other) = (plane.attach(&lost), plane.attach(&whole));
    worker.out("before\n");
    other.out("whole\n");
    plane.settle();
    fs::remove_dir_all(plane.path(&lost, Stream::Stdout).parent().unwrap()).unwrap();
    plane.output.find_again();
    plane.settle();
    assert_eq!(plane.text(&lost, Stream::Stderr), "", "they are there before anything is written");
    worker.out("after\n");
    other.out(" and well\n");
    plane.settle();
    assert_eq!(plane.text(&lost, Stream::Stdout), "after\n");
    assert_eq!(plane.text(&whole, Stream::Stdout), "whole\n and well\n");
    assert_eq!(plane.output.counters().1, 0);
    let records = plane.index(&lost);
    assert_eq!((records[0].offset, records[0].len), (7, None), "the file starts behind what is lost");
    let told = records.iter().find(|record| record.len == Some(6)).unwrap();
    assert_eq!((told.stream, told.offset), (Stream::Stdout, 7));
    assert!(plane.index(&whole).iter().all(|record| record.len.is_some()), "no file began anew");
}

#[test]
fn bytes_behind_an_order_to_find_files_again_are_in_the_new_file() {
    let plane = Plane::new();
    let key = key("a", 1);
    let mut worker = plane.attach(&key);
    worker.out("before\n");
    plane.settle();
    fs::remove_dir_all(&plane.config.log_dir).unwrap();
    // As when the order still waits behind other jobs of the writer.
    plane.output.exchange.counters.losses.fetch_add(1, Ordering::Release);
    worker.out("after\n");
    plane.settle();
    assert_eq!(plane.text(&key, Stream::Stdout), "after\n");

    // A failure of before the loss was healed does not make it wait.
    fs::remove_dir_all(&plane.config.log_dir).unwrap();
    fs::write(&plane.config.log_dir, "in its place").unwrap();
    plane.output.find_again();
    worker.out("dropped\n");
    plane.settle();
    fs::remove_file(&plane.config.log_dir).unwrap();
    plane.output.find_again();
    worker.out("written\n");
    plane.settle();
    assert_eq!(plane.text(&key, Stream::Stdout), "written\n");
    assert_eq!(plane.output.counters(), (21, 8));
}

#[test]
fn a_deleted_or_cut_file_is_noticed_by_the_next_write() {
    let plane = Plane::with(|config| config.rotate_bytes = 1000);
    let full = format!("{}\n", "x".repeat(999));
    let key = key("a", 1);
    let mut worker = plane.attach(&key);
    let path = plane.path(&key, Stream::Stdout);
    let losses = [
        ("deleted", (|path| fs::remove_file(path).unwrap()) as fn(&Path)),
        ("replaced", |path| {
            fs::write(path.with_extension("other"), "somebody else's").unwrap();
            fs::rename(path.with_extension("other"), path).unwrap();
        }),
        ("cut", |path| File::options().write(true).open(path).unwrap().set_len(2).unwrap()),
    ];
    let mut sent = 0;
    let mut out = |text: &str| {
        worker.out(text);
        plane.settle();
        sent += text.len() as u64;
        sent
    };
    for (what, lose) in losses {
        out("\n");
        let start = out(&full);
        out("before\n");
        assert_eq!(fs::read_to_string(rotation::rotated(&path, 1)).unwrap(), full, "{what}");
        lose(&path);
        // Until the next check the bytes go to the deleted file.
        let until = Instant::now() + DEADLINE;
        let end = loop {
            let end = out(".");
            if fs::read_to_string(&path).is_ok_and(|text| text == ".") {
                break end;
            }
            assert!(Instant::now() < until, "{what}");
            let pause = async { timeout(Duration::from_millis(50), std::future::pending::<()>()).await };
            plane.runtime.block_on(pause).unwrap_err();
        };
        let [hole, kept] = [1, 2].map(|n| fs::read(rotation::rotated(&path, n)).unwrap());
        assert_eq!(hole.len() as u64 + 1 + start, end, "{what}: it has the place of what is lost");
        assert!(hole.iter().all(|byte| *byte == 0), "{what}");
        assert_eq!(kept, full.as_bytes(), "{what}: that nobody touched");
        let records = plane.index(&key);
        let [.., mark, last] = &*records else { panic!("{what}: {records:?}") };
        assert_eq!((mark.offset, mark.len), (end - 1, None), "{what}: the file starts behind what is lost");
        assert_eq!((last.offset, last.len), (end - 1, Some(1)), "{what}");
    }
    assert_eq!(plane.output.counters().1, 0);
}
