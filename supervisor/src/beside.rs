//! `.gob`, the directory beside the graphs of a root, and the files in it: locks and records.
//!
//! Other users may write to a root as well. So each step begins at an open directory, follows no link, and
//! uses a file only if it belongs to this user and is closed to changes by others.

use crate::files;
use nix::errno::Errno;
use nix::fcntl::{AtFlags, OFlag, open, openat};
use nix::sys::stat::{FileStat, Mode, SFlag, fstat, fstatat, mkdirat};
use nix::unistd::geteuid;
use std::fs::File;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;

/// The directory's name.
pub(crate) const BESIDE: &str = ".gob";

/// The directory of a root, open.
#[derive(Debug)]
pub(crate) struct Beside {
    dir: OwnedFd,
    path: String,
}

/// The reason why a file beside the graphs is not used.
#[derive(Debug, thiserror::Error)]
#[error("{operation} {path}: {source}")]
pub(crate) struct NotUsed {
    operation: &'static str,
    path: String,
    source: NotOurs,
}

/// The flaw of the file.
#[derive(Debug, thiserror::Error)]
enum NotOurs {
    #[error("{0}")]
    Failed(#[from] Errno),
    #[error("it is a symbolic link, and gob follows none there: remove it, or see who made it")]
    Link,
    #[error("it is not a {0}")]
    NoSuch(&'static str),
    #[error("it belongs to the uid {0}, and gob writes to nothing of another user's there")]
    Foreign(u32),
    #[error("others may write to it: chmod go-w")]
    Shared,
}

impl NotOurs {
    const fn errno(&self) -> Errno {
        match self {
            Self::Failed(errno) => *errno,
            Self::Link => Errno::ELOOP,
            Self::NoSuch(_) => Errno::ENOTDIR,
            Self::Foreign(_) | Self::Shared => Errno::EPERM,
        }
    }
}

impl NotUsed {
    /// Returns the kernel's errno, or the one that fits.
    pub(crate) const fn errno(&self) -> Errno {
        self.source.errno()
    }

    /// Returns whether the file is missing.
    pub(crate) const fn is_missing(&self) -> bool {
        matches!(self.source, NotOurs::Failed(Errno::ENOENT))
    }
}

impl From<NotUsed> for io::Error {
    fn from(failure: NotUsed) -> Self {
        Self::new(io::Error::from(failure.source.errno()).kind(), failure)
    }
}

impl Beside {
    /// Opens the directory of a root; makes it, and the root, where they are missing.
    pub(crate) fn make(root: &Path) -> Result<Self, NotUsed> {
        let path = root.join(BESIDE).to_string_lossy().into_owned();
        let failed = |source| NotUsed { operation: "make", path: path.clone(), source };
        let root_dir = match open_root(root) {
            Err(Errno::ENOENT) => {
                files::make_private_dirs(root).map_err(|e| failed(NotOurs::Failed(errno_of(&e))))?;
                open_root(root)
            }
            opened => opened,
        };
        let root_dir = root_dir.map_err(|errno| failed(errno.into()))?;
        match mkdirat(&root_dir, BESIDE, Mode::S_IRWXU) {
            Ok(()) | Err(Errno::EEXIST) => {}
            Err(errno) => return Err(failed(errno.into())),
        }
        Self::in_root(&root_dir, path)
    }

    /// Opens the existing directory of a root.
    pub(crate) fn open(root: &Path) -> Result<Self, NotUsed> {
        let path = root.join(BESIDE).to_string_lossy().into_owned();
        match open_root(root) {
            Ok(root_dir) => Self::in_root(&root_dir, path),
            Err(errno) => Err(NotUsed { operation: "open", path, source: errno.into() }),
        }
    }

    fn in_root(root_dir: &OwnedFd, path: String) -> Result<Self, NotUsed> {
        let flags = OFlag::O_RDONLY | OFlag::O_DIRECTORY | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
        let opened = openat(root_dir, BESIDE, flags, Mode::empty());
        let checked = opened.map_err(|errno| instead_of_dir(root_dir, errno)).and_then(|dir| {
            let found = fstat(&dir)?;
            is_ours(&found)?;
            Ok(dir)
        });
        match checked {
            Ok(dir) => Ok(Self { dir, path }),
            Err(source) => Err(NotUsed { operation: "open", path, source }),
        }
    }

    /// Opens a regular file of this user; with `O_CREAT` it is made 0600.
    pub(crate) fn file(&self, name: &str, flags: OFlag) -> Result<File, NotUsed> {
        // O_NONBLOCK for the same reason as O_NOFOLLOW: the path may be any kind of file.
        let flags = flags | OFlag::O_NOFOLLOW | OFlag::O_NOCTTY | OFlag::O_NONBLOCK | OFlag::O_CLOEXEC;
        let opened = openat(&self.dir, name, flags, Mode::S_IRUSR | Mode::S_IWUSR);
        let checked =
            opened.map_err(|errno| if errno == Errno::ELOOP { NotOurs::Link } else { errno.into() });
        let checked = checked.and_then(|file| {
            let found = fstat(&file)?;
            if SFlag::from_bits_truncate(found.st_mode) & SFlag::S_IFMT != SFlag::S_IFREG {
                return Err(NotOurs::NoSuch("regular file"));
            }
            is_ours(&found)?;
            Ok(File::from(file))
        });
        checked.map_err(|source| NotUsed { operation: "open", path: self.path_of(name), source })
    }

    /// Returns the directory itself.
    pub(crate) fn dir(&self) -> impl AsFd {
        &self.dir
    }

    /// Returns the path of a file in it, for people.
    pub(crate) fn path_of(&self, name: &str) -> String {
        format!("{}/{name}", self.path)
    }
}

/// The root itself is a real path, and its owner does not matter.
fn open_root(root: &Path) -> nix::Result<OwnedFd> {
    open(root, OFlag::O_PATH | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC, Mode::empty())
}

/// Returns the reason why the path could not be opened as a directory.
fn instead_of_dir(root_dir: &OwnedFd, errno: Errno) -> NotOurs {
    let found = fstatat(root_dir, BESIDE, AtFlags::AT_SYMLINK_NOFOLLOW);
    match found.map(|found| SFlag::from_bits_truncate(found.st_mode) & SFlag::S_IFMT) {
        Ok(SFlag::S_IFLNK) => NotOurs::Link,
        Ok(kind) if kind != SFlag::S_IFDIR => NotOurs::NoSuch("directory"),
        Ok(_) | Err(_) => errno.into(),
    }
}

fn is_ours(found: &FileStat) -> Result<(), NotOurs> {
    if found.st_uid != geteuid().as_raw() {
        return Err(NotOurs::Foreign(found.st_uid));
    }
    let shared = Mode::from_bits_truncate(found.st_mode) & (Mode::S_IWGRP | Mode::S_IWOTH);
    if shared.is_empty() { Ok(()) } else { Err(NotOurs::Shared) }
}

/// Returns whether an error says that the file is missing.
pub(crate) fn is_missing(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory)
}

fn errno_of(error: &io::Error) -> Errno {
    error.raw_os_error().map_or(Errno::EIO, Errno::from_raw)
}
