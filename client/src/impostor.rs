//! Checks that the answering process is the supervisor in the lock file (PROTOCOL 1, Who may speak).
//!
//! The kernel names the listener, and the file in the user's own state directory the supervisor. They are
//! compared after the answer to hello: a supervisor writes the file before it serves. The answer is believed
//! where nothing can be compared: without a file, with a file without a line or of a supervisor with another
//! socket, or with a process in a namespace that this one does not see into. A process above the supervisor is believed too: a
//! service manager listens before it starts one.

use crate::autostart::LockHolder;
use crate::blocking::link::Link;
use crate::error::Error;
use gob_host::dirs::Dirs;
use gob_host::process::{Stat, StatLine};
use nix::sys::socket::{getsockopt, sockopt};
use std::os::fd::AsFd;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::time::{Duration, Instant};

/// Time between the end of a process and the end of its connection.
const GRACE: Duration = Duration::from_millis(20);
/// Limit of the processes above a supervisor that are looked at.
const MOST_ABOVE: usize = 32;

/// Refuses a process that is not the one in the lock file.
pub(crate) fn check(dirs: &Dirs, link: &mut Link) -> Result<(), Error> {
    let Ok(peer) = getsockopt(&link.as_fd(), sockopt::PeerCredentials) else { return Ok(()) };
    let pid = peer.pid();
    if stranger(dirs, link.path(), pid).is_none() {
        return Ok(());
    }
    // A supervisor that was followed by another has ended, and so has its connection.
    if link.wait_for_end(Instant::now() + GRACE)? {
        return Err(Error::Lost { request: "hello".to_owned() });
    }
    let socket = link.path().to_owned();
    match stranger(dirs, &socket, pid) {
        Some(told) => Err(Error::Impostor { socket, pid, lock: dirs.lock_file(), told }),
        None => Ok(()),
    }
}

/// As [`check`], for a socket whose bytes are not read here.
pub(crate) fn examine(dirs: &Dirs, socket: &impl AsFd, path: &Path) -> Result<(), Error> {
    let Ok(peer) = getsockopt(socket, sockopt::PeerCredentials) else { return Ok(()) };
    let pid = peer.pid();
    match stranger(dirs, path, pid) {
        Some(told) => Err(Error::Impostor { socket: path.to_owned(), pid, lock: dirs.lock_file(), told }),
        None => Ok(()),
    }
}

/// Returns the process that the lock file names in the place of `pid`.
fn stranger(dirs: &Dirs, socket: &Path, pid: i32) -> Option<i32> {
    let told = LockHolder::read(dirs)?;
    let differs = pid > 0
        && told.pid != pid
        && is_same(&told.socket, socket)
        && !is_called(pid, told.pid)?
        && !is_above(pid, told.pid);
    differs.then_some(told.pid)
}

/// Returns whether a process is an ancestor of the supervisor: a service manager that listened before it started the supervisor's keeper.
fn is_above(pid: i32, supervisor: i32) -> bool {
    let parent = |of: &i32| {
        let line = StatLine::read(*of).ok()?;
        Stat::parse(&line.text()).map(|stat| stat.parent).filter(|parent| *parent > 0)
    };
    std::iter::successors(Some(supervisor), parent).take(MOST_ABOVE).any(|above| above == pid)
}

fn is_same(told: &Path, socket: &Path) -> bool {
    let file = |path: &Path| std::fs::metadata(path).ok().map(|file| (file.dev(), file.ino()));
    told == socket || file(told).is_some_and(|told| Some(told) == file(socket))
}

/// Returns whether a process has this pid in its own namespace or one above; `None` where that can't be seen.
fn is_called(pid: i32, told: i32) -> Option<bool> {
    // A /proc of another namespace has other pids.
    let own = std::fs::read_link("/proc/self").ok()?;
    if own.to_str() != Some(std::process::id().to_string().as_str()) {
        return None;
    }
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let numbers = status.lines().find_map(|line| line.strip_prefix("NSpid:"))?;
    Some(numbers.split_ascii_whitespace().any(|number| number.parse() == Ok(told)))
}
