//! The past that reaches into this supervisor's life: processes of an earlier one, and numbers of runs that are used up.

use alloc::collections::{BTreeMap, VecDeque};
use alloc::vec::Vec;
use gob_protocol::queue::FIRST_SHARED;
use gob_protocol::{Leftover, Name, Survivor};
use serde::{Deserialize, Serialize};

/// So many workers that are gone have a number of their own; all others share one.
const MAX_LAST_RUNS: usize = 4_096;

/// Facts of the past.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Past {
    leftovers: Vec<Leftover>,
    last_runs: BTreeMap<Name, u64>,
    /// No name without a number of its own ever had a run above this one.
    floor: u64,
    orphans_recovered: u64,
    /// The highest number that a job was ever given.
    #[serde(default)]
    highest_job: u64,
    /// Numbers for jobs that no other supervisor gives: each pair is the next one, and the first that is not of them.
    #[serde(default)]
    numbers: VecDeque<(u64, u64)>,
}

impl Past {
    /// The past of a supervisor that was just started. No job gets a number up to `highest_job`, or that of a job with logs.
    pub(crate) fn new(last_runs: BTreeMap<Name, u64>, orphans_recovered: u64, highest_job: u64) -> Self {
        // The numbers of jobs that several machines share are not this machine's.
        let own = |number: &u64| *number < FIRST_SHARED;
        let of_logs = last_runs.keys().filter_map(Name::number).filter(own).max().unwrap_or_default();
        let highest_job = highest_job.max(of_logs);
        let mut past = Self {
            leftovers: Vec::new(),
            last_runs,
            floor: 0,
            orphans_recovered,
            highest_job,
            numbers: VecDeque::new(),
        };
        past.shrink();
        past
    }

    /// The name of the next job that is given none; `None` where no numbers are left.
    pub(crate) fn next_job(&mut self) -> Option<Name> {
        let (next, end) = self.numbers.front_mut()?;
        let number = *next;
        *next += 1;
        if next >= end {
            self.numbers.pop_front();
        }
        self.highest_job = self.highest_job.max(number);
        Some(Name::numbered(number))
    }

    /// Takes back the number that a job was to get.
    pub(crate) fn not_needed(&mut self, number: u64) {
        self.numbers.push_front((number, number + 1));
    }

    /// How many numbers for jobs are left.
    pub(crate) fn numbers_left(&self) -> u64 {
        self.numbers.iter().map(|(next, end)| end - next).sum()
    }

    /// Takes numbers for jobs.
    pub(crate) fn reserved(&mut self, first: u64, count: u32) {
        let above = self.numbers.back().map_or(self.highest_job + 1, |(_, end)| *end);
        let (next, end) = (first.max(above), first.saturating_add(u64::from(count)));
        if next < end {
            self.numbers.push_back((next, end));
        } else {
            // They were given without the store already.
            self.numbers.push_back((above, above.saturating_add(u64::from(count))));
        }
    }

    /// Takes back the last numbers that no job was given.
    pub(crate) fn unused(&mut self) -> Option<(u64, u32)> {
        let (next, end) = self.numbers.pop_back()?;
        Some((next, u32::try_from(end - next).ok()?))
    }

    /// Notes a name that may be the number of a job.
    pub(crate) fn knows(&mut self, name: &Name) {
        let number = name.number().filter(|number| *number < FIRST_SHARED);
        self.highest_job = self.highest_job.max(number.unwrap_or_default());
    }

    /// The highest number that a job was ever given.
    pub(crate) const fn highest_job(&self) -> u64 {
        self.highest_job
    }

    /// The highest number that a job may have before more are reserved.
    pub(crate) fn up_to(&self) -> u64 {
        let ends = self.numbers.iter().map(|(_, end)| end.saturating_sub(1));
        ends.fold(self.highest_job, u64::max)
    }

    /// How many processes of an earlier supervisor were ended.
    pub(crate) const fn orphans_recovered(&self) -> u64 {
        self.orphans_recovered
    }

    /// Processes of an earlier supervisor's worker of this name that are still there.
    pub(crate) fn left_of(&self, name: &Name) -> Vec<Survivor> {
        let of = self.leftovers.iter().filter(|left| left.worker.as_ref() == Some(name));
        of.map(|left| left.process.clone()).collect()
    }

    /// Processes of earlier supervisors that are still there.
    pub(crate) fn leftovers(&self) -> &[Leftover] {
        &self.leftovers
    }

    /// Notes which of them are still there now.
    pub(crate) fn left_over(&mut self, leftovers: Vec<Leftover>) {
        self.leftovers = leftovers;
    }

    /// Highest run that a worker of this name may have had: it may have left logs, and answers about it may be under way.
    pub(crate) fn last_run(&self, name: &Name) -> u64 {
        self.last_runs.get(name).copied().unwrap_or(self.floor)
    }

    /// Notes the last run of a worker that is gone.
    pub(crate) fn gone(&mut self, name: Name, run: u64) {
        self.last_runs.insert(name, run);
        self.shrink();
    }

    /// Gives up the lowest numbers when there are too many: a shared number above them does as well.
    fn shrink(&mut self) {
        let excess = self.last_runs.len().saturating_sub(MAX_LAST_RUNS);
        let mut runs: Vec<u64> = self.last_runs.values().copied().filter(|_| excess > 0).collect();
        runs.sort_unstable();
        if let Some(lowest) = excess.checked_sub(1).and_then(|last| runs.get(last)) {
            self.last_runs.retain(|_, run| *run > *lowest);
            self.floor = self.floor.max(*lowest);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::format;

    #[test]
    fn numbers_of_runs_are_bounded_and_never_given_twice() {
        let mut past = Past::default();
        let name = |number: u64| Name::graph(&format!("w{number}")).unwrap();
        for number in 1..=5_000 {
            past.gone(name(number), number % 700);
        }
        assert!(past.last_runs.len() <= MAX_LAST_RUNS);
        assert!((1..=5_000).all(|number| past.last_run(&name(number)) >= number % 700));
        assert!(past.last_run(&name(9_999)) < 700);
    }
}
