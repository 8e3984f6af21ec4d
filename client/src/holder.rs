//! The holders of gob's locks, without touching a lock: the kernel lists all of them in `/proc/locks` (proc(5)).

use crate::autostart::LockHolder;
use crate::dirs::Dirs;
use std::fmt;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

/// A process that holds a lock.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Holder {
    /// Its number.
    pub pid: i32,
    /// Its program's name, as the kernel has it.
    pub program: String,
}

/// Returns the holder of a file's flock; `None` when the file is not there or not locked.
#[must_use]
pub fn holder(path: &Path) -> Option<Holder> {
    let file = std::fs::metadata(path).ok()?;
    let (major, minor) = (nix::sys::stat::major(file.dev()), nix::sys::stat::minor(file.dev()));
    let pid = find(&std::fs::read_to_string("/proc/locks").ok()?, major, minor, file.ino())?;
    let program = alive(pid).map(|process| process.program).unwrap_or_default();
    Some(Holder { pid, program })
}

/// A part of gob that was stopped, so that nothing answers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stopped {
    /// The process to let go on.
    pub pid: i32,
    /// Its program.
    pub program: String,
}

impl Stopped {
    /// Returns what lets it go on.
    #[must_use]
    pub fn hint(&self) -> String {
        format!("kill -CONT {} lets it go on", self.pid)
    }

    /// Finds the process that was stopped, where nobody answers: the supervisor that the lock file names, else the holder of
    /// the lock, its keeper.
    #[must_use]
    pub fn find(dirs: &Dirs) -> Option<Self> {
        let told =
            LockHolder::read(dirs).and_then(|told| alive(told.pid)).filter(|told| told.program == "gobd");
        let holder = || holder(&dirs.lock_file()).and_then(|holder| alive(holder.pid));
        told.filter(Process::is_stopped).or_else(|| holder().filter(Process::is_stopped)).map(Self::from)
    }

    /// Finds out whether this process is stopped.
    #[must_use]
    pub fn of(pid: i32) -> Option<Self> {
        alive(pid).filter(Process::is_stopped).map(Self::from)
    }
}

impl fmt::Display for Stopped {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.program.as_str() {
            "gobd" => write!(f, "the supervisor (pid {}) is stopped", self.pid),
            "gob-keeper" => write!(f, "the keeper (pid {}) is stopped", self.pid),
            program => write!(f, "{program} (pid {}), which holds the lock, is stopped", self.pid),
        }
    }
}

/// As much of a process as is asked for here.
struct Process {
    pid: i32,
    program: String,
    state: char,
}

impl Process {
    const fn is_stopped(&self) -> bool {
        matches!(self.state, 'T' | 't')
    }
}

impl From<Process> for Stopped {
    fn from(process: Process) -> Self {
        Self { pid: process.pid, program: process.program }
    }
}

/// Whether a process is there and has not ended.
pub(crate) fn is_alive(pid: i32) -> bool {
    alive(pid).is_some()
}

fn alive(pid: i32) -> Option<Process> {
    let stat = std::fs::read(format!("/proc/{pid}/stat")).ok()?;
    let stat = String::from_utf8_lossy(&stat);
    let (head, rest) = stat.rsplit_once(')')?;
    let (_, program) = head.split_once('(')?;
    let state = rest.trim_start().chars().next().filter(|state| !matches!(state, 'Z' | 'X' | 'x'))?;
    Some(Process { pid, program: program.to_owned(), state })
}

/// A line is `1: FLOCK  ADVISORY  WRITE 4242 fd:01:131 0 EOF`; who waits has `->` behind the number.
fn find(locks: &str, major: u64, minor: u64, inode: u64) -> Option<i32> {
    let wanted = format!("{major:02x}:{minor:02x}:{inode}");
    locks.lines().find_map(|line| {
        let fields: Vec<&str> = line.split_whitespace().collect();
        match fields.as_slice() {
            [_, "FLOCK", _, _, pid, file, ..] if *file == wanted => pid.parse().ok().filter(|pid| *pid > 0),
            _ => None,
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_who_holds_it_and_not_who_waits() {
        let locks = "1: FLOCK  ADVISORY  WRITE 7 fd:01:131 0 EOF\n1: -> FLOCK  ADVISORY  WRITE 8 fd:01:131 0 EOF\n\
                     2: POSIX  ADVISORY  WRITE 9 00:1a:5 0 EOF\n3: FLOCK  ADVISORY  READ 10 00:1a:5 0 EOF\n";
        assert_eq!(find(locks, 0xfd, 1, 131), Some(7));
        assert_eq!(find(locks, 0, 0x1a, 5), Some(10));
        assert_eq!(find(locks, 0, 0x1a, 6), None);
    }

    #[test]
    fn this_process() {
        let path = std::env::temp_dir().join(format!("gob-holder-{}", std::process::id()));
        let file = std::fs::File::create(&path).unwrap();
        assert_eq!(holder(&path), None);
        file.lock().unwrap();
        // Some sandboxes show an empty list of locks; there is nothing to find then.
        if std::fs::read_to_string("/proc/locks").is_ok_and(|locks| !locks.is_empty()) {
            assert_eq!(holder(&path).map(|holder| holder.pid), i32::try_from(std::process::id()).ok());
        }
        std::fs::remove_file(&path).unwrap();
    }

    #[test]
    fn a_stopped_process_is_told_from_one_that_ended() {
        let mut child = std::process::Command::new("sleep").arg("600").spawn().unwrap();
        let pid = i32::try_from(child.id()).unwrap();
        let target = nix::unistd::Pid::from_raw(pid);
        assert!(alive(pid).is_some_and(|process| !process.is_stopped()));
        nix::sys::signal::kill(target, nix::sys::signal::Signal::SIGSTOP).unwrap();
        nix::sys::wait::waitpid(target, Some(nix::sys::wait::WaitPidFlag::WUNTRACED)).unwrap();
        let stopped = Stopped::of(pid).unwrap();
        assert_eq!(stopped.to_string(), format!("sleep (pid {pid}), which holds the lock, is stopped"));
        child.kill().unwrap();
        // Dead, and nobody has asked for its end.
        let flags = nix::sys::wait::WaitPidFlag::WEXITED | nix::sys::wait::WaitPidFlag::WNOWAIT;
        nix::sys::wait::waitid(nix::sys::wait::Id::Pid(target), flags).unwrap();
        assert!(!is_alive(pid));
        child.wait().unwrap();
        assert!(!is_alive(pid));
    }
}
