//! Runs against a kernel without processes (`sys::fake`), which panics when a signal goes to a process that is not of a run
//! that is ended.

mod adoption;
mod groups;
mod random;
mod refusal;
mod reuse;
mod scans;
mod stop;

use super::{Place, Reaping, Runs, Swept};
use crate::cgroups::Cgroups;
use crate::disks::Disks;
use crate::journal::Journal;
use crate::programs::Program;
use crate::sys::fake::{Call, Fake, OWN};
use crate::sys::tag::Tags;
use gob_config::kind::Check;
use gob_core::{New, RunKey, SpawnPlan};
use gob_protocol::{Env, Name, ProcessId, Receipt, Signalled};
use std::collections::BTreeSet;
use std::ffi::CString;
use std::fs::File;
use std::os::fd::OwnedFd;
use std::path::Path;
use std::sync::LazyLock;
use std::time::Duration;

/// The instance of the supervisor of these tests.
const INSTANCE: &str = "own-instance";

/// Their threads stay, so all tests share them.
static DISKS: LazyLock<Disks> = LazyLock::new(Disks::new);

/// A run of these tests.
#[derive(Debug, Clone)]
struct Started {
    key: RunKey,
    /// Its leader.
    pid: i32,
    /// Its tag, by which the fake knows whose its processes are.
    tag: u64,
}

/// Runs, and the part of the core that follows from their ends.
struct Bench {
    fake: Fake,
    runs: Runs<Fake>,
    /// Runs that were asked to end: the rest of their trees lingers.
    asked: BTreeSet<RunKey>,
    swept: Vec<(RunKey, Receipt)>,
}

impl Bench {
    fn new() -> Self {
        Self::with_numbers(1000)
    }

    /// On a machine that gives numbers again after so many.
    fn with_numbers(numbers: i32) -> Self {
        Self::on(numbers, None)
    }

    /// With a control group for each run.
    fn with_groups(base: &str) -> Self {
        Self::on(1000, Some(Cgroups::at(base)))
    }

    fn on(numbers: i32, cgroups: Option<Cgroups>) -> Self {
        let fake = Fake::new(numbers);
        // No directory: nothing is read of it, and a journal that can't be written costs no run anything.
        let (journal, _) = Journal::open(Path::new("/nonexistent/gob"), "boot", DISKS.clone());
        let open_files = libc::rlimit { rlim_cur: 1024, rlim_max: 1024 };
        let runs =
            Runs::on(fake.clone(), Tags::new(7, 1 << 60), journal, cgroups, open_files, INSTANCE.to_owned());
        Self { fake, runs: runs.unwrap(), asked: BTreeSet::new(), swept: Vec::new() }
    }

    fn start(&mut self, name: &str) -> Started {
        let key = RunKey { name: Name::graph(name).unwrap(), run: 1 };
        let variables = [("GOB_INSTANCE", INSTANCE), ("GOB_NAME", name), ("GOB_RUN", "1")];
        let mut env = Env::default();
        for (name, value) in variables {
            env.set(name, value);
        }
        let plan = SpawnPlan {
            key: key.clone(),
            command: vec!["worker".to_owned()],
            cwd: "/".to_owned(),
            make_dirs: Vec::new(),
            stale_socket: None,
            env,
            umask: 0o077,
            nice: None,
            check: Check::None,
            liveness: None,
            rlimits: Vec::new(),
            lock: None,
            port: None,
            after_ms: 0,
        };
        let null = || OwnedFd::from(File::open("/dev/null").unwrap());
        let cwd = OwnedFd::from(File::open("/").unwrap());
        let (program, form) = (CString::new("worker").unwrap(), Program::at(Path::new("/none")));
        let place = Place { lock: None, new: New::default(), program, form, cwd };
        let ProcessId { pid, .. } = self.runs.spawn(&plan, (&null(), &null()), &place).unwrap();
        let tag = self.fake.with(|world| world.get(pid).unwrap().of).unwrap();
        Started { key, pid, tag }
    }

    /// Asks a run to end, as for a stop.
    fn stop(&mut self, run: &Started) {
        self.fake.with(|world| world.end(run.tag));
        self.asked.insert(run.key.clone());
        self.runs.new_turn();
        self.runs.terminate(&run.key, "SIGTERM");
    }

    /// The grace of a run is over.
    fn kill(&mut self, run: &Started) {
        self.fake.with(|world| world.end(run.tag));
        self.runs.new_turn();
        self.runs.sweep(&run.key);
    }

    /// One turn of the loop: takes in children that have ended, and goes on with the sweeps.
    fn turn(&mut self) {
        self.runs.new_turn();
        loop {
            match self.runs.reap() {
                Reaping::Nothing => break,
                Reaping::Stray => {}
                Reaping::Leader(key, _) if self.asked.contains(&key) => self.runs.linger(&key, "SIGTERM"),
                Reaping::Leader(key, _) => self.runs.sweep(&key),
            }
        }
        let swept = self.runs.sweep_on();
        self.swept.extend(swept.into_iter().map(|Swept { key, receipt, .. }| (key, receipt)));
    }

    /// Goes on for so many turns; returns the receipt if the run is over by then.
    fn turns(&mut self, run: &Started, turns: usize) -> Option<Receipt> {
        for _ in 0..turns {
            self.turn();
            if let Some(receipt) = self.receipt(run) {
                return Some(receipt);
            }
            self.fake.with(|world| world.pass(Duration::from_millis(1)));
        }
        None
    }

    fn receipt(&self, run: &Started) -> Option<Receipt> {
        self.swept.iter().find(|(key, _)| *key == run.key).map(|(_, receipt)| receipt.clone())
    }

    /// Goes on until the run is over, and makes sure that nothing is left of it.
    fn over(&mut self, run: &Started) -> Receipt {
        let receipt = self.turns(run, 100).expect("it is not over after 100 turns");
        assert_eq!(self.living(run), [0; 0], "it is over, and these live");
        receipt
    }

    fn living(&self, run: &Started) -> Vec<i32> {
        self.fake.with(|world| world.living_of(run.tag))
    }

    /// Starts a child in a session of its own.
    fn detached(&self, parent: i32) -> i32 {
        let pid = self.fake.fork(parent);
        self.fake.with(|world| world.set_session(pid));
        pid
    }

    /// Starts a child whose parent is dead, so that it is adopted, and that is in no group with the leader.
    fn adopted(&self, parent: i32) -> i32 {
        let between = self.fake.fork(parent);
        let pid = self.detached(between);
        self.exit(between);
        pid
    }

    fn exit(&self, pid: i32) {
        self.fake.with(|world| world.exit(pid));
    }

    fn start_time(&self, pid: i32) -> u64 {
        self.fake.with(|world| world.process(pid).start_time)
    }

    /// Counts the calls of one kind that `what` makes.
    fn calls_like(&mut self, is_meant: fn(Call) -> bool, what: impl FnOnce(&mut Self)) -> usize {
        let before = self.fake.with(|world| world.log.iter().filter(|call| is_meant(**call)).count());
        what(self);
        self.fake.with(|world| world.log.iter().filter(|call| is_meant(**call)).count()) - before
    }
}

/// The entry of a process in a receipt.
fn entry(receipt: &Receipt, pid: i32) -> &Signalled {
    let mut entries = receipt.signalled.iter().filter(|entry| entry.pid == pid);
    let entry = entries.next().unwrap_or_else(|| panic!("{pid} is not in {receipt:?}"));
    assert!(entries.next().is_none(), "{pid} is twice in {receipt:?}");
    entry
}
