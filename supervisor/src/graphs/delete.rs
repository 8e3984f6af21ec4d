//! Deletes a graph: its directories, then its records, while its lock is held.
//!
//! Every step begins at an open directory and follows no link. Links in the place of the directory and mounts
//! in it are searched for first, and make the deletion fail before anything is gone.

use crate::claims::Claims;
use crate::graph_lock::{HeldLock, NoLock};
use crate::record;
use gob_core::{DeletePlan, NotDeleted};
use nix::dir::Dir;
use nix::errno::Errno;
use nix::fcntl::{AtFlags, OFlag, open};
use nix::sys::stat::{Mode, SFlag, fstatat};
use nix::unistd::{UnlinkatFlags, geteuid, unlinkat};
use std::ffi::CStr;
use std::fs;
use std::os::fd::AsFd;
use std::path::Path;

/// Limit of nested directories: each open one is a descriptor.
const MAX_DEPTH: usize = 64;

/// Deletes the graph; returns data of it elsewhere, which stays.
pub(crate) fn delete(plan: &DeletePlan, claims: &Claims) -> Result<Option<String>, NotDeleted> {
    let held = HeldLock::take(&plan.lock).map_err(|no_lock| match no_lock {
        NoLock::Held(holder) => NotDeleted::Held(holder),
        NoLock::Failed(failure) => NotDeleted::NoLock(failure),
        NoLock::Unfit(unfit) => NotDeleted::Failed(format!("{unfit:?}")),
    })?;
    let failed = |path: String| move |why: String| NotDeleted::Failed(format!("{path}: {why}"));
    let dirs = || plan.dirs.iter().map(|(base, name)| (base, name, format!("{base}/{name}")));
    for (base, name, path) in dirs() {
        if let Some(worker) = claims.within(&path) {
            return Err(failed(path)(format!("the worker {worker} serves it")));
        }
        may_go(base, name).map_err(failed(path))?;
    }
    for (base, name, path) in dirs() {
        remove(base, name).map_err(failed(path))?;
    }
    for path in &plan.records {
        record::remove(path).map_err(|e| NotDeleted::Failed(format!("{path}: {e}")))?;
    }
    drop(held);
    let data = &plan.lock.keep.record.data;
    Ok(record::holds(data).then(|| data.dir().to_owned()))
}

/// Refuses a path that is not a directory of this user, or that has a mount in it.
fn may_go(base: &str, name: &str) -> Result<(), String> {
    let path = Path::new(base).join(name);
    let found = match fs::symlink_metadata(&path) {
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(()),
        found => found.map_err(|e| e.to_string())?,
    };
    if found.is_symlink() {
        return Err("it is a symbolic link; gob deletes nothing behind a link: remove it by hand".to_owned());
    }
    let uid = std::os::unix::fs::MetadataExt::uid(&found);
    if !found.is_dir() || uid != geteuid().as_raw() {
        return Err("it is not a directory of this user".to_owned());
    }
    let mounts =
        fs::read_to_string("/proc/self/mountinfo").map_err(|e| format!("cannot see what is mounted: {e}"))?;
    let real = fs::canonicalize(&path).map_err(|e| e.to_string())?;
    match crate::disks::mounted_below(&mounts, &real) {
        Some(mount) => Err(format!("something is mounted at {}", mount.display())),
        None => Ok(()),
    }
}

fn remove(base: &str, name: &str) -> Result<(), String> {
    let flags = OFlag::O_DIRECTORY | OFlag::O_CLOEXEC | OFlag::O_PATH;
    let base = match open(base, flags, Mode::empty()) {
        Err(Errno::ENOENT) => return Ok(()),
        base => base.map_err(|errno| errno.to_string())?,
    };
    let name = std::ffi::CString::new(name).map_err(|e| e.to_string())?;
    match fstatat(&base, name.as_c_str(), AtFlags::AT_SYMLINK_NOFOLLOW) {
        Err(Errno::ENOENT) => Ok(()),
        Err(errno) => Err(errno.to_string()),
        Ok(found) => remove_dir(&base, &name, found.st_dev, MAX_DEPTH),
    }
}

/// Empties a directory and removes it; refuses one on another device.
fn remove_dir(parent: &impl AsFd, name: &CStr, device: u64, depth: usize) -> Result<(), String> {
    let shown = || name.to_string_lossy().into_owned();
    let said = |errno: Errno| format!("{}: {errno}", shown());
    if depth == 0 {
        return Err(format!("{}: it lies more than {MAX_DEPTH} directories deep", shown()));
    }
    let flags = OFlag::O_RDONLY | OFlag::O_DIRECTORY | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
    let mut dir = Dir::openat(parent.as_fd(), name, flags, Mode::empty()).map_err(said)?;
    let entries = dir.iter().collect::<nix::Result<Vec<_>>>().map_err(said)?;
    for entry in entries {
        let inner = entry.file_name();
        if matches!(inner.to_bytes(), b"." | b"..") {
            continue;
        }
        let found = match fstatat(dir.as_fd(), inner, AtFlags::AT_SYMLINK_NOFOLLOW) {
            Err(Errno::ENOENT) => continue,
            found => found.map_err(said)?,
        };
        if found.st_dev != device {
            return Err(format!("{}/{}: it is on another device", shown(), inner.to_string_lossy()));
        }
        if SFlag::from_bits_truncate(found.st_mode) & SFlag::S_IFMT == SFlag::S_IFDIR {
            remove_dir(&dir.as_fd(), inner, device, depth - 1)?;
        } else {
            gone(unlinkat(dir.as_fd(), inner, UnlinkatFlags::NoRemoveDir)).map_err(said)?;
        }
    }
    gone(unlinkat(parent.as_fd(), name, UnlinkatFlags::RemoveDir)).map_err(said)
}

/// A file that another program has removed counts as removed.
fn gone(removed: nix::Result<()>) -> nix::Result<()> {
    match removed {
        Err(Errno::ENOENT) => Ok(()),
        removed => removed,
    }
}
