//! The loop: load, a fault, load, and then everything must settle and agree.

use crate::dice::Dice;
use crate::fault::Fault;
use crate::fleet::Fleet;
use crate::inflict::{Inflict, Outcome};
use crate::load::{self, Client};
use crate::mount::{self, Mount};
use crate::options::Options;
use crate::recorder::Recorder;
use crate::report::Report;
use crate::settle::settle;
use crate::shared::Shared;
use crate::takers;
use crate::vitals::Vitals;
use gob_tests::Gob;
use gob_tests::wait;
use std::sync::Mutex;
use std::time::{Duration, Instant};

/// Throws for a step begin here, so that those for clients differ.
const STEPS: u64 = 1_000;

/// Runs until the time is over or a violation; true without one.
pub fn run(options: &Options) -> bool {
    let faults = options.faults.clone();
    // Called before there is a second thread.
    let apart = mount::leave_namespace();
    let mut gob = Gob::new();
    let disk = gob.move_state_below("disk");
    let mounted = apart.and_then(|()| Mount::new(&disk));
    if let Err(e) = &mounted
        && faults.contains(&Fault::FullDisk)
    {
        eprintln!("error: a disk of its own, to be filled, can't be mounted: {e}");
        eprintln!("run it as root, or leave that out: --without {}", Fault::FullDisk.name());
        return false;
    }
    println!("seed {}", options.seed);
    let shared = Shared::new(gob);
    let fleet = Mutex::new(Fleet::new(&shared.gob, options.workers));
    shared.gob.ctl(["ping"]).ok();
    let recorder = Recorder::default();
    let mut report = Report::default();
    std::thread::scope(|scope| {
        scope.spawn(|| recorder.record(&shared));
        for (n, owner) in (0..).zip(load::OWNERS) {
            let dice = Dice::new(options.seed, n);
            let client = Client { owner, name: format!("client-{n}") };
            let (shared, fleet) = (&shared, &fleet);
            scope.spawn(move || load::live(shared, fleet, &client, dice));
        }
        for (n, is_long) in (takers::DICE..).zip(takers::TAKERS) {
            let (shared, dice) = (&shared, Dice::new(options.seed, n));
            scope.spawn(move || takers::live(shared, &format!("taker-{n}"), is_long, dice));
        }
        steps(options, &faults, &shared, &fleet, &recorder, &mut report);
        shared.end();
    });
    let held = report.print(&shared, options.seed);
    drop(fleet);
    // Files that are still being written there must go first.
    shared.gob.ctl(["nuke", "--force"]).run();
    let left = shared.gob.wait_empty(wait::DEADLINE);
    drop(mounted);
    if !left.is_empty() {
        eprintln!("VIOLATION: left at the end: {left:?}");
    }
    held && left.is_empty()
}

fn steps(
    options: &Options,
    faults: &[Fault],
    shared: &Shared,
    fleet: &Mutex<Fleet>,
    recorder: &Recorder,
    report: &mut Report,
) {
    let begin = Instant::now();
    let mut vitals = Vitals::default();
    for step in 1..=options.steps {
        if begin.elapsed() >= options.time || shared.has_violations() || faults.is_empty() {
            return;
        }
        // Each step has dice of its own: the result of one does not affect the next ones.
        let mut dice = Dice::new(options.seed, STEPS + step);
        let fault = pick(faults, &mut dice);
        let (before, after) = (dice.between(10, 300), dice.between(10, 400));
        shared.open_gate();
        shared.load_for(Duration::from_millis(before));
        shared.note(format!("step {step}: {}", fault.name()));
        let undone = match (Inflict { shared, fleet, step, dice }).inflict(fault) {
            Ok(Outcome::Nobody(why)) => {
                shared.note(format!("step {step}: {why}"));
                report.nobody += 1;
                continue;
            }
            Ok(Outcome::Done(what, undo)) => {
                shared.note(format!("step {step}: {what}"));
                shared.load_for(Duration::from_millis(after));
                undo(shared)
            }
            Err(violation) => Err(violation),
        };
        let calm = Instant::now();
        match undone.and_then(|()| settle(shared, fleet, recorder, &mut vitals)) {
            Ok(said) => report.vitals = said,
            Err(violation) => shared.violated(format!("step {step}, {}: {violation}", fault.name())),
        }
        report.slowest = report.slowest.max(calm.elapsed());
        report.steps += 1;
        *report.faults.entry(fault).or_default() += 1;
        shared.note(format!("step {step}: settled after {:.1?}, {}", calm.elapsed(), report.vitals));
    }
}

/// Picks one of the faults by their weights.
fn pick(faults: &[Fault], dice: &mut Dice) -> Fault {
    let all: u64 = faults.iter().map(|fault| fault.weight()).sum();
    let mut left = dice.below(all);
    for fault in faults {
        match left.checked_sub(fault.weight()) {
            Some(rest) => left = rest,
            None => return *fault,
        }
    }
    unreachable!("the weights of {faults:?} are more than {all}")
}
