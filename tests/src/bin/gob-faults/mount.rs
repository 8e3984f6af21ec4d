//! A small file system of its own below which the state directory lies, so that a disk can be full.
//!
//! It is mounted in the harness's own mount namespace: no other program sees it, and it goes with the last
//! process.

use std::ffi::CString;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

/// Room for the logs that the configuration allows, and some more.
const OPTIONS: &std::ffi::CStr = c"size=24m,mode=0700";

pub struct Mount(CString);

/// Leaves the shared mount namespace. Only a process with one thread can.
pub fn leave_namespace() -> io::Result<()> {
    // SAFETY: neither call is given a pointer to anything but constant text.
    unsafe {
        check(libc::unshare(libc::CLONE_NEWNS))?;
        let flags = libc::MS_REC | libc::MS_PRIVATE;
        check(libc::mount(c"none".as_ptr(), c"/".as_ptr(), std::ptr::null(), flags, std::ptr::null()))
    }
}

impl Mount {
    pub fn new(at: &Path) -> io::Result<Self> {
        let target = text(at)?;
        let kind = c"tmpfs".as_ptr();
        // SAFETY: all texts live until the call returns.
        check(unsafe { libc::mount(kind, target.as_ptr(), kind, 0, OPTIONS.as_ptr().cast()) })?;
        Ok(Self(target))
    }
}

impl Drop for Mount {
    fn drop(&mut self) {
        // SAFETY: the text lives until the call returns. Open files keep it alive, out of the way.
        if let Err(e) = check(unsafe { libc::umount2(self.0.as_ptr(), libc::MNT_DETACH) }) {
            eprintln!("cannot unmount {:?}: {e}", self.0);
        }
    }
}

fn text(path: &Path) -> io::Result<CString> {
    CString::new(path.as_os_str().as_bytes()).map_err(io::Error::other)
}

fn check(result: i32) -> io::Result<()> {
    if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}
