//! clone3(2), which the C library has no function for: a child that begins in a control group.
//!
//! A process could enter its group by itself, by writing to `cgroup.procs`. Such a write makes the kernel wait until
//! no process is between fork and exec, which took 14 ms after a moment of rest; beginning there costs a few
//! microseconds.

use std::ffi::{c_int, c_void};
use std::os::fd::{BorrowedFd, RawFd};

/// Starts a child on this stack, with these flags of clone(2), in the control group of this directory. `None` when that
/// fails, without a child.
///
/// # Safety
/// As for clone(2) with `CLONE_VM | CLONE_VFORK`, which must be among the flags: stack and argument stay valid until the child execs or is
/// gone, and the child's function only makes system calls and never returns.
#[cfg(target_arch = "x86_64")]
pub(crate) unsafe fn into_cgroup(
    child: extern "C" fn(*mut c_void) -> c_int,
    stack: &mut [u128],
    argument: *mut c_void,
    flags: c_int,
    pidfd: *mut RawFd,
    cgroup: BorrowedFd<'_>,
) -> Option<libc::pid_t> {
    use std::os::fd::AsRawFd;

    /// `struct clone_args` of linux/sched.h, as of Linux 5.7.
    #[repr(C, align(8))]
    struct Args {
        flags: u64,
        pidfd: u64,
        child_tid: u64,
        parent_tid: u64,
        exit_signal: u64,
        stack: u64,
        stack_size: u64,
        tls: u64,
        set_tid: u64,
        set_tid_size: u64,
        cgroup: u64,
    }
    const CLONE_INTO_CGROUP: u64 = 0x2_0000_0000;

    let args = Args {
        flags: u64::from(flags.cast_unsigned()) | CLONE_INTO_CGROUP,
        pidfd: pidfd.expose_provenance() as u64,
        child_tid: 0,
        parent_tid: 0,
        exit_signal: u64::from(libc::SIGCHLD.cast_unsigned()),
        stack: stack.as_mut_ptr().expose_provenance() as u64,
        stack_size: size_of_val(stack) as u64,
        tls: 0,
        set_tid: 0,
        set_tid_size: 0,
        cgroup: u64::from(cgroup.as_raw_fd().unsigned_abs()),
    };
    let result: i64;
    // SAFETY: the kernel reads `args`, which says its own size, and writes the descriptor to `pidfd`. In the parent
    // nothing but the named registers changes. The child continues behind the system call on the stack that it was given,
    // whose end is 16-byte aligned as a call wants it, takes its argument from a register that the kernel preserves, and
    // never comes back from the call. The rest is the caller's promise.
    unsafe {
        std::arch::asm!(
            "syscall",
            "test rax, rax",
            "jnz 2f",
            "xor ebp, ebp",
            "mov rdi, r13",
            "call r12",
            "ud2",
            "2:",
            inlateout("rax") libc::SYS_clone3 => result,
            in("rdi") &raw const args,
            in("rsi") size_of::<Args>(),
            in("r12") child,
            in("r13") argument,
            out("rcx") _,
            out("r11") _,
        );
    }
    libc::pid_t::try_from(result).ok().filter(|pid| *pid > 0)
}

/// Not supported on this processor: workers start without a group of their own.
///
/// # Safety
/// Does nothing.
#[cfg(not(target_arch = "x86_64"))]
pub(crate) unsafe fn into_cgroup(
    _child: extern "C" fn(*mut c_void) -> c_int,
    _stack: &mut [u128],
    _argument: *mut c_void,
    _flags: c_int,
    _pidfd: *mut RawFd,
    _cgroup: BorrowedFd<'_>,
) -> Option<libc::pid_t> {
    None
}
