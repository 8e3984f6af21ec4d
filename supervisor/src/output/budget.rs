//! The size of all logs on the disk, and the order in which they are deleted.
//!
//! Owns the list of runs that have ended, oldest first, and bounds how many each worker has: small files cost
//! inodes, and each entry memory. Live runs count with the sizes that they report. The logs of earlier
//! supervisors are taken in directory by directory while the writer is idle.

use super::OutputConfig;
use super::rotation::remove_run;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fs::{DirEntry, ReadDir};
use std::io;
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::time::UNIX_EPOCH;

/// Files take whole blocks, and a run takes one for its inodes, so that a million empty runs are not free.
const BLOCK: u64 = 4096;

/// Surplus runs that are deleted when another one ends: more than one, so that they become fewer.
pub(super) const SURPLUS_WITH_A_RUN: usize = 2;
/// Surplus runs that an idle writer deletes before it checks its queue.
const SURPLUS_AT_ONCE: usize = 64;

/// Returns the size of files on the disk.
pub(super) fn disk_bytes(files: impl Iterator<Item = u64>) -> u64 {
    BLOCK + files.map(|size| size.next_multiple_of(BLOCK)).sum::<u64>()
}

#[derive(Debug)]
struct Ended {
    /// The worker's directory.
    worker: Rc<str>,
    run: u64,
    bytes: u64,
}

/// The account.
#[derive(Debug)]
pub(super) struct Budget {
    log_dir: PathBuf,
    limit: u64,
    /// Ended runs of one worker that keep their logs.
    runs: usize,
    total: u64,
    ended: BTreeMap<Turn, Ended>,
    /// The ended runs of each worker, by their numbers.
    of_worker: HashMap<Rc<str>, BTreeMap<u64, Turn>>,
    /// Workers that have more of them than `runs`.
    crowded: BTreeSet<Rc<str>>,
    told: u64,
    scan: Option<ReadDir>,
}

/// The end of a run in milliseconds, and its place in the order of reports.
type Turn = (i64, u64);

impl Budget {
    pub(super) fn new(config: &OutputConfig) -> Self {
        // A missing directory has no logs; any other trouble shows again, and is logged, at the next write.
        let scan = std::fs::read_dir(&config.log_dir).ok();
        Self {
            log_dir: config.log_dir.clone(),
            limit: config.budget_bytes,
            runs: usize::try_from(config.runs).unwrap_or(usize::MAX),
            total: 0,
            ended: BTreeMap::new(),
            of_worker: HashMap::new(),
            crowded: BTreeSet::new(),
            told: 0,
            scan,
        }
    }

    /// Replaces the size of a live run's files.
    pub(super) fn change(&mut self, before: u64, now: u64) {
        self.total = self.total.saturating_sub(before).saturating_add(now);
    }

    /// Returns whether logs must be deleted.
    pub(super) const fn is_exceeded(&self) -> bool {
        self.total > self.limit
    }

    /// Adds a run that has ended, and whose bytes are counted already.
    pub(super) fn ended(&mut self, time: i64, worker: Rc<str>, run: u64, bytes: u64) {
        self.told += 1;
        let turn = (time, self.told);
        let runs = self.of_worker.entry(Rc::clone(&worker)).or_default();
        if let Some(before) = runs.insert(run, turn).and_then(|before| self.ended.remove(&before)) {
            self.total = self.total.saturating_sub(before.bytes);
        }
        if runs.len() > self.runs {
            self.crowded.insert(Rc::clone(&worker));
        }
        self.ended.insert(turn, Ended { worker, run, bytes });
    }

    /// Removes an ended run that goes on. Its new log counts it anew.
    pub(super) fn revive(&mut self, worker: &str, run: u64) {
        let Some(runs) = self.of_worker.get_mut(worker) else { return };
        let turn = runs.remove(&run);
        if runs.is_empty() {
            self.of_worker.remove(worker);
        }
        if let Some(ended) = turn.and_then(|turn| self.ended.remove(&turn)) {
            self.total = self.total.saturating_sub(ended.bytes);
        }
    }

    /// Removes a worker whose files are gone.
    pub(super) fn forget(&mut self, worker: &str) {
        self.crowded.remove(worker);
        for turn in self.of_worker.remove(worker).into_iter().flat_map(BTreeMap::into_values) {
            let bytes = self.ended.remove(&turn).map_or(0, |ended| ended.bytes);
            self.total = self.total.saturating_sub(bytes);
        }
    }

    /// Deletes the files of the run that ended first; false when none is left.
    pub(super) fn drop_oldest(&mut self) -> bool {
        let Some((_, ended)) = self.ended.first_key_value() else { return false };
        let (worker, run) = (Rc::clone(&ended.worker), ended.run);
        self.drop_run(&worker, run);
        true
    }

    /// Deletes the files of some surplus runs.
    pub(super) fn drop_surplus(&mut self, at_most: usize) {
        for _ in 0..at_most {
            let Some(worker) = self.crowded.first().map(Rc::clone) else { return };
            let runs = self.of_worker.get(&worker).filter(|runs| runs.len() > self.runs);
            match runs.and_then(BTreeMap::first_key_value).map(|(run, _)| *run) {
                Some(run) => self.drop_run(&worker, run),
                None => drop(self.crowded.remove(&worker)),
            }
        }
    }

    fn drop_run(&mut self, worker: &str, run: u64) {
        self.revive(worker, run);
        let dir = self.log_dir.join(worker);
        if let Err(error) = remove_run(&dir, run) {
            tracing::warn!(dir = %dir.display(), run, %error, "cannot delete old logs");
        }
    }

    /// Returns whether an idle writer has work: logs of earlier supervisors to take in, or surplus runs.
    pub(super) fn is_busy(&self) -> bool {
        self.scan.is_some() || !self.crowded.is_empty()
    }

    /// Does some of that work. Surplus runs are deleted before more are taken in.
    pub(super) fn go_on(&mut self, is_live: impl Fn(&str, u64) -> bool) {
        if self.crowded.is_empty() {
            self.scan_next(is_live);
        }
        self.drop_surplus(SURPLUS_AT_ONCE);
    }

    /// Returns whether logs of earlier supervisors remain to be taken in.
    pub(super) const fn is_scanning(&self) -> bool {
        self.scan.is_some()
    }

    /// Takes in the runs of one more directory, except those that `is_live`.
    fn scan_next(&mut self, is_live: impl Fn(&str, u64) -> bool) {
        let Some(entry) = self.scan.as_mut().and_then(Iterator::next) else {
            self.scan = None;
            return;
        };
        let Some((worker, runs)) = entry.ok().and_then(|entry| runs_in(&entry)) else { return };
        for (run, (time, bytes)) in runs {
            let is_known = self.of_worker.get(&worker).is_some_and(|runs| runs.contains_key(&run));
            if !is_known && !is_live(&worker, run) {
                self.total = self.total.saturating_add(bytes);
                self.ended(time, Rc::clone(&worker), run, bytes);
            }
        }
    }
}

/// Runs of one worker: the time of the last write, and the size.
type Runs = HashMap<u64, (i64, u64)>;

/// Returns the runs in a worker's directory.
fn runs_in(worker: &DirEntry) -> Option<(Rc<str>, Runs)> {
    if !worker.file_type().is_ok_and(|kind| kind.is_dir()) {
        return None;
    }
    let mut files: HashMap<u64, (i64, Vec<u64>)> = HashMap::new();
    for file in read_files(&worker.path()).ok()? {
        let Some((run, time, size)) = file else { continue };
        let (last, sizes) = files.entry(run).or_default();
        *last = time.max(*last);
        sizes.push(size);
    }
    let runs = files.into_iter().map(|(run, (time, sizes))| (run, (time, disk_bytes(sizes.into_iter()))));
    Some((worker.file_name().to_str()?.into(), runs.collect()))
}

fn read_files(dir: &Path) -> io::Result<impl Iterator<Item = Option<(u64, i64, u64)>>> {
    Ok(std::fs::read_dir(dir)?.map(|file| {
        let file = file.ok()?;
        let name = file.file_name();
        let (run, _) = name.to_str()?.split_once('.')?;
        let stat = file.metadata().ok()?;
        let time = stat.modified().ok()?.duration_since(UNIX_EPOCH).unwrap_or_default();
        Some((run.parse().ok()?, i64::try_from(time.as_millis()).ok()?, stat.len()))
    }))
}
