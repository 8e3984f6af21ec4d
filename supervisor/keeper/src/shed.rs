//! Letting go of the caller: nothing of the first client may live on in the supervisor (ARCHITECTURE, "Bird's eye").
//!
//! The keeper gives up its caller's directory, umask, signal dispositions, open files and lowered limits;
//! [`crate::paths`] leaves the environment behind. `gobctl doctor` reports the rest, such as hard limits.

use crate::attributes;
use crate::error::Error;
use crate::sys;
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use nix::sys::stat::{Mode, umask};
use nix::unistd::{dup2_stderr, dup2_stdin, dup2_stdout};
use std::fs::OpenOptions;
use std::os::fd::BorrowedFd;

/// Soft limits that a shell may have lowered and that would end or cripple the supervisor. The others stay:
/// their soft limit differs from the hard one by default and for a reason (stack), or the supervisor itself
/// raises them (open files).
const RESTORED: [Resource; 7] = [
    Resource::RLIMIT_AS,
    Resource::RLIMIT_CPU,
    Resource::RLIMIT_DATA,
    Resource::RLIMIT_FSIZE,
    Resource::RLIMIT_LOCKS,
    Resource::RLIMIT_NPROC,
    Resource::RLIMIT_RSS,
];

/// Closes all descriptors but the standard streams and `kept`; detached, also the streams.
pub(crate) fn let_go_of_the_caller(detached: bool, kept: Vec<BorrowedFd<'_>>) -> Result<(), Error> {
    let failed = |operation| move |source| Error::Process { operation, source };
    sys::reset_signals().map_err(failed("reset signals"))?;
    sys::close_all_but_stdio_and(&kept).map_err(failed("close inherited files"))?;
    std::env::set_current_dir("/").map_err(failed("change to /"))?;
    umask(Mode::from_bits_truncate(0o077));
    for limit in RESTORED {
        if let Ok((soft, hard)) = getrlimit(limit)
            && soft != hard
        {
            setrlimit(limit, hard, hard).map_err(|e| failed("reset a limit")(e.into()))?;
        }
    }
    // Memory of the supervisor, and of workers whose kind sets no limit, must not reach the disk.
    if let Ok((_, hard)) = getrlimit(Resource::RLIMIT_CORE) {
        setrlimit(Resource::RLIMIT_CORE, 0, hard).map_err(|e| failed("reset a limit")(e.into()))?;
    }
    if detached {
        // A unit sets these attributes itself, so only a detached keeper sets them back.
        attributes::set_back();
        let null = OpenOptions::new().read(true).write(true).open("/dev/null");
        let null =
            null.map_err(|source| Error::Path { operation: "open", path: "/dev/null".into(), source })?;
        let done = dup2_stdin(&null).and_then(|()| dup2_stdout(&null)).and_then(|()| dup2_stderr(&null));
        done.map_err(|e| failed("leave the caller's standard streams")(e.into()))?;
    }
    Ok(())
}
