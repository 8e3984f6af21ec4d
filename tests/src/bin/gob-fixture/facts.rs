//! The attributes with which the fixture was started, as a test compares them.

use gob_tests::script::Facts;
use std::ffi::c_int;
use std::fs;
use std::path::Path;

/// Reads them from `/proc` and by system calls.
pub(crate) fn facts() -> Facts {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let status = status.lines().filter_map(|line| line.split_once(":\t"));
    let status = status.map(|(key, value)| (key.to_owned(), value.trim().to_owned())).collect();
    let link = |path: &Path| fs::read_link(path).map(|p| p.display().to_string()).unwrap_or_default();
    let fds = fs::read_dir("/proc/self/fd").into_iter().flatten().flatten().filter_map(|entry| {
        let number = entry.file_name().to_str()?.parse().ok()?;
        let target = link(&entry.path());
        (!target.ends_with("/fd") || !target.starts_with("/proc/")).then_some((number, target))
    });
    let fds = fds.collect();
    let environ = fs::read("/proc/self/environ").unwrap_or_default();
    let env = environ.split(|b| *b == 0).filter(|part| !part.is_empty());
    let mut limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    let mut pdeathsig: c_int = 0;
    // SAFETY: both calls write into the variables that they are given; the others take no pointers.
    let (pid, ppid, pgid, sid) = unsafe {
        libc::getrlimit(libc::RLIMIT_NOFILE, &raw mut limit);
        libc::prctl(libc::PR_GET_PDEATHSIG, &raw mut pdeathsig);
        (libc::getpid(), libc::getppid(), libc::getpgid(0), libc::getsid(0))
    };
    Facts {
        pid,
        ppid,
        pgid,
        sid,
        pdeathsig,
        args: std::env::args().collect(),
        cwd: link(Path::new("/proc/self/cwd")),
        env: env.map(|pair| String::from_utf8_lossy(pair).into_owned()).collect(),
        fds,
        nofile: (limit.rlim_cur, limit.rlim_max),
        status,
    }
}
