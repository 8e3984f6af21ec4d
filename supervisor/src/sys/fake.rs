//! A kernel without processes, for the tests of the code that ends them.
//!
//! It is as mean as the real one can be, on purpose: its numbers are few and given again at once, and between any two calls
//! whatever a test has ordered may happen, also between two numbers of one listing. It knows whose each process really is, and
//! panics at once when a signal goes to a process of no run, or of a run that nobody ends ([`World::deliver`]).

mod groups;
mod life;
mod world;

pub(crate) use life::Dice;
pub(crate) use world::{OWN, Process, World};

use super::kernel::{Kernel, OpenFile};
use super::process::{Found, Liveness, Proof};
use super::reap::Dead;
use super::spawn::{SpawnError, Spec, Started};
use gob_host::process::Stat;
use gob_protocol::{Exit, ProcessId};
use std::cell::{RefCell, RefMut};
use std::fs::File;
use std::io;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::time::{Duration, Instant};

/// A call of the kernel, as hooks and counts tell it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Call {
    Spawn,
    /// A listing of all numbers begins.
    Pids,
    /// It goes on behind this number.
    Next(i32),
    LastPid,
    IsProcess(i32),
    Stat(i32),
    Parent(i32),
    Tag(i32),
    Uid(i32),
    Group(i32),
    Variable(i32),
    OpenFiles(i32),
    HasOpen(i32),
    LockTaker,
    Arguments(i32),
    RealPath(i32),
    Liveness(i32),
    MakeGroup,
    RemoveGroup,
    Members,
    KillGroup,
    GroupsIn,
    Children,
    ChildrenOf(i32),
    IsLivingChild(i32),
    Open(i32),
    HasEnded(i32),
    Wait,
    Send(i32, i32),
    SendGroupOf(i32, i32),
    SendGroup(i32, i32),
    IsDenied(i32),
    NextDead,
    Reap(i32),
}

/// A handle on one process of the fake.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Handle {
    pid: i32,
    serial: u64,
}

/// The fake. Clones are the same.
#[derive(Debug, Clone)]
pub(crate) struct Fake(Rc<RefCell<World>>);

impl Fake {
    /// A machine with so many numbers.
    pub(crate) fn new(numbers: i32) -> Self {
        Self(Rc::new(RefCell::new(World::new(numbers))))
    }

    /// Changes or examines the world, which counts as no call.
    pub(crate) fn with<T>(&self, what: impl FnOnce(&mut World) -> T) -> T {
        what(&mut self.0.borrow_mut())
    }

    /// Changes a process.
    pub(crate) fn change(&self, pid: i32, how: impl FnOnce(&mut Process)) {
        self.with(|world| how(world.process(pid)));
    }

    /// Starts a child of a process.
    pub(crate) fn fork(&self, parent: i32) -> i32 {
        self.with(|world| world.fork(parent)).unwrap()
    }

    /// Does something once, right before a call.
    pub(crate) fn before(
        &self,
        when: impl Fn(Call) -> bool + 'static,
        what: impl FnOnce(&mut World) + 'static,
    ) {
        self.with(|world| world.before(when, what));
    }

    /// Counts the calls that `what` makes.
    pub(crate) fn count<T>(&self, what: impl FnOnce() -> T) -> (u64, T) {
        let before = self.with(|world| world.calls());
        let done = what();
        (self.with(|world| world.calls()) - before, done)
    }

    fn step(&self, call: Call) -> RefMut<'_, World> {
        let mut world = self.0.borrow_mut();
        world.step(call);
        world
    }
}

/// An error of the kernel.
pub(super) fn errno(errno: i32) -> io::Error {
    io::Error::from_raw_os_error(errno)
}

impl Kernel for Fake {
    type Handle = Handle;

    fn now(&self) -> Instant {
        self.with(|world| world.now())
    }

    fn ticks(&self) -> u64 {
        self.with(|world| world.ticks())
    }

    fn spawn(&self, spec: &Spec<'_>) -> Result<Started<Handle>, SpawnError> {
        let env = spec.envp.iter().filter_map(|variable| variable.to_str().ok()?.split_once('='));
        let env = env.map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
        let mut world = self.step(Call::Spawn);
        let pid = world.spawn(spec.tag.0, env);
        let cgroup = spec.cgroup.and_then(|_| world.made_group());
        let process = world.process(pid);
        process.cgroup.clone_from(&cgroup);
        let id = ProcessId { pid, start_time: process.start_time };
        Ok(Started { id, pidfd: Handle { pid, serial: process.serial }, in_cgroup: cgroup.is_some() })
    }

    fn pids(&self) -> io::Result<impl Iterator<Item = io::Result<i32>>> {
        drop(self.step(Call::Pids));
        let kernel = self.clone();
        let next = move |after: &i32| kernel.step(Call::Next(*after)).next_pid(*after);
        Ok(std::iter::successors(self.with(|world| world.next_pid(0)), next).map(Ok))
    }

    fn last_pid(&self) -> io::Result<i32> {
        self.step(Call::LastPid).last_pid().ok_or_else(|| errno(libc::ENOENT))
    }

    fn about_last_pid(&self) -> io::Result<i32> {
        Ok(self.step(Call::LastPid).about_last_pid())
    }

    fn is_process(&self, pid: i32) -> bool {
        self.step(Call::IsProcess(pid)).get(pid).is_some()
    }

    fn stat(&self, pid: i32) -> io::Result<Option<Found>> {
        let world = self.step(Call::Stat(pid));
        let Some(process) = world.get_task(pid).filter(|process| !process.hidden) else { return Ok(None) };
        // The real rule says whether it is alive.
        let stat = Stat {
            name: "fake",
            state: process.state(),
            parent: process.parent(),
            pgid: process.pgid(),
            session: process.session(),
            nice: 0,
            threads: process.threads(),
            start_time: process.start_time,
        };
        let id = ProcessId { pid, start_time: stat.start_time };
        let found = Found { id, pgid: stat.pgid, parent: stat.parent, proof: Proof::Tag };
        Ok(stat.is_alive().then_some(found))
    }

    fn parent(&self, pid: i32) -> Option<i32> {
        self.step(Call::Parent(pid)).get(pid).map(Process::parent)
    }

    fn tag(&self, pid: i32) -> Option<u64> {
        let world = self.step(Call::Tag(pid));
        let process = world.get_task(pid)?;
        world.may_read(process).then_some(process.tag)
    }

    fn tag_of_anybody(&self, pid: i32) -> Option<u64> {
        let world = self.step(Call::Tag(pid));
        // `prlimit` asks for the user alone.
        let may_read = |process: &&Process| !process.hidden || process.uid == world::OWN_UID;
        world.get_task(pid).filter(may_read).map(|process| process.tag)
    }

    fn uid(&self, pid: i32) -> Option<u32> {
        let world = self.step(Call::Uid(pid));
        world.get(pid).filter(|process| !process.hidden).map(|process| process.uid)
    }

    fn group(&self, pid: i32) -> i32 {
        self.step(Call::Group(pid)).get(pid).map_or(0, Process::pgid)
    }

    fn variable(&self, pid: i32, name: &str) -> Option<Vec<u8>> {
        let world = self.step(Call::Variable(pid));
        let process = world.get(pid).filter(|process| process.is_alive() && world.may_read(process))?;
        process.env.get(name).map(|value| value.clone().into_bytes())
    }

    fn open_files(&self, pid: i32) -> Vec<String> {
        let world = self.step(Call::OpenFiles(pid));
        let process = world.get(pid).filter(|process| process.is_alive() && world.may_read(process));
        process.map(|process| process.files.clone()).unwrap_or_default()
    }

    fn has_open(&self, pid: i32, file: OpenFile<'_>) -> bool {
        let world = self.step(Call::HasOpen(pid));
        let process = world.get(pid).filter(|process| process.is_alive() && world.may_read(process));
        process.is_some_and(|process| {
            process.opened.iter().any(|(name, id)| name.as_str() == file.name && *id == file.id)
        })
    }

    fn lock_taker(&self, file: (u64, u64)) -> Option<i32> {
        self.step(Call::LockTaker).takers.get(&file).copied()
    }

    fn took_locks(&self, pid: i32) -> bool {
        self.step(Call::LockTaker).processes().any(|one| one.locks.iter().any(|(_, taker)| *taker == pid))
    }

    fn taken_locks(&self, pid: i32) -> Vec<(String, i32)> {
        let world = self.step(Call::OpenFiles(pid));
        let process = world.get(pid).filter(|process| process.is_alive() && world.may_read(process));
        process.map(|process| process.locks.clone()).unwrap_or_default()
    }

    fn hidden_pids(&self) -> Option<Range<i32>> {
        self.with(|world| world.processes().any(|process| process.hidden).then_some(1..world.numbers))
    }

    fn own_uid(&self) -> u32 {
        world::OWN_UID
    }

    fn arguments(&self, pid: i32) -> Vec<String> {
        let world = self.step(Call::Arguments(pid));
        let process = world.get(pid).filter(|process| process.is_alive() && !process.hidden);
        process.map(|process| process.args.clone()).unwrap_or_default()
    }

    fn real_path(&self, pid: i32, dir: &str) -> Option<String> {
        let world = self.step(Call::RealPath(pid));
        world.get(pid).filter(|process| process.is_alive() && world.may_read(process))?;
        Some(dir.to_owned())
    }

    fn liveness(&self, pid: i32) -> Liveness {
        match self.step(Call::Liveness(pid)).get(pid).filter(|process| process.is_alive()) {
            None => Liveness::Dead,
            Some(process) if process.hidden => Liveness::Alive { start_time: 0 },
            Some(process) => Liveness::Alive { start_time: process.start_time },
        }
    }

    fn make_group(&self, group: &Path) -> io::Result<File> {
        self.step(Call::MakeGroup).make_group(group)?;
        File::open("/dev/null")
    }

    fn remove_group(&self, group: &Path) -> io::Result<()> {
        self.step(Call::RemoveGroup).remove_group(group)
    }

    fn members(&self, group: &Path) -> Vec<i32> {
        self.step(Call::Members).members(group)
    }

    fn kill_group(&self, group: &Path) -> io::Result<()> {
        self.step(Call::KillGroup).kill_group(group);
        Ok(())
    }

    fn groups_in(&self, group: &Path) -> Vec<PathBuf> {
        self.step(Call::GroupsIn).groups_in(group)
    }

    fn children(&self) -> io::Result<Vec<i32>> {
        self.step(Call::Children).children()
    }

    fn children_of(&self, pid: i32) -> Vec<i32> {
        self.step(Call::ChildrenOf(pid)).children_of(pid)
    }

    fn is_living_child(&self, pid: i32) -> bool {
        let world = self.step(Call::IsLivingChild(pid));
        world.get(pid).is_some_and(|process| process.parent() == world::OWN && process.is_alive())
    }

    fn open(&self, pid: i32) -> io::Result<Handle> {
        let world = self.step(Call::Open(pid));
        let process = world.get(pid).ok_or_else(|| errno(libc::ESRCH))?;
        Ok(Handle { pid, serial: process.serial })
    }

    fn has_ended(&self, handle: &Handle) -> bool {
        self.step(Call::HasEnded(handle.pid)).has_ended(handle.serial)
    }

    fn wait_for_any(&self, handles: &[&Handle], limit: Duration) -> bool {
        let mut world = self.step(Call::Wait);
        let ended = |world: &World| handles.iter().any(|handle| world.has_ended(handle.serial));
        if !ended(&world) {
            world.pass(limit);
        }
        ended(&world)
    }

    fn send(&self, handle: &Handle, signal: i32) -> io::Result<()> {
        let mut world = self.step(Call::Send(handle.pid, signal));
        let is_same = world.get(handle.pid).is_some_and(|process| process.serial == handle.serial);
        if is_same { world.deliver(handle.pid, signal) } else { Err(errno(libc::ESRCH)) }
    }

    fn send_group_of(&self, handle: &Handle, signal: i32) -> io::Result<()> {
        let mut world = self.step(Call::SendGroupOf(handle.pid, signal));
        if world.has_group_signals {
            world.deliver_group(handle.serial, signal)
        } else {
            Err(errno(libc::EINVAL))
        }
    }

    fn send_group(&self, leader: i32, signal: i32) -> io::Result<()> {
        let mut world = self.step(Call::SendGroup(leader, signal));
        let held = world.get(leader).filter(|process| process.leads && process.parent() == world::OWN);
        let Some(serial) = held.map(|process| process.serial) else {
            panic!("the group {leader} gets signal {signal}, and no leader of ours holds that number");
        };
        world.deliver_group(serial, signal)
    }

    fn is_denied(&self, pid: i32) -> bool {
        let world = self.step(Call::IsDenied(pid));
        world.get(pid).is_some_and(|process| !world.may_signal(process))
    }

    fn next_dead(&self) -> Option<Dead> {
        self.step(Call::NextDead).next_dead()
    }

    fn reap(&self, dead: Dead) -> Exit {
        self.step(Call::Reap(dead.pid)).reap(dead)
    }
}
