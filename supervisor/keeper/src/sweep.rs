//! Kills the processes that a dead supervisor left behind.
//!
//! The keeper is a child subreaper: once the supervisor is dead, all its orphans are the keeper's own
//! children, and their orphans become so as they die. A child that was not reaped keeps its pid, and only
//! this thread reaps, so the pid of a child found here can't belong to another process (ARCHITECTURE, rule
//! 3).

use crate::sys::{self, Reaped};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use std::fs;
use std::time::{Duration, Instant};

/// Time limit of a sweep for killed processes that stay, such as one that hangs in a dead network file
/// system. Processes that go later are reaped then.
const PATIENCE: Duration = Duration::from_secs(5);

/// Longest pause between two rounds; the end of any child ends it sooner.
const PAUSE: Duration = Duration::from_millis(50);

/// The result of a sweep.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Swept {
    /// The number of reaped processes.
    pub(crate) reaped: usize,
    /// Some children were left when patience ended.
    pub(crate) left: bool,
    /// A child that may not be signalled, because it runs as another user now.
    pub(crate) denied: Option<i32>,
}

/// The result of one round of kills.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
struct Killed {
    /// The number of signalled children.
    sent: usize,
    denied: Option<i32>,
}

/// Kills and reaps all children, those that appear meanwhile too, until there is none.
pub(crate) fn sweep() -> Swept {
    let deadline = Instant::now() + PATIENCE;
    let mut swept = Swept::default();
    let mut hopeless = 0;
    loop {
        loop {
            match sys::reap_any() {
                Reaped::Child(..) => swept.reaped += 1,
                Reaped::NoneLeft => return swept,
                Reaped::NoneEnded => break,
            }
        }
        let Killed { sent, denied } = kill_children_but(None);
        swept.denied = denied;
        // Children that may not be signalled are not waited for; a zombie is reaped before the next round.
        hopeless = if sent == 0 && denied.is_some() { hopeless + 1 } else { 0 };
        if Instant::now() >= deadline || hopeless > 1 {
            return Swept { left: true, ..swept };
        }
        sys::wait_for_child_signal(PAUSE);
    }
}

/// Sends SIGKILL to every child but one.
pub(crate) fn kill_children(but: Option<Pid>) {
    kill_children_but(but);
}

fn kill_children_but(but: Option<Pid>) -> Killed {
    let mut killed = Killed::default();
    let own = std::process::id();
    // The kernel's list of children, where it exists, also has those that `/proc` hides (`hidepid`, proc(5)).
    if let Ok(children) = fs::read_to_string(format!("/proc/self/task/{own}/children")) {
        for pid in children.split_ascii_whitespace().filter_map(|pid| pid.parse::<i32>().ok()) {
            killed.end(pid, but);
        }
        return killed;
    }
    // Killed during the scan, not after it, so that a process that keeps forking and exiting is met at its
    // newest pid.
    let Ok(entries) = fs::read_dir("/proc") else { return killed };
    for entry in entries.flatten() {
        let Some(pid) = entry.file_name().to_str().and_then(|name| name.parse::<i32>().ok()) else {
            continue;
        };
        let Ok(stat) = fs::read(entry.path().join("stat")) else { continue };
        if parent_in(&stat) == Some(own) {
            killed.end(pid, but);
        }
    }
    killed
}

impl Killed {
    /// Sends SIGKILL to a child, unless it is `but`.
    fn end(&mut self, pid: i32, but: Option<Pid>) {
        if but == Some(Pid::from_raw(pid)) {
            return;
        }
        match kill(Pid::from_raw(pid), Signal::SIGKILL) {
            Ok(()) => self.sent += 1,
            // The child runs as another user now.
            Err(_) => self.denied = Some(pid),
        }
    }
}

/// Returns the parent's pid in a line of `/proc/PID/stat`: the second field after the name, which may contain
/// anything.
fn parent_in(stat: &[u8]) -> Option<u32> {
    let end = stat.iter().rposition(|b| *b == b')')?;
    let rest = str::from_utf8(stat.get(end + 1..)?).ok()?;
    rest.split_ascii_whitespace().nth(1)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_parent_is_found_behind_any_name() {
        assert_eq!(parent_in(b"7 (sh) S 42 7 7 0"), Some(42));
        assert_eq!(parent_in(b"7 (a) S 1 (\xff ) R 42 7 7 0"), Some(42));
        assert_eq!(parent_in(b""), None);
    }
}
