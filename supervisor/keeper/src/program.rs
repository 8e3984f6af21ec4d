//! Finding and starting the supervisor.

use crate::error::Error;
use crate::locks::Locks;
use crate::paths::{Paths, c_path};
use crate::ready::Ready;
use crate::sys;
use nix::unistd::{AccessFlags, Pid, access};
use std::ffi::CString;
use std::os::fd::{AsFd, AsRawFd};
use std::path::{Path, PathBuf};

const PROGRAM: &str = "gobd";

/// Starts the supervisor with the locks, and the first time with the ready pipe.
pub(crate) fn start(paths: &Paths, locks: &Locks, ready: Option<&Ready>) -> Result<Pid, Error> {
    // Looked for anew every time: a program that was replaced on disk is started as it now is.
    let program = find(paths)?;
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
    let words: Vec<CString> = words.into_iter().filter_map(|word| CString::new(word).ok()).collect();
    let failed = |source| Error::Path { operation: "start", path: program.clone(), source };
    let path = c_path(program.clone()).ok_or_else(|| failed(std::io::ErrorKind::InvalidInput.into()))?;
    sys::spawn(&path, &words, &paths.environment(), &inherited).map_err(failed)
}

/// Beside this program, then in GOB_LIBEXEC, then on PATH (CLI, "Where things are found").
fn find(paths: &Paths) -> Result<PathBuf, Error> {
    let own = std::env::current_exe();
    let own = own.map_err(|source| Error::Process { operation: "find the keeper's own program", source })?;
    let beside = own.parent().unwrap_or(Path::new("/"));
    let libexec = paths.var("GOB_LIBEXEC").map(PathBuf::from);
    let path = paths.var("PATH").unwrap_or_default();
    let mut places = std::iter::once(beside.to_owned()).chain(libexec).chain(std::env::split_paths(path));
    // A relative place would be looked up from `/`, where the keeper now stands, which nobody meant.
    let found = places.find_map(|dir| {
        let program = dir.join(PROGRAM);
        (program.is_absolute() && program.is_file()).then_some(program)
    });
    let program = found.ok_or_else(|| Error::NoProgram { beside: beside.to_owned() })?;
    match access(&program, AccessFlags::X_OK) {
        Ok(()) => Ok(program),
        Err(errno) => Err(Error::Path { operation: "execute", path: program, source: errno.into() }),
    }
}
