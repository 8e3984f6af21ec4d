//! Parts of the kernel that gob needs beside files: `/proc`, by which it knows processes, and inotify, by
//! which it follows logs.

use super::scene::Scene;
use super::{Check, fail, ok, warn};
use nix::errno::Errno;
use nix::sys::inotify::{InitFlags, Inotify};
use std::path::Path;

const PROC: &str = "proc";
const INOTIFY: &str = "inotify";
const INSTANCES: &str = "/proc/sys/fs/inotify/max_user_instances";

/// Runs the checks.
pub(super) fn look(_: &Scene) -> Vec<Check> {
    let made = Inotify::init(InitFlags::IN_CLOEXEC).map(drop);
    vec![proc(Path::new("/proc")), inotify(made)]
}

fn proc(root: &Path) -> Check {
    let shown = root.display();
    if let Err(error) = std::fs::read(root.join("self/stat")) {
        let found = format!("{shown} tells nothing of processes: {error}; no supervisor can start");
        return fail(PROC, found, "mount -t proc proc /proc");
    }
    match std::fs::read(root.join("net/tcp")) {
        Ok(_) => ok(PROC, "it tells of processes and sockets"),
        Err(error) => {
            let found = format!("{shown}/net can't be read: {error}; ports of workers can't be discovered");
            warn(PROC, found, "mount it without subset=pid, or give kinds a {port}")
        }
    }
}

fn inotify(made: Result<(), Errno>) -> Check {
    let limit = std::fs::read_to_string(INSTANCES).unwrap_or_default();
    match made {
        Ok(()) => ok(INOTIFY, "there are instances left"),
        Err(errno) => {
            let found = format!(
                "no instance can be had ({errno}); {} of at most {} (fs.inotify.max_user_instances) are seen in use. logs -f ends, \
                 and a supervisor does not notice at once when its files are removed",
                used(),
                limit.trim()
            );
            warn(
                INOTIFY,
                found,
                "end what holds them, or raise it: sysctl fs.inotify.max_user_instances=1024",
            )
        }
    }
}

/// Returns how many instances this user's processes have, as far as their descriptors are visible.
fn used() -> usize {
    let open = |pid: i32| std::fs::read_dir(format!("/proc/{pid}/fd")).into_iter().flatten().flatten();
    let links = crate::process::own().into_iter().flat_map(|process| open(process.pid));
    links
        .filter(|entry| {
            std::fs::read_link(entry.path()).is_ok_and(|to| to == Path::new("anon_inode:inotify"))
        })
        .count()
}

#[cfg(test)]
mod tests {
    use super::super::Level;
    use super::*;

    #[test]
    fn nothing_starts_without_proc_and_no_port_is_found_without_its_net() {
        let dir = std::env::temp_dir().join(format!("gob-proc-{}", std::process::id()));
        std::fs::create_dir_all(dir.join("self")).unwrap();
        assert_eq!(proc(&dir).level, Level::Fail);
        std::fs::write(dir.join("self/stat"), "1 (x) R").unwrap();
        let found = proc(&dir);
        assert!(found.level == Level::Warn && found.found.contains("net can't be read"), "{found:?}");
        std::fs::remove_dir_all(dir).unwrap();
    }

    #[test]
    fn the_limit_of_instances_is_named_and_used_ones_are_counted() {
        let _held = Inotify::init(InitFlags::IN_CLOEXEC).unwrap();
        assert!(used() >= 1);
        let found = inotify(Err(Errno::EMFILE));
        assert!(
            found.level == Level::Warn && found.found.contains("fs.inotify.max_user_instances"),
            "{found:?}"
        );
    }
}
