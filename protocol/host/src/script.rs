//! Scripts whose first line names no program: the kernel's errno is then about the interpreter, and not about the script.

use crate::siblings::is_program;
use nix::fcntl::OFlag;
use std::fs::OpenOptions;
use std::io::Read;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

/// Longest first line of a script that the kernel reads.
const FIRST_LINE_BYTES: u64 = 256;

/// The interpreter of a script, which is no program that can be executed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NoInterpreter {
    /// Its name in the first line.
    pub name: String,
    /// The line ends in CR, which is part of the name.
    pub crlf: bool,
}

/// Returns the interpreter that a script names, if it can't be executed. `None` for all files but such scripts.
#[must_use]
pub fn missing_interpreter(program: &Path) -> Option<NoInterpreter> {
    let mut head = Vec::new();
    let file = OpenOptions::new().read(true).custom_flags(OFlag::O_NONBLOCK.bits()).open(program).ok()?;
    file.take(FIRST_LINE_BYTES).read_to_end(&mut head).ok()?;
    let line = head.strip_prefix(b"#!")?.split(|byte| *byte == b'\n').next()?;
    let line = String::from_utf8_lossy(line);
    let name = line.split([' ', '\t']).find(|word| !word.is_empty())?;
    (!is_program(Path::new(name)))
        .then(|| NoInterpreter { name: name.to_owned(), crlf: line.ends_with('\r') })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_script_without_its_interpreter_lacks_one() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("script");
        let lacks = |text: &str| {
            std::fs::write(&path, text).unwrap();
            missing_interpreter(&path).map(|none| (none.name, none.crlf))
        };
        assert_eq!(lacks("#!/bin/sh\r\necho\r\n"), Some(("/bin/sh\r".to_owned(), true)));
        assert_eq!(lacks("#! /no/such/python -u\n"), Some(("/no/such/python".to_owned(), false)));
        for text in ["#!/bin/sh\n", "#!\n", "echo\n", ""] {
            assert_eq!(lacks(text), None, "{text:?}");
        }
        assert_eq!(missing_interpreter(&dir.path().join("none")), None);
    }
}
