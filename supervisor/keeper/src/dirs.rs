//! The two directories: made private where they are missing, refused untouched where they are not fit.

use crate::error::Error;
use nix::unistd::geteuid;
use std::fs::{DirBuilder, File, Metadata, OpenOptions};
use std::io::ErrorKind;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::Path;

/// Makes the state directory and what is missing above it, each 0700. An existing one must be the user's own, and
/// nobody else may write to it.
pub(crate) fn make_state_dir(path: &Path) -> Result<(), Error> {
    let made = DirBuilder::new().recursive(true).mode(0o700).create(path);
    let stat = made.and_then(|()| std::fs::metadata(path));
    let stat = stat.map_err(|source| Error::Path {
        operation: "create the state directory",
        path: path.to_owned(),
        source,
    })?;
    match flaw(&stat, 0o022) {
        None => Ok(()),
        Some(why) => Err(Error::Unfit { path: path.to_owned(), why }),
    }
}

/// Refuses a directory that would have to be made in one of another user, as under a sudo that keeps HOME: it would be this user's
/// alone, and so would what is missing above it.
pub(crate) fn check_owner(path: &Path) -> Result<(), Error> {
    let Some((above, stat)) = path.ancestors().find_map(|dir| Some((dir, std::fs::metadata(dir).ok()?)))
    else {
        return Ok(());
    };
    let me = geteuid().as_raw();
    // In the system's directories and in shared ones, such as /tmp, everybody may make his own.
    if above == path || stat.uid() == me || stat.uid() == 0 || stat.mode() & 0o1000 != 0 {
        return Ok(());
    }
    let why = format!("belongs to uid {}, gob makes no directory of uid {me} in it", stat.uid());
    Err(Error::Unfit { path: above.to_owned(), why })
}

/// Makes the runtime directory, 0700, and opens it. What is there already must be a directory of the user's own,
/// no symbolic link, without any bits for others (PROTOCOL 1).
pub(crate) fn open_runtime_dir(path: &Path) -> Result<File, Error> {
    let failed = |operation, source| Error::Path { operation, path: path.to_owned(), source };
    let unfit = |why| Error::Unfit { path: path.to_owned(), why };
    match DirBuilder::new().mode(0o700).create(path) {
        Ok(()) => {}
        Err(error) if error.kind() == ErrorKind::AlreadyExists => {}
        // Its parent belongs to the system or to whoever named it; a tree that appears there by itself hides a slip.
        Err(error) => return Err(failed("create the runtime directory", error)),
    }
    let flags = libc::O_DIRECTORY | libc::O_NOFOLLOW;
    let dir = OpenOptions::new().read(true).custom_flags(flags).open(path).map_err(|error| {
        let found = std::fs::symlink_metadata(path).map(|stat| stat.file_type());
        match found {
            Ok(kind) if kind.is_symlink() => {
                unfit("is a symbolic link, gob needs a directory there".to_owned())
            }
            Ok(kind) if !kind.is_dir() => unfit("is not a directory, gob needs one there".to_owned()),
            Ok(_) | Err(_) => failed("open the runtime directory", error),
        }
    })?;
    let stat = dir.metadata().map_err(|error| failed("read the runtime directory", error))?;
    match flaw(&stat, 0o077) {
        None => Ok(dir),
        Some(why) => Err(unfit(why)),
    }
}

/// What makes a directory unfit: another owner, or any of the `forbidden` mode bits.
fn flaw(stat: &Metadata, forbidden: u32) -> Option<String> {
    let (mode, uid) = (stat.mode() & 0o7777, geteuid().as_raw());
    if stat.uid() != uid {
        Some(format!("belongs to uid {}, gob needs a directory of uid {uid}", stat.uid()))
    } else if mode & forbidden != 0 {
        Some(format!("is open to others (mode {mode:04o}), gob needs mode 0700"))
    } else {
        None
    }
}
