//! Every figure beside its floor and its target, measured in the same run with samples that alternate.
//!
//! `cargo run --release -p gob-tests --bin gob-bench` builds the measured programs and prints one table;
//! `docs/BENCHMARKS.md` explains the rows. `--quick` takes few samples, to check that it runs; `--scale`
//! measures growth instead, `--jobs` jobs, `--locks` named locks, `--queue` the queue, `--screen`
//! the terminal's screen, `--upgrade` upgrades under load, `--hosts` a verb for another machine,
//! `--shared` lanes of several machines.

mod echo;
mod hosts;
mod idle;
mod jobs;
mod load;
mod locks;
mod pinned;
mod process;
mod queue;
mod scale;
mod screen;
mod shared;
mod table;
mod upgrade;

use gob_tests::{Gob, Worker};
use std::process::ExitCode;
use table::Table;

/// The number of samples of each sort.
pub struct Samples {
    /// Whole processes.
    processes: usize,
    /// Requests per sample on a connection.
    requests: usize,
    /// Idle workers.
    workers: usize,
    /// Time of the measurement of an idle supervisor, in seconds.
    idle_s: u64,
}

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let mut words: Vec<&str> = args.iter().map(String::as_str).collect();
    let quick = words.contains(&"--quick");
    words.retain(|word| *word != "--quick");
    match words[..] {
        [] => print(|table| run(table, &samples(quick))),
        ["--scale"] => print(|table| {
            let (many, samples) = if quick { (20, 5) } else { (1_000, 101) };
            scale::run(table, &scale::Sizes { many, samples });
        }),
        ["--jobs"] => print(|table| jobs::run(table, &job_sizes(quick))),
        ["--locks"] => print(|table| {
            let (rounds, each, killed) = if quick { (200, 20, 5) } else { (5_000, 500, 51) };
            locks::run(table, &locks::Sizes { rounds, each, killed });
        }),
        ["--queue"] => print(|table| {
            let (many, few, samples) = if quick { (500, 100, 5) } else { (100_000, 1_000, 51) };
            queue::run(table, &queue::Sizes { many, few, samples });
        }),
        ["--screen"] => print(|table| screen::run(table, &screen_sizes(quick))),
        ["--upgrade"] => print(|table| upgrade::run(table, &upgrade_sizes(quick))),
        ["--shared"] => print(|table| {
            let (supervisors, jobs): (&[usize], _) = if quick { (&[1, 3], 50) } else { (&[1, 3, 8], 2_000) };
            shared::run(table, &shared::Sizes { supervisors, jobs });
        }),
        ["--hosts"] => print(|table| hosts::run(table, if quick { 5 } else { 51 })),
        ["flood", bytes, ..] => jobs::flood(bytes),
        ["echo", socket] => echo::serve(socket),
        ["canned", socket, answer] => scale::canned(socket, answer),
        ["fetch", socket] => scale::fetch(socket),
        ["fan-out", socket, count] => scale::loop_of_writes(socket, count),
        _ => {
            eprintln!(
                "usage: gob-bench [--scale | --jobs | --locks | --queue | --screen | --upgrade | --hosts | --shared] [--quick]"
            );
            ExitCode::from(2)
        }
    }
}

/// Builds what is measured, and prints the table of it.
fn print(measure: impl FnOnce(&mut Table)) -> ExitCode {
    build();
    let mut table = Table::default();
    measure(&mut table);
    table.print();
    ExitCode::SUCCESS
}

fn samples(quick: bool) -> Samples {
    if quick {
        return Samples { processes: 5, requests: 1_000, workers: 10, idle_s: 1 };
    }
    Samples { processes: 101, requests: 20_000, workers: 100, idle_s: 10 }
}

fn job_sizes(quick: bool) -> jobs::Sizes {
    if quick {
        return jobs::Sizes { samples: 5, bytes: 10_000_000, requests: 50, jobs: 100, history: (10, 100) };
    }
    jobs::Sizes { samples: 51, bytes: 1_000_000_000, requests: 1_000, jobs: 10_000, history: (100, 1_000) }
}

fn screen_sizes(quick: bool) -> screen::Sizes {
    if quick {
        return screen::Sizes { starts: 3, keys: 20, workers: 50, lines: 10_000, idle_s: 2 };
    }
    screen::Sizes { starts: 21, keys: 400, workers: 1_000, lines: 16_000_000, idle_s: 10 }
}

fn upgrade_sizes(quick: bool) -> upgrade::Sizes {
    if quick {
        return upgrade::Sizes { rounds: 10, clients: 8, floods: 5, many: 20 };
    }
    upgrade::Sizes { rounds: 100, clients: 64, floods: 50, many: 1_000 }
}

fn run(table: &mut Table, samples: &Samples) {
    process::cold_start(table, samples);
    let gob = Gob::with(Worker::Real);
    process::ping(table, samples, &gob);
    load::connections(table, samples, &gob);
    idle::memory(table, &gob, "before the first worker");
    process::start_and_stop(table, samples, &gob);
    idle::close_history(&gob);
    idle::memory(table, &gob, "idle");
    idle::with_workers(table, samples, &gob);
}

/// Builds all binaries in this one's profile: `cargo run` has built only those of this package.
fn build() {
    let Ok(cargo) = std::env::var("CARGO") else { return };
    let mut command = std::process::Command::new(cargo);
    command.args(["build", "--quiet", "--workspace", "--exclude", "gob-desktop", "--bins"]);
    if gob_tests::gob::built_binaries().ends_with("release") {
        command.arg("--release");
    } else {
        eprintln!("note: this is not a release build, the figures mean little");
    }
    let status = command.status().expect("cargo");
    assert!(status.success(), "the binaries do not build");
}
