//! The fault harness: a supervisor with many workers and busy clients, to which at random faults happen, over
//! and over; after each fault all promises of gob are checked.
//!
//! `cargo run --release -p gob-tests --bin gob-faults` reports at its end the numbers of faults, requests,
//! events and violations, of which there must be none; `docs/FAULTS.md` describes it. The faults follow from
//! `--seed` alone, so that a sequence can be run again; their timing against the clients' actions does not.
//!
//! | file | |
//! |---|---|
//! | `run` | the loop: load, a fault, load, everything must settle, checks |
//! | `fault`, `inflict` | what can happen, and how it is made to happen |
//! | `holders` | processes that are not gob's and hold a graph by its lock file |
//! | `settle` | what must hold once nothing moves: list, events and the process table agree |
//! | `recorder` | one subscriber that checks every event as it comes |
//! | `load`, `link` | clients; each answer is checked where it is read |
//! | `history` | the promises about jobs, over all lives of the supervisor |
//! | `judge`, `answers` | the model that answers and events are held against |
//! | `lane` | the promises about the queue |
//! | `takers` | the promises about named locks |
//! | `vitals` | what the supervisor itself uses |
//! | `fleet`, `truth` | the workers, their doubles that are not gob's, and what the kernel says of them all |
//! | `trees` | the proofs that nothing survives |
//! | `queue` | the proof of the queue, by claimants that write down what they do |
//! | `reuse`, `crowd` | the proofs that a number is no reason, and that a crowd is served |

mod answers;
mod crowd;
mod dice;
mod fault;
mod fleet;
mod history;
mod holders;
mod inflict;
mod judge;
mod lane;
mod link;
mod load;
mod mount;
mod options;
mod output;
mod queue;
mod recorder;
mod report;
mod reuse;
mod run;
mod settle;
mod shared;
mod takers;
mod trees;
mod truth;
mod vitals;

use options::{Mode, Options};
use std::process::ExitCode;

fn main() -> ExitCode {
    // A double of a worker has a worker's arguments, which are none of ours.
    if std::env::var_os(fleet::DOUBLE).is_some() {
        fleet::live_as_double();
    }
    if let Some(code) = reuse::part() {
        return code;
    }
    if let Some(code) = queue::part() {
        return code;
    }
    let options = match Options::parse(std::env::args().skip(1)) {
        Ok(Some(options)) => options,
        Ok(None) => {
            println!("{}\n\nfaults: {}", options::USAGE, fault::Fault::names());
            return ExitCode::SUCCESS;
        }
        Err(problem) => {
            eprintln!("error: {problem}\n{}", options::USAGE);
            return ExitCode::from(2);
        }
    };
    build();
    let held = match options.mode {
        Mode::Faults => run::run(&options),
        Mode::KillTrees => trees::run(&options, trees::Killed::Supervisor),
        Mode::Reuse => reuse::run(&options),
        Mode::Crowd => crowd::run(&options),
        Mode::Queue => queue::run(&options),
        Mode::QueueCheck => queue::judge(&options.records),
        Mode::KillBoth => trees::run(&options, trees::Killed::Both),
    };
    if held { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// Builds all binaries in this one's profile: `cargo run` has built only those of this package.
fn build() {
    let Ok(cargo) = std::env::var("CARGO") else { return };
    let mut command = std::process::Command::new(cargo);
    command.args(["build", "--quiet", "--workspace", "--exclude", "gob-desktop", "--bins"]);
    if gob_tests::gob::built_binaries().ends_with("release") {
        command.arg("--release");
    }
    let status = command.status().expect("cargo");
    assert!(status.success(), "the binaries do not build");
}
