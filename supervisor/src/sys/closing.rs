//! Open files whose close(2) may wait for a server: those of a network or user-space file system.
//!
//! A child before its exec has all of them too. Without such files it closes its inherited descriptors before
//! it runs its program, so that none of ours outlives [`super::spawn::spawn`] in it; with one, the kernel
//! does that, later. Counts for the whole process, as the descriptor table is the process's.

use std::mem::MaybeUninit;
use std::os::fd::{AsRawFd, BorrowedFd};
use std::sync::atomic::{AtomicUsize, Ordering};

/// The number of [`Slow`].
static SLOW: AtomicUsize = AtomicUsize::new(0);

/// File systems that write back later, whatever is closed (statfs(2)): ext, XFS, Btrfs, tmpfs, ramfs, ZFS,
/// F2FS, bcachefs, and overlayfs, which is as quick as the layer below.
const LOCAL: [i64; 9] = [
    0xef53,
    0x5846_5342,
    0x9123_683e,
    0x0102_1994,
    0x8584_58f6,
    0x2fc1_2fc1,
    0xf2f5_2010,
    0xca45_1a4e,
    0x794c_7630,
];

/// Marks, while it lives, an open file whose close may wait. Must be dropped after the file.
#[derive(Debug)]
pub(crate) struct Slow(());

impl Slow {
    /// Counts one file.
    pub(crate) fn one() -> Self {
        SLOW.fetch_add(1, Ordering::SeqCst);
        Self(())
    }

    /// Counts a file that is not on a local file system, or not known to be.
    pub(crate) fn of(file: BorrowedFd<'_>) -> Option<Self> {
        (!is_local(file)).then(Self::one)
    }
}

impl Drop for Slow {
    fn drop(&mut self) {
        SLOW.fetch_sub(1, Ordering::SeqCst);
    }
}

/// Returns whether no open file is known whose close may wait.
pub(crate) fn is_quick() -> bool {
    SLOW.load(Ordering::SeqCst) == 0
}

fn is_local(file: BorrowedFd<'_>) -> bool {
    let mut found = MaybeUninit::<libc::statfs>::zeroed();
    // SAFETY: writes one `statfs` to valid memory.
    if unsafe { libc::fstatfs(file.as_raw_fd(), found.as_mut_ptr()) } != 0 {
        return false;
    }
    // SAFETY: the call succeeded and has filled it.
    let kind = unsafe { found.assume_init() }.f_type;
    LOCAL.contains(&kind)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::fd::AsFd;

    #[test]
    fn a_file_of_proc_is_not_known_to_close_quickly() {
        let file = std::fs::File::open("/proc/self/stat").unwrap();
        let slow = Slow::of(file.as_fd());
        assert!(slow.is_some() && !is_quick());
        drop(slow);
        let dir = std::fs::File::open(std::env::temp_dir()).unwrap();
        assert!(Slow::of(dir.as_fd()).is_none());
    }
}
