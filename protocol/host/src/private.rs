//! Rules for directories that gob may use: this user's own, and closed to others (PROTOCOL 1).

use std::fmt;
use std::fs::Metadata;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// Bits that let others into a directory. The runtime directory has none of them.
pub const ENTER: u32 = 0o077;
/// Bits that let others change a directory. The state directory has none of them.
pub const CHANGE: u32 = 0o022;

/// A reason why a file is unfit to be one of gob's directories. Displays as the end of a sentence that begins
/// with the path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Flaw {
    /// A symbolic link where only a real directory will do.
    Link,
    /// Something else than a directory.
    NotDirectory,
    /// A directory of another user.
    Owner {
        /// The owner.
        owner: u32,
        /// This user's id.
        me: u32,
    },
    /// Others have rights that they must not have.
    Open {
        /// The permission bits.
        mode: u32,
        /// The bits that must not be set: [`ENTER`] or [`CHANGE`].
        forbidden: u32,
    },
}

impl fmt::Display for Flaw {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::Link => write!(f, "is a symbolic link; gob uses only a real directory"),
            Self::NotDirectory => write!(f, "is not a directory"),
            Self::Owner { owner, me } => write!(f, "belongs to uid {owner}, not to you (uid {me})"),
            Self::Open { mode, forbidden: CHANGE } => {
                write!(f, "may be changed by others (mode {mode:04o}); chmod go-w would do")
            }
            Self::Open { mode, .. } => {
                write!(f, "may be entered by others (mode {mode:04o}); it has to be 0700")
            }
        }
    }
}

/// Judges the metadata of a path; `forbidden` are permission bits.
#[must_use]
pub fn flaw(found: &Metadata, forbidden: u32) -> Option<Flaw> {
    let (owner, me, mode) = (found.uid(), me(), found.mode() & 0o7777);
    if found.is_symlink() {
        Some(Flaw::Link)
    } else if !found.is_dir() {
        Some(Flaw::NotDirectory)
    } else if owner != me {
        Some(Flaw::Owner { owner, me })
    } else if mode & forbidden != 0 {
        Some(Flaw::Open { mode, forbidden })
    } else {
        None
    }
}

/// A directory of another user in which one of gob's would have to be made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stranger {
    /// The nearest existing directory above the path.
    pub above: PathBuf,
    /// The owner of `above`.
    pub owner: u32,
}

/// Returns the directory of another user in which `path` would have to be made, as under a sudo that keeps
/// HOME: the new directory would be this user's alone, and so would all missing parents.
#[must_use]
pub fn stranger_above(path: &Path) -> Option<Stranger> {
    let (above, found) = path.ancestors().find_map(|dir| Some((dir, std::fs::metadata(dir).ok()?)))?;
    // Every user may make files in the system's directories and in shared ones such as /tmp.
    let may_make = above == path || found.uid() == me() || found.uid() == 0 || found.mode() & 0o1000 != 0;
    (!may_make).then(|| Stranger { above: above.to_owned(), owner: found.uid() })
}

/// Returns the effective user.
#[must_use]
pub fn me() -> u32 {
    nix::unistd::geteuid().as_raw()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn an_own_and_closed_directory_has_no_flaw() {
        let base = tempfile::tempdir().unwrap();
        let path = |name: &str| base.path().join(name);
        fs::create_dir(path("dir")).unwrap();
        fs::write(path("file"), "").unwrap();
        std::os::unix::fs::symlink(path("dir"), path("link")).unwrap();
        let judge = |name: &str, mode: u32, forbidden: u32| {
            if name == "dir" {
                fs::set_permissions(path(name), fs::Permissions::from_mode(mode)).unwrap();
            }
            flaw(&fs::symlink_metadata(path(name)).unwrap(), forbidden)
        };
        assert_eq!(judge("link", 0, ENTER), Some(Flaw::Link));
        assert_eq!(judge("file", 0, ENTER), Some(Flaw::NotDirectory));
        assert_eq!(judge("dir", 0o700, ENTER), None);
        assert_eq!(judge("dir", 0o755, ENTER), Some(Flaw::Open { mode: 0o755, forbidden: ENTER }));
        assert_eq!(judge("dir", 0o755, CHANGE), None);
        assert_eq!(judge("dir", 0o1777, CHANGE), Some(Flaw::Open { mode: 0o1777, forbidden: CHANGE }));
        assert_eq!(stranger_above(&path("dir/a/b")), None);
        assert_eq!(Flaw::Owner { owner: 7, me: 8 }.to_string(), "belongs to uid 7, not to you (uid 8)");
    }
}
