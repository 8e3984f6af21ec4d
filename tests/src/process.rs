//! Facts about processes, and signals that can only reach the intended process.

use nix::sys::signal::Signal;
use nix::sys::wait::{Id, WaitPidFlag, waitid};
use nix::unistd::Pid;
use std::fs;
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// A process, safe against reuse of its pid.
#[derive(Debug)]
pub struct Handle {
    /// The pid.
    pub pid: i32,
    pidfd: OwnedFd,
}

impl Handle {
    /// Opens a handle on a process; `None` when there is none of this pid.
    #[must_use]
    pub fn open(pid: i32) -> Option<Self> {
        // SAFETY: pidfd_open takes no pointer, and the descriptor that it answers belongs to nobody yet.
        let pidfd = unsafe {
            let fd = libc::syscall(libc::SYS_pidfd_open, pid, 0);
            if fd < 0 {
                return None;
            }
            OwnedFd::from_raw_fd(fd as i32)
        };
        Some(Self { pid, pidfd })
    }

    /// Sends a signal; one to a process that is gone does nothing.
    pub fn signal(&self, signal: Signal) {
        let no_info = std::ptr::null::<libc::siginfo_t>();
        // SAFETY: a null info pointer means that the kernel fills it in as kill(2) would.
        let sent = unsafe {
            libc::syscall(libc::SYS_pidfd_send_signal, self.pidfd.as_raw_fd(), signal as i32, no_info, 0)
        };
        assert!(
            sent == 0 || nix::errno::Errno::last() == nix::errno::Errno::ESRCH,
            "cannot signal {}",
            self.pid
        );
    }

    /// Waits until it has ended; false at the deadline.
    #[must_use]
    pub fn wait_gone(&self, timeout: Duration) -> bool {
        crate::wait::readable(self.pidfd.as_fd(), timeout)
    }

    /// Returns the descriptor, which is readable once the process has ended.
    #[must_use]
    pub fn fd(&self) -> BorrowedFd<'_> {
        self.pidfd.as_fd()
    }
}

/// Waits until a child of this process has stopped itself.
///
/// # Errors
/// When it is no child, or ended.
pub fn wait_stopped(pid: i32) -> io::Result<()> {
    waitid(Id::Pid(Pid::from_raw(pid)), WaitPidFlag::WSTOPPED | WaitPidFlag::WNOWAIT)?;
    Ok(())
}

/// Returns whether the process exists and not all of it has ended. A process whose main thread has ended is
/// in state Z too, and lives while it has another thread (proc(5), field 20 of `stat`).
#[must_use]
pub fn is_alive(pid: i32) -> bool {
    let Some(stat) = stat_fields(pid) else { return false };
    let threads = stat.get(17).and_then(|threads| threads.parse::<u32>().ok()).unwrap_or(0);
    match stat.first().map(String::as_str) {
        Some("Z") => threads > 1,
        Some("X") | None => false,
        Some(_) => true,
    }
}

/// Returns whether the process still runs code of its own. One that the kernel is ending closes its connections some time before
/// it is in state Z, so that their other ends can know of its death first (`PF_EXITING`, field 9 of `stat` of each thread).
#[must_use]
pub fn can_act(pid: i32) -> bool {
    const PF_EXITING: u32 = 4;
    let tasks = fs::read_dir(format!("/proc/{pid}/task")).into_iter().flatten().flatten();
    let mut stats = tasks.filter_map(|task| fields_of(&task.path().join("stat")));
    stats.any(|stat| {
        let is_over = matches!(stat.first().map(String::as_str), Some("Z" | "X") | None);
        let flags = stat.get(6).and_then(|flags| flags.parse::<u32>().ok());
        !is_over && flags.is_some_and(|flags| flags & PF_EXITING == 0)
    })
}

/// Returns whether the process exists and is stopped.
#[must_use]
pub fn is_stopped(pid: i32) -> bool {
    stat_field(pid, 3).is_some_and(|state| state == "T")
}

/// Returns the parent of a process.
#[must_use]
pub fn parent(pid: i32) -> Option<i32> {
    stat_field(pid, 4)?.parse().ok()
}

/// Returns the start of a process in clock ticks since boot.
#[must_use]
pub fn start_time(pid: i32) -> Option<u64> {
    stat_field(pid, 22)?.parse().ok()
}

/// Returns a field of `/proc/<pid>/stat`, counted as proc(5) does; not the second.
#[must_use]
pub fn stat_field(pid: i32, field: usize) -> Option<String> {
    stat_fields(pid)?.get(field.checked_sub(3)?).cloned()
}

/// Returns all fields from the third.
fn stat_fields(pid: i32) -> Option<Vec<String>> {
    fields_of(&PathBuf::from(format!("/proc/{pid}/stat")))
}

fn fields_of(stat: &Path) -> Option<Vec<String>> {
    let stat = fs::read(stat).ok()?;
    // Read as bytes: a worker may choose any name, and an unreadable process would count as dead.
    let stat = String::from_utf8_lossy(&stat);
    // The program's name may hold spaces and parentheses; everything behind the last one is numbers.
    let (_, rest) = stat.rsplit_once(") ")?;
    Some(rest.split(' ').map(str::to_owned).collect())
}

/// Returns the program that a process runs.
#[must_use]
pub fn exe(pid: i32) -> Option<PathBuf> {
    fs::read_link(memory_of(pid).join("exe")).ok()
}

/// Returns the directory in which the kernel shows a process's memory: its main thread's, or another thread's
/// when that has ended.
#[must_use]
pub fn memory_of(pid: i32) -> PathBuf {
    let main = PathBuf::from(format!("/proc/{pid}"));
    let has_memory = |of: &PathBuf| fs::read_link(of.join("exe")).is_ok();
    if has_memory(&main) {
        return main;
    }
    let threads = fs::read_dir(main.join("task")).into_iter().flatten().flatten();
    threads.map(|thread| thread.path()).find(has_memory).unwrap_or(main)
}

/// Returns every living process whose program lies in `dir`, or whose environment names `dir`.
#[must_use]
pub fn belonging_to(dir: &Path) -> Vec<i32> {
    let needle = dir.as_os_str().as_encoded_bytes();
    let own = std::process::id() as i32;
    let pids = fs::read_dir("/proc").into_iter().flatten().flatten();
    let pids = pids.filter_map(|entry| entry.file_name().to_str()?.parse::<i32>().ok());
    pids.filter(|pid| {
        *pid != own
            && is_alive(*pid)
            && (exe(*pid).is_some_and(|exe| exe.starts_with(dir))
                || fs::read(memory_of(*pid).join("environ")).is_ok_and(|env| contains(&env, needle)))
    })
    .collect()
}

fn contains(haystack: &[u8], needle: &[u8]) -> bool {
    haystack.windows(needle.len()).any(|window| window == needle)
}

/// Returns a process and all below it, as they are now.
#[must_use]
pub fn tree(pid: i32) -> Vec<Handle> {
    let pids = fs::read_dir("/proc").into_iter().flatten().flatten();
    let pids = pids.filter_map(|entry| entry.file_name().to_str()?.parse::<i32>().ok());
    let all: Vec<(i32, i32)> = pids.filter_map(|pid| Some((pid, parent(pid)?))).collect();
    let mut found = vec![pid];
    let mut next = 0;
    while let Some(above) = found.get(next).copied() {
        found.extend(all.iter().filter(|(_, parent)| *parent == above).map(|(pid, _)| *pid));
        next += 1;
    }
    found.into_iter().filter_map(Handle::open).collect()
}

/// Returns one line about a process, for messages.
#[must_use]
pub fn describe(pid: i32) -> String {
    let args = fs::read(memory_of(pid).join("cmdline")).unwrap_or_default();
    let args = String::from_utf8_lossy(&args).replace('\0', " ");
    let state = stat_field(pid, 3).unwrap_or_else(|| "gone".to_owned());
    format!("{pid} (state {state}, parent {:?}): {args}", parent(pid))
}

/// Waits until none of these processes is alive; returns those that still are.
#[must_use]
pub fn survivors(pids: &[i32], timeout: Duration) -> Vec<i32> {
    let deadline = Instant::now() + timeout;
    let handles: Vec<Handle> = pids.iter().filter_map(|pid| Handle::open(*pid)).collect();
    handles
        .iter()
        .filter(|handle| !handle.wait_gone(deadline.saturating_duration_since(Instant::now())))
        .map(|handle| handle.pid)
        .filter(|pid| is_alive(*pid))
        .collect()
}

/// Returns the value in bytes of a line of `/proc/<pid>/smaps_rollup`, such as `Pss`.
#[must_use]
pub fn smaps_bytes(pid: i32, key: &str) -> Option<u64> {
    let text = fs::read_to_string(format!("/proc/{pid}/smaps_rollup")).ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix(':'))?;
    line.trim().trim_end_matches(" kB").trim().parse::<u64>().ok().map(|kib| kib * 1024)
}

/// Returns how often all threads of a process gave up the processor by themselves.
#[must_use]
pub fn voluntary_switches(pid: i32) -> u64 {
    let tasks = fs::read_dir(format!("/proc/{pid}/task")).into_iter().flatten().flatten();
    let counts = tasks.filter_map(|task| {
        let status = fs::read_to_string(task.path().join("status")).ok()?;
        status
            .lines()
            .find_map(|line| line.strip_prefix("voluntary_ctxt_switches:")?.trim().parse::<u64>().ok())
    });
    counts.sum()
}

/// Returns the thread of this name of a process.
#[must_use]
pub fn thread(pid: i32, name: &str) -> Option<i32> {
    let threads = fs::read_dir(format!("/proc/{pid}/task")).ok()?.flatten();
    let is_it =
        |path: &Path| fs::read_to_string(path.join("comm")).is_ok_and(|found| found.trim_end() == name);
    let mut found = threads.map(|entry| entry.path()).filter(|path| is_it(path));
    found.next()?.file_name()?.to_str()?.parse().ok()
}

/// Returns the children of a thread.
#[must_use]
pub fn children(pid: i32, thread: i32) -> Vec<i32> {
    let list = fs::read_to_string(format!("/proc/{pid}/task/{thread}/children")).unwrap_or_default();
    list.split_ascii_whitespace().filter_map(|child| child.parse().ok()).collect()
}

/// Returns how many descriptors a process has open.
#[must_use]
pub fn open_files(pid: i32) -> u64 {
    fs::read_dir(format!("/proc/{pid}/fd")).map_or(0, |entries| entries.count() as u64)
}

/// Sets the soft and the hard limit of file locks of a process; returns the former ones. `None` when it is
/// gone, or may not be limited.
#[must_use]
pub fn limit_locks(pid: i32, (soft, hard): (u64, u64)) -> Option<(u64, u64)> {
    let mut old = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    let new = libc::rlimit { rlim_cur: soft, rlim_max: hard };
    // SAFETY: reads one `rlimit` and writes another one, both in valid memory.
    let set = unsafe { libc::prlimit(pid, libc::RLIMIT_LOCKS, &raw const new, &raw mut old) };
    (set == 0).then_some((old.rlim_cur, old.rlim_max))
}

/// Sets how many files a process may have open; returns the former number. `None` when it is gone.
#[must_use]
pub fn limit_files(pid: i32, soft: u64) -> Option<u64> {
    let mut old = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: sets nothing, and writes one `rlimit` to valid memory.
    let got = unsafe { libc::prlimit(pid, libc::RLIMIT_NOFILE, std::ptr::null(), &raw mut old) };
    let new = libc::rlimit { rlim_cur: soft.min(old.rlim_max), rlim_max: old.rlim_max };
    // SAFETY: reads one `rlimit`, and writes none.
    let set = unsafe { libc::prlimit(pid, libc::RLIMIT_NOFILE, &raw const new, std::ptr::null_mut()) };
    (got == 0 && set == 0).then_some(old.rlim_cur)
}

/// Returns those of these texts that a process has anywhere in its memory.
#[must_use]
pub fn in_memory(pid: i32, texts: &[String]) -> Vec<String> {
    let maps = std::fs::read_to_string(format!("/proc/{pid}/maps")).unwrap();
    let memory = std::fs::File::open(format!("/proc/{pid}/mem")).unwrap();
    let mut found = std::collections::BTreeSet::new();
    for map in maps.lines().filter(|map| !map.contains("[v")) {
        let range = map.split(' ').next().unwrap();
        let (start, end) = range.split_once('-').unwrap();
        let [start, end] = [start, end].map(|at| u64::from_str_radix(at, 16).unwrap());
        let mut bytes = vec![0; usize::try_from(end - start).unwrap()];
        // A range that may not be read holds nothing.
        if std::os::unix::fs::FileExt::read_exact_at(&memory, &mut bytes, start).is_ok() {
            let is_there = |text: &&String| memchr::memmem::find(&bytes, text.as_bytes()).is_some();
            found.extend(texts.iter().filter(is_there).cloned());
        }
    }
    found.into_iter().collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Read;
    use std::os::unix::process::CommandExt;
    use std::process::{Command, Stdio};

    /// The kernel keeps 15 bytes of a program's name, here the first half of the last character.
    #[test]
    fn a_process_with_a_name_that_is_no_text_is_alive() {
        let dir = std::env::temp_dir().join(format!("gob-names-{}", std::process::id()));
        fs::create_dir_all(&dir).unwrap();
        let program = dir.join("fourteen-bytesü");
        std::os::unix::fs::symlink("/bin/sh", &program).unwrap();
        let mut command = Command::new(&program);
        command.arg0("sh").args(["-c", "echo; read end"]).env("GOB_NAMES", &dir);
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        // The child has its name only after the caller of vfork goes on.
        child.stdout.as_mut().unwrap().read_exact(&mut [0]).unwrap();
        let pid = child.id() as i32;
        let name = fs::read(format!("/proc/{pid}/comm")).unwrap();
        let (alive, own) = (is_alive(pid), belonging_to(&dir));
        drop(child.stdin.take());
        child.wait().unwrap();
        fs::remove_dir_all(&dir).unwrap();
        assert_eq!(name, b"fourteen-bytes\xc3\n");
        assert!(alive && own == [pid], "{alive} {own:?}");
        assert!(!is_alive(pid));
    }
}
