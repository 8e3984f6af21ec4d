//! The writer thread: puts batches into files. The only thread that waits for the disk.
//!
//! Owns the runs' files and the budget. Descriptors of quiet runs are closed when there are many, so that ten
//! thousand workers need no thirty thousand open files.

use super::OutputConfig;
use super::batch::{Batch, READ_BYTES, RunId, Segment};
use super::budget::{Budget, SURPLUS_WITH_A_RUN};
use super::drain::now;
use super::exchange::{Exchange, Job};
use super::loan::Loan;
use super::pipe::Read;
use super::rotation::remove_worker;
use super::run_log::RunLog;
use gob_protocol::Name;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

/// Runs whose files may be open at a time.
const MAX_OPEN: usize = 128;

/// Reads of a lent pipe before others have their turn.
const READS_PER_TURN: usize = 32;
/// A lent pipe that brought fewer bytes than this before it was empty no longer floods.
const FLOOD_BYTES: usize = 16 * 1024;
/// Time to wait at an empty lent pipe: its worker may be only a little slower.
const LINGER: Duration = Duration::from_millis(10);

/// The thread's state.
pub(super) struct Writer {
    config: OutputConfig,
    exchange: Arc<Exchange>,
    /// Live runs, oldest first.
    runs: BTreeMap<RunId, Box<RunLog>>,
    budget: Budget,
    /// The number of runs whose files are open.
    open: usize,
    /// Runs that the present batch has touched.
    touched: Vec<RunId>,
    /// The buffer for lent pipes.
    room: Vec<u8>,
}

/// Live runs, oldest first.
pub(super) type Logs = BTreeMap<RunId, Box<RunLog>>;

impl Writer {
    /// A writer that goes on with these runs.
    pub(super) fn new(config: OutputConfig, exchange: Arc<Exchange>, runs: Logs) -> Self {
        let mut budget = Budget::new(&config);
        runs.values().for_each(|log| budget.change(0, log.cost));
        let open = runs.values().filter(|log| log.is_open).count();
        Self { config, exchange, runs, budget, open, touched: Vec::new(), room: Vec::new() }
    }

    /// Runs until it is told to stop, or to rest: then it returns its runs, with nothing left to write.
    pub(super) fn run(mut self) -> Logs {
        loop {
            let Some(job) = self.exchange.next_job(!self.budget.is_busy()) else {
                self.go_on();
                continue;
            };
            match job {
                Job::Open { id, key, tap } => {
                    self.budget.revive(&key.name.on_disk(), key.run);
                    let log = RunLog::open(key, tap, &self.config, self.losses());
                    self.budget.change(0, log.cost);
                    self.open += usize::from(log.is_open);
                    self.runs.insert(id, Box::new(log));
                    self.close_some();
                }
                Job::Write(batch) => self.write(batch),
                Job::Copy(loan) => self.copy(loan),
                Job::Close(id) => self.close(id),
                Job::Forget(name) => self.forget(&name),
                Job::FindAgain => self.find_again(),
                // The caller no longer waits after its time limit.
                Job::Flush(done) => done.send(()).unwrap_or_default(),
                // Each job has left its records in the files.
                Job::Rest => return self.runs,
                Job::Stop => return Logs::new(),
            }
            self.exchange.advance();
        }
    }

    fn write(&mut self, batch: Batch) {
        for (segments, bytes) in batch.stretches() {
            let Some(id) = segments.first().map(|segment| segment.run) else { continue };
            // A worker that was forgotten meanwhile has no log.
            let Some(log) = self.runs.get_mut(&id) else { continue };
            let was_open = log.is_open;
            log.append(segments, bytes, &self.config, &self.exchange.counters);
            log.tap.backlog.fetch_sub(bytes.len(), Ordering::AcqRel);
            self.open += usize::from(log.is_open && !was_open);
            self.exchange.advance();
            if self.touched.last() != Some(&id) {
                self.touched.push(id);
            }
        }
        self.exchange.give_back(batch);
        while let Some(id) = self.touched.pop() {
            self.settle(id);
        }
        self.close_some();
        self.keep_to_budget();
    }

    /// Copies a pipe into its file, until others have their turn or it calms down.
    fn copy(&mut self, loan: Loan) {
        let mut turn = 0..READS_PER_TURN;
        let (mut known, mut since_empty) = (true, 0);
        let mut room = std::mem::take(&mut self.room);
        room.resize(READ_BYTES, 0);
        let goes_on = loop {
            let is_over = loan.terms.is_revoked() || !known;
            let got = if is_over { Read::End } else { loan.terms.read(&mut room) };
            match got {
                Read::Some(len) => {
                    known = self.take(&loan, room.get(..len).unwrap_or_default());
                    since_empty += len;
                }
                Read::Last(_) => {
                    if since_empty < FLOOD_BYTES || !self.exchange.linger(loan.terms.fd(), LINGER) {
                        break false;
                    }
                    since_empty = 0;
                }
                Read::End => break false,
            }
            if turn.next().is_none() {
                break true;
            }
        };
        self.room = room;
        self.settle(loan.run);
        self.close_some();
        self.keep_to_budget();
        if goes_on {
            self.exchange.put_off(Job::Copy(loan));
        } else {
            self.exchange.give_pipe_back(loan);
        }
    }

    /// Writes bytes of a lent pipe; false when its run is not known any more.
    fn take(&mut self, loan: &Loan, bytes: &[u8]) -> bool {
        let Some(log) = self.runs.get_mut(&loan.run) else { return false };
        let segment = Segment { run: loan.run, stream: loan.stream, time: now(), len: bytes.len() };
        log.tap.push(segment.stream, segment.time, bytes);
        let was_open = log.is_open;
        log.append(&[segment], bytes, &self.config, &self.exchange.counters);
        self.open += usize::from(log.is_open && !was_open);
        self.exchange.advance();
        true
    }

    /// Updates a run's index and its account.
    fn settle(&mut self, id: RunId) {
        let Some(log) = self.runs.get_mut(&id) else { return };
        log.flush(&self.config);
        let cost = log.disk_bytes();
        self.budget.change(std::mem::replace(&mut log.cost, cost), cost);
    }

    fn close(&mut self, id: RunId) {
        if let Some(mut log) = self.runs.remove(&id) {
            self.open -= usize::from(log.is_open);
            log.close();
            self.budget.ended(now(), log.key.name.on_disk().into(), log.key.run, log.cost);
            self.budget.drop_surplus(SURPLUS_WITH_A_RUN);
        }
        self.keep_to_budget();
    }

    fn forget(&mut self, name: &Name) {
        let (budget, open) = (&mut self.budget, &mut self.open);
        self.runs.retain(|_, log| {
            let goes = log.key.name == *name;
            if goes {
                budget.change(log.cost, 0);
                *open -= usize::from(log.is_open);
            }
            !goes
        });
        let worker = name.on_disk();
        self.budget.forget(&worker);
        if let Err(error) = remove_worker(&self.config.log_dir.join(worker)) {
            tracing::warn!(%name, %error, "cannot delete a worker's logs");
        }
    }

    fn losses(&self) -> u64 {
        self.exchange.counters.losses.load(Ordering::Acquire)
    }

    fn find_again(&mut self) {
        let losses = self.losses();
        for log in self.runs.values_mut() {
            let was_open = log.is_open;
            log.find_again(now(), &self.config, losses);
            self.open += usize::from(log.is_open && !was_open);
            let cost = log.disk_bytes();
            self.budget.change(std::mem::replace(&mut log.cost, cost), cost);
        }
        self.close_some();
    }

    /// Does work that may wait until the writer is idle.
    fn go_on(&mut self) {
        let runs = &self.runs;
        let is_live = |worker: &str, run| {
            runs.values().any(|log| log.key.run == run && log.key.name.on_disk() == worker)
        };
        self.budget.go_on(is_live);
        if !self.budget.is_scanning() {
            self.keep_to_budget();
        }
    }

    /// Deletes the oldest logs until the rest fits: whole runs that ended, then rotated files of live ones,
    /// never the current files.
    fn keep_to_budget(&mut self) {
        while self.budget.is_exceeded() {
            if !self.budget.drop_oldest() && !self.drop_oldest_of_live() {
                return;
            }
        }
    }

    fn drop_oldest_of_live(&mut self) -> bool {
        for log in self.runs.values_mut() {
            match log.drop_oldest(&self.config) {
                Ok(true) => {
                    let cost = log.disk_bytes();
                    self.budget.change(std::mem::replace(&mut log.cost, cost), cost);
                    return true;
                }
                Ok(false) => {}
                Err(error) => tracing::warn!(key = ?log.key, %error, "cannot delete old logs"),
            }
        }
        false
    }

    /// Closes all files when too many are open; those in use are opened again with their next bytes.
    fn close_some(&mut self) {
        if self.open > MAX_OPEN {
            self.runs.values_mut().for_each(|log| log.close());
            self.open = 0;
        }
    }
}
