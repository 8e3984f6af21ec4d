//! The child between clone and exec: it takes its group, limits, descriptors and signals, then runs its program.
//!
//! It shares the parent's memory, so it makes system calls only and allocates nothing.

use super::ChildStep;
use super::Limit;
use gob_core::ForkStep;
use std::ffi::{c_int, c_void};
use std::io;
use std::os::fd::RawFd;

/// The number under which a run's processes have the lock of their graph. Above the single digits that shell
/// scripts use and the numbers that follow the standard streams, and below 64, up to where no table has to
/// grow.
pub(crate) const LOCK_FD: RawFd = 63;

/// The number of the second lock, of a graph whose directory has another name.
pub(crate) const SECOND_FD: RawFd = LOCK_FD - 1;

/// All that the child needs, made before it exists: it must not allocate.
pub(super) struct Order {
    pub(super) program: *const libc::c_char,
    pub(super) argv: Vec<*const libc::c_char>,
    pub(super) envp: Vec<*const libc::c_char>,
    pub(super) cwd: RawFd,
    /// Where the parent's table of descriptors is shared: the first number beyond those that are needed.
    pub(super) beyond: Option<RawFd>,
    pub(super) stdio: [RawFd; 3],
    pub(super) umask: libc::mode_t,
    pub(super) nice: Option<c_int>,
    pub(super) open_files: libc::rlimit,
    pub(super) tag: libc::rlimit,
    pub(super) limits: *const [Limit],
    pub(super) lock: Option<RawFd>,
    pub(super) second_lock: Option<RawFd>,
    /// For close_range(2).
    pub(super) closing: libc::c_uint,
    pub(super) parent: libc::pid_t,
    pub(super) failed: Option<(ChildStep, c_int)>,
}

/// Runs the child: returns only by exec or exit, with the failed step in its [`Order`].
pub(super) extern "C" fn child(order: *mut c_void) -> c_int {
    // SAFETY: the parent passes its `Order` and is held until we exec or exit, so no other code touches it.
    let order = unsafe { &mut *order.cast::<Order>() };
    // SAFETY: makes system calls only, on pointers that the parent keeps alive.
    if let Err(step) = unsafe { become_worker(order) } {
        order.failed = Some((step, io::Error::last_os_error().raw_os_error().unwrap_or(libc::EIO)));
    }
    // SAFETY: ends the child without running anything of the parent's.
    unsafe { libc::_exit(127) }
}

/// Turns the child into a worker. Runs in the child.
///
/// # Safety
/// Only async-signal-safe calls; the pointers in `order` are valid.
unsafe fn become_worker(order: &Order) -> Result<(), ChildStep> {
    let check = |result: c_int, step| if result < 0 { Err(step) } else { Ok(()) };
    // SAFETY: the caller's promise; every call is a plain system call on valid arguments.
    unsafe {
        check(libc::setpgid(0, 0), ForkStep::Group)?;
        check(libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL), ForkStep::DeathSignal)?;
        if libc::getppid() != order.parent {
            return Err(ForkStep::Parent.into());
        }
        // The kernel's own `struct sigaction`, whose zeroes mean SIG_DFL: the C library refuses to set 32 and 33, which
        // it keeps for itself, and its posix_spawn starts programs (us, for one) with these ignored.
        let default = [0u64; 4];
        let none = std::ptr::null_mut::<u64>();
        for signal in 1..=64 {
            // KILL and STOP can't be set; they are as they should be.
            libc::syscall(libc::SYS_rt_sigaction, signal, default.as_ptr(), none, size_of::<u64>());
        }
        libc::umask(order.umask);
        if let Some(nice) = order.nice {
            // Nobody may lower it again: where ours is higher already, it stays.
            libc::setpriority(libc::PRIO_PROCESS, 0, nice);
        }
        // A hard limit below the tag leaves the process without one; its parents and its marker still
        // identify it.
        libc::setrlimit(libc::RLIMIT_LOCKS, &raw const order.tag);
        // Before its number is given to another descriptor.
        if libc::fchdir(order.cwd) < 0 {
            return Err(ChildStep::Chdir);
        }
        if let Some(beyond) = order.beyond {
            let flags = libc::CLOSE_RANGE_UNSHARE;
            let left = libc::syscall(libc::SYS_close_range, beyond, libc::c_uint::MAX, flags);
            if left < 0 {
                return Err(ForkStep::Close.into());
            }
        }
        // From here on the numbers are this process's own.
        for (number, from) in (0..).zip(order.stdio) {
            check(libc::dup2(from, number), ForkStep::Stdio)?;
        }
        let first_lock = give_locks(order)?;
        let close = |first: RawFd, last: libc::c_uint| {
            let closed = libc::syscall(libc::SYS_close_range, first, last, order.closing);
            if closed < 0 { Err(ForkStep::Close) } else { Ok(()) }
        };
        if let Some(first) = first_lock {
            close(3, first.unsigned_abs() - 1)?;
            close(LOCK_FD + 1, libc::c_uint::MAX)?;
        } else {
            close(3, libc::c_uint::MAX)?;
        }
        // Only now: a limit may be lower than the lock's number, which is in its place.
        check(libc::setrlimit(libc::RLIMIT_NOFILE, &raw const order.open_files), ForkStep::OpenFiles)?;
        for Limit { resource, value, name } in &*order.limits {
            let limit = libc::rlimit { rlim_cur: *value, rlim_max: *value };
            check(libc::setrlimit(*resource, &raw const limit), ForkStep::Limit(name))?;
        }
        let mut none: libc::sigset_t = std::mem::zeroed();
        libc::sigemptyset(&raw mut none);
        libc::sigprocmask(libc::SIG_SETMASK, &raw const none, std::ptr::null_mut());
        libc::execve(order.program, order.argv.as_ptr(), order.envp.as_ptr());
    }
    Err(ChildStep::Exec)
}

/// Gives the locks their numbers; returns the lowest of these.
///
/// # Safety
/// As [`become_worker`].
unsafe fn give_locks(order: &Order) -> Result<Option<RawFd>, ForkStep> {
    let check = |result: c_int, step| if result < 0 { Err(step) } else { Ok(result) };
    let limit = ForkStep::LockNumber;
    let Some(mut lock) = order.lock else { return Ok(None) };
    // SAFETY: the caller's promise; every call is a plain system call on open descriptors.
    unsafe {
        if let Some(second) = order.second_lock {
            if lock == SECOND_FD {
                // Out of the way. Its number of the meantime is closed with all else.
                lock = check(libc::dup(lock), limit)?;
            }
            check(libc::dup2(second, SECOND_FD), limit)?;
            check(libc::fcntl(SECOND_FD, libc::F_SETFD, 0), ForkStep::KeepLock)?;
        }
        check(libc::dup2(lock, LOCK_FD), limit)?;
        // It may have had this number before.
        check(libc::fcntl(LOCK_FD, libc::F_SETFD, 0), ForkStep::KeepLock)?;
    }
    Ok(Some(if order.second_lock.is_some() { SECOND_FD } else { LOCK_FD }))
}
