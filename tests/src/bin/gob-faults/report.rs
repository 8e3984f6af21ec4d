//! The report at the end.

use crate::fault::Fault;
use crate::shared::Shared;
use std::collections::BTreeMap;
use std::sync::atomic::Ordering;
use std::time::Duration;

/// Lines of the supervisor's log that are shown with a violation.
const SHOWN: usize = 60;

#[derive(Debug, Default)]
pub struct Report {
    pub faults: BTreeMap<Fault, u64>,
    pub steps: u64,
    /// Faults without a target, which are not counted.
    pub nobody: u64,
    /// The supervisor's resources at the last rest.
    pub vitals: String,
    /// The longest time of a step until everything agreed.
    pub slowest: Duration,
}

impl Report {
    /// Prints it; false after any violation.
    pub fn print(&self, shared: &Shared, seed: u64) -> bool {
        let violations = shared.violations();
        for (fault, count) in &self.faults {
            println!("{count:8}  {}", fault.name());
        }
        println!("{:8}  faults in all; everything agreed again within {:.1?}", self.steps, self.slowest);
        println!("{:8}  more found nobody and do not count", self.nobody);
        println!("at the last rest: {}", self.vitals);
        println!("{:8}  requests answered", shared.requests.load(Ordering::Relaxed));
        for (code, count) in shared.answers() {
            println!("{count:16}  {code}");
        }
        println!("{:8}  events checked", shared.events.load(Ordering::Relaxed));
        let [grants, claims] =
            [&shared.takers.grants, &shared.takers.claims].map(|count| count.load(Ordering::Relaxed));
        println!("{grants:8}  locks granted, and {claims} kept by a claim after the supervisor was killed");
        println!("{:8}  violations", violations.len());
        println!("seed {seed}");
        if violations.is_empty() {
            return true;
        }
        eprintln!("what happened last:\n{}", shared.log().join("\n"));
        let log = std::fs::read(shared.gob.state_dir().join("gobd.log")).unwrap_or_default();
        let log = String::from_utf8_lossy(&log);
        let lines: Vec<&str> = log.lines().collect();
        eprintln!("gobd.log, its end:\n{}", lines[lines.len().saturating_sub(SHOWN)..].join("\n"));
        violations.iter().for_each(|violation| eprintln!("VIOLATION: {violation}"));
        eprintln!("run it again with --seed {seed}");
        false
    }
}
