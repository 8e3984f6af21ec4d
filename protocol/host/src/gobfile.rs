//! Reads the project file of a directory, as far as it may be read. Its meaning is [`gob_config::gobfile`]'s.

use crate::config::Disk;
use gob_config::ConfigDisk;
use gob_config::gobfile::{GOBFILE, MAX_GOBFILE_BYTES};
use std::io;
use std::path::{Path, PathBuf};

/// A project file that can't be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Unread {
    /// It can't be read.
    #[error("it cannot be read: {0}")]
    Io(#[from] io::Error),
    /// It is a directory, a FIFO or a device.
    #[error("it is not a regular file")]
    NotAFile,
    /// A symbolic link leads to a file of another user.
    #[error("it is a symbolic link to a file of uid {0}")]
    ForeignLink(u32),
    /// It is too long.
    #[error("it has more than {MAX_GOBFILE_BYTES} bytes")]
    TooLong,
    /// It is not text.
    #[error("it is not UTF-8")]
    NotText,
}

/// Returns the path of a directory's project file.
#[must_use]
pub fn path_in(dir: &Path) -> PathBuf {
    dir.join(GOBFILE)
}

/// Reads the project file of a directory, which is given by its real path; `None` where there is none. A FIFO is not waited for.
///
/// # Errors
/// [`Unread`] for a file that is there and can't be used.
pub fn read(dir: &Path) -> Result<Option<String>, Unread> {
    let path = path_in(dir);
    let real = match path.canonicalize() {
        Ok(real) => real,
        Err(e) if e.kind() == io::ErrorKind::NotFound && path.symlink_metadata().is_err() => return Ok(None),
        Err(e) if e.kind() == io::ErrorKind::NotADirectory => return Ok(None),
        Err(e) => return Err(e.into()),
    };
    // By its real path: a link that is changed meanwhile leads nowhere else.
    let (facts, bytes) = Disk.read(&real)?;
    if !facts.is_file {
        return Err(Unread::NotAFile);
    }
    let me = nix::unistd::Uid::effective().as_raw();
    if real != path && facts.uid != me && facts.uid != 0 {
        return Err(Unread::ForeignLink(facts.uid));
    }
    if facts.len.max(bytes.len() as u64) > MAX_GOBFILE_BYTES {
        return Err(Unread::TooLong);
    }
    String::from_utf8(bytes).map(Some).map_err(|_| Unread::NotText)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;
    use std::os::unix::fs::{chown, symlink};

    fn project() -> (tempfile::TempDir, PathBuf) {
        let dir = tempfile::tempdir().unwrap();
        let real = dir.path().canonicalize().unwrap();
        fs::create_dir(real.join(".config")).unwrap();
        (dir, real)
    }

    #[test]
    fn a_link_leads_only_to_a_file_of_this_user_or_root() {
        let (_guard, dir) = project();
        assert!(read(&dir).unwrap().is_none());
        let elsewhere = dir.join("elsewhere.toml");
        symlink(&elsewhere, path_in(&dir)).unwrap();
        assert!(matches!(read(&dir), Err(Unread::Io(_))), "it leads nowhere");
        fs::write(&elsewhere, "# jobs").unwrap();
        assert_eq!(read(&dir).unwrap().as_deref(), Some("# jobs"));
        if nix::unistd::Uid::effective().is_root() {
            chown(&elsewhere, Some(65_534), None).unwrap();
            assert!(matches!(read(&dir), Err(Unread::ForeignLink(65_534))));
        }
    }

    #[test]
    fn only_text_of_bounded_length_is_read() {
        let (_guard, dir) = project();
        let path = path_in(&dir);
        fs::write(&path, [0xff, 0xfe]).unwrap();
        assert!(matches!(read(&dir), Err(Unread::NotText)));
        fs::write(&path, vec![b'#'; 1 << 20]).unwrap();
        assert_eq!(read(&dir).unwrap().map(|text| text.len()), Some(1 << 20));
        fs::write(&path, vec![b'#'; (1 << 20) + 1]).unwrap();
        assert!(matches!(read(&dir), Err(Unread::TooLong)));
        fs::remove_file(&path).unwrap();
        nix::unistd::mkfifo(&path, nix::sys::stat::Mode::S_IRWXU).unwrap();
        assert!(matches!(read(&dir), Err(Unread::NotAFile)), "a FIFO without a writer is not waited for");
    }
}
