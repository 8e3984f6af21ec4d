//! Killing what a dead supervisor left behind.
//!
//! The keeper is a child subreaper: once the supervisor is dead, all its orphans are the keeper's own children, and
//! their orphans become so as they die. A child that was not reaped keeps its number, and only this thread reaps, so
//! a number found here as our child can't have become somebody else's (ARCHITECTURE, rule 3).

use crate::sys::{self, Reaped};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use std::fs;
use std::time::{Duration, Instant};

/// How long a sweep waits for processes that were killed and don't go, such as one that hangs in a dead network
/// file system. Those that go later are reaped then.
const PATIENCE: Duration = Duration::from_secs(5);

/// Longest pause between two rounds; the end of any child ends it sooner.
const PAUSE: Duration = Duration::from_millis(50);

/// What a sweep came to.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Swept {
    /// How many processes were reaped.
    pub(crate) reaped: usize,
    /// Whether some were left when patience ended.
    pub(crate) left: bool,
    /// One that may not be signalled, for it has become another user's.
    pub(crate) denied: Option<i32>,
}

/// What came of killing all children once.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
struct Killed {
    /// How many were sent the signal.
    sent: usize,
    denied: Option<i32>,
}

/// Kills and reaps every child there is, and what becomes a child meanwhile, until there is none.
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
        // Who may not be signalled is not waited for; one that has ended is reaped before the next look.
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
    // Where there is such a list it also has those that `/proc` hides (`hidepid`, proc(5)).
    if let Ok(children) = fs::read_to_string(format!("/proc/self/task/{own}/children")) {
        for pid in children.split_ascii_whitespace().filter_map(|pid| pid.parse::<i32>().ok()) {
            killed.end(pid, but);
        }
        return killed;
    }
    // Killed while the table is read, not after, so that a process that keeps forking and exiting is met at its newest
    // number.
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
    /// Sends SIGKILL to a child, unless it is the one that is spared.
    fn end(&mut self, pid: i32, but: Option<Pid>) {
        if but == Some(Pid::from_raw(pid)) {
            return;
        }
        match kill(Pid::from_raw(pid), Signal::SIGKILL) {
            Ok(()) => self.sent += 1,
            // It has become another user's.
            Err(_) => self.denied = Some(pid),
        }
    }
}

/// The parent's pid in a line of `/proc/PID/stat`: the second field after the name, which may contain anything.
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
