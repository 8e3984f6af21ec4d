//! Facts about processes, and signals to processes that are provably ours (ARCHITECTURE, rule 3).

use super::kernel::OpenFile;
pub(crate) use super::listing::pids;
use super::tag::{self, Tag};
use gob_host::process::{Stat, StatLine, is_gone};
pub(crate) use gob_host::process::{memory_of, variable};
use gob_protocol::ProcessId;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use std::collections::HashMap;
use std::ffi::OsStr;
use std::fs::File;
use std::io;
use std::ops::Range;
use std::os::fd::{AsFd, AsRawFd, FromRawFd, OwnedFd, RawFd};
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::Path;
use std::time::Duration;
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

/// One process as a scan found it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Found {
    pub(crate) id: ProcessId,
    pub(crate) pgid: i32,
    pub(crate) parent: i32,
    /// The proof that it is ours, besides being there.
    pub(crate) proof: Proof,
}

/// The proof that a process is of a run (ARCHITECTURE, rule 3).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Proof {
    /// It carries the run's tag.
    Tag,
    /// It is our own child, whose pid is its own until we reap it.
    Child,
    /// It was seen below one of ours.
    Below,
}

/// Reads the umask of a process (proc(5), `Umask` of `status`); `None` where the kernel does not tell.
pub(crate) fn umask(pid: i32) -> Option<u32> {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let octal = status.lines().find_map(|line| line.strip_prefix("Umask:"))?;
    u32::from_str_radix(octal.trim(), 8).ok()
}

/// Returns a number that was given lately, where the last one is not told: in a container it may be a little behind (proc(5),
/// last field of `loadavg`).
///
/// # Errors
/// When the kernel does not tell.
pub(crate) fn about_last_pid() -> io::Result<i32> {
    let loadavg = std::fs::read_to_string("/proc/loadavg")?;
    let last = loadavg.split_ascii_whitespace().next_back().and_then(|last| last.parse::<i32>().ok());
    last.ok_or_else(|| io::Error::from(io::ErrorKind::InvalidData))
}

/// Reads the last given pid, of a process or a thread of our pid namespace (pid_namespaces(7)). It stays
/// open, because it is read eight times for each run that ends.
#[derive(Debug)]
pub(crate) struct LastPid(File);

impl LastPid {
    /// # Errors
    /// When the kernel does not tell: it was built without checkpoint and restore.
    pub(crate) fn open() -> io::Result<Self> {
        File::open("/proc/sys/kernel/ns_last_pid").map(Self)
    }

    /// # Errors
    /// When the content is no number.
    pub(crate) fn get(&self) -> io::Result<i32> {
        let mut text = [0; 16];
        let len = self.0.read_at(&mut text, 0)?;
        let text = text.get(..len).and_then(|text| std::str::from_utf8(text).ok());
        text.and_then(|text| text.trim().parse().ok()).ok_or_else(|| io::ErrorKind::InvalidData.into())
    }
}

/// Returns whether a number is a process's, not one of its threads'.
pub(crate) fn is_leader(pid: i32) -> bool {
    // SAFETY: integers only; signal 0 is no signal.
    let found = unsafe { libc::syscall(libc::SYS_tgkill, pid, pid, 0) } == 0;
    // One that may not be signalled is there nevertheless.
    found || errno() == Some(libc::EPERM)
}

/// Returns every living process with one of these tags, in one pass over the process table.
///
/// # Errors
/// When the table, or one of these processes, could not be read: a missing process may be alive then.
pub(crate) fn scan(wanted: impl Fn(Tag) -> bool) -> io::Result<HashMap<Tag, Vec<Found>>> {
    let mut found: HashMap<Tag, Vec<Found>> = HashMap::new();
    for pid in pids()? {
        let pid = pid?;
        let Some(tag) = tag::of(pid).map(Tag).filter(|tag| wanted(*tag)) else { continue };
        if let Some(process) = stat(pid)? {
            found.entry(tag).or_default().push(process);
        }
    }
    Ok(found)
}

/// Returns start time and group of a living process (proc(5), fields 3, 5, 20 and 22 of `stat`); `None` for
/// one that is dead or gone.
///
/// Dead is state X, or Z with one thread. State Z alone is a process whose main thread has ended: while
/// others run it holds its locks and ports, and takes signals.
///
/// # Errors
/// When it could not be read, such as for lack of a descriptor.
pub(crate) fn stat(pid: i32) -> io::Result<Option<Found>> {
    match StatLine::read(pid) {
        Ok(line) => Ok(read_stat(pid, &line.text())),
        Err(e) if is_gone(&e) => Ok(None),
        Err(e) => Err(e),
    }
}

fn read_stat(pid: i32, line: &str) -> Option<Found> {
    let Stat { pgid, parent, start_time, .. } = Stat::parse(line).filter(Stat::is_alive)?;
    Some(Found { id: ProcessId { pid, start_time }, pgid, parent, proof: Proof::Tag })
}

/// As [`stat`], but treats a read error as "no such process".
pub(crate) fn seen(pid: i32) -> Option<Found> {
    stat(pid).ok().flatten()
}

/// Returns whether a process of this user has a file open.
pub(crate) fn has_open(pid: i32, file: OpenFile<'_>) -> bool {
    let fds = std::fs::read_dir(memory_of(pid).join("fd")).into_iter().flatten().flatten();
    // By its name first: a stat of each file could hang on a dead file system.
    fds.map(|fd| fd.path()).any(|fd| {
        std::fs::read_link(&fd).is_ok_and(|target| is_named(&target, file.name))
            && std::fs::metadata(&fd).is_ok_and(|found| (found.dev(), found.ino()) == file.id)
    })
}

/// Returns the targets of a process's descriptors, as links that are not followed; none where they can't be
/// read.
pub(crate) fn open_files(pid: i32) -> Vec<String> {
    let fds = std::fs::read_dir(memory_of(pid).join("fd")).into_iter().flatten().flatten();
    let links = fds.filter_map(|fd| std::fs::read_link(fd.path()).ok()?.into_os_string().into_string().ok());
    links.map(|link| link.strip_suffix(" (deleted)").map_or(link.clone(), str::to_owned)).collect()
}

/// Lists the locked files that a process has open with the lock, each with the process that took the lock: `fdinfo` shows the
/// locks of that very descriptor (proc(5)), so that nobody is among them who has only opened such a file.
pub(crate) fn taken_locks(pid: i32) -> Vec<(String, i32)> {
    let memory = memory_of(pid);
    let fds = std::fs::read_dir(memory.join("fd")).into_iter().flatten().flatten();
    let of = |fd: std::fs::DirEntry| {
        let target = std::fs::read_link(fd.path()).ok()?.into_os_string().into_string().ok()?;
        let target = target.strip_suffix(" (deleted)").unwrap_or(&target);
        let is_lock = Path::new(target).extension().is_some_and(|extension| extension == "lock");
        let told =
            is_lock.then(|| std::fs::read_to_string(memory.join("fdinfo").join(fd.file_name())))?.ok()?;
        Some((target.to_owned(), told.lines().find_map(flock_taker)?))
    };
    fds.filter_map(of).collect()
}

/// Parses a line such as `lock:   1: FLOCK  ADVISORY  WRITE 4242 fd:01:131 0 EOF`.
fn flock_taker(line: &str) -> Option<i32> {
    let mut fields = line.strip_prefix("lock:")?.split_ascii_whitespace().skip(1);
    let is_flock = fields.next()? == "FLOCK";
    fields.nth(2)?.parse().ok().filter(|taker| is_flock && *taker > 0)
}

/// Returns the numbers that processes may have which `/proc` hides from this user; `None` where it hides none.
pub(crate) fn hidden_pids() -> Option<Range<i32>> {
    let mounts = std::fs::read_to_string("/proc/self/mountinfo").ok()?;
    let hides = |line: &str| {
        let (mount, options) = line.split_once(" - proc ")?;
        let is_it = mount.split_ascii_whitespace().nth(4) == Some("/proc");
        let mut options = options.split([',', ' ']).filter_map(|option| option.strip_prefix("hidepid="));
        is_it.then(|| options.any(|how| !matches!(how, "0" | "off" | "1" | "noaccess")))
    };
    // The last mount on a place is the one that is seen.
    let hides = mounts.lines().filter_map(hides).next_back()?;
    let most = std::fs::read_to_string("/proc/sys/kernel/pid_max").ok()?.trim_end().parse().ok()?;
    (hides && super::fds::uid() != 0).then_some(1..most)
}

/// Returns whether a process exists that this user may not signal.
pub(crate) fn is_denied(pid: i32) -> bool {
    // SAFETY: integers only; signal 0 is no signal.
    unsafe { libc::kill(pid, 0) != 0 && errno() == Some(libc::EPERM) }
}

/// Returns whether the target of a link in `/proc/PID/fd` ends with this name; a deleted file has a mark
/// behind it.
fn is_named(target: &Path, name: &OsStr) -> bool {
    let target = target.as_os_str().as_encoded_bytes();
    let target = target.strip_suffix(b" (deleted)").unwrap_or(target);
    target.strip_suffix(name.as_encoded_bytes()).is_some_and(|before| before.ends_with(b"/"))
}

/// Returns the parent of a process, also of an unreaped dead one.
pub(crate) fn parent(pid: i32) -> Option<i32> {
    Some(Stat::parse(&StatLine::read(pid).ok()?.text())?.parent)
}

/// Returns the effective user of a process; `None` when it is gone or `/proc` hides it.
pub(crate) fn uid(pid: i32) -> Option<u32> {
    std::fs::metadata(format!("/proc/{pid}")).ok().map(|found| std::os::unix::fs::MetadataExt::uid(&found))
}

/// Returns the process group of a process; 0 when it is gone.
pub(crate) fn group(pid: i32) -> i32 {
    nix::unistd::getpgid(Some(nix::unistd::Pid::from_raw(pid))).map_or(0, nix::unistd::Pid::as_raw)
}

/// The existence of a process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Liveness {
    /// The process lives; its start time is 0 where it can't be read.
    Alive { start_time: u64 },
    /// There is none, or all of it has ended.
    Dead,
}

/// Returns whether a process of any user is alive. Where that can't be told it counts as alive.
pub(crate) fn liveness(pid: i32) -> Liveness {
    match StatLine::read(pid) {
        // It existed, and waits to be reaped if it is not alive.
        Ok(line) => read_stat(pid, &line.text())
            .map_or(Liveness::Dead, |found| Liveness::Alive { start_time: found.id.start_time }),
        // /proc may hide the processes of others.
        // SAFETY: integers only; signal 0 is no signal.
        Err(_) if unsafe { libc::kill(pid, 0) } != 0 && errno() == Some(libc::ESRCH) => Liveness::Dead,
        Err(_) => Liveness::Alive { start_time: 0 },
    }
}

fn errno() -> Option<i32> {
    io::Error::last_os_error().raw_os_error()
}

/// Opens a handle on the process of this pid.
pub(crate) fn pidfd_open(pid: i32) -> io::Result<OwnedFd> {
    // SAFETY: takes two integers; a descriptor that is returned is new and ours.
    let fd = unsafe { libc::syscall(libc::SYS_pidfd_open, pid, 0) };
    let fd = RawFd::try_from(fd).ok().filter(|fd| *fd >= 0).ok_or_else(io::Error::last_os_error)?;
    // SAFETY: see above.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

/// Waits until the process behind a handle has ended. Cancel safe.
///
/// # Errors
/// When the runtime can't poll the handle.
pub(crate) async fn ended(pidfd: &OwnedFd) -> io::Result<()> {
    // SAFETY: the descriptor is borrowed, and thereby open, for longer than it is registered.
    let watched = unsafe { AsyncFd::register_with_interest(pidfd.as_fd(), Interest::READABLE) }?;
    watched.readable().await?.retain_ready();
    Ok(())
}

/// Returns whether the process behind a handle has ended, with all of its threads.
pub(crate) fn has_ended(pidfd: &OwnedFd) -> bool {
    wait_for_any(&[pidfd], Duration::ZERO)
}

/// Waits until one of these processes has ended, for `limit` at most; returns whether one has.
pub(crate) fn wait_for_any(pidfds: &[&OwnedFd], limit: Duration) -> bool {
    let mut fds: Vec<PollFd<'_>> =
        pidfds.iter().map(|pidfd| PollFd::new(pidfd.as_fd(), PollFlags::POLLIN)).collect();
    let limit = PollTimeout::try_from(limit).unwrap_or(PollTimeout::MAX);
    poll(&mut fds, limit).is_ok_and(|ended| ended > 0)
}

/// Signals the process behind a handle, which can't be another one by now.
pub(crate) fn send(pidfd: &OwnedFd, signal: i32) -> io::Result<()> {
    send_with(pidfd, signal, 0)
}

/// Signals the group that the process behind a handle leads or has led, which can't be another one by now.
///
/// # Errors
/// Before Linux 6.9, which can't do that.
pub(crate) fn send_group_of(pidfd: &OwnedFd, signal: i32) -> io::Result<()> {
    const PIDFD_SIGNAL_PROCESS_GROUP: u32 = 1 << 2;
    send_with(pidfd, signal, PIDFD_SIGNAL_PROCESS_GROUP)
}

fn send_with(pidfd: &OwnedFd, signal: i32, flags: u32) -> io::Result<()> {
    let no_info = std::ptr::null::<libc::siginfo_t>();
    // SAFETY: the descriptor is open, and no info is given.
    let sent =
        unsafe { libc::syscall(libc::SYS_pidfd_send_signal, pidfd.as_raw_fd(), signal, no_info, flags) };
    if sent == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

/// Signals the process group of an unreaped leader that is our child, so that its number is taken.
pub(crate) fn send_group(leader: i32, signal: i32) -> io::Result<()> {
    // SAFETY: takes two integers.
    if unsafe { libc::killpg(leader, signal) } == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_that_is_no_text_hides_nobody() {
        let before = std::fs::read("/proc/thread-self/comm").unwrap();
        std::fs::write("/proc/thread-self/comm", b"\xff) Z 1").unwrap();
        // SAFETY: takes nothing and cannot fail.
        let me = unsafe { libc::gettid() };
        let found = stat(me);
        std::fs::write("/proc/thread-self/comm", before).unwrap();
        assert_eq!(found.unwrap().unwrap().id.pid, me);
    }

    #[test]
    fn only_a_zombie_without_other_threads_is_dead() {
        let stat = |state: &str, threads: u32| {
            let line = format!("7 (a) Z) {state} 1 6 6 0 -1 0 0 0 0 0 0 0 0 0 20 0 {threads} 0 99 0 0");
            read_stat(7, &line).map(|found| (found.pgid, found.id.start_time))
        };
        assert_eq!(stat("S", 1), Some((6, 99)));
        assert_eq!(stat("Z", 2), Some((6, 99)), "its main thread has ended, another one goes on");
        assert_eq!((stat("Z", 1), stat("Z", 0), stat("X", 2)), (None, None, None));
    }

    #[test]
    fn this_process_is_read_as_it_is() {
        let me = i32::try_from(std::process::id()).unwrap();
        let found = stat(me).unwrap().unwrap();
        // SAFETY: no arguments, no memory.
        assert_eq!((found.id.pid, found.pgid), (me, unsafe { libc::getpgrp() }));
        assert_eq!(stat(me).unwrap(), Some(found));
        assert_eq!(stat(i32::MAX).unwrap(), None);
        assert_eq!(tag::of(i32::MAX), None);
    }

    #[test]
    fn a_zombie_is_dead_and_this_process_alive() {
        let me = std::process::id().try_into().unwrap();
        assert_eq!(liveness(me), Liveness::Alive { start_time: stat(me).unwrap().unwrap().id.start_time });
        assert!(matches!(liveness(1), Liveness::Alive { .. }), "also when it is another user's");
        assert_eq!(liveness(i32::MAX), Liveness::Dead);
        let mut child = std::process::Command::new("/bin/true").spawn().unwrap();
        let pid = child.id().try_into().unwrap();
        // Ended and not reaped.
        let pidfd = pidfd_open(pid).unwrap();
        let mut poll = libc::pollfd { fd: pidfd.as_raw_fd(), events: libc::POLLIN, revents: 0 };
        // SAFETY: one element, which lives until the call returns.
        assert_eq!(unsafe { libc::poll(&raw mut poll, 1, 10_000) }, 1);
        assert_eq!(liveness(pid), Liveness::Dead);
        child.wait().unwrap();
        assert_eq!(liveness(pid), Liveness::Dead);
    }

    #[test]
    fn names_of_open_files() {
        for (target, named) in [
            ("/a/b.lock", true),
            ("/a/b.lock (deleted)", true),
            ("/a/xb.lock", false),
            ("b.lock", false),
            ("/b.lock/c", false),
            ("pipe:[7]", false),
        ] {
            assert_eq!(is_named(target.as_ref(), "b.lock".as_ref()), named, "{target}");
        }
    }
}
