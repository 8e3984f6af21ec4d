//! The stamp of a holder: an independent witness of who holds the lock.

use gob_tests::process::can_act;
use std::fs::{self, OpenOptions};
use std::io::{ErrorKind, Write as _};
use std::path::Path;

/// Makes the stamp; the pid of a process that has one and may still act on it.
pub(crate) fn make(path: &Path) -> Result<(), i32> {
    loop {
        match OpenOptions::new().write(true).create_new(true).open(path) {
            Ok(mut file) => {
                file.write_all(std::process::id().to_string().as_bytes()).expect("the stamp is written");
                return Ok(());
            }
            Err(error) if error.kind() == ErrorKind::AlreadyExists => {}
            Err(error) => panic!("{}: {error}", path.display()),
        }
        // Its maker may have been killed before it wrote its pid, which takes some microseconds.
        let is_written = || fs::metadata(path).map_or(true, |found| found.len() > 0);
        if !gob_tests::wait::until(std::time::Duration::from_secs(5), is_written) {
            fs::remove_file(path).unwrap_or_default();
        }
        let Ok(text) = fs::read_to_string(path) else { continue };
        if let Some(pid) = text.parse().ok().filter(|pid| can_act(*pid)) {
            return Err(pid);
        }
        fs::remove_file(path).unwrap_or_default();
    }
}

/// Removes it.
pub(crate) fn remove(path: &Path) {
    fs::remove_file(path).expect("the stamp is this process's");
}
