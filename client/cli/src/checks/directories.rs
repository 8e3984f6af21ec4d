//! gob's directories: existing, this user's own, private, no symbolic links, short enough for a socket's
//! path.
//!
//! Only the mode of a directory that is provably gob's may be repaired: this user's, a real directory, and
//! with one of gob's own files in it.

use super::scene::Scene;
use super::{Check, Fixed, Level, fail, ok, warn};
use crate::text::shell_path;
use gob_client::{Dirs, Error};
use gob_host::address::MAX_PATH_BYTES;
use gob_host::dirs::check_owner;
use nix::fcntl::{OFlag, open};
use nix::sys::stat::{Mode, SFlag, fchmod, fstat};
use nix::unistd::{AccessFlags, access};
use std::fs::symlink_metadata;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

const RUNTIME: &str = "runtime directory";
const STATE: &str = "state directory";
const LOGS: &str = "log directory";
const DATA: &str = "data directory";

/// Returns files that identify gob's own directories; `None` for a directory that is never changed.
fn marks(what: &str) -> Option<&'static [&'static str]> {
    match what {
        RUNTIME => Some(&["daemon.sock", "daemon.pid", "start.lock"]),
        STATE => Some(&["gobd.lock"]),
        // No file in it is certain, but the lock is above it.
        LOGS => Some(&["../gobd.lock"]),
        _ => None,
    }
}

/// Runs the checks.
pub(super) fn look(scene: &Scene) -> Vec<Check> {
    let dirs = &scene.dirs;
    let mut checks = vec![
        runtime(dirs),
        // The keeper refuses a state directory that others may write to.
        usable(STATE, &dirs.state),
        usable(DATA, &dirs.data),
    ];
    if symlink_metadata(dirs.logs()).is_ok() {
        checks.push(usable(LOGS, &dirs.logs()));
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
            fail(RUNTIME, found, remedy(RUNTIME, path))
        }
        Ok(None) => {
            let check = absent(RUNTIME, path);
            match path.parent().filter(|parent| check.level != Level::Fail && !parent.is_dir()) {
                Some(parent) => {
                    let found = format!("{shown} is not there, nor is {}", parent.display());
                    let hint = format!(
                        "mkdir -m 700 -p {}, or log in anew where the system makes it",
                        shell_path(parent)
                    );
                    warn(RUNTIME, found, hint)
                }
                None => check,
            }
        }
        Ok(Some(_)) => {
            let length = dirs.socket().as_os_str().as_bytes().len();
            if length <= MAX_PATH_BYTES {
                return ok(RUNTIME, shown.to_string());
            }
            let found = format!(
                "{shown}: the socket's path has {length} bytes, and most programs can connect to {MAX_PATH_BYTES} only"
            );
            warn(RUNTIME, found, "gobctl copes with it; for other clients choose a shorter GOB_RUNTIME_DIR")
        }
    }
}

/// Checks a directory that gob must be able to use, and that others may at least not change.
fn usable(what: &'static str, path: &Path) -> Check {
    let shown = path.display();
    // The supervisor refuses the state directory of another user, or an open one, and no other directory.
    let bad = if what == STATE { fail } else { warn };
    let me = nix::unistd::geteuid().as_raw();
    // Follows links as the supervisor does: only the runtime directory must not be one.
    let stat = match std::fs::metadata(path) {
        Ok(stat) => stat,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound && symlink_metadata(path).is_err() => {
            return absent(what, path);
        }
        Err(error) => return fail(what, format!("{shown} cannot be used: {error}"), another(what)),
    };
    let mode = stat.mode() & 0o7777;
    let shut = access(path, AccessFlags::W_OK | AccessFlags::X_OK).err();
    if !stat.is_dir() {
        // Only directories are gob's here, so the file is somebody's: it is not to be moved or removed.
        fail(what, format!("{shown} is not a directory"), another(what))
    } else if stat.uid() != me {
        let found = format!("{shown} belongs to uid {}, not to you (uid {me})", stat.uid());
        if shut.is_some() { fail(what, found, another(what)) } else { bad(what, found, remedy(what, path)) }
    } else if mode & 0o300 != 0o300 {
        let hint = format!("chmod u+rwx {}", shell_path(path));
        let shut = shut.is_some() || what == STATE;
        let found = format!("{shown} may not be written to (mode {mode:04o})");
        if shut { fail(what, found, hint) } else { warn(what, found, hint) }
    } else if let Some(error) = shut {
        fail(what, format!("{shown} may not be written to: {}", error.desc()), another(what))
    } else if mode & 0o022 != 0 {
        bad(what, format!("{shown} may be changed by others (mode {mode:04o})"), remedy(what, path))
    } else if mode & 0o055 != 0 && what != DATA {
        let found = format!("{shown} may be read by others (mode {mode:04o})");
        warn(what, found, remedy(what, path))
    } else if path.is_symlink() {
        ok(what, format!("{shown} (a symbolic link)"))
    } else {
        ok(what, shown.to_string())
    }
}

/// Returns the variable that names a directory.
fn variable(what: &str) -> &'static str {
    match what {
        RUNTIME => "GOB_RUNTIME_DIR",
        DATA => "GOB_DATA_DIR",
        _ => "GOB_STATE_DIR",
    }
}

/// Returns the remedy that changes nothing on the disk.
fn another(what: &str) -> String {
    format!("choose a directory of gob's own: export {}=/path/to/a/private/directory", variable(what))
}

/// Returns the command to type. Making another user's directory private, or one in other use, would do harm.
fn remedy(what: &str, path: &Path) -> String {
    if marks(what).is_some_and(|marks| mendable(path, marks).is_some()) {
        return "gobctl doctor --fix makes it private".to_owned();
    }
    let me = nix::unistd::geteuid().as_raw();
    let stat = symlink_metadata(path);
    let mine = stat.is_ok_and(|stat| stat.is_dir() && stat.uid() == me && stat.mode() & 0o1000 == 0);
    let named = path.file_name().is_some_and(|name| name.as_bytes().starts_with(b"gob"));
    let empty = std::fs::read_dir(path).is_ok_and(|mut entries| entries.next().is_none());
    if mine && (named || empty) { format!("chmod 700 {}", shell_path(path)) } else { another(what) }
}

/// Explains how a missing directory will be made, or why it can't be.
fn absent(what: &'static str, path: &Path) -> Check {
    let shown = path.display();
    if let Err(error) = check_owner(variable(what), path, |name| std::env::var_os(name)) {
        let error = Error::from(error);
        return fail(what, error.to_string(), error.hint().unwrap_or_default());
    }
    // A broken link exists, and nothing can be made below it.
    let above = path.ancestors().skip(1).find(|dir| symlink_metadata(dir).is_ok());
    match above {
        Some(above) if !above.is_dir() => {
            let found =
                format!("{shown} is not there and can't be made: {} is no directory", above.display());
            let hint = "correct XDG_RUNTIME_DIR, or choose other directories: GOB_RUNTIME_DIR, GOB_STATE_DIR, GOB_DATA_DIR";
            fail(what, found, hint)
        }
        Some(above) if access(above, AccessFlags::W_OK | AccessFlags::X_OK).is_err() => {
            let found = format!("{shown} is not there, and {} may not be written to", above.display());
            fail(what, found, "choose other directories: GOB_RUNTIME_DIR, GOB_STATE_DIR, GOB_DATA_DIR")
        }
        _ => ok(what, format!("{shown} (not there yet; the first start makes it)")),
    }
}

/// Makes our own directories private.
pub(super) fn mend(dirs: &Dirs) -> Vec<Fixed> {
    let logs = dirs.logs();
    let mut fixed = Vec::new();
    for (what, path) in [(RUNTIME, &dirs.runtime), (STATE, &dirs.state), (LOGS, &logs)] {
        let Some((dir, mode)) = marks(what).and_then(|marks| mendable(path, marks)) else { continue };
        if fchmod(&dir, Mode::S_IRWXU).is_ok() {
            fixed.push((what, format!("changed the mode of {} from {mode:04o} to 0700", path.display())));
        }
    }
    fixed
}

/// Returns the open directory and its mode, if it is provably gob's and open to others. A directory with the
/// sticky bit, such as `/tmp`, or one that holds the home directory, belongs to no program alone.
fn mendable(path: &Path, marks: &[&str]) -> Option<(std::os::fd::OwnedFd, u32)> {
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
    (stat.st_uid == me && !sticky && !home && marked && mode & 0o077 != 0).then_some((dir, mode))
}
