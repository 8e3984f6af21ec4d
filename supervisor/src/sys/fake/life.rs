//! The life of the fake's processes: born, signalled, dead, adopted.

use super::errno;
use super::world::{INIT, OWN, Process, Sent, World};
use gob_protocol::{Exit, signal};
use std::collections::BTreeMap;
use std::io;

impl World {
    /// Starts a run's leader.
    pub(super) fn spawn(&mut self, tag: u64, env: BTreeMap<String, String>) -> i32 {
        let pid = self.fork(OWN).unwrap();
        let carried = if self.refuses_tags { u64::MAX } else { tag };
        let process = self.process(pid);
        (process.tag, process.env, process.of, process.leads) = (carried, env, Some(tag), true);
        process.group = (pid, process.serial);
        pid
    }

    /// Starts a process of a supervisor that is dead: nothing but its tag and its environment tells whose it was.
    pub(crate) fn orphan(&mut self, tag: u64, variables: &[(&str, &str)]) -> i32 {
        let pid = self.stranger();
        let process = self.process(pid);
        (process.tag, process.of) = (tag, Some(tag));
        process.env =
            variables.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        pid
    }

    /// Starts a process that is none of ours.
    pub(crate) fn stranger(&mut self) -> i32 {
        let pid = self.fork(INIT).unwrap();
        self.process(pid).uid = 1000;
        self.set_session(pid);
        pid
    }

    /// Starts a child of a process; `None` when all numbers are taken.
    pub(crate) fn fork(&mut self, parent: i32) -> Option<i32> {
        let pid = self.take_number()?;
        self.ticks += 1;
        let serial = self.next_serial();
        let child = Process {
            serial,
            start_time: self.ticks,
            parent,
            place: serial,
            tids: Vec::new(),
            main_ended: false,
            leads: false,
            dying: None,
            ..self.process(parent).clone()
        };
        self.by_pid.insert(pid, child);
        Some(pid)
    }

    /// Gives a process one more thread, and returns its number.
    pub(crate) fn thread(&mut self, pid: i32) -> i32 {
        let tid = self.take_number().unwrap();
        self.process(pid).tids.push(tid);
        tid
    }

    /// Has a process lead a session and a group of its own, unless it leads a group already.
    pub(crate) fn set_session(&mut self, pid: i32) {
        let process = self.process(pid);
        if process.group.0 != pid {
            (process.session, process.group) = (pid, (pid, process.serial));
        }
    }

    /// Makes a process a dead child of ours, as one is that has lost its parent.
    pub(crate) fn orphan_to_us(&mut self, pid: i32) {
        let place = self.next_serial();
        let process = self.process(pid);
        (process.parent, process.place) = (OWN, place);
        self.die(pid, Exit::Code { code: 0 });
    }

    /// Ends a process with an exit code, its main thread alone where it has others.
    pub(crate) fn exit(&mut self, pid: i32) {
        if self.process(pid).tids.is_empty() {
            self.die(pid, Exit::Code { code: 0 });
        } else {
            self.process(pid).main_ended = true;
        }
    }

    /// Ends a process with all of its threads. Its children fall to the supervisor, or else to init.
    pub(super) fn die(&mut self, pid: i32, exit: Exit) {
        if !self.process(pid).is_alive() {
            return;
        }
        let heir = if self.is_below_us(pid) { OWN } else { INIT };
        for child in self.children_of(pid) {
            let place = self.next_serial();
            let child_process = self.process(child);
            (child_process.parent, child_process.place) = (heir, place);
            if heir == INIT && !child_process.is_alive() {
                self.by_pid.remove(&child);
            }
        }
        let process = self.process(pid);
        (process.dead, process.main_ended) = (Some(exit), true);
        process.tids.clear();
        let (parent, leads, of) = (process.parent, process.leads, process.of);
        if leads {
            self.ending.extend(of);
        }
        // Others reap their children at once.
        if parent != OWN {
            self.by_pid.remove(&pid);
        }
    }

    fn is_below_us(&self, pid: i32) -> bool {
        let mut parents = std::iter::successors(Some(pid), |pid| Some(self.get(*pid)?.parent()));
        parents.any(|pid| pid == OWN)
    }

    /// A process goes on as its own child.
    pub(crate) fn hop(&mut self, pid: i32) {
        if let Some(child) = self.fork(pid) {
            let from = self.process(pid).dying;
            self.process(child).dying = from;
            self.die(pid, Exit::Code { code: 0 });
        }
    }

    /// Lets processes act by themselves between two calls.
    pub(super) fn age(&mut self) {
        let may_act = |process: &Process| process.dying.is_some() || process.hops.is_some();
        let restless = std::mem::take(&mut self.restless);
        let acting =
            self.by_pid.iter().filter(|(_, process)| restless && process.is_alive() && may_act(process));
        let alive: Vec<i32> = acting.map(|(pid, _)| *pid).collect();
        self.restless = !alive.is_empty();
        let calls = self.calls();
        for pid in alive {
            let Some(process) = self.by_pid.get_mut(&pid).filter(|process| process.is_alive()) else {
                continue;
            };
            match &mut process.dying {
                Some(0) => self.die(pid, killed(libc::SIGKILL)),
                Some(left) => *left -= 1,
                None if process.hops.is_some_and(|every| calls.is_multiple_of(every)) => self.hop(pid),
                None => {}
            }
        }
        self.disturb();
    }

    /// Sends a signal to a process.
    ///
    /// # Panics
    /// When it is not of a run that is being ended: the rule under test.
    pub(super) fn deliver(&mut self, pid: i32, signal: i32) -> io::Result<()> {
        self.deliver_to(pid, signal, false)
    }

    /// Sends a signal to all of a group, told by the serial of the process that led it first.
    pub(super) fn deliver_group(&mut self, leader: u64, signal: i32) -> io::Result<()> {
        let members = self.by_pid.iter().filter(|(_, process)| process.group.1 == leader);
        let members: Vec<i32> = members.map(|(pid, _)| *pid).collect();
        let mut sent = Err(errno(libc::ESRCH));
        for pid in members {
            let one = self.deliver_to(pid, signal, true);
            // One that may be signalled is enough.
            sent = if sent.is_ok() { sent } else { one };
        }
        sent
    }

    fn deliver_to(&mut self, pid: i32, signal: i32, to_group: bool) -> io::Result<()> {
        let process = self.process(pid).clone();
        let run = process.of.filter(|run| self.ending.contains(run));
        let Some(of) = run else {
            panic!("signal {signal} goes to process {pid}, which is of no run that ends: {process:?}");
        };
        if !self.may_signal(&process) {
            return Err(errno(libc::EPERM));
        }
        if !process.is_alive() {
            return Ok(());
        }
        self.sent.push(Sent { pid, start_time: process.start_time, of, signal, to_group });
        self.strike(pid, signal);
        Ok(())
    }

    /// Has a signal take its effect on a living process.
    pub(super) fn strike(&mut self, pid: i32, signal: i32) {
        let process = self.process(pid).clone();
        match signal {
            libc::SIGKILL if process.dies_late > 0 => {
                self.process(pid).dying.get_or_insert(process.dies_late);
            }
            libc::SIGKILL => self.die(pid, killed(signal)),
            libc::SIGTERM if !process.ignores_term => self.die(pid, killed(signal)),
            _ => {}
        }
    }

    /// Something happens by itself, by the dice: a process of a run, or a stranger, forks, ends, goes on as its own child or
    /// leads a session.
    fn disturb(&mut self) {
        let Some((one_in, dice)) = self.chaos else { return };
        let mut dice = Dice(dice);
        if dice.below(one_in) == 0 {
            let alive = self.by_pid.iter().filter(|(pid, process)| **pid > OWN && process.is_alive());
            let alive: Vec<i32> = alive.map(|(pid, _)| *pid).collect();
            let picked = usize::try_from(dice.below(alive.len().max(1) as u64)).unwrap();
            if let Some(pid) = alive.get(picked).copied() {
                self.disturb_one(pid, &mut dice);
            }
        }
        self.chaos = Some((one_in, dice.0));
    }

    fn disturb_one(&mut self, pid: i32, dice: &mut Dice) {
        // So that there is always a number for what a test starts itself.
        let has_room = self.by_pid.len() < 40;
        match dice.below(12) {
            0..4 if has_room => drop(self.fork(pid)),
            4..7 if has_room => self.hop(pid),
            7 => self.set_session(pid),
            // Back to what it was, as `su` does; its environment tells.
            8 => self.process(pid).tag = u64::MAX,
            9 if has_room => drop(self.stranger()),
            _ => self.die(pid, Exit::Code { code: 0 }),
        }
    }
}

fn killed(number: i32) -> Exit {
    Exit::Signal { signal: signal::name(number).unwrap(), core_dumped: false }
}

/// Dice that fall the same way for the same seed (splitmix64).
#[derive(Debug, Clone, Copy)]
pub(crate) struct Dice(pub(crate) u64);

impl Dice {
    /// A number below this one.
    pub(crate) const fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)) % bound
    }
}
