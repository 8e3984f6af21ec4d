//! A process that the fixture makes: it takes the form that the script asks for, such as a daemon or a process that goes on
//! as its own child.

use crate::raw::{end, hang, ignore, raise, write_all};
use gob_tests::script::Child;
use std::ffi::c_int;

/// Runs a child of the fixture: takes the requested form, reports its pid, and waits for its end.
pub(crate) fn live_as_child(tell: c_int, child: &Child) -> ! {
    if child.detach {
        fork_away();
    }
    if child.setsid || child.detach {
        // SAFETY: no arguments; failing (already a leader) leaves everything as it was.
        unsafe { libc::setsid() };
    }
    if child.detach {
        fork_away();
    }
    if child.ignore_term {
        [libc::SIGTERM, libc::SIGHUP, libc::SIGINT].into_iter().for_each(ignore);
    }
    if child.reset_limits {
        let none = libc::rlimit { rlim_cur: libc::RLIM_INFINITY, rlim_max: libc::RLIM_INFINITY };
        // SAFETY: reads one `rlimit`.
        unsafe { libc::setrlimit(libc::RLIMIT_LOCKS, &raw const none) };
    }
    if let Some(uid) = child.uid {
        // SAFETY: takes numbers only. A process that may not become that user goes on as it is.
        unsafe { libc::setresuid(uid, uid, uid) };
    }
    write_all(tell, std::process::id().to_string().as_bytes());
    // SAFETY: this process, which has one thread, uses none of the descriptors afterwards.
    unsafe {
        if child.close_fds {
            libc::close_range(0, u32::MAX, 0);
        } else {
            libc::close(tell);
        }
    }
    if child.stop {
        raise(libc::SIGSTOP);
    }
    if child.end_main_thread {
        std::thread::spawn(hang);
        // SAFETY: ends this thread alone; nothing on its stack is borrowed by the other one.
        unsafe { libc::syscall(libc::SYS_exit, 0) };
    }
    if child.hops > 0 {
        for _ in 0..child.hops {
            if child.hop_us > 0 {
                // SAFETY: takes an integer.
                unsafe { libc::usleep(child.hop_us) };
            }
            fork_away();
        }
        end(0);
    }
    hang()
}

fn fork_away() {
    // SAFETY: a child process of the fixture has one thread, so the forked one may go on as it likes.
    match unsafe { libc::fork() } {
        0 => {}
        _ => end(0),
    }
}
