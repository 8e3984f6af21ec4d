//! Workers that write as fast as they can, whose pipes are lent to the writer.

use super::*;
use std::thread::JoinHandle;

/// Writes numbered lines from a thread of its own, until there are `lines` of them or the pipe has no reader.
fn flood(mut out: File, lines: u64) -> JoinHandle<u64> {
    std::thread::spawn(move || {
        let mut block = String::new();
        for n in 0..lines {
            block += &format!("line {n} of a flood\n");
            if block.len() > 100_000 || n + 1 == lines {
                if out.write_all(block.as_bytes()).is_err() {
                    return n;
                }
                block.clear();
            }
        }
        lines
    })
}

fn expected(lines: u64) -> String {
    (0..lines).map(|n| format!("line {n} of a flood\n")).collect()
}

fn assert_index_covers(plane: &Plane, key: &RunKey, bytes: u64) {
    let mut end = 0;
    for record in plane.index(key).iter().filter(|record| record.stream == Stream::Stdout) {
        assert_eq!(record.offset, end, "no hole and no overlap");
        end += u64::from(record.len.unwrap_or(0));
    }
    assert_eq!(end, bytes);
}

#[test]
fn a_pipe_that_fills_while_nobody_reads_takes_little_more_and_has_its_room_back_afterwards() {
    use nix::fcntl::{FcntlArg, OFlag, fcntl};
    let mut plane = Plane::new();
    let key = key("flood", 1);
    let mut worker = plane.attach(&key);
    worker.out("begin\n");
    plane.settle();
    plane.output.rest();
    let deadline = std::time::Instant::now() + DEADLINE;
    while !plane.output.rests() {
        assert!(std::time::Instant::now() < deadline, "the threads go on");
        std::thread::yield_now();
    }
    let size = |pipe: &File| fcntl(pipe, FcntlArg::F_GETPIPE_SZ).unwrap();
    let usual = size(&worker.out);
    assert!(!plane.output.squeeze(), "the first look has nothing to compare with");
    worker.err("a word\n");
    assert!(!plane.output.squeeze(), "a word is no flood");
    let line = "x".repeat(4_999) + "\n";
    worker.out(&line);
    assert!(plane.output.squeeze(), "it has grown");
    fcntl(&worker.out, FcntlArg::F_SETFL(OFlag::O_NONBLOCK)).unwrap();
    while worker.out.write(&[b'y'; 512]).is_ok() {}
    assert!(size(&worker.out) < usual && size(&worker.err) == usual, "only the flood has to wait");
    plane.output.go_on().unwrap();
    plane.settle();
    assert_eq!((size(&worker.out), size(&worker.err)), (usual, usual));
    let text = plane.text(&key, Stream::Stdout);
    let rest = text.strip_prefix(&format!("begin\n{line}")).unwrap();
    assert!(rest.len() < usual as usize && rest.bytes().all(|byte| byte == b'y'), "{} bytes", rest.len());
    assert_eq!(plane.text(&key, Stream::Stderr), "a word\n");
}

#[test]
fn floods_side_by_side_and_a_quiet_worker_lose_nothing() {
    const LINES: u64 = 400_000;
    let mut plane = Plane::with(|config| (config.rotate_bytes, config.keep) = (1 << 20, 100));
    let keys: Vec<RunKey> = (0..4).map(|n| key(&format!("flood{n}"), 1)).collect();
    let floods: Vec<_> = keys.iter().map(|key| flood(plane.attach(key).out, LINES)).collect();
    let quiet = key("quiet", 1);
    let mut worker = plane.attach(&quiet);
    for n in 0..20 {
        worker.err(&format!("{n}\n"));
        plane.output.drain(quiet.clone());
    }
    assert_eq!(plane.report(), FromOutput::Drained { key: quiet.clone() });
    assert!(floods.into_iter().all(|flood| flood.join().unwrap() == LINES));
    plane.ended(&worker.hang_up());
    let all = expected(LINES);
    for key in &keys {
        assert!(all_files(&plane.path(key, Stream::Stdout)).concat() == all, "byte for byte");
        assert_index_covers(&plane, key, all.len() as u64);
    }
    assert_eq!(plane.text(&quiet, Stream::Stderr), (0..20).map(|n| format!("{n}\n")).collect::<String>());
    assert_eq!(plane.output.counters().1, 0);
}

#[test]
fn a_flood_that_calms_down_is_an_ordinary_worker_again() {
    let mut plane = Plane::new();
    let key = key("a", 1);
    let mut worker = plane.attach(&key);
    for round in 0..5 {
        flood(worker.out.try_clone().unwrap(), 20_000).join().unwrap();
        for n in 0..20 {
            worker.out(&format!("{n}\n"));
            plane.drain(&key);
            assert_eq!(worker.tap.last_lines().last(), Some(&n.to_string()), "round {round}");
        }
    }
    plane.settle();
    let calm: String = (0..20).map(|n| format!("{n}\n")).collect();
    let all = (expected(20_000) + &calm).repeat(5);
    assert!(plane.text(&key, Stream::Stdout) == all);
    assert_index_covers(&plane, &key, all.len() as u64);
}

#[test]
fn orders_are_carried_out_in_the_middle_of_a_flood() {
    const LINES: u64 = 2_000_000;
    let mut plane = Plane::new();
    let key = key("a", 1);
    let worker = plane.attach(&key);
    let flood = flood(worker.out, LINES);
    drop(worker.err);
    for _ in 0..20 {
        plane.drain(&key);
        plane.settle();
    }
    assert_eq!(flood.join().unwrap(), LINES);
    plane.settle();
    let last = format!("line {} of a flood", LINES - 1);
    assert_eq!(worker.tap.last_lines().last(), Some(&last));
    let files = all_files(&plane.path(&key, Stream::Stdout));
    assert!(expected(LINES).ends_with(&files.concat()), "byte for byte");
    assert_eq!(plane.output.counters(), (expected(LINES).len() as u64, 0));
}

#[test]
fn a_run_that_is_forgotten_in_the_middle_of_a_flood_is_detached() {
    let mut plane = Plane::new();
    let key = key("a", 1);
    let worker = plane.attach(&key);
    let flood = flood(worker.out, u64::MAX);
    plane.drain(&key);
    plane.output.forget(key.name.clone());
    assert!(flood.join().unwrap() < u64::MAX, "its pipe is closed");
    plane.settle();
    assert!(!plane.config.log_dir.join("a").exists());
}
