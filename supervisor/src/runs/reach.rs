//! The kernel, with descriptors kept for it: a lack of them must not hide a process from a sweep.

use crate::sys::fds::Spare;
use crate::sys::kernel::Kernel;
use crate::sys::process::Found;
use crate::sys::table::Table;
use crate::sys::tag::Tag;
use std::io;

/// A kernel that answers also when this process has no descriptor left.
pub(super) struct Reach<K> {
    pub(super) kernel: K,
    spare: Spare,
}

impl<K: Kernel> Reach<K> {
    /// Keeps descriptors from now on.
    ///
    /// # Errors
    /// When there are none to keep.
    pub(super) fn new(kernel: K) -> io::Result<Self> {
        Ok(Self { kernel, spare: Spare::new()? })
    }

    /// Lists our children, also the dead ones that were not reaped.
    ///
    /// # Errors
    /// When they can't be listed.
    pub(super) fn children(&self) -> io::Result<Vec<i32>> {
        self.spare.with_room(|| self.kernel.children())
    }

    /// Opens a handle on a process that still is the one that was found; `None` when it is not, or can't be examined now.
    pub(super) fn open(&self, found: &Found, expected: Tag) -> Option<K::Handle> {
        self.spare.with_room(|| self.kernel.open_found(found, expected)).ok().flatten()
    }

    /// Lists the pid of every process, as far as they can be read.
    pub(super) fn pids(&self) -> impl Iterator<Item = i32> {
        self.spare.with_room(|| self.kernel.pids()).into_iter().flatten().flatten()
    }

    /// Lists the processes of a run by their tag, having scanned the table before if `scan` says so.
    ///
    /// # Errors
    /// When the table could not be read: a process that is not found then may be alive.
    pub(super) fn tagged(&self, table: &mut Table, of: Tag, scan: bool) -> io::Result<Vec<Found>> {
        self.spare.with_room(|| {
            if scan {
                table.scan(&self.kernel)?;
            }
            table.members(&self.kernel, of)
        })
    }
}
