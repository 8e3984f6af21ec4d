//! The locks that prevent the start of a supervisor while its files are removed.

use gob_client::Dirs;
use std::fs::File;

/// Takes the locks that decide which supervisor lives, as far as their files exist: while they are held no
/// supervisor runs or starts. `None` when another process has one of them.
pub(crate) fn keep_out(dirs: &Dirs) -> Option<Vec<File>> {
    let mut locks = Vec::new();
    for path in [dirs.lock_file(), dirs.runtime.clone(), dirs.runtime.join("start.lock")] {
        match File::open(&path) {
            Ok(file) => {
                file.try_lock().ok()?;
                locks.push(file);
            }
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
            Err(_) => return None,
        }
    }
    Some(locks)
}
