//! Starts a process like posix_spawn, with the few steps that posix_spawn lacks.
//!
//! The child shares our memory until it execs (`CLONE_VM | CLONE_VFORK`), so a start costs the same however
//! large the supervisor is, and its error comes back through that memory: a missing program is an error here
//! and now. The child is its own group's leader, has default signals and an empty mask, stdin from /dev/null,
//! no descriptor of ours but the lock of its graph, dies with the supervisor (PR_SET_PDEATHSIG), and carries
//! its run's tag.

use super::tag::Tag;
use super::{clock, clone, process};
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
    pub(crate) open_files: libc::rlimit,
    pub(crate) tag: Tag,
    /// Further limits.
    pub(crate) limits: &'a [Limit],
    /// The directory of the control group in which it begins.
    pub(crate) cgroup: Option<BorrowedFd<'a>>,
    /// Inherited under the number [`LOCK_FD`].
    pub(crate) lock: Option<BorrowedFd<'a>>,
    /// Inherited under the number [`SECOND_FD`], beside the lock.
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

/// The number under which a run's processes have the lock of their graph. Above the single digits that shell
/// scripts use and the numbers that follow the standard streams, and below 64, up to where no table has to
/// grow.
pub(crate) const LOCK_FD: RawFd = 63;

/// The number of the second lock, of a graph whose directory has another name.
pub(crate) const SECOND_FD: RawFd = LOCK_FD - 1;

/// A process that was started, with a handle on it.
pub(crate) struct Started<H = OwnedFd> {
    pub(crate) id: ProcessId,
    pub(crate) pidfd: H,
    /// It began in its control group.
    pub(crate) in_cgroup: bool,
}

/// A start that failed, with its step.
#[derive(Debug, thiserror::Error)]
#[error("{step:?}: {source}")]
pub(crate) struct SpawnError {
    pub(crate) step: ForkStep,
    #[source]
    pub(crate) source: io::Error,
}

/// All that the child needs, made before it exists: it must not allocate.
struct Order {
    program: *const libc::c_char,
    argv: Vec<*const libc::c_char>,
    envp: Vec<*const libc::c_char>,
    cwd: RawFd,
    stdio: [RawFd; 3],
    umask: libc::mode_t,
    open_files: libc::rlimit,
    tag: libc::rlimit,
    limits: *const [Limit],
    lock: Option<RawFd>,
    second_lock: Option<RawFd>,
    /// For close_range(2).
    closing: libc::c_uint,
    parent: libc::pid_t,
    failed: Option<(ForkStep, c_int)>,
}

/// The child's stack until it execs; it calls nothing deep.
const STACK_BYTES: usize = 64 * 1024;

/// Starts a process and returns once it runs its own program.
///
/// # Errors
/// The step that failed, with its cause. There is no process then.
pub(crate) fn spawn(spec: &Spec<'_>) -> Result<Started, SpawnError> {
    let mut order = Order {
        program: spec.program.as_ptr(),
        argv: pointers(spec.argv),
        envp: pointers(spec.envp),
        cwd: spec.cwd.as_raw_fd(),
        stdio: [spec.stdin.as_raw_fd(), spec.stdout.as_raw_fd(), spec.stderr.as_raw_fd()],
        umask: spec.umask,
        open_files: spec.open_files,
        tag: mark(spec.tag),
        limits: spec.limits,
        lock: spec.lock.map(|fd| fd.as_raw_fd()),
        second_lock: spec.second_lock.map(|fd| fd.as_raw_fd()),
        closing: if spec.close_first { 0 } else { libc::CLOSE_RANGE_CLOEXEC },
        // SAFETY: takes nothing and cannot fail.
        parent: unsafe { libc::getpid() },
        failed: None,
    };
    let mut stack = vec![0u128; STACK_BYTES / 16];
    let mut pidfd: RawFd = -1;
    let blocked = block_signals();
    let before = clock::ticks();
    // SAFETY: the stack is 16-byte aligned, ours, and outlives the child's use of it, as does `order`: CLONE_VFORK
    // holds this thread until the child has its own memory or is gone. The child only makes system calls. Signals are
    // blocked, so that no handler of ours runs in the child on shared memory.
    let in_cgroup = spec.cgroup.and_then(|cgroup| unsafe {
        clone::into_cgroup(child, &mut stack, (&raw mut order).cast::<c_void>(), &raw mut pidfd, cgroup)
    });
    let pid = in_cgroup.unwrap_or_else(|| {
        let top = stack.as_mut_ptr_range().end.cast::<c_void>();
        let flags = libc::CLONE_VM | libc::CLONE_VFORK | libc::CLONE_PIDFD | libc::SIGCHLD;
        // SAFETY: as above.
        unsafe { libc::clone(child, top, flags, (&raw mut order).cast::<c_void>(), &raw mut pidfd) }
    });
    let cloned = io::Error::last_os_error();
    let after = clock::ticks();
    restore_signals(&blocked);
    if pid < 0 {
        return Err(SpawnError { step: ForkStep::Clone, source: cloned });
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

fn block_signals() -> libc::sigset_t {
    // SAFETY: both sets are valid memory that the calls fill.
    unsafe {
        let mut all = std::mem::zeroed();
        let mut before = std::mem::zeroed();
        libc::sigfillset(&raw mut all);
        libc::pthread_sigmask(libc::SIG_SETMASK, &raw const all, &raw mut before);
        before
    }
}

fn restore_signals(before: &libc::sigset_t) {
    // SAFETY: a set that pthread_sigmask filled.
    unsafe { libc::pthread_sigmask(libc::SIG_SETMASK, std::ptr::from_ref(before), std::ptr::null_mut()) };
}

extern "C" fn child(order: *mut c_void) -> c_int {
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
unsafe fn become_worker(order: &Order) -> Result<(), ForkStep> {
    let check = |result: c_int, step| if result < 0 { Err(step) } else { Ok(()) };
    // SAFETY: the caller's promise; every call is a plain system call on valid arguments.
    unsafe {
        check(libc::setpgid(0, 0), ForkStep::Group)?;
        check(libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL), ForkStep::DeathSignal)?;
        if libc::getppid() != order.parent {
            return Err(ForkStep::Parent);
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
        // A hard limit below the tag leaves the process without one; its parents and its marker still
        // identify it.
        libc::setrlimit(libc::RLIMIT_LOCKS, &raw const order.tag);
        // Before its number is given to another descriptor.
        check(libc::fchdir(order.cwd), ForkStep::Chdir)?;
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
    Err(ForkStep::Exec)
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::alone::alone;
    use std::os::fd::AsFd;

    fn strings(texts: &[&str]) -> Vec<CString> {
        texts.iter().map(|text| CString::new(*text).unwrap()).collect()
    }

    fn run(program: &str, argv: &[&str]) -> Result<(i32, String), SpawnError> {
        run_with(program, argv, [None; 2], &[])
    }

    fn run_with(
        program: &str,
        argv: &[&str],
        [lock, second_lock]: [Option<BorrowedFd<'_>>; 2],
        limits: &[Limit],
    ) -> Result<(i32, String), SpawnError> {
        let null = std::fs::File::open("/dev/null").unwrap();
        let (read, write) = super::super::fds::pipe().unwrap();
        let cwd = std::fs::File::open("/").unwrap();
        let spec = Spec {
            program: &CString::new(program).unwrap(),
            argv: &strings(argv),
            envp: &strings(&["A=1"]),
            cwd: cwd.as_fd(),
            stdin: null.as_fd(),
            stdout: write.as_fd(),
            stderr: write.as_fd(),
            umask: 0o077,
            open_files: libc::rlimit { rlim_cur: 256, rlim_max: 256 },
            tag: Tag(77 << 22),
            limits,
            cgroup: None,
            lock,
            second_lock,
            close_first: true,
        };
        let started = spawn(&spec)?;
        // A child that has ended and was not reaped still has its line in the table.
        let line = std::fs::read_to_string(format!("/proc/{}/stat", started.id.pid)).unwrap();
        let told = line[line.rfind(')').unwrap()..].split(' ').nth(20).unwrap().to_owned();
        assert_eq!(told, started.id.start_time.to_string());
        drop(write);
        let output = io::read_to_string(std::fs::File::from(read)).unwrap();
        let mut status = 0;
        // SAFETY: our own child; writes one integer.
        assert_eq!(unsafe { libc::waitpid(started.id.pid, &raw mut status, 0) }, started.id.pid);
        Ok((status, output))
    }

    #[test]
    fn a_child_has_what_it_was_given_and_nothing_else() {
        let script = "umask; pwd; ulimit -n; echo $A; ls /proc/self/fd | wc -l; \
            grep -E '^Sig(Blk|Ign)' /proc/self/status; sed -n 's/^Max file locks *\\([0-9]*\\) .*/\\1/p' /proc/self/limits";
        let (status, output) = run("/bin/sh", &["sh", "-c", script]).unwrap();
        let lines: Vec<&str> = output.split_whitespace().collect();
        assert_eq!(status, 0, "{output}");
        assert_eq!(lines[..4], ["0077", "/", "256", "1"]);
        // 0, 1, 2 and the directory that ls reads; the shell's pipeline replaces, it does not add.
        assert_eq!(lines[4], "4");
        assert_eq!(lines[5..9], ["SigBlk:", "0000000000000000", "SigIgn:", "0000000000000000"]);
        assert_eq!(lines[9], (77u64 << 22).to_string());
    }

    #[test]
    fn a_lock_is_inherited_and_nothing_else() {
        let lock = std::fs::File::open("/dev/zero").unwrap();
        let one = [Some(lock.as_fd()), None];
        let (_, output) = run_with("/bin/ls", &["ls", "/proc/self/fd"], one, &[]).unwrap();
        assert_eq!(output.split_whitespace().collect::<Vec<_>>(), ["0", "1", "2", "3", "63"]);
        let (_, output) = run_with("/bin/sh", &["sh", "-c", "readlink /proc/self/fd/63"], one, &[]).unwrap();
        assert_eq!(output, "/dev/zero\n");
    }

    #[test]
    fn two_locks_are_inherited_whatever_numbers_they_had() {
        if !alone("sys::spawn::tests::two_locks_are_inherited_whatever_numbers_they_had") {
            return;
        }
        // Every number up to these is taken, so that the locks must be moved to their numbers.
        let mut files: Vec<_> = (0..80).map(|_| std::fs::File::open("/dev/zero").unwrap()).collect();
        let of_number = |files: &mut Vec<std::fs::File>, number: RawFd, path: &str| {
            let at = files.iter().position(|file| file.as_raw_fd() == number).unwrap();
            files.remove(at);
            let file = std::fs::File::open(path).unwrap();
            assert_eq!(file.as_raw_fd(), number);
            file
        };
        for (first, second) in [(62, 63), (63, 62), (62, 40), (40, 63), (40, 41)] {
            let lock = of_number(&mut files, first, "/dev/full");
            let other = of_number(&mut files, second, "/dev/null");
            let both = [Some(lock.as_fd()), Some(other.as_fd())];
            let script = "readlink /proc/self/fd/63 /proc/self/fd/62; ls /proc/self/fd";
            let (_, output) = run_with("/bin/sh", &["sh", "-c", script], both, &[]).unwrap();
            let told: Vec<&str> = output.split_whitespace().collect();
            let right = ["/dev/full", "/dev/null", "0", "1", "2", "3", "62", "63"];
            assert_eq!(told, right, "{first} {second}");
            drop((lock, other));
            files.extend((0..2).map(|_| std::fs::File::open("/dev/zero").unwrap()));
        }
    }

    /// Returns a program that ends at once, in no control group and without a lock.
    fn harmless<'a>(argv: &'a [CString], null: &'a std::fs::File, cwd: &'a std::fs::File) -> Spec<'a> {
        Spec {
            program: c"/bin/true",
            argv,
            envp: &[],
            cwd: cwd.as_fd(),
            stdin: null.as_fd(),
            stdout: null.as_fd(),
            stderr: null.as_fd(),
            umask: 0o077,
            open_files: libc::rlimit { rlim_cur: 256, rlim_max: 256 },
            tag: Tag(77 << 22),
            limits: &[],
            cgroup: None,
            lock: None,
            second_lock: None,
            close_first: false,
        }
    }

    #[test]
    fn a_lock_that_a_child_is_not_to_have_is_free_as_soon_as_it_is_let_go() {
        if !alone("sys::spawn::tests::a_lock_that_a_child_is_not_to_have_is_free_as_soon_as_it_is_let_go") {
            return;
        }
        let (null, cwd) = (std::fs::File::open("/dev/null").unwrap(), std::fs::File::open("/").unwrap());
        let argv = strings(&["true"]);
        let path = std::env::temp_dir().join(format!("gob-spawn-{}", std::process::id()));
        let open = || std::fs::File::create(&path).unwrap();
        let mut busy = 0;
        for lock in [None, Some(null.as_fd())].into_iter().cycle().take(100) {
            let of_another_graph = open();
            of_another_graph.try_lock().unwrap();
            let spec = Spec { tag: Tag(79 << 22), lock, close_first: true, ..harmless(&argv, &null, &cwd) };
            let started = spawn(&spec).unwrap();
            drop(of_another_graph);
            busy += u32::from(open().try_lock().is_err());
            let mut status = 0;
            // SAFETY: our own child; writes one integer.
            assert_eq!(unsafe { libc::waitpid(started.id.pid, &raw mut status, 0) }, started.id.pid);
        }
        std::fs::remove_file(path).unwrap();
        assert_eq!(busy, 0, "a child that runs its program had the lock {busy} times of 100");
    }

    #[test]
    fn a_place_that_is_no_control_group_is_done_without() {
        let (null, cwd) = (std::fs::File::open("/dev/null").unwrap(), std::fs::File::open("/").unwrap());
        let argv = strings(&["true"]);
        let spec = Spec { tag: Tag(78 << 22), cgroup: Some(null.as_fd()), ..harmless(&argv, &null, &cwd) };
        let started = spawn(&spec).unwrap();
        assert!(!started.in_cgroup);
        let mut status = 0;
        // SAFETY: our own child; writes one integer.
        assert_eq!(unsafe { libc::waitpid(started.id.pid, &raw mut status, 0) }, started.id.pid);
        assert_eq!(status, 0);
    }

    #[test]
    fn limits_are_set_or_the_start_fails() {
        for name in gob_config::kind::RLIMITS {
            assert!(Limit::new(name, 7).is_some(), "{name}");
        }
        assert_eq!(Limit::new("locks", 7), None, "that one is the tag");
        let limits = [Limit::new("nofile", 50).unwrap(), Limit::new("core", 4096).unwrap()];
        let script = "ulimit -Sn; ulimit -Hn; ulimit -Sc; ulimit -Hc";
        let (_, output) = run_with("/bin/sh", &["sh", "-c", script], [None; 2], &limits).unwrap();
        assert_eq!(output.split_whitespace().collect::<Vec<_>>(), ["50", "50", "8", "8"]);
        // More than the kernel can do, so that not even root may.
        let limits = [Limit::new("nofile", 1 << 40).unwrap()];
        let error = run_with("/bin/true", &["true"], [None; 2], &limits).unwrap_err();
        assert_eq!((error.step, error.source.raw_os_error()), (ForkStep::Limit("NOFILE"), Some(libc::EPERM)));
    }

    #[test]
    fn a_missing_program_is_an_error_with_its_step() {
        let error = run("/nonexistent/program", &["x"]).unwrap_err();
        assert_eq!((error.step, error.source.raw_os_error()), (ForkStep::Exec, Some(libc::ENOENT)));
    }
}
