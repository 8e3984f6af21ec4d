//! Files that a dead supervisor left, and a start lock that can't be taken.
//!
//! Files are removed while the two locks that decide which supervisor lives are held here, so that no
//! supervisor can run, or start, meanwhile.

use super::probe::{Listener, listener};
use super::scene::{Scene, Supervisor};
use super::{Check, Fixed, fail, ok, warn};
use crate::keep_out::keep_out;
use crate::process;
use crate::text::{list, shell_path};
use gob_client::Dirs;
use gob_client::holder::{Holder, Stopped, holder};
use std::fs::{self, symlink_metadata};
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::{Path, PathBuf};

const WHAT: &str = "stale files";
const START_LOCK: &str = "start lock";

/// Runs the checks.
pub(super) fn look(scene: &Scene) -> Vec<Check> {
    let mut checks = vec![start_lock(scene)];
    if !scene.is_deserted() {
        checks.push(ok(WHAT, "not looked for: somebody is there"));
        return checks;
    }
    let files: Vec<String> = find(&scene.dirs).iter().map(|path| path.display().to_string()).collect();
    checks.push(if files.is_empty() {
        ok(WHAT, "none")
    } else {
        warn(WHAT, list(&files), "gobctl doctor --fix removes them; the next start does without that, too")
    });
    checks
}

/// Checks the lock by which clients that start the supervisor take turns.
fn start_lock(scene: &Scene) -> Check {
    let path = scene.dirs.runtime.join("start.lock");
    let shown = path.display();
    match symlink_metadata(&path) {
        Ok(stat) if !stat.is_file() => fail(
            START_LOCK,
            format!("{shown} is not a regular file"),
            format!("move it away: mv {0} {0}.old", shell_path(&path)),
        ),
        Ok(_) => match holder(&path) {
            Some(holder) => held(scene, &path, &holder),
            None => ok(START_LOCK, "nobody holds it"),
        },
        Err(_) => ok(START_LOCK, "nobody holds it"),
    }
}

/// Checks a start lock that is held. A holder that was stopped keeps every other start waiting.
fn held(scene: &Scene, path: &Path, Holder { pid, program }: &Holder) -> Check {
    let Some(stopped) = Stopped::of(*pid) else {
        let found = format!("pid {pid} ({program}) is starting the supervisor");
        return warn(START_LOCK, found, format!("if it takes longer than 10 s, look at it: ps -fp {pid}"));
    };
    let found = format!("pid {pid} ({program}) holds {} and is stopped", path.display());
    match &scene.supervisor {
        Supervisor::Answers(_) => warn(START_LOCK, found, stopped.hint()),
        Supervisor::Nobody | Supervisor::Trouble(_) => {
            fail(START_LOCK, format!("{found}: no supervisor can be started"), stopped.hint())
        }
    }
}

/// Removes the stale files.
pub(super) fn mend(scene: &Scene) -> Vec<Fixed> {
    if !scene.is_deserted() {
        return Vec::new();
    }
    let Some(locks) = keep_out(&scene.dirs) else { return Vec::new() };
    let removed = find(&scene.dirs).into_iter().filter(|path| fs::remove_file(path).is_ok());
    let fixed = removed.map(|path| (WHAT, format!("removed {}", path.display()))).collect();
    drop(locks);
    fixed
}

/// Returns files that are provably gob's and stale: files with gob's names, this user's, in a private
/// directory of gob's.
fn find(dirs: &Dirs) -> Vec<PathBuf> {
    let mut found = Vec::new();
    if matches!(dirs.open_runtime(), Ok(Some(_))) {
        found.extend(entries(&dirs.runtime).filter(|path| is_stale(path)));
        found.extend(entries(&dirs.runtime.join("graphs")).filter(|path| is_dead_socket(path)));
    }
    found.extend([dirs.state.join("last.json.new")].into_iter().filter(|path| is_own_file(path)));
    found.sort_unstable();
    found
}

fn entries(dir: &Path) -> impl Iterator<Item = PathBuf> + use<> {
    fs::read_dir(dir).into_iter().flatten().flatten().map(|entry| entry.path())
}

fn is_stale(path: &Path) -> bool {
    let Some(name) = path.file_name().and_then(|name| name.to_str()) else { return false };
    // `daemon.sock.4242` is the socket before it is published, `daemon.pid.4242` the pid file.
    let maker = |prefix: &str| name.strip_prefix(prefix)?.parse::<i32>().ok();
    match name {
        "daemon.sock" | "notify.sock" => is_dead_socket(path),
        "daemon.pid" => is_own_file(path) && pid_in(path).is_none_or(|pid| !is_gobd(pid)),
        _ => match (maker("daemon.sock."), maker("daemon.pid.")) {
            (Some(pid), _) => process::living(pid).is_none() && is_dead_socket(path),
            (_, Some(pid)) => process::living(pid).is_none() && is_own_file(path),
            (None, None) => false,
        },
    }
}

/// The pid may be another process's by now.
fn is_gobd(pid: i32) -> bool {
    process::own().into_iter().any(|process| process.pid == pid && process.name == "gobd")
}

fn pid_in(path: &Path) -> Option<i32> {
    fs::read_to_string(path).ok()?.trim().parse().ok()
}

fn is_own_file(path: &Path) -> bool {
    let me = nix::unistd::geteuid().as_raw();
    symlink_metadata(path).is_ok_and(|stat| stat.is_file() && stat.uid() == me)
}

fn is_dead_socket(path: &Path) -> bool {
    let me = nix::unistd::geteuid().as_raw();
    let own = symlink_metadata(path).is_ok_and(|stat| stat.file_type().is_socket() && stat.uid() == me);
    own && listener(path) == Listener::Nobody
}
