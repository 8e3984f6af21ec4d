//! A supervisor that lives although its lock's file is gone.
//!
//! A lock on a deleted file excludes no other process, and the supervisor that held it takes a moment to heal
//! that. A keeper that makes the lock file anew therefore scans the processes for that supervisor first. An
//! ordinary start finds the file as the last supervisor left it, empty, and does not scan.

use gob_host::process;
use nix::unistd::{Pid, geteuid, getpgid};
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

/// The argument that hands a supervisor its lock (`program`).
const HANDED: &[u8] = b"--lock-fd";
/// The variable of every supervisor with its state directory (`paths`).
const STATE_DIR: &str = "GOB_STATE_DIR";

/// Returns the pid of this user's supervisor for a state directory, if one is alive.
pub(crate) fn supervisor_of(state: &Path) -> Option<u32> {
    let (own, uid) = (std::process::id(), geteuid().as_raw());
    let real = state.canonicalize().ok();
    let found = process::pids().ok()?.find(|pid| {
        u32::try_from(*pid) != Ok(own)
            // Kernel threads have none, and root owns many. A supervisor's is its keeper's.
            && getpgid(Some(Pid::from_raw(*pid))).is_ok_and(|group| group.as_raw() > 0)
            && fs::metadata(format!("/proc/{pid}")).is_ok_and(|found| found.uid() == uid)
            // A zombie has neither arguments nor an environment.
            && process::arguments(*pid).iter().any(|word| word == HANDED)
            && process::variable(*pid, STATE_DIR).is_some_and(|dir| names(&dir, state, real.as_deref()))
    });
    found.and_then(|pid| u32::try_from(pid).ok())
}

/// Returns whether `value` names this state directory, by this path or by another way to it.
fn names(value: &[u8], state: &Path, real: Option<&Path>) -> bool {
    let path = Path::new(std::ffi::OsStr::from_bytes(value));
    path == state || real.is_some_and(|real| path.canonicalize().is_ok_and(|other| other == real))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_directory_matches_by_any_path_to_it() {
        let is = |value: &[u8], path: &str| {
            names(value, Path::new(path), Path::new(path).canonicalize().ok().as_deref())
        };
        assert!(is(b"/none/s", "/none/s"));
        assert!(is(b"/none/s/", "/none/s"));
        assert!(is(b"/proc/self/..", "/proc"));
        assert!(!is(b"/none/s2", "/none/s"));
        assert!(!is(b"", "/none/s"));
    }
}
