//! Descriptors and limits of the supervisor itself.

use std::cell::RefCell;
use std::fs::File;
use std::io;
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, AsRawFd, FromRawFd, OwnedFd, RawFd};
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

/// Makes a pipe whose ends close on exec.
pub(crate) fn pipe() -> io::Result<(OwnedFd, OwnedFd)> {
    let mut ends = [0; 2];
    // SAFETY: writes two descriptors to valid memory.
    if unsafe { libc::pipe2(ends.as_mut_ptr(), libc::O_CLOEXEC) } != 0 {
        return Err(io::Error::last_os_error());
    }
    let [read, write] = ends;
    // SAFETY: both are new and ours.
    Ok(unsafe { (OwnedFd::from_raw_fd(read), OwnedFd::from_raw_fd(write)) })
}

/// Takes ownership of a descriptor that this process inherited under a given number.
///
/// # Errors
/// When no such descriptor is open.
pub(crate) fn inherited(fd: RawFd) -> io::Result<OwnedFd> {
    // SAFETY: only queries a number.
    if fd < 3 || unsafe { libc::fcntl(fd, libc::F_SETFD, libc::FD_CLOEXEC) } < 0 {
        return Err(io::Error::from_raw_os_error(libc::EBADF));
    }
    // SAFETY: it is open, and no other owner in this process knows its number.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

/// Has reads of a descriptor return at once.
pub(crate) fn do_not_block(fd: &OwnedFd) -> io::Result<()> {
    use nix::fcntl::{FcntlArg, OFlag, fcntl};
    let flags = OFlag::from_bits_truncate(fcntl(fd, FcntlArg::F_GETFL)?);
    fcntl(fd, FcntlArg::F_SETFL(flags | OFlag::O_NONBLOCK))?;
    Ok(())
}

/// Has a descriptor be closed on exec, or not.
///
/// # Errors
/// When it is not open.
pub(crate) fn close_on_exec(fd: RawFd, is_closed: bool) -> io::Result<()> {
    let flags = if is_closed { libc::FD_CLOEXEC } else { 0 };
    // SAFETY: sets a flag of a number.
    if unsafe { libc::fcntl(fd, libc::F_SETFD, flags) } < 0 {
        Err(io::Error::last_os_error())
    } else {
        Ok(())
    }
}

/// Closes all descriptors above the standard streams but these, which are in ascending order. Called while nothing else was opened.
///
/// # Errors
/// When the kernel can't.
pub(crate) fn close_all_but(kept: &[RawFd]) -> io::Result<()> {
    let mut first: libc::c_uint = 3;
    let ends = kept.iter().map(|fd| fd.unsigned_abs()).chain([libc::c_uint::MAX]);
    for end in ends {
        // SAFETY: no owner of any of these numbers exists: the program has just begun.
        if end > first && unsafe { libc::syscall(libc::SYS_close_range, first, end - 1, 0) } < 0 {
            return Err(io::Error::last_os_error());
        }
        first = end.saturating_add(1);
    }
    Ok(())
}

/// Makes a file in memory that holds these bytes for good.
///
/// # Errors
/// When there is no memory, or no descriptor.
pub(crate) fn in_memory(bytes: &[u8]) -> io::Result<File> {
    use nix::sys::memfd::{MFdFlags, memfd_create};
    let memory = memfd_create(c"gob-state", MFdFlags::MFD_CLOEXEC | MFdFlags::MFD_ALLOW_SEALING)?;
    let file = File::from(memory);
    fill(&file, bytes)?;
    Ok(file)
}

/// Has a file hold these bytes and nothing else, whatever its position is.
pub(crate) fn fill(file: &File, bytes: &[u8]) -> io::Result<()> {
    use std::os::unix::fs::FileExt;
    file.set_len(0)?;
    file.write_all_at(bytes, 0)
}

/// Lets nobody change a file in memory any more.
pub(crate) fn seal(file: &File) -> io::Result<()> {
    use nix::fcntl::{FcntlArg, SealFlag, fcntl};
    fcntl(file, FcntlArg::F_ADD_SEALS(SealFlag::all()))?;
    Ok(())
}

/// Closes descriptors on a thread of its own, since that takes some time.
pub(crate) fn close_aside(all: Vec<OwnedFd>) {
    // Without a thread they are closed here.
    drop(std::thread::Builder::new().name("closes".to_owned()).spawn(move || drop(all)));
}

/// Raises the soft limit of open files to the hard one and returns its former value.
pub(crate) fn raise_open_files() -> io::Result<libc::rlimit> {
    let mut limit = MaybeUninit::<libc::rlimit>::uninit();
    // SAFETY: writes one `rlimit` to valid memory.
    if unsafe { libc::getrlimit(libc::RLIMIT_NOFILE, limit.as_mut_ptr()) } != 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: the call succeeded and has filled it.
    let before = unsafe { limit.assume_init() };
    let raised = libc::rlimit { rlim_cur: before.rlim_max, rlim_max: before.rlim_max };
    // SAFETY: reads one `rlimit`.
    if unsafe { libc::setrlimit(libc::RLIMIT_NOFILE, &raw const raised) } != 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(before)
}

/// Descriptors for which the kernel's table has room from the begin on: those of some 250 workers, 8 KB.
const ROOM: RawFd = 1_024;

/// Has the kernel make room in the table of descriptors, while this process has a single thread. Once threads share the
/// table, the kernel waits for all processors before it lets go of a smaller one (`expand_files`), for some 10 ms.
pub(crate) fn make_room() {
    // SAFETY: a new number for standard input, or an error; closed at once, since no other owner knows the number.
    unsafe {
        let number = libc::fcntl(0, libc::F_DUPFD_CLOEXEC, ROOM - 1);
        // Without the room, later descriptors take longer.
        if number >= 0 {
            drop(OwnedFd::from_raw_fd(number));
        }
    }
}

/// Descriptors that are kept for operations that must not fail for lack of them.
#[derive(Debug)]
pub(crate) struct Spare(RefCell<Vec<File>>);

/// A scan of the process table takes three at once: the directory, the newest pid, and a file or a handle.
const SPARE: usize = 3;

impl Spare {
    /// Opens the spare descriptors.
    pub(crate) fn new() -> io::Result<Self> {
        let spare = Self(RefCell::default());
        spare.keep()?;
        Ok(spare)
    }

    fn keep(&self) -> io::Result<()> {
        let mut kept = self.0.borrow_mut();
        while kept.len() < SPARE {
            kept.push(File::open("/dev/null")?);
        }
        Ok(())
    }

    /// Calls `what`, and calls it again with the spare descriptors closed when there are no others.
    pub(crate) fn with_room<T>(&self, mut what: impl FnMut() -> io::Result<T>) -> io::Result<T> {
        // Those that another thread took the last time come back as soon as there are any.
        self.keep().unwrap_or_default();
        let mut done = what();
        if done.as_ref().err().and_then(io::Error::raw_os_error).is_some_and(is_lack) {
            self.0.borrow_mut().clear();
            done = what();
            self.keep().unwrap_or_default();
        }
        done
    }
}

/// Returns whether this process, or the system, has no descriptor to give.
fn is_lack(errno: i32) -> bool {
    errno == libc::EMFILE || errno == libc::ENFILE
}

/// Descriptors kept from runs and connections: for a last request, a scan of the process table, and files. A
/// quarter of all, and no more than this.
const RESERVED: u64 = 64;
/// Descriptors of a run: its process, two pipes, the lock of its graph, three log files, and its directory
/// for a moment.
const OF_A_RUN: u64 = 8;
/// Descriptors kept for connections, whatever workers take: an eighth, and no more than this.
const OF_CONNECTIONS: u64 = 256;

/// The supervisor's descriptors, and the shares kept of them.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Shares {
    limit: u64,
}

impl Shares {
    /// Returns the shares of this process as it is now.
    pub(crate) fn now() -> Self {
        Self { limit: open_files_limit() }
    }

    fn reserved(self) -> u64 {
        RESERVED.min(self.limit / 4)
    }

    /// Returns the number of connections that are always accepted.
    pub(crate) fn connections(self) -> u64 {
        OF_CONNECTIONS.min(self.limit / 8)
    }

    /// Returns the largest number of connections.
    pub(crate) fn most_connections(self) -> u64 {
        let most = (self.limit / 2).max(self.limit.saturating_sub(16 * 1024));
        most.saturating_sub(RESERVED).max(16).max(self.connections())
    }

    /// Returns whether one more run leaves the others their shares, with this many runs coming and
    /// connections open.
    pub(crate) fn has_room(self, coming: usize, connections: usize) -> bool {
        let whole = |count: usize| u64::try_from(count).unwrap_or(u64::MAX);
        let runs = whole(coming).saturating_add(1).saturating_mul(OF_A_RUN);
        let kept = self.reserved() + self.connections().saturating_sub(whole(connections));
        open_files().saturating_add(runs).saturating_add(kept) <= self.limit
    }

    /// Returns whether only the reserve is left.
    pub(crate) fn is_short(self) -> bool {
        open_files().saturating_add(self.reserved()) > self.limit
    }
}

/// Returns how many files this process has open.
fn open_files() -> u64 {
    // Since Linux 6.2 this is the directory's length.
    let told = std::fs::metadata("/proc/self/fd").map_or(0, |found| found.len());
    if told > 0 {
        return told;
    }
    std::fs::read_dir("/proc/self/fd").map_or(0, |entries| entries.count() as u64)
}

/// Returns how many files this process may have open.
pub(crate) fn open_files_limit() -> u64 {
    let mut limit = MaybeUninit::<libc::rlimit>::uninit();
    // SAFETY: writes one `rlimit` to valid memory.
    if unsafe { libc::getrlimit(libc::RLIMIT_NOFILE, limit.as_mut_ptr()) } != 0 {
        return 1024;
    }
    // SAFETY: the call succeeded and has filled it.
    unsafe { limit.assume_init() }.rlim_cur
}

/// Returns a descriptor that the runtime polls for data.
pub(crate) fn awaited(fd: OwnedFd) -> io::Result<AsyncFd<OwnedFd>> {
    // SAFETY: an `OwnedFd` stays open and the same while it exists, and only `AsyncFd` has this one.
    Ok(unsafe { AsyncFd::register_with_interest(fd, Interest::READABLE) }?)
}

/// Ends this process in order when its keeper dies, and makes a write to a full disk an error instead of a
/// signal.
///
/// # Errors
/// When the keeper is gone already.
pub(crate) fn bind_to_keeper(keeper: i32) -> io::Result<()> {
    // SAFETY: integers only; SIG_IGN is a valid disposition for SIGXFSZ.
    unsafe {
        libc::signal(libc::SIGXFSZ, libc::SIG_IGN);
        libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGTERM);
        libc::prctl(libc::PR_SET_CHILD_SUBREAPER, 1);
        if libc::getppid() != keeper {
            return Err(io::Error::from_raw_os_error(libc::ESRCH));
        }
    }
    Ok(())
}

/// Asks the keeper to go on with another program, and to answer on a descriptor of this process. Only for one that waits for the signal: by
/// default it is ignored.
///
/// # Errors
/// When the keeper is gone.
pub(crate) fn ask_keeper(keeper: i32, answer: &impl AsFd) -> io::Result<()> {
    let number = usize::try_from(answer.as_fd().as_raw_fd()).map_err(io::Error::other)?;
    let value = libc::sigval { sival_ptr: std::ptr::without_provenance_mut(number) };
    // SAFETY: this process's parent; numbers only.
    if unsafe { libc::sigqueue(keeper, libc::SIGURG, value) } < 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(())
}

/// Keeps all threads in one malloc arena: three threads that allocate little are not worth three.
pub(crate) fn share_one_arena() {
    #[cfg(target_env = "gnu")]
    // SAFETY: integers only; called before there is a second thread.
    unsafe {
        libc::mallopt(libc::M_ARENA_MAX, 1);
    }
}

/// Makes the allocator return free memory to the system from anywhere, not only from its end.
pub(crate) fn give_memory_back() {
    #[cfg(target_env = "gnu")]
    // SAFETY: an integer only; the allocator locks itself.
    unsafe {
        libc::malloc_trim(0);
    }
}

/// Returns the user that this process runs as.
pub(crate) fn uid() -> u32 {
    // SAFETY: takes nothing and cannot fail.
    unsafe { libc::geteuid() }
}
