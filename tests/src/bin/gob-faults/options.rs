//! The command line.

use crate::fault::Fault;
use std::path::PathBuf;
use std::time::Duration;

pub const USAGE: &str = "\
usage: gob-faults [--seconds N] [--steps N] [--seed S] [--workers N] [--only FAULT,...] [--without FAULT,...]
       gob-faults kill-trees [--times N] [--trees N] [--within-ms N]   kills gobd; nothing may survive
       gob-faults kill-both [--times N] [--trees N] [--within-ms N]    kills gobd and gob-keeper; the next command recovers
       gob-faults reuse [--times N]                                    gives numbers of dead processes to others
       gob-faults crowd [--connections N]                              10,000 connections
       gob-faults queue [--jobs N] [--claimants N] [--kills N]         kills claimants and gobd; each job is done once at a time
       gob-faults queue-check DIR                                      judges the records of such a run
       gob-faults --help                                                also names the faults";

/// The task.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    Faults,
    KillTrees,
    KillBoth,
    Reuse,
    Crowd,
    Queue,
    QueueCheck,
}

#[derive(Debug)]
pub struct Options {
    pub mode: Mode,
    pub time: Duration,
    /// Limit of steps.
    pub steps: u64,
    pub seed: u64,
    pub workers: usize,
    pub faults: Vec<Fault>,
    pub times: u64,
    pub trees: usize,
    pub within: Duration,
    pub connections: u64,
    pub jobs: u64,
    pub claimants: usize,
    /// Times that the supervisor is killed.
    pub kills: u64,
    pub records: PathBuf,
}

impl Options {
    /// Parses the arguments; `None` when only help is asked for.
    pub fn parse(mut args: impl Iterator<Item = String>) -> Result<Option<Self>, String> {
        let mut options = Self {
            mode: Mode::Faults,
            time: Duration::from_secs(60),
            steps: u64::MAX,
            seed: fresh_seed(),
            workers: 24,
            faults: Vec::new(),
            times: 50,
            trees: 50,
            within: Duration::ZERO,
            connections: 10_000,
            jobs: 10_000,
            claimants: 64,
            kills: 10,
            records: PathBuf::new(),
        };
        let mut without: Vec<Fault> = Vec::new();
        while let Some(arg) = args.next() {
            let mut value = || args.next().ok_or_else(|| format!("{arg} needs a value"));
            match arg.as_str() {
                "kill-trees" => options.mode = Mode::KillTrees,
                "kill-both" => options.mode = Mode::KillBoth,
                "reuse" => options.mode = Mode::Reuse,
                "crowd" => options.mode = Mode::Crowd,
                "queue" => options.mode = Mode::Queue,
                "queue-check" => (options.mode, options.records) = (Mode::QueueCheck, value()?.into()),
                "--jobs" => options.jobs = number(&value()?)?.max(1),
                "--claimants" => options.claimants = number(&value()?)?.clamp(1, 1_000) as usize,
                "--kills" => options.kills = number(&value()?)?,
                "--connections" => options.connections = number(&value()?)?.max(1),
                "--seconds" => options.time = Duration::from_secs(number(&value()?)?),
                "--steps" => options.steps = number(&value()?)?,
                "--seed" => options.seed = number(&value()?)?,
                "--workers" => options.workers = number(&value()?)?.clamp(1, 10_000) as usize,
                "--times" => options.times = number(&value()?)?,
                "--trees" => options.trees = number(&value()?)?.clamp(1, 10_000) as usize,
                "--within-ms" => options.within = Duration::from_millis(number(&value()?)?),
                "--only" => {
                    options.faults = value()?.split(',').map(Fault::named).collect::<Result<_, _>>()?
                }
                "--without" => without = value()?.split(',').map(Fault::named).collect::<Result<_, _>>()?,
                "--help" => return Ok(None),
                _ => return Err(format!("unknown argument {arg}")),
            }
        }
        if options.faults.is_empty() {
            options.faults = Fault::ALL.to_vec();
        }
        options.faults.retain(|fault| !without.contains(fault));
        if options.within.is_zero() {
            options.within = Duration::from_secs(if options.mode == Mode::KillBoth { 3 } else { 1 });
        }
        Ok(Some(options))
    }
}

fn number(text: &str) -> Result<u64, String> {
    text.parse().map_err(|_| format!("{text:?} is no number"))
}

fn fresh_seed() -> u64 {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
    // Short enough to be typed.
    (now.as_nanos() as u64 ^ u64::from(std::process::id())) % 1_000_000_000
}
