//! Speed and idle wake-ups: a flood against the floor, which is one loop that reads and writes 64 KiB at a
//! time; a hundred idle workers.
//!
//! ```text
//! cargo test --release -p gob-supervisor output::tests::bench -- --ignored --nocapture --test-threads 1
//! ```

use super::*;
use std::io::Read;
use std::time::Instant;

const BYTES: usize = 200 << 20;
const ROUNDS: usize = 5;

/// Writes lines from a process of its own, as a worker does.
fn flood(lines: &Path, out: impl Into<std::process::Stdio>) -> std::process::Child {
    let mut command = std::process::Command::new("dd");
    command.args(["bs=64k", "status=none"]).stdin(File::open(lines).unwrap()).stdout(out);
    command.spawn().unwrap()
}

fn cpu() -> Duration {
    let usage = nix::sys::resource::getrusage(nix::sys::resource::UsageWho::RUSAGE_SELF).unwrap();
    let both = [usage.user_time(), usage.system_time()];
    both.iter()
        .map(|t| Duration::from_micros(u64::try_from(t.tv_sec() * 1_000_000 + t.tv_usec()).unwrap()))
        .sum()
}

fn floor(dir: &Path, lines: &Path) {
    let (read, write) = pipe();
    let mut child = flood(lines, write);
    let (mut read, mut log) = (File::from(read), File::create(dir.join("floor.log")).unwrap());
    let mut bytes = vec![0; 64 * 1024];
    loop {
        match read.read(&mut bytes).unwrap() {
            0 => break,
            count => log.write_all(&bytes[..count]).unwrap(),
        }
    }
    child.wait().unwrap();
    fs::remove_file(dir.join("floor.log")).unwrap();
}

fn captured(plane: &mut Plane, run: u64, lines: &Path) {
    let key = key("flood", run);
    let (stdout, write) = pipe();
    let pipes = Pipes { stdout: Some(stdout), stderr: None };
    let tap = plane.output.attach(key.clone(), pipes, Watches::default());
    let mut child = flood(lines, write);
    plane.ended(&tap);
    child.wait().unwrap();
    assert_eq!(fs::metadata(plane.path(&key, Stream::Stdout)).unwrap().len(), BYTES as u64);
    plane.output.forget(key.name);
    plane.settle();
}

#[test]
#[ignore = "a benchmark"]
fn capture_of_200_mb_of_lines() {
    let mut plane = Plane::with(|config| config.rotate_bytes = 1 << 30);
    let dir = plane.dir.clone();
    let lines = dir.join("lines");
    let line = "a line of about sixty bytes, as programs like to write them\n";
    let all = line.repeat(BYTES / line.len() + 1);
    fs::write(&lines, &all.as_bytes()[..BYTES]).unwrap();
    let mut ratios = Vec::new();
    for round in 0..ROUNDS {
        let mut figures = [(0.0, 0.0); 2];
        for (at, figure) in figures.iter_mut().enumerate() {
            let (start, before) = (Instant::now(), cpu());
            if at == 0 {
                floor(&dir, &lines)
            } else {
                captured(&mut plane, round as u64 + 1, &lines)
            }
            let gigabytes = BYTES as f64 / 1e9;
            *figure = (
                gigabytes * 1000.0 / start.elapsed().as_secs_f64(),
                (cpu() - before).as_secs_f64() / gigabytes,
            );
        }
        let [(floor, floor_cpu), (gob, gob_cpu)] = figures;
        println!(
            "floor {floor:.0} MB/s {floor_cpu:.2} s/GB, gob {gob:.0} MB/s {gob_cpu:.2} s/GB, ratio {:.2}",
            gob / floor
        );
        ratios.push(gob / floor);
    }
    ratios.sort_by(f64::total_cmp);
    println!("median ratio {:.2}, dropped {}", ratios[ROUNDS / 2], plane.output.counters().1);
    assert_eq!(plane.output.counters().1, 0);
}

/// Returns the context switches of the data plane's threads.
fn switches() -> u64 {
    let tasks = fs::read_dir("/proc/self/task").unwrap().map(|task| task.unwrap().path());
    let ours = tasks.filter(|task| fs::read_to_string(task.join("comm")).unwrap().starts_with("output-"));
    let status = ours.map(|task| fs::read_to_string(task.join("status")).unwrap());
    let count = |status: String| -> u64 {
        let line = status.lines().find(|line| line.starts_with("voluntary_ctxt_switches")).unwrap();
        line.split_whitespace().nth(1).unwrap().parse().unwrap()
    };
    status.map(count).sum()
}

#[test]
#[ignore = "takes its time, and no other test may run beside it"]
fn a_hundred_idle_workers_wake_nobody() {
    let plane = Plane::new();
    let mut workers: Vec<_> = (0..100).map(|n| plane.attach(&key(&format!("w{n}"), 1))).collect();
    workers.iter_mut().for_each(|worker| worker.out("hello\n"));
    plane.settle();
    let before = switches();
    plane.runtime.block_on(async { tokio::time::sleep(Duration::from_secs(5)).await });
    assert_eq!(switches(), before);
}
