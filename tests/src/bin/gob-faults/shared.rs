//! State that all threads of the harness share: counters, the log of events, and violations.

use crate::history::History;
use crate::inflict::data::Acknowledged;
use crate::judge::Judge;
use crate::lane::Lane;
use crate::takers::Takers;
use gob_tests::Gob;
use std::collections::{BTreeMap, VecDeque};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// Lines of that log that are shown with a violation.
const TOLD: usize = 400;

pub struct Shared {
    pub gob: Gob,
    begin: Instant,
    over: AtomicBool,
    pub requests: AtomicU64,
    pub events: AtomicU64,
    /// Answers by their content: `ok` or an error's code.
    answers: Mutex<BTreeMap<String, u64>>,
    log: Mutex<VecDeque<String>>,
    violations: Mutex<Vec<String>>,
    gate: Mutex<Gate>,
    gate_moved: Condvar,
    pub judge: Judge,
    pub history: History,
    pub lane: Lane,
    pub takers: Takers,
    pub acknowledged: Mutex<Acknowledged>,
    /// The file of the history was cut, and its damage was not found yet, as it may be at any later time.
    cut: AtomicBool,
}

/// Lets clients send requests, or holds them back.
#[derive(Default)]
struct Gate {
    closed: bool,
    /// Clients that wait for answers.
    busy: usize,
}

pub fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Shared {
    pub fn new(gob: Gob) -> Self {
        Self {
            gob,
            begin: Instant::now(),
            over: AtomicBool::new(false),
            requests: AtomicU64::new(0),
            events: AtomicU64::new(0),
            answers: Mutex::default(),
            log: Mutex::default(),
            violations: Mutex::default(),
            gate: Mutex::default(),
            gate_moved: Condvar::new(),
            judge: Judge::default(),
            history: History::default(),
            lane: Lane::default(),
            takers: Takers::default(),
            acknowledged: Mutex::default(),
            cut: AtomicBool::default(),
        }
    }

    /// Notes that the file of the history is about to be cut.
    pub fn cuts(&self) {
        self.cut.store(true, Ordering::Release);
        self.loses_store();
    }

    /// Notes a fault after which the file of history, queue and tokens may be another one.
    pub fn loses_store(&self) {
        self.history.spoil();
        self.lane.spoil();
        self.takers.spoil();
    }

    /// Notes that records may be missing, as long as the damage of a file that was cut was not found. The damaged file, which was
    /// moved aside, is deleted then: many of them would fill the disk.
    pub fn spoil_if_cut(&self) {
        if !self.cut.load(Ordering::Acquire) {
            return;
        }
        self.loses_store();
        let entries = std::fs::read_dir(self.gob.state_dir()).into_iter().flatten().flatten();
        let is_damaged = |entry: &std::fs::DirEntry| {
            entry.file_name().to_string_lossy().starts_with("store.sqlite3.damaged-")
        };
        for entry in entries.filter(is_damaged) {
            self.cut.store(false, Ordering::Release);
            drop(std::fs::remove_file(entry.path()));
        }
    }

    /// Notes an event, for the search for a cause.
    pub fn note(&self, text: impl AsRef<str>) {
        let mut log = lock(&self.log);
        if log.len() == TOLD {
            log.pop_front();
        }
        log.push_back(format!("{:9.3}  {}", self.begin.elapsed().as_secs_f64(), text.as_ref()));
    }

    /// Notes a violation.
    pub fn violated(&self, what: impl AsRef<str>) {
        self.note(format!("VIOLATION: {}", what.as_ref()));
        lock(&self.violations).push(what.as_ref().to_owned());
    }

    pub fn violations(&self) -> Vec<String> {
        lock(&self.violations).clone()
    }

    pub fn has_violations(&self) -> bool {
        !lock(&self.violations).is_empty()
    }

    pub fn log(&self) -> Vec<String> {
        lock(&self.log).iter().cloned().collect()
    }

    pub fn answered(&self, what: &str) {
        self.requests.fetch_add(1, Ordering::Relaxed);
        *lock(&self.answers).entry(what.to_owned()).or_default() += 1;
    }

    pub fn answers(&self) -> BTreeMap<String, u64> {
        lock(&self.answers).clone()
    }

    /// Lets clients go on for this long, or until a violation.
    pub fn load_for(&self, time: Duration) {
        let end = Instant::now() + time;
        // No event marks the end of enough work under a fault; the dice choose the time.
        while Instant::now() < end && !self.has_violations() {
            std::thread::park_timeout(
                end.saturating_duration_since(Instant::now()).min(Duration::from_millis(20)),
            );
        }
    }

    /// Holds clients back, and waits until each has its answers.
    pub fn close_gate(&self, timeout: Duration) -> Result<(), String> {
        let mut gate = lock(&self.gate);
        gate.closed = true;
        let waited = self.gate_moved.wait_timeout_while(gate, timeout, |gate| gate.busy > 0);
        let (gate, _) = waited.unwrap_or_else(PoisonError::into_inner);
        if gate.busy > 0 {
            Err(format!("{} clients wait for answers that don't come", gate.busy))
        } else {
            Ok(())
        }
    }

    pub fn open_gate(&self) {
        lock(&self.gate).closed = false;
        self.gate_moved.notify_all();
    }

    /// Waits until a client may send; false when all is over.
    pub fn enter(&self) -> bool {
        let gate = lock(&self.gate);
        let waited = self.gate_moved.wait_while(gate, |gate| gate.closed && !self.is_over());
        waited.unwrap_or_else(PoisonError::into_inner).busy += 1;
        !self.is_over()
    }

    pub fn leave(&self) {
        lock(&self.gate).busy -= 1;
        self.gate_moved.notify_all();
    }

    pub fn end(&self) {
        self.over.store(true, Ordering::Release);
        self.gate_moved.notify_all();
    }

    pub fn is_over(&self) -> bool {
        self.over.load(Ordering::Acquire)
    }

    /// Waits for a moment before a retry that no descriptor announces.
    pub fn breathe(&self) {
        std::thread::park_timeout(Duration::from_millis(5));
    }
}
