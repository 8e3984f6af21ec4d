//! The parts of the supervisor's health that only the shell knows (PROTOCOL 9).

use crate::boot::Boot;
use gob_protocol::Status;
use std::sync::atomic::Ordering;

/// Adds the measured parts.
pub(crate) fn complete(status: &mut Status, boot: &Boot, (log_bytes, log_bytes_dropped): (u64, u64)) {
    status.socket = boot.socket_path();
    status.keeper_pid = boot.keeper_pid;
    (status.log_bytes, status.log_bytes_dropped) = (log_bytes, log_bytes_dropped);
    status.journal_failures = boot.journal_failures.load(Ordering::Relaxed);
    status.rss_bytes = resident_bytes().unwrap_or(0);
}

/// Returns the resident memory of this process (proc(5), second field of `statm`, in pages).
fn resident_bytes() -> Option<u64> {
    let statm = std::fs::read_to_string("/proc/self/statm").ok()?;
    let pages: u64 = statm.split_ascii_whitespace().nth(1)?.parse().ok()?;
    let page = nix::unistd::sysconf(nix::unistd::SysconfVar::PAGE_SIZE).ok()??;
    Some(pages * u64::try_from(page).ok()?)
}
