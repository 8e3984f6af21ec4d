//! Attributes that processes inherit from the first client, beside limits and signals: set back as far as a
//! process may. `gobctl doctor` reports the rest (hard limits, `no_new_privs`, seccomp, a raised nice value).

use std::{mem, ptr};

/// The kernel's default timer slack, in nanoseconds.
const TIMER_SLACK_NS: libc::c_ulong = 50_000;
/// `IOPRIO_WHO_PROCESS`, and the default class and level (ioprio_set(2)).
const IOPRIO_WHO_PROCESS: libc::c_int = 1;
const IOPRIO_NONE: libc::c_int = 0;

/// Sets back CPU affinity, scheduling policy and nice value, I/O class, memory policy, personality, timer
/// slack and the score of the OOM killer. A change that is not allowed is left out.
pub(crate) fn set_back() {
    // More processors than there are: the kernel takes those that the control group allows.
    // SAFETY: a set of processors is plain bits, of which any are valid.
    let mut all: libc::cpu_set_t = unsafe { mem::zeroed() };
    // SAFETY: as many bytes are written as the set has.
    unsafe { ptr::write_bytes(&raw mut all, 0xff, 1) };
    let other = libc::sched_param { sched_priority: 0 };
    // SAFETY: both structures live until the calls return, and the calls read no more than their sizes; the others take numbers.
    unsafe {
        libc::sched_setaffinity(0, mem::size_of::<libc::cpu_set_t>(), &raw const all);
        libc::sched_setscheduler(0, libc::SCHED_OTHER, &raw const other);
        libc::setpriority(libc::PRIO_PROCESS, 0, 0);
        libc::syscall(libc::SYS_ioprio_set, IOPRIO_WHO_PROCESS, 0, IOPRIO_NONE);
        libc::syscall(libc::SYS_set_mempolicy, libc::MPOL_DEFAULT, ptr::null::<libc::c_ulong>(), 0);
        libc::personality(0);
        libc::prctl(libc::PR_SET_TIMERSLACK, TIMER_SLACK_NS, 0, 0, 0);
    }
    // Raising the score is always allowed; lowering it ends where it was set with the right to.
    std::fs::write("/proc/self/oom_score_adj", "0").unwrap_or_default();
}
