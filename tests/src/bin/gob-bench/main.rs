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
    match args.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        [] => run(&Samples { processes: 101, requests: 20_000, workers: 100, idle_s: 10 }),
        ["--quick"] => run(&Samples { processes: 5, requests: 1_000, workers: 10, idle_s: 1 }),
        ["--scale"] => scale(&scale::Sizes { many: 1_000, samples: 101 }),
        ["--scale", "--quick"] | ["--quick", "--scale"] => scale(&scale::Sizes { many: 20, samples: 5 }),
        ["--jobs"] => jobs(&jobs::Sizes {
            samples: 51,
            bytes: 1_000_000_000,
            requests: 1_000,
            jobs: 10_000,
            history: (100, 1_000),
        }),
        ["--jobs", "--quick"] | ["--quick", "--jobs"] => {
            jobs(&jobs::Sizes { samples: 5, bytes: 10_000_000, requests: 50, jobs: 100, history: (10, 100) })
        }
        ["--locks"] => locks(&locks::Sizes { rounds: 5_000, each: 500, killed: 51 }),
        ["--locks", "--quick"] | ["--quick", "--locks"] => {
            locks(&locks::Sizes { rounds: 200, each: 20, killed: 5 })
        }
        ["--queue"] => queue(&queue::Sizes { many: 100_000, few: 1_000, samples: 51 }),
        ["--queue", "--quick"] | ["--quick", "--queue"] => {
            queue(&queue::Sizes { many: 500, few: 100, samples: 5 })
        }
        ["--screen"] => {
            screen(&screen::Sizes { starts: 21, keys: 400, workers: 1_000, lines: 16_000_000, idle_s: 10 })
        }
        ["--screen", "--quick"] | ["--quick", "--screen"] => {
            screen(&screen::Sizes { starts: 3, keys: 20, workers: 50, lines: 10_000, idle_s: 2 })
        }
        ["--upgrade"] => upgrade(&upgrade::Sizes { rounds: 100, clients: 64, floods: 50, many: 1_000 }),
        ["--upgrade", "--quick"] | ["--quick", "--upgrade"] => {
            upgrade(&upgrade::Sizes { rounds: 10, clients: 8, floods: 5, many: 20 })
        }
        ["--shared"] => shared(&shared::Sizes { supervisors: &[1, 3, 8], jobs: 2_000 }),
        ["--shared", "--quick"] | ["--quick", "--shared"] => {
            shared(&shared::Sizes { supervisors: &[1, 3], jobs: 50 })
        }
        ["--hosts"] => hosts(51),
        ["--hosts", "--quick"] | ["--quick", "--hosts"] => hosts(5),
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

fn run(samples: &Samples) -> ExitCode {
    build();
    let mut table = Table::default();
    process::cold_start(&mut table, samples);
    let gob = Gob::with(Worker::Real);
    process::ping(&mut table, samples, &gob);
    load::connections(&mut table, samples, &gob);
    idle::memory(&mut table, &gob, "before the first worker");
    process::start_and_stop(&mut table, samples, &gob);
    idle::close_history(&gob);
    idle::memory(&mut table, &gob, "idle");
    idle::with_workers(&mut table, samples, &gob);
    table.print();
    ExitCode::SUCCESS
}

fn locks(sizes: &locks::Sizes) -> ExitCode {
    build();
    let mut table = Table::default();
    locks::run(&mut table, sizes);
    table.print();
    ExitCode::SUCCESS
}

fn scale(sizes: &scale::Sizes) -> ExitCode {
    build();
    let mut table = Table::default();
    scale::run(&mut table, sizes);
    table.print();
    ExitCode::SUCCESS
}

fn jobs(sizes: &jobs::Sizes) -> ExitCode {
    build();
    let mut table = Table::default();
    jobs::run(&mut table, sizes);
    table.print();
    ExitCode::SUCCESS
}

fn queue(sizes: &queue::Sizes) -> ExitCode {
    build();
    let mut table = Table::default();
    queue::run(&mut table, sizes);
    table.print();
    ExitCode::SUCCESS
}

fn shared(sizes: &shared::Sizes) -> ExitCode {
    build();
    let mut table = Table::default();
    shared::run(&mut table, sizes);
    table.print();
    ExitCode::SUCCESS
}

fn screen(sizes: &screen::Sizes) -> ExitCode {
    build();
    let mut table = Table::default();
    screen::run(&mut table, sizes);
    table.print();
    ExitCode::SUCCESS
}

fn upgrade(sizes: &upgrade::Sizes) -> ExitCode {
    build();
    let mut table = Table::default();
    upgrade::run(&mut table, sizes);
    table.print();
    ExitCode::SUCCESS
}

fn hosts(samples: usize) -> ExitCode {
    build();
    let mut table = Table::default();
    hosts::run(&mut table, samples);
    table.print();
    ExitCode::SUCCESS
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
