//! Starts a process like posix_spawn, with the few steps that posix_spawn lacks.
//!
//! The child shares our memory until it execs (`CLONE_VM | CLONE_VFORK`), so a start costs the same however
//! large the supervisor is, and its error comes back through that memory: a missing program is an error here
//! and now. The child is its own group's leader, has default signals and an empty mask, stdin from /dev/null,
//! no descriptor of ours but the lock of its graph, dies with the supervisor (PR_SET_PDEATHSIG), and carries
//! its run's tag.

mod child;
mod slots;

pub(crate) use child::{LOCK_FD, SECOND_FD};
use slots::Lent;
pub(crate) use slots::{hand_over, reserve, take_over};

use super::tag::Tag;
use super::{clock, clone, process};
use child::{Order, child};
use gob_core::ForkStep;
use gob_protocol::ProcessId;
use std::ffi::{CStr, CString, c_int, c_void};
use std::io;
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};

/// The process to start.
pub(crate) struct Spec<'a> {
    pub(crate) program: &'a CStr,
    pub(crate) argv: &'a [CString],
    pub(crate) envp: &'a [CString],
    /// Already open: opening it in the child would block the parent, which waits for this child.
    pub(crate) cwd: BorrowedFd<'a>,
    pub(crate) stdin: BorrowedFd<'a>,
    pub(crate) stdout: BorrowedFd<'a>,
    pub(crate) stderr: BorrowedFd<'a>,
    pub(crate) umask: u32,
    /// Its niceness, where that is not ours.
    pub(crate) nice: Option<u32>,
    pub(crate) open_files: libc::rlimit,
    pub(crate) tag: Tag,
    /// Further limits.
    pub(crate) limits: &'a [Limit],
    /// The directory of the control group in which it begins.
    pub(crate) cgroup: Option<BorrowedFd<'a>>,
    /// Inherited under the number [`LOCK_FD`](child::LOCK_FD).
    pub(crate) lock: Option<BorrowedFd<'a>>,
    /// Inherited under the number [`SECOND_FD`](child::SECOND_FD), beside the lock.
    pub(crate) second_lock: Option<BorrowedFd<'a>>,
    /// Closes the other descriptors before it executes its program. The kernel lets the parent go on before
    /// it closes them itself, and until then the child has locks of others; but a close that waits would
    /// block the parent.
    pub(crate) close_first: bool,
}

/// A resource limit, soft and hard.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Limit {
    resource: libc::__rlimit_resource_t,
    value: u64,
    /// Its name without `RLIMIT_`.
    name: &'static str,
}

impl Limit {
    /// A limit by its name in [`gob_config::kind::RLIMITS`]; `None` for any other name.
    pub(crate) fn new(name: &str, value: u64) -> Option<Self> {
        let (resource, name) = match name {
            "as" => (libc::RLIMIT_AS, "AS"),
            "core" => (libc::RLIMIT_CORE, "CORE"),
            "cpu" => (libc::RLIMIT_CPU, "CPU"),
            "data" => (libc::RLIMIT_DATA, "DATA"),
            "fsize" => (libc::RLIMIT_FSIZE, "FSIZE"),
            "memlock" => (libc::RLIMIT_MEMLOCK, "MEMLOCK"),
            "nofile" => (libc::RLIMIT_NOFILE, "NOFILE"),
            "nproc" => (libc::RLIMIT_NPROC, "NPROC"),
            "rss" => (libc::RLIMIT_RSS, "RSS"),
            "stack" => (libc::RLIMIT_STACK, "STACK"),
            _ => return None,
        };
        Some(Self { resource, value, name })
    }
}

/// A process that was started, with a handle on it.
pub(crate) struct Started<H = OwnedFd> {
    pub(crate) id: ProcessId,
    pub(crate) pidfd: H,
    /// It began in its control group.
    pub(crate) in_cgroup: bool,
}

/// A step from clone to exec. Failures at the working directory and at the program are told with their paths, which only
/// the parent adds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ChildStep {
    /// Going to the working directory.
    Chdir,
    /// Executing the program.
    Exec,
    /// Any other.
    Other(ForkStep),
}

impl From<ForkStep> for ChildStep {
    fn from(step: ForkStep) -> Self {
        Self::Other(step)
    }
}

/// A start that failed, with its step.
#[derive(Debug, thiserror::Error)]
#[error("{step:?}: {source}")]
pub(crate) struct SpawnError {
    pub(crate) step: ChildStep,
    #[source]
    pub(crate) source: io::Error,
}

/// The child's stack until it execs; it calls nothing deep.
const STACK_BYTES: usize = 64 * 1024;

/// Starts a process and returns once it runs its own program.
///
/// # Errors
/// The step that failed, with its cause. There is no process then.
pub(crate) fn spawn(spec: &Spec<'_>) -> Result<Started, SpawnError> {
    start(spec, slots::lend(spec))
}

/// Starts a process that shares our table of descriptors at first, where it finds what it is given among these.
fn start(spec: &Spec<'_>, lent: Option<Lent>) -> Result<Started, SpawnError> {
    let given = (spec.lock.map(|fd| fd.as_raw_fd()), spec.second_lock.map(|fd| fd.as_raw_fd()));
    let (lock, second_lock) = lent.as_ref().map_or(given, |lent| (lent.lock, lent.second_lock));
    let given = [spec.stdin, spec.stdout, spec.stderr].map(|fd| fd.as_raw_fd());
    let sharing = if lent.is_some() { libc::CLONE_FILES } else { 0 };
    let mut order = Order {
        program: spec.program.as_ptr(),
        argv: pointers(spec.argv),
        envp: pointers(spec.envp),
        cwd: spec.cwd.as_raw_fd(),
        beyond: lent.as_ref().map(|lent| lent.beyond),
        stdio: lent.as_ref().map_or(given, |lent| lent.stdio),
        umask: spec.umask,
        nice: spec.nice.and_then(|nice| c_int::try_from(nice).ok()),
        open_files: spec.open_files,
        tag: mark(spec.tag),
        limits: spec.limits,
        lock,
        second_lock,
        closing: if spec.close_first { 0 } else { libc::CLOSE_RANGE_CLOEXEC },
        // SAFETY: takes nothing and cannot fail.
        parent: unsafe { libc::getpid() },
        failed: None,
    };
    let mut stack = vec![0u128; STACK_BYTES / 16];
    let mut pidfd: RawFd = -1;
    let flags = libc::CLONE_VM | libc::CLONE_VFORK | libc::CLONE_PIDFD | sharing;
    let blocked = block_signals();
    let before = clock::ticks();
    // SAFETY: the stack is 16-byte aligned, ours, and outlives the child's use of it, as does `order`: CLONE_VFORK
    // holds this thread until the child has its own memory or is gone. The child only makes system calls. Signals are
    // blocked, so that no handler of ours runs in the child on shared memory.
    let in_cgroup = spec.cgroup.and_then(|cgroup| unsafe {
        let argument = (&raw mut order).cast::<c_void>();
        clone::into_cgroup(child, &mut stack, argument, flags, &raw mut pidfd, cgroup)
    });
    let pid = in_cgroup.unwrap_or_else(|| {
        let top = stack.as_mut_ptr_range().end.cast::<c_void>();
        let flags = flags | libc::SIGCHLD;
        // SAFETY: as above.
        unsafe { libc::clone(child, top, flags, (&raw mut order).cast::<c_void>(), &raw mut pidfd) }
    });
    let cloned = io::Error::last_os_error();
    let after = clock::ticks();
    restore_signals(&blocked);
    drop(lent);
    if pid < 0 {
        return Err(SpawnError { step: ForkStep::Clone.into(), source: cloned });
    }
    // SAFETY: the kernel made it for us.
    let pidfd = unsafe { OwnedFd::from_raw_fd(pidfd) };
    match order.failed {
        None => {
            let id = ProcessId { pid, start_time: start_time(pid, before, after) };
            Ok(Started { id, pidfd, in_cgroup: in_cgroup.is_some() })
        }
        Some((step, errno)) => {
            forget(pid);
            Err(SpawnError { step, source: io::Error::from_raw_os_error(errno) })
        }
    }
}

/// Returns the limit that marks a process. Only a process that may raise the hard limit does, and only where
/// that is in the way.
fn mark(tag: Tag) -> libc::rlimit {
    let mut own = libc::rlimit { rlim_cur: 0, rlim_max: libc::RLIM_INFINITY };
    // SAFETY: writes one `rlimit` to valid memory; on failure it stays as it is.
    unsafe { libc::getrlimit(libc::RLIMIT_LOCKS, &raw mut own) };
    let hard = if own.rlim_max < tag.0 { libc::RLIM_INFINITY } else { own.rlim_max };
    libc::rlimit { rlim_cur: tag.0, rlim_max: hard }
}

fn pointers(strings: &[CString]) -> Vec<*const libc::c_char> {
    strings.iter().map(|text| text.as_ptr()).chain([std::ptr::null()]).collect()
}

/// Returns the start time of a child: the clock tells it where the tick did not change meanwhile, else the
/// process table.
fn start_time(pid: i32, before: u64, after: u64) -> u64 {
    if before == after {
        return before;
    }
    process::seen(pid).map_or(before, |found| found.id.start_time)
}

/// Reaps a child that failed before it had an owner.
fn forget(pid: i32) {
    // SAFETY: our own child, waited for once; no status is written.
    while unsafe { libc::waitpid(pid, std::ptr::null_mut(), 0) } < 0
        && io::Error::last_os_error().kind() == io::ErrorKind::Interrupted
    {}
}

/// Blocks all signals of this thread; returns the former mask.
pub(crate) fn block_signals() -> libc::sigset_t {
    // SAFETY: both sets are valid memory that the calls fill.
    unsafe {
        let mut all = std::mem::zeroed();
        let mut before = std::mem::zeroed();
        libc::sigfillset(&raw mut all);
        libc::pthread_sigmask(libc::SIG_SETMASK, &raw const all, &raw mut before);
        before
    }
}

/// Lets this thread take all signals.
pub(crate) fn take_signals() {
    // SAFETY: the set is valid memory that the call fills.
    let none = unsafe {
        let mut none = std::mem::zeroed();
        libc::sigemptyset(&raw mut none);
        none
    };
    restore_signals(&none);
}

/// Gives this thread the mask back that it had.
pub(crate) fn restore_signals(before: &libc::sigset_t) {
    // SAFETY: a set that pthread_sigmask filled.
    unsafe { libc::pthread_sigmask(libc::SIG_SETMASK, std::ptr::from_ref(before), std::ptr::null_mut()) };
}

#[cfg(test)]
mod tests;
