//! What all logs together take on the disk, and whose turn it is to go.
//!
//! Owns the list of runs that have ended, oldest first. Live runs count with what they report. What was there before
//! this supervisor is taken in directory by directory while the writer has nothing else to do.

use super::rotation::remove_run;
use std::collections::{BTreeMap, HashMap, HashSet};
use std::fs::{DirEntry, ReadDir};
use std::io;
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::time::UNIX_EPOCH;

/// Files take whole blocks, and a run takes one for its inodes, so that a million empty runs are not free.
const BLOCK: u64 = 4096;

/// What files of these sizes take on the disk.
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
    total: u64,
    /// By the time of the end in milliseconds, and in the order of being told.
    ended: BTreeMap<(i64, u64), Ended>,
    told: u64,
    scan: Option<ReadDir>,
}

impl Budget {
    pub(super) fn new(log_dir: PathBuf, limit: u64) -> Self {
        // No directory, no logs; any other trouble shows again, and is told, when something is written.
        let scan = std::fs::read_dir(&log_dir).ok();
        Self { log_dir, limit, total: 0, ended: BTreeMap::new(), told: 0, scan }
    }

    /// A live run's files take `now` instead of `before`.
    pub(super) fn change(&mut self, before: u64, now: u64) {
        self.total = self.total.saturating_sub(before).saturating_add(now);
    }

    /// Whether something has to go.
    pub(super) const fn is_exceeded(&self) -> bool {
        self.total > self.limit
    }

    /// A run whose bytes are counted already has ended.
    pub(super) fn ended(&mut self, time: i64, worker: Rc<str>, run: u64, bytes: u64) {
        self.told += 1;
        self.ended.insert((time, self.told), Ended { worker, run, bytes });
    }

    /// A run that had ended goes on. It is counted anew by who goes on with it.
    pub(super) fn revive(&mut self, worker: &str, run: u64) {
        self.remove(|ended| &*ended.worker == worker && ended.run == run);
    }

    /// A worker's files are gone.
    pub(super) fn forget(&mut self, worker: &str) {
        self.remove(|ended| &*ended.worker == worker);
    }

    fn remove(&mut self, which: impl Fn(&Ended) -> bool) {
        let total = &mut self.total;
        self.ended.retain(|_, ended| {
            let goes = which(ended);
            *total = total.saturating_sub(if goes { ended.bytes } else { 0 });
            !goes
        });
    }

    /// Deletes the files of the run that ended first; false when none is left.
    pub(super) fn drop_oldest(&mut self) -> bool {
        let Some((_, ended)) = self.ended.pop_first() else { return false };
        self.total = self.total.saturating_sub(ended.bytes);
        let dir = self.log_dir.join(&*ended.worker);
        if let Err(error) = remove_run(&dir, ended.run) {
            tracing::warn!(dir = %dir.display(), run = ended.run, %error, "cannot delete old logs");
        }
        true
    }

    /// Whether logs of earlier supervisors are still to be taken in.
    pub(super) const fn is_scanning(&self) -> bool {
        self.scan.is_some()
    }

    /// Takes in the runs of one more directory, but those that `is_live`.
    pub(super) fn scan_next(&mut self, is_live: impl Fn(&str, u64) -> bool) {
        let Some(entry) = self.scan.as_mut().and_then(Iterator::next) else {
            self.scan = None;
            return;
        };
        let Some((worker, runs)) = entry.ok().and_then(|entry| runs_in(&entry)) else { return };
        let known = self.ended.values().filter(|ended| *ended.worker == *worker);
        let known: HashSet<u64> = known.map(|ended| ended.run).collect();
        for (run, (time, bytes)) in runs {
            if !known.contains(&run) && !is_live(&worker, run) {
                self.total = self.total.saturating_add(bytes);
                self.ended(time, Rc::clone(&worker), run, bytes);
            }
        }
    }
}

/// Runs of one worker: when they last wrote, and what they take.
type Runs = HashMap<u64, (i64, u64)>;

/// The runs in a worker's directory.
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
