//! The two directories made again, by the same rules by which the keeper makes them: what somebody else put in their
//! place is refused and not touched.

use crate::files;
use crate::sys::fds;
use std::fs::{self, DirBuilder, File, Metadata, OpenOptions};
use std::io;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::Path;

/// Makes the state directory with whatever is missing above it; true when it was not there.
pub(super) fn make_state(path: &Path) -> io::Result<bool> {
    let is_new = match fs::metadata(path) {
        Ok(found) => return flaw(&found, 0o022).map_or(Ok(false), Err),
        Err(error) if error.kind() == io::ErrorKind::NotFound => true,
        Err(error) => return Err(error),
    };
    files::make_private_dirs(path)?;
    Ok(is_new)
}

/// Opens the runtime directory, made if it is not there. Its parent belongs to the system and is not made.
pub(super) fn open_runtime(path: &Path) -> io::Result<File> {
    match DirBuilder::new().mode(0o700).create(path) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(error),
        Ok(()) | Err(_) => {}
    }
    let flags = libc::O_DIRECTORY | libc::O_NOFOLLOW;
    let dir = OpenOptions::new().read(true).custom_flags(flags).open(path)?;
    flaw(&dir.metadata()?, 0o077).map_or(Ok(dir), Err)
}

/// What makes a directory unfit: another owner, or any of the `forbidden` mode bits.
fn flaw(found: &Metadata, forbidden: u32) -> Option<io::Error> {
    let (mode, uid) = (found.mode() & 0o7777, found.uid());
    if uid != fds::uid() {
        Some(io::Error::other(format!("it belongs to uid {uid}")))
    } else if mode & forbidden != 0 {
        Some(io::Error::other(format!("it is open to others (mode {mode:04o})")))
    } else {
        None
    }
}
