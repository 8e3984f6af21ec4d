//! A control group for each run, where the supervisor's own group is delegated to it, as by `Delegate=yes`
//! (ADR 4).
//!
//! The last belt of a sweep: a process that resets its resource limits loses its run's tag, but not its
//! control group. Only version 2 of the hierarchy counts, below the supervisor's own group. The names hold
//! the state directory as tags do, so that the next supervisor of it knows a dead one's groups.

use crate::sys::kernel::Kernel;
use crate::sys::process::Found;
use crate::sys::tag::Tag;
use crate::sys::xattr;
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// The place where groups are made.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Cgroups {
    base: PathBuf,
    /// A process could not be started in a group, so no more are made.
    refused: bool,
}

/// The result of removing a group.
#[derive(Debug)]
pub(crate) enum Removed {
    /// The group was empty and is gone.
    Gone,
    /// The group had these processes, which were killed.
    Killed(Vec<Found>),
}

impl Cgroups {
    /// Finds the place for groups, if one is delegated and writable.
    pub(crate) fn find() -> Option<Self> {
        let mounts = fs::read_to_string("/proc/self/mountinfo").ok()?;
        let own = fs::read_to_string("/proc/self/cgroup").ok()?;
        let base = base(&mounts, &own)?;
        let may_write = |path: &Path| nix::unistd::access(path, nix::unistd::AccessFlags::W_OK).is_ok();
        // A process that may not move others within the place may not start one below it either.
        let usable = may_write(&base) && may_write(&base.join("cgroup.procs"));
        (usable && is_delegated(&base)).then_some(Self { base, refused: false })
    }

    /// Groups in this directory of a kernel without any.
    #[cfg(test)]
    pub(crate) fn at(base: &str) -> Self {
        Self { base: base.into(), refused: false }
    }

    /// Returns the directory of the groups.
    pub(crate) fn base(&self) -> &Path {
        &self.base
    }

    /// Returns whether runs get groups.
    pub(crate) fn in_use(&self) -> bool {
        !self.refused
    }

    /// Makes the group of a run; `None` when that fails, since a run can start without one.
    pub(crate) fn make(&self, kernel: &impl Kernel, tag: Tag) -> Option<File> {
        if self.refused {
            return None;
        }
        let path = self.path(tag);
        let made = kernel.make_group(&path);
        made.inspect_err(|e| tracing::warn!(path = %path.display(), error = %e, "no control group")).ok()
    }

    /// Gives up groups after no process could be started in one.
    pub(crate) fn refuse(&mut self, kernel: &impl Kernel, tag: Tag) {
        tracing::warn!(base = %self.base.display(), "the kernel starts nobody in a control group here; done without");
        self.refused = true;
        self.remove(kernel, tag).ok();
    }

    /// Removes the group of a run, or kills the processes in it; they must be gone before the removal can
    /// succeed.
    ///
    /// # Errors
    /// When the group is empty and can't be removed.
    pub(crate) fn remove(&self, kernel: &impl Kernel, tag: Tag) -> io::Result<Removed> {
        remove(kernel, &self.path(tag))
    }

    /// Kills and removes the groups that dead supervisors of a state directory have left in a place; returns
    /// the killed pids.
    pub(crate) fn clear(kernel: &impl Kernel, base: &Path, home: u32) -> BTreeSet<i32> {
        let prefix = prefix(home);
        let is_old = |group: &PathBuf| {
            group.file_name().and_then(|name| name.to_str()).is_some_and(|name| name.starts_with(&prefix))
        };
        kernel.groups_in(base).into_iter().filter(is_old).flat_map(|group| clear(kernel, &group)).collect()
    }

    /// Returns whether a process is in the group of a run.
    pub(crate) fn has(&self, kernel: &impl Kernel, tag: Tag, pid: i32) -> bool {
        kernel.members(&self.path(tag)).contains(&pid)
    }

    fn path(&self, tag: Tag) -> PathBuf {
        let Tag(number) = tag;
        self.base.join(format!(
            "{}{:x}",
            prefix(tag.home().unwrap_or_default()),
            number & u64::from(u32::MAX >> 2)
        ))
    }
}

/// Time for an old group to become empty. The next supervisor tries again.
const PATIENCE: Duration = Duration::from_millis(200);

/// Longest wait before a group is looked at again; the end of any killed process ends it sooner.
const PAUSE: Duration = Duration::from_millis(20);

fn prefix(home: u32) -> String {
    format!("gob-{home:08x}-")
}

/// Kills the processes of a group until it can be removed; returns their pids.
fn clear(kernel: &impl Kernel, path: &Path) -> BTreeSet<i32> {
    let deadline = kernel.now() + PATIENCE;
    let mut killed = BTreeSet::new();
    loop {
        let left = deadline.saturating_duration_since(kernel.now());
        match remove(kernel, path) {
            Ok(Removed::Gone) => break,
            Ok(Removed::Killed(found)) if !left.is_zero() => {
                let pids = found.iter().map(|found| found.id.pid);
                let handles: Vec<_> = pids.clone().filter_map(|pid| kernel.open(pid).ok()).collect();
                kernel.wait_for_any(&handles.iter().collect::<Vec<_>>(), left.min(PAUSE));
                killed.extend(pids);
            }
            Ok(Removed::Killed(_)) | Err(_) => {
                tracing::warn!(path = %path.display(), "an old control group stays");
                break;
            }
        }
    }
    killed
}

fn remove(kernel: &impl Kernel, path: &Path) -> io::Result<Removed> {
    let busy = match kernel.remove_group(path) {
        Ok(()) => return Ok(Removed::Gone),
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(Removed::Gone),
        Err(e) => e,
    };
    let inside = kernel.members(path);
    if !inside.is_empty() {
        let killed = inside.into_iter().filter_map(|pid| kernel.seen(pid)).collect();
        kernel.kill_group(path)?;
        return Ok(Removed::Killed(killed));
    }
    // The group is empty, but a process of the run made groups below it.
    for below in kernel.groups_in(path) {
        if let Removed::Killed(killed) = remove(kernel, &below)? {
            return Ok(Removed::Killed(killed));
        }
    }
    kernel.remove_group(path).map(|()| Removed::Gone).map_err(|_| busy)
}

/// Returns whether the maker of a group has delegated it to us, as systemd notes it for `Delegate=yes`.
fn is_delegated(base: &Path) -> bool {
    [c"user.delegate", c"trusted.delegate"].into_iter().any(|name| xattr::is_one(base, name))
}

/// Returns the directory of our own group: the mount of version 2 in `/proc/self/mountinfo`, and our place in
/// it after `/proc/self/cgroup` (proc(5), cgroups(7)).
fn base(mounts: &str, own: &str) -> Option<PathBuf> {
    let own = own.lines().find_map(|line| line.strip_prefix("0::"))?;
    mounts.lines().find_map(|line| {
        let (fields, rest) = line.split_once(" - ")?;
        let mut fields = fields.split(' ').skip(3);
        let (root, point) = (fields.next()?, fields.next()?);
        // A mount may show only a part of the hierarchy, without our group.
        let below = Path::new(own).strip_prefix(root).ok()?;
        rest.starts_with("cgroup2 ").then(|| Path::new(point).join(below))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn our_group_is_found_in_every_mount_layout() {
        let mount = |root: &str, point: &str, kind: &str| {
            format!(
                "31 23 0:28 / /sys/fs/cgroup rw - tmpfs tmpfs rw\n41 31 0:38 {root} {point} rw,relatime shared:9 - {kind} x rw\n"
            )
        };
        for (root, point, kind, own, expected) in [
            (
                "/",
                "/sys/fs/cgroup",
                "cgroup2",
                "0::/user.slice/a.scope\n",
                Some("/sys/fs/cgroup/user.slice/a.scope"),
            ),
            ("/", "/sys/fs/cgroup/unified", "cgroup2", "9:pids:/x\n0::/\n", Some("/sys/fs/cgroup/unified")),
            ("/docker/7", "/sys/fs/cgroup", "cgroup2", "0::/docker/7/a\n", Some("/sys/fs/cgroup/a")),
            ("/docker/7", "/sys/fs/cgroup", "cgroup2", "0::/elsewhere\n", None),
            ("/", "/sys/fs/cgroup/pids", "cgroup", "0::/a\n", None),
            ("/", "/sys/fs/cgroup", "cgroup2", "9:pids:/x\n", None),
        ] {
            let found = base(&mount(root, point, kind), own);
            assert_eq!(found.as_deref(), expected.map(Path::new), "{root} {point} {kind} {own}");
        }
    }
}
