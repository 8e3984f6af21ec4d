//! The locks that prevent the start of a supervisor while its files are removed.

use gob_client::Dirs;
use std::fs::File;
use std::time::{Duration, Instant};

/// Time in which a supervisor that has said goodbye, and its keeper, let go of their locks.
const GOES: Duration = Duration::from_secs(2);
const PAUSE: Duration = Duration::from_millis(5);

/// Takes the locks that decide which supervisor lives, as far as their files exist: while they are held no
/// supervisor runs or starts. `None` when another process has one of them and keeps it.
pub(crate) fn keep_out(dirs: &Dirs) -> Option<Vec<File>> {
    let deadline = Instant::now() + GOES;
    loop {
        match take(dirs) {
            None if Instant::now() < deadline => std::thread::park_timeout(PAUSE),
            taken => return taken,
        }
    }
}

fn take(dirs: &Dirs) -> Option<Vec<File>> {
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
