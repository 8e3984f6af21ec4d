//! Finds a worker's program and turns its arguments into the form of exec.

use crate::runs::SpawnFailure;
use gob_core::{INTERPRETER, SpawnPlan};
use gob_host::siblings;
use std::ffi::CString;
use std::fs::OpenOptions;
use std::io::{self, Read};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

impl SpawnFailure {
    pub(crate) fn io(operation: &str, error: &io::Error) -> Self {
        let errno = errno_name(error);
        Self { errno, message: format!("{operation}: {error}") }
    }

    pub(crate) fn nul(_: std::ffi::NulError) -> Self {
        Self { errno: "EINVAL".to_owned(), message: "an argument holds a NUL byte".to_owned() }
    }
}

/// Returns an errno's name, such as `EPERM`.
pub(crate) fn errno_name(error: &io::Error) -> String {
    let by_kind = || format!("{:?}", error.kind());
    error.raw_os_error().map_or_else(by_kind, |errno| format!("{:?}", nix::errno::Errno::from_raw(errno)))
}

pub(crate) fn c_strings(texts: impl Iterator<Item = String>) -> Result<Vec<CString>, SpawnFailure> {
    texts.map(|text| CString::new(text).map_err(SpawnFailure::nul)).collect()
}

/// Finds the program: as given when it is a path; gob's own programs beside the supervisor, then in
/// `GOB_LIBEXEC`; then on the worker's own PATH.
pub(crate) fn find(plan: &SpawnPlan) -> Result<CString, SpawnFailure> {
    let missing = || io::Error::from_raw_os_error(libc::ENOENT);
    let name = plan.command.first().ok_or_else(|| SpawnFailure::io("find program", &missing()))?;
    if name.contains('/') {
        // An exec from a disk that hangs would block the supervisor; this call blocks first, off its thread.
        drop(std::fs::metadata(Path::new(&plan.cwd).join(name)));
        return CString::new(name.as_str()).map_err(SpawnFailure::nul);
    }
    let own = name.starts_with("gob-").then(siblings::own_places);
    let path = plan.env.get("PATH").unwrap_or("/usr/local/bin:/usr/bin:/bin");
    let found = own.into_iter().flatten().chain(std::env::split_paths(path)).find_map(|dir| {
        let candidate = dir.join(name);
        siblings::is_program(&candidate).then_some(candidate)
    });
    let found = found
        // The PATH itself is left out: this text is shown and logged, and nothing of an environment ever is.
        .ok_or_else(|| SpawnFailure {
            message: format!("{name} is not on PATH"),
            ..SpawnFailure::io("", &missing())
        })?;
    CString::new(found.as_os_str().as_bytes()).map_err(SpawnFailure::nul)
}

/// Longest first line of a script that the kernel reads.
const FIRST_LINE_BYTES: u64 = 256;

/// Explains why an existing program could not be executed, where its errno does not: for a script the errno
/// is about the interpreter.
pub(crate) fn why_not_executed(program: &Path, error: &io::Error) -> Option<String> {
    let errno = error.raw_os_error()?;
    if errno == libc::ENOEXEC {
        return Some(
            "it is neither a program of this machine nor a script with #! (Exec format error)".to_owned(),
        );
    }
    if errno != libc::ENOENT && errno != libc::EACCES {
        return None;
    }
    let mut head = Vec::new();
    let file = OpenOptions::new().read(true).custom_flags(libc::O_NONBLOCK).open(program).ok()?;
    file.take(FIRST_LINE_BYTES).read_to_end(&mut head).ok()?;
    let line = head.strip_prefix(b"#!")?.split(|byte| *byte == b'\n').next()?;
    let line = String::from_utf8_lossy(line);
    let interpreter = line.split([' ', '\t']).find(|word| !word.is_empty())?;
    if siblings::is_program(Path::new(interpreter)) {
        return None;
    }
    let crlf = if line.ends_with('\r') { "; its lines end in CRLF" } else { "" };
    Some(format!("its {INTERPRETER} {interpreter:?} is no program that can be executed{crlf} ({error})"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn a_script_that_could_not_be_executed_names_its_interpreter() {
        let path = std::env::temp_dir().join(format!("gob-script-{}", std::process::id()));
        let why = |text: &str, errno| {
            std::fs::write(&path, text).unwrap();
            std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o700)).unwrap();
            why_not_executed(&path, &io::Error::from_raw_os_error(errno)).unwrap_or_default()
        };
        let crlf = why("#!/bin/sh\r\necho\r\n", libc::ENOENT);
        assert!(crlf.contains("interpreter \"/bin/sh\\r\"") && crlf.contains("CRLF"), "{crlf}");
        let missing = why("#! /no/such/python -u\n", libc::ENOENT);
        assert!(
            missing.contains("interpreter \"/no/such/python\"") && !missing.contains("CRLF"),
            "{missing}"
        );
        assert_eq!(why("#!/bin/sh\n", libc::ENOENT), "", "the program itself");
        assert!(why("echo\n", libc::ENOEXEC).contains("neither a program"), "without #!");
        assert_eq!(why("echo\n", libc::ENOENT), "");
        std::fs::remove_file(&path).unwrap();
    }
}
