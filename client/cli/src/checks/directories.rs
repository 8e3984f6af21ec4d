//! gob's directories: there, this user's own, private, no symbolic links, reachable by a socket's path.
//!
//! What may be mended is the mode of a directory that is provably gob's: this user's, a real one, and with one of gob's
//! own files in it.

use super::scene::Scene;
use super::{Check, Fixed, fail, ok, warn};
use gob_client::{Dirs, Error};
use nix::fcntl::{OFlag, open};
use nix::sys::stat::{Mode, SFlag, fchmod, fstat};
use std::fs::symlink_metadata;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

const RUNTIME: &str = "runtime directory";
const STATE: &str = "state directory";
const LOGS: &str = "log directory";
const DATA: &str = "data directory";

/// What to do about a directory that can't be used.
pub(super) const HINT: &str =
    "gobctl doctor --fix, or choose another one: export GOB_RUNTIME_DIR=/path/to/a/private/directory";

/// Longest path that fits into a socket's address with its closing NUL (unix(7)).
const MAX_SUN_PATH: usize = 107;

/// Files by which gob's own runtime and state directories are known.
const RUNTIME_MARKS: &[&str] = &["daemon.sock", "daemon.pid", "start.lock"];
const STATE_MARKS: &[&str] = &["gobd.lock"];

/// Their checks.
pub(super) fn look(scene: &Scene) -> Vec<Check> {
    let dirs = &scene.dirs;
    let mut checks = vec![
        runtime(dirs),
        // The keeper refuses a state directory that others may write to.
        writable(STATE, &dirs.state, true),
        writable(DATA, &dirs.data, false),
    ];
    if symlink_metadata(dirs.logs()).is_ok() {
        checks.push(writable(LOGS, &dirs.logs(), false));
    }
    checks
}

fn runtime(dirs: &Dirs) -> Check {
    let path = &dirs.runtime;
    let shown = path.display();
    match dirs.open_runtime() {
        Err(error) => {
            let cause = Error::from(error);
            let found =
                format!("{cause}{}", cause.cause().map(|cause| format!(": {cause}")).unwrap_or_default());
            let mends = mendable(path, RUNTIME_MARKS, 0o077).is_some();
            fail(RUNTIME, found, if mends { HINT.to_owned() } else { by_hand(path) })
        }
        Ok(None) => match path.parent().filter(|parent| !parent.is_dir()) {
            Some(parent) => {
                let found = format!("{shown} is not there, nor is {}", parent.display());
                let hint =
                    format!("mkdir -m 700 -p {}, or log in anew where the system makes it", parent.display());
                warn(RUNTIME, found, hint)
            }
            None => ok(RUNTIME, format!("{shown} (not there yet; the first start makes it)")),
        },
        Ok(Some(_)) => {
            let length = dirs.socket().as_os_str().as_bytes().len();
            if length <= MAX_SUN_PATH {
                return ok(RUNTIME, shown.to_string());
            }
            let found = format!(
                "{shown}: the socket's path has {length} bytes, and most programs can connect to {MAX_SUN_PATH} only"
            );
            warn(RUNTIME, found, "gobctl copes with it; for other clients choose a shorter GOB_RUNTIME_DIR")
        }
    }
}

/// A directory that others may at least not change.
fn writable(what: &'static str, path: &Path, needed: bool) -> Check {
    let shown = path.display();
    let bad =
        |found: String, hint: String| if needed { fail(what, found, hint) } else { warn(what, found, hint) };
    let me = nix::unistd::geteuid().as_raw();
    // Through a link, as the supervisor goes: only the runtime directory must not be one.
    let stat = match std::fs::metadata(path) {
        Ok(stat) => stat,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound && symlink_metadata(path).is_err() => {
            return ok(what, format!("{shown} (not there yet; the first start makes it)"));
        }
        Err(error) => return bad(format!("{shown} cannot be used: {error}"), format!("ls -ld {shown}")),
    };
    let mode = stat.mode() & 0o7777;
    if !stat.is_dir() {
        bad(format!("{shown} is not a directory"), format!("move it away: mv {shown} {shown}.old"))
    } else if stat.uid() != me {
        let found = format!("{shown} belongs to uid {}, not to you (uid {me})", stat.uid());
        bad(found, "choose a directory of your own: GOB_STATE_DIR, GOB_DATA_DIR".to_owned())
    } else if mode & 0o300 != 0o300 {
        bad(format!("{shown} may not be written to (mode {mode:04o})"), format!("chmod 700 {shown}"))
    } else if mode & 0o022 != 0 {
        bad(format!("{shown} may be changed by others (mode {mode:04o})"), by_hand(path))
    } else if mode & 0o055 != 0 && what != DATA {
        warn(what, format!("{shown} may be read by others (mode {mode:04o})"), by_hand(path))
    } else if path.is_symlink() {
        ok(what, format!("{shown} (a symbolic link)"))
    } else {
        ok(what, shown.to_string())
    }
}

fn by_hand(path: &Path) -> String {
    format!("chmod 700 {}", path.display())
}

/// Makes private what is ours.
pub(super) fn mend(dirs: &Dirs) -> Vec<Fixed> {
    let logs = dirs.logs();
    let all: [(&'static str, &Path, &[&str], u32); 3] = [
        (RUNTIME, &dirs.runtime, RUNTIME_MARKS, 0o077),
        (STATE, &dirs.state, STATE_MARKS, 0o077),
        // No file in it is certain, but the lock is above it.
        (LOGS, &logs, &["../gobd.lock"], 0o077),
    ];
    let mut fixed = Vec::new();
    for (what, path, marks, forbidden) in all {
        let Some((dir, mode)) = mendable(path, marks, forbidden) else { continue };
        if fchmod(&dir, Mode::S_IRWXU).is_ok() {
            fixed.push((what, format!("changed the mode of {} from {mode:04o} to 0700", path.display())));
        }
    }
    fixed
}

/// The open directory and its mode, if it is provably gob's and open to others. One with the sticky bit, as `/tmp`, or
/// one that holds the home directory, is nobody's own.
fn mendable(path: &Path, marks: &[&str], forbidden: u32) -> Option<(std::os::fd::OwnedFd, u32)> {
    let flags = OFlag::O_RDONLY | OFlag::O_DIRECTORY | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
    let dir = open(path, flags, Mode::empty()).ok()?;
    let stat = fstat(&dir).ok()?;
    let me = nix::unistd::geteuid().as_raw();
    let sticky = stat.st_mode & SFlag::S_IFMT.bits() != SFlag::S_IFDIR.bits() || stat.st_mode & 0o1000 != 0;
    let mode = stat.st_mode & 0o7777;
    let home = std::env::var_os("HOME").is_some_and(|home| Path::new(&home).starts_with(path));
    let marked = marks
        .iter()
        .any(|mark| symlink_metadata(path.join(mark)).is_ok_and(|file| file.uid() == me && !file.is_dir()));
    (stat.st_uid == me && !sticky && !home && marked && mode & forbidden != 0).then_some((dir, mode))
}
