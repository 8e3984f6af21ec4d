//! The children of processes, as the kernel lists them (`/proc/PID/task/TID/children`, proc(5)).
//!
//! A process whose parent dies becomes a child of ours, for we are a child subreaper, and the main thread's. So each living
//! process of a run whose leader was reaped is a child of the main thread or below one. Workers are children of another
//! thread (`run` in `lib.rs`): the main thread's list has none of them, and its reading costs the same however many run. After an
//! upgrade they are the main thread's too (ADR 16), and are known by their leaders. The list
//! grows only at its tail, only the loop takes anything from it, and a dead parent does not fork: one reading is exact.

use super::process::{self, Found, Proof};
use nix::sys::wait::{Id, WaitPidFlag, WaitStatus, waitid};
use nix::unistd::Pid;
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;

/// Limits how many processes below another one are read in one go.
const AT_ONCE: usize = 512;

/// The children that we adopted. Their list stays open, because it is read for each run that ends.
#[derive(Debug)]
pub(crate) struct Children {
    own: i32,
    list: Option<File>,
}

impl Children {
    pub(crate) fn new() -> Self {
        let own = i32::try_from(std::process::id()).unwrap_or(0);
        Self { own, list: File::open(format!("/proc/self/task/{own}/children")).ok() }
    }

    /// Returns all of them, unreaped dead ones too.
    ///
    /// # Errors
    /// When they can't be listed. A child that is missing then may be alive.
    pub(crate) fn get(&self) -> io::Result<Vec<i32>> {
        match &self.list {
            Some(list) => read(list),
            // A kernel without such lists: our workers are among them.
            None => having_parent(self.own),
        }
    }
}

/// Lists the children of any process; none where they can't be listed.
pub(crate) fn of(pid: i32) -> Vec<i32> {
    let threads = std::fs::read_dir(format!("/proc/{pid}/task"));
    let lists =
        threads.into_iter().flatten().flatten().map(|thread| File::open(thread.path().join("children")));
    let mut all = Vec::new();
    for list in lists {
        match list {
            Ok(list) => all.extend(read(&list).unwrap_or_default()),
            Err(_) => return having_parent(pid).unwrap_or_default(),
        }
    }
    all
}

/// Lists every living process below one, itself not counted; of a huge tree only as many as one turn has time for.
pub(crate) fn below(pid: i32) -> Vec<Found> {
    below_by(pid, of, process::seen)
}

/// As [`below`], by these two answers.
pub(crate) fn below_by(
    pid: i32,
    children_of: impl Fn(i32) -> Vec<i32>,
    seen: impl Fn(i32) -> Option<Found>,
) -> Vec<Found> {
    let mut found: Vec<Found> = Vec::new();
    let mut parents = vec![pid];
    while let Some(parent) = parents.pop() {
        if found.len() >= AT_ONCE {
            break;
        }
        for child in children_of(parent) {
            // A process whose parent changes during the listing may be met twice.
            if found.iter().any(|known| known.id.pid == child) {
                continue;
            }
            parents.push(child);
            found.extend(seen(child).map(|found| Found { proof: Proof::Below, ..found }));
        }
    }
    found
}

/// Whether a process is our child and has not ended.
pub(crate) fn is_living(pid: i32) -> bool {
    let flags = WaitPidFlag::WEXITED | WaitPidFlag::WNOHANG | WaitPidFlag::WNOWAIT;
    waitid(Id::Pid(Pid::from_raw(pid)), flags) == Ok(WaitStatus::StillAlive)
}

fn read(list: &File) -> io::Result<Vec<i32>> {
    let (mut text, mut chunk) = (Vec::new(), [0; 4096]);
    loop {
        match list.read_at(&mut chunk, u64::try_from(text.len()).unwrap_or(u64::MAX))? {
            0 => break,
            len => text.extend_from_slice(chunk.get(..len).unwrap_or_default()),
        }
    }
    let words = text.split(|byte| *byte == b' ').filter_map(|word| std::str::from_utf8(word).ok());
    Ok(words.filter_map(|word| word.trim().parse().ok()).collect())
}

/// As [`Children::get`], from the whole process table.
fn having_parent(parent: i32) -> io::Result<Vec<i32>> {
    let mut all = Vec::new();
    for pid in process::pids()? {
        let pid = pid?;
        if process::parent(pid) == Some(parent) {
            all.push(pid);
        }
    }
    Ok(all)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sys::kernel::Kernel;
    use crate::sys::linux::Linux;
    use std::process::{Command, Stdio};

    /// Tests run on threads of their own, so their children are not the main thread's.
    #[test]
    fn children_and_what_is_below_them_are_listed_both_ways() {
        let own = i32::try_from(std::process::id()).unwrap();
        let mut shell = Command::new("/bin/sh");
        let mut shell = shell.args(["-c", "sleep 1000 & cat"]).stdin(Stdio::piped()).spawn().unwrap();
        let pid = i32::try_from(shell.id()).unwrap();
        assert!(of(own).contains(&pid) && having_parent(own).unwrap().contains(&pid));
        assert_eq!(Linux::new().living(pid).map(|found| (found.id.pid, found.parent)), Some((pid, own)));
        let is_sleep = |found: &Found| {
            std::fs::read(format!("/proc/{}/comm", found.id.pid)).is_ok_and(|name| name == b"sleep\n")
        };
        let sleep = loop {
            // It appears when the shell comes to it.
            if let Some(found) = below(own).into_iter().find(|found| is_sleep(found) && found.parent == pid) {
                break found;
            }
            std::thread::yield_now();
        };
        assert!(
            below(pid).iter().any(|found| found.id == sleep.id)
                && !below(pid).iter().any(|f| f.id.pid == pid)
        );
        process::send(&process::pidfd_open(sleep.id.pid).unwrap(), libc::SIGKILL).unwrap();
        shell.kill().unwrap();
        process::wait_for_any(&[&process::pidfd_open(pid).unwrap()], std::time::Duration::from_secs(10));
        assert_eq!(Linux::new().living(pid), None, "it was not reaped, and is dead");
        shell.wait().unwrap();
        assert_eq!((Linux::new().living(pid), below(pid)), (None, Vec::new()));
    }
}
