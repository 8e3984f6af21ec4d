//! The holders of gob's locks, and parts of gob that were stopped.

use crate::autostart::LockHolder;
use gob_host::dirs::Dirs;
use gob_host::locks;
use gob_host::process::{Stat, StatLine, is_gone};
use std::fmt;
use std::path::Path;

/// A process that holds a lock.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Holder {
    /// The pid.
    pub pid: i32,
    /// Its program's name, as the kernel has it.
    pub program: String,
}

/// Returns the holder of a file's flock; `None` when the file is missing or not locked.
#[must_use]
pub fn holder(path: &Path) -> Option<Holder> {
    let pid = locks::holder(path)?;
    let program = alive(pid).map(|process| process.program).unwrap_or_default();
    Some(Holder { pid, program })
}

/// A part of gob that was stopped, so that it does not answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stopped {
    /// The process to continue.
    pub pid: i32,
    /// Its program.
    pub program: String,
}

impl Stopped {
    /// Returns the command that continues it.
    #[must_use]
    pub fn hint(&self) -> String {
        format!("kill -CONT {} lets it go on", self.pid)
    }

    /// Finds the stopped process behind a missing answer: the supervisor in the lock file, else the holder of
    /// the lock, its keeper.
    #[must_use]
    pub fn find(dirs: &Dirs) -> Option<Self> {
        let told =
            LockHolder::read(dirs).and_then(|told| alive(told.pid)).filter(|told| told.program == "gobd");
        let holder = || holder(&dirs.lock_file()).and_then(|holder| alive(holder.pid));
        told.filter(|told| told.is_stopped)
            .or_else(|| holder().filter(|holder| holder.is_stopped))
            .map(Self::from)
    }

    /// Returns this process, if it is stopped.
    #[must_use]
    pub fn of(pid: i32) -> Option<Self> {
        alive(pid).filter(|process| process.is_stopped).map(Self::from)
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

/// The parts of a process that are needed here.
struct Process {
    pid: i32,
    program: String,
    is_stopped: bool,
}

impl From<Process> for Stopped {
    fn from(process: Process) -> Self {
        Self { pid: process.pid, program: process.program }
    }
}

/// Returns whether a process exists and has not ended. One that can't be looked at, such as for lack of a descriptor, is there.
pub(crate) fn is_alive(pid: i32) -> bool {
    match StatLine::read(pid) {
        Ok(line) => Stat::parse(&line.text()).as_ref().is_some_and(Stat::is_alive),
        Err(error) => !is_gone(&error),
    }
}

fn alive(pid: i32) -> Option<Process> {
    let line = StatLine::read(pid).ok()?;
    let text = line.text();
    let stat = Stat::parse(&text).filter(Stat::is_alive)?;
    Some(Process { pid, program: stat.name.to_owned(), is_stopped: stat.is_stopped() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stopped_process_is_told_from_one_that_ended() {
        let mut child = std::process::Command::new("sleep").arg("600").spawn().unwrap();
        let pid = i32::try_from(child.id()).unwrap();
        let target = nix::unistd::Pid::from_raw(pid);
        assert!(alive(pid).is_some_and(|process| !process.is_stopped));
        nix::sys::signal::kill(target, nix::sys::signal::Signal::SIGSTOP).unwrap();
        nix::sys::wait::waitpid(target, Some(nix::sys::wait::WaitPidFlag::WUNTRACED)).unwrap();
        let stopped = Stopped::of(pid).unwrap();
        assert_eq!(stopped.to_string(), format!("sleep (pid {pid}), which holds the lock, is stopped"));
        child.kill().unwrap();
        // Dead, and not reaped yet.
        let flags = nix::sys::wait::WaitPidFlag::WEXITED | nix::sys::wait::WaitPidFlag::WNOWAIT;
        nix::sys::wait::waitid(nix::sys::wait::Id::Pid(target), flags).unwrap();
        assert!(!is_alive(pid));
        child.wait().unwrap();
        assert!(!is_alive(pid));
    }
}
