//! Finding and starting the supervisor.

use crate::error::Error;
use crate::locks::Locks;
use crate::paths::{Paths, c_path};
use crate::ready::Ready;
use crate::sys;
use gob_host::siblings;
use nix::unistd::Pid;
use std::ffi::CString;
use std::io::ErrorKind;
use std::os::fd::{AsFd, AsRawFd};
use std::os::unix::net::UnixListener;
use std::path::PathBuf;

const PROGRAM: &str = "gobd";

/// Starts the supervisor with the locks, the first time with the ready pipe, and with a service manager's socket if there is one.
pub(crate) fn start(
    paths: &Paths,
    locks: &Locks,
    ready: Option<&Ready>,
    listener: Option<&UnixListener>,
) -> Result<Pid, Error> {
    // Found anew for every start: a program that was replaced on disk is started in its new form.
    let program = find()?;
    let mut words = vec![
        PROGRAM.to_owned(),
        "--lock-fd".to_owned(),
        locks.state.as_raw_fd().to_string(),
        "--runtime-fd".to_owned(),
        locks.runtime.as_raw_fd().to_string(),
        "--keeper-pid".to_owned(),
        std::process::id().to_string(),
    ];
    let mut inherited = vec![locks.state.as_fd(), locks.runtime.as_fd()];
    if let Some(ready) = ready {
        words.extend(["--ready-fd".to_owned(), ready.as_fd().as_raw_fd().to_string()]);
        inherited.push(ready.as_fd());
    }
    if let Some(listener) = listener {
        words.extend(["--listen-fd".to_owned(), listener.as_raw_fd().to_string()]);
        inherited.push(listener.as_fd());
    }
    let words: Vec<CString> = words.into_iter().filter_map(|word| CString::new(word).ok()).collect();
    let failed = |source| Error::Path { operation: "start", path: program.clone(), source };
    let path = c_path(program.clone()).ok_or_else(|| failed(ErrorKind::InvalidInput.into()))?;
    sys::spawn(&path, &words, &paths.environment(), &inherited).map_err(failed)
}

fn find() -> Result<PathBuf, Error> {
    siblings::find(PROGRAM).map_err(|looked| {
        // A program that exists and may not be executed is the intended one.
        match looked.iter().map(|dir| dir.join(PROGRAM)).find(|program| program.is_file()) {
            Some(path) => Error::Path {
                operation: "execute",
                path,
                source: std::io::Error::from_raw_os_error(libc::EACCES),
            },
            None => Error::NoProgram { beside: looked.into_iter().next().unwrap_or_default() },
        }
    })
}
