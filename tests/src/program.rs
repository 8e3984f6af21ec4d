//! Programs that tests make and have run.
//!
//! A child of their own writes them. A test that wrote one itself would hold it open for writing at the moment at which
//! another test, in another thread, starts a child: that one has the file open until its exec, and to run
//! the program meanwhile is refused (ETXTBSY).

use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};

/// Writes a program with these permissions; no process has it open for writing when this returns.
pub fn write(path: &Path, content: impl AsRef<[u8]>, mode: u32) {
    let mut cat = shell("cat > \"$1\"", mode).arg(path).stdin(Stdio::piped()).spawn().expect("sh");
    // Dropped after the last byte, so that the file ends there.
    cat.stdin.take().expect("a pipe").write_all(content.as_ref()).expect("cat reads all");
    assert!(cat.wait().expect("a child").success(), "{} can't be written", path.display());
}

/// Copies a program, with these permissions; no process has it open for writing when this returns.
pub fn copy(from: &Path, to: &Path, mode: u32) {
    let copied = shell("cp -- \"$2\" \"$1\"", mode).arg(to).arg(from).status().expect("sh");
    assert!(copied.success(), "{} can't be copied to {}", from.display(), to.display());
}

/// A shell that makes the file that its first argument will name, and sets its permissions.
fn shell(script: &str, mode: u32) -> Command {
    let mut sh = Command::new("/bin/sh");
    sh.args(["-c", &format!("{script} && chmod {mode:o} \"$1\""), "sh"]);
    sh
}
