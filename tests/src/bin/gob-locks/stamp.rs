//! The stamp of a holder: an independent witness of who holds the lock.
//!
//! It is a symbolic link to the holder's pid, as `tests/interop/file_lock.py` makes it. A link is made with its text in one step: a
//! holder that is killed leaves none without.

use gob_tests::process::can_act;
use std::fs;
use std::io::ErrorKind;
use std::os::unix::fs::symlink;
use std::path::Path;

/// Makes the stamp; the pid of a process that has one and may still act on it.
pub(crate) fn make(path: &Path) -> Result<(), i32> {
    loop {
        match symlink(std::process::id().to_string(), path) {
            Ok(()) => return Ok(()),
            Err(error) if error.kind() == ErrorKind::AlreadyExists => {}
            Err(error) => panic!("{}: {error}", path.display()),
        }
        let Ok(target) = fs::read_link(path) else { continue };
        let pid = target.to_str().and_then(|text| text.parse().ok()).expect("a stamp is a link to a pid");
        if can_act(pid) {
            return Err(pid);
        }
        fs::remove_file(path).unwrap_or_default();
    }
}

/// Removes it.
pub(crate) fn remove(path: &Path) {
    fs::remove_file(path).expect("the stamp is this process's");
}
