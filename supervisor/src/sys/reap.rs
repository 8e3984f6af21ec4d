//! Children that ended: the next one, and its exit.
//!
//! Runs on the thread that spawned them. `WNOWAIT` shows the next one and leaves its number taken, so that its group can be
//! killed before the number is given back. libc's own `waitid`, because nix's fails for good on a child
//! that a real-time signal killed, and because `P_ALL` repeats the first zombie until it is reaped.

use gob_protocol::{Exit, signal};
use std::mem::MaybeUninit;

/// A child that has ended and was not reaped: its number is its own still.
#[derive(Debug)]
pub(crate) struct Dead {
    pub(crate) pid: i32,
    pub(crate) exit: Exit,
}

/// Returns the next child that has ended, and leaves it to be reaped.
pub(crate) fn next_dead() -> Option<Dead> {
    let seen = waitid(libc::P_ALL, 0, libc::WNOHANG | libc::WEXITED | libc::WNOWAIT)?;
    Some(Dead { pid: pid_of(&seen), exit: exit_of(&seen) })
}

/// Reaps a child that has ended, and returns how it did.
pub(crate) fn reap(dead: Dead) -> Exit {
    let Ok(id) = libc::id_t::try_from(dead.pid) else { return dead.exit };
    let info = waitid(libc::P_PID, id, libc::WNOHANG | libc::WEXITED);
    info.map_or(dead.exit, |info| exit_of(&info))
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
