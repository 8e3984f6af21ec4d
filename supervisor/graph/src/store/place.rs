//! The files at the paths of a graph.
//!
//! A file is examined through a descriptor that follows no link and touches nothing before it is opened or
//! changed: it must be a regular file of this user with one name.

use nix::libc;
use std::fs::{self, File, Metadata, OpenOptions, Permissions};
use std::io;
use std::os::fd::AsRawFd as _;
use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

/// Suffixes of SQLite for a database's log and the index of that log.
pub(super) const COMPANIONS: [&str; 2] = ["-wal", "-shm"];

/// The name of the graph's file in its directory.
pub(crate) const GRAPH_FILE: &str = "graph.sqlite";

/// The reason why a file at a path is not used.
#[derive(Debug, thiserror::Error)]
pub enum Unfit {
    /// The path is not a regular file.
    #[error("{path} is {kind}, not a file of the graph; it was not touched: move it away")]
    Kind {
        /// The path.
        path: PathBuf,
        /// The type of file.
        kind: &'static str,
    },
    /// The file belongs to another user.
    #[error(
        "{path} belongs to user {found}, this worker runs as user {ours}; it was not touched: \
         sudo chown {ours} {path}, or start as user {found}"
    )]
    Foreign {
        /// The path.
        path: PathBuf,
        /// The file's owner.
        found: u32,
        /// This user's id.
        ours: u32,
    },
    /// The file has several names.
    #[error(
        "{path} has {links} names (hard links), and SQLite would lose what is written by two of them; \
         it was not touched: cp it to a new file and mv that here, or remove the other names"
    )]
    Linked {
        /// The path.
        path: PathBuf,
        /// The number of names.
        links: u64,
    },
    /// The file can't be examined.
    #[error("cannot examine {path}: {source}")]
    Io {
        /// The path.
        path: PathBuf,
        /// The cause.
        source: io::Error,
    },
}

impl Unfit {
    /// Returns whether another file must take the place of the graph's before it can be served.
    pub(super) fn wants_another_file(&self) -> bool {
        match self {
            Self::Kind { path, .. } => path.file_name().is_some_and(|name| name == GRAPH_FILE),
            Self::Foreign { .. } | Self::Linked { .. } | Self::Io { .. } => false,
        }
    }
}

/// A regular file of this user with one name, held without being opened.
#[derive(Debug)]
pub(crate) struct Examined {
    /// Opened with `O_PATH`: closing it does not drop the locks that SQLite has on the file.
    pub(super) file: File,
    pub(super) found: Metadata,
}

impl Examined {
    /// Returns its size in bytes.
    pub(crate) fn len(&self) -> u64 {
        self.found.len()
    }

    /// Opens the very file that was examined.
    ///
    /// # Errors
    /// The error of the system.
    pub(crate) fn open(&self, options: &OpenOptions) -> io::Result<File> {
        options.open(through(&self.file)).map_err(|error| {
            // The file is there: it is held by a descriptor.
            let is_gone = error.kind() == io::ErrorKind::NotFound && !Path::new(DESCRIPTORS).exists();
            if is_gone { io::Error::new(error.kind(), NO_PROC) } else { error }
        })
    }

    /// Takes all rights on the file from other users.
    pub(super) fn make_private(&self) -> io::Result<()> {
        if self.found.mode() & 0o777 == 0o600 {
            return Ok(());
        }
        fs::set_permissions(through(&self.file), Permissions::from_mode(0o600))
    }
}

/// Examines the file at a path without changing anything; `None` where there is none.
///
/// # Errors
/// The reason why it can't be used.
pub(crate) fn examine(path: &Path) -> Result<Option<Examined>, Unfit> {
    let failed = |source| Unfit::Io { path: path.to_owned(), source };
    let mut options = OpenOptions::new();
    let opened = options.read(true).custom_flags(libc::O_PATH | libc::O_NOFOLLOW).open(path);
    let file = match opened {
        Ok(file) => file,
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(e) => return Err(failed(e)),
    };
    let found = file.metadata().map_err(failed)?;
    if let Some(kind) = unfit_kind(&found) {
        return Err(Unfit::Kind { path: path.to_owned(), kind });
    }
    refuse_foreign(path, &found)?;
    if found.nlink() > 1 {
        return Err(Unfit::Linked { path: path.to_owned(), links: found.nlink() });
    }
    Ok(Some(Examined { file, found }))
}

/// Refuses a directory of another user. A link to a directory is followed: a graph may lie on another disk.
///
/// # Errors
/// The reason why it can't be used.
pub(crate) fn examine_directory(path: &Path) -> Result<(), Unfit> {
    let found = fs::metadata(path).map_err(|source| Unfit::Io { path: path.to_owned(), source })?;
    refuse_foreign(path, &found)
}

fn refuse_foreign(path: &Path, found: &Metadata) -> Result<(), Unfit> {
    let ours = nix::unistd::geteuid().as_raw();
    if found.uid() == ours {
        return Ok(());
    }
    Err(Unfit::Foreign { path: path.to_owned(), found: found.uid(), ours })
}

/// Names the type of a file that is not a regular one.
pub(super) fn unfit_kind(found: &Metadata) -> Option<&'static str> {
    let kind = found.file_type();
    [
        (kind.is_file(), None),
        (kind.is_symlink(), Some("a symbolic link")),
        (kind.is_dir(), Some("a directory")),
        (kind.is_fifo(), Some("a named pipe")),
        (kind.is_socket(), Some("a socket")),
    ]
    .into_iter()
    .find_map(|(is, name)| is.then_some(name))
    .unwrap_or(Some("a device"))
}

/// Returns the path of a file that SQLite keeps beside a database.
pub(crate) fn beside(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    PathBuf::from(name)
}

/// Where the kernel shows a process its own descriptors.
const DESCRIPTORS: &str = "/proc/self/fd";
const NO_PROC: &str =
    "/proc is not mounted, and a file is opened by way of /proc/self/fd: mount -t proc proc /proc";

pub(super) fn through(file: &File) -> PathBuf {
    PathBuf::from(format!("{DESCRIPTORS}/{}", file.as_raw_fd()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::symlink;

    #[test]
    fn only_a_regular_file_with_one_name_is_fit() {
        let dir = tempfile::tempdir().unwrap();
        let at = |name: &str| dir.path().join(name);
        let said = |name: &str| examine(&at(name)).map(|found| found.is_some()).map_err(|e| e.to_string());
        assert_eq!(said("nothing"), Ok(false));
        fs::write(at("file"), "x").unwrap();
        assert_eq!(said("file"), Ok(true));
        symlink("file", at("link")).unwrap();
        symlink("nowhere", at("dangling")).unwrap();
        for link in ["link", "dangling"] {
            assert!(said(link).unwrap_err().contains("a symbolic link"));
        }
        fs::create_dir(at("dir")).unwrap();
        assert!(said("dir").unwrap_err().contains("a directory"));
        nix::unistd::mkfifo(&at("fifo"), nix::sys::stat::Mode::S_IRWXU).unwrap();
        assert!(said("fifo").unwrap_err().contains("a named pipe"));
        fs::hard_link(at("file"), at("other")).unwrap();
        assert!(said("file").unwrap_err().contains("2 names"));
    }
}
