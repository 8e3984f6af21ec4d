//! A supervisor that lives although the lock that it held is gone.
//!
//! A lock on a file that was deleted, alone or with its directory, keeps nobody out, and the supervisor that held it
//! takes a moment to heal that. Whoever makes the lock file anew therefore looks for it among the processes first:
//! those can't be deleted. An ordinary start finds the file as the last supervisor left it, empty, and does not look.

use nix::unistd::geteuid;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// The argument by which a supervisor was handed its lock (`program`).
const HANDED: &[u8] = b"--lock-fd";
/// The variable that every supervisor was given (`paths`).
const STATE_DIR: &[u8] = b"GOB_STATE_DIR=";

/// The pid of this user's supervisor for a state directory, if one is alive.
pub(crate) fn supervisor_of(state: &Path) -> Option<u32> {
    let (own, uid) = (std::process::id(), geteuid().as_raw());
    let real = state.canonicalize().ok();
    let pids = fs::read_dir("/proc").ok()?.flatten();
    let mut pids = pids.filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok());
    pids.find(|pid| {
        let memory = memory_of(*pid);
        let of = |name: &str| memory.join(name);
        *pid != own
            && fs::metadata(&memory).is_ok_and(|stat| stat.uid() == uid)
            // What has ended and was not reaped yet has neither arguments nor an environment.
            && fs::read(of("cmdline")).is_ok_and(|words| words.split(|b| *b == 0).any(|word| word == HANDED))
            && fs::read(of("environ")).is_ok_and(|variables| names(&variables, state, real.as_deref()))
    })
}

/// Where the kernel shows what a process has in memory: with its main thread, or where that has ended with another one. A
/// killed supervisor lives, and holds its locks, while one of its threads waits for a disk.
fn memory_of(pid: u32) -> PathBuf {
    let main = PathBuf::from(format!("/proc/{pid}"));
    let has_memory = |of: &PathBuf| fs::read_link(of.join("exe")).is_ok();
    if has_memory(&main) {
        return main;
    }
    let threads = fs::read_dir(main.join("task")).into_iter().flatten().flatten();
    threads.map(|thread| thread.path()).find(has_memory).unwrap_or(main)
}

/// Whether an environment names the directory, by this path or by another way to it.
fn names(variables: &[u8], state: &Path, real: Option<&Path>) -> bool {
    let mut variables = variables.split(|b| *b == 0).filter_map(|variable| variable.strip_prefix(STATE_DIR));
    variables.any(|value| {
        let path = Path::new(std::ffi::OsStr::from_bytes(value));
        path == state || real.is_some_and(|real| path.canonicalize().is_ok_and(|other| other == real))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_directory_is_known_by_any_way_to_it() {
        let is = |variables: &[u8], path: &str| {
            names(variables, Path::new(path), Path::new(path).canonicalize().ok().as_deref())
        };
        assert!(is(b"A=1\0GOB_STATE_DIR=/none/s\0", "/none/s"));
        assert!(is(b"GOB_STATE_DIR=/none/s/\0", "/none/s"));
        assert!(is(b"GOB_STATE_DIR=/proc/self/..\0", "/proc"));
        assert!(!is(b"GOB_STATE_DIR=/none/s2\0XGOB_STATE_DIR=/none/s\0", "/none/s"));
        assert!(!is(b"", "/none/s"));
    }
}
