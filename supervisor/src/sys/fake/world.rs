//! The process table of the fake: its processes, their order, and their rights.

use super::groups::Groups;
use super::{Call, errno};
use crate::sys::reap::Dead;
use gob_protocol::Exit;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::io;
use std::path::PathBuf;
use std::time::{Duration, Instant};

/// The first process of the machine.
pub(super) const INIT: i32 = 1;
/// This supervisor, a subreaper.
pub(crate) const OWN: i32 = 2;
/// The user that it runs as.
pub(super) const OWN_UID: u32 = 1000;

/// A process: the kernel's facts about it, and a test's settings for it.
#[derive(Debug, Clone)]
pub(crate) struct Process {
    /// Tells processes apart that had one number after each other.
    pub(super) serial: u64,
    pub(crate) start_time: u64,
    pub(super) parent: i32,
    /// Its place in the list of its parent's children.
    pub(super) place: u64,
    /// Its group: the number, and the serial of the process that led it first.
    pub(super) group: (i32, u64),
    pub(super) session: i32,
    /// Numbers of further threads.
    pub(super) tids: Vec<i32>,
    /// Its main thread has ended, whatever others do.
    pub(super) main_ended: bool,
    pub(super) dead: Option<Exit>,
    pub(crate) tag: u64,
    pub(crate) env: BTreeMap<String, String>,
    pub(crate) files: Vec<String>,
    /// Inherited locks by the path of the file, and who took them.
    pub(crate) locks: Vec<(String, i32)>,
    /// Open files by name, device and inode.
    pub(crate) opened: Vec<(String, (u64, u64))>,
    pub(crate) args: Vec<String>,
    /// Its control group, where it has one.
    pub(crate) cgroup: Option<PathBuf>,
    pub(crate) uid: u32,
    /// `/proc` does not show it.
    pub(crate) hidden: bool,
    /// The run that it really is of, by its tag; `None` for processes of others.
    pub(crate) of: Option<u64>,
    /// It is the leader of a run of this supervisor.
    pub(super) leads: bool,
    pub(crate) ignores_term: bool,
    /// It goes on for so many calls after SIGKILL, as in a system call that can't be broken off.
    pub(crate) dies_late: u64,
    pub(super) dying: Option<u64>,
    /// It goes on as its own child every so many calls.
    pub(crate) hops: Option<u64>,
}

impl Process {
    pub(crate) const fn parent(&self) -> i32 {
        self.parent
    }

    pub(crate) const fn pgid(&self) -> i32 {
        self.group.0
    }

    pub(super) const fn session(&self) -> i32 {
        self.session
    }

    pub(super) fn threads(&self) -> u32 {
        u32::try_from(self.tids.len()).unwrap() + 1
    }

    pub(super) const fn state(&self) -> char {
        if self.main_ended { 'Z' } else { 'S' }
    }

    pub(crate) const fn is_alive(&self) -> bool {
        self.dead.is_none()
    }
}

/// A change right before a call.
struct Hook {
    when: Box<dyn Fn(Call) -> bool>,
    what: Box<dyn FnOnce(&mut World)>,
}

impl fmt::Debug for Hook {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Hook")
    }
}

/// A signal that a process got: its number and start time, the signal, and whether it was sent to its group.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Sent {
    pub(crate) pid: i32,
    pub(crate) start_time: u64,
    pub(crate) of: u64,
    pub(crate) signal: i32,
    pub(crate) to_group: bool,
}

/// The machine.
#[derive(Debug)]
pub(crate) struct World {
    pub(super) by_pid: BTreeMap<i32, Process>,
    pub(super) serials: u64,
    pub(super) numbers: i32,
    last_pid: i32,
    pub(super) ticks: u64,
    begun: Instant,
    pub(super) elapsed: Duration,
    /// How long a call takes.
    pub(crate) call_takes: Duration,
    calls: u64,
    /// The calls so far.
    pub(crate) log: Vec<Call>,
    hooks: Vec<Hook>,
    /// Runs whose processes may be signalled: those that a test ends, and those whose leader is dead.
    pub(super) ending: BTreeSet<u64>,
    pub(crate) sent: Vec<Sent>,
    pub(super) groups: Groups,
    /// The processes that took locks, by the device and inode of the file.
    pub(crate) takers: BTreeMap<(u64, u64), i32>,
    /// Whether this supervisor is root.
    pub(crate) is_root: bool,
    /// Whether the last number is told.
    pub(crate) tells_last: bool,
    /// Whether a group can be signalled through a handle (Linux 6.9).
    pub(crate) has_group_signals: bool,
    /// Whether tags can't be set, for a hard limit on file locks.
    pub(crate) refuses_tags: bool,
    /// Whether the children can't be listed just now.
    pub(crate) hides_children: bool,
    /// Whether a process may do something by itself.
    pub(super) restless: bool,
    /// How often something happens by itself, once in so many calls, and by which dice.
    pub(crate) chaos: Option<(u64, u64)>,
}

impl World {
    pub(super) fn new(numbers: i32) -> Self {
        let mut world = Self {
            by_pid: BTreeMap::new(),
            serials: 0,
            numbers,
            last_pid: 0,
            ticks: 100,
            begun: Instant::now(),
            elapsed: Duration::ZERO,
            call_takes: Duration::from_micros(10),
            calls: 0,
            log: Vec::new(),
            hooks: Vec::new(),
            ending: BTreeSet::new(),
            sent: Vec::new(),
            groups: Groups::default(),
            takers: BTreeMap::new(),
            is_root: false,
            tells_last: true,
            has_group_signals: true,
            refuses_tags: false,
            hides_children: false,
            restless: false,
            chaos: None,
        };
        for pid in [INIT, OWN] {
            assert_eq!(world.take_number(), Some(pid));
            let serial = world.next_serial();
            let first = Process {
                serial,
                start_time: 0,
                parent: pid - 1,
                place: 0,
                group: (pid, serial),
                session: pid,
                tids: Vec::new(),
                main_ended: false,
                dead: None,
                tag: u64::MAX,
                env: BTreeMap::new(),
                files: Vec::new(),
                locks: Vec::new(),
                opened: Vec::new(),
                args: Vec::new(),
                cgroup: None,
                uid: if pid == INIT { 0 } else { OWN_UID },
                hidden: false,
                of: None,
                leads: false,
                ignores_term: false,
                dies_late: 0,
                dying: None,
                hops: None,
            };
            world.by_pid.insert(pid, first);
        }
        world
    }

    pub(super) const fn next_serial(&mut self) -> u64 {
        self.serials += 1;
        self.serials
    }

    /// Takes the next number that is no process's, thread's, group's or session's.
    pub(super) fn take_number(&mut self) -> Option<i32> {
        let mut next = self.last_pid;
        for _ in self.by_pid.len()..usize::try_from(self.numbers).unwrap() {
            next = if next >= self.numbers { 3 } else { next + 1 };
            let has = |process: &Process| {
                process.group.0 == next || process.session == next || process.tids.contains(&next)
            };
            if !self.by_pid.contains_key(&next) && !self.by_pid.values().any(has) {
                self.last_pid = next;
                return Some(next);
            }
        }
        None
    }

    /// Has numbers go on behind this one.
    pub(crate) const fn set_last_pid(&mut self, last: i32) {
        self.last_pid = last;
    }

    pub(crate) fn before(
        &mut self,
        when: impl Fn(Call) -> bool + 'static,
        what: impl FnOnce(&mut Self) + 'static,
    ) {
        self.hooks.push(Hook { when: Box::new(when), what: Box::new(what) });
    }

    /// A call begins: time passes, and what is to happen before it happens.
    pub(super) fn step(&mut self, call: Call) {
        self.calls += 1;
        assert!(self.calls < 500_000, "this never ends");
        self.elapsed += self.call_takes;
        if self.log.len() < 500_000 {
            self.log.push(call);
        }
        let due = self.hooks.iter().position(|hook| (hook.when)(call));
        if let Some(due) = due {
            let hook = self.hooks.remove(due);
            (hook.what)(self);
        }
        self.age();
    }

    /// Lets time pass.
    pub(crate) fn pass(&mut self, time: Duration) {
        self.elapsed += time;
        self.age();
    }

    /// Says that a run is ended now, so that its processes may be signalled.
    pub(crate) fn end(&mut self, run: u64) {
        self.ending.insert(run);
    }

    pub(crate) const fn calls(&self) -> u64 {
        self.calls
    }

    pub(crate) fn now(&self) -> Instant {
        self.begun + self.elapsed
    }

    pub(super) const fn ticks(&self) -> u64 {
        self.ticks
    }

    pub(super) fn last_pid(&self) -> Option<i32> {
        self.tells_last.then_some(self.last_pid)
    }

    pub(super) const fn about_last_pid(&self) -> i32 {
        self.last_pid
    }

    pub(crate) fn get(&self, pid: i32) -> Option<&Process> {
        self.by_pid.get(&pid)
    }

    /// Returns the process that has this number, or a thread with it.
    pub(super) fn get_task(&self, number: i32) -> Option<&Process> {
        let of_thread = || self.by_pid.values().find(|process| process.tids.contains(&number));
        self.get(number).or_else(of_thread)
    }

    pub(crate) fn process(&mut self, pid: i32) -> &mut Process {
        self.restless = true;
        self.by_pid.get_mut(&pid).unwrap_or_else(|| panic!("there is no process {pid}"))
    }

    pub(super) fn next_pid(&self, after: i32) -> Option<i32> {
        let mut behind = self.by_pid.range(after + 1..);
        behind.find(|(_, process)| !process.hidden).map(|(pid, _)| *pid)
    }

    pub(super) fn children(&self) -> io::Result<Vec<i32>> {
        if self.hides_children { Err(errno(libc::EMFILE)) } else { Ok(self.children_of(OWN)) }
    }

    pub(crate) fn children_of(&self, parent: i32) -> Vec<i32> {
        let children = self.by_pid.iter().filter(|(_, process)| process.parent == parent);
        let mut children: Vec<(u64, i32)> = children.map(|(pid, process)| (process.place, *pid)).collect();
        children.sort_unstable();
        children.into_iter().map(|(_, pid)| pid).collect()
    }

    pub(super) fn next_dead(&self) -> Option<Dead> {
        let mut children = self.children_of(OWN).into_iter();
        children.find_map(|pid| Some(Dead { pid, exit: self.get(pid)?.dead.clone()? }))
    }

    pub(super) fn reap(&mut self, dead: Dead) -> Exit {
        let process = self.by_pid.remove(&dead.pid).unwrap();
        assert!(process.parent == OWN && !process.is_alive(), "{} can't be reaped", dead.pid);
        dead.exit
    }

    pub(super) fn has_ended(&self, serial: u64) -> bool {
        !self.by_pid.values().any(|process| process.serial == serial && process.is_alive())
    }

    /// Every process, dead ones too.
    pub(super) fn processes(&self) -> impl Iterator<Item = &Process> {
        self.by_pid.values()
    }

    pub(super) const fn may_signal(&self, process: &Process) -> bool {
        self.is_root || process.uid == OWN_UID
    }

    pub(super) const fn may_read(&self, process: &Process) -> bool {
        self.may_signal(process) && !process.hidden
    }

    /// Lists the living processes that really are of a run.
    pub(crate) fn living_of(&self, run: u64) -> Vec<i32> {
        let living = self.by_pid.iter().filter(|(_, process)| process.of == Some(run) && process.is_alive());
        living.map(|(pid, _)| *pid).collect()
    }

    /// Lists the living processes that carry a tag like this.
    pub(crate) fn tagged(&self, is_meant: impl Fn(u64) -> bool) -> Vec<i32> {
        let tagged = self.by_pid.iter().filter(|(_, process)| is_meant(process.tag) && process.is_alive());
        tagged.map(|(pid, _)| *pid).collect()
    }

    /// Returns the start time of a process that is started now.
    pub(crate) const fn start_time(&self) -> u64 {
        self.ticks + 1
    }

    /// Whether a process was sent a signal.
    pub(crate) fn got(&self, pid: i32, start_time: u64, signal: i32) -> bool {
        self.sent.iter().any(|sent| (sent.pid, sent.start_time, sent.signal) == (pid, start_time, signal))
    }
}
