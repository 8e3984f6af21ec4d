//! Whether the process that answers is the supervisor that the lock file names (PROTOCOL 1, Who may speak).
//!
//! The kernel says who listens, and the file in the user's own state directory who should. It is compared once hello was
//! answered: a supervisor writes the file before it serves. Where nothing can be compared the answer is believed: no file, one
//! without a line, one of a supervisor with another socket, or a process in a namespace that this one does not see into.

use crate::autostart::LockHolder;
use crate::blocking::link::Link;
use crate::error::Error;
use gob_host::dirs::Dirs;
use nix::sys::socket::{getsockopt, sockopt};
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::time::{Duration, Instant};

/// How long the end of a connection may be behind the end of its process.
const GRACE: Duration = Duration::from_millis(20);

/// Refuses a process that is not the one that the lock file names.
pub(crate) fn check(dirs: &Dirs, link: &mut Link) -> Result<(), Error> {
    let Ok(peer) = getsockopt(&link.as_fd(), sockopt::PeerCredentials) else { return Ok(()) };
    let pid = peer.pid();
    if stranger(dirs, link.path(), pid).is_none() {
        return Ok(());
    }
    // One that was followed by another supervisor has ended, and so has its connection.
    if link.wait_for_end(Instant::now() + GRACE)? {
        return Err(Error::Lost { request: "hello".to_owned() });
    }
    let socket = link.path().to_owned();
    match stranger(dirs, &socket, pid) {
        Some(told) => Err(Error::Impostor { socket, pid, lock: dirs.lock_file(), told }),
        None => Ok(()),
    }
}

/// Returns the process that the lock file names in the place of `pid`.
fn stranger(dirs: &Dirs, socket: &Path, pid: i32) -> Option<i32> {
    let told = LockHolder::read(dirs)?;
    let differs = pid > 0 && told.pid != pid && is_same(&told.socket, socket) && !is_called(pid, told.pid)?;
    differs.then_some(told.pid)
}

fn is_same(told: &Path, socket: &Path) -> bool {
    let file = |path: &Path| std::fs::metadata(path).ok().map(|file| (file.dev(), file.ino()));
    told == socket || file(told).is_some_and(|told| Some(told) == file(socket))
}

/// Whether a process has this number in its own namespace or one above; `None` where that can't be seen.
fn is_called(pid: i32, told: i32) -> Option<bool> {
    // A /proc of another namespace has other numbers.
    let own = std::fs::read_link("/proc/self").ok()?;
    if own.to_str() != Some(std::process::id().to_string().as_str()) {
        return None;
    }
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let numbers = status.lines().find_map(|line| line.strip_prefix("NSpid:"))?;
    Some(numbers.split_ascii_whitespace().any(|number| number.parse() == Ok(told)))
}
