//! Finds a worker's program and turns its arguments into the form of exec.

use gob_core::{Errno, ExecFlaw, SpawnFailure, SpawnPlan, SpawnStep};
use gob_host::script::{NoInterpreter, missing_interpreter};
use gob_host::siblings;
use std::ffi::CString;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

/// A start that failed at this step, for this reason.
pub(crate) fn failure(step: SpawnStep, error: &io::Error) -> SpawnFailure {
    SpawnFailure { step, errno: errno(error) }
}

/// An error's name and words.
pub(crate) fn errno(error: &io::Error) -> Errno {
    Errno { name: errno_name(error), text: error.to_string() }
}

/// A start that failed at this step without a refusal of the kernel; the errno is the one that fits.
pub(crate) fn because(step: SpawnStep, errno: nix::errno::Errno) -> SpawnFailure {
    failure(step, &errno.into())
}

fn nul(_: std::ffi::NulError) -> SpawnFailure {
    because(SpawnStep::Arguments, nix::errno::Errno::EINVAL)
}

/// Returns an errno's name, such as `EPERM`.
pub(crate) fn errno_name(error: &io::Error) -> String {
    let by_kind = || format!("{:?}", error.kind());
    error.raw_os_error().map_or_else(by_kind, |errno| format!("{:?}", nix::errno::Errno::from_raw(errno)))
}

pub(crate) fn c_strings(texts: impl Iterator<Item = String>) -> Result<Vec<CString>, SpawnFailure> {
    texts.map(|text| CString::new(text).map_err(nul)).collect()
}

/// Finds the program: as given when it is a path; gob's own programs beside the supervisor, then in
/// `GOB_LIBEXEC`; then on the worker's own PATH.
pub(crate) fn find(plan: &SpawnPlan) -> Result<CString, SpawnFailure> {
    let missing =
        |name: Option<&String>| because(SpawnStep::FindProgram(name.cloned()), nix::errno::Errno::ENOENT);
    let name = plan.command.first().ok_or_else(|| missing(None))?;
    if name.contains('/') {
        // An exec from a disk that hangs would block the supervisor; this call blocks first, off its thread.
        drop(std::fs::metadata(Path::new(&plan.cwd).join(name)));
        return CString::new(name.as_str()).map_err(nul);
    }
    let own = name.starts_with("gob-").then(siblings::own_places);
    let path = plan.env.get("PATH").unwrap_or("/usr/local/bin:/usr/bin:/bin");
    let found = own.into_iter().flatten().chain(std::env::split_paths(path)).find_map(|dir| {
        let candidate = dir.join(name);
        siblings::is_program(&candidate).then_some(candidate)
    });
    let found = found.ok_or_else(|| missing(Some(name)))?;
    CString::new(found.as_os_str().as_bytes()).map_err(nul)
}

/// Finds the flaw of an existing program that could not be executed, where its errno does not tell it: for a
/// script the errno is about the interpreter.
pub(crate) fn exec_flaw(program: &Path, error: &io::Error) -> Option<ExecFlaw> {
    let errno = error.raw_os_error()?;
    if errno == libc::ENOEXEC {
        return Some(ExecFlaw::Format);
    }
    if errno != libc::ENOENT && errno != libc::EACCES {
        return None;
    }
    let NoInterpreter { name: interpreter, crlf } = missing_interpreter(program)?;
    Some(ExecFlaw::Interpreter { interpreter, crlf })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn the_flaw_of_a_script_is_its_interpreter() {
        let path = std::env::temp_dir().join(format!("gob-script-{}", std::process::id()));
        let flaw = |text: &str, errno| {
            std::fs::write(&path, text).unwrap();
            std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o700)).unwrap();
            exec_flaw(&path, &io::Error::from_raw_os_error(errno))
        };
        let interpreter =
            |name: &str, crlf| Some(ExecFlaw::Interpreter { interpreter: name.to_owned(), crlf });
        assert_eq!(flaw("#!/bin/sh\r\necho\r\n", libc::ENOENT), interpreter("/bin/sh\r", true));
        assert_eq!(flaw("#! /no/such/python -u\n", libc::ENOENT), interpreter("/no/such/python", false));
        assert_eq!(flaw("#!/bin/sh\n", libc::ENOENT), None, "the program itself");
        assert_eq!(flaw("echo\n", libc::ENOEXEC), Some(ExecFlaw::Format), "without #!");
        assert_eq!(flaw("echo\n", libc::ENOENT), None);
        std::fs::remove_file(path).unwrap();
    }
}
