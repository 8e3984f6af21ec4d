//! The store's files, and their fitness.
//!
//! A file is examined through a descriptor that follows no link and touches nothing before SQLite opens it:
//! it must be a regular file of this user with one name. Closing such a descriptor drops none of the locks
//! that SQLite has on the file.

use crate::error::StoreError;
use nix::libc;
use std::ffi::OsStr;
use std::fs::{self, File, Metadata, OpenOptions};
use std::io::{self, Read as _};
use std::os::fd::AsRawFd as _;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

/// The store's name in the state directory.
pub const FILE: &str = "store.sqlite3";

/// Suffixes of SQLite for a database's log and the index of that log.
pub(crate) const COMPANIONS: [&str; 2] = ["-wal", "-shm"];
/// Suffix of SQLite for the journal of a database without a log.
pub(crate) const JOURNAL: &str = "-journal";
/// Suffix of an empty file beside the store, which says that it has, or had, a queue.
pub(crate) const QUEUE: &str = "-queue";
/// Suffix of a new file that is whole, and has not got its name yet.
pub(crate) const NEW: &str = "-new";
/// Suffix of a new file that is not whole yet.
pub(crate) const MAKING: &str = "-making";
/// Beginning of the suffix of a damaged file.
pub(crate) const DAMAGED: &str = ".damaged-";
/// Beginning of the suffix of a copy from before a migration.
pub(crate) const COPY: &str = ".v";

/// Bytes of marks at the beginning of a database.
const HEADER_BYTES: usize = 100;

/// Returns whether a name in the state directory is one of the store's files: the store, its log, copies from
/// before migrations, and damaged ones that were moved aside.
#[must_use]
pub fn is_own_file(name: &OsStr) -> bool {
    let Some(suffix) = name.as_bytes().strip_prefix(FILE.as_bytes()) else { return false };
    let [log, index] = COMPANIONS;
    let one_of = ["", log, index, JOURNAL, QUEUE, NEW, MAKING, "-making-journal"];
    one_of.iter().any(|known| known.as_bytes() == suffix)
        || suffix.starts_with(DAMAGED.as_bytes())
        || suffix.starts_with(COPY.as_bytes())
}

/// Returns whether the store of a state directory may have jobs of a queue, so that somebody has to open it.
#[must_use]
pub fn has_queue(state_dir: &Path) -> bool {
    state_dir.join(FILE).exists() && state_dir.join(format!("{FILE}{QUEUE}")).exists()
}

/// Notes beside the store that it has a queue.
///
/// # Errors
/// The note can't be made.
#[cfg(feature = "write")]
pub(crate) fn note_queue(store: &Path) -> io::Result<()> {
    let mut made = OpenOptions::new();
    made.write(true).create(true).mode(0o600).custom_flags(libc::O_NOFOLLOW);
    made.open(beside(store, QUEUE)).map(drop)
}

/// The reason why a file at a path is not used.
#[derive(Debug, thiserror::Error)]
pub enum Unfit {
    /// The path is not a regular file.
    #[error("{path} is {kind}, not gob's history; it was not touched: move it away")]
    Kind {
        /// The path.
        path: PathBuf,
        /// The type of file.
        kind: &'static str,
    },
    /// The file belongs to another user.
    #[error(
        "{path} belongs to uid {found}, not to you (uid {ours}); it was not touched: chown it, or move it away"
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
        "{path} has {links} names (hard links), and SQLite would lose what is written by two of them; it was not touched: remove the other names"
    )]
    Linked {
        /// The path.
        path: PathBuf,
        /// The number of names.
        links: u64,
    },
}

/// A regular file of this user with one name, held without being opened, so that no other file can get its
/// inode.
#[derive(Debug)]
pub(crate) struct Held {
    file: File,
    found: Metadata,
}

impl Held {
    /// Returns its size in bytes.
    pub(crate) fn len(&self) -> u64 {
        self.found.len()
    }

    /// Returns whether the file at `path` is this one.
    pub(crate) fn is_at(&self, path: &Path) -> bool {
        let same = |now: Metadata| now.dev() == self.found.dev() && now.ino() == self.found.ino();
        fs::symlink_metadata(path).is_ok_and(same)
    }

    /// Takes all rights on the file from other users.
    ///
    /// # Errors
    /// The error of the system.
    #[cfg(feature = "write")]
    pub(crate) fn make_private(&self) -> io::Result<()> {
        if self.found.mode() & 0o7777 == 0o600 {
            return Ok(());
        }
        fs::set_permissions(self.through(), std::os::unix::fs::PermissionsExt::from_mode(0o600))
    }

    /// Reads the marks at its beginning, before SQLite opens it: SQLite would merge the log of any database.
    ///
    /// # Errors
    /// The error of the system.
    pub(crate) fn marks(&self) -> io::Result<Option<Marks>> {
        let mut header = [0; HEADER_BYTES];
        match File::open(self.through()).and_then(|mut file| file.read_exact(&mut header)) {
            Ok(()) => {}
            Err(e) if e.kind() == io::ErrorKind::UnexpectedEof => return Ok(None),
            Err(e) => return Err(e),
        }
        if !header.starts_with(b"SQLite format 3\0") {
            return Ok(None);
        }
        let number = |at: usize| {
            let bytes = header.get(at..at + 4).and_then(|bytes| bytes.try_into().ok()).unwrap_or_default();
            i64::from(u32::from_be_bytes(bytes))
        };
        Ok(Some(Marks { version: number(60), application: number(68) }))
    }

    fn through(&self) -> PathBuf {
        PathBuf::from(format!("/proc/self/fd/{}", self.file.as_raw_fd()))
    }
}

/// The marks of an SQLite database.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Marks {
    pub(crate) version: i64,
    pub(crate) application: i64,
}

/// Examines the file at a path without changing anything; `None` where there is none.
///
/// # Errors
/// The reason why it can't be used.
pub(crate) fn examine(path: &Path) -> Result<Option<Held>, StoreError> {
    let opened = OpenOptions::new().read(true).custom_flags(libc::O_PATH | libc::O_NOFOLLOW).open(path);
    let file = match opened {
        Ok(file) => file,
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(e) => return Err(StoreError::io("examine", path)(e)),
    };
    let found = file.metadata().map_err(StoreError::io("examine", path))?;
    if let Some(kind) = unfit_kind(&found) {
        return Err(Unfit::Kind { path: path.to_owned(), kind }.into());
    }
    let ours = nix::unistd::geteuid().as_raw();
    if found.uid() != ours {
        return Err(Unfit::Foreign { path: path.to_owned(), found: found.uid(), ours }.into());
    }
    if found.nlink() > 1 {
        return Err(Unfit::Linked { path: path.to_owned(), links: found.nlink() }.into());
    }
    Ok(Some(Held { file, found }))
}

/// Names the type of a file that is not a regular one.
fn unfit_kind(found: &Metadata) -> Option<&'static str> {
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

/// Returns the path of a file beside the store.
pub(crate) fn beside(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    PathBuf::from(name)
}

/// Returns the store's path, with every link in its directory resolved: SQLite then follows none at all.
///
/// # Errors
/// When the directory is not there or can't be entered.
pub(crate) fn path_in(directory: &Path) -> Result<PathBuf, StoreError> {
    let real = fs::canonicalize(directory).map_err(StoreError::io("find the directory", directory))?;
    Ok(real.join(FILE))
}

/// Returns the URI by which SQLite opens a file of any name.
pub(crate) fn uri(path: &Path, query: &str) -> String {
    let mut text = String::from("file:");
    for byte in path.as_os_str().as_bytes() {
        if byte.is_ascii_alphanumeric() || b"/._-".contains(byte) {
            text.push(char::from(*byte));
        } else {
            text.push_str(&format!("%{byte:02X}"));
        }
    }
    text.push_str(query);
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::symlink;

    #[test]
    fn only_a_regular_file_of_ones_own_with_one_name_is_fit() {
        let dir = tempfile::tempdir().unwrap();
        let at = |name: &str| dir.path().join(name);
        let said = |name: &str| examine(&at(name)).unwrap_err().to_string();
        assert!(examine(&at("none")).unwrap().is_none());
        fs::write(at("file"), "x").unwrap();
        assert_eq!(examine(&at("file")).unwrap().unwrap().len(), 1);
        symlink("file", at("link")).unwrap();
        assert!(said("link").contains("is a symbolic link"));
        assert!(said(".").contains("is a directory"));
        fs::hard_link(at("file"), at("second")).unwrap();
        assert!(said("file").contains("2 names"));
    }

    #[test]
    fn own_files_are_those_that_the_store_makes() {
        for own in
            ["", "-wal", "-shm", "-journal", "-new", "-making", ".v1", ".damaged-20261129104500123-wal"]
        {
            assert!(is_own_file(OsStr::new(&format!("{FILE}{own}"))), "{own}");
        }
        for other in ["store.sqlite3.bak", "store.sqlite", "my-store.sqlite3", "gobd.lock"] {
            assert!(!is_own_file(OsStr::new(other)), "{other}");
        }
    }

    #[test]
    fn a_uri_names_any_path() {
        assert_eq!(uri(Path::new("/a b?c#%/é"), "?mode=ro"), "file:/a%20b%3Fc%23%25/%C3%A9?mode=ro");
    }
}
