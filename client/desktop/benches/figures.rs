//! Figures of the window, on a display of its own with OpenGL in software: start to first frame, idling, a flood of output,
//! 1,000 workers.
//!
//! `cargo build --release --bins && cargo bench -p gob-desktop`
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stdout,
    dead_code,
    reason = "a benchmark prints, fails by panicking, and uses a part of the tests' screen"
)]

#[path = "../tests/window/screen.rs"]
mod screen;

use gob_tests::wait;
use gob_tests::{Gob, Worker};
use screen::{Screen, Window};
use serde_json::json;
use std::time::Duration;

/// Time of each measurement.
const WHILE: Duration = Duration::from_secs(10);
/// Starts that are measured.
const STARTS: usize = 9;
/// Workers of the long list.
const MANY: usize = 1_000;

fn main() {
    start();
    idle();
    flood();
    many();
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

fn percentile(mut values: Vec<f64>, percent: usize) -> f64 {
    values.sort_by(f64::total_cmp);
    values[(values.len() * percent / 100).min(values.len() - 1)]
}

fn start() {
    let gob = Gob::with(Worker::Real);
    gob.ctl(["start", "notes"]).ok();
    let screen = Screen::open(&gob);
    let mut frames = Vec::new();
    for _ in 0..STARTS {
        let window = screen.window(&gob);
        frames.push(window.times()[0].at);
    }
    println!("start to first frame        {:6.0} ms", median(frames));
}

fn idle() {
    let gob = Gob::with(Worker::Real);
    gob.ctl(["start", "notes", "work"]).ok();
    let screen = Screen::open(&gob);
    let window = screen.window(&gob);
    // The supervisor looks for ports until 15 s after a start.
    wait::while_time_passes(Duration::from_secs(20));
    let (frames, cpu) = (window.frames(), cpu_ms(&window));
    wait::while_time_passes(WHILE);
    println!(
        "idle for 10 s               {:6.0} ms of CPU, {} frames, {:.1} MB PSS",
        cpu_ms(&window) - cpu,
        window.frames() - frames,
        pss_mb(&window)
    );
}

fn flood() {
    let gob = Gob::with(Worker::Real);
    let text: String =
        (0..100_000).map(|line| format!("{line:06} a line of output as programs write them\n")).collect();
    let file = gob.dir().join("flood");
    std::fs::write(&file, text).unwrap();
    let command = format!("while :; do cat {}; sleep 0.03; done", file.display());
    gob.ctl(["add", "--name", "flood", "--", "sh", "-c", &command]).ok();
    let screen = Screen::open(&gob);
    let window = screen.window(&gob);
    wait::while_time_passes(Duration::from_secs(2));
    let bytes = || gob.status()["log_bytes"].as_u64().unwrap();
    let (before, skip, cpu) = (bytes(), window.frames(), cpu_ms(&window));
    wait::while_time_passes(WHILE);
    let (written, cpu) = (bytes() - before, cpu_ms(&window) - cpu);
    let times = window.times();
    let times = &times[skip..];
    println!(
        "flood of {:4.0} MB/s          {:6.1} frames/s, frame p50 {:.1} ms, p99 {:.1} ms (drawn in p99 {:.1} ms), {:.0} % CPU, {:.0} MB PSS",
        written as f64 / 1e6 / WHILE.as_secs_f64(),
        times.len() as f64 / WHILE.as_secs_f64(),
        median(times.iter().map(|frame| frame.since).collect()),
        percentile(times.iter().map(|frame| frame.since).collect(), 99),
        percentile(times.iter().map(|frame| frame.took).collect(), 99),
        cpu / WHILE.as_millis() as f64 * 100.0,
        pss_mb(&window)
    );
    gob.ctl(["stop", "flood"]).ok();
}

fn many() {
    let gob = Gob::with(Worker::Real);
    let mut conn = gob.connect_as("desktop");
    let cwd = gob.dir().to_str().unwrap().to_owned();
    for number in 0..MANY {
        let command = ["true".to_owned(), number.to_string()];
        conn.ok("create", json!({"command": command, "cwd": cwd, "name": format!("job-{number}")}));
    }
    let screen = Screen::open(&gob);
    let window = screen.window(&gob);
    wait::while_time_passes(Duration::from_secs(2));
    let pss = pss_mb(&window);
    let skip = window.frames();
    for _ in 0..100 {
        window.key("Next");
    }
    for _ in 0..100 {
        window.key("Up");
    }
    let times = window.times();
    let took: Vec<f64> = times[skip..].iter().map(|frame| frame.took).collect();
    println!(
        "{MANY} workers               {pss:6.1} MB PSS; scrolling is drawn in p50 {:.1} ms, p99 {:.1} ms a frame",
        median(took.clone()),
        percentile(took, 99)
    );
}

/// Returns the CPU time of a process so far, in milliseconds.
fn cpu_ms(window: &Window<'_>) -> f64 {
    let stat = std::fs::read_to_string(format!("/proc/{}/stat", window.pid())).unwrap();
    let fields: Vec<&str> = stat.rsplit(") ").next().unwrap().split(' ').collect();
    // Fields 14 and 15 of proc(5), in ticks of 10 ms.
    let ticks: f64 = fields[11].parse::<f64>().unwrap() + fields[12].parse::<f64>().unwrap();
    ticks * 10.0
}

/// Returns the memory of a process, its share of what is shared.
fn pss_mb(window: &Window<'_>) -> f64 {
    let rollup = std::fs::read_to_string(format!("/proc/{}/smaps_rollup", window.pid())).unwrap();
    let line = rollup.lines().find(|line| line.starts_with("Pss:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse::<f64>().unwrap() / 1e3
}
