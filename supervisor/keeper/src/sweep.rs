//! Kills the processes that a dead supervisor left behind.
//!
//! The keeper is a child subreaper: once the supervisor is dead, all its orphans are the keeper's own
//! children, and their orphans become so as they die. A child that was not reaped keeps its pid, and only
//! this thread reaps, so the pid of a child found here can't belong to another process (ARCHITECTURE, rule
//! 3).

use crate::sys::{self, Reaped};
use gob_host::children::{self, Signalled};
use nix::sys::signal::Signal;
use nix::unistd::Pid;
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
        let Signalled { sent, denied } = kill_children(&[]);
        swept.denied = denied;
        // Children that may not be signalled are not waited for; a zombie is reaped before the next round.
        hopeless = if sent == 0 && denied.is_some() { hopeless + 1 } else { 0 };
        if Instant::now() >= deadline || hopeless > 1 {
            return Swept { left: true, ..swept };
        }
        sys::wait_for_child_signal(PAUSE);
    }
}

/// Sends SIGKILL to every child but these.
pub(crate) fn kill_children(but: &[Option<Pid>]) -> Signalled {
    children::signal(Signal::SIGKILL, |pid| !but.contains(&Some(Pid::from_raw(pid))))
}
