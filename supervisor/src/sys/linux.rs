//! The kernel of this machine, by system calls and by what it tells in `/proc`. It decides nothing.

use super::children::{self, Children};
use super::clock;
use super::fds;
use super::kernel::{Kernel, OpenFile};
use super::process::{self, Found, LastPid, Liveness};
use super::reap::{self, Dead};
use super::spawn::{self, SpawnError, Spec, Started};
use super::tag;
use gob_protocol::Exit;
use std::fs::{self, DirBuilder, File};
use std::io;
use std::ops::Range;
use std::os::fd::OwnedFd;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// The kernel of this machine. Two files stay open, because each run that ends asks for them several times.
#[derive(Debug)]
pub(crate) struct Linux {
    last: Option<LastPid>,
    children: Children,
}

impl Linux {
    /// The kernel as this process sees it.
    pub(crate) fn new() -> Self {
        spawn::reserve();
        Self { last: LastPid::open().ok(), children: Children::new() }
    }
}

impl Kernel for Linux {
    type Handle = OwnedFd;

    fn now(&self) -> Instant {
        Instant::now()
    }

    fn ticks(&self) -> u64 {
        clock::ticks()
    }

    fn spawn(&self, spec: &Spec<'_>) -> Result<Started<OwnedFd>, SpawnError> {
        spawn::spawn(spec)
    }

    fn pids(&self) -> io::Result<impl Iterator<Item = io::Result<i32>>> {
        process::pids()
    }

    fn last_pid(&self) -> io::Result<i32> {
        self.last.as_ref().ok_or(io::ErrorKind::NotFound)?.get()
    }

    fn about_last_pid(&self) -> io::Result<i32> {
        process::about_last_pid()
    }

    fn is_process(&self, pid: i32) -> bool {
        process::is_leader(pid)
    }

    fn stat(&self, pid: i32) -> io::Result<Option<Found>> {
        process::stat(pid)
    }

    fn parent(&self, pid: i32) -> Option<i32> {
        process::parent(pid)
    }

    fn tag(&self, pid: i32) -> Option<u64> {
        tag::of(pid)
    }

    fn tag_of_anybody(&self, pid: i32) -> Option<u64> {
        tag::of_anybody(pid)
    }

    fn uid(&self, pid: i32) -> Option<u32> {
        process::uid(pid)
    }

    fn group(&self, pid: i32) -> i32 {
        process::group(pid)
    }

    fn variable(&self, pid: i32, name: &str) -> Option<Vec<u8>> {
        process::variable(pid, name)
    }

    fn open_files(&self, pid: i32) -> Vec<String> {
        process::open_files(pid)
    }

    fn has_open(&self, pid: i32, file: OpenFile<'_>) -> bool {
        process::has_open(pid, file)
    }

    fn lock_taker(&self, (device, inode): (u64, u64)) -> Option<i32> {
        gob_host::locks::holder_of(device, inode)
    }

    fn took_locks(&self, pid: i32) -> bool {
        gob_host::locks::is_taker(pid)
    }

    fn taken_locks(&self, pid: i32) -> Vec<(String, i32)> {
        process::taken_locks(pid)
    }

    fn hidden_pids(&self) -> Option<Range<i32>> {
        process::hidden_pids()
    }

    fn own_uid(&self) -> u32 {
        fds::uid()
    }

    fn arguments(&self, pid: i32) -> Vec<String> {
        let words = gob_host::process::arguments(pid).into_iter();
        words.map(|word| String::from_utf8_lossy(&word).into_owned()).collect()
    }

    fn real_path(&self, pid: i32, dir: &str) -> Option<String> {
        let base = fs::read_link(process::memory_of(pid).join("cwd")).ok()?;
        fs::canonicalize(base.join(dir)).ok()?.to_str().map(str::to_owned)
    }

    fn liveness(&self, pid: i32) -> Liveness {
        process::liveness(pid)
    }

    fn make_group(&self, group: &Path) -> io::Result<File> {
        DirBuilder::new().mode(0o700).create(group).and_then(|()| File::open(group))
    }

    fn remove_group(&self, group: &Path) -> io::Result<()> {
        fs::remove_dir(group)
    }

    fn members(&self, group: &Path) -> Vec<i32> {
        let text = fs::read_to_string(group.join("cgroup.procs")).unwrap_or_default();
        let own = text.lines().filter_map(|pid| pid.parse().ok());
        own.chain(self.groups_in(group).iter().flat_map(|below| self.members(below))).collect()
    }

    fn kill_group(&self, group: &Path) -> io::Result<()> {
        fs::write(group.join("cgroup.kill"), "1")
    }

    fn groups_in(&self, group: &Path) -> Vec<PathBuf> {
        let entries = fs::read_dir(group).into_iter().flatten().flatten();
        let groups = entries.filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir()));
        groups.map(|entry| entry.path()).collect()
    }

    fn children(&self) -> io::Result<Vec<i32>> {
        self.children.get()
    }

    fn children_of(&self, pid: i32) -> Vec<i32> {
        children::of(pid)
    }

    fn is_living_child(&self, pid: i32) -> bool {
        children::is_living(pid)
    }

    fn open(&self, pid: i32) -> io::Result<OwnedFd> {
        process::pidfd_open(pid)
    }

    fn has_ended(&self, handle: &OwnedFd) -> bool {
        process::has_ended(handle)
    }

    fn wait_for_any(&self, handles: &[&OwnedFd], limit: Duration) -> bool {
        process::wait_for_any(handles, limit)
    }

    fn send(&self, handle: &OwnedFd, signal: i32) -> io::Result<()> {
        process::send(handle, signal)
    }

    fn send_group_of(&self, handle: &OwnedFd, signal: i32) -> io::Result<()> {
        process::send_group_of(handle, signal)
    }

    fn send_group(&self, leader: i32, signal: i32) -> io::Result<()> {
        process::send_group(leader, signal)
    }

    fn is_denied(&self, pid: i32) -> bool {
        process::is_denied(pid)
    }

    fn next_dead(&self) -> Option<Dead> {
        reap::next_dead()
    }

    fn reap(&self, dead: Dead) -> Exit {
        reap::reap(dead)
    }
}
