//! Takes in children that ended, one at a time, with the groups that are to die killed before their numbers are free again.
//!
//! Runs on the thread that spawned them. `WNOWAIT` shows who ended and leaves the number taken; only then the group is
//! killed, and only after that the number is given back. libc's own `waitid`, because nix's fails for good on a child
//! that a real-time signal killed, and because `P_ALL` repeats the first zombie until it is reaped.

use gob_protocol::{Exit, signal};
use std::mem::MaybeUninit;

/// A child that ended.
#[derive(Debug)]
pub(crate) struct Reaped {
    pub(crate) pid: i32,
    pub(crate) exit: Exit,
}

/// Reaps the next child that ended, killing its group first when `group_dies` says so: it leads one of ours.
pub(crate) fn next(group_dies: impl FnOnce(i32) -> bool) -> Option<Reaped> {
    let seen = waitid(libc::P_ALL, 0, libc::WNOHANG | libc::WEXITED | libc::WNOWAIT)?;
    let pid = pid_of(&seen);
    if group_dies(pid) {
        // Fails with ESRCH when the leader was the last of its group.
        super::process::send_group(pid, libc::SIGKILL).ok();
    }
    let id = libc::id_t::try_from(pid).ok()?;
    let info = waitid(libc::P_PID, id, libc::WNOHANG | libc::WEXITED).unwrap_or(seen);
    Some(Reaped { pid, exit: exit_of(&info) })
}

fn waitid(kind: libc::idtype_t, id: libc::id_t, flags: i32) -> Option<libc::siginfo_t> {
    loop {
        let mut info = MaybeUninit::<libc::siginfo_t>::zeroed();
        // SAFETY: writes one `siginfo_t` to valid memory.
        let waited = unsafe { libc::waitid(kind, id, info.as_mut_ptr(), flags) };
        if waited != 0 {
            if std::io::Error::last_os_error().kind() == std::io::ErrorKind::Interrupted {
                continue;
            }
            return None;
        }
        // SAFETY: zeroed is a valid value of this plain structure, and the call succeeded.
        let info = unsafe { info.assume_init() };
        return (pid_of(&info) != 0).then_some(info);
    }
}

fn pid_of(info: &libc::siginfo_t) -> i32 {
    // SAFETY: waitid fills the SIGCHLD fields, or leaves the zeroes that we put there.
    unsafe { info.si_pid() }
}

fn exit_of(info: &libc::siginfo_t) -> Exit {
    // SAFETY: as above.
    let status = unsafe { info.si_status() };
    if info.si_code == libc::CLD_EXITED {
        return Exit::Code { code: status };
    }
    let name = signal::name(status).unwrap_or_else(|| format!("SIG{status}"));
    Exit::Signal { signal: name, core_dumped: info.si_code == libc::CLD_DUMPED }
}
