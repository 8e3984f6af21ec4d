//! Upgrades in a row: how long no request is answered, next to a bare execution of the same program under the same load; and that nothing is
//! lost by them.

mod load;
mod many;

use crate::process::{command, timed};
use crate::table::{Table, Target, median, p99};
use gob_tests::Gob;
use gob_tests::wait::{self, DEADLINE};
use load::{Load, Ping};
use serde_json::json;
use std::os::unix::net::UnixStream;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

/// The size of the load, how often it is upgraded, and how many workers wait in the last measurement.
pub struct Sizes {
    pub rounds: usize,
    pub clients: usize,
    pub floods: usize,
    pub many: usize,
}

/// The longest time without an answer, beyond the floor.
const LONGEST_MS: f64 = 100.0;

/// The longest time that all upgrades of one measurement may take.
const LIMIT: Duration = Duration::from_secs(1_200);

/// Milliseconds, one of each round.
#[derive(Default)]
struct Times {
    /// The longest `ping` around an upgrade.
    silence: Vec<f64>,
    /// An execution of the program that does nothing, right after it.
    bare: Vec<f64>,
    /// The longest `ping` in as long a time without an upgrade.
    between: Vec<f64>,
    /// An upgrade, from the request to its answer.
    whole: Vec<f64>,
}

/// Measures without load, under it, and with many workers at rest.
pub fn run(table: &mut Table, sizes: &Sizes) {
    let idle = Sizes { clients: 0, floods: 0, ..*sizes };
    for (which, sizes) in [("an idle supervisor", &idle), ("one under load", sizes)] {
        let times = upgrades(sizes);
        for (name, of) in [("p50", median as fn(&[f64]) -> f64), ("p99", p99)] {
            let (silence, bare, between) = (of(&times.silence), of(&times.bare), of(&times.between));
            let mut row = |what: &str, figures, floor, limit| {
                table.against(&format!("{which}: {what}, {name}"), "ms", figures, floor, limit);
            };
            let longest = "the longest ping around an upgrade";
            let limit = Target::RatioAtMost(((LONGEST_MS + between) / between * 10.0).round() / 10.0);
            row(longest, (silence, between), "in as long a time without", limit);
            row(longest, (silence, bare), "gobd --version", Target::Told);
            let whole = of(&times.whole);
            row("an upgrade from request to answer", (whole, bare), "gobd --version", Target::Told);
        }
    }
    many::run(table, sizes);
}

/// Upgrades a supervisor again and again under load, and checks that all of it goes on.
fn upgrades(sizes: &Sizes) -> Times {
    let gob = Gob::new();
    keep(&gob);
    let mut load = Load::new(&gob, sizes.floods);
    let (stop, pings) = (AtomicBool::new(false), Mutex::new(Vec::new()));
    let gobd = gob.bin("gobd");
    let (mut times, spans) = thread::scope(|scope| {
        // Also after a failure: the clients would ask for ever.
        let _stop = Stop(&stop);
        for number in 0..sizes.clients {
            let client = gob.connect_as("desktop");
            let stop = &stop;
            scope.spawn(move || load::ask(client, number, stop));
        }
        let (watcher, events) = (gob.connect_as("desktop"), gob.events());
        scope.spawn(|| load::watch(watcher, &stop, &pings));
        scope.spawn(|| load::follow(events, &stop, sizes.rounds));
        let mut spans = Vec::new();
        let mut times = Times::default();
        let begun = Instant::now();
        for round in 0..sizes.rounds {
            assert!(begun.elapsed() < LIMIT, "{round} upgrades took {LIMIT:?}");
            let before = Instant::now();
            load.conn.ok("upgrade", json!({}));
            let upgraded = Instant::now();
            times.whole.push((upgraded - before).as_secs_f64() * 1e3);
            // Nothing else asks or reads beside the load, in either time.
            wait::while_time_passes(upgraded - before);
            spans.push((before, upgraded, Instant::now()));
            times.bare.push(timed(command(&gob, &gobd).arg("--version")));
            load.is_whole(&gob, round);
            let [whole, bare] =
                [&times.whole, &times.bare].map(|times| times.last().copied().unwrap_or_default());
            eprintln!("upgrade {}: {whole:.0} ms, {bare:.0} ms bare", round + 1);
        }
        (times, spans)
    });
    let pings = pings.into_inner().expect("the watcher went on");
    for (before, upgraded, after) in spans {
        times.silence.push(longest(&pings, before, upgraded));
        // A ping that the upgrade kept waiting is none of the load's.
        let later = pings.iter().map(|ping| ping.begun).find(|begun| *begun >= upgraded);
        times.between.push(longest(&pings, later.unwrap_or(after), after));
    }
    load.end(&gob);
    times
}

/// Starts the keeper in this session, not in one of its own: the kernel shares the processors among sessions first (sched(7), autogroup), and the floor
/// is to compete with the same processes as the supervisor.
fn keep(gob: &Gob) {
    let mut keeper = command(gob, &gob.bin("gob-keeper")).spawn().expect("a keeper");
    thread::spawn(move || keeper.wait());
    assert!(wait::until(DEADLINE, || UnixStream::connect(gob.socket()).is_ok()), "a supervisor");
}

/// The milliseconds of the longest ping that was under way in a span of time.
fn longest(pings: &[Ping], from: Instant, to: Instant) -> f64 {
    let within = pings.iter().filter(|ping| ping.begun < to && ping.ended > from);
    within.map(|ping| (ping.ended - ping.begun).as_secs_f64() * 1e3).fold(0.0, f64::max)
}

/// Stops the clients when it is dropped.
struct Stop<'a>(&'a AtomicBool);

impl Drop for Stop<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}
