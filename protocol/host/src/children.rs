//! A process's own children, and their end. A child that was not reaped keeps its pid, so that a signal to it can't reach
//! another process: the caller must be the only one that reaps.

use crate::process::{Stat, StatLine, pids};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use std::fs;

/// The result of one round of signals.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub struct Signalled {
    /// The number of signalled children.
    pub sent: usize,
    /// A child that may not be signalled, because it runs as another user now.
    pub denied: Option<i32>,
}

/// Sends a signal to every child of this process that `wanted` names.
pub fn signal(signal: Signal, mut wanted: impl FnMut(i32) -> bool) -> Signalled {
    let mut signalled = Signalled::default();
    let mut one = |pid: i32| {
        if !wanted(pid) {
            return;
        }
        match kill(Pid::from_raw(pid), signal) {
            Ok(()) => signalled.sent += 1,
            // The child runs as another user now.
            Err(_) => signalled.denied = Some(pid),
        }
    };
    // The kernel's lists of children, where they exist, also have those that `/proc` hides (`hidepid`, proc(5)). Each thread has
    // one, of the children that it began or adopted.
    let threads = fs::read_dir("/proc/self/task").into_iter().flatten().flatten();
    let lists: Vec<_> = threads.map(|thread| fs::read_to_string(thread.path().join("children"))).collect();
    if !lists.is_empty() && lists.iter().any(Result::is_ok) {
        let pids = lists.iter().flatten().flat_map(|list| list.split_ascii_whitespace());
        pids.filter_map(|pid| pid.parse().ok()).for_each(one);
        return signalled;
    }
    let own = std::process::id();
    // Signalled during the scan, not after it, so that a process that keeps forking and exiting is met at its newest pid.
    for pid in pids().into_iter().flatten() {
        let Ok(line) = StatLine::read(pid) else { continue };
        if Stat::parse(&line.text()).and_then(|stat| u32::try_from(stat.parent).ok()) == Some(own) {
            one(pid);
        }
    }
    signalled
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::process::Command;

    #[test]
    fn only_the_wanted_children_are_signalled() {
        let mut children: Vec<_> =
            (0..2).map(|_| Command::new("sleep").arg("600").spawn().unwrap()).collect();
        let wanted = i32::try_from(children[1].id()).unwrap();
        assert_eq!(signal(Signal::SIGKILL, |pid| pid == wanted), Signalled { sent: 1, denied: None });
        assert!(!children[1].wait().unwrap().success());
        assert!(children[0].try_wait().unwrap().is_none());
        children[0].kill().unwrap();
        children[0].wait().unwrap();
    }
}
