//! Addresses of Unix sockets along paths of any length: a path that does not fit is reached through a
//! descriptor of its directory.

use nix::errno::Errno;
use nix::fcntl::{OFlag, open};
use nix::sys::socket::{self, UnixAddr};
use nix::sys::stat::Mode;
use std::io;
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

/// Longest path that fits into a socket's address with its closing NUL (unix(7)).
pub const MAX_PATH_BYTES: usize = 107;

/// The address of one socket.
#[derive(Debug)]
pub struct Address {
    address: UnixAddr,
    /// Kept open until connect(2) has walked through it.
    _dir: Option<OwnedFd>,
}

impl Address {
    /// Returns the address of `path`.
    ///
    /// # Errors
    /// When the directory can't be opened, or the file name alone does not fit.
    pub fn of(path: &Path) -> io::Result<Self> {
        if path.as_os_str().as_bytes().len() <= MAX_PATH_BYTES {
            return Ok(Self { address: UnixAddr::new(path)?, _dir: None });
        }
        let dir = path.parent().ok_or(Errno::ENAMETOOLONG)?;
        let name = path.file_name().ok_or(Errno::ENAMETOOLONG)?;
        let fd = open(dir, OFlag::O_PATH | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC, Mode::empty())?;
        let through: PathBuf = Path::new("/proc/self/fd").join(fd.as_raw_fd().to_string()).join(name);
        Ok(Self { address: UnixAddr::new(&through)?, _dir: Some(fd) })
    }

    /// Calls connect(2) once; the socket's own flags and timeouts apply.
    ///
    /// # Errors
    /// Those of connect(2).
    pub fn connect(&self, socket: &impl AsRawFd) -> io::Result<()> {
        Ok(socket::connect(socket.as_raw_fd(), &self.address)?)
    }
}
