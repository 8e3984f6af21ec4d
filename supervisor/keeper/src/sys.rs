//! System calls without a safe wrapper. All `unsafe` of the keeper is here.

use nix::unistd::{Pid, setsid};
use std::ffi::{CStr, CString, c_char, c_int};
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};
use std::time::Duration;
use std::{fmt, io, mem, ptr};

/// The end of a child.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ended {
    /// An exit with this code.
    Code(u8),
    /// A death by this signal.
    Signal(c_int),
}

impl Ended {
    /// Returns the code with which the keeper passes this end on, as shells do.
    pub(crate) fn exit_code(self) -> u8 {
        match self {
            Self::Code(code) => code,
            Self::Signal(signal) => u8::try_from(128 + signal).unwrap_or(u8::MAX),
        }
    }

    /// Returns whether somebody asked for this end: a supervisor that can't take the signal yet dies of it.
    pub(crate) fn was_asked_for(self) -> bool {
        matches!(self, Self::Signal(libc::SIGTERM | libc::SIGINT))
    }
}

impl fmt::Display for Ended {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Code(code) => write!(f, "exit code {code}"),
            Self::Signal(signal) => match nix::sys::signal::Signal::try_from(*signal) {
                Ok(name) => f.write_str(name.as_str()),
                Err(_) => write!(f, "signal {signal}"),
            },
        }
    }
}

/// The result of [`reap_any`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Reaped {
    /// A child that ended, now reaped.
    Child(Pid, Ended),
    /// All children live.
    NoneEnded,
    /// No child is left.
    NoneLeft,
}

/// The reason for a wake-up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Notice {
    /// SIGCHLD.
    Child,
    /// SIGTERM or SIGINT.
    Stop,
    /// SIGHUP.
    Reload,
    /// SIGURG of a process that names a descriptor of its own with it.
    Upgrade {
        /// The process.
        by: Pid,
        /// The descriptor.
        told: RawFd,
    },
}

/// The signals that the keeper waits for. SIGURG harms no keeper that knows nothing of it: by default it is ignored.
const AWAITED: [c_int; 5] = [libc::SIGCHLD, libc::SIGTERM, libc::SIGINT, libc::SIGHUP, libc::SIGURG];

/// Takes ownership of a descriptor that was named on the command line.
pub(crate) fn take_fd(number: RawFd) -> io::Result<OwnedFd> {
    // SAFETY: fcntl takes any number and answers EBADF for one that is not open.
    if number <= 2 || unsafe { libc::fcntl(number, libc::F_SETFD, libc::FD_CLOEXEC) } == -1 {
        return Err(io::ErrorKind::InvalidInput.into());
    }
    // SAFETY: it is open, inherited, and above the standard streams; this process has opened nothing yet, so
    // no other owner of the number exists.
    Ok(unsafe { OwnedFd::from_raw_fd(number) })
}

/// Forks. Returns true in the child, which leads a session of its own, and false in the parent.
pub(crate) fn fork_away() -> io::Result<bool> {
    // SAFETY: the keeper has one thread, so no lock can be held by another one in the child.
    match unsafe { libc::fork() } {
        -1 => Err(io::Error::last_os_error()),
        0 => {
            setsid()?;
            Ok(true)
        }
        _ => Ok(false),
    }
}

/// Sets every signal to its default disposition, but SIGPIPE, which would end the keeper when a client goes;
/// and empties the mask, but for the signals that [`wait_for_notice`] takes.
pub(crate) fn reset_signals() -> io::Result<()> {
    for signal in 1..=libc::SIGRTMAX() {
        let to = if signal == libc::SIGPIPE { libc::SIG_IGN } else { libc::SIG_DFL };
        // SAFETY: no handler is installed yet. KILL, STOP and the C library's own signals are refused with EINVAL.
        unsafe { libc::signal(signal, to) };
    }
    show_that_upgrades_are_known();
    let set = signal_set(&AWAITED);
    // SAFETY: the set is initialised, and the old one is not requested.
    if unsafe { libc::sigprocmask(libc::SIG_SETMASK, &raw const set, ptr::null_mut()) } == -1 {
        return Err(io::Error::last_os_error());
    }
    Ok(())
}

/// Installs a handler for SIGURG, by which the supervisor knows a keeper that waits for it (proc(5), `SigCgt` of `status`). It never runs:
/// the signal is blocked.
pub(crate) fn show_that_upgrades_are_known() {
    extern "C" fn nothing(_: c_int) {}
    let handler = nothing as extern "C" fn(c_int);
    // SAFETY: a handler that does nothing may interrupt anything.
    unsafe { libc::signal(libc::SIGURG, handler as libc::sighandler_t) };
}

/// Closes every descriptor above the standard streams but these.
pub(crate) fn close_all_but_stdio_and(kept: &[BorrowedFd<'_>]) -> io::Result<()> {
    let mut kept: Vec<u32> = kept.iter().map(|fd| fd.as_raw_fd().unsigned_abs()).collect();
    kept.sort_unstable();
    let mut first = 3;
    for end in kept.iter().copied().chain([u32::MAX]) {
        // The last range ends with the highest number; the others before a kept one.
        let last = if end == u32::MAX { end } else { end - 1 };
        // SAFETY: the keeper has opened nothing yet, so no owner of any of these is left in it.
        if first <= last && unsafe { libc::close_range(first, last, 0) } == -1 {
            return close_listed(&kept);
        }
        first = end.saturating_add(1);
    }
    Ok(())
}

/// As `close_range`, for kernels and sandboxes without it.
fn close_listed(kept: &[u32]) -> io::Result<()> {
    let mut open = Vec::new();
    for entry in std::fs::read_dir("/proc/self/fd")? {
        open.extend(entry?.file_name().to_str().and_then(|name| name.parse::<RawFd>().ok()));
    }
    for number in open.into_iter().filter(|n| *n > 2 && !kept.contains(&n.unsigned_abs())) {
        // SAFETY: as above; the number of the listing itself is closed already and answers EBADF.
        unsafe { libc::close(number) };
    }
    Ok(())
}

/// Reaps one child that has ended, if there is one. nix's version fails on children that were killed by a
/// real-time signal.
pub(crate) fn reap_any() -> Reaped {
    let mut status = 0;
    // SAFETY: `status` is writable.
    match unsafe { libc::waitpid(-1, &raw mut status, libc::WNOHANG) } {
        0 => Reaped::NoneEnded,
        -1 => Reaped::NoneLeft,
        pid if libc::WIFSIGNALED(status) => {
            Reaped::Child(Pid::from_raw(pid), Ended::Signal(libc::WTERMSIG(status)))
        }
        pid => {
            let code = u8::try_from(libc::WEXITSTATUS(status)).unwrap_or(u8::MAX);
            Reaped::Child(Pid::from_raw(pid), Ended::Code(code))
        }
    }
}

/// Sleeps until a child ends or a signal asks for something.
pub(crate) fn wait_for_notice() -> Notice {
    let set = signal_set(&AWAITED);
    loop {
        let mut info = no_info();
        // SAFETY: the set is initialised, and the details are writable.
        let signal = unsafe { libc::sigwaitinfo(&raw const set, &raw mut info) };
        if let Some(notice) = notice(signal, &info) {
            return notice;
        }
    }
}

/// As [`wait_for_notice`], for `limit` at most.
pub(crate) fn wait_for_notice_within(limit: Duration) -> Option<Notice> {
    wait_signal(&signal_set(&AWAITED), limit)
}

/// Takes the pending requests, if any, without sleeping; the ends of children stay queued.
pub(crate) fn pending_notices() -> impl Iterator<Item = Notice> {
    let set = signal_set(&[libc::SIGTERM, libc::SIGINT, libc::SIGHUP]);
    std::iter::from_fn(move || wait_signal(&set, Duration::ZERO))
}

/// Sleeps until a child ends, for `limit` at most.
pub(crate) fn wait_for_child_signal(limit: Duration) {
    wait_signal(&signal_set(&[libc::SIGCHLD]), limit);
}

fn notice(signal: c_int, info: &libc::siginfo_t) -> Option<Notice> {
    match signal {
        libc::SIGCHLD => Some(Notice::Child),
        libc::SIGTERM | libc::SIGINT => Some(Notice::Stop),
        libc::SIGHUP => Some(Notice::Reload),
        libc::SIGURG if info.si_code == libc::SI_QUEUE => {
            // SAFETY: sigqueue(3) fills in both.
            let (by, value) = unsafe { (info.si_pid(), info.si_value()) };
            let told = RawFd::try_from(value.sival_ptr.addr()).ok()?;
            Some(Notice::Upgrade { by: Pid::from_raw(by), told })
        }
        _ => None,
    }
}

fn no_info() -> libc::siginfo_t {
    // SAFETY: a plain C structure, of which any bits are valid.
    unsafe { mem::zeroed() }
}

fn wait_signal(set: &libc::sigset_t, limit: Duration) -> Option<Notice> {
    let limit = libc::timespec {
        tv_sec: libc::time_t::try_from(limit.as_secs()).unwrap_or(libc::time_t::MAX),
        tv_nsec: libc::c_long::from(limit.subsec_nanos().cast_signed()),
    };
    let mut info = no_info();
    // SAFETY: the set and the limit are initialised, and the details are writable.
    let signal = unsafe { libc::sigtimedwait(set, &raw mut info, &raw const limit) };
    notice(signal, &info)
}

/// Has a descriptor be closed on exec, or not.
pub(crate) fn close_on_exec(fd: BorrowedFd<'_>, is_closed: bool) {
    let flags = if is_closed { libc::FD_CLOEXEC } else { 0 };
    // SAFETY: sets a flag of a number; it can't fail on a descriptor that is open.
    unsafe { libc::fcntl(fd.as_raw_fd(), libc::F_SETFD, flags) };
}

fn signal_set(signals: &[c_int]) -> libc::sigset_t {
    // SAFETY: all zeroes are a valid set, and sigemptyset makes it the empty one wherever that differs.
    let mut set = unsafe { mem::zeroed() };
    // SAFETY: the set is writable.
    unsafe { libc::sigemptyset(&raw mut set) };
    for signal in signals {
        // SAFETY: the set is initialised.
        unsafe { libc::sigaddset(&raw mut set, *signal) };
    }
    set
}

/// Starts a program with exactly these arguments, this environment, the standard streams, and the `inherited`
/// descriptors under their own numbers; with default signals and an empty mask.
///
/// posix_spawn, because std's `Command` keeps the keeper's signal mask, or forks where it must not.
pub(crate) fn spawn(
    program: &CStr,
    words: &[CString],
    environment: &[CString],
    inherited: &[BorrowedFd<'_>],
) -> io::Result<Pid> {
    let mut plan = SpawnPlan::new()?;
    plan.with_default_signals()?;
    for fd in inherited {
        plan.inherit(*fd)?;
    }
    let (words, environment) = (null_ended(words), null_ended(environment));
    let mut pid = 0;
    // SAFETY: every pointer is to something initialised that outlives the call; both lists end with a null pointer
    // and are not written to, whatever their type says.
    let error = unsafe {
        libc::posix_spawn(
            &raw mut pid,
            program.as_ptr(),
            &raw const plan.actions,
            &raw const plan.attributes,
            words.as_ptr(),
            environment.as_ptr(),
        )
    };
    checked(error)?;
    Ok(Pid::from_raw(pid))
}

fn null_ended(list: &[CString]) -> Vec<*mut c_char> {
    list.iter().map(|word| word.as_ptr().cast_mut()).chain([ptr::null_mut()]).collect()
}

/// Turns the result of a posix_spawn function, which returns the error instead of setting errno.
fn checked(error: c_int) -> io::Result<()> {
    if error == 0 { Ok(()) } else { Err(io::Error::from_raw_os_error(error)) }
}

/// Attributes and file actions of a spawn; freed together.
struct SpawnPlan {
    attributes: libc::posix_spawnattr_t,
    actions: libc::posix_spawn_file_actions_t,
}

impl SpawnPlan {
    fn new() -> io::Result<Self> {
        // SAFETY: both are plain C structures that the calls below initialise before anything reads them.
        let mut plan = unsafe { mem::ManuallyDrop::new(mem::zeroed::<Self>()) };
        // SAFETY: it is writable.
        checked(unsafe { libc::posix_spawnattr_init(&raw mut plan.attributes) })?;
        // SAFETY: it is writable.
        let error = unsafe { libc::posix_spawn_file_actions_init(&raw mut plan.actions) };
        if error != 0 {
            // SAFETY: it was initialised, and is not used again.
            unsafe { libc::posix_spawnattr_destroy(&raw mut plan.attributes) };
        }
        checked(error)?;
        Ok(mem::ManuallyDrop::into_inner(plan))
    }

    fn with_default_signals(&mut self) -> io::Result<()> {
        let (none, reset) = (signal_set(&[]), signal_set(&[libc::SIGPIPE]));
        let flags = libc::POSIX_SPAWN_SETSIGMASK | libc::POSIX_SPAWN_SETSIGDEF;
        let flags = libc::c_short::try_from(flags).map_err(io::Error::other)?;
        let attributes = &raw mut self.attributes;
        // SAFETY: the attributes and the set are initialised.
        checked(unsafe { libc::posix_spawnattr_setsigmask(attributes, &raw const none) })?;
        // SAFETY: as above.
        checked(unsafe { libc::posix_spawnattr_setsigdefault(attributes, &raw const reset) })?;
        // SAFETY: as above.
        checked(unsafe { libc::posix_spawnattr_setflags(attributes, flags) })
    }

    /// A descriptor duplicated onto itself loses close-on-exec, in the child alone.
    fn inherit(&mut self, fd: BorrowedFd<'_>) -> io::Result<()> {
        let number = fd.as_raw_fd();
        // SAFETY: the actions are initialised.
        checked(unsafe { libc::posix_spawn_file_actions_adddup2(&raw mut self.actions, number, number) })
    }
}

impl Drop for SpawnPlan {
    fn drop(&mut self) {
        // SAFETY: `new` initialised it, and nothing uses it afterwards.
        unsafe { libc::posix_spawn_file_actions_destroy(&raw mut self.actions) };
        // SAFETY: as above.
        unsafe { libc::posix_spawnattr_destroy(&raw mut self.attributes) };
    }
}
