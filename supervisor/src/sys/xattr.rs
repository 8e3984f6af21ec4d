//! Extended attributes of files.

use std::ffi::{CStr, CString};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

/// Returns whether an attribute of a file is `1`.
pub(crate) fn is_one(path: &Path, name: &CStr) -> bool {
    let Ok(path) = CString::new(path.as_os_str().as_bytes()) else { return false };
    let mut value = [0u8; 2];
    // SAFETY: both names end with a NUL, and the call writes no more than the buffer's length into it.
    let len = unsafe {
        libc::getxattr(path.as_ptr(), name.as_ptr(), value.as_mut_ptr().cast::<libc::c_void>(), value.len())
    };
    len == 1 && value.first() == Some(&b'1')
}
