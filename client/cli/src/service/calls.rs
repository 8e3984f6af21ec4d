//! Calls of systemctl and loginctl, which may be missing, fail without a bus, or hang.

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use std::io::Read;
use std::os::fd::AsFd;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// Time limit of a call: a start waits until the supervisor serves.
const PATIENCE: Duration = Duration::from_secs(20);
/// Time limit of a question.
const SHORT_PATIENCE: Duration = Duration::from_secs(2);
/// The most of a message that is read, in bytes.
const MOST: usize = 16 << 10;

/// Returns whether systemd's own programs are here.
pub(crate) fn has_systemd() -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path).any(|dir| gob_host::siblings::is_program(&dir.join("systemctl")))
}

/// Asks the user's own manager.
///
/// # Errors
/// The last line of its message.
pub(crate) fn user_manager(words: &[&str]) -> Result<(), String> {
    call("systemctl", [&["--user"], words].concat().as_slice())
}

/// Lets the user linger: the manager runs from boot on, and after the last logout.
///
/// # Errors
/// As [`user_manager`].
pub(crate) fn enable_linger() -> Result<(), String> {
    call("loginctl", &["enable-linger"])
}

/// Returns whether logind ends the processes of a session with it; `None` where it can't be asked.
pub(crate) fn kills_user_processes() -> Option<bool> {
    let mut command = Command::new("loginctl");
    command.args(["show-session", "--property=KillUserProcesses"]).stdin(Stdio::null());
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().ok()?;
    let said = child.stdout.take().and_then(|stdout| read(stdout, Instant::now() + SHORT_PATIENCE));
    child.kill().ok();
    child.wait().ok();
    match said?.trim().strip_prefix("KillUserProcesses=")? {
        "yes" => Some(true),
        "no" => Some(false),
        _ => None,
    }
}

fn call(program: &str, words: &[&str]) -> Result<(), String> {
    let mut command = Command::new(program);
    command.args(words).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
    let mut child = command.spawn().map_err(|error| format!("{program}: {error}"))?;
    let said = child.stderr.take().and_then(|stderr| read(stderr, Instant::now() + PATIENCE));
    if said.is_none() {
        // An unreaped child of ours: its pid is its own.
        child.kill().ok();
    }
    let ended = child.wait().map_err(|error| format!("{program}: {error}"))?;
    let Some(said) = said else {
        return Err(format!("{program} did not answer within {} s", PATIENCE.as_secs()));
    };
    if ended.success() {
        return Ok(());
    }
    let last = said.lines().rev().map(str::trim).find(|line| !line.is_empty());
    Err(last.map_or_else(|| format!("{program}: {ended}"), ToOwned::to_owned))
}

/// Reads what a program says, to its end; `None` at the deadline.
fn read(mut pipe: impl Read + AsFd, deadline: Instant) -> Option<String> {
    let mut said = Vec::new();
    let mut chunk = [0; 1024];
    loop {
        let left = deadline.saturating_duration_since(Instant::now());
        let timeout = PollTimeout::try_from(left.as_millis()).unwrap_or(PollTimeout::MAX);
        match poll(&mut [PollFd::new(pipe.as_fd(), PollFlags::POLLIN)], timeout) {
            Ok(1..) => {}
            Err(Errno::EINTR) if !left.is_zero() => continue,
            _ => return None,
        }
        match pipe.read(&mut chunk) {
            Ok(0) | Err(_) => return Some(String::from_utf8_lossy(&said).into_owned()),
            Ok(count) => {
                let room = MOST.saturating_sub(said.len());
                said.extend(chunk.iter().take(count.min(room)));
            }
        }
    }
}
