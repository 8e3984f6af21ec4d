//! Finds a worker's program and turns its arguments into what exec takes.

use crate::runs::SpawnFailure;
use gob_core::SpawnPlan;
use std::ffi::CString;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

impl SpawnFailure {
    pub(crate) fn io(operation: &str, error: &io::Error) -> Self {
        let errno = errno_name(error);
        Self { errno, message: format!("{operation}: {error}") }
    }

    pub(crate) fn nul(_: std::ffi::NulError) -> Self {
        Self { errno: "EINVAL".to_owned(), message: "an argument holds a NUL byte".to_owned() }
    }
}

/// An errno's name, such as `EPERM`.
pub(crate) fn errno_name(error: &io::Error) -> String {
    let by_kind = || format!("{:?}", error.kind());
    error.raw_os_error().map_or_else(by_kind, |errno| format!("{:?}", nix::errno::Errno::from_raw(errno)))
}

pub(crate) fn c_strings(texts: impl Iterator<Item = String>) -> Result<Vec<CString>, SpawnFailure> {
    texts.map(|text| CString::new(text).map_err(SpawnFailure::nul)).collect()
}

/// The program's path: as given when it is one; gob's own programs beside the supervisor, then in `GOB_LIBEXEC`; then
/// the worker's own PATH.
pub(crate) fn find(plan: &SpawnPlan) -> Result<CString, SpawnFailure> {
    let missing = || io::Error::from_raw_os_error(libc::ENOENT);
    let name = plan.command.first().ok_or_else(|| SpawnFailure::io("find program", &missing()))?;
    if name.contains('/') {
        // To exec what is on a disk that hangs would hold up the supervisor: it hangs here.
        drop(std::fs::metadata(Path::new(&plan.cwd).join(name)));
        return CString::new(name.as_str()).map_err(SpawnFailure::nul);
    }
    let beside = std::env::current_exe().ok().and_then(|exe| exe.parent().map(Path::to_owned));
    let own = name.starts_with("gob-").then(|| beside.into_iter().chain(libexec()));
    let path = plan.env.get("PATH").unwrap_or("/usr/local/bin:/usr/bin:/bin");
    let found = own.into_iter().flatten().chain(std::env::split_paths(path)).find_map(|dir| {
        let candidate = dir.join(name);
        is_program(&candidate).then_some(candidate)
    });
    let found = found
        // Not the PATH itself: this text is shown and logged, and nothing of an environment ever is.
        .ok_or_else(|| SpawnFailure {
            message: format!("{name} is not on PATH"),
            ..SpawnFailure::io("", &missing())
        })?;
    CString::new(found.as_os_str().as_bytes()).map_err(SpawnFailure::nul)
}

fn libexec() -> Option<PathBuf> {
    std::env::var_os("GOB_LIBEXEC").filter(|dir| !dir.is_empty()).map(PathBuf::from)
}

fn is_program(path: &Path) -> bool {
    use nix::unistd::{AccessFlags, access};
    path.is_file() && access(path, AccessFlags::X_OK).is_ok()
}
