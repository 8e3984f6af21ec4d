//! The terminal's screen: first frame, keystroke to frame beside a flood and without one, frames of a flood, rest, memory.

use crate::idle::come_to_rest;
use crate::table::{Table, Target};
use gob_tests::process::{self, Handle};
use gob_tests::screen::Screen;
use gob_tests::{Gob, Worker};
use serde_json::json;
use std::time::{Duration, Instant};

const MB: f64 = 1024.0 * 1024.0;
const SIZE: (u16, u16) = (120, 40);
/// Time between two keys, as of a key that is held down: not more than a screen has frames.
const BETWEEN_KEYS: Duration = Duration::from_millis(40);

/// The sizes of the measurements.
pub struct Sizes {
    /// Screens that are opened.
    pub starts: usize,
    /// Keys that are typed, in each of both worlds.
    pub keys: usize,
    /// Workers of the large world.
    pub workers: usize,
    /// Lines of the large log.
    pub lines: u64,
    /// Seconds at rest.
    pub idle_s: u64,
}

/// Measures all of it.
pub fn run(table: &mut Table, sizes: &Sizes) {
    let quiet = world();
    let loud = world();
    job(
        &loud,
        "flood",
        "exec yes 'a line of a hundred characters, as a server in trouble writes them again and again, without an end: 0123'",
    );
    starts(table, sizes, &quiet);
    let (mut calm, mut flooded) = (open(&quiet), open(&loud));
    flooded.keys(":flood\r");
    flooded.wait_for("a line of a hundred");
    keys(table, sizes, &mut calm, &mut flooded);
    let before = flooded.frames().len();
    pass(&flooded, Duration::from_secs(5));
    let frames = (flooded.frames().len() - before) as f64 / 5.0;
    table.alone("frames a second beside a flood, without a key", "", frames, 30.0);
    drop(flooded);
    loud.ctl(["stop", "flood"]).ok();
    rest(table, sizes, &calm);
    pss(table, &calm, "2 workers", 12.0);
    many(table, sizes);
    large_log(table, sizes);
}

fn world() -> Gob {
    let gob = Gob::with(Worker::Real);
    gob.ctl(["start", "alpha", "beta"]).ok();
    gob
}

fn job(gob: &Gob, name: &str, script: &str) {
    gob.ctl(["add", "--name", name, "--", "sh", "-c", script]).cwd(&gob.dir().join("home")).ok();
}

fn open(gob: &Gob) -> Screen {
    let mut call = gob.ctl(["tui"]);
    call.env("TERM", "xterm-256color").cwd(&gob.dir().join("home"));
    let screen = Screen::open(call, SIZE);
    screen.wait_for("ready");
    screen
}

/// Lets time pass while the program lives.
fn pass(screen: &Screen, time: Duration) {
    let alive = Handle::open(screen.pid()).expect("a child");
    assert!(!alive.wait_gone(time), "the screen has ended");
}

fn quantile(samples: &mut [f64], part: f64) -> f64 {
    samples.sort_by(f64::total_cmp);
    samples[((samples.len() - 1) as f64 * part).round() as usize]
}

fn starts(table: &mut Table, sizes: &Sizes, gob: &Gob) {
    let mut first = Vec::new();
    let mut pings = Vec::new();
    for _ in 0..sizes.starts {
        let begun = Instant::now();
        let screen = open(gob);
        let shown = screen.wait_to_see("a frame", |emulator| emulator.frames().count() > 0);
        first.push(shown.duration_since(begun).as_secs_f64() * 1e3);
        drop(screen);
        let begun = Instant::now();
        gob.ctl(["ping"]).ok();
        pings.push(begun.elapsed().as_secs_f64() * 1e3);
    }
    let measured = (quantile(&mut first, 0.5), quantile(&mut pings, 0.5));
    table.against("start → the workers are shown", "ms", measured, "gobctl ping", Target::RatioAtMost(4.0));
}

/// Types a key that moves the selection, and returns the milliseconds until a frame that shows it.
fn key(screen: &mut Screen, down: bool) -> f64 {
    let (key, name) = if down { ("j", "2 beta") } else { ("k", "2 alpha") };
    let begun = Instant::now();
    screen.keys(key);
    let shown = screen.wait_to_see(name, |emulator| emulator.find(name).is_some());
    shown.duration_since(begun).as_secs_f64() * 1e3
}

fn keys(table: &mut Table, sizes: &Sizes, calm: &mut Screen, flooded: &mut Screen) {
    // The filter leaves two workers to move between; the flood's log goes on in the supervisor.
    for screen in [&mut *calm, &mut *flooded] {
        screen.keys("/a\r");
        screen.keys("g");
        screen.wait_for("2 alpha");
    }
    let (mut quiet, mut loud) = (Vec::new(), Vec::new());
    for number in 0..sizes.keys {
        quiet.push(key(calm, number % 2 == 0));
        loud.push(key(flooded, number % 2 == 0));
        pass(calm, BETWEEN_KEYS);
    }
    let at = |samples: &mut Vec<f64>, part| quantile(samples, part);
    let medians = (at(&mut loud, 0.5), at(&mut quiet, 0.5));
    table.against(
        "keystroke → frame beside a flood, median",
        "ms",
        medians,
        "without",
        Target::RatioAtMost(3.0),
    );
    let last = (at(&mut loud, 0.99), at(&mut quiet, 0.99));
    table.against("keystroke → frame beside a flood, p99", "ms", last, "without", Target::RatioAtMost(4.0));
    flooded.keys("\u{1b}");
    flooded.wait_gone("filter: a");
    flooded.keys(":flood\r");
    flooded.wait_for("2 flood");
}

fn ticks(pid: i32) -> u64 {
    let field = |number| process::stat_field(pid, number).and_then(|ticks| ticks.parse::<u64>().ok());
    field(14).zip(field(15)).map_or(0, |(user, system)| user + system)
}

fn rest(table: &mut Table, sizes: &Sizes, calm: &Screen) {
    come_to_rest(calm.pid());
    let before = (process::voluntary_switches(calm.pid()), ticks(calm.pid()));
    pass(calm, Duration::from_secs(sizes.idle_s));
    let after = (process::voluntary_switches(calm.pid()), ticks(calm.pid()));
    let what = |what: &str| format!("{what} of a screen at rest in {} s", sizes.idle_s);
    table.alone(&what("wake-ups"), "", (after.0 - before.0) as f64, 0.0);
    table.alone(&what("processor time"), "ms", (after.1 - before.1) as f64 * 10.0, 0.0);
}

fn pss(table: &mut Table, screen: &Screen, when: &str, most: f64) {
    let what = format!("PSS of the screen, {when}");
    match process::smaps_bytes(screen.pid(), "Pss") {
        Some(bytes) => table.alone(&what, "MB", bytes as f64 / MB, most),
        None => table.skip(&what, "smaps_rollup can't be read"),
    }
}

fn many(table: &mut Table, sizes: &Sizes) {
    let gob = world();
    let mut conn = gob.connect_as("cli");
    for number in 0..sizes.workers {
        let job = json!({"name": format!("job-{number:04}"), "command": ["true", number.to_string()], "cwd": gob.dir(), "env": {}});
        conn.ok("create", job);
    }
    let mut screen = open(&gob);
    let count = format!("{} idle", sizes.workers);
    screen.wait_for(&count);
    screen.keys("/a\r");
    screen.wait_for("2 alpha");
    let mut samples = Vec::new();
    for number in 0..sizes.keys.div_ceil(4) {
        samples.push(key(&mut screen, number % 2 == 0));
        pass(&screen, BETWEEN_KEYS);
    }
    table.alone(
        &format!("keystroke → frame with {} workers, median", sizes.workers),
        "ms",
        quantile(&mut samples, 0.5),
        33.0,
    );
    pss(table, &screen, &format!("{} workers", sizes.workers), 20.0);
}

fn large_log(table: &mut Table, sizes: &Sizes) {
    let gob = world();
    let lines = sizes.lines;
    job(
        &gob,
        "log",
        &format!(
            "seq -f 'this is one line of a large log, and it has this number: %.0f.' 1 {lines}; exec sleep 100000"
        ),
    );
    let mut screen = open(&gob);
    // It is the last one of the list; the palette would offer commands about the log first.
    screen.keys("G");
    screen.wait_for(&format!("number: {lines}."));
    screen.keys("3");
    for _ in 0..200 {
        let frames = screen.frames().len();
        screen.keys("\x1b[5~");
        screen.wait_to_see("a frame", |emulator| emulator.frames().count() > frames || frames >= 4096);
    }
    screen.wait_for("held");
    pss(table, &screen, "scrolled through a large log", 20.0);
}
